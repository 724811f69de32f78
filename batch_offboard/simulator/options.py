"""The options of a simulator; invalid values are refused here, before anything is started."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from batch_offboard.simulator.actions import Pace
from batch_offboard.simulator.faults import parse_fault
from batch_offboard.simulator.listing import LARGEST_PAGE
from batch_offboard.simulator.platforms import PlatformRule
from batch_offboard.simulator.quotas import QuotaMode


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """The options of one simulator. Times in seconds; a limit of None disables that quota.

    - `token`: the only accepted bearer token (default: any); `permissions`: what the token grants
      (default: everything).
    - `quota_mode`: how calls are counted, a value of `QuotaMode`; `smooth_tolerance`: how early a call may
      come in the smooth mode; `count_refused`: whether a refused call uses up quota.
    - `throttle_code`: the error code of a 429: `TooManyRequests`, `429`, or `both` alternately.
    - `latency`: the range of a call's duration; `arrival`: the call is counted and carried out at the
      `start` of it or at a `random` point in it.
    - `list_lag`: by how much the list of actions lags; `success_status`: 201 or 200.

    Raises `ValueError` with one sentence that names the option.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 0
    per_minute: int | None = 100
    per_hour: int | None = 1500
    quota_mode: str = QuotaMode.SLIDING
    smooth_tolerance: float = 0.0
    count_refused: bool = False
    throttle_code: str = "both"
    latency: tuple[float, float] = (0.02, 0.2)
    arrival: str = "start"
    faults: tuple[str, ...] = ()
    token: str | None = None
    permissions: frozenset[str] | None = None
    page_size: int = LARGEST_PAGE
    list_lag: float = 0.0
    success_status: int = 201
    platform_rule: str = PlatformRule.CLIENTS_AND_2019
    pace: Pace = field(default_factory=Pace)
    requestor: str = "offboarding-batch"

    def __post_init__(self) -> None:
        _check_host(self.host)
        _one_of("quota mode", self.quota_mode, QuotaMode)
        _one_of("platform rule", self.platform_rule, PlatformRule)
        _one_of("throttle code", self.throttle_code, ("TooManyRequests", "429", "both"))
        _one_of("arrival", self.arrival, ("start", "random"))
        _one_of("success status", self.success_status, (200, 201))
        for name, limit in (("minute", self.per_minute), ("hour", self.per_hour)):
            if limit is not None and limit < 1:
                raise ValueError(f"The simulator cannot allow {limit} calls per {name}; give 1 or more.")
        if not 1 <= self.page_size <= LARGEST_PAGE:
            raise ValueError(f"The simulator's page size is 1 to {LARGEST_PAGE}, not {self.page_size}.")
        _check_times(self)
        for spec in self.faults:
            parse_fault(spec)

    @property
    def limits(self) -> list[tuple[int, int]]:
        """(calls, seconds) of the quotas that are not disabled."""
        pairs = ((self.per_minute, 60), (self.per_hour, 3600))
        return [(limit, period) for limit, period in pairs if limit is not None]


def _check_host(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"The simulator listens on loopback only, not on {host}; leave the host at 127.0.0.1.")


def _check_times(options: SimulatorOptions) -> None:
    pace = options.pace
    for name, (least, most) in (("latency", options.latency), ("pick-up", pace.pick_up), ("work", pace.work)):
        if not 0 <= least <= most:
            raise ValueError(f"The simulator's {name} is a range of seconds, not {least} to {most}.")
    if not (pace.failed >= 0 and pace.timed_out >= 0 and pace.failed + pace.timed_out <= 1):
        raise ValueError("The simulator's shares of failed and timed-out actions are 0 to 1, also together.")
    if not min(options.list_lag, options.smooth_tolerance, pace.time_out_after) >= 0:
        raise ValueError("The simulator's list lag, tolerance and time-out cannot be negative.")


def _one_of(name: str, value: object, known: Iterable[object]) -> None:
    words = list(known)
    if value not in words:
        raise ValueError(f"{value!r} is not a {name} of the simulator; use one of: {', '.join(map(str, words))}.")
