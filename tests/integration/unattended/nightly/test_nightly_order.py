"""What a night does in which order, when it begins nothing, and what ends it."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import BusyError, ConfigError, ExitCode, UsageError
from batch_offboard.commands import proposing, run
from batch_offboard.commands.locking import working_alone
from batch_offboard.commands.plans import Reading
from batch_offboard.config.places import lock_folder
from batch_offboard.journal.locks import inbox_locks, only_process
from batch_offboard.unattended.nightly.views import Fate
from tests import commands
from tests.integration.unattended.nightly.conftest import EVENING, NIGHT_HOURS
from tests.virtual import PowerCutError, device, in_berlin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from batch_offboard.core.batches import Batch
    from tests.integration.unattended.nightly.conftest import MakeOffice, NightOffice

DAY, HOUR = 86_400.0, 3600.0


def interrupted_run(office: NightOffice, devices: Iterable[int], name: str, *, calls: int = 3) -> Batch:
    """A run by hand whose machine goes off after some calls."""
    sheet = office.sheet(devices, name)
    office.world.after_calls(calls, office.power_cut)
    with suppress(PowerCutError), office.desk() as desk:
        office.world.run(commands.run_sheet(desk, sheet, Reading(), (), office.ears.talk))
    office.power_on()
    return office.batches()[-1]


def outcomes(office: NightOffice, batch: Batch) -> list[str]:
    return [row["outcome"] for row in office.rows(batch)]


# -- what comes first --


def test_unfinished_batches_come_first_the_oldest_first_and_then_the_inbox(make_office: MakeOffice) -> None:
    office = make_office()
    first = interrupted_run(office, range(6), "first.csv")
    office.wait(HOUR)
    second = interrupted_run(office, range(6, 12), "second.csv")
    office.settled((range(12, 15), "third.csv"))
    before = len(office.called())
    assert 0 < before < 12
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [
        ("first.csv", Fate.DONE),
        ("second.csv", Fate.DONE),
        ("third.csv", Fate.DONE),
    ]
    assert sorted(office.called()) == list(range(15))
    later = office.called()[before:]
    assert later == sorted(later)
    assert [batch.state for batch in office.batches()] == ["finished"] * 3
    for batch in (first, second):  # begun by hand, reported where a run by hand reports
        assert (office.folder / "reports" / f"{batch.batch_id}.csv").exists()


def test_a_killed_run_is_gone_on_with_and_its_sheet_finds_its_place(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(8), "leavers.csv"))
    office.world.after_calls(5, office.power_cut)
    with pytest.raises(PowerCutError):
        office.night()
    office.power_on()
    assert office.lying("working") == ["leavers.csv"]
    assert 0 < len(office.called()) < 8
    office.settled((range(8, 10), "more.csv"))
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [("leavers.csv", Fate.DONE), ("more.csv", Fate.DONE)]
    assert sorted(office.called()) == list(range(10))
    assert office.lying("working") == []
    assert any("did not finish" in line for line in office.ears.said_so_far)
    assert outcomes(office, office.batches()[0]) == ["submitted"] * 8


def test_a_sheet_that_was_planned_and_not_begun_is_run_as_it_was_planned(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(4), "leavers.csv"))
    with office.desk(unattended=True) as desk:
        taken = office.inbox / "working" / "leavers.csv"
        taken.parent.mkdir()
        (office.inbox / "leavers.csv").rename(taken)
        planned = office.world.run(proposing.plan(desk, taken, Reading())).batch
    view = office.night()
    assert [(sheet.batch_id, sheet.fate) for sheet in view.sheets] == [(planned.batch_id, Fate.DONE)]
    assert len(office.batches()) == 1


def test_a_plan_that_is_older_than_a_day_is_made_again(make_office: MakeOffice) -> None:
    office = make_office()
    with office.desk(unattended=True) as desk:
        taken = office.inbox / "working" / "leavers.csv"
        taken.parent.mkdir()
        office.write(taken, office.text(range(4)))
        planned = office.world.run(proposing.plan(desk, taken, Reading())).batch
    office.wait(DAY + 1)
    view = office.night()
    assert [sheet.fate for sheet in view.sheets] == [Fate.DONE]
    assert view.sheets[0].batch_id != planned.batch_id
    assert office.called() == list(range(4))


def test_a_run_that_died_before_its_sheet_was_moved_moves_it_without_a_call(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(4), "leavers.csv"))
    office.night()
    (batch,) = office.batches()
    taken = office.inbox / "working" / "leavers.csv"
    (office.inbox / "done" / f"{batch.batch_id}-leavers.csv").rename(taken)
    with office.desk() as desk:
        desk.journal.move_source(batch.key, str(taken))
    view = office.night()
    assert [(sheet.fate, sheet.exit_code) for sheet in view.sheets] == [(Fate.DONE, ExitCode.OK)]
    assert office.lying("done") == ["BATCH-leavers.csv", "BATCH.csv", "BATCH.xlsx"]
    assert office.called() == list(range(4))


def test_what_a_person_has_stopped_with_ctrl_c_is_left_to_that_person(make_office: MakeOffice) -> None:
    office = make_office()
    sheet = office.sheet(range(8))
    office.world.after_calls(4, lambda: signal.raise_signal(signal.SIGINT))
    with office.desk() as desk:
        ended = office.world.run(commands.run_sheet(desk, sheet, Reading(), (), office.ears.talk))
    assert ended.exit_code is ExitCode.UNFINISHED
    called = office.called()
    assert 0 < len(called) < 8
    view = office.night()
    assert (list(view.sheets), view.exit_code) == ([], ExitCode.OK)
    assert office.called() == called


def test_what_a_person_goes_on_with_is_gone_on_with_when_that_run_dies(make_office: MakeOffice) -> None:
    office = make_office(tenant={"faults": ("404@3",)})
    office.settled((range(12), "leavers.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.STOPPED]
    office.world.set_faults()
    office.world.after_calls(3, office.power_cut)
    with suppress(PowerCutError), office.desk() as desk:
        office.world.run(run.resume(desk, None, (), office.ears.talk))
    office.power_on()
    view = office.night()
    assert [(sheet.fate, sheet.exit_code) for sheet in view.sheets] == [(Fate.DONE, ExitCode.ROWS_FAILED)]
    assert sorted(office.called()) == list(range(12))


def test_what_was_begun_a_month_ago_is_left_to_a_person(make_office: MakeOffice) -> None:
    office = make_office()
    interrupted_run(office, range(6), "old.csv")
    called = office.called()
    office.wait(31 * DAY)
    view = office.night()
    assert (list(view.sheets), view.exit_code) == ([], ExitCode.OK)
    assert office.called() == called


def test_a_batch_whose_report_cannot_be_written_keeps_no_other_from_going_on(make_office: MakeOffice) -> None:
    office = make_office()
    batch = interrupted_run(office, range(6), "first.csv")
    with office.desk() as desk:
        desk.journal.remember_reports(batch.key, [str(office.folder / "first.csv" / "no-folder.csv")])
    office.settled((range(6, 9), "second.csv"))
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [("first.csv", Fate.LEFT), ("second.csv", Fate.DONE)]
    assert "No report can be written" in view.sheets[0].sentence


# -- the look-back --


def test_the_tenants_news_of_earlier_nights_are_in_their_reports(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(4), "leavers.csv"))
    office.night()
    (batch,) = office.batches()
    assert {row["action_status"] for row in office.rows(batch)} == {"Pending"}
    office.wait(DAY)
    view = office.night()
    assert (list(view.renewed), list(view.sheets), view.exit_code) == ([batch.batch_id], [], ExitCode.OK)
    assert {row["action_status"] for row in office.rows(batch)} == {"Succeeded"}
    calls = len(office.world.calls)
    assert list(office.night().renewed) == []
    assert len(office.world.calls) == calls  # all actions are final: there is nothing to ask


def test_a_doubt_of_a_killed_run_is_settled_before_anything_is_sent(make_office: MakeOffice) -> None:
    office = make_office(tenant={"faults": ("500-after@7",)})
    office.settled((range(8), "leavers.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]  # the closing look has settled it
    (batch,) = office.batches()
    assert outcomes(office, batch) == ["submitted"] * 8
    assert office.called() == list(range(8))


def test_a_tenant_that_may_not_be_read_is_no_reason_to_stop(make_office: MakeOffice) -> None:
    office = make_office(tenant={"permissions": frozenset({"Machine.Offboard"})})
    office.settled((range(4), "leavers.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]
    office.settled((range(4, 6), "more.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]
    assert any("Earlier batches were not checked" in line for line in office.ears.said_so_far)


def test_a_tenant_that_cannot_be_read_just_now_leaves_the_sheets_for_a_better_moment(make_office: MakeOffice) -> None:
    office = make_office(tenant={"faults": ("machines/503",)})
    text = "Device ID,Computer\n" + "".join(f",pc-{device(number)[:10]}.contoso.example\n" for number in range(3))
    office.write(office.inbox / "names.csv", text)
    office.wait(61)
    view = office.night()
    assert (view.exit_code, [sheet.fate for sheet in view.sheets]) == (ExitCode.UNFINISHED, [Fate.LEFT])
    assert view.halt is not None
    assert view.halt.reason.startswith("The tenant was not looked up: The tenant could not be read")
    assert office.called() == []
    office.world.set_faults()
    view = office.night()
    assert [sheet.fate for sheet in view.sheets] == [Fate.DONE]
    assert office.called() == [0, 1, 2]


@pytest.mark.fault(86, "Nothing is planned, sent or put into `done`; the sheets wait.")
@pytest.mark.parametrize("before", ["no plan", "a plan"])
def test_a_tenant_that_lists_no_devices_puts_nothing_into_done(make_office: MakeOffice, before: str) -> None:
    """As a wrong api_url or tenant does: every row would be `not_found`, and the sheet would count as worked."""
    office = make_office()
    devices = office.world.machines
    office.settled((range(4), "leavers.csv"))
    if before == "a plan":
        taken = office.inbox / "working" / "leavers.csv"
        taken.parent.mkdir()
        (office.inbox / "leavers.csv").rename(taken)
        with office.desk(unattended=True) as desk:
            office.world.run(proposing.plan(desk, taken, Reading()))
        office.wait(HOUR)
    office.world.machines = []
    view = office.night()
    assert (view.exit_code, [sheet.fate for sheet in view.sheets]) == (ExitCode.USAGE, [Fate.LEFT])
    assert view.halt is not None
    assert "lists no devices at all" in view.halt.reason
    assert "check api_url" in view.halt.reason
    assert (office.lying("done"), office.called()) == ([], [])
    office.world.machines = devices
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]
    assert office.called() == [0, 1, 2, 3]


# -- the window --


@pytest.mark.fault(53, "A missed start that runs in the daytime sends nothing.")
def test_outside_the_window_nothing_is_sent_and_the_next_opening_is_told(make_office: MakeOffice) -> None:
    office = make_office(window=NIGHT_HOURS)
    view = office.night()
    assert (view.closed, view.exit_code, list(view.sheets)) == (True, ExitCode.OK, [])
    office.settled((range(4), "leavers.csv"))
    view = office.night()
    assert (view.closed, view.exit_code) == (True, ExitCode.UNFINISHED)
    assert [sheet.fate for sheet in view.sheets] == [Fate.LEFT]
    assert view.halt is not None
    assert view.halt.reason == "The window is closed; it opens next at 2026-11-24 22:00+01:00."
    assert office.world.calls == []
    assert office.lying() == ["leavers.csv"]
    office.world.until(in_berlin("2026-11-24T22:00:00"))
    assert office.night().exit_code is ExitCode.OK


@pytest.mark.fault(52, "Calls in flight are finished, the rest is sent the next night.")
def test_when_the_window_closes_nothing_new_begins_and_the_rest_goes_on_the_next_night(make_office: MakeOffice) -> None:
    office = make_office(window=NIGHT_HOURS, quota={"per_minute": 60, "per_hour": 1500, "burst": 1})
    closes = in_berlin("2026-11-25T06:00:00")
    office.settled((range(30), "leavers.csv"), (range(30, 33), "more.csv"))
    office.world.until(closes - 8)
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [
        ("leavers.csv", Fate.LEFT),
        ("more.csv", Fate.LEFT),
    ]
    assert view.exit_code is ExitCode.UNFINISHED
    assert "opens next at 2026-11-25 22:00+01:00" in view.sheets[0].sentence
    called = len(office.called())
    assert 5 < called < 12
    assert all(call.at < closes for call in office.world.calls)
    assert outcomes(office, office.batches()[0]) == ["submitted"] * called + ["pending"] * (30 - called)
    office.world.until(in_berlin("2026-11-25T22:00:00"))
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [
        ("leavers.csv", Fate.DONE),
        ("more.csv", Fate.DONE),
    ]
    assert office.called() == list(range(33))


def test_a_person_at_the_keyboard_is_not_kept_to_the_window(make_office: MakeOffice) -> None:
    office = make_office(window=NIGHT_HOURS)
    with office.desk() as desk:
        ended = office.world.run(commands.run_sheet(desk, office.sheet(range(4)), Reading(), (), office.ears.talk))
    assert ended.exit_code is ExitCode.OK


@pytest.mark.fault(53, "Reported once.")
@pytest.mark.fault(128, "A missed night is reported.")
def test_a_missed_night_is_noticed_once(make_office: MakeOffice) -> None:
    office = make_office(window=NIGHT_HOURS)
    assert office.night().missed == ""  # nothing is known of a first run's nights
    office.world.until(in_berlin("2026-11-24T22:00:05"))
    assert office.night().missed == ""
    office.world.until(in_berlin("2026-11-25T23:00:00"))
    assert office.night().missed == ""
    office.world.until(in_berlin("2026-11-27T09:00:00"))  # by day, when a machine was off at night
    view = office.night()
    assert (view.missed, view.closed) == ("2026-11-26", True)
    assert office.night().missed == ""
    office.world.until(in_berlin("2026-11-30T22:00:05"))
    assert office.night().missed == "2026-11-29 and 2 before it"
    office.world.until(in_berlin("2026-12-01T22:00:05"))
    assert office.night().missed == ""


def test_without_a_window_there_is_no_night_to_miss(make_office: MakeOffice) -> None:
    office = make_office()
    office.night()
    office.wait(5 * DAY)
    assert office.night().missed == ""


def test_a_day_on_which_the_window_does_not_open_is_not_missed(make_office: MakeOffice) -> None:
    office = make_office(window=NIGHT_HOURS | {"days": "mon-fri", "except": "2026-11-26"})
    office.world.until(in_berlin("2026-11-25T22:00:05"))
    office.night()
    office.world.until(in_berlin("2026-11-27T22:00:05"))
    assert office.night().missed == ""
    office.world.until(in_berlin("2026-11-30T22:00:05"))
    assert office.night().missed == ""


# -- what ends a night --


def test_a_stop_file_that_is_there_before_the_start_refuses_everything(make_office: MakeOffice) -> None:
    office = make_office(guards={"stop_file": "STOP"})
    (office.folder / "STOP").touch()
    office.settled((range(4), "leavers.csv"))
    view = office.night()
    assert view.exit_code is ExitCode.REFUSED
    assert view.halt is not None
    assert f"stopped by the stop file {office.folder / 'STOP'}" in view.halt.reason
    assert [sheet.fate for sheet in view.sheets] == [Fate.LEFT]
    assert (office.world.calls, office.lying()) == ([], ["leavers.csv"])


@pytest.mark.fault(108, "The API accepts the token until it expires; the stop file is the quick brake.")
def test_a_stop_file_that_appears_ends_the_night_and_when_it_is_gone_the_next_goes_on(make_office: MakeOffice) -> None:
    office = make_office()
    stop = office.folder / "STOP"
    office.settled((range(12), "leavers.csv"), (range(12, 14), "more.csv"))
    office.world.after_calls(5, stop.touch)
    view = office.night(stop_file=stop)
    assert view.exit_code is ExitCode.REFUSED
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [
        ("leavers.csv", Fate.LEFT),
        ("more.csv", Fate.LEFT),
    ]
    called = office.called()
    assert 0 < len(called) < 12
    assert office.lying("working") == ["leavers.csv"]
    assert office.night(stop_file=stop).exit_code is ExitCode.REFUSED
    assert office.called() == called
    stop.unlink()
    assert [sheet.fate for sheet in office.night(stop_file=stop).sheets] == [Fate.DONE, Fate.DONE]
    assert sorted(office.called()) == list(range(14))


def test_a_signal_ends_the_night_as_it_ends_a_run_and_the_next_goes_on(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(12), "leavers.csv"), (range(12, 14), "more.csv"))
    office.world.after_calls(5, lambda: signal.raise_signal(signal.SIGTERM))
    view = office.night()
    assert view.exit_code is ExitCode.UNFINISHED
    assert [sheet.fate for sheet in view.sheets] == [Fate.LEFT, Fate.LEFT]
    assert "SIGTERM was received" in view.sheets[0].sentence
    assert 0 < len(office.called()) < 12
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE, Fate.DONE]
    assert sorted(office.called()) == list(range(14))


def test_ctrl_c_between_two_sheets_ends_the_night_in_order(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(4), "leavers.csv"))
    office.world.at(office.world.now().wall + 1, lambda: signal.raise_signal(signal.SIGINT))  # between two looks
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        view = office.night()
    finally:
        signal.signal(signal.SIGINT, before)
    assert (view.exit_code, [sheet.fate for sheet in view.sheets]) == (ExitCode.UNFINISHED, [Fate.LEFT])
    assert office.called() == []
    assert office.night().exit_code is ExitCode.OK


def test_a_token_that_is_not_accepted_ends_the_night_and_blames_no_sheet(make_office: MakeOffice) -> None:
    office = make_office(tenant={"token": "another-token"})
    office.settled((range(4), "leavers.csv"), (range(4, 6), "more.csv"))
    view = office.night()
    assert view.exit_code is ExitCode.SIGN_IN
    assert [sheet.fate for sheet in view.sheets] == [Fate.LEFT, Fate.LEFT]
    assert office.lying("failed") == []


def test_a_run_by_hand_that_is_at_work_ends_the_night(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(4), "leavers.csv"))
    planned = office.sheet(range(4, 6), "by-hand.csv")
    with office.desk() as desk:
        batch = office.world.run(proposing.plan(desk, planned, Reading())).batch
        with working_alone(desk, batch):
            view = office.night()
    assert (view.exit_code, [sheet.fate for sheet in view.sheets]) == (ExitCode.UNFINISHED, [Fate.LEFT])
    assert view.halt is not None
    assert "Already at work on this tenant" in view.halt.reason
    assert office.called() == []
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]
    assert office.called() == list(range(4))


def test_a_second_run_over_the_inbox_says_who_is_at_work_and_begins_nothing(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(4), "leavers.csv"))
    locks = inbox_locks(lock_folder(), office.inbox.resolve())
    with (
        only_process(locks, "nightly run over inbox", EVENING),
        pytest.raises(
            BusyError, match=r"Already at work on this inbox: process \d+ on .* \(nightly run over inbox"
        ) as busy,
    ):
        office.night()
    assert busy.value.exit_code is ExitCode.UNFINISHED
    assert office.called() == []
    assert office.night().exit_code is ExitCode.OK


@pytest.mark.fault(127, "No sheet: exit 0, no notice.")
def test_nothing_to_do_is_quiet(make_office: MakeOffice) -> None:
    office = make_office()
    view = office.night()
    assert (view.is_quiet, view.exit_code, office.ears.said_so_far, office.world.calls) == (True, ExitCode.OK, [], [])


def test_without_an_inbox_or_a_configuration_nothing_begins(make_office: MakeOffice) -> None:
    office = make_office()
    (office.folder / "config.yaml").unlink()
    with pytest.raises(ConfigError):
        office.night()
    office.configure()
    office.inbox.rename(office.folder / "outbox")
    with pytest.raises(UsageError, match=r"There is no folder .*inbox \(--inbox\)"):
        office.night()


@pytest.mark.fault(13, "No device is sent twice.")
@pytest.mark.fault(26, "Each start settles doubts before it sends; no device is sent twice.")
def test_a_device_is_never_sent_twice_wherever_the_machine_goes_off(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(8), "leavers.csv"))
    for _ in range(5):
        office.world.after_calls(1, office.power_cut)
        with pytest.raises(PowerCutError):
            office.night()
        office.power_on()
        office.wait(61)
    view = office.night()
    assert [sheet.fate for sheet in view.sheets] == [Fate.DONE]
    devices = [action.machine_id for action in office.world.actions.values()]
    assert sorted(devices) == sorted(device(number) for number in range(8))
    assert outcomes(office, office.batches()[-1]) == ["submitted"] * 8
