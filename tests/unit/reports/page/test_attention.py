"""The rows that somebody has to look at."""

from dataclasses import replace

import pytest

from batch_offboard.core.plan import Reason
from batch_offboard.reports.page.attention import GROUPS, ROWS_LISTED, ROWS_PRINTED, Attention, Group, trouble_of
from batch_offboard.reports.rows import Outcome, ReportRow

BATCH = "20261124-081531-7f3a"


def groups_of(rows: list[ReportRow]) -> list[Group]:
    attention = Attention(BATCH)
    assert list(attention.watching(rows)) == rows
    return attention.groups()


def test_failures_come_first_then_doubts_then_lost_actions_then_rows_to_repair(
    row: ReportRow, failed: ReportRow
) -> None:
    rows = [
        replace(row, outcome=Outcome.SKIPPED, error_code="invalid_id"),
        replace(row, action_status="TimeOut"),
        replace(row, outcome=Outcome.IN_DOUBT, error_code="NoAnswer"),
        replace(failed, error_code="Forbidden"),
        failed,
        failed,
    ]

    assert [(group.outcome.value, group.trouble, group.count) for group in groups_of(rows)] == [
        ("failed", "NotFound", 2),
        ("failed", "Forbidden", 1),
        ("in_doubt", "NoAnswer", 1),
        ("submitted", "TimeOut", 1),
        ("skipped", "invalid_id", 1),
    ]


@pytest.mark.parametrize("outcome", [Outcome.PENDING, Outcome.CANCELLED, Outcome.SUBMITTED])
def test_a_row_that_needs_nobody_is_in_no_group(row: ReportRow, outcome: Outcome) -> None:
    assert trouble_of(replace(row, outcome=outcome)) is None


@pytest.mark.parametrize("reason", Reason)
def test_a_skipped_row_needs_somebody_unless_its_reason_is_well(row: ReportRow, reason: Reason) -> None:
    trouble = trouble_of(replace(row, outcome=Outcome.SKIPPED, error_code=reason.value))

    assert trouble == (None if reason.is_well else reason.value)


def test_the_advice_speaks_of_rows_in_general(row: ReportRow) -> None:
    (group,) = groups_of([replace(row, outcome=Outcome.IN_DOUBT, error_code="NoAnswer")])

    assert f"`batch-offboard resolve {BATCH} ROW accepted`" in group.advice


def test_only_the_first_rows_of_a_group_are_on_the_screen_and_all_on_paper(failed: ReportRow) -> None:
    (group,) = groups_of([replace(failed, row=number) for number in range(ROWS_LISTED + 3)])

    assert [listed.row for listed in group.on_screen] == list(range(ROWS_LISTED))
    assert [listed.row for listed in group.on_paper] == list(range(ROWS_LISTED, ROWS_LISTED + 3))
    assert (group.not_on_screen, group.not_on_paper) == (3, 0)


def test_paper_has_many_more_rows_of_a_group_and_an_end(failed: ReportRow) -> None:
    (group,) = groups_of([replace(failed, row=number) for number in range(ROWS_PRINTED + 5)])

    assert len(group.on_screen) + len(group.on_paper) == ROWS_PRINTED
    assert (group.count, group.not_on_paper) == (ROWS_PRINTED + 5, 5)


def test_of_very_many_codes_the_last_share_a_group(failed: ReportRow) -> None:
    groups = groups_of([replace(failed, error_code=f"code {number:03}") for number in range(GROUPS + 5)])

    assert len(groups) == GROUPS + 1
    assert (groups[0].trouble, groups[0].count) == ("other reasons", 5)
    assert groups[0].advice == "The table of all rows says what to do about each."
