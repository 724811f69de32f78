"""Writes which wheels Windows gets of what is locked, for every Python that the program supports.

The lock file has hashes and no file names, so whether there is a wheel for Windows can only be asked of the index.
`python3 tasks.py lock` asks, and `wheels.txt` keeps the answer: a file name and its hash on each line.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags

PROJECT = Path(__file__).resolve().parents[2]
RUN_LOCK = PROJECT / "requirements.lock"
WHEELS = Path(__file__).with_name("wheels.txt")
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORM = "win_amd64"


@dataclass(frozen=True, slots=True)
class Locked:
    """A package of a lock file. `hashes` are of all its files, as `sha256:...`."""

    name: str
    version: str
    hashes: frozenset[str]

    @property
    def requirement(self) -> str:
        """A line for pip, which then takes only a file of one of the hashes."""
        return " ".join([f"{self.name}=={self.version}", *(f"--hash={each}" for each in sorted(self.hashes))])


def for_windows(lock: str, python: str) -> Iterator[Locked]:
    """The packages of a lock file's text that this Python, such as `3.13`, needs on Windows."""
    there = {
        "implementation_name": "cpython",
        "os_name": "nt",
        "platform_machine": "AMD64",
        "platform_python_implementation": "CPython",
        "platform_system": "Windows",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "win32",
    }
    for block in re.split(r"\n(?=\w)", f"\n{lock}"):
        found = re.match(r"\s*(?P<name>[\w.-]+)==(?P<version>\S+)(?: ; (?P<marker>.+?))? \\\n", block)
        if found and (found["marker"] is None or Marker(found["marker"]).evaluate(dict(there))):
            yield Locked(found["name"], found["version"], frozenset(re.findall(r"--hash=(\S+)", block)))


def tags_of(python: str) -> set[Tag]:
    """What a wheel may be tagged with to be installed by this Python on Windows."""
    major, minor = map(int, python.split("."))
    own = cpython_tags((major, minor), platforms=[PLATFORM])
    return {*own, *compatible_tags((major, minor), interpreter=f"cp{major}{minor}", platforms=[PLATFORM])}


def recorded(text: str) -> dict[str, str]:
    """The hash of each wheel, by its file name."""
    return dict(line.split() for line in text.splitlines() if line and not line.startswith("#"))


def asked(python: str, lock: str) -> dict[str, str]:
    """The wheels that pip would install for this Python on Windows: their names and hashes."""
    with tempfile.TemporaryDirectory() as folder:
        requirements, report = Path(folder) / "requirements.txt", Path(folder) / "report.json"
        requirements.write_text("\n".join(each.requirement for each in for_windows(lock, python)), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--disable-pip-version-check"]
        command += ["--ignore-installed", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        command += ["--platform", PLATFORM, "--python-version", python, "--target", folder]
        subprocess.run([*command, "--report", str(report), "--requirement", str(requirements)], check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    infos = [each["download_info"] for each in found]
    return {info["url"].rpartition("/")[2]: f"sha256:{info['archive_info']['hashes']['sha256']}" for info in infos}


def main() -> int:
    lock = RUN_LOCK.read_text(encoding="utf-8")
    wheels: dict[str, str] = {}
    for python in PYTHONS:
        wheels |= asked(python, lock)
    lines = [f"{name} {wheels[name]}" for name in sorted(wheels, key=str.lower)]
    lines.insert(0, "# Written by: python3 tasks.py lock")
    WHEELS.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
