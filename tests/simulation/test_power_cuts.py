"""The power goes at any moment of a run: whatever the disk forgets, no finished transaction is lost and none is halved.

Most of all this holds for the intent of a call, at the moment when the call's first byte leaves.
"""

import contextvars
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from tests.simulation import disk
from tests.simulation.crash_points import FEW_DEVICES, StruckRun, scenario
from tests.simulation.host import Blow, Process, Step, nothing_strikes
from tests.simulation.office import Office
from tests.simulation.power import ForgetfulDisk, Image, NoTableError, overheard
from tests.simulation.record import Exchange
from tests.simulation.story import told_by

JOURNAL = "journal.db"


class PoweredRun(StruckRun):
    """The run of the crash points with nobody to strike it, and after each change of the journal's files: what a power
    cut would leave of them. Between two steps there is one transaction at most."""

    def __init__(self, office: Office, draws: int) -> None:
        super().__init__(office)
        self._number_of_draws = draws
        self._disk = ForgetfulDisk(office.journal)
        self._draws = Random(0)  # noqa: S311  # the same each time is the point
        self._states: dict[bytes, str] = {}
        self._since: set[str] = set()
        self._before = ""
        self.lost: list[str] = []
        self.images = self.intents = self.changes = 0

    async def _chaos(self) -> None:
        office = self._office
        office.host.strikes = self._strike
        office.net.began = self._first_byte(office.net.began)
        self._disk.on_change = self._change
        [sheet] = self._unread
        with overheard(self._disk):
            await office.give("run", partial(office.run_sheet, sheet))
        office.host.strikes = nothing_strikes

    def _images(self) -> Iterator[Image]:
        """What a power cut would leave: nothing that was not synced; then, so often as is wanted, some of it."""
        yield self._disk.after_power_cut(None)
        for _ in range(self._number_of_draws):
            yield self._disk.after_power_cut(self._draws)

    def _change(self) -> None:
        contextvars.Context().run(self._look_after_change)  # nothing of it is the process's own doing

    def _look_after_change(self) -> None:
        self.changes += 1
        self._since |= {self._state_after(image) for image in self._images()}

    def _strike(self, _process: Process, step: Step) -> Blow | None:
        if self._office.journal.exists():
            contextvars.Context().run(self._look, step)
        return None

    def _look(self, step: Step) -> None:
        """Since the step before, a power cut would have left what was committed then or what is committed now."""
        now = self._state_of(self._office.folder)
        if self._before and not self._since <= {self._before, now}:
            self.lost.append(f"before {step}: torn between two transactions")
        if self._before and {self._state_after(image) for image in self._images()} != {now}:
            self.lost.append(f"at {step}: a power cut would undo what was committed")
        self._before, self._since = now, set()

    def _first_byte(self, told_before: Callable[[Exchange], None]) -> Callable[[Exchange], None]:
        def began(exchange: Exchange) -> None:
            told_before(exchange)
            if exchange.method == "POST":
                device = exchange.path.split("/")[3]
                self.intents += contextvars.Context().run(self._has_intents, device)

        return began

    # -- after the power cut --

    def _recovered(self, image: Image) -> Path:
        folder = self._office.folder / "after"
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for name, content in image.items():
            (folder / name).write_bytes(content)
        return folder

    def _state_after(self, image: Image) -> str:
        self.images += 1
        key = hashlib.sha256(b"".join(b"%d " % len(image[name]) + image[name] for name in sorted(image))).digest()
        if key not in self._states:
            self._states[key] = self._state_of(self._recovered(image))
        return self._states[key]

    def _state_of(self, folder: Path) -> str:
        """All that a journal holds; whoever opens it first undoes what was left half done."""
        if not (folder / JOURNAL).exists():
            return "no journal"
        with closing(sqlite3.connect(folder / JOURNAL)) as eye:
            if eye.execute("PRAGMA quick_check").fetchone() != ("ok",):
                return "broken"
            return hashlib.sha256("\n".join(eye.iterdump()).encode()).hexdigest()

    def _has_intents(self, device: str) -> bool:
        return all(self._has_intent(image, device) for image in self._images())

    def _has_intent(self, image: Image, device: str) -> bool:
        statement = "SELECT count(*) FROM jobs WHERE device_id = ? AND state = 'sending'"
        with closing(sqlite3.connect(self._recovered(image) / JOURNAL)) as eye:
            found: tuple[Any, ...] = eye.execute(statement, (device,)).fetchone()
        return found == (1,)


def run_with_power_cuts(draws: int) -> PoweredRun:
    try:
        run = told_by(scenario(FEW_DEVICES), partial(PoweredRun, draws=draws))
    except NoTableError as error:
        pytest.skip(f"SQLite's files cannot be overheard: {error}")
    if not run.changes:
        pytest.skip("Python has a SQLite inside itself, which cannot be overheard")
    return run


def test_a_power_cut_at_any_moment_loses_no_finished_transaction_and_no_intent() -> None:
    run = run_with_power_cuts(draws=2)
    assert run.lost == []
    assert run.intents > FEW_DEVICES, "each call's intent, that of the second attempt of one device too"
    assert run.images > 500


def test_with_less_than_extra_synchronous_a_power_cut_would_undo_a_finished_transaction() -> None:
    """The disk forgets as it should: a deleted rollback journal comes back, unless its directory was synced."""

    def execute(connection: sqlite3.Connection, statement: str) -> sqlite3.Cursor:
        return sqlite3.Connection.execute(connection, statement.replace("synchronous = EXTRA", "synchronous = FULL"))

    with patch.object(disk.Connection, "execute", execute), patch.dict(disk.DURABLE, synchronous=2):
        run = run_with_power_cuts(draws=0)
    assert any("a power cut would undo what was committed" in each for each in run.lost)
