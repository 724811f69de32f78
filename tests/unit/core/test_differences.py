"""The closing look: where the tenant's list and the journal disagree about a batch."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.settling import Difference, DifferenceKind, Expected, differences
from batch_offboard.core.tenant import MachineAction, correlation_token

BATCH, OTHER_BATCH = "20261124-0815-kqzt", "20261101-0800-abcd"
ONE, TWO = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0", "b3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
NOW = 1_795_509_000.0
ACCEPTED = Expected(17, ONE, "x-1", NOW - 601)

SECOND, UNKNOWN = DifferenceKind.SECOND_ACTION, DifferenceKind.UNKNOWN_ACTION
OTHER, MISSING = DifferenceKind.OTHER_ACTION, DifferenceKind.MISSING


def action(action_id: str = "x-1", status: str = "Pending", *, row: int = 17, attempt: int = 1) -> MachineAction:
    comment = f"CHG0042 {correlation_token(BATCH, row, attempt)}"
    return MachineAction(action_id, status, ONE, comment, "app", NOW - 600, NOW - 600)


def foreign(action_id: str, **changes: Any) -> MachineAction:
    return replace(action(action_id), comment="CHG7", **changes)


def told(expected: Expected | None, *actions: MachineAction) -> list[tuple[DifferenceKind, tuple[str, ...]]]:
    by_row = {expected.row: expected} if expected else {}
    found = differences(BATCH, by_row, actions, NOW)
    assert all((each.row, each.device_id) == (17, ONE) for each in found)
    return [(each.kind, each.action_ids) for each in found]


FOREIGN = Expected(17, ONE, "x-7", None)  # another user's action offboards the row's device
CALLED = Expected(17, ONE, "", None)  # called, and not accepted according to the journal
YOUNG = replace(ACCEPTED, accepted_at=NOW - 600)

LOOKS = [
    # what the journal has for row 17, what the tenant lists, the differences
    pytest.param(ACCEPTED, [action()], [], id="they agree"),
    pytest.param(ACCEPTED, [action(status="Failed")], [], id="they agree on one that failed"),
    pytest.param(ACCEPTED, [replace(action(), comment="")], [], id="the tenant has lost the comment"),
    pytest.param(ACCEPTED, [action(), foreign("x-7")], [], id="somebody has one, too"),
    pytest.param(ACCEPTED, [action(), action()], [], id="the same action twice"),
    pytest.param(ACCEPTED, [action("x-0", "Failed"), action()], [], id="one before was in vain"),
    pytest.param(ACCEPTED, [], [(MISSING, ("x-1",))], id="it is not listed"),
    pytest.param(YOUNG, [], [], id="it is not listed yet"),
    pytest.param(replace(ACCEPTED, accepted_at=None), [], [], id="not ours, so not missed"),
    pytest.param(CALLED, [], [], id="nothing and nothing"),
    pytest.param(replace(CALLED, accepted_at=NOW - 9999), [], [], id="accepted, by an action nobody knows"),
    pytest.param(None, [], [], id="never called"),
    pytest.param(None, [foreign("x-7")], [], id="somebody's alone"),
    pytest.param(None, [action()], [(UNKNOWN, ("x-1",))], id="never called, and the tenant has one of ours"),
    pytest.param(CALLED, [action()], [(UNKNOWN, ("x-1",))], id="not accepted, and the tenant has one of ours"),
    pytest.param(CALLED, [action(status="Failed")], [(UNKNOWN, ("x-1",))], id="and one that failed"),
    pytest.param(
        CALLED, [action("x-2", "Failed"), action("x-1", "Failed")], [(UNKNOWN, ("x-1", "x-2"))], id="two that failed"
    ),
    pytest.param(FOREIGN, [action()], [(OTHER, ("x-7", "x-1"))], id="the journal names somebody's"),
    pytest.param(YOUNG, [action("x-2")], [(OTHER, ("x-1", "x-2"))], id="the journal names another of ours"),
    pytest.param(
        ACCEPTED, [action("x-2")], [(MISSING, ("x-1",)), (OTHER, ("x-1", "x-2"))], id="which is not listed either"
    ),
    pytest.param(
        ACCEPTED,
        [action(status="Failed"), action("x-2")],
        [(OTHER, ("x-1", "x-2"))],
        id="the journal names the dead one",
    ),
    pytest.param(ACCEPTED, [action(), action("x-2")], [(SECOND, ("x-1", "x-2"))], id="two of ours"),
    pytest.param(ACCEPTED, [action("x-2"), action()], [(SECOND, ("x-1", "x-2"))], id="two of ours in order"),
    pytest.param(
        ACCEPTED, [action(), action("x-2", "Succeeded", attempt=2)], [(SECOND, ("x-1", "x-2"))], id="of two attempts"
    ),
    pytest.param(None, [action("x-2"), action()], [(SECOND, ("x-1", "x-2"))], id="two of ours and never called"),
    pytest.param(
        ACCEPTED,
        [action(), action("x-2"), action("x-3", "Failed")],
        [(SECOND, ("x-1", "x-2", "x-3"))],
        id="all that there are",
    ),
]


@pytest.mark.parametrize(("expected", "actions", "found"), LOOKS)
def test_look(
    expected: Expected | None, actions: list[MachineAction], found: list[tuple[DifferenceKind, tuple[str, ...]]]
) -> None:
    assert told(expected, *actions) == found


def test_another_batchs_action_is_none_of_this_ones() -> None:
    theirs = replace(action(), comment=correlation_token(OTHER_BATCH, 17, 1))
    assert told(None, theirs) == []
    assert told(ACCEPTED, theirs) == []
    assert told(CALLED, theirs) == []


def test_a_list_that_is_not_whole_misses_nothing() -> None:
    assert differences(BATCH, {17: ACCEPTED}, [], NOW, whole=False) == []


def test_the_device_is_the_one_that_was_called_whatever_the_action_names() -> None:
    assert told(CALLED, replace(action(), machine_id="")) == [(UNKNOWN, ("x-1",))]


def test_the_differences_come_in_the_order_of_the_rows() -> None:
    expected = {3: Expected(3, TWO, "x-3", NOW - 9999), 17: ACCEPTED}
    found = differences(BATCH, expected, [action("x-9", row=21), action("x-8", row=9)], NOW)
    assert [(each.row, each.kind) for each in found] == [(3, MISSING), (9, UNKNOWN), (17, MISSING), (21, UNKNOWN)]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (SECOND, f"Row 17 ({ONE}) has more than one machine action in the tenant: x-1, x-2."),
        (UNKNOWN, f"The tenant has machine action x-1, x-2 for row 17 ({ONE}), unknown here."),
        (OTHER, f"Tenant and journal name different actions for row 17 ({ONE}): x-1, x-2."),
        (MISSING, f"The tenant does not list machine action x-1, x-2 of row 17 ({ONE})."),
    ],
)
def test_sentence(kind: DifferenceKind, sentence: str) -> None:
    assert Difference(kind, 17, ONE, ("x-1", "x-2")).sentence == sentence


def test_differences_go_by_the_words_that_a_batch_keeps() -> None:
    assert [*DifferenceKind] == ["second_action", "unknown_action", "other_action", "missing"]


IDS = [f"x-{number}" for number in range(5)]
EXPECTED = st.dictionaries(
    st.integers(2, 4),
    st.tuples(st.sampled_from(["", *IDS]), st.sampled_from([None, NOW, NOW - 9999])),
).map(lambda rows: {row: Expected(row, ONE, action_id, at) for row, (action_id, at) in rows.items()})
LISTED = st.lists(
    st.builds(action, st.sampled_from(IDS), st.sampled_from(["Pending", "Failed"]), row=st.integers(2, 4)),
    max_size=6,
    unique_by=lambda each: each.id,
)


@given(EXPECTED, LISTED)
def test_no_live_action_of_ours_goes_unsaid_unless_the_journal_names_it(
    expected: dict[int, Expected], listed: list[MachineAction]
) -> None:
    found = differences(BATCH, expected, listed, NOW)
    named = {action_id for each in found for action_id in each.action_ids}
    for each in listed:
        token = each.token
        assert token is not None
        in_journal = token.row in expected and expected[token.row].action_id == each.id
        assert in_journal or each.is_unsuccessful or each.id in named


@given(EXPECTED, LISTED)
def test_a_journal_and_a_list_that_agree_differ_in_nothing(
    expected: dict[int, Expected], listed: list[MachineAction]
) -> None:
    by_row = {each.token.row: each for each in listed if each.token}
    agreed = {row: Expected(row, ONE, each.id, NOW - 9999) for row, each in by_row.items()}
    assert differences(BATCH, agreed, by_row.values(), NOW) == []
