"""What a report says about rows and counts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.facts import DeviceFacts
from batch_offboard.reports.rows import (
    REPORT_COLUMNS,
    Outcome,
    ReasonCount,
    ReportRow,
    Tally,
    advice,
    next_steps,
    record,
    unique_names,
)
from tests.examples import REPORT_HEAD, SUBMITTED_ROW

HEAD = REPORT_HEAD
ACCEPTED = replace(
    SUBMITTED_ROW,
    finished_at=1795508132.5,
)
NEVER_SENT = ReportRow(3, "lt-99", "", Outcome.SKIPPED, "", "", "invalid_id", "No ID.", None, 0, None, None, ("Bob",))

SKIP_REASONS = [
    "duplicate", "invalid_id", "not_found", "ambiguous_name", "name_mismatch", "unsupported_os", "not_onboarded",
    "merged", "protected", "already_pending", "already_offboarded", "offboarded_before",
]  # fmt: skip
API_CODES = [
    "BadRequest", "ODataError", "InvalidInput", "InvalidRequestBody", "MaximumBatchSizeExceeded",
    "MissingRequiredParameter", "OsPlatformNotSupported", "ClientVersionNotSupported", "Unauthorized", "Forbidden",
    "DisabledFeature", "DisallowedOperation", "NotFound", "ResourceNotFound", "ActiveRequestAlreadyExists",
]  # fmt: skip


def a_row(outcome: Outcome, code: str = "", status: str = "") -> ReportRow:
    return replace(ACCEPTED, outcome=outcome, error_code=code, action_status=status)


def test_the_columns_are_those_that_others_rely_on() -> None:
    assert ",".join(REPORT_COLUMNS) == (
        "row,device_id,device_name,outcome,machine_action_id,action_status,error_code,error_message,"
        "http_status,attempts,submitted_at,finished_at,advice"
    )


def test_a_row_becomes_values_in_the_order_of_the_columns() -> None:
    assert record(ACCEPTED, HEAD) == [
        2,
        "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0",
        "lt-0417",
        "submitted",
        "0b0f6f0e-52a1-4f0c-9a63-3a5d6a1c7e90",
        "Pending",
        None,
        None,
        201,
        1,
        "2026-11-24T08:15:31Z",
        "2026-11-24T08:15:32Z",
        "Accepted: the device offboards when it next connects; `batch-offboard track 20261124-081531-7f3a` shows it.",
    ]


def test_what_is_not_known_is_none() -> None:
    assert record(NEVER_SENT, HEAD) == [
        3,
        "lt-99",
        None,
        "skipped",
        None,
        None,
        "invalid_id",
        "No ID.",
        None,
        0,
        None,
        None,
        "Correct the ID: copy it from the device's page in the portal, as text.",
    ]


@pytest.mark.parametrize("outcome", Outcome)
def test_every_row_of_a_rehearsal_says_so(outcome: Outcome) -> None:
    last = record(a_row(outcome), replace(HEAD, simulated=True))[-1]

    assert str(last).startswith("SIMULATED: ")


def test_a_command_in_the_advice_names_the_batch() -> None:
    assert record(a_row(Outcome.PENDING), HEAD)[-1] == (
        "Not sent yet: `batch-offboard resume 20261124-081531-7f3a` sends it."
    )


@pytest.mark.parametrize("code", SKIP_REASONS)
def test_each_reason_for_skipping_has_advice_of_its_own(code: str) -> None:
    assert advice(a_row(Outcome.SKIPPED, code)) != advice(a_row(Outcome.SKIPPED, "unheard_of"))


@pytest.mark.parametrize("code", API_CODES)
def test_each_code_of_the_api_has_advice_of_its_own(code: str) -> None:
    assert advice(a_row(Outcome.FAILED, code)) != advice(a_row(Outcome.FAILED, "UnheardOf"))


@pytest.mark.parametrize("code", API_CODES)
def test_the_case_of_a_code_does_not_matter(code: str) -> None:
    assert advice(a_row(Outcome.FAILED, code.upper())) == advice(a_row(Outcome.FAILED, code))


@pytest.mark.parametrize("code", ["", "NoAnswer", "ActiveRequestAlreadyExists", "NotTheApi", "Redirect", "HTTP503"])
def test_nobody_is_told_to_send_a_device_in_doubt_again(code: str) -> None:
    text = advice(a_row(Outcome.IN_DOUBT, code))

    assert "action centre" in text
    assert "do not send it again by hand before that" in text


@pytest.mark.parametrize(
    ("status", "beginning"),
    [
        ("Succeeded", "Nothing to do: the device is offboarded."),
        ("Failed", "The device did not carry it out"),
        ("TimeOut", "Bring the device online"),
        ("Cancelled", "The action was cancelled in the tenant"),
        ("InProgress", "Accepted: the device offboards"),
        ("SomethingNew", "Accepted: the device offboards"),
    ],
)
def test_the_status_of_the_action_decides_what_is_left_to_do(status: str, beginning: str) -> None:
    assert advice(a_row(Outcome.SUBMITTED, status=status)).startswith(beginning)


@given(st.sampled_from(Outcome), st.text(), st.text())
def test_advice_is_one_sentence_whatever_the_api_invents(outcome: Outcome, code: str, status: str) -> None:
    text = advice(a_row(outcome, code, status))

    assert text.endswith(".")
    assert ". " not in text
    assert text.isprintable()
    assert "{" not in text


def test_the_tally_counts_by_outcome_and_by_reason() -> None:
    tally = Tally(replace(HEAD, batch_id="B"))
    rows = [
        a_row(Outcome.SUBMITTED),
        a_row(Outcome.FAILED, "Forbidden"),
        a_row(Outcome.FAILED, "NotFound"),
        a_row(Outcome.FAILED, "NotFound"),
    ]

    assert list(tally.counting(rows)) == rows
    summary = tally.summary()

    assert summary.rows == 4
    assert {outcome.value: count for outcome, count in summary.outcomes.items()} == {
        "submitted": 1,
        "failed": 3,
        "skipped": 0,
        "in_doubt": 0,
        "pending": 0,
        "cancelled": 0,
    }
    assert [(reason.outcome.value, reason.error_code, reason.rows) for reason in summary.reasons] == [
        ("submitted", "", 1),
        ("failed", "NotFound", 2),
        ("failed", "Forbidden", 1),
    ]


def test_each_reason_comes_with_its_advice() -> None:
    tally = Tally(replace(HEAD, batch_id="B"))
    tally.add(a_row(Outcome.PENDING))

    assert tally.summary().reasons == (
        ReasonCount(Outcome.PENDING, "", 1, "Not sent yet: `batch-offboard resume B` sends it."),
    )


@given(st.sampled_from(Outcome), st.sampled_from(["", "Pending", "Succeeded", "Failed", "TimeOut", "Cancelled", "New"]))
def test_the_advice_of_a_count_is_that_of_its_rows(outcome: Outcome, status: str) -> None:
    tally = Tally(replace(HEAD, batch_id="B"))
    tally.add(a_row(outcome, "", status))
    [counted] = tally.summary().reasons
    assert counted.advice == advice(a_row(outcome, "", status), "B", "ROW")


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.sampled_from(["", "a", "b"]))))
def test_no_row_is_lost_or_counted_twice(kinds: list[tuple[Outcome, str]]) -> None:
    tally = Tally(replace(HEAD, batch_id="B"))
    for outcome, code in kinds:
        tally.add(a_row(outcome, code))
    summary = tally.summary()

    assert summary.rows == len(kinds) == sum(summary.outcomes.values()) == sum(r.rows for r in summary.reasons)


def test_a_column_that_occurs_twice_gets_a_number() -> None:
    assert unique_names(["Name", "Name", "Name (2)", "", ""]) == ["Name", "Name (2)", "Name (2) (2)", "", " (2)"]


@given(st.lists(st.sampled_from(["a", "a (2)", "a (2) (2)", ""])))
def test_names_made_unique_are(columns: list[str]) -> None:
    names = unique_names(columns)

    assert len(set(names)) == len(names) == len(columns)


def test_a_plan_says_run_where_a_batch_that_was_begun_says_resume() -> None:
    row = a_row(Outcome.PENDING)

    assert "batch-offboard run B" in advice(row, "B", is_plan=True)
    assert "batch-offboard resume B" in advice(row, "B")
    assert "batch-offboard run" in str(record(row, replace(HEAD, state="planned"))[-1])
    tally = Tally(replace(HEAD, state="planned"))
    tally.add(row)
    assert "batch-offboard run" in tally.summary().reasons[0].advice


@given(
    st.lists(
        st.none()
        | st.tuples(st.sampled_from(["", "a", "b"]), st.sets(st.sampled_from("xyz")), st.none() | st.floats(0, 2e9))
    )
)
def test_every_device_of_a_plan_is_counted_once_in_each_table(
    devices: list[tuple[str, set[str], float | None] | None],
) -> None:
    tally = Tally(replace(HEAD, state="planned"))
    for each in devices:
        facts = DeviceFacts(each[0], each[0], tuple(sorted(each[1])), each[2], ()) if each else None
        tally.add(replace(a_row(Outcome.PENDING), facts=facts))
    tally.add(a_row(Outcome.SKIPPED, "not_found"))
    planned = tally.summary().planned

    known = [each for each in devices if each]
    assert planned is not None
    assert (planned.devices, planned.known, planned.recent) == (len(devices), len(known), 0)
    for name in ("Last seen", "Platform", "Device group"):
        assert sum(planned.tables.get(name, {}).values()) == len(known)
    assert sum(planned.tables.get("Tag", {}).values()) == sum(max(1, len(each[1])) for each in known)


def test_a_table_of_a_plan_stays_short_however_many_entries_there_are() -> None:
    tally = Tally(replace(HEAD, state="planned"))
    for number in range(2000):
        tally.add(replace(a_row(Outcome.PENDING), facts=DeviceFacts("p", f"group {number}", (), None)))
    planned = tally.summary().planned

    assert planned is not None
    groups = planned.tables["Device group"]
    assert (len(groups), sum(groups.values()), list(groups)[-1]) == (13, 2000, "others")


@pytest.mark.parametrize("in_doubt", [0, 1])
def test_nobody_who_has_cancelled_is_told_to_send_the_rest_without_a_condition(in_doubt: int) -> None:
    steps = next_steps("b", "stopped", {Outcome.PENDING: 26, Outcome.IN_DOUBT: in_doubt, Outcome.CANCELLED: 14})
    assert [step.why for step in steps if "resume" in step.command] == [
        "sends the rows that are pending; only if they should be offboarded although others were cancelled"
    ]
