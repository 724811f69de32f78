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
CALLS, ROUNDS = 6_000, 5
QUICK_CALLS, QUICK_ROUNDS = 300, 1
SYNCS = 50  # to find out what one costs
WARM_UP = 10  # calls that are not counted: ours begins with five one by one
UNLIMITED = "quota: {per_minute: 10000, per_hour: 10000, burst: 10000}"  # more than are made


def run(quick: bool) -> Findings:
    calls, rounds = (QUICK_CALLS, QUICK_ROUNDS) if quick else (CALLS, ROUNDS)
    rows, targets = [], []
    for place in places():
        with (
            TemporaryDirectory(dir=place.path) as name,
            server(["-m", "benchmarks.overhead", "serve"], Path(name)) as url,
        ):
            folder = Path(name)
            write_csv(folder / "devices.csv", calls)
            for workers in WORKERS:
                configure(folder, url, f"{UNLIMITED}\nworkers: {workers}")
                pairs = [_pair(url, calls, workers, folder) for _ in range(rounds)]
                ratio = median(ours / bare for bare, ours in pairs)
                rows.append(_row(place, workers, pairs, ratio))
                what = f"calls a second beside a bare aiohttp loop, {workers} workers, journal {place}"
                targets.append(Target(what, ratio_text(ratio), "0.50 x", ratio >= 0.5))
    head = ["journal", "workers", "bare aiohttp loop", "batch-offboard", "ratio", "lowest and highest ratio"]
    table = Table(f"{calls:,} calls, no quota: calls a second", head, rows, f"Medians of {rounds} pairs of runs.")
    return Findings("What a call costs", _EXPLANATION, [table], [] if quick else targets)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the journal is, and how long that makes a sync take (seconds)."""

    name: str
    path: Path | None
    sync: float

    def __str__(self) -> str:
        return f"{self.name} ({self.sync * 1000:.1f} ms a sync)"


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


def _row(place: Place, workers: int, pairs: Sequence[tuple[float, float]], ratio: float) -> list[str]:
    ratios = sorted(ours / bare for bare, ours in pairs)
    rates = [f"{median(rates):,.0f}" for rates in zip(*pairs, strict=True)]
    return [str(place), str(workers), *rates, ratio_text(ratio), f"{ratios[0]:.2f} to {ratios[-1]:.2f}"]


def _pair(url: str, calls: int, workers: int, folder: Path) -> tuple[float, float]:
    return _bare(url, calls, workers, folder), _ours(url, folder)


_EXPLANATION = """Calls a second with the quota lifted. A bare aiohttp loop sends and forgets; ours has every intent
on the disk before the first byte leaves, and every outcome before the job counts as done. Workers that wait for the
disk share its syncs. With few workers and a slow disk the syncs are all there is to see: a call waits for two
transactions, each of five syncs, and no more calls than there are workers can share them. With more workers, or where
a sync costs nothing, it is the processor's time. The server, too, needs one of the two cores."""


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


def serve() -> None:
    """A server that accepts everything at once, and remembers when calls arrived."""
    arrivals: list[float] = []

    async def offboard(request: web.Request) -> web.Response:
        arrivals.append(time.monotonic())
        await request.read()
        action = {"id": f"action-{len(arrivals)}", "type": "Offboard", "status": "Pending"}
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
        serve()
    else:
        bare(arguments[1], int(arguments[2]), int(arguments[3]))


if __name__ == "__main__":
    main(sys.argv[1:])
