"""Sheets of an inbox whose plans other people have to approve: they wait in a folder of their own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.commands import approving, proposing, run
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.plans import Reading
from batch_offboard.core.actor import Actor
from batch_offboard.core.consent import Consent
from batch_offboard.unattended.nightly.telling import notice_of_night
from batch_offboard.unattended.nightly.views import Fate

if TYPE_CHECKING:
    from batch_offboard.unattended.nightly.views import SheetView
    from tests.integration.unattended.nightly.conftest import MakeOffice, NightOffice

BOB = Actor("bob", "pc-9", "cli")
HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture
def office(make_office: MakeOffice) -> NightOffice:
    """An evening on which a sheet was put into the inbox, and every plan needs an approval."""
    office = make_office(guards={"approvals": 1})
    office.settled((range(3), "leavers.csv"))
    return office


def night(office: NightOffice) -> list[SheetView]:
    return list(office.night().sheets)


def desk_of_bob(office: NightOffice) -> Desk:
    with office.desk() as desk:
        return Desk(replace(desk.options, actor=BOB), clock=office.world.clock)


def approve(office: NightOffice, batch: str) -> None:
    with desk_of_bob(office) as desk:
        office.world.run(approving.approve(desk, approving.to_approve(desk, batch), Consent(BOB, "typed")))


def deny(office: NightOffice, batch: str) -> None:
    with desk_of_bob(office) as desk:
        office.world.run(approving.deny(desk, batch, "row 3 is in use", Consent(BOB, "typed")))


def deny_beside(office: NightOffice, batch: str) -> None:
    """Likewise, while the loop runs something else; a denial waits for nothing."""
    with desk_of_bob(office) as desk, suppress(StopIteration):
        approving.deny(desk, batch, "row 3 is in use", Consent(BOB, "typed")).send(None)


def test_a_sheet_that_needs_an_approval_waits_and_the_notice_names_what_to_type(office: NightOffice) -> None:
    view = office.night()
    (sheet,) = view.sheets
    assert (sheet.fate, view.exit_code) == (Fate.WAITING, ExitCode.REFUSED)
    assert office.lying("waiting") == ["leavers.csv", "leavers.csv.why.txt"]
    assert office.lying("working") == office.lying() == []
    assert "waits for 1 approval by somebody other than" in office.why("waiting/*.why.txt")
    notice = notice_of_night(view)
    assert notice.next_command == f"batch-offboard approve {sheet.batch_id}"
    assert "then the next nightly run sends it" in notice.headline
    assert office.called() == []


def test_a_sheet_that_still_waits_is_told_once(office: NightOffice) -> None:
    night(office)
    office.wait(HOUR)
    view = office.night()
    assert (list(view.sheets), view.is_quiet, view.exit_code) == ([], True, ExitCode.OK)
    assert any("leavers.csv still waits: Batch " in words for words in office.ears.said_so_far)
    assert office.called() == []


def test_an_approved_sheet_goes_in_the_next_night(office: NightOffice) -> None:
    (sheet,) = night(office)
    office.wait(DAY - 10 * HOUR)
    approve(office, sheet.batch_id)
    office.wait(10 * HOUR)
    (sent,) = night(office)
    assert (sent.fate, sent.batch_id) == (Fate.DONE, sheet.batch_id)
    assert office.called() == [0, 1, 2]
    assert office.lying("waiting") == []
    assert office.lying("done") == ["BATCH-leavers.csv", "BATCH.csv", "BATCH.xlsx"]


def test_a_denied_sheet_lies_in_failed_with_the_reason(office: NightOffice) -> None:
    (sheet,) = night(office)
    deny(office, sheet.batch_id)
    (denied,) = night(office)
    assert (denied.fate, denied.exit_code) == (Fate.DENIED, ExitCode.REFUSED)
    assert office.lying("failed") == ["BATCH-leavers.csv", "BATCH-leavers.csv.why.txt", "BATCH.csv", "BATCH.xlsx"]
    assert "bob@pc-9 denied batch " in office.why("failed/*.why.txt")
    assert "row 3 is in use" in office.why("failed/*.why.txt")
    assert office.lying("waiting") == []
    assert office.called() == []


def test_a_sheet_that_nobody_approved_in_time_is_planned_and_told_again(office: NightOffice) -> None:
    (first,) = night(office)
    office.wait(DAY + 60)
    (second,) = night(office)
    assert (second.fate, second.name) == (Fate.WAITING, "leavers.csv")
    assert second.batch_id != first.batch_id
    assert office.lying("waiting") == ["leavers.csv", "leavers.csv.why.txt"]
    assert office.called() == []


def test_a_sheet_that_changes_while_it_waits_is_planned_again_and_its_approval_is_void(office: NightOffice) -> None:
    (first,) = night(office)
    approve(office, first.batch_id)
    office.write(office.inbox / "waiting" / "leavers.csv", office.text(range(4)))
    (second,) = night(office)
    assert second.fate is Fate.WAITING
    assert second.batch_id != first.batch_id
    assert office.called() == []


def test_a_sheet_with_nothing_to_send_does_not_wait(make_office: MakeOffice) -> None:
    office = make_office(guards={"approvals": 1})
    office.settled((range(90, 92), "gone.csv"))
    assert office.night().sheets[0].fate is Fate.DONE


def test_a_denial_that_comes_during_the_look_up_is_heard_before_the_first_call(make_office: MakeOffice) -> None:
    office = make_office(guards={"approvals": 1}, tenant={"latency": (20.0, 20.0)})
    office.settled((range(3), "leavers.csv"))
    (sheet,) = night(office)
    approve(office, sheet.batch_id)
    office.world.at(office.world.now().wall + 5, lambda: deny_beside(office, sheet.batch_id))
    view = office.night()
    assert "bob@pc-9 denied batch " in (view.halt.reason if view.halt else "")
    assert view.exit_code is ExitCode.REFUSED
    (batch,) = office.batches()
    assert batch.started_at is not None  # it had begun, and was approved then
    assert office.called() == []


def test_a_waiting_sheet_that_a_person_has_run_lies_in_done(office: NightOffice) -> None:
    (sheet,) = night(office)
    approve(office, sheet.batch_id)
    with office.desk() as desk:
        proposed = proposing.propose(desk, None, sheet.batch_id, Reading(), proposing.EVERYTHING, office.ears.said)
        proposal = office.world.run(proposed)
        consent = Consent(desk.options.actor, "typed")
        office.world.run(run.send(desk, proposal, consent, (), office.ears.talk))
    (done,) = night(office)
    assert (done.fate, done.batch_id) == (Fate.DONE, sheet.batch_id)
    assert office.lying("waiting") == []
    assert office.called() == [0, 1, 2]
