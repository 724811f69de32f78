"""The interface of a token source, and the implementation for rehearsals."""

from typing import Protocol

from batch_offboard.base.errors import SignInError
from batch_offboard.defender.signin.claims import Claims


class TokenSource(Protocol):
    """Returns the token for the next call."""

    @property
    def claims(self) -> Claims:
        """The claims of the latest token; empty before the first."""

    def sign_in(self) -> Claims:
        """Get the first token now, before any event loop runs; may prompt a person.

        Does nothing if there is a valid token. Raises `SignInError`, or `ConfigError` if the credential is not where
        the configuration says.
        """

    async def token(self) -> str:
        """A valid token, without blocking the event loop. Raises `SignInError` if there is none."""

    async def renew(self) -> None:
        """Get another token than the refused one. Raises `SignInError` if there is none."""


class RehearsalToken:
    """The token that the embedded tenant accepts."""

    claims = Claims()

    def sign_in(self) -> Claims:
        return self.claims

    async def token(self) -> str:
        return "rehearsal"

    async def renew(self) -> None:
        raise SignInError("The embedded tenant does not accept its own token; was a fault simulated?")
