"""Where a command works: its open journal, its configuration, and the way to a tenant, real or embedded."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from batch_offboard.base import logs
from batch_offboard.base.clock import Clock, LoopClock, SystemClock
from batch_offboard.base.errors import BusyError, ConfigError, ExitCode, GuardError, UsageError
from batch_offboard.base.text import one_line
from batch_offboard.calls.tenancy import Tenancy, Unreadable, open_tenancy
from batch_offboard.commands.fasttime import loop_factory
from batch_offboard.config import Config, Inbox, Log, load_config
from batch_offboard.config.loading import is_configured
from batch_offboard.config.places import default_journal, rehearsal_journal, state_folder
from batch_offboard.core.batches import Batch
from batch_offboard.core.brakes import Halt
from batch_offboard.core.guards import GuardLimits
from batch_offboard.core.protected import Protected, parse_protected
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.window import Window
from batch_offboard.defender.target import Target, limits_of, real_target, rehearsal_target
from batch_offboard.journal.reading import Owner, accepted_actions, batches_named, devices_of, latest_time, newest
from batch_offboard.journal.store import Journal

T = TypeVar("T")

LARGEST_LIST = 4 << 20  # bytes

REHEARSALS = "simulated/rehearsal"  # stands for the tenants of rehearsals, of which each batch has its own

LATEST = "latest"  # in a batch ID's place
CANDIDATES_NAMED = 5  # of the batches that a part of an ID may mean

Devices = Callable[[], Iterable[tuple[str | None, str | None]]]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What every command takes.

    `speed` is the rehearsal's; 1 is the machine's own time. `tell` speaks to whoever has to sign in. `unattended`: the
    command was started by a scheduler and keeps to the window.
    """

    environ: Mapping[str, str] = field(repr=False)
    cwd: Path
    config: Path | None = None
    journal: Path | None = None
    simulate: bool = False
    speed: float = 1.0
    faults: tuple[str, ...] = ()
    comment: str | None = None
    max_devices: int | None = None
    lookup: bool = True
    offboard_again: bool = False
    stop_file: Path | None = None
    unattended: bool = False
    continue_after_failures: bool = False
    tell: Callable[[str], None] = field(default=lambda _text: None, repr=False)


class World(Protocol):
    """The time that a command lives in, and what runs its waiting work."""

    @property
    def clock(self) -> Clock: ...

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` comes to, on an event loop of its own."""


class Machine:
    """The machine's own time."""

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work)


class Desk:
    """One command's open journal and, as far as it needs them, configuration and tenant; a context manager."""

    def __init__(self, options: Options, *, create: bool = False, world: World | None = None) -> None:
        if options.faults:
            from batch_offboard.commands.rehearsal import check_faults

            check_faults(options.faults)
        self.options = options
        self.world = world or Machine()
        self.clock = self.world.clock
        self.unreadable = Unreadable.NOTHING  # what was found to be unreadable is not asked for again
        self._config: Config | None = None
        self._target: Target | None = None
        self.journal = Journal(self._journal_path(), create=create)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.journal.close()

    @property
    def config(self) -> Config | None:
        """The configuration; a rehearsal has one only if it was named, and everything else can do without."""
        options = self.options
        wanted = options.config is not None or not options.simulate
        if self._config is None and wanted and is_configured(options.config, options.environ, options.cwd):
            self._config = load_config(options.config, options.environ, options.cwd)
            keep_log(self._config.log, options.tell)
        return self._config

    def limits(self) -> QuotaLimits:
        return limits_of(self.config.quota) if self.config else QuotaLimits()

    def guard_limits(self) -> GuardLimits:
        """What the guards allow; a rehearsal without a configuration has no limits, since it endangers nobody.

        Whoever says --max-devices means these devices, whatever else was sent today.
        """
        guards = self.config.guards if self.config else None
        if guards is None:
            return GuardLimits(self.options.max_devices, None, 100.0, max_devices_from="--max-devices")
        named = self.options.max_devices
        limits = GuardLimits(guards.max_devices, guards.per_day, guards.max_fleet_percent, guards.require_comment)
        return (
            limits
            if named is None
            else replace(limits, max_devices=named, max_devices_per_day=None, max_devices_from="--max-devices")
        )

    @property
    def continues_after_failures(self) -> bool:
        """Whether a refusal among the first calls stops nothing."""
        guards = self.config.guards if self.config else None
        return self.options.continue_after_failures or (guards is not None and guards.continue_after_failures)

    def objection(self) -> Halt | None:
        """What speaks against beginning a call now: a stop file, or, for an unattended run, the hour."""
        path = self._stop_file()
        if path is not None and _is_there(path):
            return Halt(f"The run is stopped by the stop file {path}; delete it to continue.", ExitCode.REFUSED)
        window, now = self.window(), self.clock.now().wall
        if window is None or window.span_at(now) is not None:
            return None
        return Halt(f"The window is closed; {window.when_next(now)}.", ExitCode.UNFINISHED)

    def window(self) -> Window | None:
        """The hours that the command has to keep to, if any."""
        config = self.config if self.options.unattended else None
        return config.window.window if config else None

    def _stop_file(self) -> Path | None:
        if self.options.stop_file is not None:
            return self.options.cwd / self.options.stop_file
        return self.config.guards.stop_file if self.config else None

    def protected(self) -> Protected:
        """The protected list; GuardError if one is configured and cannot be believed."""
        path = self.config.guards.protected if self.config else None
        if path is None:
            return Protected()
        try:
            return parse_protected(read_list(path))
        except (OSError, ValueError) as error:
            why = (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)
            raise GuardError(
                f"The protected list {path} (guards.protected) {_predicate(why)}; nothing was sent. Correct the list, "
                "or remove the key from the configuration."
            ) from error

    def inbox_keys(self) -> Inbox:
        """How the configuration wants the sheets of an inbox to be read."""
        return self.config.inbox if self.config else Inbox()

    def target(self) -> Target:
        """The real tenant, once for all that a command does there; without a configuration there is none."""
        if self.options.simulate:
            return rehearsal_target("", REHEARSALS, self.config)
        if self._target is None:
            options = self.options
            self._target = real_target(self.target_config(), options.environ, self.clock, options.tell)
        return self._target

    def target_config(self) -> Config:
        """The configuration of the real tenant; ConfigError if there is none."""
        options = self.options
        return self.config or load_config(options.config, options.environ, options.cwd)

    def target_of(self, batch: Batch) -> Target | None:
        """The real tenant of a batch, which must be the configured one; None for a rehearsal."""
        if batch.simulated and not self.options.simulate:
            raise UsageError(f"Batch {batch.batch_id} is a rehearsal; add --simulate.")
        if self.options.simulate and not batch.simulated:
            raise UsageError(f"Batch {batch.batch_id} is real; leave --simulate out.")
        if batch.simulated:
            return None
        target = self.target()
        if target.scope != batch.scope:
            raise ConfigError(
                f"Batch {batch.batch_id} belongs to {batch.scope}, and the configuration names {target.scope}; "
                "use the configuration that the batch was planned with."
            )
        return target

    def batch(self, name: str, *, begun: bool = False) -> Batch:
        """The batch of this ID, of the only ID that has this part, or the owner's `latest`: with `begun`, the latest
        that was run, whatever was planned since. UsageError if there is none or there are several."""
        if name == LATEST:
            return self._latest(begun=begun)
        found = batches_named(self.journal, name, CANDIDATES_NAMED + 1)
        if len(found) == 1:
            return found[0]
        if found:
            named = ", ".join(batch.batch_id for batch in found[:CANDIDATES_NAMED])
            more = " and more" if len(found) > CANDIDATES_NAMED else ""
            raise UsageError(
                f"{one_line(name)} stands in several batch IDs ({named}{more}); type more of the one meant."
            )
        raise UsageError(
            f"There is no batch {one_line(name)} in {self.journal.path}; `batch-offboard list` shows them."
        )

    def _latest(self, *, begun: bool) -> Batch:
        owner = self.owner() if self.options.simulate or self.config else Owner()
        found = newest(self.journal, owner, begun=begun)
        if found is None:
            none = f"No batch of {owner.words} was {'run' if begun else 'planned'} yet"
            raise UsageError(f"{none}; begin with `batch-offboard plan FILE`.")
        return found

    def owner(self) -> Owner:
        """Whose batches a command means that names none: the configured tenant and application's, or all rehearsals."""
        return Owner(simulated=True) if self.options.simulate else Owner(scope=self.target().scope)

    def with_tenant_of(self, batch: Batch, work: Callable[[Tenancy], Awaitable[T]], say: Say) -> T:
        """What `work` comes to at the batch's tenant; a rehearsal's tenant knows what it has accepted earlier."""
        target = self.target_of(batch)
        if target is not None:
            return self.with_tenant(target, work, say)
        earlier = accepted_actions(self.journal, batch.scope_key)
        return self.with_embedded_tenant(lambda: devices_of(self.journal, batch.key), batch.scope, work, say, earlier)

    def with_tenant(self, target: Target, work: Callable[[Tenancy], Awaitable[T]], say: Say) -> T:
        """What `work` comes to at a real tenant; whoever has to sign in does so before."""
        target.token.sign_in()

        async def inside() -> T:
            tenancy = open_tenancy(
                self.journal, target, self.clock, lock_folder=lock_folder(), unreadable=self.unreadable, say=say
            )
            async with tenancy as opened:
                try:
                    return await work(opened)
                finally:
                    self.unreadable = opened.unreadable

        return self.world.run(inside())

    def with_embedded_tenant(
        self,
        devices: Devices,
        scope: str,
        work: Callable[[Tenancy], Awaitable[T]],
        say: Say,
        earlier: Iterable[Mapping[str, Any]] = (),
    ) -> T:
        """The same at an embedded tenant of these devices (ID and name, either of which may be missing), on the event
        loop's own time."""
        from batch_offboard.commands.rehearsal import embedded_tenant

        async def inside() -> T:
            # An accelerated run leaves the journal ahead of the machine's time; the next goes on from there.
            clock = LoopClock(max(time.time(), latest_time(self.journal)))
            limits, faults = self.limits(), self.options.faults
            async with embedded_tenant(devices(), limits, faults, clock, earlier) as url:
                target = rehearsal_target(url, scope, self.config)
                async with open_tenancy(self.journal, target, clock, say=say) as tenancy:
                    return await work(tenancy)

        with asyncio.Runner(loop_factory=loop_factory(self.options.speed)) as runner:
            return runner.run(inside())

    def _journal_path(self) -> Path:
        if self.options.journal is not None:
            return self.options.cwd / self.options.journal
        if self.options.simulate:
            return rehearsal_journal()
        configured = self.config.journal if self.config else None
        return configured or default_journal()


def keep_log(log: Log, tell: Say) -> None:
    """From now on, for as long as the program runs, events are logged as the configuration wants it, if it does."""
    if log.file is not None:
        settings = logs.LogSettings(log.file, log.format, log.level, int(log.max_megabytes * 1e6), log.keep)
        logs.open_log(settings, tell)


def _is_there(path: Path) -> bool:
    """Whether the file exists; one that nobody can look for may well."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read_list(path: Path) -> str:
    """A text file that people keep; OSError or ValueError if it is none."""
    if path.stat().st_size > LARGEST_LIST:
        raise ValueError("is larger than 4 MB, which is no list")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None


def _predicate(why: str) -> str:
    """What is wrong with a file, so that it can follow its name."""
    return why if why.startswith(("is ", "has ")) else f"cannot be read ({why})"


def lock_folder() -> Path:
    """Where the locks of all journals meet: beside the journals, or where everybody may write."""
    for folder in (state_folder() / "locks", Path(tempfile.gettempdir()) / "batch-offboard-locks"):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise BusyError(
        "No folder for the lock can be written, neither the user's nor the system's for temporary files; "
        "make one of them writable."
    )
