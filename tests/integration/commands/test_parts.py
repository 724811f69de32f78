"""A run that sends a part of its plan: exactly that part, on the record, and the rest only when a person says so."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from batch_offboard.base.errors import ExitCode, GuardError, UsageError
from batch_offboard.cli.screens.texts import run_text
from batch_offboard.commands import proposing, run
from batch_offboard.commands.plans import Reading
from batch_offboard.commands.views import RunView
from batch_offboard.core.audit import Kind
from batch_offboard.core.facts import Caution, CautionCount
from batch_offboard.core.jobs import JobState
from batch_offboard.core.selection import Choice
from batch_offboard.journal.audited import records
from batch_offboard.unattended.nightly.order import nightly
from tests import commands
from tests.virtual import VirtualOffice, device

MakeOffice = Callable[..., VirtualOffice]


def run_part(office: VirtualOffice, choice: Choice, devices: int = 12, **options: Any) -> RunView:
    with office.desk(**options) as desk:
        return office.world.run(
            commands.run_sheet(desk, office.sheet(range(devices)), Reading(), (), office.ears.talk, choice)
        )


def resumed(office: VirtualOffice, **options: Any) -> RunView:
    with office.desk(**options) as desk:
        return office.world.run(run.resume(desk, None, (), office.ears.talk))


def ran(office: VirtualOffice, **options: Any) -> RunView:
    """The newest batch run without a choice: everything that is pending."""
    with office.desk(**options) as desk:
        return office.world.run(commands.run_batch(desk, "latest", (), office.ears.talk))


def recorded(office: VirtualOffice, kind: Kind) -> list[dict[str, Any]]:
    with office.desk() as desk:
        return [json.loads(each.content) for each in records(desk.journal) if each.kind == kind]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (Choice(limit=3), [0, 1, 2]),
        (Choice(rows=((4, 6), (9, 9))), [2, 3, 4, 7]),
        (Choice(rows=((4, 6), (9, 9)), limit=2), [2, 3]),
        (Choice(limit=500), list(range(12))),
    ],
    ids=lambda value: value.words if isinstance(value, Choice) else "",
)
def test_exactly_the_chosen_rows_are_sent_and_the_rest_stays_pending(
    make_office: MakeOffice, choice: Choice, sent: list[int]
) -> None:
    office = make_office()
    view = run_part(office, choice)
    assert sorted(office.called()) == sent
    assert view.counts.of(JobState.SUBMITTED) == len(sent)
    assert view.counts.of(JobState.PENDING) == view.left_out == 12 - len(sent)
    assert view.exit_code is (ExitCode.UNFINISHED if view.left_out else ExitCode.OK)
    assert office.ears.asked[-1].to_send == len(sent)
    assert [each.get("selection") for each in recorded(office, Kind.STARTED)] == [choice.words]


def test_the_rest_is_sent_after_the_guards_and_a_person_were_asked_again(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 5, "max_devices_per_day": 100})
    run_part(office, Choice(limit=3))
    with pytest.raises(GuardError, match=r"would offboard 9 devices, but guards.max_devices allows 5"):
        ran(office)
    assert sorted(office.called()) == [0, 1, 2]
    view = ran(office, max_devices=9)
    assert (view.exit_code, len(office.called())) == (ExitCode.OK, 12)
    assert [asked.to_send for asked in office.ears.asked] == [3, 9]


@pytest.mark.parametrize("choice", [Choice(limit=8), Choice(rows=((2, 4), (6, 10))), Choice(((3, 13),), 8)], ids=str)
def test_resume_finishes_the_chosen_part_alone_and_then_says_how_to_send_the_rest(
    make_office: MakeOffice, choice: Choice
) -> None:
    office = make_office()
    part = sorted(choice.of(range(2, 14)))
    office.world.after_calls(2, lambda: (office.folder / "stop").write_text("", encoding="utf-8"))
    interrupted = run_part(office, choice, stop_file=office.folder / "stop")
    (office.folder / "stop").unlink()
    assert not interrupted.batch.is_part_sent
    view = resumed(office)
    assert [number + 2 for number in sorted(office.called())] == part
    assert len(office.ears.asked) == 1  # the number was typed for exactly these rows
    assert "Next: batch-offboard run " in run_text(view)
    with pytest.raises(UsageError, match=r"has been sent\. To send the other 4 rows, type `batch-offboard run "):
        resumed(office)
    assert len(office.called()) == 8


def test_what_a_batch_sent_in_parts_counts_for_the_day(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 5})
    view = run_part(office, Choice(limit=3))
    with office.desk() as desk, pytest.raises(GuardError, match="With the 3 devices of the last 24 hours"):
        office.world.run(commands.run_batch(desk, view.batch.batch_id, (), office.ears.talk, Choice(limit=3)))
    assert len(office.called()) == 3


def test_an_unattended_run_leaves_the_rest_alone_even_if_the_part_was_interrupted(make_office: MakeOffice) -> None:
    office = make_office()
    office.world.after_calls(2, lambda: (office.folder / "stop").write_text("", encoding="utf-8"))
    run_part(office, Choice(limit=8), stop_file=office.folder / "stop")
    assert 2 <= len(office.called()) < 8
    (office.folder / "stop").unlink()
    before = len(office.called())
    with office.desk(unattended=True) as desk:
        office.world.run(nightly(desk, office.inbox, office.ears.talk))
    assert len(office.called()) == before
    assert any("waits for a person" in said and "--limit 8" in said for said in office.ears.said_so_far)


def test_what_is_known_of_the_devices_is_told_of_those_that_are_sent_alone(make_office: MakeOffice) -> None:
    office = make_office()
    ended = run_part(office, Choice(limit=3))
    ran(office)
    with office.desk() as desk:
        finished = proposing.view_plan(desk, desk.batch(ended.batch.batch_id))
        with desk.journal.writing() as connection:
            connection.exec_driver_sql("UPDATE jobs SET state = 'failed', action_id = '' WHERE row IN (5, 7)")
        office.world.run(commands.retry(desk, ended.batch.batch_id, (), office.ears.talk))
    told = [asked.cautions.get(Caution.SEEN_RECENTLY) for asked in [*office.ears.asked, finished]]
    assert told == [
        CautionCount(3, (2, 3, 4)), CautionCount(9, (5, 6, 7)), CautionCount(2, (5, 7)), None
    ]  # fmt: skip
    assert [asked.to_send for asked in office.ears.asked] == [3, 9, 2]


def test_rows_that_the_batch_does_not_have_refuse_the_run(make_office: MakeOffice) -> None:
    office = make_office()
    with pytest.raises(UsageError, match=r"has no rows 40-50, 99 \(--rows\); nothing was sent"):
        run_part(office, Choice(rows=((2, 3), (40, 50), (99, 99))))
    assert office.called() == []


def test_a_choice_of_nothing_that_is_to_be_sent_is_refused(make_office: MakeOffice) -> None:
    office = make_office()
    view = run_part(office, Choice(limit=3))
    with office.desk() as desk, pytest.raises(UsageError, match="None of the rows that --rows 2-4 names is pending"):
        office.world.run(commands.run_batch(desk, view.batch.batch_id, (), office.ears.talk, Choice(rows=((2, 4),))))
    assert len(office.called()) == 3


def test_retry_sends_the_failed_rows_and_nothing_else_and_says_so_before_and_after(make_office: MakeOffice) -> None:
    office = make_office()
    office.world.set_faults(f"400@1:{device(6)}")
    office.world.after_calls(8, lambda: (office.folder / "stop").write_text("", encoding="utf-8"))
    first = run_part(office, Choice(), 40, stop_file=office.folder / "stop")
    pending = first.counts.of(JobState.PENDING)
    assert (first.counts.of(JobState.FAILED), pending > 0) == (1, True)
    (office.folder / "stop").unlink()
    office.world.set_faults()
    before = len(office.called())
    with office.desk() as desk:
        view = office.world.run(commands.retry(desk, first.batch.batch_id, (), office.ears.talk))
    assert office.called()[before:] == [6]
    assert view.counts.of(JobState.PENDING) == view.left_out == pending
    asked = office.ears.asked[-1]
    assert asked.to_send == 1
    assert f"{pending} rows of the batch stay pending; `resume` sends them." in asked.notes
    assert f"{pending} pending rows were not part of this run" in run_text(view)
    assert f"Next: batch-offboard resume {view.batch.batch_id}" in run_text(view)
    assert resumed(office).exit_code is ExitCode.OK
    assert sorted(office.called()) == sorted([*range(40), 6])
