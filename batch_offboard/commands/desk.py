"""What a command works with: its open journal, its configuration, and access to tenants."""

from dataclasses import replace
from pathlib import Path
from typing import Self

from batch_offboard.base.clock import Clock, SystemClock
from batch_offboard.base.errors import ExitCode, GuardError, UsageError
from batch_offboard.base.text import one_line
from batch_offboard.commands.access import TenantAccess
from batch_offboard.commands.options import Options
from batch_offboard.config import Config, Inbox, load_config
from batch_offboard.config.loading import is_configured
from batch_offboard.config.places import default_journal, rehearsal_journal
from batch_offboard.core.batches import Batch
from batch_offboard.core.brakes import Halt
from batch_offboard.core.guards import GuardLimits
from batch_offboard.core.protected import Protected, parse_protected
from batch_offboard.core.window import Window
from batch_offboard.journal.reading import Owner, batches_named, newest
from batch_offboard.journal.store import Journal

LARGEST_LIST = 4 << 20  # bytes

LATEST = "latest"  # in place of a batch ID
CANDIDATES_NAMED = 5  # of the batches that a part of an ID matches


class Desk:
    """One command's open journal, and its configuration, which is read when first needed. A context manager that closes
    the journal."""

    def __init__(
        self,
        options: Options,
        *,
        create: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Open the journal; `clock` is by default the machine's."""
        if options.faults:
            from batch_offboard.commands.rehearsal import check_faults

            check_faults(options.faults)
        self.options = options
        self.clock = clock or SystemClock()
        self._config: Config | None = None
        self.journal = Journal(self._journal_path(), create=create, actor=options.actor)
        self.tenants = TenantAccess(options, self.journal, self.clock, lambda: self.config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.journal.close()

    @property
    def config(self) -> Config | None:
        """The configuration, None if there is none; a rehearsal has one only if it was named."""
        options = self.options
        wanted = options.config is not None or not options.simulate
        if self._config is None and wanted and is_configured(options.config, options.environ, options.cwd):
            self._config = load_config(options.config, options.environ, options.cwd)
            options.configured(self._config)
        return self._config

    def guard_limits(self) -> GuardLimits:
        """The guards' limits; a rehearsal without a configuration has none, since nothing real is sent.

        --max-devices applies to this run's devices, so it replaces the daily limit as well.
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
        """Whether a run continues after a refusal among its first calls."""
        guards = self.config.guards if self.config else None
        return self.options.continue_after_failures or (guards is not None and guards.continue_after_failures)

    def objection(self) -> Halt | None:
        """Why no call may start now: a stop file, or a closed window for an unattended run."""
        path = self._stop_file()
        if path is not None and _is_there(path):
            return Halt(f"The run is stopped by the stop file {path}; delete it to continue.", ExitCode.REFUSED)
        window, now = self.window(), self.clock.now().wall
        if window is None or window.span_at(now) is not None:
            return None
        return Halt(f"The window is closed; {window.when_next(now)}.", ExitCode.UNFINISHED)

    def window(self) -> Window | None:
        """The window that the command must respect, if any."""
        config = self.config if self.options.unattended else None
        return config.window.window if config else None

    def _stop_file(self) -> Path | None:
        if self.options.stop_file is not None:
            return self.options.cwd / self.options.stop_file
        return self.config.guards.stop_file if self.config else None

    def protected(self) -> Protected:
        """The protected list. Raises GuardError if one is configured but unusable."""
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
        """How the sheets of an inbox are read, by the configuration."""
        return self.config.inbox if self.config else Inbox()

    def batch(self, name: str, *, begun: bool = False) -> Batch:
        """The batch with this ID, with the only ID that contains this part, or the owner's `latest`: with `begun`, the
        latest that was run, ignoring later plans. Raises UsageError if there is none or there are several."""
        if name == LATEST:
            return self._latest(begun=begun)
        found = batches_named(self.journal, name, CANDIDATES_NAMED + 1)
        if len(found) == 1:
            return found[0]
        if found:
            named = ", ".join(batch.batch_id for batch in found[:CANDIDATES_NAMED])
            more = " and more" if len(found) > CANDIDATES_NAMED else ""
            raise UsageError(f"{one_line(name)} matches several batch IDs ({named}{more}); type more of the one meant.")
        raise UsageError(
            f"There is no batch {one_line(name)} in {self.journal.path}; `batch-offboard list` shows them."
        )

    def _latest(self, *, begun: bool) -> Batch:
        owner = self.tenants.owner() if self.options.simulate or self.config else Owner()
        found = newest(self.journal, owner, begun=begun)
        if found is None:
            none = f"No batch of {owner.words} was {'run' if begun else 'planned'} yet"
            raise UsageError(f"{none}; begin with `batch-offboard plan FILE`.")
        return found

    def _journal_path(self) -> Path:
        if self.options.journal is not None:
            return self.options.cwd / self.options.journal
        if self.options.simulate:
            return rehearsal_journal()
        configured = self.config.journal if self.config else None
        return configured or default_journal()


def _is_there(path: Path) -> bool:
    """Whether the file exists; true if that cannot be determined."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read_list(path: Path) -> str:
    """The text of a file that people edit. Raises OSError or ValueError if it cannot be read or is not text."""
    if path.stat().st_size > LARGEST_LIST:
        raise ValueError("is larger than 4 MB, too large for a list")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None


def _predicate(why: str) -> str:
    """What is wrong with a file, as the predicate after its name."""
    return why if why.startswith(("is ", "has ")) else f"cannot be read ({why})"
