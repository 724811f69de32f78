"""Renders a job as a task of the Windows Task Scheduler.

Pure. Elements, their order and their values: learn.microsoft.com/windows/win32/taskschd/task-scheduler-schema and
[MS-TSCH] 2.5. Version 1.4 is that of Windows 10, Windows Server 2016 and later.
"""

import re
import subprocess  # for the quoting of arguments alone
from xml.etree import ElementTree as ET

from batch_offboard.base.errors import UsageError
from batch_offboard.unattended.schedule.job import EVERY_DAY, WRITTEN_BY, Command, File, Job, Rendered

NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
SOURCE = f"{WRITTEN_BY}."
LONGEST_PATH = 260  # pathType

_DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIRST_DAY = "2026-01-01"  # a task needs a start date; one in the past means from now on

# The service accounts' SIDs, which are the same in every language.
_SERVICE_ACCOUNTS = {"system": "S-1-5-18", "local service": "S-1-5-19", "network service": "S-1-5-20"}

# The scheduler replaces %NAME% by a variable and $(Arg0) by an argument, and they cannot be escaped.
_REPLACED = re.compile(r"%[^%]+%|\$\(")


def render(job: Job, *, elsewhere: bool = False) -> Rendered:
    """The task's XML, and the command that registers it. Raises UsageError for values that a task cannot contain.

    `elsewhere` if the task is for another machine than this one.
    """
    file = f"{job.name}.xml"
    words = ["schtasks", "/Create", "/TN", job.name, "/XML", file, "/F"]
    password = _logon_type(job) == "Password"
    if password:
        words += ["/RU", job.user or "", "/RP", "*"]
    return Rendered(
        (File(file, _xml(job), "utf-16"),),
        (Command(tuple(words), asks=password),),
        _notes(job, password=password, elsewhere=elsewhere),
    )


def removal(name: str) -> Command:
    return Command(("schtasks", "/Delete", "/TN", name, "/F"))


def question(name: str) -> Command:
    """The command that queries name, next start and state. Unlike in the long format, these three columns are the same
    in every language."""
    return Command(("schtasks", "/Query", "/TN", name, "/FO", "CSV", "/NH"))


def definition_question(name: str) -> Command:
    return Command(("schtasks", "/Query", "/TN", name, "/XML"))


def is_ours(definition: str) -> bool:
    """Whether `render` made this registered task, from its XML."""
    return WRITTEN_BY in definition


def command_line(command: tuple[str, ...]) -> str:
    """The command as typed into a Windows console."""
    return subprocess.list2cmdline(command)


def _xml(job: Job) -> str:
    task = ET.Element("Task", {"version": "1.4", "xmlns": NAMESPACE})
    _branch(
        task,
        "RegistrationInfo",
        {
            "URI": f"\\{job.name}",
            "Source": SOURCE,
            "Author": "batch-offboard",
            "Description": "Offboards the sheets in the inbox from Microsoft Defender for Endpoint, every night.",
        },
    )
    _trigger(_branch(task, "Triggers"), job)
    _branch(task, "Settings", _settings(job))
    principal = _branch(_branch(task, "Principals"), "Principal", _principal(job))
    principal.set("id", "Author")
    actions = _branch(task, "Actions")
    actions.set("Context", "Author")
    command = job.command(env_file=True)
    arguments = subprocess.list2cmdline(command[1:])
    folder = _path(job.folder)
    _branch(actions, "Exec", {"Command": _path(command[0]), "Arguments": _kept(arguments), "WorkingDirectory": folder})
    ET.indent(task)
    return f'<?xml version="1.0" encoding="UTF-16"?>\n{ET.tostring(task, encoding="unicode")}\n'


def _trigger(triggers: ET.Element, job: Job) -> None:
    """Add the trigger. Its time has no offset, so it is the machine's local time, in summer and in winter."""
    start = job.start
    if start.zone is not None:
        raise UsageError("The Task Scheduler supports only the machine's own time zone; omit --zone.")
    boundary = f"{_FIRST_DAY}T{start.hour:02}:{start.minute:02}:00"
    trigger = _branch(triggers, "CalendarTrigger", {"Enabled": "true", "StartBoundary": boundary})
    if start.days == EVERY_DAY:
        _branch(trigger, "ScheduleByDay", {"DaysInterval": "1"})
        return
    week = _branch(trigger, "ScheduleByWeek", {"WeeksInterval": "1"})
    _branch(week, "DaysOfWeek", {_DAY_NAMES[day]: None for day in start.days})


def _settings(job: Job) -> dict[str, str | None]:
    return {
        "MultipleInstancesPolicy": "IgnoreNew",
        "DisallowStartIfOnBatteries": "true",  # a run lasts hours, and an empty battery leaves rows in doubt
        "StopIfGoingOnBatteries": "false",
        "AllowHardTerminate": "true",
        "StartWhenAvailable": "true" if job.catch_up else "false",
        "RunOnlyIfNetworkAvailable": "true",
        "AllowStartOnDemand": "true",
        "Enabled": "true",
        "Hidden": "false",
        "RunOnlyIfIdle": "false",
        "WakeToRun": "true",
        "ExecutionTimeLimit": "PT23H",  # so that the next night can start
        "Priority": "7",
    }


def _principal(job: Job) -> dict[str, str | None]:
    """The account, without elevated rights. Raises UsageError if none is given."""
    name = job.user
    if not name:
        raise UsageError("A task needs --user NAME, the account that it runs as, such as CONTOSO\\svc-offboard.")
    service = _SERVICE_ACCOUNTS.get(name.lower().rpartition("\\")[2])
    if service is not None:
        return {"UserId": service, "RunLevel": "LeastPrivilege"}
    return {"UserId": name, "LogonType": _logon_type(job), "RunLevel": "LeastPrivilege"}


def _logon_type(job: Job) -> str | None:
    """S4U stores no password, but cannot authenticate on the network, so paths on shares need a password."""
    if (job.user or "").lower().rpartition("\\")[2] in _SERVICE_ACCOUNTS:
        return None
    texts = [job.interpreter, job.folder, job.env_file or "", *job.arguments]
    return "Password" if any(text.startswith("\\\\") for text in texts) else "S4U"


def _branch(parent: ET.Element, name: str, leaves: dict[str, str | None] | None = None) -> ET.Element:
    branch = ET.SubElement(parent, name)
    for leaf, text in (leaves or {}).items():
        ET.SubElement(branch, leaf).text = text
    return branch


def _path(text: str) -> str:
    if len(text) > LONGEST_PATH:
        raise UsageError(f"The Task Scheduler accepts paths of at most {LONGEST_PATH} characters; shorten {text!r}.")
    return _kept(text)


def _kept(text: str) -> str:
    found = _REPLACED.search(text)
    if found is not None:
        raise UsageError(f"The Task Scheduler would replace {found[0]!r} in {text!r}; rename it.")
    return text


def _notes(job: Job, *, password: bool, elsewhere: bool) -> tuple[str, ...]:
    here = ["The interpreter and the folder are those of this machine; run this on the Windows computer for its own."]
    notes = here if elsewhere else []
    notes += ["Registering a task that runs without a sign-in requires a console opened as administrator."]
    if password:
        notes.append("A path is on a share, so Windows asks for the account's password and stores it.")
    elif _logon_type(job) == "S4U":
        notes.append(
            "Windows stores no password for it, so the task cannot use the account's keyring or shares: put the secret "
            "into --env-file or another file."
        )
    return (*notes, f"To check it: `{command_line(question(job.name).words)}`")
