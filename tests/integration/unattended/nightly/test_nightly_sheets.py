"""What becomes of each sheet in the inbox, and that one of them never keeps another from being worked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import ExitCode, GuardError, UsageError
from batch_offboard.commands import plans as planning
from batch_offboard.commands import proposing, run
from batch_offboard.commands.plans import Reading
from batch_offboard.unattended.nightly.views import Fate
from tests import commands
from tests.virtual import device

if TYPE_CHECKING:
    from tests.integration.unattended.nightly.conftest import MakeOffice


posix_only = pytest.mark.skipif(os.name != "posix", reason="a link needs a privilege on Windows")


def test_a_sheet_is_worked_and_lies_in_done_beside_its_reports(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(10), "leavers.csv"))
    view = office.night()
    (sheet,) = view.sheets
    assert (sheet.name, sheet.fate, view.exit_code) == ("leavers.csv", Fate.DONE, ExitCode.OK)
    assert office.lying("done") == ["BATCH-leavers.csv", "BATCH.csv", "BATCH.xlsx"]
    assert office.lying() == office.lying("working") == office.lying("working/reports") == office.lying("failed") == []
    assert office.called() == list(range(10))
    (batch,) = office.batches()
    assert [row["outcome"] for row in office.rows(batch)] == ["submitted"] * 10
    assert sheet.path == Path(batch.source_path)
    assert [str(path) for path in sheet.reports] == list(batch.reports)
    assert len(office.ears.asked) == 1  # the plan is shown, and nobody is asked


@pytest.mark.fault(127, "Several sheets: one after the other, the oldest first.")
def test_the_oldest_sheet_goes_first(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(3), "z.csv"), (range(3, 6), "a.csv"), (range(6, 9), "m.csv"))
    assert [sheet.name for sheet in office.night().sheets] == ["z.csv", "a.csv", "m.csv"]
    assert office.called() == list(range(9))


def test_what_is_no_sheet_stays_where_it_is(make_office: MakeOffice) -> None:
    office = make_office()
    text = office.text(range(3))
    names = [".hidden.csv", "~$open.xlsx", "half.csv.part", "half.csv.crdownload", "half.tmp", "old.csv.why.txt"]
    for name in [*names, "notes.docx", "no-suffix"]:
        office.write(office.inbox / name, text)
    office.wait(100)
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [
        ("no-suffix", Fate.NOT_TAKEN),
        ("notes.docx", Fate.NOT_TAKEN),
    ]
    assert view.exit_code is ExitCode.ROWS_FAILED
    assert sorted(office.lying()) == sorted([*names, "notes.docx", "no-suffix"])
    assert office.called() == []


def test_what_programs_put_into_a_folder_by_themselves_is_nobodys_business(make_office: MakeOffice) -> None:
    office = make_office()
    for name in [
        ".hidden.csv",
        "~$open.xlsx",
        "half.csv.part",
        "old.csv.why.txt",
        "Thumbs.db",
        "desktop.ini",
        ".DS_Store",
    ]:
        office.write(office.inbox / name, "x")
    office.wait(100)
    view = office.night()
    assert (list(view.sheets), view.exit_code, view.is_quiet) == ([], ExitCode.OK, True)


@pytest.mark.fault(127, "A file that is not a sheet stays in the folder and is named every night, with what to do.")
def test_a_file_that_is_not_taken_is_told_every_night_beside_the_sheets_that_are(make_office: MakeOffice) -> None:
    office = make_office()
    office.write(office.inbox / "leavers.zip", "PK")
    office.settled((range(3), "leavers.csv"))
    for expected in ([Fate.DONE, Fate.NOT_TAKEN], [Fate.NOT_TAKEN], [Fate.NOT_TAKEN]):
        view = office.night()
        assert [sheet.fate for sheet in view.sheets] == expected
        assert view.sheets[-1].sentence == "a ZIP archive; unpack it and put the sheet itself into the inbox."
        assert view.exit_code is ExitCode.ROWS_FAILED
        assert not view.is_quiet
        office.wait(86_400)
    assert office.called() == [0, 1, 2]


@posix_only
def test_a_link_is_not_followed(make_office: MakeOffice) -> None:
    office = make_office()
    (office.inbox / "link.csv").symlink_to(office.sheet(range(3)))
    office.wait(100)
    (link,) = office.night().sheets
    assert link.sentence == "a link, which is not followed; put the sheet itself into the inbox."
    assert office.lying() == ["link.csv"]
    assert office.called() == []


def test_a_suffix_is_known_in_any_case(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(3), "LEAVERS.CSV"))
    assert office.night().sheets[0].fate is Fate.DONE


def test_a_sheet_that_is_still_being_copied_waits_while_another_is_worked(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(5), "whole.csv"))
    growing, start = office.inbox / "growing.csv", office.world.now().wall
    for step in range(6):
        office.world.at(start + 1 + 50 * step, lambda n=5 + 3 * (step + 1): office.drop(range(5, n), "growing.csv"))  # type: ignore[misc]  # n is an int
    office.wait(2)
    size = growing.stat().st_size
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [
        ("whole.csv", Fate.DONE),
        ("growing.csv", Fate.DONE),
    ]
    assert growing.exists() is False
    assert office.called() == list(range(23))
    first = next(call.at for call in office.world.offboard_calls()[5:])
    assert first >= start + 1 + 250 + 60
    assert size < len(office.text(range(5, 23)))


def test_a_sheet_that_is_written_for_ever_is_left_with_the_reason(make_office: MakeOffice) -> None:
    office = make_office()

    def again() -> None:
        office.drop(range(3), "log.csv")
        office.world.at(office.world.now().wall + 30, again)

    again()
    began = office.world.now().wall
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [("log.csv", Fate.LEFT)]
    assert "may still be written" in view.sheets[0].sentence
    assert view.exit_code is ExitCode.UNFINISHED
    assert 600 <= office.world.now().wall - began <= 660
    assert office.called() == []


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ("~$leavers.csv", "its lock file ~$leavers.csv is 11 min 3 s old"),
        (".~lock.leavers.csv#", "its lock file .~lock.leavers.csv# is 11 min 3 s old"),
        ("leavers.csv.part", "it is not complete: leavers.csv.part beside it is 11 min 3 s old"),
    ],
)
def test_a_sheet_that_somebody_is_not_done_with_is_left_with_what_says_so_and_the_remedy(
    make_office: MakeOffice, beside: str, words: str
) -> None:
    office = make_office()
    office.write(office.inbox / beside, b"")
    office.settled((range(3), "leavers.csv"))
    began = office.world.now().wall
    view = office.night()
    assert [sheet.fate for sheet in view.sheets] == [Fate.LEFT]
    assert words.split(" is ", maxsplit=1)[0] in view.sheets[0].sentence
    assert "delete " in view.sheets[0].sentence
    assert 600 <= office.world.now().wall - began <= 700
    [said] = [each for each in office.ears.said_so_far if each.startswith("Waiting")]
    assert said.startswith("Waiting up to 10 min for leavers.csv: ")
    assert beside in said
    assert office.called() == []
    (office.inbox / beside).unlink()
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]


def test_a_lock_file_of_yesterday_is_named_with_its_age_and_keeps_nobody_waiting(make_office: MakeOffice) -> None:
    office = make_office()
    office.write(office.inbox / "~$leavers.csv", b"")
    office.settled((range(3), "leavers.csv"))
    office.wait(3 * 86_400)
    office.settled((range(3, 6), "others.csv"))
    began = office.world.now().wall
    view = office.night()
    assert {sheet.name: sheet.fate for sheet in view.sheets} == {"others.csv": Fate.DONE, "leavers.csv": Fate.LEFT}
    [left] = [sheet for sheet in view.sheets if sheet.fate is Fate.LEFT]
    assert "its lock file ~$leavers.csv is 3 d old" in left.sentence
    assert "delete the lock file if no program has it open any more" in left.sentence
    assert office.world.now().wall - began < 60


def test_all_sheets_together_keep_a_night_waiting_for_ten_minutes(make_office: MakeOffice) -> None:
    office = make_office()
    for number in range(4):  # one after the other is done with, some minutes apart
        beside = office.write(office.inbox / f"~${number}.csv", b"")
        office.world.at(office.world.now().wall + 240 * (number + 1), beside.unlink)
        office.drop([number], f"{number}.csv")
    office.wait(61)
    view = office.night()
    fates = {sheet.name: sheet.fate for sheet in view.sheets}
    assert fates == {"0.csv": Fate.DONE, "1.csv": Fate.DONE, "2.csv": Fate.LEFT, "3.csv": Fate.LEFT}


AMBIGUOUS = "Old,New\n" + "".join(f"{device(number)},{device(number + 20)}\n" for number in range(3))


def test_what_a_sheet_asks_for_is_said_where_it_goes_and_can_be_given_there(make_office: MakeOffice) -> None:
    office = make_office()
    office.write(office.inbox / "leavers.csv", AMBIGUOUS)
    office.wait(61)
    [sheet] = office.night().sheets
    assert sheet.fate is Fate.UNREADABLE
    assert "give the option to `nightly`, or set inbox.id_column in the configuration" in sheet.sentence
    assert "inbox.id_column" in office.why("failed/leavers.csv.why.txt")
    office.write(office.inbox / "leavers.csv", AMBIGUOUS)
    office.wait(61)
    [sheet] = office.night(reading=Reading(id_column="B")).sheets
    assert sheet.fate is Fate.DONE
    assert office.called() == [20, 21, 22]


def test_a_plan_that_was_read_in_another_way_is_made_again(make_office: MakeOffice) -> None:
    office = make_office()
    sheet = office.write(office.inbox / "leavers.csv", AMBIGUOUS)
    office.wait(61)
    with office.desk() as desk:
        office.world.run(proposing.plan(desk, sheet, Reading(id_column="A")))
    assert [each.fate for each in office.night(reading=Reading(id_column="B")).sheets] == [Fate.DONE]
    assert office.called() == [20, 21, 22]


def test_a_time_far_in_the_future_says_nothing_of_when_a_sheet_was_written(make_office: MakeOffice) -> None:
    office = make_office()
    path = office.drop(range(3), "leavers.csv")
    os.utime(path, (office.world.now().wall + 86_400,) * 2)
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]


def test_a_sheet_that_cannot_be_read_fails_with_the_reason_and_the_others_are_worked(make_office: MakeOffice) -> None:
    office = make_office()
    office.write(office.inbox / "empty.csv", b"")
    office.write(office.inbox / "broken.xlsx", b"PK\x03\x04 and nothing else")
    office.write(office.inbox / "picture.xls", b"\x89PNG\r\n\x1a\n")
    office.settled((range(5), "leavers.csv"))
    view = office.night()
    fates = {sheet.name: sheet.fate for sheet in view.sheets}
    assert fates == {
        "empty.csv": Fate.UNREADABLE,
        "broken.xlsx": Fate.UNREADABLE,
        "picture.xls": Fate.UNREADABLE,
        "leavers.csv": Fate.DONE,
    }
    assert view.exit_code is ExitCode.ROWS_FAILED
    assert "empty.csv is empty (0 bytes)" in office.why("failed/empty.csv.why.txt")
    assert "nothing of it was sent" in office.why("failed/broken.xlsx.why.txt")
    assert len(office.lying("failed")) == 6
    assert office.called() == list(range(5))


def test_a_reader_that_meets_what_nobody_foresaw_fails_that_sheet_alone(
    make_office: MakeOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = make_office()
    office.settled((range(3), "strange.csv"), (range(3, 6), "leavers.csv"))
    read_sheet = planning.read_sheet

    def reading(path: Path, reading: Reading) -> object:
        return 1 // 0 if path.name == "strange.csv" else read_sheet(path, reading)

    monkeypatch.setattr(proposing, "read_sheet", reading)
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.UNREADABLE, Fate.DONE]
    assert "Unexpected ZeroDivisionError" in office.why("failed/strange.csv.why.txt")
    assert office.called() == [3, 4, 5]


def test_a_sheet_that_a_guard_refuses_fails_with_its_report_and_the_others_are_worked(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 6, "max_devices_per_day": 100})
    office.settled((range(7), "many.csv"), (range(7, 10), "few.csv"))
    view = office.night()
    assert [sheet.fate for sheet in view.sheets] == [Fate.REFUSED, Fate.DONE]
    assert view.exit_code is ExitCode.REFUSED
    assert "guards.max_devices allows 6" in view.sheets[0].sentence
    assert office.lying("failed") == ["BATCH-many.csv", "BATCH-many.csv.why.txt", "BATCH.csv", "BATCH.xlsx"]
    many = office.batches()[0]
    said = office.why("failed/*.why.txt")
    assert "--max-devices 7" in said
    assert f"`batch-offboard run {many.batch_id}`" in said
    assert [row["outcome"] for row in office.rows(many)] == ["pending"] * 7
    assert office.called() == [7, 8, 9]
    with office.desk(max_devices=7) as desk:  # as the explanation says
        ended = office.world.run(commands.run_batch(desk, many.batch_id, (), office.ears.talk))
    assert ended.exit_code is ExitCode.OK
    assert sorted(office.called()) == list(range(10))


def test_a_refused_sheet_that_is_put_into_the_inbox_again_is_worked_when_it_is_allowed(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 6})
    office.settled((range(7), "many.csv"))
    office.night()
    office.configure(guards={"max_devices": 7})
    office.settled((range(7), "many.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]
    assert office.called() == list(range(7))


def test_the_same_content_is_not_worked_twice_whatever_it_is_called(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(5), "leavers.csv"), (range(5), "again.csv"))
    view = office.night()
    assert [sheet.fate for sheet in view.sheets] == [Fate.DONE, Fate.REPEATED]
    assert view.exit_code is ExitCode.OK
    office.settled((range(5), "leavers.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.REPEATED]
    assert office.called() == list(range(5))
    (batch,) = office.batches()
    assert office.lying("done") == [
        "BATCH-again.csv",
        "BATCH-again.csv.why.txt",
        "BATCH-leavers.1.csv",
        "BATCH-leavers.1.csv.why.txt",
        "BATCH-leavers.csv",
        "BATCH.csv",
        "BATCH.xlsx",
    ]
    said = office.why("done/*-again.csv.why.txt")
    assert f"batch {batch.batch_id}, started at 2026-11-24 21:0" in said
    assert "from leavers.csv, is finished" in said


def test_a_sheet_whose_rows_were_all_skipped_is_worked_when_it_comes_again(make_office: MakeOffice) -> None:
    office = make_office(guards={"protected": "protected.txt"})
    mistaken = office.folder / "protected.txt"
    mistaken.write_text("".join(f"{device(number)}\n" for number in range(5)), encoding="utf-8")
    office.settled((range(5), "leavers.csv"))
    view = office.night()
    assert [(sheet.fate, sheet.exit_code) for sheet in view.sheets] == [(Fate.DONE, ExitCode.ROWS_FAILED)]
    assert office.called() == []

    mistaken.write_text("dc-*\n", encoding="utf-8")
    office.settled((range(5), "leavers.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]
    assert office.called() == list(range(5))
    office.settled((range(5), "leavers.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.REPEATED]
    assert office.called() == list(range(5))


def test_a_sheet_of_which_one_row_was_sent_is_not_worked_again(make_office: MakeOffice) -> None:
    office = make_office(guards={"protected": "protected.txt"})
    (office.folder / "protected.txt").write_text("".join(f"{device(n)}\n" for n in range(1, 5)), encoding="utf-8")
    for fate in (Fate.DONE, Fate.REPEATED):
        office.settled((range(5), "leavers.csv"))
        assert [sheet.fate for sheet in office.night().sheets] == [fate]
    assert office.called() == [0]


def test_what_somebody_has_begun_by_hand_is_not_worked_again(make_office: MakeOffice) -> None:
    office = make_office()
    with office.desk() as desk:
        office.world.run(commands.run_sheet(desk, office.sheet(range(5)), Reading(), (), office.ears.talk))
    office.settled((range(5), "leavers.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.REPEATED]
    assert office.called() == list(range(5))


def test_what_somebody_has_only_planned_by_hand_is_worked(make_office: MakeOffice) -> None:
    office = make_office()
    with office.desk() as desk:
        office.world.run(proposing.plan(desk, office.sheet(range(5)), Reading()))
    office.settled((range(5), "leavers.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]


@pytest.mark.fault(118, "Sent once; the second row is skipped.")
def test_a_device_in_two_sheets_of_a_night_is_sent_once(make_office: MakeOffice) -> None:
    office = make_office()
    office.settled((range(5), "one.csv"), (range(3, 8), "two.csv"))
    view = office.night()
    assert [sheet.fate for sheet in view.sheets] == [Fate.DONE, Fate.DONE]
    assert office.called() == list(range(8))
    _, two = office.batches()
    assert [row["error_code"] for row in office.rows(two)] == ["already_offboarded"] * 2 + [""] * 3


def test_a_brake_fails_the_sheet_and_ends_the_night_and_only_a_person_goes_on(make_office: MakeOffice) -> None:
    office = make_office(tenant={"faults": ("404@3",)})
    office.settled((range(6), "wrong.csv"), (range(6, 9), "right.csv"))
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [
        ("wrong.csv", Fate.STOPPED),
        ("right.csv", Fate.LEFT),
    ]
    assert view.exit_code is ExitCode.REFUSED
    assert office.lying("failed") == ["BATCH-wrong.csv", "BATCH-wrong.csv.why.txt", "BATCH.csv", "BATCH.xlsx"]
    assert office.lying() == ["right.csv"]
    (batch,) = office.batches()
    said = office.why("failed/*.why.txt")
    assert "was not accepted" in said
    assert f"`batch-offboard resume {batch.batch_id}`" in said
    assert [row["outcome"] for row in office.rows(batch)] == ["submitted"] * 2 + ["failed"] + ["pending"] * 3

    office.wait(86_400)
    assert [(sheet.name, sheet.fate) for sheet in office.night().sheets] == [("right.csv", Fate.DONE)]
    assert f"Batch {batch.batch_id} waits for a person" in "\n".join(office.ears.said_so_far)
    assert office.called() == [0, 1, 2, 6, 7, 8]
    with office.desk() as desk:
        office.world.run(run.resume(desk, desk.batch(batch.batch_id), (), office.ears.talk))
    assert office.called() == [0, 1, 2, 6, 7, 8, 3, 4, 5]


def test_a_failed_row_is_no_reason_to_stop_and_shows_in_the_exit_code(make_office: MakeOffice) -> None:
    office = make_office(tenant={"faults": ("404@6",)})
    office.settled((range(8), "leavers.csv"), (range(8, 10), "more.csv"))
    view = office.night()
    assert [(sheet.fate, sheet.exit_code) for sheet in view.sheets] == [
        (Fate.DONE, ExitCode.ROWS_FAILED),
        (Fate.DONE, ExitCode.OK),
    ]
    assert view.exit_code is ExitCode.ROWS_FAILED


def test_rows_in_doubt_keep_a_sheet_for_the_next_run_and_the_others_are_worked(make_office: MakeOffice) -> None:
    office = make_office(tenant={"faults": ("500@7",)})  # never accepted, and the list cannot tell before an hour
    office.settled((range(8), "doubtful.csv"), (range(8, 10), "clear.csv"))
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [
        ("doubtful.csv", Fate.LEFT),
        ("clear.csv", Fate.DONE),
    ]
    assert view.exit_code is ExitCode.UNFINISHED
    assert office.lying("working") == ["doubtful.csv"]
    assert office.lying("working/reports") == ["BATCH.csv", "BATCH.xlsx"]
    office.wait(3 * 3600)
    view = office.night()
    assert [(sheet.name, sheet.fate) for sheet in view.sheets] == [("doubtful.csv", Fate.DONE)]
    assert office.lying("working") == office.lying("working/reports") == []
    assert sorted(office.called()) == [0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9]
    assert len({action.machine_id for action in office.world.actions.values()}) == 10


def test_a_list_that_cannot_be_believed_blames_no_sheet(make_office: MakeOffice) -> None:
    office = make_office(guards={"protected": "protected.txt"})
    office.settled((range(3), "leavers.csv"))
    view = office.night()
    assert [sheet.fate for sheet in view.sheets] == [Fate.LEFT]
    assert view.exit_code is ExitCode.REFUSED
    assert view.halt is not None
    assert "guards.protected" in view.halt.reason
    assert office.lying() == ["leavers.csv"]
    (office.folder / "protected.txt").write_text("dc-*\n", encoding="utf-8")
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.DONE]


def test_sheets_of_one_name_never_replace_one_another(make_office: MakeOffice) -> None:
    office = make_office()
    office.write(office.inbox / "leavers.csv", b"")
    office.wait(61)
    office.night()
    office.write(office.inbox / "leavers.csv", b"\n")
    office.wait(61)
    office.night()
    assert office.lying("failed") == [
        "leavers.1.csv",
        "leavers.1.csv.why.txt",
        "leavers.csv",
        "leavers.csv.why.txt",
    ]


@posix_only
def test_a_working_folder_that_leads_elsewhere_is_refused(make_office: MakeOffice, tmp_path: Path) -> None:
    office = make_office()
    (tmp_path / "disk").mkdir()
    (office.inbox / "working").symlink_to(tmp_path / "disk", target_is_directory=True)
    with pytest.raises(UsageError, match="leads elsewhere"):
        office.night()


def test_nothing_is_sent_without_a_comment_where_one_is_asked_for(make_office: MakeOffice) -> None:
    office = make_office(guards={"require_comment": True})
    office.settled((range(3), "leavers.csv"))
    assert [sheet.fate for sheet in office.night().sheets] == [Fate.REFUSED]
    assert office.called() == []
    with office.desk() as desk, pytest.raises(GuardError, match="require_comment"):
        office.world.run(commands.run_batch(desk, office.batches()[0].batch_id, (), office.ears.talk))
