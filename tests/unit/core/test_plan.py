"""The decision on each row by the sheet and the journal alone, and that every row has one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.facts import Caution, DeviceFacts
from batch_offboard.core.plan import Known, PlannedRow, Planner, Reason
from batch_offboard.core.rows import CellKind, NotText, SourceRow

ONE, TWO = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0", "b3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"


def planned(
    *rows: tuple[str | NotText, str], known: dict[str, Known] | None = None
) -> tuple[list[PlannedRow], Planner]:
    planner = Planner(known or {})
    return [planner.decide(SourceRow(n, device, name, (name,))) for n, (device, name) in enumerate(rows, 2)], planner


def reasons(*rows: tuple[str | NotText, str], known: dict[str, Known] | None = None) -> list[Reason | None]:
    return [row.reason for row in planned(*rows, known=known)[0]]


def test_a_valid_id_is_a_device_to_offboard() -> None:
    rows, _ = planned((f" {ONE.upper()}\u200b", "LT-1"))
    assert (rows[0].device_id, rows[0].reason, rows[0].row) == (ONE, None, 2)


@pytest.mark.fault(119, "One job; the others point to it.")
def test_the_first_row_is_the_job_and_the_others_point_to_it() -> None:
    rows, _ = planned((ONE, "LT-1"), (TWO, ""), (ONE.upper(), "lt-1"), (ONE, ""))
    assert [row.reason for row in rows] == [None, None, Reason.DUPLICATE, Reason.DUPLICATE]
    assert [row.first_row for row in rows] == [None, None, 2, 2]
    assert [row.device_name for row in rows] == ["LT-1", "", "lt-1", ""]
    assert rows[2].detail == "Row 2 has the same device ID and is the one that counts."


def test_a_short_name_and_its_full_name_are_the_same() -> None:
    assert reasons((ONE, "lt-1"), (ONE, "LT-1.contoso.example")) == [None, Reason.DUPLICATE]


def test_one_name_with_two_ids_is_two_devices() -> None:
    assert reasons((ONE, "LT-1"), (TWO, "lt-1")) == [None, None]


def test_one_id_with_two_names_refuses_both_rows() -> None:
    rows, planner = planned((ONE, "LT-1"), (ONE, "LT-2"), (ONE, "LT-1"))
    assert [row.reason for row in rows] == [None, Reason.NAME_MISMATCH, Reason.NAME_MISMATCH]
    assert [(each.row, each.reason) for each in planner.amendments()] == [(2, Reason.NAME_MISMATCH)]


def test_a_name_that_comes_later_is_remembered() -> None:
    rows, planner = planned((ONE, ""), (ONE, "LT-1"), (ONE, "LT-2"))
    assert rows[2].reason is Reason.NAME_MISMATCH
    assert rows[2].detail == "Row 3 gives the same device ID another name (LT-1); correct one of them."
    assert [each.row for each in planner.amendments()] == [2]


def test_both_rows_say_which_other_row_contradicts_them() -> None:
    rows, planner = planned((ONE, "LT-1"), (ONE, "LT-2"))
    assert rows[1].detail == "Row 2 gives the same device ID another name (LT-1); correct one of them."
    assert [each.detail for each in planner.amendments()] == [
        "Row 3 gives the same device ID another name (LT-2); correct one of them."
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("lt-1", "lt-1.a.example", "lt-1.b.example"),
        ("lt-1.a.example", "lt-1", "lt-1.b.example"),
        ("lt-1.a.example", "lt-1.b.example", "lt-1"),
        ("", "lt-1.a.example", "lt-1.b.example"),
        ("lt-1.a.example", "", "lt-1.b.example"),
        ("lt-1", "", "lt-2"),
    ],
)
def test_two_names_are_two_names_whatever_shorter_one_stands_between_them(names: tuple[str, ...]) -> None:
    _, planner = planned(*((ONE, name) for name in names))
    assert [each.row for each in planner.amendments()] == [2]


def test_a_row_is_not_said_to_contradict_itself() -> None:
    rows, _ = planned((ONE, "lt-1"), (ONE, "lt-2"), (ONE, "lt-1.a.example"))
    assert rows[2].detail == "Row 2 gives the same device ID another name (lt-1); correct one of them."


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u200b\t"])
def test_a_name_of_nothing_but_blanks_is_no_name(blank: str) -> None:
    rows, planner = planned((ONE, blank), (ONE, "LT-1"), (ONE, blank), ("", blank))
    assert [row.reason for row in rows] == [None, Reason.DUPLICATE, Reason.DUPLICATE, Reason.INVALID_ID]
    assert "The cell is empty" in rows[3].detail
    assert list(planner.amendments()) == []


def test_a_name_is_kept_without_the_blanks_around_it() -> None:
    assert planned((ONE, " LT-1 "))[0][0].device_name == "LT-1"


def test_only_a_blank_cell_asks_for_the_name() -> None:
    assert "it was not looked up" not in planned(("x", "LT-1"))[0][0].detail
    formula = planned((NotText(CellKind.FORMULA, ""), "LT-1"))[0][0]
    assert (formula.reason, formula.detail) == (
        Reason.INVALID_ID,
        "The cell contains a formula; enter the ID itself as text.",
    )


def test_a_damaged_number_is_refused_and_shown() -> None:
    rows, _ = planned((NotText(CellKind.NUMBER, "1.23457E+39"), "LT-1"))
    assert (rows[0].reason, rows[0].device_id) == (Reason.INVALID_ID, "1.23457E+39")


def test_a_row_with_only_a_name_is_refused_with_the_remedy() -> None:
    rows, _ = planned(("", "LT-1"))
    assert rows[0].reason is Reason.INVALID_ID
    assert rows[0].device_name == "LT-1"
    assert rows[0].detail == (
        "The row has no device ID, and its computer name was not looked up in the tenant; copy the ID from the "
        "device's page in the portal."
    )


BEFORE = {ONE: Known(Reason.ALREADY_OFFBOARDED, "20261101-0800-abcd", 7, "action-1", 1_793_520_000.0, 1_793_606_400.0)}


def test_a_device_that_was_accepted_earlier_needs_attention_where_the_tenant_cannot_be_asked() -> None:
    rows, _ = planned((ONE, ""), (TWO, ""), known=BEFORE)
    assert [row.reason for row in rows] == [Reason.OFFBOARDED_BEFORE, None]
    assert rows[0].detail == (
        "Accepted earlier in batch 20261101-0800-abcd, row 7, machine action action-1. It is not known whether the "
        "device came back; plan again when the tenant can be asked, or add --offboard-again to send it again."
    )


def test_a_device_that_was_accepted_earlier_is_sent_again_on_request_and_says_so() -> None:
    planner = Planner(BEFORE, offboard_again=True)
    rows = [planner.decide(SourceRow(number, each, "", ("",))) for number, each in enumerate([ONE, TWO, ONE], 2)]
    assert [row.reason for row in rows] == [None, None, Reason.DUPLICATE]
    note = "Offboarded on 2026-11-02 (batch 20261101-0800-abcd, row 7), sent again with --offboard-again."
    assert [row.detail for row in rows[:2]] == [note, ""]
    assert [row.facts for row in rows] == [DeviceFacts("", "", (), None, (Caution.SENT_AGAIN,)), None, None]


def test_what_is_in_doubt_elsewhere_is_not_sent_again_on_request() -> None:
    planner = Planner({ONE: Known(Reason.ALREADY_PENDING, "20261101-0800-abcd", 7)}, offboard_again=True)
    assert planner.decide(SourceRow(2, ONE, "", ("",))).reason is Reason.ALREADY_PENDING


def test_a_device_in_doubt_elsewhere_is_left_alone() -> None:
    known = {ONE: Known(Reason.ALREADY_PENDING, "20261101-0800-abcd", 7)}
    assert reasons((ONE, ""), known=known) == [Reason.ALREADY_PENDING]


def test_a_device_in_doubt_elsewhere_names_the_batch_to_resume() -> None:
    known = {ONE: Known(Reason.ALREADY_PENDING, "20261101-0800-abcd", 7)}
    rows, _ = planned((ONE, ""), known=known)
    assert rows[0].detail == "Not settled yet in batch 20261101-0800-abcd, row 7; resume that batch first."


def test_nothing_is_worth_knowing_of_devices_that_were_not_looked_up() -> None:
    rows, _ = planned((ONE, ""))
    assert rows[0].facts is None


def test_reasons_go_by_the_words_of_the_report() -> None:
    assert [*Reason] == [
        "duplicate", "invalid_id", "not_found", "ambiguous_name", "name_mismatch", "unsupported_os", "not_onboarded",
        "merged", "protected", "already_pending", "already_offboarded", "offboarded_before",
    ]  # fmt: skip


def test_only_duplicates_and_devices_offboarded_earlier_need_no_attention() -> None:
    assert {reason for reason in Reason if reason.is_well} == {Reason.DUPLICATE, Reason.ALREADY_OFFBOARDED}


CELLS = st.one_of(
    st.sampled_from([ONE, TWO, ONE.upper(), "", "x", "1" * 40]),
    st.text(max_size=45),
    st.builds(NotText, st.sampled_from(CellKind), st.text(max_size=10)),
)


@given(st.lists(st.tuples(CELLS, st.sampled_from(["", "a", "b"])), max_size=30))
def test_every_row_gets_one_decision_and_no_device_two_jobs(cells: list[tuple[str | NotText, str]]) -> None:
    rows, planner = planned(*cells)
    amended = {each.row for each in planner.amendments()}
    assert [row.row for row in rows] == list(range(2, len(cells) + 2))
    devices = [row.device_id for row in rows if row.reason is None and row.row not in amended]
    assert len(devices) == len(set(devices))
    assert set(devices) <= {ONE, TWO}


@given(
    st.permutations([0, 1, 2, 3]), st.lists(st.sampled_from(["", "lt", "lt.a", "lt.b", "x"]), min_size=4, max_size=4)
)
def test_the_order_of_the_rows_decides_no_device(order: list[int], names: list[str]) -> None:
    def kept(row_names: list[str]) -> bool:
        rows, planner = planned(*((ONE, name) for name in row_names))
        return rows[0].reason is None and not list(planner.amendments())

    assert kept(names) == kept([names[place] for place in order])
