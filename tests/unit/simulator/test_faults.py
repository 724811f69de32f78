"""The language that specifies faults."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.simulator.faults import FAULT_HELP, FaultPlan, parse_fault

DEVICE = "ab" * 20
OFFBOARD = ("offboard",)


def met(spec: str, calls: int, *, seed: int = 0) -> list[int]:
    """The numbers of the calls, from 1, that have the fault."""
    plan = FaultPlan([spec], seed)
    return [number for number in range(1, calls + 1) if plan.next_fault(OFFBOARD, DEVICE)]


@pytest.mark.parametrize(
    ("spec", "numbers"),
    [
        ("500", [1, 2, 3, 4, 5]),
        ("500@3", [3]),
        ("500@2-4", [2, 3, 4]),
        ("500@4-", [4, 5]),
        ("500:1.0", [1, 2, 3, 4, 5]),
        ("500:0.0", []),
        ("500:0%@1-", []),
        (f"500@2:{DEVICE}", [2]),
        (f"500:{'cd' * 20}", []),
        ("read/500", []),
        ("cancel/500", []),
    ],
)
def test_a_fault_strikes_the_calls_that_it_names(spec: str, numbers: list[int]) -> None:
    assert met(spec, 5) == numbers


def test_a_share_is_kept_and_repeats_with_the_seed() -> None:
    struck = met("500:10%", 5000)
    assert 420 < len(struck) < 580
    assert struck == met("500:10%", 5000)
    assert struck != met("500:10%", 5000, seed=1)


def test_one_more_fault_changes_no_other() -> None:
    alone, together = FaultPlan(["500:0.3"], 1), FaultPlan(["500:0.3", "reset:0.5"], 1)
    first = [fault is not None for fault in (alone.next_fault(OFFBOARD, None) for _ in range(200))]
    second = [
        fault is not None and fault.status == 500 for fault in (together.next_fault(OFFBOARD, None) for _ in range(200))
    ]
    assert first == second


def test_the_first_fault_that_applies_wins() -> None:
    plan = FaultPlan(["reset@2", "500"], 0)
    assert [fault.kind for fault in (plan.next_fault(OFFBOARD, None) for _ in range(3)) if fault] == [
        "status",
        "reset",
        "status",
    ]


def test_the_number_of_a_device_fault_counts_that_device_only() -> None:
    plan = FaultPlan([f"404@1:{DEVICE.upper()}"], 0)
    answers = [plan.next_fault(OFFBOARD, device) for device in ("x", DEVICE, DEVICE)]
    assert [fault is not None for fault in answers] == [False, True, False]


@pytest.mark.parametrize(
    ("spec", "accepts"),
    [("500", False), ("500-after", True), ("reset", False), ("reset-after", True), ("hang-after", True), ("204", True),
     ("cut", True), ("html", False), ("html-after", True), ("redirect", False), ("307", False), ("no-id", True)],
)  # fmt: skip
def test_a_fault_says_whether_the_call_is_carried_out(spec: str, accepts: bool) -> None:
    assert parse_fault(spec).accepts == accepts


@pytest.mark.parametrize(
    ("spec", "value"),
    [("400=OsPlatformNotSupported@3", "OsPlatformNotSupported"), ("429=30@5", "30"), ("429=date-30", "date-30"),
     ("redirect=http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"), ("redirect=http://localhost:80/x@2", "http://localhost:80/x"),
     ("read/foreign-link=https://x.example/y:0.5", "https://x.example/y"), ("slow=0.5", "0.5")],
)  # fmt: skip
def test_a_value_is_told_from_the_conditions_behind_it(spec: str, value: str) -> None:
    assert parse_fault(spec).value == value


@pytest.mark.parametrize(
    "spec",
    ["", "5000", "500:2", "500:", "500@", "500@0", "500@5-3", "500@x", "500:abc", "500:1.5", "500:101%", "boom", "100",
     "cut-after", "204-after", "cut=foo", "reset=1", "late=soon", "redirect=mailto:x", "500@1@2", "500:0.1:0.2",
     "reads/500", "garbage=json", "500=", "off board", "500=a b", "99999999999999999999", "500@9999999999", "٥٠٠"],
)  # fmt: skip
def test_a_bad_spec_is_refused_in_one_sentence_that_quotes_it(spec: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(spec))) as error:
        parse_fault(spec)
    assert "\n" not in str(error.value)


@given(st.text(max_size=30) | st.text(alphabet="50-@:.=/%aft", max_size=14))
def test_any_text_is_a_fault_or_a_value_error(spec: str) -> None:
    try:
        parse_fault(spec)
    except ValueError:
        return


def test_the_help_names_every_kind() -> None:
    for kind in ("reset", "hang", "late", "html", "redirect", "slow", "cut", "huge", "garbage", "no-id", "empty-id",
                 "other-machine", "no-reply-close", "-after", "429=30", "400 to 599"):  # fmt: skip
        assert kind in FAULT_HELP
