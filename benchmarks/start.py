"""How long it takes until something happens: commands beside a Python that does nothing."""

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Findings, Table, Target, ratio_text
from benchmarks.processes import PROGRAM, measured, smallest, write_csv

TRIES, QUICK_TRIES = 9, 1
COMMANDS = (
    ("--help",),
    ("list", "--simulate"),
    ("quota", "--simulate"),
    ("plan", "devices.csv", "--simulate", "--quiet"),
)
HEAVY = ("pandas", "msal", "openpyxl", "aiohttp", "sqlalchemy")


def run(quick: bool) -> Findings:
    tries = QUICK_TRIES if quick else TRIES
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_csv(folder / "devices.csv", 40)
        measured([*PROGRAM, "plan", "devices.csv", "--simulate", "--quiet"], folder)  # compiles, and leaves a batch
        empty = smallest([measured(["-c", ""], folder) for _ in range(tries)]).seconds
        rows = [["an empty Python", f"{empty * 1000:.0f} ms", ratio_text(1.0), ""]]
        for command in COMMANDS:
            took = smallest([measured([*PROGRAM, *command], folder) for _ in range(tries)]).seconds
            loaded = ", ".join(_loaded(command, folder)) or "none of these"
            rows.append([" ".join(command), f"{took * 1000:.0f} ms", ratio_text(took / empty), loaded])
    head = ["command", "processor time", "ratio", f"of {', '.join(HEAVY)} it loads"]
    table = Table("Starting", head, rows, f"The best of {tries}.")
    light = Target(
        "libraries that `--help` loads of pandas, msal and openpyxl", rows[1][3], "none", rows[1][3][0] == "n"
    )
    return Findings("Starting", "What is needed is loaded where it is needed.", [table], [light])


def _loaded(command: tuple[str, ...], folder: Path) -> list[str]:
    code = (
        "import sys; from batch_offboard.cli.entry import run_command_line\n"
        f"run_command_line({list(command)!r}); print('\\n', *[each for each in {HEAVY!r} if each in sys.modules])"
    )
    return measured(["-c", code], folder).out.splitlines()[-1].split()
