"""What one seed decides before anything happens: how many devices, which quota, which faults and how often."""

from dataclasses import dataclass, field, replace
from random import Random

from tests.simulation.weather import Mishap

# Faults of the tenant that tell the truth: what they refuse was not carried out, what they leave unclear may have been.
# These were carried out, and nobody is told.
UNCLEAR_FAULTS = (
    "500-after",
    "503-after=20",
    "504-after",
    "reset-after",
    "no-reply-close-after",
    "hang-after",
    "html-after",
    "redirect-after",
    "202",
    "204",
    "cut",
    "cut=wire",
    "garbage",
    "no-id",
    "late=30",
    "late=300",
)
TENANT_FAULTS = (
    "400=OsPlatformNotSupported",
    "404",
    "409",
    "429=30",
    "429=none",
    "429=date+45",
    "429=date-30",
    "429=abc",
    "429=0",
    "401",
    "403=DisallowedOperation",
    "400=UnknownCode",
    "500",
    "502",
    "503=20",
    "reset",
    "no-reply-close",
    "hang",
    "html",
    "redirect",
    "200",
    "slow=0.1",
    "garbage=utf16",
    "garbage=empty",
    "empty-id",
    "other-comment",
)
READ_FAULTS = (
    "read/500",
    "read/503=5",
    "read/429=20",
    "read/429=none",
    "read/401",
    "read/reset",
    "read/no-reply-close",
    "read/hang",
    "read/html",
    "read/cut=wire",
    "read/garbage",
    "actions/loop-link",
    "actions/empty-list",
    "machines/loop-link",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Times in seconds, shares from 0 to 1."""

    seed: int
    again: str = ""  # what to type after `python -m tests.simulation` to see it again
    devices: int = 20
    sheets: int = 1
    spreadsheet: str = "csv"
    per_minute: int = 100
    per_hour: int = 1500
    burst: int = 1
    workers: int = 8
    timeout: float = 90.0
    horizon: float = 3600.0
    server_share: float = 1.0  # the part of the quota that other users of the application leave to us
    quota_mode: str = "sliding"
    count_refused: bool = False
    list_lag: float = 0.0
    readable: bool = True  # the application may read the tenant
    lookup: bool = True
    renewed: bool = True  # somebody gets another token when the API refuses one
    faults: tuple[str, ...] = ()
    mishaps: dict[Mishap, float] = field(default_factory=dict)
    refused: float = 0.0
    outages: int = 0
    usual: tuple[float, float] = (0.005, 0.05)
    disk: tuple[float, float] = (0.0005, 0.005)
    drift: float = 0.0
    shuffled: bool = True
    ill: float = 0.0  # the share of devices that the tenant refuses
    action_fails: float = 0.0
    quick: bool = False  # devices carry out at once what they are told, so that a second call would be accepted
    slow: bool = False  # devices are asleep for hours, so that most actions can still be taken back
    deaths: float = 0.0  # how many of these come to one command, on average
    signals: float = 0.0
    clock_jumps: float = 0.0
    reboots: float = 0.0
    freezes: float = 0.0
    disk_faults: float = 0.0
    others: float = 0.0
    guests: float = 0.0  # second processes
    protections: float = 0.0
    commands: int = 6
    regrets: float = 0.0  # how often a command takes back what others have done
    nights: float = 0.0  # how often a command is a nightly run; above 0, sheets are put into an inbox
    resumed_again: float = 0.0  # how often the whole is resumed once more when all is over
    formats: tuple[str, ...] = ("csv",)

    @property
    def longest_lag(self) -> float:
        """How long after its call's end an accepted action may at most be missing from the list."""
        late = [float(fault.partition("=")[2].partition(":")[0]) for fault in self.faults if fault.startswith("late=")]
        return self.list_lag + max(late, default=0.0)

    @property
    def is_truthful(self) -> bool:
        """Whether the list tells of every accepted call within the horizon."""
        return self.longest_lag < self.horizon - 1


def draw_scenario(seed: int, most_devices: int = 200, least_devices: int = 1) -> Scenario:
    """The scenario of a seed: some are mild, so that large runs come through, and some are gales."""
    draw = Random(f"{seed}/scenario")  # noqa: S311  # the same each time is the point
    gale = draw.choice((0.0, 0.3, 1.0, 1.0, 2.5))
    devices = round(least_devices * (most_devices / least_devices) ** draw.random())
    per_minute, per_hour, burst = _quota(draw, devices)
    lag, horizon = _lag_and_horizon(draw)
    return Scenario(
        seed=seed,
        again=f"--seed {seed} --most-devices {most_devices} --least-devices {least_devices}",
        devices=devices,
        sheets=draw.choice((1, 1, 2, 3)),
        spreadsheet=draw.choice(("csv", "csv", "csv", "xlsx")),
        per_minute=per_minute,
        per_hour=per_hour,
        burst=burst,
        workers=draw.choice((1, 2, 8, 8, 16, 32)),
        timeout=draw.choice((90.0, 90.0, 20.0)),
        horizon=horizon,
        server_share=draw.choice((1.0, 1.0, 1.0, 0.7)),
        quota_mode=draw.choice(("sliding", "sliding", "fixed", "bucket")),
        count_refused=draw.random() < 0.2,
        list_lag=lag,
        readable=draw.random() < 0.9,
        lookup=draw.random() < 0.9,
        renewed=draw.random() < 0.8,
        faults=_faults(draw, gale),
        mishaps=_mishaps(draw, gale),
        refused=gale * draw.choice((0.0, 0.0, 0.02, 0.1)) * draw.random(),
        outages=draw.choice((0, 0, 1, 2)) if gale else 0,
        usual=draw.choice(((0.001, 0.02), (0.005, 0.05), (0.05, 0.5))),
        disk=draw.choice(((0.0, 0.0), (0.0005, 0.005), (0.01, 0.2))),
        drift=draw.choice((0.0, 0.0, -0.0004, 0.0004)),
        shuffled=draw.random() < 0.7,
        ill=draw.choice((0.0, 0.0, 0.05, 0.3) if devices <= 60 else (0.0, 0.0, 0.0, 0.02)),  # each may stop a run
        action_fails=draw.choice((0.0, 0.0, 0.2)),
        quick=draw.random() < 0.6,
        deaths=gale * draw.choice((0.0, 0.5, 1.0)),
        signals=gale * draw.choice((0.0, 0.3)),
        clock_jumps=gale * draw.choice((0.0, 0.5)),
        reboots=gale * draw.choice((0.0, 0.3)),
        freezes=gale * draw.choice((0.0, 0.2)),
        disk_faults=gale * draw.choice((0.0, 0.0, 0.4)),
        others=draw.choice((0.0, 0.0, 1.0)),
        guests=draw.choice((0.0, 0.5, 1.0)),
        protections=draw.choice((0.0, 0.0, 0.5)),
        commands=draw.randrange(2, 10),
        resumed_again=0.4,
        formats=draw.choice((("csv",), ("csv",), ("csv", "json"), ("csv", "xlsx"))),
        regrets=draw.choice((0.0, 0.0, 0.3)),
        nights=draw.choice((0.0, 0.0, 0.0, 0.6)),
    )


def _quota(draw: Random, devices: int) -> tuple[int, int, int]:
    """The documented quota, a small one that even a few devices use up, or a wide one."""
    kind = draw.choice(("documented", "documented", "small", "wide"))
    if kind == "documented":
        return 100, 1500, draw.choice((1, 1, 10, 100))
    if kind == "wide" or devices > 500:
        return 10_000, 10_000, draw.choice((1, 100, 1000))
    minute = draw.choice((3, 10, 30))
    # An hour must have room for the reads of a look-up, or no run would ever get as far as its first call.
    return minute, max(12, minute * draw.choice((2, 10))), draw.choice((1, minute))


def _lag_and_horizon(draw: Random) -> tuple[float, float]:
    horizon = draw.choice((3600.0, 3600.0, 1200.0))
    lag = draw.choice((0.0, 5.0, 120.0, 600.0))
    return (lag, horizon) if draw.random() < 0.93 else (horizon * 1.5, horizon)


def _faults(draw: Random, gale: float) -> tuple[str, ...]:
    chosen = draw.sample(TENANT_FAULTS, draw.randrange(4)) + draw.sample(READ_FAULTS, draw.choice((0, 0, 1, 2)))
    chosen += draw.sample(UNCLEAR_FAULTS, draw.choice((0, 1, 1, 2)))
    shares = ((fault, gale * draw.choice((0.002, 0.01, 0.05)) * (0.5 + draw.random())) for fault in chosen)
    return tuple(f"{fault}:{share:.4f}" for fault, share in shares if share)


def _mishaps(draw: Random, gale: float) -> dict[Mishap, float]:
    kinds = [each for each in Mishap if each]
    chosen = draw.sample(kinds, draw.choice((0, 1, 2, 4)))
    return {kind: gale * draw.choice((0.002, 0.01, 0.05)) * (0.5 + draw.random()) for kind in chosen if gale}


# Each presses on one rule.
PRESSING = (
    Scenario(  # a list that is late
        seed=0,
        devices=40,
        per_minute=10,
        per_hour=10_000,
        burst=10,
        list_lag=60.0,
        quick=True,
        faults=("no-reply-close-after:0.06", "500-after:0.06"),
        deaths=1.0,
        commands=8,
    ),
    Scenario(  # full windows
        seed=0,
        devices=60,
        per_minute=20,
        per_hour=50,
        burst=20,
        workers=16,
        mishaps={Mishap.HELD_UP: 0.2, Mishap.ANSWER_HELD_UP: 0.1, Mishap.SLICED: 0.1},
        deaths=0.5,
        clock_jumps=0.5,
        guests=0.5,
        commands=4,
    ),
    Scenario(  # several processes at the same work
        seed=0,
        devices=40,
        sheets=3,
        per_minute=1000,
        per_hour=10_000,
        burst=5,
        faults=("500-after:0.03", "reset:0.03"),
        mishaps={Mishap.DOUBLED: 0.03, Mishap.RESET_AFTER: 0.03},
        deaths=0.5,
        signals=0.5,
        guests=2.0,
        others=0.5,
        protections=0.5,
        commands=8,
        resumed_again=1.0,
    ),
    Scenario(  # actions that are taken back
        seed=0,
        devices=30,
        per_minute=20,
        per_hour=10_000,
        burst=20,
        slow=True,
        faults=("500-after:0.02", "reset:0.02"),
        mishaps={Mishap.RESET_AFTER: 0.02, Mishap.ANSWER_CUT: 0.02},
        deaths=0.4,
        signals=0.3,
        disk_faults=0.2,
        guests=0.5,
        others=1.0,
        commands=8,
        regrets=0.6,
    ),
    Scenario(  # an inbox and nightly runs
        seed=0,
        devices=40,
        sheets=4,
        per_minute=20,
        per_hour=10_000,
        burst=20,
        action_fails=0.1,
        faults=("500-after:0.02", "reset:0.02", "read/500:0.02"),
        mishaps={Mishap.RESET_AFTER: 0.02},
        deaths=0.7,
        signals=0.3,
        clock_jumps=0.2,
        reboots=0.1,
        disk_faults=0.2,
        guests=0.5,
        others=0.3,
        protections=0.2,
        commands=8,
        resumed_again=0.4,
        nights=0.7,
    ),
)


def pressing_scenarios(seed: int) -> tuple[Scenario, ...]:
    """Those that press on one rule each, with a seed of their own."""
    return tuple(
        replace(scenario, seed=seed, again=f"--seed {seed} --pressing {number}")
        for number, scenario in enumerate(PRESSING)
    )
