"""What is installed: the wheel holds what the program needs and nothing else; the image runs as an ordinary user."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from batch_offboard import __version__
from batch_offboard.unattended.schedule.kubernetes import USER_ID

pytest.importorskip("hatchling", reason="the build tool is not installed; `tasks.py check` installs it")

ROOT = Path(__file__).resolve().parents[3]
ABOUT = f"batch_offboard-{__version__}.dist-info"
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")


def built(folder: Path) -> Path:
    """The wheel, made without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("dist"))


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def content(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name).decode("utf-8")


# ── the wheel ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_wheel_holds_the_package_and_what_describes_it_and_nothing_else(wheel: Path) -> None:
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "batch_offboard").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    about = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}

    assert names(wheel) == package | {f"{ABOUT}/{name}" for name in about}


def test_the_wheel_holds_what_is_no_module_but_needed(wheel: Path) -> None:
    templates = {f"batch_offboard/reports/page/templates/page.{suffix}" for suffix in ("css", "html", "js")}

    assert {"batch_offboard/py.typed", *templates} <= names(wheel)


def test_the_wheel_gives_the_command(wheel: Path) -> None:
    assert content(wheel, f"{ABOUT}/entry_points.txt").splitlines() == [
        "[console_scripts]",
        "batch-offboard = batch_offboard.__main__:main",
    ]


def test_the_version_stands_in_one_place(wheel: Path) -> None:
    assert f"\nVersion: {__version__}\n" in content(wheel, f"{ABOUT}/METADATA")
    elsewhere = [ROOT / "pyproject.toml", ROOT / "Containerfile", *(ROOT / "batch_offboard").rglob("*.py")]
    told = [path.name for path in elsewhere if f'"{__version__}"' in path.read_text(encoding="utf-8")]
    assert told == ["__init__.py"]


def test_the_same_source_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    assert built(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_program_in_the_wheel_does_the_main_job(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    (tmp_path / "ids.txt").write_text("0123456789abcdef0123456789abcdef01234567\n", encoding="utf-8")
    state = {name: str(tmp_path) for name in ("XDG_STATE_HOME", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA")}
    where = "import batch_offboard, sys; print(batch_offboard.__file__, file=sys.stderr)"
    job = f"{where}; sys.argv[1:] = 'run ids.txt --simulate --speed 1000 --yes --report out.html'.split()"
    done = subprocess.run(
        [sys.executable, "-c", f"{job}; from batch_offboard.__main__ import main; main()"],
        cwd=tmp_path,
        env={**os.environ, **state, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "installed") in done.stderr
    assert "1 submitted" in done.stderr
    assert "<!doctype html>" in (tmp_path / "out.html").read_text(encoding="utf-8")[:20].lower()


# ── the image ─────────────────────────────────────────────────────────────────────────────────────────────


def instructions(name: str) -> list[str]:
    """What stands behind each instruction of this name, lines that go on joined."""
    joined = re.sub(r"\\\n\s*", "", CONTAINERFILE)
    return re.findall(rf"^{name} (.+)$", joined, re.MULTILINE)


def test_the_image_runs_the_command_as_the_user_that_kubernetes_is_told() -> None:
    assert instructions("USER") == [f"{USER_ID}:{USER_ID}"]
    assert instructions("ENTRYPOINT") == ['["batch-offboard"]']
    assert CONTAINERFILE.index("\nUSER ") < CONTAINERFILE.index("\nENTRYPOINT ")


def test_the_image_keeps_what_it_remembers_on_the_volume() -> None:
    assert instructions("VOLUME") == ["/data"]
    assert instructions("WORKDIR") == ["/data"]
    assert "XDG_STATE_HOME=/data/" in instructions("ENV")[0]


def test_nothing_gets_into_a_layer_but_the_program_and_what_is_pinned() -> None:
    copied = {word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]}

    assert copied == {"requirements.lock", "pyproject.toml", "README.md", "LICENSE", "batch_offboard"}
    assert all((ROOT / name).exists() for name in copied)
    assert instructions("ARG") == []
    assert not re.search(r"secret|password|token", " ".join(instructions("ENV") + instructions("RUN")), re.IGNORECASE)
    assert "--require-hashes -r /src/requirements.lock" in CONTAINERFILE


def test_whoever_builds_is_sent_only_what_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = {word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]}

    assert lines.index("*") < min(lines.index(f"!{name}") for name in copied)
    assert {line[1:] for line in lines if line.startswith("!")} == copied
