"""Signs in as the managed identity of the Azure or Azure Arc machine that this program runs on.

The token comes from the machine's own identity service, so these requests never leave the machine or pass a proxy.
"""

import os
from collections.abc import Iterable

import msal
import requests
from msal.managed_identity import ManagedIdentityError

from batch_offboard.base.errors import SignInError, TransientSignInError
from batch_offboard.base.text import one_line
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.signin.refusals import LONGEST_QUOTE, Asked, quoted
from batch_offboard.defender.signin.renewal import Grant
from batch_offboard.defender.signin.session import Answer, Line, SignInSession, ask

CONNECT_TIMEOUT = 5.0  # seconds; outside Azure nothing listens at that address

HOST = "This machine's identity service"
REMEDY = "managed_identity works only on an Azure or Azure Arc machine with an identity"

# Worth a retry: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
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
        """Request a token from the machine; its service may cache one and return it again until it nearly expires."""
        identity = (
            msal.UserAssignedManagedIdentity(client_id=self._client_id)
            if self._client_id
            else msal.SystemAssignedManagedIdentity()
        )

        def question(session: SignInSession) -> Answer:
            client = msal.ManagedIdentityClient(identity, http_client=session, http_cache=self._line.http_cache)
            try:
                answer: Answer = client.acquire_token_for_client(resource=self._line.asked.audience)
            except requests.RequestException:  # an OSError, too
                raise
            except OSError as error:
                raise _unreadable_key(error) from None
            except ManagedIdentityError as error:
                raise _unusable(str(error), self._client_id) from None
            return answer

        return ask(self._line, question)


def _unreadable_key(error: OSError) -> SignInError:
    """Azure Arc authenticates the caller by a file that only its agent's group can read; msal reads it.

    Groups: https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication
    """
    file, reason = one_line(str(error.filename or "of its agent")), error.strerror or type(error).__name__
    if isinstance(error, FileNotFoundError):
        return TransientSignInError(
            f"Azure Arc's key file {file} is missing ({reason}); check with `azcmagent show` that its agent runs."
        )
    group = "'Hybrid agent extension applications'" if os.name == "nt" else "himds"
    return SignInError(
        f"Azure Arc's key file {file} cannot be read ({reason}); add the account that this program runs as to the "
        f"group {group}."
    )


def _unusable(said: str, client_id: str | None) -> SignInError:
    """For an error that msal raises because the machine's service does not behave as expected."""
    words = one_line(said)[:LONGEST_QUOTE].strip(" .;")
    if client_id and "user-assigned" in said:
        return SignInError(
            f"Azure Arc gives no token for identity {client_id} ({words}); leave client_id out to sign in as the "
            "machine's own identity, or update its agent."
        )
    return SignInError(f"{HOST} cannot be used ({words}); {REMEDY}.")


def _refusal(answer: Answer, status: int | None, asked: Asked, hidden: Iterable[str]) -> SignInError:
    word, said = str(answer.get("error") or ""), quoted(answer, hidden)
    reason = one_line(": ".join(part for part in (word, said) if part)) or f"HTTP {status}"
    if status in PASSING or (status is not None and status >= 500):
        return TransientSignInError(f"{HOST} is not ready (HTTP {status}, {reason}); try again later.")
    return SignInError(
        f"{HOST} gives no token for {asked.application} ({reason}); assign the identity to this machine, or correct "
        "client_id (leave it out for the machine's own identity) and audience."
    )
