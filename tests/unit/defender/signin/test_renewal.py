"""When a token is renewed: before it expires, once for all callers, off the event loop, and with pauses."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import ConfigError, SignInError, TransientSignInError
from batch_offboard.base.secret import Secret
from batch_offboard.defender.signin.renewal import Expected, Grant, KeptToken
from tests.tokens import CLIENT, OTHER_CLIENT, OTHER_TENANT, TENANT, jwt

if TYPE_CHECKING:
    from tests.unit.defender.signin.conftest import HandClock

NOBODY = Expected(None, None)


@dataclass
class Counter:
    """Returns numbered tokens, valid for `lifetime` seconds; raises `trouble` while it is set."""

    lifetime: object = 3600
    trouble: Exception | None = None
    tokens: list[str] = field(default_factory=list)
    asked: int = 0
    by_thread: list[str] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    hold: threading.Event | None = None

    def first(self) -> Grant:
        return self.another()

    def another(self) -> Grant:
        self.asked += 1
        self.by_thread.append(threading.current_thread().name)
        self.begun.set()
        if self.hold is not None:
            assert self.hold.wait(30)
        if self.trouble is not None:
            raise self.trouble
        self.tokens.append(f"token {self.asked}")
        return Grant(Secret(self.tokens[-1]), self.lifetime)


async def at_once(work: Callable[[], Grant]) -> Grant:
    return work()


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def source(counter: Counter, clock: "HandClock") -> KeptToken:
    """Renews without a thread, so that only the test's clock advances."""
    return KeptToken(lambda: counter, NOBODY, clock, at_once)


async def settled() -> None:
    """Let background tasks finish."""
    for _ in range(5):
        await asyncio.sleep(0)


# -- before the end --


@pytest.mark.parametrize(
    ("lifetime", "early"), [(3600, 300), (1200, 300), (1199, 299.75), (60, 15), (10, 2.5), ("3600", 300)]
)
async def test_a_token_is_renewed_five_minutes_before_its_end_or_in_its_last_quarter(
    source: KeptToken, counter: Counter, clock: "HandClock", lifetime: object, early: float
) -> None:
    counter.lifetime = lifetime
    source.sign_in()
    clock.pass_by(float(str(lifetime)) - early - 0.01)
    await source.token()
    await settled()
    assert counter.asked == 1
    clock.pass_by(0.02)
    await source.token()
    await settled()
    assert counter.asked == 2
    assert await source.token() == "token 2"


async def test_nobody_waits_for_a_renewal_while_the_token_is_good(counter: Counter, clock: "HandClock") -> None:
    source = KeptToken(lambda: counter, NOBODY, clock)
    source.sign_in()
    counter.hold = threading.Event()
    clock.pass_by(3310)
    assert [await source.token() for _ in range(5)] == ["token 1"] * 5
    counter.hold.set()
    await source.renew()  # waits for the renewal in progress
    assert await source.token() == "token 2"


@pytest.mark.fault(20, "An old token is renewed before the next call.")
async def test_a_call_just_before_the_end_waits_for_the_new_token(
    source: KeptToken, counter: Counter, clock: "HandClock"
) -> None:
    source.sign_in()
    clock.pass_by(3575)
    assert await source.token() == "token 2"


async def test_the_life_of_a_token_is_counted_from_the_moment_of_asking(clock: "HandClock") -> None:
    class Slow(Counter):
        def another(self) -> Grant:
            clock.pass_by(55)
            return super().another()

    slow = Slow(lifetime=60)
    source = KeptToken(lambda: slow, NOBODY, clock, at_once)
    source.sign_in()
    await source.token()
    assert slow.asked == 2


async def test_no_change_of_the_calendar_moves_the_end_of_a_token(
    source: KeptToken, counter: Counter, clock: "HandClock"
) -> None:
    source.sign_in()
    clock.wall += 10 * 86_400
    assert await source.token() == "token 1"
    assert counter.asked == 1
    clock.wall -= 20 * 86_400
    clock.ticks += 3601
    assert await source.token() == "token 2"


async def test_a_token_of_unknown_life_is_renewed_early(
    source: KeptToken, counter: Counter, clock: "HandClock"
) -> None:
    counter.lifetime = None
    source.sign_in()
    clock.pass_by(290)
    assert await source.token() == "token 2"


@pytest.mark.parametrize("ended", [0, -5, "-5"])
def test_a_token_that_came_without_life_is_refused(source: KeptToken, counter: Counter, ended: object) -> None:
    counter.lifetime = ended
    with pytest.raises(SignInError, match=r"expired token.*2026-11-24 07:00:00\+01:00.*clock"):
        source.sign_in()


def test_signing_in_twice_asks_once(source: KeptToken, counter: Counter, clock: "HandClock") -> None:
    source.sign_in()
    source.sign_in()
    assert counter.asked == 1
    clock.pass_by(3590)
    source.sign_in()
    assert counter.asked == 2


def test_signing_in_happens_where_it_is_called(source: KeptToken, counter: Counter) -> None:
    source.sign_in()
    assert counter.by_thread == [threading.current_thread().name]


# -- once for all callers, and off the loop --


async def test_sixteen_who_ask_at_once_make_one_request(counter: Counter, clock: "HandClock") -> None:
    source = KeptToken(lambda: counter, NOBODY, clock)
    assert await asyncio.gather(*(source.token() for _ in range(16))) == ["token 1"] * 16
    assert counter.asked == 1
    assert counter.by_thread == ["background"]


async def test_the_event_loop_goes_on_while_a_token_is_asked_for(counter: Counter, clock: "HandClock") -> None:
    counter.hold = threading.Event()
    source = KeptToken(lambda: counter, NOBODY, clock)
    waiting = asyncio.create_task(source.token())
    await asyncio.to_thread(counter.begun.wait, 30)
    turns = 0
    for _ in range(1000):
        await asyncio.sleep(0)
        turns += 1
    assert (turns, waiting.done()) == (1000, False)
    counter.hold.set()
    assert await waiting == "token 1"


async def test_whoever_gives_up_waiting_does_not_take_the_token_from_the_others(
    counter: Counter, clock: "HandClock"
) -> None:
    counter.hold = threading.Event()
    source = KeptToken(lambda: counter, NOBODY, clock)
    impatient, patient = asyncio.create_task(source.token()), asyncio.create_task(source.token())
    await asyncio.to_thread(counter.begun.wait, 30)
    impatient.cancel()
    counter.hold.set()
    assert await patient == "token 1"
    assert impatient.cancelled() or impatient.cancelling()


def test_a_loop_that_ends_while_a_token_is_asked_for_does_not_wait_for_it(counter: Counter, clock: "HandClock") -> None:
    counter.hold = threading.Event()
    source = KeptToken(lambda: counter, NOBODY, clock)

    async def begin() -> None:
        waiting = asyncio.create_task(source.token())
        await asyncio.to_thread(counter.begun.wait, 30)
        waiting.cancel()

    asyncio.run(begin())
    counter.hold.set()
    assert asyncio.run(source.token()).startswith("token")


# -- without a new one --


async def test_a_good_token_is_used_on_when_there_is_no_new_one_and_asked_for_again_every_half_minute(
    source: KeptToken, counter: Counter, clock: "HandClock"
) -> None:
    source.sign_in()
    counter.trouble = TransientSignInError("The service is down.")
    clock.pass_by(3301)
    for _ in range(290):
        assert await source.token() == "token 1"
        await settled()
        clock.pass_by(1)
    assert counter.asked == 1 + 10
    counter.trouble = None
    clock.pass_by(30)
    assert await source.token() == "token 12"


async def test_after_the_end_the_failure_is_told(source: KeptToken, counter: Counter, clock: "HandClock") -> None:
    source.sign_in()
    counter.trouble = TransientSignInError("The service is down.")
    clock.pass_by(3601)
    with pytest.raises(TransientSignInError, match="The service is down"):
        await source.token()


async def test_after_the_end_a_failed_request_holds_for_the_calls_of_the_same_moment(
    source: KeptToken, counter: Counter, clock: "HandClock"
) -> None:
    counter.trouble = TransientSignInError("The service is down.")
    for _ in range(8):
        with pytest.raises(SignInError, match="down"):
            await source.token()
        clock.pass_by(0.1)
    assert counter.asked == 1
    clock.pass_by(5)
    counter.trouble = None
    assert await source.token() == "token 2"


async def test_a_file_that_is_gone_for_a_moment_is_a_passing_trouble(
    source: KeptToken, counter: Counter, clock: "HandClock"
) -> None:
    source.sign_in()
    counter.trouble = ConfigError("The file secret cannot be read.")
    clock.pass_by(3400)
    assert await source.token() == "token 1"
    await settled()
    clock.pass_by(201)
    with pytest.raises(TransientSignInError, match="The file secret cannot be read"):
        await source.token()


def test_a_missing_secret_at_the_start_is_a_mistake_of_the_configuration(source: KeptToken, counter: Counter) -> None:
    counter.trouble = ConfigError("The variable S is missing or empty.")
    with pytest.raises(ConfigError, match="variable S"):
        source.sign_in()


# -- after a 401 --


async def test_a_refused_token_is_replaced_though_it_is_good_for_long(source: KeptToken, counter: Counter) -> None:
    source.sign_in()
    await source.renew()
    assert await source.token() == "token 2"


async def test_the_same_token_again_is_no_renewal(counter: Counter, clock: "HandClock") -> None:
    class Stubborn(Counter):
        def another(self) -> Grant:
            return Grant(Secret("the only one"), 3600)

    source = KeptToken(Stubborn, NOBODY, clock, at_once)
    source.sign_in()
    with pytest.raises(SignInError, match="same one again"):
        await source.renew()


async def test_a_renewal_that_fails_is_told_at_once(source: KeptToken, counter: Counter) -> None:
    source.sign_in()
    counter.trouble = SignInError("No.")
    with pytest.raises(SignInError, match=r"^No\.$"):
        await source.renew()


async def test_a_refused_token_is_not_used_again_while_the_service_is_away(
    source: KeptToken, counter: Counter, clock: "HandClock"
) -> None:
    source.sign_in()
    counter.trouble = TransientSignInError("Away.")
    with pytest.raises(TransientSignInError):
        await source.renew()
    for _ in range(3):
        with pytest.raises(TransientSignInError):
            await source.token()
        clock.pass_by(4)
    counter.trouble = None
    clock.pass_by(5)
    assert await source.token() == f"token {counter.asked}"


# -- whose token --


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"tid": OTHER_TENANT}, f"of tenant {OTHER_TENANT}, but the configuration names {TENANT}; correct tenant_id"),
        ({"tid": TENANT, "appid": OTHER_CLIENT}, f"of application {OTHER_CLIENT}, but the configuration names"),
        ({"tid": TENANT.upper(), "appid": CLIENT.upper()}, None),
        ({}, None),
    ],
)
async def test_no_other_tenants_or_applications_token_is_taken(
    clock: "HandClock", claims: dict[str, str], words: str | None
) -> None:
    class Stranger(Counter):
        def another(self) -> Grant:
            return Grant(Secret(jwt(claims)), 3600)

    source = KeptToken(Stranger, Expected(TENANT, CLIENT), clock, at_once)
    if words is None:
        source.sign_in()
        return
    with pytest.raises(SignInError, match=words):
        source.sign_in()
    with pytest.raises(SignInError, match=words):
        await source.token()


def test_a_kept_token_does_not_show_itself(source: KeptToken) -> None:
    source.sign_in()
    assert "token 1" not in repr(source) + repr(source._held) + repr(source.claims)


# -- whatever happens --


@given(
    lifetimes=st.lists(st.floats(1, 4000), min_size=1, max_size=5),
    steps=st.lists(st.tuples(st.floats(0, 2000), st.booleans(), st.booleans()), max_size=30),
)
def test_no_token_is_handed_out_after_its_end(lifetimes: list[float], steps: list[tuple[float, bool, bool]]) -> None:
    """A step: the seconds that pass, whether the service works, whether the API refuses the token."""
    ends: dict[str, float] = {}
    failures: list[float] = []

    class Clock:
        ticks = 0.0

        def now(self) -> Moment:
            return Moment(self.ticks, self.ticks, "boot")

    class Service:
        works = True
        count = 0

        def first(self) -> Grant:
            return self.another()

        def another(self) -> Grant:
            if not self.works:
                failures.append(clock.ticks)
                raise TransientSignInError("down")
            self.count += 1
            seconds = lifetimes[self.count % len(lifetimes)]
            ends[f"token {self.count}"] = clock.ticks + seconds
            return Grant(Secret(f"token {self.count}"), seconds)

    clock, service = Clock(), Service()
    source = KeptToken(lambda: service, NOBODY, clock, at_once)

    async def live() -> None:
        for seconds, works, refused in steps:
            clock.ticks += seconds
            service.works = works
            before = len(failures)
            try:
                token = await source.token()
                assert clock.ticks < ends[token]
                if refused:
                    await source.renew()
            except SignInError:
                assert not works or len(failures) == before
            await settled()

    asyncio.run(live())
    assert len(failures) <= 2 * len(steps)  # one for the call, one for a 401 that cannot wait
