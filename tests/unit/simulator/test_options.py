"""The options that a simulator refuses."""

from typing import Any

import pytest

from batch_offboard.simulator import Pace, SimulatorOptions


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_is_allowed(host: str) -> None:
    assert SimulatorOptions(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "localhost.evil.example", "example.com"])  # noqa: S104  # refused
def test_anything_but_loopback_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="loopback only"):
        SimulatorOptions(host=host)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quota_mode": "leaky"}, {"platform_rule": "d"}, {"throttle_code": "430"}, {"arrival": "end"},
        {"success_status": 204}, {"per_minute": 0}, {"per_hour": -1}, {"page_size": 0}, {"page_size": 10_001},
        {"latency": (2, 1)}, {"latency": (-1, 1)}, {"list_lag": -1}, {"faults": ("boom",)},
        {"pace": Pace(failed=0.6, timed_out=0.6)}, {"pace": Pace(work=(2, 1))}, {"latency": (float("nan"), 1)},
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_before_anything_starts(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\."):
        SimulatorOptions(**wrong)


def test_a_limit_of_none_lifts_the_quota() -> None:
    assert SimulatorOptions(per_minute=None).limits == [(1500, 3600)]
