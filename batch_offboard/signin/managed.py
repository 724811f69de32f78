"""Signs in as the managed identity of the Azure machine, or of the machine that Azure Arc knows, that this runs on.

The machine's own service has the token, so nothing of this ever leaves the machine, nor passes a proxy.
"""

from collections.abc import Iterable

import msal

from batch_offboard.connection import Connection
from batch_offboard.errors import SignInError
from batch_offboard.safe_text import one_line
from batch_offboard.signin.refusals import Asked, TransientSignInError, quoted
from batch_offboard.signin.renewal import Grant
from batch_offboard.signin.session import Answer, Line, SignInSession, ask

CONNECT_TIMEOUT = 5.0  # seconds; a machine that is not Azure's has nobody at that address

HOST = "This machine's identity service"
REMEDY = "managed_identity works only on a machine of Azure or Azure Arc that has an identity"

# What passes: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
PASSING = frozenset({404, 410, 429})


class ManagedMachine:
    """An `Applicant` for the system-assigned identity, or for the user-assigned one with this client ID."""

    def __init__(self, client_id: str | None, audience: str, connection: Connection) -> None:
        self._client_id = client_id
        identity = f"identity {client_id}" if client_id else "the system-assigned identity"
        asked = Asked(HOST, "", identity, audience, place="this machine", remedy=REMEDY)
        self._line = Line(asked, connection, None, CONNECT_TIMEOUT, refuse=_refusal)

    def first(self) -> Grant:
        return self.another()

    def another(self) -> Grant:
        """Asked of the machine each time; it may keep a token itself, and give it again until it nears its end."""
        identity = (
            msal.UserAssignedManagedIdentity(client_id=self._client_id)
            if self._client_id
            else msal.SystemAssignedManagedIdentity()
        )

        def question(session: SignInSession) -> Answer:
            client = msal.ManagedIdentityClient(identity, http_client=session, http_cache=self._line.http_cache)
            answer: Answer = client.acquire_token_for_client(resource=self._line.asked.audience)
            return answer

        return ask(self._line, question)


def _refusal(answer: Answer, status: int | None, asked: Asked, hidden: Iterable[str]) -> SignInError:
    word, said = str(answer.get("error") or ""), quoted(answer, hidden)
    reason = one_line(": ".join(part for part in (word, said) if part)) or f"HTTP {status}"
    if status in PASSING or (status is not None and status >= 500):
        return TransientSignInError(f"{HOST} is not ready (HTTP {status}, {reason}); try again later.")
    return SignInError(
        f"{HOST} gives no token for {asked.application} ({reason}); assign the identity to this machine, or correct "
        "client_id and audience."
    )
