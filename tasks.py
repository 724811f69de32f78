"""Runs the project from a fresh clone: `python3 tasks.py demo`, `check` and the others below.

It creates `.venv` beside itself and installs into it exactly what the lock files pin. It uses the standard library
only, touches nothing outside the project, and leaves the choice of a package index to pip's and uv's own configuration.
"""

import contextlib
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def version_problem(major: int, minor: int) -> str:
    """The error for a Python that is too old, or None; must run on the old one, too."""
    if (major, minor) >= (3, 11):
        return ""
    return f"batch-offboard needs Python 3.11 or newer, and this is Python {major}.{minor}; use a newer one."


if version_problem(*sys.version_info[:2]):  # before anything that an older Python cannot parse
    sys.exit(version_problem(*sys.version_info[:2]))

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
RUN_LOCK = "requirements.lock"
CHECKS_LOCK = "requirements-checks.lock"
BENCHMARKS_LOCK = "requirements-benchmarks.lock"
REPORTS = ("reports/demo.csv", "reports/demo.xlsx", "reports/demo.html")
# Variables that would make Python use another Python's modules, or every process recompile ours.
NOT_HANDED_ON = frozenset({"PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"})
USAGE = """usage: python3 tasks.py demo                 offboard a sample against the embedded tenant
       python3 tasks.py check [PYTEST ARGS]  run every check that a change must pass
       python3 tasks.py quick [PYTEST ARGS]  run the checks that take less than a minute
       python3 tasks.py long [OPTIONS]       the long run of the simulation (--help shows more)
       python3 tasks.py lock [UV ARGS]       rewrite the lock files (--upgrade: with the newest versions)
       python3 tasks.py benchmarks [ARGS]    measure, and compare (--write: into the documentation)
       python3 tasks.py faults               rewrite docs/faults.md from the tests' marks
       python3 tasks.py fuzz [--minutes N]   fuzz with corrupted sheets and answers, for 10 minutes by default
       python3 tasks.py mutants [MODULE ...] mutate the rules, and list the mutants that no test notices
       python3 tasks.py audit                ask PyPI for known vulnerabilities in the locked packages
       python3 tasks.py sbom [FILE]          write the locked packages as a CycloneDX document (sbom.json)
       python3 tasks.py pictures             retake the pictures of the documentation (needs Chromium)
       python3 tasks.py windows [PYTEST ARGS]
                                             run what Wine can on a Windows Python (needs Debian and root)"""


class TaskError(Exception):
    """Ends a task with one sentence."""


# -- the environment --


def environment_python(environment: Path, *, windows: bool = os.name == "nt") -> Path:
    return environment / "Scripts" / "python.exe" if windows else environment / "bin" / "python"


def digest(root: Path, lock: str, version: tuple[int, int]) -> str:
    """A digest that changes whenever what is installed may have to change."""
    sums = hashlib.sha256(repr(version).encode())
    for name in ("pyproject.toml", lock):
        content = (root / name).read_bytes()
        sums.update(f"{name} {len(content)} ".encode() + content)
    return sums.hexdigest()


def stamp_path(environment: Path, lock: str) -> Path:
    return environment / f"{lock}.installed"


def is_installed(environment: Path, lock: str, wanted: str) -> bool:
    """Whether the stamp of the last complete installation is the expected one."""
    try:
        return stamp_path(environment, lock).read_text(encoding="ascii") == wanted
    except (OSError, UnicodeDecodeError):
        return False


def prepare(lock: str) -> Path:
    """The environment's Python, with everything that the lock file pins and the project itself installed.

    The stamp is deleted first and written last, so that an interrupted installation is started again.
    """
    if not (ROOT / lock).is_file():
        raise TaskError(f"{lock} is missing; run: python3 tasks.py lock")
    python = environment_python(ENVIRONMENT)
    if not is_usable(python):
        create_environment(python)
    wanted = digest(ROOT, lock, environment_version(python))
    if is_installed(ENVIRONMENT, lock, wanted):
        return python
    stamp_path(ENVIRONMENT, lock).unlink(missing_ok=True)
    headline(f"Installing {lock} into {ENVIRONMENT.name}")
    for command in install_commands(pip_command(python), lock):
        run(command)
    stamp_path(ENVIRONMENT, lock).write_text(wanted, encoding="ascii")
    return python


def environment_version(python: Path) -> tuple[int, int]:
    """The version of the environment's Python, which may differ from the one that runs this."""
    text = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([str(python), "-c", text], check=True, capture_output=True, text=True)  # noqa: S603  # ours
    major, minor = done.stdout.split()
    return int(major), int(minor)


def is_usable(python: Path) -> bool:
    """Whether the environment has a Python that runs and is new enough."""
    try:
        return not version_problem(*environment_version(python))
    except (OSError, subprocess.CalledProcessError, ValueError):
        return False


def create_environment(python: Path) -> None:
    """Create the environment. Debian omits `ensurepip`; there the system's pip installs into an environment without
    pip."""
    headline(f"Making {ENVIRONMENT.name}")
    base = [sys.executable, "-m", "venv", "--clear"]
    if importlib.util.find_spec("ensurepip") is not None:
        if attempt([*base, str(ENVIRONMENT)]) == 0:
            return
    elif importlib.util.find_spec("pip") is None:
        raise TaskError("This Python has neither ensurepip nor pip; install one (Debian: apt install python3-venv).")
    run([*base, "--without-pip", str(ENVIRONMENT)])
    if not is_usable(python):
        raise TaskError(f"{ENVIRONMENT} could not be created; delete the folder and try again.")


def pip_command(python: Path) -> list[str]:
    """The environment's pip, else that of the running Python with the environment as its target."""
    own = subprocess.run([str(python), "-c", "import pip"], check=False, capture_output=True)  # noqa: S603  # ours
    if own.returncode == 0:
        return [str(python), "-m", "pip"]
    return [sys.executable, "-m", "pip", "--python", str(python)]


def install_commands(pip: list[str], lock: str) -> list[list[str]]:
    """Install everything that is pinned, with hashes and the build tool; then the project itself, which fetches
    nothing."""
    install = [*pip, "install", "--quiet", "--disable-pip-version-check"]
    return [
        [*install, "--require-hashes", "-r", lock],
        [*install, "--no-deps", "--no-build-isolation", "--editable", "."],
    ]


# -- the tasks --


def demo_command(python: Path) -> list[str]:
    command = [str(python), "-m", "batch_offboard", "run", "samples/devices.csv"]
    command += ["--simulate", "--speed", "10", "--yes"]
    return command + [word for report in REPORTS for word in ("--report", report)]


def demo(arguments: list[str]) -> int:
    python = prepare(RUN_LOCK)
    headline("The sample against the embedded tenant, ten times as fast as the clock")
    command = demo_command(python) + arguments
    print("$ " + " ".join(["python", *command[1:]]), flush=True)
    return attempt(command)


def check_commands(python: Path, arguments: list[str]) -> list[tuple[str, list[str]]]:
    """The checks in order, the quick ones first."""
    module = [str(python), "-m"]
    layers = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-logo'])"
    return [
        ("Format (ruff format)", [*module, "ruff", "format", "--check", "."]),
        ("Rules (ruff check)", [*module, "ruff", "check", "."]),
        ("Types (mypy)", [*module, "mypy"]),
        ("Types on Windows (mypy)", [*module, "mypy", *on_platform("win32"), "batch_offboard"]),
        ("Types on macOS (mypy)", [*module, "mypy", *on_platform("darwin"), "batch_offboard"]),
        ("Layers (import-linter)", [str(python), "-c", layers]),
        ("Benchmarks, quickly", [*module, "benchmarks", "--quick"]),
        # one process more than cores: some tests wait
        ("Tests (pytest)", [*module, "pytest", "-n", "3", "--dist", "worksteal", *arguments]),
    ]


def on_platform(platform: str) -> list[str]:
    """Options of mypy; with its own cache, because mypy discards one that was made for another platform."""
    return ["--platform", platform, "--cache-dir", f".mypy_cache/{platform}"]


def quick_commands(python: Path, arguments: list[str]) -> list[tuple[str, list[str]]]:
    """The checks that need no file, no socket and no process of the program."""
    *static, _benchmarks, (_title, tests) = check_commands(python, arguments)
    return [*static, ("Unit tests (pytest)", [*tests, "tests/unit"])]


def check(arguments: list[str]) -> int:
    return _checked(check_commands(prepare(CHECKS_LOCK), arguments))


def quick(arguments: list[str]) -> int:
    return _checked(quick_commands(prepare(CHECKS_LOCK), arguments))


def _checked(commands: list[tuple[str, list[str]]]) -> int:
    """Run the checks up to the first failure and return its exit code; on success pytest's summary is the last line.

    All but the tests, which come last, need one core each and run in parallel.
    """
    *static, (title, command) = commands
    code = side_by_side(static)
    if code == 0:
        headline(title)
        code = reported(title, attempt(command))
    return code


def side_by_side(commands: list[tuple[str, list[str]]]) -> int:
    """Run commands in parallel and show each once it and those before it have finished; returns the first exit code
    that is not 0."""
    with contextlib.ExitStack() as stack:
        running = []
        for title, command in commands:
            out = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            process = subprocess.Popen(command, cwd=ROOT, env=our_environment(), stdout=out, stderr=out)  # noqa: S603  # ours
            stack.enter_context(process)
            stack.callback(process.kill)  # read before waiting for it
            running.append((title, process, out))
        for title, process, out in running:
            headline(title)
            code = process.wait()
            out.seek(0)
            print(out.read(), end="", flush=True)
            if reported(title, code) != 0:
                return code
    return 0


def reported(title: str, code: int) -> int:
    if code != 0:
        print(f"FAILED: {title}, exit code {code}", flush=True)
    return code


def long_command(python: Path) -> list[str]:
    return [str(python), "-m", "tests.simulation.long"]


def long(arguments: list[str]) -> int:
    return attempt(long_command(prepare(CHECKS_LOCK)) + arguments)


def lock_commands(uv: list[str], arguments: list[str]) -> list[list[str]]:
    """The other files are constrained by the first, so that checks and benchmarks use the versions that users run."""
    compile_ = [*uv, "pip", "compile", "pyproject.toml", "-", "--universal", "--python-version", "3.11"]
    compile_ += ["--generate-hashes", "--quiet"]
    compile_ += ["--custom-compile-command", "python3 tasks.py lock"]
    checks = ["--group", "checks", "--constraint", RUN_LOCK, "--output-file", CHECKS_LOCK]
    benchmarks = ["--group", "benchmarks", "--constraint", RUN_LOCK, "--output-file", BENCHMARKS_LOCK]
    return [
        [*compile_, "--output-file", RUN_LOCK, *arguments],
        [*compile_, *checks, *arguments],
        [*compile_, *benchmarks, *arguments],
    ]


def build_requirements(pyproject: str) -> str:
    """The build requirements, to be pinned like the rest; hatchling needs `editables` for `--editable`."""
    import tomllib  # an older Python must get to the error above

    return "\n".join([*tomllib.loads(pyproject)["build-system"]["requires"], "editables"])


def lock(arguments: list[str]) -> int:
    requirements = build_requirements((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for command in lock_commands(uv_command(), arguments):
        headline(" ".join(command[command.index("pip") :]))
        run(command, text=requirements)
    for name in (RUN_LOCK, CHECKS_LOCK, BENCHMARKS_LOCK):
        private = private_words((ROOT / name).read_text(encoding="utf-8"))
        if private:
            raise TaskError(f"{name} contains something private to this computer ({private[0]}); do not publish it.")
    headline("Which wheels Windows gets")
    return attempt(wheels_command(prepare(CHECKS_LOCK)))


def wheels_command(python: Path) -> list[str]:
    return [str(python), "-m", "tests.windows.wheels"]


def uv_command() -> list[str]:
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    found = shutil.which("uv")
    if found is None:
        raise TaskError("lock needs uv, which is not installed; type: python3 -m pip install uv")
    return [found]


def private_words(text: str) -> list[str]:
    """Index URLs, local paths and options: anything that is not a name, version, hash or comment."""
    words = [word for line in text.splitlines() for word in line.split()]
    allowed = ("--hash=sha256:", "-c", "-r")  # the latter two in comments that say who needs a package
    return [
        word
        for word in words
        if "://" in word
        or word.startswith(("/", "~", "file:"))
        or word[1:3] in {":\\", ":/"}
        or (word.startswith("-") and word != "-" and not word.startswith(allowed))
    ]


def benchmarks_command(python: Path) -> list[str]:
    return [str(python), "-m", "benchmarks"]


def benchmarks(arguments: list[str]) -> int:
    return attempt(benchmarks_command(prepare(BENCHMARKS_LOCK)) + arguments)


def pictures_command(python: Path) -> list[str]:
    return [str(python), "-m", "docs.make_pictures"]


def pictures(arguments: list[str]) -> int:
    return attempt(pictures_command(prepare(CHECKS_LOCK)) + arguments)


def faults_command(python: Path) -> list[str]:
    return [str(python), "-m", "tests.fault_page"]


def faults(arguments: list[str]) -> int:
    return attempt(faults_command(prepare(CHECKS_LOCK)) + arguments)


def fuzz_command(python: Path) -> list[str]:
    return [str(python), "-m", "tests.fuzzing.long_run"]


def fuzz(arguments: list[str]) -> int:
    return attempt(fuzz_command(prepare(CHECKS_LOCK)) + arguments)


def mutants_command(python: Path) -> list[str]:
    return [str(python), "-m", "tests.mutants"]


def mutants(arguments: list[str]) -> int:
    if not hasattr(os, "fork"):
        raise TaskError("mutants needs a system that can fork a process, such as Linux or macOS.")
    return attempt(mutants_command(prepare(CHECKS_LOCK)) + arguments)


def audit_command(python: Path, lock: str) -> list[str]:
    """The command with --strict: a package that could not be checked is a failure."""
    command = [str(python), "-m", "pip_audit", "--strict", "--progress-spinner", "off"]
    return [*command, "--require-hashes", "--disable-pip", "--requirement", lock]


def audit(arguments: list[str]) -> int:
    """Audit both lock files separately, although the checks' contains the program's: it shows whom a finding
    concerns."""
    python = prepare(CHECKS_LOCK)
    worst = 0
    for lock in (RUN_LOCK, CHECKS_LOCK):
        headline(f"Known vulnerabilities in {lock} (pip-audit)")
        command = audit_command(python, lock) + arguments
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # ours
        if was_not_asked(done.stderr):
            raise TaskError("The list of known vulnerabilities cannot be reached; nothing was audited.")
        print(done.stdout + done.stderr, flush=True)
        worst = max(worst, done.returncode)
    return worst


def was_not_asked(words: str) -> bool:
    """Whether the service could not be asked, by pip-audit's output: its exit code is the same for a finding."""
    return any(sign in words for sign in ("could not be audited", "ConnectionError", "ConnectError", "Timeout"))


def windows_command(python: Path) -> list[str]:
    return [str(python), "-m", "tests.windows"]


def windows(arguments: list[str]) -> int:
    if sys.platform != "linux":
        raise TaskError("windows needs Debian, whose Wine it installs into a folder of its own.")
    return attempt(windows_command(prepare(CHECKS_LOCK)) + arguments)


def sbom_command(python: Path) -> list[str]:
    return [str(python), "-m", "tests.bill_of_materials"]


def sbom(arguments: list[str]) -> int:
    return attempt(sbom_command(prepare(CHECKS_LOCK)) + arguments)


# -- running things --


def headline(title: str) -> None:
    print(f"\n== {title} ==", flush=True)


def child_environment(environ: dict[str, str], *, terminal: bool) -> dict[str, str]:
    """The environment for child processes: no colours in files and pipes, and UTF-8 for Windows pipes."""
    kept = {name: value for name, value in environ.items() if name not in NOT_HANDED_ON}
    kept["PYTHONIOENCODING"] = "utf-8"
    if not terminal:
        for name in ("FORCE_COLOR", "PY_COLORS", "CLICOLOR_FORCE"):
            kept.pop(name, None)
        kept["NO_COLOR"] = "1"
    return kept


def attempt(command: list[str], *, text: str | None = None) -> int:
    """Run a command in the project's folder; returns its exit code."""
    done = subprocess.run(command, cwd=ROOT, env=our_environment(), input=text, text=True, check=False)  # noqa: S603  # ours
    return done.returncode


def our_environment() -> dict[str, str]:
    return child_environment(dict(os.environ), terminal=sys.stdout.isatty())


def run(command: list[str], *, text: str | None = None) -> None:
    if attempt(command, text=text) != 0:
        raise TaskError(f"This failed, its own message is above: {shlex.join(command)}")


TASKS = {
    "demo": demo,
    "check": check,
    "quick": quick,
    "long": long,
    "lock": lock,
    "benchmarks": benchmarks,
    "faults": faults,
    "fuzz": fuzz,
    "mutants": mutants,
    "audit": audit,
    "sbom": sbom,
    "pictures": pictures,
    "windows": windows,
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in TASKS:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        return TASKS[arguments[0]](arguments[1:])
    except TaskError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
