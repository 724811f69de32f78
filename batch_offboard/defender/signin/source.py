"""What a source of tokens is to everybody who makes calls, and what stands in for one in a rehearsal."""

from typing import Protocol

from batch_offboard.base.errors import SignInError
from batch_offboard.defender.signin.claims import Claims


class TokenSource(Protocol):
    """Gives the token for the next call."""

    @property
    def claims(self) -> Claims:
        """What the latest token says of itself; nothing before the first."""

    def sign_in(self) -> Claims:
        """Get the first token now, before any event loop runs; a person may be asked.

        Raises `SignInError`, or `ConfigError` when the credential is not where the configuration says. Does nothing
        when a good token is at hand.
        """

    async def token(self) -> str:
        """A token that is good now; it never blocks the event loop. Raises `SignInError` if there is none."""

    async def renew(self) -> None:
        """Get a token that is not the one refused; `SignInError` if there is none."""


class RehearsalToken:
    """What the embedded tenant takes for a token."""

    claims = Claims()

    def sign_in(self) -> Claims:
        return self.claims

    async def token(self) -> str:
        return "rehearsal"

    async def renew(self) -> None:
        raise SignInError("The embedded tenant does not accept its own token; was a fault simulated?")
