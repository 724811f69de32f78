"""Installs jobs in this machine's schedulers, shows them, and removes them.

Only what this program wrote is replaced or removed: anything without our mark is refused.
"""

import csv
import io
import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from batch_offboard.base.errors import UsageError
from batch_offboard.unattended.schedule import cron, kubernetes, systemd, windows
from batch_offboard.unattended.schedule.job import Command, Kind, Rendered
from batch_offboard.unattended.schedule.programs import Done, Run


@dataclass(frozen=True, slots=True)
class Standing:
    """What a scheduler reports about one of our jobs. Texts are the scheduler's own; None if not reported."""

    kind: Kind
    name: str
    places: tuple[str, ...]
    state: str | None = None
    next_start: str | None = None
    last_start: str | None = None
    last_exit: int | None = None


class Scheduler(Protocol):
    """One scheduler. Every method raises UsageError, with the scheduler's own message, if it fails."""

    def places(self, rendered: Rendered) -> tuple[str, ...]:
        """Where the files of a job are written."""

    def install(self, name: str, rendered: Rendered) -> None:
        """Install a job, replacing an earlier one of the same name."""

    def show(self, name: str) -> Standing | None:
        """The job's state, or None if none of our jobs has the name."""

    def remove(self, name: str) -> tuple[str, ...]:
        """Remove a job, and return what was removed."""


def scheduler(kind: Kind, run: Run, environ: Mapping[str, str], home: Path) -> Scheduler:
    """The scheduler of this kind; `home` is the user's home, for user units."""
    match kind:
        case Kind.SYSTEMD_USER:
            configured = environ.get("XDG_CONFIG_HOME")
            return Systemd(run, Path(configured or home / ".config") / "systemd" / "user", system=False)
        case Kind.SYSTEMD_SYSTEM:
            return Systemd(run, Path("/etc/systemd/system"), system=True)
        case Kind.CRON:
            return Cron(run)
        case Kind.WINDOWS:
            return Windows(run)
        case Kind.KUBERNETES:
            return Kubernetes(run)


class Systemd:
    """Two unit files in a folder, and `systemctl`."""

    def __init__(self, run: Run, folder: Path, *, system: bool) -> None:
        self._run = run
        self._folder = folder
        self._system = system
        self._kind = Kind.SYSTEMD_SYSTEM if system else Kind.SYSTEMD_USER

    def places(self, rendered: Rendered) -> tuple[str, ...]:
        return tuple(str(self._folder / file.name) for file in rendered.files)

    def install(self, name: str, rendered: Rendered) -> None:
        """Install both units or none: if systemd refuses them, the previous files are restored."""
        before = {path: self._ours(path) for path in self._paths(name)}
        for folder in rendered.folders:
            _make(Path(folder))
        try:
            for file in rendered.files:
                _write(self._folder / file.name, file.data)
            for command in rendered.commands:
                _check_done(self._run(command, "", None), command)
        except BaseException:
            for path, text in before.items():
                _restore(path, text)
            with suppress(UsageError):
                self._run(rendered.commands[0], "", None)
            raise

    def show(self, name: str) -> Standing | None:
        paths = [path for path in self._paths(name) if self._ours(path) is not None]
        if not paths:
            return None
        timer, service = (self._asked(name, unit) for unit in ("timer", "service"))
        ran = "LastTriggerUSec" in timer and service.get("ActiveState") != "activating"
        return Standing(
            self._kind,
            name,
            tuple(str(path) for path in paths),
            timer.get("ActiveState"),
            timer.get("NextElapseUSecRealtime"),
            timer.get("LastTriggerUSec"),
            int(service["ExecMainStatus"]) if ran and service.get("ExecMainStatus", "").isdigit() else None,
        )

    def remove(self, name: str) -> tuple[str, ...]:
        paths = [path for path in self._paths(name) if self._ours(path) is not None]
        if not paths:
            raise _nothing(name, self._kind)
        before, after = systemd.removal(name, system=self._system)
        _check_done(self._run(before, "", None), before)
        for path in paths:
            path.unlink(missing_ok=True)
        _check_done(self._run(after, "", None), after)
        return tuple(str(path) for path in paths)

    def _paths(self, name: str) -> tuple[Path, Path]:
        return self._folder / f"{name}.service", self._folder / f"{name}.timer"

    def _ours(self, path: Path) -> bytes | None:
        """The content of our file, or None if there is none. Raises UsageError for a file that is not ours."""
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read ({error.strerror}); nothing was changed. Check who may read it."
            ) from error
        if not data.startswith(systemd.MARK.encode()):
            raise UsageError(f"{path} was not written by `schedule install`; choose another --name, or move the file.")
        return data

    def _asked(self, name: str, unit: str) -> Mapping[str, str]:
        done = self._run(systemd.question(name, unit, system=self._system), "", None)
        return systemd.properties(done.out) if done.code == 0 else {}


class Cron:
    """Lines in the crontab of the current user."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def places(self, rendered: Rendered) -> tuple[str, ...]:
        return tuple("the crontab" for _ in rendered.files)

    def install(self, name: str, rendered: Rendered) -> None:
        block = rendered.files[0].text
        if "\nCRON_TZ=" in block and "cronie" not in self._run(Command(("crontab", "-V")), "", None).out.lower():
            raise UsageError(
                "This machine's cron supports only the machine's own time zone (CRON_TZ requires cronie); omit --zone, "
                "or use --kind systemd-user."
            )
        self._replace(cron.with_block(self._read(), name, block))

    def show(self, name: str) -> Standing | None:
        block = cron.block_in(self._read(), name)
        return None if block is None else Standing(Kind.CRON, name, ("the crontab",), "active", None)

    def remove(self, name: str) -> tuple[str, ...]:
        crontab = self._read()
        if cron.block_in(crontab, name) is None:
            raise _nothing(name, Kind.CRON)
        self._replace(cron.without_block(crontab, name))
        return (f"the lines of {name} in the crontab",)

    def _read(self) -> str:
        """The crontab. A missing one is reported as an error; any other error must not be taken for an empty one."""
        command = Command(("crontab", "-l"))
        done = self._run(command, "", None)
        if done.code != 0 and "no crontab" in done.err.lower():
            return ""
        _check_done(done, command)
        return done.out

    def _replace(self, crontab: str) -> None:
        command = Command(("crontab", "-"))
        _check_done(self._run(command, crontab, None), command)


class Windows:
    """A task in the root folder of the Task Scheduler."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def places(self, rendered: Rendered) -> tuple[str, ...]:
        return tuple(f"the task \\{Path(file.name).stem}" for file in rendered.files)

    def install(self, name: str, rendered: Rendered) -> None:
        self._definition(name)
        _with_file(self._run, rendered)

    def show(self, name: str) -> Standing | None:
        if not self._definition(name):
            return None
        done = self._run(windows.question(name), "", None)
        cells = next((row for row in csv.reader(io.StringIO(done.out)) if len(row) >= 3), ["", "", ""])
        return Standing(Kind.WINDOWS, name, (f"the task \\{name}",), cells[2] or None, cells[1] or None)

    def remove(self, name: str) -> tuple[str, ...]:
        if not self._definition(name):
            raise _nothing(name, Kind.WINDOWS)
        command = windows.removal(name)
        _check_done(self._run(command, "", None), command)
        return (f"the task \\{name}",)

    def _definition(self, name: str) -> str:
        """The XML of our task, empty if there is none. Raises UsageError for a task that is not ours."""
        done = self._run(windows.definition_question(name), "", None)
        if done.code == 0 and not windows.is_ours(done.out):
            raise UsageError(f"The task \\{name} was not made by `schedule install`; choose another --name.")
        return done.out if done.code == 0 else ""


class Kubernetes:
    """A CronJob in kubectl's current namespace."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def places(self, rendered: Rendered) -> tuple[str, ...]:
        return tuple(f"the CronJob {Path(file.name).stem}" for file in rendered.files)

    def install(self, name: str, rendered: Rendered) -> None:
        self.show(name)
        _with_file(self._run, rendered)

    def show(self, name: str) -> Standing | None:
        command = kubernetes.question(name)
        done = self._run(command, "", None)
        _check_done(done, command)
        if not done.out.strip():
            return None
        found = json.loads(done.out)
        if not kubernetes.is_ours(found):
            raise UsageError(f"The CronJob {name} was not made by `schedule install`; choose another --name.")
        state = "suspended" if found.get("spec", {}).get("suspend") else "active"
        last = found.get("status", {}).get("lastScheduleTime")
        return Standing(Kind.KUBERNETES, name, (f"the CronJob {name}",), state, None, last)

    def remove(self, name: str) -> tuple[str, ...]:
        if self.show(name) is None:
            raise _nothing(name, Kind.KUBERNETES)
        command = kubernetes.removal(name)
        _check_done(self._run(command, "", None), command)
        return (f"the CronJob {name}",)


def _nothing(name: str, kind: Kind) -> UsageError:
    return UsageError(
        f"This program has not scheduled {name} with {kind}; `batch-offboard schedule show` shows what it has."
    )


def _check_done(done: Done, command: Command) -> None:
    if done.code != 0:
        raise UsageError(f"`{' '.join(command.words)}` failed: {done.complaint}")


def _with_file(run: Run, rendered: Rendered) -> None:
    """Run the scheduler's command with the file in a temporary folder."""
    file, command = rendered.files[0], rendered.commands[0]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / file.name).write_bytes(file.data)
        _check_done(run(command, "", Path(folder)), command)


def _write(path: Path, data: bytes) -> None:
    """Write atomically, since systemd may read the file at any time."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}); nothing was scheduled. Check who may write there."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The folder {folder} cannot be created ({error.strerror}); nothing was scheduled. Check its permissions."
        ) from error


def _restore(path: Path, data: bytes | None) -> None:
    with suppress(OSError, UsageError):
        if data is None:
            path.unlink(missing_ok=True)
        else:
            _write(path, data)
