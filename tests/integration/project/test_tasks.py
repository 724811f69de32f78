"""`tasks.py` without a network: what it would run, when it installs, and what it says."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
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


@pytest.mark.parametrize("page", ["README.md", "docs/security.md"])
def test_the_line_for_users_installs_as_the_tasks_do(tasks: ModuleType, page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    (line,) = re.findall(r"^ *python3 -m venv env && (.*)$", text, re.MULTILINE)
    ours = tasks.install_commands(["env/bin/pip"], tasks.RUN_LOCK)
    left_out = {"--quiet", "--disable-pip-version-check", "--editable"}
    assert [command.split() for command in line.split(" && ")] == [
        [word for word in command if word not in left_out] for command in ours
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
        "10",
        "--yes",
        "--report",
        "reports/demo.csv",
        "--report",
        "reports/demo.xlsx",
        "--report",
        "reports/demo.html",
    ]


def test_the_long_run_is_a_module_of_the_tests(tasks: ModuleType) -> None:
    assert tasks.long_command(PYTHON)[1:] == ["-m", "tests.simulation.long"]
    assert (ROOT / "tests" / "simulation" / "long.py").is_file()


def test_the_pictures_are_taken_by_a_script_of_the_project(tasks: ModuleType) -> None:
    assert tasks.pictures_command(PYTHON)[1:] == ["-m", "docs.make_pictures"]
    assert (ROOT / "docs" / "make_pictures.py").is_file()


@pytest.mark.parametrize(
    ("task", "module"),
    [
        ("faults", "tests.fault_page"),
        ("fuzz", "tests.fuzzing.long_run"),
        ("mutants", "tests.mutants"),
        ("sbom", "tests.bill_of_materials"),
        ("wheels", "tests.windows.wheels"),
    ],
)
def test_a_task_of_the_tests_is_a_module_of_the_project(tasks: ModuleType, task: str, module: str) -> None:
    assert getattr(tasks, f"{task}_command")(PYTHON)[1:] == ["-m", module]
    assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_every_task_is_in_the_usage(tasks: ModuleType) -> None:
    assert re.findall(r"tasks\.py (\w+)", tasks.USAGE) == list(tasks.TASKS)


def test_the_checks_run_in_order_and_pytest_gets_the_arguments(tasks: ModuleType) -> None:
    commands = tasks.check_commands(PYTHON, ["-k", "quota"])
    assert [title for title, _ in commands] == [
        "Format (ruff format)",
        "Rules (ruff check)",
        "Types (mypy)",
        "Types on Windows (mypy)",
        "Types on macOS (mypy)",
        "Layers (import-linter)",
        "Benchmarks, quickly",
        "Tests (pytest)",
    ]
    assert [command[0] for _, command in commands] == [str(PYTHON)] * 8
    assert commands[-1][1][1:] == ["-m", "pytest", "-n", "3", "--dist", "worksteal", "-k", "quota"]


def test_the_quick_checks_are_the_static_ones_and_the_unit_tests(tasks: ModuleType) -> None:
    commands = tasks.quick_commands(PYTHON, [])
    assert commands[:-1] == tasks.check_commands(PYTHON, [])[:6]
    assert commands[-1][1][1:] == ["-m", "pytest", "-n", "3", "--dist", "worksteal", "tests/unit"]


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


def test_a_failure_ends_the_checks_beside_it(tasks: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    for_ever = ("third", [sys.executable, "-c", "import time; time.sleep(600)"])
    assert tasks.side_by_side([say("first"), say("second", 7), for_ever]) == 7
    assert capfd.readouterr().out.endswith("second\nFAILED: second, exit code 7\n")


def test_checks_that_pass_end_with_the_last_ones_own_words(
    tasks: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "prepare", lambda lock: PYTHON)
    monkeypatch.setattr(tasks, "check_commands", lambda *_: [say("first"), say("12 passed in 1.00s")])
    assert tasks.check([]) == 0
    assert capfd.readouterr().out.endswith("\n12 passed in 1.00s\n")


def test_the_demo_ends_with_the_programs_own_code(
    tasks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "prepare", lambda lock: PYTHON)
    monkeypatch.setattr(tasks, "demo_command", lambda python: [sys.executable, "-c", "raise SystemExit(1)"])
    assert tasks.demo([]) == 1


# -- what is locked --


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-checks.lock"])
def test_everything_that_is_locked_has_one_version_and_its_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 40
    for line in lines:
        assert re.match(
            r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^\s;]+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*$", line
        ), line


def test_the_locks_name_no_place_to_fetch_from(tasks: ModuleType) -> None:
    for lock in ("requirements.lock", "requirements-checks.lock"):
        assert tasks.private_words((ROOT / lock).read_text(encoding="utf-8")) == []


def test_the_audit_asks_about_exactly_what_is_locked(tasks: ModuleType) -> None:
    command = tasks.audit_command(PYTHON, "x.lock")
    assert command[1:4] == ["-m", "pip_audit", "--strict"]
    assert command[-3:] == ["--disable-pip", "--requirement", "x.lock"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            "ERROR: x: Dependency not found on PyPI and could not be audited: x",
            2,
            "cannot be reached; nothing was audited",
        ),
        ("requests.exceptions.ConnectionError: no such host", 2, "cannot be reached; nothing was audited"),
        ("Found 1 known vulnerability in 1 package", 1, "Found 1 known vulnerability"),
    ],
)
def test_an_audit_that_could_not_be_made_is_told_from_a_finding(
    tasks: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    code: int,
    said: str,
) -> None:
    program = f"import sys; print({words!r}, file=sys.stderr); sys.exit(1)"
    monkeypatch.setattr(tasks, "prepare", lambda lock: PYTHON)
    monkeypatch.setattr(tasks, "audit_command", lambda *_: [sys.executable, "-c", program])
    assert tasks.main(["audit"]) == code
    captured = capsys.readouterr()
    assert said in captured.out + captured.err


def test_the_bill_of_materials_names_every_package_that_a_user_installs(
    tasks: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "prepare", lambda lock: Path(sys.executable))
    assert tasks.main(["sbom", str(tmp_path / "sbom.json")]) == 0
    bill = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", lock, re.MULTILINE)
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "batch-offboard")
    assert {(each["name"], each["version"]) for each in bill["components"]} == set(locked)
    assert all(each["externalReferences"][0]["hashes"] for each in bill["components"])
