"""Takes the pictures in `docs/pictures` anew: a rehearsal with the samples' devices, and its report in Chromium.

`python3 tasks.py pictures` runs it. Nothing is installed and nothing is left but the pictures; which devices fail is
the same each time, times and batch IDs are not.
"""

import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from samples.make_samples import HEADER, devices, guid

PICTURES = Path(__file__).parent / "pictures"
LARGEST = 200_000  # bytes

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=5000",
)  # fmt: skip

# More than an hour's quota, so that both windows are seen at work; some devices meet a fault, some rows are wrong.
DEVICES = 1900
FAULTS = ("404:0.008", "429=60@700", "500-after@250", "reset@900")


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: the top of the page on a screen of this size, with these of its sections alone, if any are named."""

    name: str
    sections: tuple[str, ...]
    width: int
    height: int
    dark: bool = False


SHOTS = (
    Shot("report.png", (), 1280, 860),
    Shot("report-time.png", ("time", "actions"), 1280, 860, dark=True),
    Shot("report-rows.png", ("rows",), 1280, 760),
    Shot("report-phone.png", (), 390, 800, dark=True),
)


class PictureError(Exception):
    """Ends the work with one sentence."""


def browser() -> str:
    """The path of Chromium or a relative of it: $CHROMIUM, or one of the usual names."""
    found = os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise PictureError("The pictures need Chromium or Chrome, which was not found; name it in CHROMIUM.")
    return found


def write_sheet(path: Path) -> None:
    """The samples' devices, and what goes wrong in lists: a duplicate, an Entra ID, an ID that lost a digit."""
    rows = devices(DEVICES)
    rows[300] = list(rows[12])
    rows[500][0] = guid(rows[500][1])
    rows[900][0] = rows[900][0][:39]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


def write_report(folder: Path) -> Path:
    """A rehearsal of that sheet, and its report as a page."""
    write_sheet(folder / "leavers.csv")
    page = folder / "leavers-report.html"
    command = [sys.executable, "-m", "batch_offboard", "run", "leavers.csv", "--simulate", "--quiet"]
    command += ["--speed", "100", "--journal", "journal.db", "--comment", "Decommissioned, CHG0042"]
    command += [word for fault in FAULTS for word in ("--fault", fault)]
    for suffix in (".csv", ".xlsx", ".html"):
        command += ["--report", page.with_suffix(suffix).name]
    # In that folder, so that no path of this machine is in the picture.
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)  # noqa: S603  # ours
    if not page.is_file():
        raise PictureError(f"The rehearsal wrote no report: {done.stderr.strip()}")
    return page


def take(shot: Shot, page: Path, target: Path, executable: str) -> None:
    """One picture of the page; PictureError if there is none, or it is too large for a repository."""
    part = page.with_name("part.html")
    part.write_text(only(shot.sections, page.read_text(encoding="utf-8")), encoding="utf-8")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [executable, *FLAGS, f"--user-data-dir={profile}", f"--window-size={shot.width},{shot.height}"]
        command += ["--force-dark-mode"] if shot.dark else []
        command += [f"--screenshot={target}", part.as_uri()]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603  # ours
    if not target.is_file():
        raise PictureError(f"{executable} took no picture.")
    if target.stat().st_size > LARGEST:
        raise PictureError(f"{target.name} has {target.stat().st_size} bytes; at most {LARGEST} belong here.")


def only(sections: tuple[str, ...], text: str) -> str:
    """The page without its other sections: a picture cannot be taken of one that is scrolled."""
    kept = sections or (r"[a-z]+",)
    return re.sub(rf'<section id="(?!(?:{"|".join(kept)})")[^>]*>.*?</section>', "", text, flags=re.DOTALL)


def main() -> int:
    try:
        executable = browser()
        with tempfile.TemporaryDirectory() as folder:
            page = write_report(Path(folder))
            PICTURES.mkdir(exist_ok=True)
            for shot in SHOTS:
                take(shot, page, PICTURES / shot.name, executable)
                print(f"docs/pictures/{shot.name}")
    except PictureError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
