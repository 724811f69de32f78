"""Renders a job as a systemd service and timer, for the user manager or the system manager.

Pure. The comments name the rules of systemd.unit(5), systemd.exec(5), systemd.service(5) and systemd.time(7).
"""

import re
from collections.abc import Mapping

from batch_offboard.base.errors import UsageError
from batch_offboard.core.window import DAYS
from batch_offboard.unattended.schedule.job import EVERY_DAY, WRITTEN_BY, Command, File, Job, Rendered, with_ranges

MARK = f"# {WRITTEN_BY}; `schedule remove` removes it."
STATE = "batch-offboard"  # the system service's own folder below /var/lib

_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?")

# For every service. `ProcSubset=pid` and `MemoryDenyWriteExecute` are omitted: the boot ID is read below /proc/sys, and
# foreign-function libraries generate code.
_HARDENING = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "SystemCallFilter=@system-service",
    "SystemCallErrorNumber=EPERM",
    "SystemCallArchitectures=native",
    "UMask=0077",
    "MemoryMax=2G",
    "TasksMax=128",
)
# These drop capabilities, which only the system manager can: a user service fails with 218/CAPABILITIES
# (github.com/systemd/systemd/issues/4959).
_SYSTEM_HARDENING = (
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectProc=invisible",
    "RemoveIPC=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
)


def render(job: Job, *, system: bool) -> Rendered:
    """The two units, and the commands that enable them. Raises UsageError for values that a unit cannot contain."""
    manager = ("systemctl",) if system else ("systemctl", "--user")
    return Rendered(
        (File(f"{job.name}.service", _service(job, system=system)), File(f"{job.name}.timer", _timer(job))),
        (
            Command((*manager, "daemon-reload")),
            Command((*manager, "enable", "--now", f"{job.name}.timer")),
        ),
        _notes(job, manager, system=system),
        () if system else job.writable[1:],  # the operator creates the inbox
    )


def removal(name: str, *, system: bool) -> tuple[Command, Command]:
    """The commands before and after the deletion of the two files; a running job is not stopped."""
    manager = ("systemctl",) if system else ("systemctl", "--user")
    return Command((*manager, "disable", "--now", f"{name}.timer")), Command((*manager, "daemon-reload"))


def question(name: str, unit: str, *, system: bool) -> Command:
    """The command that queries the properties of a unit, `timer` or `service`."""
    manager = ("systemctl",) if system else ("systemctl", "--user")
    keys = {
        "timer": "ActiveState,NextElapseUSecRealtime,LastTriggerUSec",
        "service": "ActiveState,Result,ExecMainStatus",
    }
    return Command((*manager, "show", f"{name}.{unit}", f"--property={keys[unit]}"))


def properties(text: str) -> Mapping[str, str]:
    """The `KEY=value` lines of `systemctl show`, without empty and unknown values."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {key: value for key, _, value in pairs if value and value != "n/a"}


def word(text: str) -> str:
    """One word of a list, quoted if necessary; `%` begins a specifier and is doubled (systemd.unit)."""
    doubled = text.replace("%", "%%")
    if _PLAIN.fullmatch(text):
        return doubled
    escaped = doubled.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def argument(text: str) -> str:
    """One word of a command line, in which `$` begins a variable, even in quotes, and is doubled (systemd.service)."""
    return word(text.replace("$", "$$"))


def _whole_line(text: str, name: str) -> str:
    """A value that is read unquoted to the end of the line: spaces at its ends are lost, a backslash joins lines."""
    if text.endswith("\\") or text != text.strip():
        raise UsageError(
            f"systemd does not accept the {name} {text!r}, which ends with a space or a backslash; rename it."
        )
    return text.replace("%", "%%")


def _service(job: Job, *, system: bool) -> str:
    command = job.command(env_file=False)  # systemd reads the file, before it switches to the user
    program = word(command[0])  # variables are not expanded in the program's name
    lines = [
        MARK,
        "[Unit]",
        "Description=batch-offboard: the sheets in the inbox, every night",
        *(["Wants=network-online.target", "After=network-online.target"] if system else []),
        "# A run that crashes is restarted, at most five times an hour.",
        "StartLimitIntervalSec=1h",
        "StartLimitBurst=5",
        "",
        "[Service]",
        "Type=oneshot",
        *([f"User={_user(job)}"] if system else []),
        f"WorkingDirectory={_whole_line(job.folder, 'folder')}",
        *([f"EnvironmentFile={_env_file(job.env_file)}"] if job.env_file else []),
        *(f"Environment={word(f'{name}={value}')}" for name, value in job.environment.items()),
        f"ExecStart={' '.join([program, *(argument(text) for text in command[1:])])}",
        "",
        "# After SIGTERM no new call starts, and the calls in flight are finished.",
        "KillSignal=SIGTERM",
        f"TimeoutStopSec={job.stop_seconds}",
        "TimeoutStartSec=infinity",
        "# Exit codes 1 and 3 are not crashes and cause no restart; but they mark the unit as failed, so that",
        "# `systemctl --failed` and monitoring show a night with failed or open rows.",
        "Restart=on-abnormal",
        "RestartSec=60",
        "",
        *_HARDENING,
        *(_SYSTEM_HARDENING if system else ()),
        *([f"StateDirectory={STATE}", "StateDirectoryMode=0700"] if system else []),
        "# The minus: the program itself reports a missing folder.",
        f"ReadWritePaths={' '.join(word(f'-{path}') for path in job.writable)}",
    ]
    return "\n".join(lines) + "\n"


def _timer(job: Job) -> str:
    start = job.start
    names = [day.capitalize() for day in DAYS]
    days = "" if start.days == EVERY_DAY else with_ranges(start.days, names, "..") + " "
    zone = f" {start.zone}" if start.zone else ""
    if job.catch_up:
        catch_up = [
            "# A missed start is made as soon as the machine is up, even in the daytime: `window` in the",
            "# configuration limits the hours, outside of which `nightly` starts nothing.",
            "Persistent=true",
        ]
    else:
        catch_up = ["# Missed starts are skipped.", "Persistent=false"]
    lines = [
        MARK,
        "[Unit]",
        f"Description=Starts {job.name}.service at {start.words}",
        "",
        "[Timer]",
        f"OnCalendar={days}*-*-* {start.hour:02}:{start.minute:02}:00{zone}",
        *catch_up,
        f"Unit={job.name}.service",
        "",
        "[Install]",
        "WantedBy=timers.target",
    ]
    return "\n".join(lines) + "\n"


def _user(job: Job) -> str:
    if job.user is None or not _USER.fullmatch(job.user):
        raise UsageError(
            "A system service needs --user NAME, the account that it runs as, such as one created with "
            "`useradd --system batch-offboard`."
        )
    return job.user


def _env_file(path: str) -> str:
    """The value is a glob pattern (systemd.exec), so a name with its characters would match other files."""
    if any(sign in path for sign in "*?["):
        raise UsageError(f"systemd would read * ? [ in --env-file {path!r} as a pattern; rename the file.")
    return _whole_line(path, "file")


def _notes(job: Job, manager: tuple[str, ...], *, system: bool) -> tuple[str, ...]:
    journal = "journalctl" if system else "journalctl --user"
    if system:
        who = f"The account {job.user} must be able to write to {', '.join(job.writable)}"
    else:
        who = "It runs only while you are signed in; to run it at all times: `loginctl enable-linger`"
    paths = (job.interpreter, job.folder, *job.arguments, *job.writable)
    hidden = [path for path in paths if path.startswith(("/tmp/", "/var/tmp/"))]  # noqa: S108  # looked at, not used
    return (
        who,
        *([f"The service has a /tmp of its own and cannot access {hidden[0]}; move it elsewhere."] if hidden else []),
        f"To see the last run: `{' '.join(manager)} status {job.name}.service`, and `{journal} -u {job.name}.service`",
    )
