"""Plans that were never run do not pile up: they are put away, forgotten on request, and at last by themselves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from batch_offboard.base.errors import GuardError, UsageError
from batch_offboard.commands import auditing, proposing, run
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.plans import Reading
from batch_offboard.commands.views import PlanView
from batch_offboard.core.audit import Kind
from batch_offboard.core.batches import BatchState
from batch_offboard.journal.audited import records
from batch_offboard.journal.reading import Wanted, count_put_away, list_batches
from tests import commands
from tests.virtual import VirtualOffice

MakeOffice = Callable[..., VirtualOffice]
DAY = 86_400.0


def planned(office: VirtualOffice, number: int, name: str | None = None) -> str:
    with office.desk() as desk:
        return office.world.run(
            proposing.plan(desk, office.sheet([number], name or f"{number}.csv"), Reading())
        ).batch.batch_id


def listed(office: VirtualOffice, *states: BatchState, tenant: str = "", limit: int | None = None) -> list[str]:
    with office.desk() as desk:
        now = None if BatchState.PLANNED in states else desk.clock.now().wall
        return [each.batch_id for each in list_batches(desk.journal, Wanted(frozenset(states), tenant, limit), now)]


def put_away(office: VirtualOffice) -> int:
    with office.desk() as desk:
        return count_put_away(desk.journal, Wanted(), desk.clock.now().wall)


@contextmanager
def counted_intact(desk: Desk) -> Iterator[None]:
    yield
    assert auditing.verify(desk, []).finding.intact


def test_refused_and_repeated_runs_of_a_sheet_leave_one_plan_in_the_list(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 2})
    sheet = office.sheet(range(5))
    for _ in range(4):
        with office.desk() as desk, pytest.raises(GuardError):
            office.world.run(commands.run_sheet(desk, sheet, Reading(), (), office.ears.talk))
    assert len(listed(office)) == 1
    assert put_away(office) == 3
    assert len(listed(office, BatchState.PLANNED)) == 4
    with office.desk(max_devices=5) as desk:
        done = office.world.run(commands.run_sheet(desk, sheet, Reading(), (), office.ears.talk)).batch.batch_id
    assert listed(office) == [done]
    assert put_away(office) == 4


def test_a_plan_is_put_away_after_its_day_and_can_still_be_run(make_office: MakeOffice) -> None:
    office = make_office()
    plan = planned(office, 1)
    office.world.until(office.world.now().wall + DAY - 60)
    assert listed(office) == [plan]
    office.world.until(office.world.now().wall + 120)
    assert listed(office) == []
    assert listed(office, BatchState.PLANNED) == [plan]
    with office.desk() as desk:
        again = office.world.run(commands.run_batch(desk, plan, (), office.ears.talk)).batch
    assert again.batch_id != plan  # planned again, since it was stale
    assert office.called() == [1]


def test_what_was_begun_is_never_put_away(make_office: MakeOffice) -> None:
    office = make_office()
    with office.desk() as desk:
        done = office.world.run(
            commands.run_sheet(desk, office.sheet([1]), Reading(), (), office.ears.talk)
        ).batch.batch_id
    office.world.until(office.world.now().wall + 33 * DAY)
    planned(office, 2)
    assert done in listed(office)


def test_the_list_is_of_these_states_and_tenants_and_so_many(make_office: MakeOffice) -> None:
    office = make_office()
    first = [planned(office, number) for number in range(3)]
    office.configure(client_id="33333333-3333-4333-8333-333333333333")
    other = planned(office, 3)
    assert listed(office) == [other, *first[::-1]]
    assert listed(office, limit=2) == [other, first[2]]
    assert listed(office, tenant="33333333") == [other]
    assert listed(office, BatchState.FINISHED) == []
    assert listed(office, tenant="%") == []


def test_a_plan_is_forgotten_on_the_record_and_what_was_begun_never(make_office: MakeOffice) -> None:
    office = make_office()
    plan = planned(office, 1)
    with office.desk() as desk:
        done = office.world.run(
            commands.run_sheet(desk, office.sheet([2]), Reading(), (), office.ears.talk)
        ).batch.batch_id
    with office.desk() as desk, counted_intact(desk):
        run.forget(desk, plan)
        with pytest.raises(UsageError, match="There is no batch"):
            desk.batch(plan)
        with pytest.raises(UsageError, match="was started, so it is kept"):
            run.forget(desk, done)
        kinds = [each.kind for each in records(desk.journal)]
        assert kinds.count(Kind.FORGOTTEN) == 1
        assert auditing.batch_named(desk, plan) == plan
        with pytest.raises(UsageError, match="There is no batch"):
            auditing.batch_named(desk, "nothing")
    assert listed(office) == [done]


def test_a_plan_that_is_forgotten_while_its_number_is_typed_sends_nothing(make_office: MakeOffice) -> None:
    office = make_office()
    plan = planned(office, 1)

    def forget(_view: PlanView) -> None:
        with office.desk() as other:
            run.forget(other, plan)

    with office.desk() as desk, pytest.raises(UsageError, match="was forgotten meanwhile; nothing was sent"):
        office.world.run(commands.run_batch(desk, plan, (), office.ears.talk, ask=forget))
    assert office.called() == []


def test_a_plan_that_nobody_has_run_for_a_month_is_forgotten_with_the_next_plan(make_office: MakeOffice) -> None:
    office = make_office()
    old = planned(office, 1)
    office.world.until(office.world.now().wall + 29 * DAY)
    young = planned(office, 2)
    assert set(listed(office, BatchState.PLANNED)) == {old, young}
    office.world.until(office.world.now().wall + 2 * DAY)
    newest = planned(office, 3)
    assert listed(office, BatchState.PLANNED) == [newest, young]
