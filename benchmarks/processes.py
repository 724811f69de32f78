"""Programs as they are measured: each in a process of its own, with the time and the memory that it took."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

TOKEN_VARIABLE = "BENCHMARK_TOKEN"  # noqa: S105  # a name
PROGRAM = ("-m", "batch_offboard")


@dataclass(frozen=True, slots=True)
class Cost:
    """`seconds` of processor time, `memory` the peak in bytes, `out` what was written to stdout."""

    seconds: float
    memory: float
    out: str


class FailedError(Exception):
    """A program that is measured has to do its work."""


def measured(arguments: Sequence[str], folder: Path, *, codes: Sequence[int] = (0,)) -> Cost:
    """Run Python with these arguments in the folder. Processor time, since others use the machine as well."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        process = subprocess.Popen(  # noqa: S603  # ours
            [sys.executable, *arguments], cwd=folder, env=environment(folder), stdout=out, stderr=err
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in codes:
            raise FailedError(f"{arguments} ended with {process.returncode}: {err.read()[-2000:]}")
        return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss * 1024.0, out.read())


def environment(folder: Path) -> Mapping[str, str]:
    """That of somebody who has just installed the program: compiled, with a state folder of their own."""
    dropped = ("BATCH_OFFBOARD_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    root = str(Path(__file__).resolve().parent.parent)
    state = {"XDG_STATE_HOME": str(folder / "state"), "PYTHONPATH": root, TOKEN_VARIABLE: "rehearsal-token"}
    return {**kept, **state}


@contextmanager
def server(arguments: Sequence[str], folder: Path) -> Iterator[str]:
    """A program that prints where it listens and then serves, until the block ends. Gives the address."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(  # noqa: S603  # ours
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101  # as asked for above
            address = process.stdout.readline().strip()
            if not address:
                raise FailedError(f"{arguments} listens nowhere")
            Thread(target=process.stdout.read, daemon=True).start()  # nobody may wait for a full pipe
            yield address
        finally:
            process.kill()


def configure(folder: Path, url: str, settings: str = "") -> None:
    """A configuration for this server; `settings` are further lines of it."""
    lines = [
        "tenant_id: 11111111-2222-3333-4444-555555555555",
        "client_id: 11111111-2222-3333-4444-666666666666",
        f"credential: {{type: access_token, token_env: {TOKEN_VARIABLE}}}",
        f"api_url: {url}",
        "guards: {max_devices: 2000000, max_fleet_percent: 100}",
        settings,
    ]
    (folder / "config.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def device(number: int) -> str:
    """A device ID of its own for each number, scattered as real ones are."""
    return f"{(number + 1) * 0x9E3779B97F4A7C15F39CC0605CEDC8341082276B % 2**160:040x}"


def write_csv(path: Path, rows: int) -> None:
    """A sheet with an ID, a name and two more columns in each row."""
    with path.open("w", encoding="utf-8") as file:
        file.write("Device ID,Computer,Owner,Ticket\n")
        for number in range(rows):
            file.write(f"{device(number)},pc-{number:07},owner {number % 997},CHG{number % 100_000:05}\n")


def smallest(costs: Sequence[Cost]) -> Cost:
    """The best of several: whatever else the machine does can only make it slower."""
    return min(costs, key=lambda cost: cost.seconds)


def own_peak() -> float:
    """The peak of this process's memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
