"""What a scheduler starts, when, as which user and where; and the files and commands that install it.

Pure. A job contains only text that schedulers accept: line breaks and control characters are refused here.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from batch_offboard.base.errors import UsageError
from batch_offboard.core.window import DAYS, weekdays

PROGRAM = "batch_offboard"
WRITTEN_BY = "Written by `batch-offboard schedule install`"

EVERY_DAY = tuple(range(7))

# The strictest rule: a CronJob's name is a DNS label of at most 52 characters
# (kubernetes.io/docs/concepts/workloads/controllers/cron-jobs, "Job creation"); units and tasks accept it, too.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


class Kind(StrEnum):
    """The supported schedulers."""

    SYSTEMD_USER = "systemd-user"
    SYSTEMD_SYSTEM = "systemd-system"
    CRON = "cron"
    WINDOWS = "windows"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class Start:
    """When a job starts. `days` are sorted, 0 is Monday; without a `zone` the scheduler's own applies."""

    hour: int
    minute: int
    days: tuple[int, ...] = EVERY_DAY
    zone: str | None = None

    @property
    def cron(self) -> str:
        """The five fields of cron and Kubernetes, in which Sunday is 0 and Monday 1."""
        numbers = sorted(day + 1 if day < 6 else 0 for day in self.days)
        days = "*" if self.days == EVERY_DAY else with_ranges(numbers, tuple("0123456"), "-")
        return f"{self.minute} {self.hour} * * {days}"

    @property
    def words(self) -> str:
        """For people: "22:00 mon-fri, Europe/Berlin"."""
        days = "every day" if self.days == EVERY_DAY else with_ranges(self.days, DAYS, "-")
        return f"{self.hour:02}:{self.minute:02} {days}" + (f", {self.zone}" if self.zone else "")


@dataclass(frozen=True, slots=True)
class Job:
    """A command to be started regularly.

    `arguments` follow the program's name; `environment` contains no secrets, which are in `env_file`. `writable` are
    the folders that the run writes to. `stop_seconds` is how long a run may take to end after a stop signal.
    `catch_up`: a missed start is made as soon as the machine is up. `image` is for Kubernetes only.
    Raises UsageError for text that no scheduler accepts.
    """

    name: str
    interpreter: str
    arguments: tuple[str, ...]
    folder: str
    start: Start
    user: str | None = None
    env_file: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    writable: tuple[str, ...] = ()
    stop_seconds: int = 150
    catch_up: bool = False
    image: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        texts = [self.interpreter, *self.arguments, self.folder, self.user or "", self.env_file or "", self.image]
        for text in [*texts, *self.environment.values(), *self.writable]:
            if any(map(_is_unsupported, text)):
                raise UsageError(
                    f"{text!r} contains a line break or a control character, which no scheduler accepts; rename it."
                )

    def command(self, *, env_file: bool) -> tuple[str, ...]:
        """The exact command; with `env_file` the program itself reads the variables, if the scheduler cannot.

        `-P` keeps the working folder out of the module search path: a user who may write there must not be able to
        execute code as the job's account.
        """
        variables = ("--env-file", self.env_file) if env_file and self.env_file else ()
        return (self.interpreter, "-P", "-m", PROGRAM, *variables, *self.arguments)


@dataclass(frozen=True, slots=True)
class File:
    """A text file for a scheduler, and its encoding."""

    name: str
    text: str
    encoding: str = "utf-8"

    @property
    def data(self) -> bytes:
        return self.text.encode(self.encoding)


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the scheduler as an argument vector; `asks` if it prompts a person."""

    words: tuple[str, ...]
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """What to install: the `folders` to create, the files, then the commands in order.

    The commands run in the folder that contains the files. `notes` are for people.
    """

    files: tuple[File, ...]
    commands: tuple[Command, ...]
    notes: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


def check_name(name: str) -> None:
    """Raise UsageError unless every scheduler accepts the name."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"--name {name!r} is not valid; use at most 52 lower-case letters, digits and inner hyphens.")


def start_of(at: str, days: str, zone: str | None) -> Start:
    """When to start, from `HH:MM`, `mon-fri,sun` or `daily`, and an IANA name. Raises UsageError."""
    time = _TIME.fullmatch(at.strip())
    if time is None:
        raise UsageError(f"--at {at!r} is not a time of day; write it as 22:00.")
    if zone is not None and not _ZONE.fullmatch(zone):
        raise UsageError(f"--zone {zone!r} is not a time zone; write its IANA name, such as Europe/Berlin.")
    return Start(int(time[1]), int(time[2]), days_of(days), zone)


def days_of(text: str) -> tuple[int, ...]:
    """The days in `mon-fri`, `sat,sun`, `fri-mon` or `daily`, sorted, 0 for Monday. Raises UsageError."""
    try:
        return tuple(sorted(weekdays(text)))
    except ValueError:
        raise UsageError(f"--days {text!r} is not a list of days; write mon-fri, or sat,sun, or daily.") from None


def _is_unsupported(character: str) -> bool:
    """Whether it is a control character, a line separator, a lone surrogate or a Unicode noncharacter."""
    code = ord(character)
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or code & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
    )


def with_ranges(numbers: Iterable[int], names: Sequence[str], to: str) -> str:
    """The names of sorted numbers, consecutive ones as a range: mon-wed,fri."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(names[run[0]] if len(run) == 1 else f"{names[run[0]]}{to}{names[run[-1]]}" for run in runs)
