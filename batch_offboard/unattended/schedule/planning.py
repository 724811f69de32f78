"""Makes a job, and its text for the scheduler, from the operator's options and the properties of this machine.

It reads no files and calls no scheduler: configuration and machine are passed in as values.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from batch_offboard.base.errors import UsageError
from batch_offboard.config import Config
from batch_offboard.config.values import Part
from batch_offboard.unattended.schedule import cron, kubernetes, systemd, windows
from batch_offboard.unattended.schedule.job import Job, Kind, Rendered, start_of

SYSTEMD_RUNS = Path("/run/systemd/system")  # sd_booted(3)

# After a stop signal a run finishes the calls in flight, and each may take as long as the network timeout.
DEFAULT_TIMEOUT = 90.0  # seconds
TIME_TO_FINISH = 60  # seconds for the outcomes and the report


@dataclass(frozen=True, slots=True)
class Wish:
    """The operator's options, as typed. `catch_up` None: depends on the configuration."""

    kind: Kind
    name: str
    inbox: str
    at: str = "22:00"
    days: str = "daily"
    zone: str | None = None
    config: str | None = None
    journal: str | None = None
    env_file: str | None = None
    user: str | None = None
    image: str = ""
    catch_up: bool | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and as which user the command runs; `state` is the folder for state files."""

    folder: str
    interpreter: str
    state: str
    user: str
    default_image: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)


def kinds_here(has_program: Callable[[str], object] = shutil.which, platform: str = sys.platform) -> tuple[Kind, ...]:
    """The schedulers of this machine, the preferred one first. Kubernetes is never among them and must be named."""
    if platform == "win32":
        return (Kind.WINDOWS,)
    systemd_kinds = (Kind.SYSTEMD_USER, Kind.SYSTEMD_SYSTEM) if SYSTEMD_RUNS.is_dir() else ()
    return (*systemd_kinds, *((Kind.CRON,) if has_program("crontab") else ()))


def config_path(wish: Wish, machine: Machine) -> str:
    """The absolute path of the configuration for the scheduled run."""
    if wish.kind is Kind.KUBERNETES:
        return absolute(wish.kind, wish.config or str(kubernetes.CONFIG), machine.folder, "--config")
    named = wish.config or machine.environ.get("BATCH_OFFBOARD_CONFIG") or "config.yaml"
    return absolute(wish.kind, named, machine.folder, "--config")


def rendered(wish: Wish, machine: Machine, config: Config | None) -> Rendered:
    """The files and commands for the scheduler. `config` None: not available on this machine, or not yet."""
    job = job_of(wish, machine, config)
    match wish.kind:
        case Kind.SYSTEMD_USER | Kind.SYSTEMD_SYSTEM:
            return systemd.render(job, system=wish.kind is Kind.SYSTEMD_SYSTEM)
        case Kind.CRON:
            return cron.render(job)
        case Kind.WINDOWS:
            return windows.render(job, elsewhere=not PureWindowsPath(machine.interpreter).is_absolute())
        case Kind.KUBERNETES:
            return kubernetes.render(job, config=config_path(wish, machine), data=job.folder)


def job_of(wish: Wish, machine: Machine, config: Config | None) -> Job:
    """The job. Raises UsageError for options that cannot be combined."""
    kind, here = wish.kind, machine.folder
    if wish.user and kind not in {Kind.SYSTEMD_SYSTEM, Kind.WINDOWS}:
        raise UsageError(f"--user can be used with systemd-system and windows only; with {kind} the job runs as you.")
    if wish.image and kind is not Kind.KUBERNETES:
        raise UsageError("--image can be used with --kind kubernetes only.")
    start = start_of(wish.at, wish.days, wish.zone)
    inbox = absolute(kind, wish.inbox, here, "--inbox")
    journal = absolute(kind, wish.journal, here, "--journal") if wish.journal else None
    in_cluster = kind is Kind.KUBERNETES
    folder = kubernetes.data_folder(inbox, journal) if in_cluster else here
    journal = journal or (f"{folder}/journal.db" if in_cluster else None)
    state = _state(kind, machine, folder)
    arguments = ["nightly", "--inbox", inbox, "--config", config_path(wish, machine)]
    return Job(
        name=wish.name,
        interpreter="python" if in_cluster else machine.interpreter,
        arguments=(*arguments, *(("--journal", journal) if journal else ())),
        folder=folder,
        start=start,
        user=wish.user or (machine.user if kind is Kind.WINDOWS else None),
        env_file=_env_file(wish, here),
        environment={"XDG_STATE_HOME": state} if state else {},
        writable=tuple(dict.fromkeys(_writable(kind, machine, inbox, journal, config))),
        stop_seconds=int(config.network.timeout if config else DEFAULT_TIMEOUT) + TIME_TO_FINISH,
        catch_up=has_window(config) if wish.catch_up is None else wish.catch_up,
        image=wish.image or machine.default_image if in_cluster else "",
    )


def absolute(kind: Kind, text: str, folder: str, option: str) -> str:
    """The absolute path on the scheduler's machine. Raises UsageError for a relative path in a container."""
    if kind is Kind.WINDOWS and PureWindowsPath(text).is_absolute():
        return text
    if kind is Kind.KUBERNETES:
        path = PureWindowsPath(text).as_posix()  # as typed, on Windows too
        if not PurePosixPath(path).is_absolute():
            raise UsageError(f"{option} {text!r} is not an absolute path in the container; write it as in /data/inbox.")
        return path
    flavour = PureWindowsPath if PureWindowsPath(folder).is_absolute() else PurePosixPath
    return str(flavour(folder, text))


def has_window(config: Config | None) -> bool:
    """Whether the configuration restricts `nightly` to certain hours, so that a late start cannot send outside them."""
    return config is not None and config.window.window is not None


def variables_needed(part: Part) -> Iterator[str]:
    """The environment variables that the configuration reads secrets from."""
    for key in type(part).model_fields:
        value = getattr(part, key)
        if isinstance(value, Part):
            yield from variables_needed(value)
        elif key.endswith("_env") and isinstance(value, str):
            yield value


def _env_file(wish: Wish, folder: str) -> str | None:
    """The file's path; for Kubernetes as typed, since it is on this machine and becomes a secret."""
    if wish.env_file is None or wish.kind is Kind.KUBERNETES:
        return wish.env_file
    return absolute(wish.kind, wish.env_file, folder, "--env-file")


def _state(kind: Kind, machine: Machine, folder: str) -> str | None:
    """The XDG_STATE_HOME with which the job uses the same journal and locks as every other run; None to not set it."""
    match kind:
        case Kind.KUBERNETES:
            return folder
        case Kind.SYSTEMD_SYSTEM:
            return "/var/lib"
        case Kind.SYSTEMD_USER | Kind.CRON if machine.environ.get("XDG_STATE_HOME"):
            return str(PurePosixPath(machine.state).parent)
    return None


def _writable(kind: Kind, machine: Machine, inbox: str, journal: str | None, config: Config | None) -> Iterator[str]:
    """The paths that systemd must leave writable: sheets and reports, journal and locks, reports of manual batches."""
    if kind not in {Kind.SYSTEMD_USER, Kind.SYSTEMD_SYSTEM}:
        return
    files = [journal, *((config.journal, config.notices.textfile) if config else ())]
    yield inbox
    yield from [machine.state] if kind is Kind.SYSTEMD_USER else []
    yield from (str(PurePosixPath(Path(file).as_posix()).parent) for file in files if file is not None)
    yield str(PurePosixPath(machine.folder, "reports"))
