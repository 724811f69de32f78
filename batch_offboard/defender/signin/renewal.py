"""Keeps one token, and renews it before it expires: once for all concurrent callers, and never on the event loop.

This module decides when to get a token; an `Applicant` knows how. If a renewal fails, the old token is used while it is
valid, and the renewal is tried again after a pause, not with every call.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from batch_offboard.base import logs
from batch_offboard.base.background import in_background
from batch_offboard.base.clock import Clock, Moment, local_time
from batch_offboard.base.errors import BatchOffboardError, SignInError, TransientSignInError
from batch_offboard.base.secret import Secret
from batch_offboard.base.text import one_line
from batch_offboard.defender.signin.claims import Claims, claims_of, lifetime

EARLIEST_RENEWAL = 300.0  # seconds before expiry when renewal starts; a quarter of the lifetime if that is shorter
LAST_CALL = 30.0  # seconds before expiry when calls start to wait for the new token; an eighth if that is shorter
PAUSE = 30.0  # seconds between two attempts while the old token is still valid
PAUSE_WITHOUT = 5.0  # seconds between two attempts without a valid token


@dataclass(frozen=True, slots=True)
class Grant:
    """A token, and its lifetime as the service returned it.

    `asked` is when its request was sent, if that was not the first request.
    """

    token: Secret
    expires_in: object = None
    asked: Moment | None = None


class Applicant(Protocol):
    """Gets tokens. The calls may block for a long time; two are never made at the same time."""

    def first(self) -> Grant:
        """The token for the start of a command; may prompt a person."""

    def another(self) -> Grant:
        """A token that was not returned before; prompts for nothing."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The tenant and application that the token must belong to; None where not configured."""

    tenant: str | None
    application: str | None


@dataclass(frozen=True, slots=True)
class _Held:
    """The current token. The times are ticks of the clock."""

    token: Secret
    claims: Claims
    renew_at: float
    wait_at: float
    end: float


class KeptToken:
    """The `TokenSource` of every way to sign in.

    `applicant` is called when the first token is needed; `run` runs its blocking calls off the event loop.
    """

    def __init__(
        self,
        applicant: Callable[[], Applicant],
        expected: Expected,
        clock: Clock,
        run: Callable[[Callable[[], Grant]], Awaitable[Grant]] = in_background,
    ) -> None:
        self._new_applicant, self._expected, self._clock, self._run = applicant, expected, clock, run
        self._applicant: Applicant | None = None
        self._held: _Held | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._failure: SignInError | None = None
        self._failed_at = 0.0

    @property
    def claims(self) -> Claims:
        return self._held.claims if self._held else Claims()

    def sign_in(self) -> Claims:
        held = self._held
        if held is None or self._clock.now().ticks >= held.wait_at:
            asked = self._clock.now()
            self._take(self._asking().first(), asked)
        return self.claims

    async def token(self) -> str:
        now = self._clock.now().ticks
        held = self._held
        if held is not None and (now < held.renew_at or (now < held.end and self._pausing(now, PAUSE))):
            return held.token.reveal()
        if self._failure is not None and self._pausing(now, PAUSE_WITHOUT):
            raise _again(self._failure)
        renewal = self._renewing()
        if held is None or now >= held.wait_at:
            await asyncio.shield(renewal)
            held = self._held
            if held is None or self._clock.now().ticks >= held.end:
                raise _again(self._failure)
        return held.token.reveal()

    async def renew(self) -> None:
        """Get another token, since the API refuses this one, which is not returned again. Raises SignInError."""
        refused = self._held
        await asyncio.shield(self._renewing())
        if self._failure is not None:
            if refused is not None and self._held is refused:
                now = self._clock.now().ticks
                self._held = replace(refused, renew_at=now, wait_at=now, end=now)
            raise _again(self._failure)
        if refused and self._held and refused.token.reveal() == self._held.token.reveal():
            raise SignInError(
                "The API does not accept the token, and the sign-in returns the same one again; a newly "
                "granted permission can take hours to appear in it. Wait, then try again."
            )

    def _asking(self) -> Applicant:
        if self._applicant is None:
            self._applicant = self._new_applicant()
        return self._applicant

    def _pausing(self, now: float, pause: float) -> bool:
        return self._failure is not None and now < self._failed_at + pause

    def _renewing(self) -> asyncio.Task[None]:
        """The renewal task, started if none is running; it stores its SignInError and raises none."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
        return self._renewal

    async def _renew(self) -> None:
        asked = self._clock.now()
        try:
            self._take(await self._run(lambda: self._asking().another()), asked)
        except SignInError as error:
            self._fail(error)
        except BatchOffboardError as error:  # a file that is missing or being replaced
            self._fail(TransientSignInError(str(error)))
        self._failed_at = self._clock.now().ticks

    def _fail(self, error: SignInError) -> None:
        self._failure = error
        logs.warning("no new token", reason=str(error), old_one_good=self._held is not None)

    def _take(self, grant: Grant, asked: Moment) -> None:
        """Check and keep a token. Its lifetime is counted from the request, so that it never ends too late."""
        asked = grant.asked or asked
        claims = claims_of(grant.token)
        _check(claims, self._expected)
        seconds = lifetime(grant.expires_in, claims, asked.wall)
        if seconds <= 0:
            raise TransientSignInError(
                f"The sign-in returned an expired token, and this computer's clock says {local_time(asked.wall)}; "
                "correct the clock."
            )
        end = asked.ticks + seconds
        self._held = _Held(
            grant.token,
            claims,
            renew_at=end - min(EARLIEST_RENEWAL, seconds / 4),
            wait_at=end - min(LAST_CALL, seconds / 8),
            end=end,
        )
        self._failure = None
        logs.info("signed in", application=claims.application, good_for=f"{seconds:.0f} s")


def _check(claims: Claims, expected: Expected) -> None:
    """Refuse a token of another tenant, or of another application, whose quota would be used without being counted."""
    for name, key, said, wanted in (
        ("tenant", "tenant_id", claims.tenant, expected.tenant),
        ("application", "client_id", claims.application, expected.application),
    ):
        if wanted and said and said.lower() != wanted:
            raise SignInError(
                f"The sign-in returned a token of {name} {one_line(said)}, but the configuration names {wanted}; "
                f"correct {key}, or the identity that signs in."
            )


def _again(failure: SignInError | None) -> SignInError:
    """A copy of the stored failure, to raise for another caller."""
    return (
        SignInError("The token has expired; try again to sign in.") if failure is None else type(failure)(str(failure))
    )
