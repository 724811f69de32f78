"""Fake schedulers: the real runner, and programs with the schedulers' names that store their input in files.

A stub does what the real program promises and no more, so that no scheduler of this machine is touched.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from batch_offboard.unattended.schedule.job import Job, Start

SYSTEMCTL = """
if "fail" in text("answer") and "enable" in words:
    complain("Failed to enable unit: Unit file is masked.", 1)
if "show" in words:
    print(text("timer" if any(word.endswith(".timer") for word in words) else "service"), end="")
"""
CRONTAB = """
if words == ["-l"]:
    if not (folder / "table").exists():
        complain(text("answer") or "no crontab for me", 1)
    sys.stdout.buffer.write((folder / "table").read_bytes())
elif words == ["-"]:
    (folder / "table").write_bytes(sys.stdin.buffer.read())
elif words == ["-V"]:
    print(text("version"))
"""
SCHTASKS = """
place = folder / "task"
if "/Create" in words:
    place.write_bytes(Path(words[words.index("/XML") + 1]).read_bytes())
elif not place.exists():
    complain("ERROR: The system cannot find the file specified.", 1)
elif "/Delete" in words:
    place.unlink()
elif "/XML" in words:
    sys.stdout.buffer.write(place.read_bytes())
else:
    print('"\\\\\\\\nightly-test","11/25/2026 10:00:00 PM","Ready"')
"""
KUBECTL = """
import json, yaml
place = folder / "cronjob"
if words[0] == "apply":
    place.write_text(json.dumps(yaml.safe_load(Path(words[2]).read_text())))
elif words[0] == "delete":
    place.unlink()
elif text("answer"):
    complain(text("answer"), 1)
elif place.exists():
    print(place.read_text())
"""
HEAD = """#!{python}
import sys
from pathlib import Path
folder, words = Path({folder!r}), sys.argv[1:]
def text(name):
    return (folder / name).read_text() if (folder / name).exists() else ""
def complain(text, code):
    print(text, file=sys.stderr)
    sys.exit(code)
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
"""
STUBS: Mapping[str, str] = {"systemctl": SYSTEMCTL, "crontab": CRONTAB, "schtasks": SCHTASKS, "kubectl": KUBECTL}


@dataclass(frozen=True, slots=True)
class Stub:
    """A fake program of a scheduler: `folder` holds its state."""

    folder: Path

    def calls(self) -> list[str]:
        """The commands that it was called with, without queries."""
        path = self.folder / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        questions = ("show", "--user show", "-l", "-V", "/Query", "get")
        return [line for line in lines if not line.startswith(questions)]

    def remembers(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Stub]:
    """Put a program of this name first on the path."""
    if os.name != "posix":
        pytest.skip("a script cannot stand in for a program here")

    def make(name: str) -> Stub:
        folder = tmp_path / "stub"
        folder.mkdir()
        program = folder / name
        program.write_text(HEAD.format(python=sys.executable, folder=str(folder)) + STUBS[name], encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return Stub(folder)

    return make


@pytest.fixture
def job() -> Callable[..., Job]:
    def make(**changes: object) -> Job:
        values: dict[str, object] = {
            "name": "nightly-test",
            "interpreter": sys.executable,
            "arguments": ("nightly", "--inbox", "/srv/in box", "--config", "/etc/bo/50%.yaml"),
            "folder": "/srv",
            "start": Start(22, 0, (0, 1, 2, 3, 4)),
            "writable": ("/srv/in box",),
            "user": "svc",
        }
        return Job(**(values | changes))  # type: ignore[arg-type]  # the caller names its fields

    return make
