"""A process that dies leaves on the disk what a real one leaves."""

import sqlite3
from contextlib import closing
from functools import partial

from tests.simulation.host import Blow, Process, Step
from tests.simulation.office import Office
from tests.simulation.scenario import Scenario
from tests.simulation.story import Story, told_by

DEVICES = 6000  # whose rows are more than SQLite keeps in memory until a transaction ends


class DyingPlanner(Story):
    """A sheet is planned twice; the second time the process dies when its rows are in the file and not yet there for
    good."""

    def __init__(self, office: Office) -> None:
        super().__init__(office)
        self._size = 0

    def _strike(self, _process: Process, step: Step) -> Blow | None:
        size = self._office.journal.stat().st_size
        if step.what == "begin":
            self._size = size
        return Blow.KILL if step.what == "commit" and size > self._size else None

    async def _chaos(self) -> None:
        office = self._office
        [sheet] = self._unread
        await office.give("plan", partial(self._plan, sheet))
        before = self._rows()
        office.host.strikes = self._strike
        self.was_killed = (await office.give("plan", partial(self._plan, sheet))).killed
        self.is_as_before = self._rows() == before
        with closing(sqlite3.connect(office.journal)) as eye:
            self.check = eye.execute("PRAGMA integrity_check").fetchall()

    async def _calm(self) -> None:
        """Nothing is sent: the file is all that matters here."""

    def _rows(self) -> list[tuple[int]]:
        with closing(sqlite3.connect(self._office.journal)) as eye:
            return eye.execute("SELECT count(*) FROM rows").fetchall()


def test_a_process_that_dies_in_a_large_transaction_leaves_what_undoes_it() -> None:
    story = told_by(Scenario(seed=1, devices=DEVICES, commands=0), DyingPlanner)
    assert (story.was_killed, story.is_as_before, story.check) == (True, True, [("ok",)])
