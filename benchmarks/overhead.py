"""What durable intents and outcomes cost: calls a second with the quota lifted, beside a bare aiohttp loop.

Server and client are processes of their own, and the server's clock tells how long the calls took: from the first to
arrive to the last. Both clients have the same workers, and take turns, so that whatever else the machine does meets
both.
"""

import asyncio
import json
import os
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import aiohttp
from aiohttp import web

from benchmarks.figures import Findings, Table, Target, ratio_text
from benchmarks.processes import PROGRAM, configure, device, measured, server, write_csv

WORKERS = (8, 64)
QUICK_CALLS = 300
ANSWER_TIME = 0.05  # seconds, less than any server on the Internet takes
SYNCS = 50  # to find out what one costs
WARM_UP = 10  # calls that are not counted: ours begins with five one by one
UNLIMITED = "quota: {per_minute: 10000, per_hour: 10000, burst: 10000}"  # more than are made


def run(quick: bool) -> Findings:
    disk, *memory = places()
    settings = [(disk, ANSWER_TIME, 1_500, 3), *((place, 0.0, 6_000, 5) for place in (disk, *memory))]
    compared = [
        _compared(place, answer_time, QUICK_CALLS if quick else calls, 1 if quick else rounds)
        for place, answer_time, calls, rounds in settings
    ]
    targets = [] if quick else [target for _, targets in compared for target in targets]
    return Findings("What a call costs", _EXPLANATION, [table for table, _ in compared], targets)


def _compared(place: "Place", answer_time: float, calls: int, rounds: int) -> tuple[Table, list[Target]]:
    rows, targets = [], []
    answers = f"after {answer_time * 1000:.0f} ms" if answer_time else "at once"
    with (
        TemporaryDirectory(dir=place.path) as name,
        server(["-m", "benchmarks.overhead", "serve", str(answer_time)], Path(name)) as url,
    ):
        folder = Path(name)
        write_csv(folder / "devices.csv", calls)
        for workers in WORKERS:
            configure(folder, url, f"{UNLIMITED}\nworkers: {workers}")
            pairs = [_pair(url, calls, workers, folder) for _ in range(rounds)]
            ratio = median(ours / bare for bare, ours in pairs)
            rows.append(_row(workers, pairs, ratio))
            if not answer_time:
                continue  # a measurement: the promise is about servers that take their time
            what = f"calls a second beside a bare aiohttp loop, server answers {answers}, {workers} workers, {place}"
            targets.append(Target(what, ratio_text(ratio), "0.50 x", ratio >= 0.5))
    head = ["workers", "bare aiohttp loop", "batch-offboard", "ratio", "lowest and highest ratio"]
    title = f"The server answers {answers}, {place}: calls a second"
    return Table(title, head, rows, f"{calls:,} calls without a quota, medians of {rounds} pairs of runs."), targets


@dataclass(frozen=True, slots=True)
class Place:
    """Where the journal is, and how long that makes a sync take (seconds)."""

    name: str
    path: Path | None
    sync: float

    def __str__(self) -> str:
        return f"journal {self.name} ({self.sync * 1000:.1f} ms a sync)"


def places() -> list[Place]:
    """The disk of temporary files, and memory, where there is such a folder: it shows what is not the disk's."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of random name is made in it
    found = [Place("on the disk", None, _sync_time(None))]
    return [*found, Place("in memory", memory, _sync_time(memory))] if os.access(memory, os.W_OK) else found


def _sync_time(folder: Path | None) -> float:
    """The median time of a small write with its sync."""
    times = []
    with TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return median(times)


def _row(workers: int, pairs: Sequence[tuple[float, float]], ratio: float) -> list[str]:
    ratios = sorted(ours / bare for bare, ours in pairs)
    rates = [f"{median(rates):,.0f}" for rates in zip(*pairs, strict=True)]
    return [str(workers), *rates, ratio_text(ratio), f"{ratios[0]:.2f} to {ratios[-1]:.2f}"]


def _pair(url: str, calls: int, workers: int, folder: Path) -> tuple[float, float]:
    return _bare(url, calls, workers, folder), _ours(url, folder)


_EXPLANATION = f"""Calls a second with the quota lifted. A bare aiohttp loop sends and forgets; ours has every intent
on the disk before the first byte leaves, and every outcome no later than the worker's next intent: one transaction for
a call, each of five syncs, which workers that wait at the same time share. A server that answers after
{ANSWER_TIME * 1000:.0f} ms is quicker than any on the Internet. One that answers at once, on this machine, shows what
nobody will see: the syncs where there are few workers, and the processor's time where there are many. The server, too,
needs one of the two cores."""


def _bare(url: str, calls: int, workers: int, folder: Path) -> float:
    _ask(f"{url}/reset")
    measured(["-m", "benchmarks.overhead", "bare", url, str(calls), str(workers)], folder)
    return _rate(url)


def _ours(url: str, folder: Path) -> float:
    """A journal of its own each time, so that no device counts as offboarded."""
    _ask(f"{url}/reset")
    (folder / "journal.db").unlink(missing_ok=True)
    options = ["--no-lookup", "--yes", "--quiet", "--journal", "journal.db", "--report", "out.csv"]
    measured([*PROGRAM, "run", "devices.csv", *options], folder)
    return _rate(url)


def _rate(url: str) -> float:
    arrivals = _ask(f"{url}/arrivals")
    counted: list[float] = arrivals[WARM_UP:]
    return (len(counted) - 1) / (counted[-1] - counted[0])


def _ask(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:  # noqa: S310  # our own, on loopback
        return json.load(answer)


# -- the two other processes --


def serve(answer_time: float) -> None:
    """A server that accepts everything after so many seconds, and remembers when calls arrived."""
    arrivals: list[float] = []

    async def offboard(request: web.Request) -> web.Response:
        arrivals.append(time.monotonic())
        number = len(arrivals)
        await request.read()
        if answer_time:
            await asyncio.sleep(answer_time)
        action = {"id": f"action-{number}", "type": "Offboard", "status": "Pending"}
        return web.json_response(action | {"machineId": request.match_info["device"]}, status=201)

    async def tell(_request: web.Request) -> web.Response:
        return web.json_response(arrivals)

    async def reset(_request: web.Request) -> web.Response:
        arrivals.clear()
        return web.json_response([])

    async def listen() -> None:
        app = web.Application()
        app.router.add_post("/api/machines/{device}/offboard", offboard)
        app.router.add_get("/arrivals", tell)
        app.router.add_get("/reset", reset)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(listen())


def bare(url: str, calls: int, workers: int) -> None:
    """What is written in five minutes: so many workers that post one device after the other."""
    left = iter(range(calls))

    async def work(session: aiohttp.ClientSession) -> None:
        for number in left:
            body = {"Comment": "Offboarded with devices.csv"}
            headers = {"Authorization": "Bearer rehearsal-token"}
            address = f"{url}/api/machines/{device(number)}/offboard"
            async with session.post(address, json=body, headers=headers) as response:
                await response.json()

    async def post() -> None:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(work(session) for _ in range(workers)))

    asyncio.run(post())


def main(arguments: Sequence[str]) -> None:
    if arguments[0] == "serve":
        serve(float(arguments[1]))
    else:
        bare(arguments[1], int(arguments[2]), int(arguments[3]))


if __name__ == "__main__":
    main(sys.argv[1:])
