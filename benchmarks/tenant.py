"""Large tenants: calls, time and memory of looking up 200,000 devices, and the calls of following 50,000 actions."""

import asyncio
import json
import socket
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from batch_offboard.base.clock import SystemClock
from batch_offboard.core.jobs import CallOutcome, Verdict
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.reading import find_batch
from batch_offboard.journal.store import Journal
from batch_offboard.simulator import Pace, SimulatorOptions, fleet_of, running_simulator
from benchmarks.figures import Findings, Table, Target, megabytes_text, seconds_text
from benchmarks.processes import PROGRAM, configure, measured, server, write_csv

FLEET, SHEETS, ACTIONS = 200_000, (50, 50_000), 50_000
QUICK_FLEET, QUICK_SHEETS, QUICK_ACTIONS = 2_000, (50, 500), 500

# A full page holds 10,000; behind the last there is one that is empty.
CALLS_FOR_ACTIONS = 10


def run(quick: bool) -> Findings:
    fleet, sheets, actions = (QUICK_FLEET, QUICK_SHEETS, QUICK_ACTIONS) if quick else (FLEET, SHEETS, ACTIONS)
    looked_up, calls = _look_up(fleet, sheets)
    followed, rounds = _follow(actions)
    targets = [
        Target(
            f"calls of a look-up for {sheets[-1]:,} rows, beside {sheets[0]:,} rows",
            f"{calls[-1]} and {calls[0]}",
            "the same",
            calls[-1] == calls[0],
        ),
        Target(
            f"calls of a round for {actions:,} actions",
            str(rounds),
            f"{CALLS_FOR_ACTIONS}",
            rounds <= CALLS_FOR_ACTIONS,
        ),
    ]
    return Findings("Large tenants", _EXPLANATION, [looked_up, followed], [] if quick else targets)


_EXPLANATION = """A plan reads the whole tenant in pages and compares on the spot, so that the sheet's length costs no
calls. Following reads the list of actions, not each action."""


def _look_up(fleet: int, sheets: Sequence[int]) -> tuple[Table, list[int]]:
    rows, calls = [], []
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_csv(folder / "fleet.csv", fleet)
        with server([*PROGRAM, "simulate", "--sheet", "fleet.csv", "--latency", "0-0"], folder) as url:
            configure(folder, url)
            for count in sheets:
                write_csv(folder / "devices.csv", count)
                plan = [*PROGRAM, "plan", "devices.csv", "--quiet", "--journal", f"{count}.db"]
                cost = measured(plan, folder)
                calls.append(_reads(folder / f"{count}.db"))
                rows.append([f"{count:,}", str(calls[-1]), seconds_text(cost.seconds), megabytes_text(cost.memory)])
    head = ["rows of the sheet", "reading calls", "processor time of `plan`", "memory"]
    return Table(f"Looking up a tenant of {fleet:,} devices", head, rows), calls


def _follow(actions: int) -> tuple[Table, int]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_csv(folder / "devices.csv", actions)
        port = _free_port()
        configure(folder, f"http://127.0.0.1:{port}")
        plan = measured([*PROGRAM, "plan", "devices.csv", "--no-lookup", "--json", "--journal", "journal.db"], folder)
        batch = str(json.loads(plan.out)["batch"])
        with server(["-m", "benchmarks.tenant", "journal.db", batch, str(port)], folder):
            follow = [*PROGRAM, "track", batch, "--quiet", "--journal", "journal.db", "--report", "out.csv"]
            cost = measured(follow, folder)
        calls = _reads(folder / "journal.db")
    head = ["actions", "reading calls of a round", "processor time of `track`", "memory"]
    row = [f"{actions:,}", str(calls), seconds_text(cost.seconds), megabytes_text(cost.memory)]
    return Table("Following machine actions", head, [row]), calls


def _reads(journal: Path) -> int:
    with closing(sqlite3.connect(journal)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM calls WHERE api = 'read'").fetchone()
    return int(count)


def _free_port() -> int:
    """A batch belongs to one address, and is planned before anybody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def serve_finished_actions(path: Path, name: str, port: int) -> None:
    """A tenant in which every device of the batch has been offboarded by it, and the journal that knows."""

    async def serve() -> None:
        journal = Journal(path)
        batch = find_batch(journal, name)
        assert batch is not None  # noqa: S101  # was planned just now
        with closing(sqlite3.connect(path)) as connection:
            jobs = connection.execute(
                "SELECT row, device_id FROM jobs WHERE batch = ? ORDER BY row", (batch.key,)
            ).fetchall()
        fleet = fleet_of([(device_id, None) for _, device_id in jobs], 0, time.time())
        options = SimulatorOptions(port=port, latency=(0.0, 0.0), pace=Pace(pick_up=(0, 0), work=(0, 0)))
        async with running_simulator(fleet, options, time.time) as simulator:
            now = SystemClock().now()
            starts, ends = [], []
            for row, device_id in jobs:
                action = simulator.tenant.start(device_id, f"[bo {name}/{row}/1]", time.time())
                outcome = CallOutcome(Verdict.SUBMITTED, 201, action.id, "Pending")
                starts.append(Start(batch.key, batch.scope_key, row, 1, now))
                ends.append(End(batch.key, batch.scope_key, row, 1, now, outcome))
            journal.commit(starts, [])
            journal.commit([], ends)
            journal.close()
            print(simulator.url, flush=True)
            await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    serve_finished_actions(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
