"""The task's XML against the published schema, written here as rules, and its texts read back as Windows reads them.

The schema: learn.microsoft.com/windows/win32/taskschd/task-scheduler-schema. The splitting of a command line:
learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import UsageError
from batch_offboard.unattended.schedule.job import Job, Start
from batch_offboard.unattended.schedule.windows import NAMESPACE, command_line, is_ours, removal, render
from tests.unit.unattended.schedule.conftest import make_job, starts, texts

BOOLEAN = r"true|false|1|0"
DURATION = r"P(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?"
PATH = r".{1,260}"
TEXT = r".*"
SOME_TEXT = r".+"
EMPTY = ""


@dataclass(frozen=True)
class Branch:
    """The children of an element: each name with its own rule, in the order written if `ordered`."""

    children: Mapping[str, "Branch | str"]
    ordered: bool = False
    required: frozenset[str] = frozenset()
    attributes: Mapping[str, str] | None = None


DAYS_OF_WEEK = Branch(
    dict.fromkeys(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), EMPTY)
)
SETTINGS = Branch(
    {
        "AllowStartOnDemand": BOOLEAN,
        "MultipleInstancesPolicy": r"Parallel|Queue|IgnoreNew|StopExisting",
        "DisallowStartIfOnBatteries": BOOLEAN,
        "StopIfGoingOnBatteries": BOOLEAN,
        "AllowHardTerminate": BOOLEAN,
        "StartWhenAvailable": BOOLEAN,
        "RunOnlyIfNetworkAvailable": BOOLEAN,
        "WakeToRun": BOOLEAN,
        "Enabled": BOOLEAN,
        "Hidden": BOOLEAN,
        "ExecutionTimeLimit": DURATION,
        "Priority": r"[0-9]|10",
        "RunOnlyIfIdle": BOOLEAN,
    }
)
TASK = Branch(
    {
        "RegistrationInfo": Branch({"URI": TEXT, "Source": TEXT, "Author": TEXT, "Description": TEXT}),
        "Triggers": Branch(
            {
                # triggerBaseType comes before what the calendar's own type adds, and both are sequences
                "CalendarTrigger": Branch(
                    {
                        "Enabled": BOOLEAN,
                        "StartBoundary": MOMENT,
                        "EndBoundary": MOMENT,
                        "ExecutionTimeLimit": DURATION,
                        "RandomDelay": DURATION,
                        "ScheduleByDay": Branch({"DaysInterval": r"[1-9]|[1-9]\d|[12]\d\d|3[0-5]\d|36[0-5]"}),
                        "ScheduleByWeek": Branch(
                            {"WeeksInterval": r"[1-9]|[1-4]\d|5[0-2]", "DaysOfWeek": DAYS_OF_WEEK}
                        ),
                    },
                    ordered=True,
                )
            }
        ),
        "Settings": SETTINGS,
        "Principals": Branch(
            {
                "Principal": Branch(
                    {
                        "UserId": SOME_TEXT,
                        "LogonType": r"S4U|Password|InteractiveToken|InteractiveTokenOrPassword",
                        "RunLevel": r"LeastPrivilege|HighestAvailable",
                    },
                    attributes={"id": r"[A-Za-z_][\w.-]*"},
                )
            },
            required=frozenset({"Principal"}),
        ),
        "Actions": Branch(
            {
                "Exec": Branch(
                    {"Command": PATH, "Arguments": TEXT, "WorkingDirectory": PATH}, required=frozenset({"Command"})
                )
            },
            required=frozenset({"Exec"}),
            attributes={"Context": r"[A-Za-z_][\w.-]*"},
        ),
    },
    required=frozenset({"Actions"}),
    attributes={"version": r"\d+(\.\d+){1,3}"},
)


def check(element: Element, rule: "Branch | str") -> None:
    """Every name, order, value and attribute is in the schema."""
    if isinstance(rule, str):
        assert len(element) == 0
        assert re.fullmatch(rule, element.text or "", re.DOTALL), (element.tag, element.text)
        return
    names = [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in element]
    assert set(names) <= set(rule.children)
    assert len(set(names)) == len(names)
    assert rule.required <= set(names)
    if rule.ordered:
        assert names == [name for name in rule.children if name in names]
    assert set(element.attrib) <= set(rule.attributes or {})
    for name, value in element.attrib.items():
        assert re.fullmatch((rule.attributes or {})[name], value)
    for name, child in zip(names, element, strict=True):
        check(child, rule.children[name])


def task_of(job: Job) -> Element:
    """The task as Windows reads it: from the bytes of the file."""
    (file,) = render(job).files
    task: Element = fromstring(file.data)
    return task


def text_at(task: Element, path: str) -> str | None:
    found = task.find("/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/")))
    return None if found is None else found.text


def windows_job(**changes: object) -> Job:
    values = {
        "interpreter": r"C:\Program Files\Python\python.exe",
        "folder": r"C:\Offboarding",
        "arguments": ("nightly", "--inbox", r"C:\Offboarding\in box"),
        "user": r"CONTOSO\svc-offboard",
    }
    return make_job(**(values | changes))


def split_as_windows(line: str) -> list[str]:
    """CommandLineToArgvW for the arguments after the program's name: 2n backslashes before a quote are n of them."""
    words: list[str] = []
    word: str | None = None
    quoted, at = False, 0
    while at < len(line):
        slashes = len(line[at:]) - len(line[at:].lstrip("\\"))
        follows = line[at + slashes : at + slashes + 1]
        if slashes and follows == '"':
            word = (word or "") + "\\" * (slashes // 2) + '"' * (slashes % 2)
            at += slashes + slashes % 2
        elif slashes:
            word = (word or "") + "\\" * slashes
            at += slashes
        elif line[at] == '"':
            quoted, word, at = not quoted, word or "", at + 1
        elif line[at] in " \t" and not quoted:
            words += [] if word is None else [word]
            word, at = None, at + 1
        else:
            word, at = (word or "") + line[at], at + 1
    return [*words, *([] if word is None else [word])]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (r'a\\\b d"e f"g h', ["a\\\\\\b", "de fg", "h"]),
        (r"a\\\"b c d", ['a\\"b', "c", "d"]),
        (r'a\\\\"b c" d e', ["a\\\\b c", "d", "e"]),
        (r'"a b c" d e', ["a b c", "d", "e"]),
    ],
)
def test_this_files_splitting_is_that_of_microsofts_own_examples(line: str, words: list[str]) -> None:
    assert split_as_windows(line) == words


# -- the schema --


@given(start=starts, catch_up=st.booleans(), user=st.sampled_from(["me", "SYSTEM", r"NT AUTHORITY\Local Service"]))
def test_every_task_keeps_the_published_schema(start: Start, catch_up: bool, user: str) -> None:
    check(task_of(windows_job(start=start, catch_up=catch_up, user=user)), TASK)


def test_a_task_with_a_password_keeps_it_too() -> None:
    check(task_of(windows_job(env_file=r"\\server\share\env")), TASK)


def test_the_file_is_utf_16_as_its_declaration_says(job: Callable[..., Job]) -> None:
    (file,) = render(windows_job()).files
    assert file.data[:2] in {b"\xff\xfe", b"\xfe\xff"}
    assert file.text.startswith('<?xml version="1.0" encoding="UTF-16"?>')


def test_the_actions_principal_is_the_one_that_is_there() -> None:
    task = task_of(windows_job())
    principal = task.find(f".//{{{NAMESPACE}}}Principal")
    actions = task.find(f"{{{NAMESPACE}}}Actions")
    assert principal is not None
    assert actions is not None
    assert principal.get("id") == actions.get("Context")


# -- what it says --


@given(argument=texts, folder=texts)
def test_command_and_folder_come_back_as_they_went_in_or_are_refused(argument: str, folder: str) -> None:
    job = windows_job(arguments=("nightly", argument), folder=f"C:\\{folder}")
    try:
        task = task_of(job)
    except UsageError as error:
        assert "would replace" in str(error)  # noqa: PT017  # not every text is refused
        return
    command = job.command(env_file=True)
    assert text_at(task, "Actions/Exec/Command") == command[0]
    assert split_as_windows(text_at(task, "Actions/Exec/Arguments") or "") == list(command[1:])
    assert text_at(task, "Actions/Exec/WorkingDirectory") == f"C:\\{folder}"


@pytest.mark.parametrize("text", [r"C:\%TEMP%\x", r"C:\$(Arg0)"])
@pytest.mark.parametrize("place", ["interpreter", "folder", "arguments"])
def test_a_text_that_the_scheduler_would_replace_is_refused(text: str, place: str) -> None:
    with pytest.raises(UsageError, match="would replace"):
        render(windows_job(**{place: (text,) if place == "arguments" else text}))


@pytest.mark.parametrize("place", ["interpreter", "folder"])
def test_a_path_longer_than_the_schema_allows_is_refused(place: str) -> None:
    render(windows_job(**{place: "C:\\" + "a" * 257}))
    with pytest.raises(UsageError, match="260"):
        render(windows_job(**{place: "C:\\" + "a" * 258}))


@pytest.mark.parametrize(
    ("days", "named"), [((0, 4), ["Monday", "Friday"]), ((6,), ["Sunday"]), ((5, 6), ["Saturday", "Sunday"])]
)
def test_the_days_are_those_of_the_job(days: tuple[int, ...], named: list[str]) -> None:
    week = task_of(windows_job(start=Start(22, 0, days))).find(f".//{{{NAMESPACE}}}DaysOfWeek")
    assert week is not None
    assert [day.tag.removeprefix(f"{{{NAMESPACE}}}") for day in week] == named


def test_every_day_is_a_daily_schedule_at_local_time() -> None:
    task = task_of(windows_job(start=Start(7, 5)))
    assert text_at(task, "Triggers/CalendarTrigger/ScheduleByDay/DaysInterval") == "1"
    boundary = text_at(task, "Triggers/CalendarTrigger/StartBoundary") or ""
    assert boundary.endswith("T07:05:00")  # an offset would fix it to one instant, summer and winter


def test_another_zone_cannot_be_said_and_is_refused() -> None:
    with pytest.raises(UsageError, match="--zone"):
        render(windows_job(start=Start(22, 0, zone="Europe/Berlin")))


def test_no_second_run_and_no_end_on_battery() -> None:
    task = task_of(windows_job())
    assert text_at(task, "Settings/MultipleInstancesPolicy") == "IgnoreNew"
    assert text_at(task, "Settings/StopIfGoingOnBatteries") == "false"
    assert text_at(task, "Settings/ExecutionTimeLimit") == "PT23H"


@pytest.mark.parametrize("catch_up", [True, False])
def test_a_missed_start_is_made_up_for_only_if_that_was_asked_for(catch_up: bool) -> None:
    task = task_of(windows_job(catch_up=catch_up))
    assert text_at(task, "Settings/StartWhenAvailable") == str(catch_up).lower()


@pytest.mark.parametrize(
    ("user", "identity", "logon"),
    [
        (r"CONTOSO\svc", r"CONTOSO\svc", "S4U"),
        ("SYSTEM", "S-1-5-18", None),
        (r"NT AUTHORITY\LOCAL SERVICE", "S-1-5-19", None),
        ("network service", "S-1-5-20", None),
    ],
)
def test_the_account_runs_with_no_more_rights_than_it_has(user: str, identity: str, logon: str | None) -> None:
    task = task_of(windows_job(user=user))
    assert text_at(task, "Principals/Principal/UserId") == identity
    assert text_at(task, "Principals/Principal/LogonType") == logon
    assert text_at(task, "Principals/Principal/RunLevel") == "LeastPrivilege"


def test_a_share_needs_the_password_which_windows_asks_for_and_no_argument_holds() -> None:
    rendered = render(windows_job(arguments=("nightly", "--inbox", r"\\files\offboarding")))
    (command,) = rendered.commands
    assert command.words[-4:] == ("/RU", r"CONTOSO\svc-offboard", "/RP", "*")
    assert command.asks
    task: Element = fromstring(rendered.files[0].data)
    assert text_at(task, "Principals/Principal/LogonType") == "Password"


def test_a_task_without_an_account_is_refused() -> None:
    with pytest.raises(UsageError, match="--user"):
        render(windows_job(user=None))


def test_the_command_is_the_exact_one() -> None:
    (command,) = render(windows_job()).commands
    assert command_line(command.words) == "schtasks /Create /TN nightly-test /XML nightly-test.xml /F"
    assert removal("nightly-test").words == ("schtasks", "/Delete", "/TN", "nightly-test", "/F")


def test_a_task_of_ours_is_told_from_others() -> None:
    assert is_ours(render(windows_job()).files[0].text)
    assert not is_ours("<Task><RegistrationInfo><Author>batch-offboard</Author></RegistrationInfo></Task>")


def test_a_task_printed_elsewhere_says_whose_paths_it_has() -> None:
    assert any("run this on the Windows computer" in note for note in render(windows_job(), elsewhere=True).notes)
    assert not any("run this on" in note for note in render(windows_job()).notes)
