"""What a plan's digest covers, and which approvals of it count."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from batch_offboard.base.errors import ApprovalError
from batch_offboard.core.consent import (
    APPROVAL_LIFE,
    Approval,
    Conditions,
    Demand,
    PlanHead,
    SetAside,
    assess,
    plan_digest,
    require_allowed,
    same_person,
    waiting_text,
)

NOW = 1_795_500_000.0
FEW = settings(max_examples=30)  # each compares many digests
PLAN, OTHER = "a" * 64, "b" * 64

HEADS = st.builds(
    PlanHead,
    st.text(),
    st.text(),
    st.text(),
    st.dictionaries(st.text(max_size=4), st.none() | st.text() | st.booleans(), max_size=3),
    st.text(),
)
SET_ASIDE = st.builds(SetAside, st.none() | st.integers(1, 1000), st.booleans(), st.booleans())
CONDITIONS = st.builds(
    Conditions, st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.booleans()), SET_ASIDE, st.text()
)
ROWS = st.lists(st.tuples(st.integers(2, 99), st.text(), st.text()), max_size=5)
PEOPLE = st.sampled_from(["ann", "bob", "cy", "Bob", "bob (as root)"])
GIVEN = st.lists(
    st.builds(
        Approval,
        person=PEOPLE,
        machine=st.just("pc-7"),
        face=st.just("cli"),
        at=st.just(NOW),
        how=st.just("typed"),
        plan_sha256=st.sampled_from([PLAN, OTHER]),
        expires_at=st.sampled_from([NOW - 1, NOW + 1]),
        granted=st.booleans(),
        reason=st.just("not these"),
    ),
    max_size=6,
)
DEMANDS = st.builds(
    Demand,
    st.integers(0, 3),
    st.just(Conditions()),
    st.lists(PEOPLE, max_size=2).map(tuple),
    st.sampled_from(["run", "resume"]),
)


def approval(person: str, **changed: Any) -> Approval:
    at = changed.pop("at", NOW - 60)
    return Approval(person, "pc-7", "cli", at, "typed", PLAN, at + APPROVAL_LIFE, **changed)


def demand(needed: int = 1, *submitters: str, command: str = "run") -> Demand:
    return Demand(needed, Conditions(), submitters or ("ann",), command)


@FEW
@given(HEADS, CONDITIONS, ROWS)
def test_the_same_plan_has_the_same_digest(head: PlanHead, conditions: Conditions, rows: list[Any]) -> None:
    digest = plan_digest(head, conditions, rows)
    assert digest == plan_digest(replace(head), replace(conditions), iter(rows))
    assert len(digest) == 64


@FEW
@given(st.tuples(HEADS, CONDITIONS, ROWS), st.tuples(HEADS, CONDITIONS, ROWS))
def test_two_plans_that_differ_in_anything_have_different_digests(one: Any, other: Any) -> None:
    assume(one != other)
    assert plan_digest(*one) != plan_digest(*other)


@FEW
@given(HEADS, CONDITIONS, ROWS, st.data())
def test_a_change_of_any_one_part_changes_the_digest(
    head: PlanHead, conditions: Conditions, rows: list[Any], data: st.DataObject
) -> None:
    before = plan_digest(head, conditions, rows)
    for name in ("scope", "api_url", "source_sha256", "comment"):
        assert plan_digest(replace(head, **{name: getattr(head, name) + "x"}), conditions, rows) != before
    assert plan_digest(replace(head, reading={**head.reading, "sheet": "other"}), conditions, rows) != before
    assert plan_digest(head, replace(conditions, protected_sha256="other"), rows) != before
    assert plan_digest(head, replace(conditions, guards={**conditions.guards, "max_devices": "x"}), rows) != before
    other = data.draw(SET_ASIDE.filter(lambda each: each != conditions.set_aside))
    assert plan_digest(head, replace(conditions, set_aside=other), rows) != before
    assert plan_digest(head, conditions, [*rows, (7, "id", "offboard")]) != before
    if rows:
        at = data.draw(st.integers(0, len(rows) - 1))
        row, device, decision = rows[at]
        for changed in ((row + 1, device, decision), (row, device + "x", decision), (row, device, decision + "x")):
            assert plan_digest(head, conditions, [*rows[:at], changed, *rows[at + 1 :]]) != before


@given(GIVEN, DEMANDS)
def test_an_approval_that_is_void_is_never_counted(given_: list[Approval], wanted: Demand) -> None:
    found = assess(given_, wanted, PLAN, NOW)
    for each in found.counted:
        assert each.granted
        assert each.plan_sha256 == PLAN
        assert each.expires_at > NOW or wanted.resumes
        assert not any(same_person(each.person, submitter) for submitter in wanted.submitters)
    assert len(found.counted) + len(found.void) == sum(each.granted for each in given_)


@given(GIVEN, DEMANDS)
def test_nobody_is_counted_twice(given_: list[Approval], wanted: Demand) -> None:
    counted = assess(given_, wanted, PLAN, NOW).counted
    assert not any(same_person(a.person, b.person) for a in counted for b in counted if a is not b)


@given(GIVEN, DEMANDS)
def test_a_run_is_allowed_only_by_enough_other_people_of_whom_none_denied_it(
    given_: list[Approval], wanted: Demand
) -> None:
    found = assess(given_, wanted, PLAN, NOW)
    assert found.allows == (wanted.needed == 0 or (len(found.counted) >= wanted.needed and not found.denied))


@given(GIVEN, DEMANDS)
def test_one_more_denial_never_allows_a_run(given_: list[Approval], wanted: Demand) -> None:
    denied = [*given_, approval("dan", granted=False, reason="no")]
    assert assess(denied, wanted, PLAN, NOW).allows <= assess(given_, wanted, PLAN, NOW).allows


def test_another_person_approves() -> None:
    assert assess([approval("bob")], demand(), PLAN, NOW).allows


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ([approval("ann")], "nobody approves what they submit themselves"),
        ([approval("Ann (as root)")], "nobody approves what they submit themselves"),
        ([approval("bob", at=NOW - APPROVAL_LIFE)], "it has expired"),
        ([replace(approval("bob"), plan_sha256=OTHER)], "the plan, a guard or the protected list has changed since"),
        ([approval("bob"), approval("bob", granted=False, reason="no")], "it was withdrawn"),
    ],
)
def test_a_void_approval_is_named_with_why_it_is_void(given_: list[Approval], why: str) -> None:
    found = assess(given_, demand(), PLAN, NOW)
    assert [words for _, words in found.void] == [why]
    assert not found.allows


def test_the_approval_of_a_run_that_goes_on_does_not_expire() -> None:
    assert assess([approval("bob", at=NOW - 3 * APPROVAL_LIFE)], demand(command="resume"), PLAN, NOW).allows


def test_who_denied_a_plan_may_approve_it_later() -> None:
    words = [approval("bob", granted=False, reason="not these"), approval("bob")]
    assert assess(words, demand(), PLAN, NOW).allows


def test_a_run_that_waits_says_how_many_approvals_are_missing_and_what_who_types() -> None:
    found = assess([approval("bob"), approval("ann")], demand(3, "ann", "svc"), PLAN, NOW)
    assert waiting_text("20261124-0815-kqzt", found) == (
        "Batch 20261124-0815-kqzt waits for 2 approvals by somebody other than ann and svc; this command sent "
        "nothing. The approval of ann@pc-7 is void: nobody approves what they submit themselves. They type "
        "`batch-offboard approve 20261124-0815-kqzt`, then `batch-offboard run 20261124-0815-kqzt` sends it."
    )


def test_a_denied_run_says_who_denied_it_and_why() -> None:
    found = assess([approval("bob", granted=False, reason="Row 7 is in use.")], demand(), PLAN, NOW)
    assert waiting_text("20261124-0815-kqzt", found) == (
        "bob@pc-7 denied batch 20261124-0815-kqzt: Row 7 is in use. This command sent nothing. Correct the sheet, then "
        "plan it again."
    )


def test_a_run_that_is_not_allowed_names_the_batch_to_approve_unless_it_was_denied() -> None:
    require_allowed("b", assess([approval("bob")], demand(), PLAN, NOW))
    with pytest.raises(ApprovalError, match="waits for 1 approval") as waiting:
        require_allowed("b", assess([], demand(), PLAN, NOW))
    with pytest.raises(ApprovalError, match="denied batch b") as denied:
        require_allowed("b", assess([approval("bob", granted=False, reason="no")], demand(), PLAN, NOW))
    assert (waiting.value.waits, denied.value.waits) == ("b", "")


@given(SET_ASIDE, SET_ASIDE)
def test_more_than_was_approved_is_never_set_aside(one: SetAside, other: SetAside) -> None:
    if one.within(other):
        assert one.no_lookup <= other.no_lookup
        assert one.continue_after_failures <= other.continue_after_failures
        assert one.max_devices is None or (other.max_devices is not None and one.max_devices <= other.max_devices)
    assert one.within(one)
    assert SetAside().within(one)


@given(SET_ASIDE)
def test_what_is_set_aside_survives_the_journal(given_: SetAside) -> None:
    assert SetAside.from_json(given_.as_json()) == given_


def test_what_is_set_aside_is_named_as_typed() -> None:
    assert SetAside(40, no_lookup=True, continue_after_failures=True).words == (
        "--max-devices 40 --no-lookup --continue-after-failures"
    )
    assert SetAside().words == ""
