"""Keeps one token, and renews it before its end: once for all who ask at the same time, and never on the event loop.

How a token is got is somebody else's; here it is decided when. A token that is still good is used on when there is no
new one, and the service is then asked again now and then, not with every call.
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

EARLIEST_RENEWAL = 300.0  # seconds before the end; of a short token, a quarter of its life
LAST_CALL = 30.0  # seconds before the end from which on a call waits for the new token; of a short one, an eighth
PAUSE = 30.0  # seconds until the service is asked again while the token at hand is still good
PAUSE_WITHOUT = 5.0  # seconds until it is asked again when there is no good token any more


@dataclass(frozen=True, slots=True)
class Grant:
    """A token, and for how long it is said to be good, as the service put it.

    `asked` is when the request left that brought it, if that was later than the first.
    """

    token: Secret
    expires_in: object = None
    asked: Moment | None = None


class Applicant(Protocol):
    """Gets tokens; what it does may take long, and is never done twice at the same time."""

    def first(self) -> Grant:
        """For the start of a command: a person may be asked."""

    def another(self) -> Grant:
        """A token that was not handed out before; nobody is there to be asked."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Whose token it has to be, as the configuration says; None where it says nothing."""

    tenant: str | None
    application: str | None


@dataclass(frozen=True, slots=True)
class _Held:
    """A token at hand. The times are ticks of the clock."""

    token: Secret
    claims: Claims
    renew_at: float
    wait_at: float
    end: float


class KeptToken:
    """The `TokenSource` of everybody who signs in.

    `applicant` makes the one who gets the tokens, when the first is needed; `run` keeps its work off the event loop.
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
        """Another token, since the API refuses this one; until there is one, nobody is given the refused one again."""
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
        """The renewal under way, begun if there is none; it notes its failure and raises nothing."""
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
        return self._renewal

    async def _renew(self) -> None:
        asked = self._clock.now()
        try:
            self._take(await self._run(lambda: self._asking().another()), asked)
        except SignInError as error:
            self._fail(error)
        except BatchOffboardError as error:  # a file that is being exchanged, or is gone
            self._fail(TransientSignInError(str(error)))
        self._failed_at = self._clock.now().ticks

    def _fail(self, error: SignInError) -> None:
        self._failure = error
        logs.warning("no new token", reason=str(error), old_one_good=self._held is not None)

    def _take(self, grant: Grant, asked: Moment) -> None:
        """Counted from the moment of asking, a token ends no later than the service has it."""
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
    """No other tenant's token is taken, and no other application's, whose quota it would use up unseen."""
    for name, key, said, wanted in (
        ("tenant", "tenant_id", claims.tenant, expected.tenant),
        ("application", "client_id", claims.application, expected.application),
    ):
        if wanted and said and said.lower() != wanted:
            raise SignInError(
                f"The sign-in returned a token of {name} {one_line(said)}, and the configuration names {wanted}; "
                f"correct {key}, or the identity that signs in."
            )


def _again(failure: SignInError | None) -> SignInError:
    """A failure that was kept, for one more caller."""
    return (
        SignInError("The token has expired; try again to sign in.") if failure is None else type(failure)(str(failure))
    )
