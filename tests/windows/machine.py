"""A Windows Python on Debian: Wine in a Debian tree of its own, CPython for Windows, and the locked packages.

Everything lies below one folder of the user's cache. Each part is made once and carries the digest of what it was
made from; a part whose digest is another one is made anew. The host itself gets `debootstrap` and nothing else.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tests.windows.wheels import PLATFORM, PROJECT, Locked, for_windows

HERE = Path(__file__).resolve().parent
PYTHON_LOCK = HERE / "python.lock"
SITECUSTOMIZE = HERE / "sitecustomize.py"
CHECKS_LOCK = PROJECT / "requirements-checks.lock"

SUITE = "trixie"  # Wine 10; the 8 of the release before lacks bcryptprimitives.dll, which pydantic-core needs
PYTHON = "3.13"  # that of `python.lock`
WITHOUT_A_WHEEL = ("odfpy",)  # pure Python, built here

# Of Wine's registry: no display, no dialog for a crash, and a temporary folder that goes with the namespace.
SETTINGS = (
    (r"HKCU\Software\Wine\Drivers", "Graphics", "/d", "null"),
    (r"HKCU\Software\Wine\WineDbg", "ShowCrashDialog", "/t", "REG_DWORD", "/d", "0"),
    (r"HKCU\Environment", "TEMP", "/d", r"Z:\tmp"),
    (r"HKCU\Environment", "TMP", "/d", r"Z:\tmp"),
)

# The first process of the namespace takes all others with it, Wine's server too, and itself goes with who started it.
NAMESPACE = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")
# A tmpfs keeps what tests write off the disk and goes with the namespace.
ENTER = """
set -eu
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
chroot "$root" /usr/bin/env -i "$@" || exit $?
exit 0
"""
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "WINEPREFIX": "/prefix",
    "WINEDEBUG": "-all",
    "WINEDLLOVERRIDES": "mscoree,mshtml,winedbg.exe=",
    "XDG_RUNTIME_DIR": "/tmp",  # noqa: S108  # the namespace's own
    "NO_COLOR": "1",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONPYCACHEPREFIX": r"Z:\compiled",
    "PYTHONPATH": r"Z:\project",
}


class MachineError(Exception):
    """Ends the run with one sentence."""


def why_not_here() -> str:
    """The sentence for a machine on which this cannot run, else nothing."""
    if sys.platform != "linux" or not Path("/etc/debian_version").is_file() or shutil.which("apt-get") is None:
        return "windows needs Debian, whose Wine it installs into a folder of its own; this is another system."
    if sys.platform == "linux" and os.geteuid() != 0:
        return "windows needs root, to install Wine into a folder of its own; run it in a container or with sudo."
    return ""


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "batch-offboard-windows"


class Machine:
    """`root` is the Debian tree, Wine's drive Z: ; `/project` in it is a copy of the project."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = folder / "root"
        self._site = self._root / "python" / "Lib" / "site-packages"

    def prepare(self) -> None:
        """Make what is missing or out of date."""
        system = _digest(repr((SUITE, SETTINGS)).encode())
        python = _digest(system.encode(), PYTHON_LOCK.read_bytes())
        ours = repr((PYTHON, WITHOUT_A_WHEEL)).encode() + SITECUSTOMIZE.read_bytes()
        packages = _digest(python.encode(), CHECKS_LOCK.read_bytes(), ours)
        self._part("system", system, self._make_system)
        self._part("python", python, self._make_python)
        self._part("packages", packages, self._make_packages)

    def take_project(self) -> None:
        """Copy the project, so that nothing which runs there changes it."""
        target = self._root / "project"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(PROJECT, target, ignore=_not_the_projects_own, symlinks=True)

    def result(self, name: str) -> Path:
        """A file that a command wrote into the project's copy."""
        return self._root / "project" / name

    def run(self, *arguments: str, seconds: float, environ: Mapping[str, str] | None = None) -> int | None:
        """Run the Windows Python in the project's copy; returns its exit code, None if time was up.

        Whatever it started is gone when this returns.
        """
        enter = ["sh", "-c", 'cd /project && exec "$@"', "sh"]
        return self._inside([*enter, "wine", "/python/python.exe", *arguments], seconds=seconds, environ=environ)

    # -- the parts --

    def _part(self, name: str, digest: str, make: Callable[[], None]) -> None:
        stamp = self._folder / f"{name}.made"
        if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
            return
        stamp.unlink(missing_ok=True)
        print(f"Making the {name} of Windows in {self._folder}", flush=True)
        make()
        stamp.write_text(digest, encoding="ascii")

    def _make_system(self) -> None:
        if shutil.which("debootstrap") is None:
            _run(["apt-get", "-qq", "update"])
            _run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", "debootstrap"])
        if self._root.exists():
            shutil.rmtree(self._root)
        _run(["debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, str(self._root), _mirror()])
        install = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", "wine", "wine64"]
        _run(["chroot", str(self._root), "env", "DEBIAN_FRONTEND=noninteractive", *install])
        for each in (self._root / "var/cache/apt/archives").glob("*.deb"):
            each.unlink()
        settings = [["wine", "reg", "add", key, "/f", "/v", *value] for key, *value in SETTINGS]
        for command in (["wineboot", "-i"], *settings, ["wine", "winecfg", "-v", "win10"]):
            # the registry is on the disk once Wine's server has ended
            if self._inside(["sh", "-c", '"$@" && wineserver -w', "sh", *command], seconds=300) != 0:
                raise MachineError(f"Wine could not be set up; this failed: {' '.join(command)}")

    def _make_python(self) -> None:
        fetched, target = self._folder / "fetched", self._root / "python"
        for each in (fetched, target):
            shutil.rmtree(each, ignore_errors=True)
        download = ["download", "--no-deps", "--no-binary", ":all:", "--require-hashes", "--dest", str(fetched)]
        _pip(*download, "--requirement", str(PYTHON_LOCK))
        (sdist,) = fetched.glob("*.tar.gz")
        with tarfile.open(sdist) as tar:
            (name,) = (each for each in tar.getnames() if each.endswith("data.zip"))
            packed = tar.extractfile(name)
            assert packed is not None
            archive = zipfile.ZipFile(io.BytesIO(packed.read()))
        with archive:
            for member in archive.infolist():
                _top, _, path = member.filename.partition("/")
                if path and not member.is_dir() and not path.startswith(("tcl/", "Lib/test/", "Lib/site-packages/")):
                    to = target / path
                    to.parent.mkdir(parents=True, exist_ok=True)
                    to.write_bytes(archive.read(member))
        shutil.rmtree(fetched)

    def _make_packages(self) -> None:
        shutil.rmtree(self._site, ignore_errors=True)
        shutil.rmtree(self._root / "compiled", ignore_errors=True)
        self._site.mkdir(parents=True)
        wanted = list(for_windows(CHECKS_LOCK.read_text(encoding="utf-8"), PYTHON))
        built = [each for each in wanted if each.name in WITHOUT_A_WHEEL]
        fetched = [each for each in wanted if each not in built]
        target = ["--no-deps", "--no-compile", "--require-hashes", "--target", str(self._site)]
        wheels = ["--only-binary", ":all:", "--platform", PLATFORM, "--python-version", PYTHON]
        with _list_of(self._folder / "packages.txt", fetched) as listed:
            _pip("install", *target, *wheels, "--requirement", listed)
        with _list_of(self._folder / "packages.txt", built) as listed:
            _pip("install", *target, "--upgrade", "--requirement", listed)
        shutil.copy2(SITECUSTOMIZE, self._site)

    def _inside(
        self, command: Sequence[str], *, seconds: float, environ: Mapping[str, str] | None = None
    ) -> int | None:
        words = [f"{name}={value}" for name, value in (ENVIRONMENT | dict(environ or {})).items()]
        enter = [*NAMESPACE, "sh", "-c", ENTER, "sh", str(self._root), *words, *command]
        with subprocess.Popen(enter, stdin=subprocess.DEVNULL, cwd="/") as process:
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None
            finally:
                process.kill()


@contextmanager
def machine() -> Iterator[Machine]:
    """The machine, made ready; one process at a time has it."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise MachineError(f"Another run uses {folder}; wait until it has ended.") from None
    try:
        made = Machine(folder)
        made.prepare()
        made.take_project()
        yield made
    finally:
        lock.release()


def _mirror() -> str:
    """Where this machine gets its own packages."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if "security" not in line]
    if not found:
        raise MachineError("apt knows no mirror of Debian; run: apt-get update")
    return found[0]


def _not_the_projects_own(folder: str, names: list[str]) -> list[str]:
    """What a checkout gathers: environments, caches, reports."""
    gathered = [name for name in names if name == "__pycache__"]
    if Path(folder) == PROJECT:
        made = {"reports", "build", "dist", "config.yaml", "sbom.json"}
        kept = {".ci", ".dockerignore", ".gitignore"}
        gathered += [name for name in names if name in made or (name.startswith(".") and name not in kept)]
    return gathered


def _digest(*parts: bytes) -> str:
    sums = hashlib.sha256()
    for part in parts:
        sums.update(f"{len(part)} ".encode() + part)
    return sums.hexdigest()


@contextmanager
def _list_of(path: Path, packages: Iterable[Locked]) -> Iterator[str]:
    path.write_text("\n".join(each.requirement for each in packages) + "\n", encoding="utf-8")
    try:
        yield str(path)
    finally:
        path.unlink()


def _pip(*arguments: str) -> None:
    _run([sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise MachineError(f"This did not work, its own message is above: {' '.join(command)}")
