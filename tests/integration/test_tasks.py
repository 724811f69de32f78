"""`tasks.py` without a network: what it would run, when it installs, and what it says."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path("env/bin/python")


@pytest.fixture(scope="module")
def tasks() -> ModuleType:
    """The module as a file: the top of the project is no package."""
    spec = importlib.util.spec_from_file_location("tasks_under_test", ROOT / "tasks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (tmp_path / "requirements.lock").write_text("rich==15.0.0\n", encoding="utf-8")
    (tmp_path / ".venv").mkdir()
    return tmp_path


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tasks.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# -- which Python --


@pytest.mark.parametrize("version", [(2, 7), (3, 6), (3, 10)])
def test_an_older_python_gets_a_sentence(tasks: ModuleType, version: tuple[int, int]) -> None:
    old = ".".join(map(str, version))
    assert tasks.version_problem(*version) == (
        f"batch-offboard needs Python 3.11 or newer, and this is Python {old}; use a newer one."
    )


@pytest.mark.parametrize("version", [(3, 11), (3, 13), (4, 0)])
def test_python_from_3_11_on_is_taken(tasks: ModuleType, version: tuple[int, int]) -> None:
    assert tasks.version_problem(*version) == ""


def test_the_version_is_judged_before_anything_newer_is_needed() -> None:
    source = (ROOT / "tasks.py").read_text(encoding="utf-8")
    before = source[: source.index("sys.exit(version_problem")]
    assert not re.search(r"tomllib|->.*\||list\[|match |:=", before)


def test_the_environments_python_stands_where_the_platform_puts_it(tasks: ModuleType) -> None:
    assert tasks.environment_python(Path("v"), windows=False) == Path("v/bin/python")
    assert tasks.environment_python(Path("v"), windows=True) == Path("v/Scripts/python.exe")


def test_an_environment_without_a_python_is_not_usable(tasks: ModuleType, tmp_path: Path) -> None:
    assert not tasks.is_usable(tmp_path / "python")
    assert not tasks.is_usable(tmp_path)
    assert tasks.is_usable(Path(sys.executable))
    assert tasks.environment_version(Path(sys.executable)) == sys.version_info[:2]


# -- when to install --


def test_the_stamp_of_what_is_wanted_spares_an_installation(tasks: ModuleType, project: Path) -> None:
    environment = project / ".venv"
    wanted = tasks.digest(project, "requirements.lock", (3, 11))
    assert not tasks.is_installed(environment, "requirements.lock", wanted)
    tasks.stamp_path(environment, "requirements.lock").write_text(wanted, encoding="ascii")
    assert tasks.is_installed(environment, "requirements.lock", wanted)
    assert not tasks.is_installed(environment, "requirements-checks.lock", wanted)


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock"])
def test_a_changed_file_is_installed_again(tasks: ModuleType, project: Path, name: str) -> None:
    before = tasks.digest(project, "requirements.lock", (3, 11))
    with (project / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert tasks.digest(project, "requirements.lock", (3, 11)) != before


def test_another_python_is_installed_for_again(tasks: ModuleType, project: Path) -> None:
    assert tasks.digest(project, "requirements.lock", (3, 11)) != tasks.digest(project, "requirements.lock", (3, 12))


def test_a_damaged_stamp_is_none(tasks: ModuleType, project: Path) -> None:
    tasks.stamp_path(project / ".venv", "requirements.lock").write_bytes(b"\xff")
    assert not tasks.is_installed(project / ".venv", "requirements.lock", "x")


def test_a_missing_lock_file_is_a_sentence(
    tasks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "ENVIRONMENT", tmp_path / ".venv")
    assert tasks.main(["demo"]) == 2
    assert capsys.readouterr().err == "requirements.lock is missing; run: python3 tasks.py lock\n"
    assert list(tmp_path.iterdir()) == []


# -- what is run --


def test_everything_is_installed_by_hash_and_nothing_else_is_fetched(tasks: ModuleType) -> None:
    commands = tasks.install_commands(["pip"], "requirements.lock")
    assert commands == [
        ["pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", "requirements.lock"],
        [
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--no-build-isolation",
            "--editable",
            ".",
        ],
    ]


def test_no_command_chooses_an_index(tasks: ModuleType) -> None:
    commands = tasks.install_commands(["pip"], "x.lock") + tasks.lock_commands(["uv"], [])
    assert not [word for command in commands for word in command if "index" in word or "find-links" in word]


def test_an_environment_without_pip_is_served_from_outside(tasks: ModuleType, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "v")], check=True)
    python = tasks.environment_python(tmp_path / "v")
    assert tasks.pip_command(python) == [sys.executable, "-m", "pip", "--python", str(python)]


def test_the_demo_rehearses_the_sample(tasks: ModuleType) -> None:
    assert tasks.demo_command(PYTHON)[1:] == [
        "-m",
        "batch_offboard",
        "run",
        "samples/devices.csv",
        "--simulate",
        "--speed",
        "60",
        "--yes",
        "--report",
        "reports/demo.csv",
        "--report",
        "reports/demo.xlsx",
    ]


def test_the_checks_run_in_order_and_pytest_gets_the_arguments(tasks: ModuleType) -> None:
    commands = tasks.check_commands(PYTHON, ["-k", "quota"])
    assert [title for title, _ in commands] == [
        "Format (ruff format)",
        "Rules (ruff check)",
        "Types (mypy)",
        "Layers (import-linter)",
        "Tests (pytest)",
    ]
    assert [command[0] for _, command in commands] == [str(PYTHON)] * 5
    assert commands[-1][1][1:] == ["-m", "pytest", "-n", "2", "-k", "quota"]


def say(word: str, code: int = 0) -> tuple[str, list[str]]:
    return word, [sys.executable, "-c", f"print({word!r}); raise SystemExit({code})"]


def test_a_check_that_fails_ends_the_checks_with_its_code(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "prepare", lambda lock: PYTHON)
    monkeypatch.setattr(tasks, "check_commands", lambda *_: [say("first"), say("second", 7), say("third")])
    assert tasks.check([]) == 7
    assert capfd.readouterr().out.split("\n") == [
        "",
        "== first ==",
        "first",
        "",
        "== second ==",
        "second",
        "FAILED: second, exit code 7",
        "",
    ]


def test_checks_that_pass_end_with_the_last_ones_own_words(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "prepare", lambda lock: PYTHON)
    monkeypatch.setattr(tasks, "check_commands", lambda *_: [say("first"), say("12 passed in 1.00s")])
    assert tasks.check([]) == 0
    assert capfd.readouterr().out.endswith("\n12 passed in 1.00s\n")


def test_the_demo_ends_with_the_programs_own_code_and_the_reports_that_exist(
    tasks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    writes = "import pathlib; pathlib.Path('reports/demo.csv').touch(); raise SystemExit(1)"
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "prepare", lambda lock: PYTHON)
    monkeypatch.setattr(tasks, "demo_command", lambda python: [sys.executable, "-c", writes])
    assert tasks.demo([]) == 1
    assert capfd.readouterr().out.endswith(f"\nreport: {tmp_path / 'reports/demo.csv'}\n")


def test_output_that_is_no_terminal_gets_no_colours(tasks: ModuleType) -> None:
    colourful = {"FORCE_COLOR": "1", "PY_COLORS": "1", "PYTHONPATH": "elsewhere", "PIP_INDEX_URL": "mine"}
    assert tasks.child_environment(colourful, terminal=False) == {
        "PIP_INDEX_URL": "mine",
        "PYTHONIOENCODING": "utf-8",
        "NO_COLOR": "1",
    }
    assert tasks.child_environment(colourful, terminal=True)["FORCE_COLOR"] == "1"


# -- the lock files --


def test_both_lock_files_are_made_for_every_platform_with_hashes(tasks: ModuleType) -> None:
    run, checks = tasks.lock_commands(["uv"], ["--upgrade"])
    for command in (run, checks):
        assert " ".join(command).startswith("uv pip compile pyproject.toml - --universal --python-version 3.11 ")
        assert "--generate-hashes" in command
        assert command[-1] == "--upgrade"
    assert "--group" not in run
    assert " ".join(checks).endswith(
        "--group checks --constraint requirements.lock --output-file requirements-checks.lock --upgrade"
    )


def test_the_build_tool_is_pinned_too(tasks: ModuleType) -> None:
    assert tasks.build_requirements('[build-system]\nrequires = ["hatchling>=1.27"]\n') == "hatchling>=1.27\neditables"


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://packages.example/simple",
        "--find-links wheels",
        "rich @ file:///home/me/rich.whl",
        "    # from /home/me/pyproject.toml",
        "    # from C:\\Users\\me\\pyproject.toml",
        "    # from https://packages.example/simple",
        "-e .",
    ],
)
def test_a_place_of_this_computer_in_a_lock_file_is_found(tasks: ModuleType, line: str) -> None:
    assert tasks.private_words(f"rich==15.0.0 \\\n{line}\n")


def test_an_ordinary_lock_file_names_no_place(tasks: ModuleType) -> None:
    text = (
        "# This file was autogenerated by uv via the following command:\n#    python3 tasks.py lock\n"
        "colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:4f1d\n    # via\n"
        "    #   -c requirements.lock\n    #   batch-offboard (pyproject.toml)\n    #   -r -\n"
    )
    assert tasks.private_words(text) == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-checks.lock"])
def test_the_lock_files_pin_by_hash_and_name_no_place(tasks: ModuleType, name: str) -> None:
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"{name} is made by: python3 tasks.py lock")
    text = path.read_text(encoding="utf-8")
    pins = re.findall(r"^[A-Za-z0-9].*(?:\n +--hash=sha256:[0-9a-f]{64}(?: \\)?)+", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE)) > 0
    assert tasks.private_words(text) == []


# -- from outside --


@pytest.mark.parametrize("arguments", [[], ["--help"], ["deploy"]])
def test_an_unknown_task_is_answered_with_the_usage(arguments: list[str]) -> None:
    done = start(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python3 tasks.py demo")
    assert done.stdout == ""


def test_what_tasks_py_says_is_ascii() -> None:
    assert (ROOT / "tasks.py").read_bytes().isascii()


@pytest.mark.skipif(os.name != "posix", reason="a shell script, for pipelines")
def test_the_pipeline_runs_the_checks_from_the_top_of_the_project() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert [line for line in lines if line and not line.startswith("#")] == [
        "set -eu",
        'cd "$(dirname "$0")/.."',
        "python3 tasks.py check",
    ]
