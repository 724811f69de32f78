"""What the tenant's list says about calls whose answer is unknown."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.settling import HORIZON, Doubt, Found, NotAccepted, not_accepted, settle
from batch_offboard.core.tenant import MachineAction, correlation_token

BATCH, OTHER_BATCH = "20261124-0815-kqzt", "20261101-0800-abcd"
ONE, TWO = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0", "b3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
BEGAN = 1_795_509_000.0

DOUBT = Doubt(batch=1, batch_id=BATCH, row=17, device_id=ONE, attempt=2, began=BEGAN, gone_by=HORIZON, resent=False)
OURS = f"CHG0042 {correlation_token(BATCH, 17, 2)}"


def action(action_id: str = "x-1", status: str = "Pending", **changes: Any) -> MachineAction:
    """Another user's action of device ONE, created a second after our call started."""
    made = MachineAction(action_id, status, ONE, "CHG7", "Ann", BEGAN + 1, BEGAN + 1)
    return replace(made, **changes)


def ours(action_id: str = "x-1", status: str = "Pending", *, attempt: int = 2, **changes: Any) -> MachineAction:
    token = correlation_token(BATCH, 17, attempt)
    return action(action_id, status, **{"comment": f"CHG0042 {token}", "requestor": "app", **changes})


def found(*actions: MachineAction, doubt: Doubt = DOUBT) -> tuple[str, bool] | None:
    """The action that settles the doubt and whether it is ours."""
    settled = settle([doubt], actions)
    assert all(each.doubt is doubt for each in settled)
    assert len(settled) <= 1
    return (settled[0].action.id, settled[0].ours) if settled else None


SETTLED = [
    # what the list contains, which action settles the doubt, whether it is ours
    pytest.param([ours()], ("x-1", True), id="ours by its token"),
    *[
        pytest.param([ours(status=status)], ("x-1", True), id=f"ours is {status or 'without a status'}")
        for status in ("InProgress", "Succeeded", "Failed", "TimeOut", "Cancelled", "Dreaming", "")
    ],
    pytest.param([ours(machine_id="")], ("x-1", True), id="ours names no device"),
    pytest.param([ours(created=None)], ("x-1", True), id="ours has no time"),
    pytest.param([ours(created=BEGAN - 10**6)], ("x-1", True), id="ours by a clock far behind"),
    pytest.param([ours(requestor="")], ("x-1", True), id="ours whoever is called its maker"),
    pytest.param([ours(comment=f"{OURS} seen by Ann")], ("x-1", True), id="ours with more behind the token"),
    pytest.param([ours(attempt=1)], ("x-1", True), id="ours of an earlier attempt, open"),
    pytest.param([ours("x-1", "Succeeded", attempt=1)], ("x-1", True), id="an earlier attempt has succeeded"),
    pytest.param([ours("x-1", "Failed", attempt=1)], None, id="an earlier attempt that failed says nothing"),
    pytest.param([ours("x-1", "TimeOut", attempt=1)], None, id="an earlier attempt that timed out says nothing"),
    pytest.param([ours("x-1", "Cancelled", attempt=1)], None, id="an earlier attempt that was cancelled neither"),
    pytest.param([ours("x-1", "Failed", attempt=3)], ("x-1", True), id="an attempt that an older journal lacks"),
    pytest.param([action("x-1"), ours("x-2")], ("x-2", True), id="the token before the device"),
    pytest.param([action("x-1"), ours("x-2", "Failed")], ("x-2", True), id="the token before an open action"),
    pytest.param([ours("x-1", "Failed"), ours("x-2")], ("x-2", True), id="of two the one that is not in vain"),
    pytest.param(
        [ours("x-2", "Succeeded"), ours("x-1", "Cancelled", created=BEGAN + 9)], ("x-2", True), id="not newer"
    ),
    pytest.param([ours("x-2"), ours("x-1", created=BEGAN + 9)], ("x-1", True), id="else the newest of two"),
    pytest.param([ours("x-2", "Failed", created=None), ours("x-1", "Failed")], ("x-1", True), id="one without a time"),
    pytest.param([ours("x-1"), ours("x-2")], ("x-2", True), id="two of one moment, always the same"),
    pytest.param([action()], ("x-1", False), id="somebody's open action"),
    pytest.param([action(status="InProgress", created=BEGAN - 10**6)], ("x-1", False), id="open for long"),
    pytest.param([action(status="Dreaming", created=None)], ("x-1", False), id="a status nobody knows, no time"),
    pytest.param([action(status="Succeeded")], ("x-1", False), id="somebody's that has succeeded since"),
    pytest.param([action(status="Succeeded", created=BEGAN - 900)], ("x-1", False), id="as far as clocks are apart"),
    pytest.param([action(status="Succeeded", created=BEGAN - 901)], None, id="one that succeeded before our call"),
    pytest.param([action(status="Succeeded", created=None)], None, id="one that succeeded at an unknown time"),
    *[
        pytest.param([action(status=status)], None, id=f"somebody's that ended as {status} is in vain")
        for status in ("Failed", "TimeOut", "Cancelled")
    ],
    pytest.param([action("x-1"), action("x-2", created=BEGAN + 9)], ("x-2", False), id="the newest of somebody's"),
    pytest.param([action("x-1", "Failed"), action("x-2", "Succeeded")], ("x-2", False), id="not the one in vain"),
    pytest.param([ours(machine_id=TWO)], None, id="our token on another device"),
    pytest.param([action(machine_id=TWO)], None, id="another device's"),
    pytest.param([action(machine_id="")], None, id="somebody's that names no device"),
    pytest.param([action(comment=correlation_token(BATCH, 18, 2))], ("x-1", False), id="the token of another row"),
    pytest.param(
        [action(status="Failed", comment=correlation_token(OTHER_BATCH, 17, 2))], None, id="the token of another batch"
    ),
    pytest.param([ours(comment=f"{OURS} {correlation_token(OTHER_BATCH, 1, 1)}")], ("x-1", False), id="not the last"),
    pytest.param([], None, id="nothing"),
]


@pytest.mark.parametrize(("actions", "expected"), SETTLED)
def test_doubt(actions: list[MachineAction], expected: tuple[str, bool] | None) -> None:
    assert found(*actions) == expected
    assert found(*reversed(actions)) == expected


def test_somebodys_action_that_is_over_stands_for_the_row_only_when_ours_would_be_listed_too() -> None:
    young, theirs = replace(DOUBT, gone_by=3599.0), action(status="Succeeded")
    assert found(theirs, doubt=young) is None
    assert found(theirs, ours("x-2"), doubt=young) == ("x-2", True)
    assert settle([replace(DOUBT, gone_by=600.0)], [theirs], horizon=600.0) != []
    assert settle([replace(DOUBT, gone_by=599.0)], [theirs], horizon=600.0) == []


def test_each_doubt_is_settled_by_its_own_action() -> None:
    second = replace(DOUBT, row=18, device_id=TWO, attempt=1)
    third = replace(DOUBT, row=19, device_id="c" * 40)
    theirs = action("x-2", machine_id=TWO, comment=correlation_token(BATCH, 18, 1))
    assert settle([DOUBT, second, third], [theirs, ours("x-1")]) == [
        Found(DOUBT, ours("x-1"), ours=True),
        Found(second, theirs, ours=True),
    ]


def test_one_action_of_a_device_settles_the_doubts_of_two_batches() -> None:
    other = replace(DOUBT, batch=2, batch_id=OTHER_BATCH, row=3)
    assert settle([DOUBT, other], [ours()]) == [Found(DOUBT, ours(), ours=True), Found(other, ours(), ours=False)]


# -- not found --

ELSEWHERE = action("known", "Succeeded", machine_id="d" * 40)
KNOWN = {"known", "gone"}


def sent_again(*doubts: Doubt, actions: tuple[MachineAction, ...] = (ELSEWHERE,), **more: Any) -> list[NotAccepted]:
    return not_accepted(doubts, actions, **{"known": KNOWN, **more})


NOT_FOUND = [
    # the doubt, what else the list contains, whether the call may be repeated
    pytest.param(DOUBT, [], True, id="after the horizon"),
    pytest.param(replace(DOUBT, gone_by=3599.9), [], False, id="before the horizon"),
    pytest.param(replace(DOUBT, gone_by=0.0), [], False, id="just now"),
    pytest.param(replace(DOUBT, gone_by=10**6), [], True, id="long after"),
    pytest.param(replace(DOUBT, resent=True), [], False, id="never twice"),
    pytest.param(DOUBT, [ours()], False, id="found by its token"),
    pytest.param(DOUBT, [ours(status="Failed")], False, id="found, and failed"),
    pytest.param(DOUBT, [action()], False, id="somebody's action is open"),
    pytest.param(DOUBT, [action(status="Succeeded")], False, id="somebody's has succeeded since"),
    pytest.param(DOUBT, [action(status="Failed")], True, id="somebody's was in vain"),
    pytest.param(DOUBT, [ours(status="Failed", attempt=1)], True, id="an earlier attempt was in vain"),
    pytest.param(DOUBT, [action(machine_id=TWO)], True, id="another device's action"),
]


@pytest.mark.parametrize(("doubt", "others", "again"), NOT_FOUND)
def test_not_found(doubt: Doubt, others: list[MachineAction], again: bool) -> None:
    assert sent_again(doubt, actions=(*others, ELSEWHERE)) == ([NotAccepted(doubt)] if again else [])


def test_the_horizon_is_an_hour_unless_another_is_given() -> None:
    assert HORIZON == 3600.0
    assert sent_again(replace(DOUBT, gone_by=599), horizon=600) == []
    assert sent_again(replace(DOUBT, gone_by=600), horizon=600) != []


@pytest.mark.parametrize(
    ("actions", "known"),
    [
        pytest.param((), KNOWN, id="an empty list"),
        pytest.param((action("stranger", machine_id=TWO),), KNOWN, id="a list without any known action"),
        pytest.param((ELSEWHERE,), set(), id="nothing is known yet"),
        pytest.param((), set(), id="nothing at all"),
    ],
)
def test_a_list_that_shows_no_known_action_proves_nothing(actions: tuple[MachineAction, ...], known: set[str]) -> None:
    assert sent_again(DOUBT, actions=actions, known=known) == []


def test_one_known_action_proves_that_the_list_works() -> None:
    assert sent_again(DOUBT, known=["gone", "known"]) == [NotAccepted(DOUBT)]


def test_the_same_row_of_another_batch_is_another_doubt() -> None:
    other = replace(DOUBT, batch=2, batch_id=OTHER_BATCH, device_id=TWO)
    assert sent_again(DOUBT, other, actions=(ours(), ELSEWHERE)) == [NotAccepted(other)]


# -- any list --

DEVICES = [f"{number}" * 40 for number in "abc"]
DOUBTS = st.lists(
    st.builds(
        Doubt,
        batch=st.just(1),
        batch_id=st.just(BATCH),
        row=st.integers(2, 6),
        device_id=st.sampled_from(DEVICES),
        attempt=st.integers(1, 3),
        began=st.just(BEGAN),
        gone_by=st.sampled_from([0.0, HORIZON - 1, HORIZON, HORIZON + 1]),
        resent=st.booleans(),
    ),
    max_size=5,
    unique_by=(lambda doubt: doubt.row, lambda doubt: doubt.device_id),
)
COMMENTS = st.builds(
    "{} [bo {}/{}/{}]".format, st.just("x"), st.sampled_from([BATCH, OTHER_BATCH]), st.integers(2, 6), st.integers(1, 3)
)
ACTIONS = st.lists(
    st.builds(
        MachineAction,
        id=st.sampled_from(["x-1", "x-2", "x-3", "known"]),
        status=st.sampled_from(["Pending", "Succeeded", "Failed", "Dreaming", ""]),
        machine_id=st.sampled_from([*DEVICES, "", "d" * 40]),
        comment=COMMENTS | st.just(""),
        requestor=st.just("Ann"),
        created=st.sampled_from([None, BEGAN - 10**6, BEGAN - 900, BEGAN, BEGAN + 1]),
        updated=st.none(),
    ),
    max_size=6,
)


@given(DOUBTS, ACTIONS)
def test_no_doubt_is_settled_by_an_action_of_another_device_and_none_twice(
    doubts: list[Doubt], actions: list[MachineAction]
) -> None:
    settled = settle(doubts, actions)
    assert len({each.doubt.row for each in settled}) == len(settled)
    for each in settled:
        token = each.action.token
        is_ours = token is not None and (token.batch_id, token.row) == (BATCH, each.doubt.row)
        assert each.action.machine_id == each.doubt.device_id or (is_ours and each.action.machine_id == "")
        assert each.ours <= is_ours


@given(DOUBTS, ACTIONS, st.sets(st.sampled_from(["x-1", "known", "gone"])))
def test_nothing_is_sent_again_that_is_settled_too_young_or_was_sent_again_before(
    doubts: list[Doubt], actions: list[MachineAction], known: set[str]
) -> None:
    settled = [each.doubt for each in settle(doubts, actions)]
    again = [each.doubt for each in not_accepted(doubts, actions, known=known)]
    assert all(doubt in doubts and doubt not in settled for doubt in again)
    assert all(doubt.gone_by >= HORIZON and not doubt.resent for doubt in again)
    assert not again or known & {each.id for each in actions}


@given(DOUBTS, ACTIONS, st.data())
def test_a_call_that_was_accepted_is_never_made_again_by_a_truthful_list(
    doubts: list[Doubt], others: list[MachineAction], data: st.DataObject
) -> None:
    accepted = [doubt for doubt in doubts if data.draw(st.booleans())]
    listed = [
        MachineAction(
            f"ours-{doubt.row}",
            data.draw(st.sampled_from(["Pending", "Succeeded", "Failed", "TimeOut", "Cancelled"])),
            data.draw(st.sampled_from([doubt.device_id, ""])),
            f"CHG0042 {correlation_token(BATCH, doubt.row, doubt.attempt)}",
            "app",
            BEGAN + data.draw(st.floats(-900, 7200)),
            None,
        )
        for doubt in accepted
    ]
    everything = data.draw(st.permutations([*others, *listed]))
    again = [each.doubt for each in not_accepted(doubts, everything, known={each.id for each in everything})]
    assert not [doubt for doubt in accepted if doubt in again]
    assert {each.doubt.row for each in settle(doubts, everything)} >= {doubt.row for doubt in accepted}
