"""The program as its users start it: a process of its own, in an office of its own, against a tenant that is one too.

An office is a folder to work in, a state folder and a configuration; nothing of the machine's user is read or
written. A tenant is the embedded simulator as a separate process, so that what the server saw is told by the server.
Most tests share one tenant and take devices of their own from it. Waiting is always for something: a line of output,
a call that the server saw, the end of a process.
"""

import csv
import json
import re
import signal
import subprocess
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, Self

import pytest

from tests.acceptance.starting import program_environment, started

PATIENCE = 300.0  # seconds until a process that should have done something is given up, also on a busy machine
TOKEN_VARIABLE = "OFFBOARD_TOKEN"
TENANT_ID = "11111111-1111-4111-8111-111111111111"
CLIENT_ID = "22222222-2222-4222-8222-222222222222"

WIDE_QUOTA = {"per_minute": 10_000, "per_hour": 10_000, "burst": 100}

Json = dict[str, Any]
Table = list[dict[str, str]]


# Every secret of these tests is called a canary or is a JWT; a user keeps them in files of such names.
SECRET = re.compile(rb"canary|eyJ[A-Za-z0-9_-]{20,}\.")
KEPT = re.compile(r"\.env$|token$|secret$|\.pem$|/entra/")


def shows_a_secret(content: bytes) -> bool:
    return SECRET.search(content) is not None


def contents(path: Path) -> list[bytes]:
    """What a file says, and each part of it if it is an archive, as a workbook is."""
    if not zipfile.is_zipfile(path):
        return [path.read_bytes()]
    with zipfile.ZipFile(path) as parts:
        return [parts.read(name) for name in parts.namelist()]


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one line that a refused command says, once it is clear that it says no more and no less."""
        assert self.code != 0, self.out
        assert "Traceback" not in self.err, self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("batch-offboard: ")
        return lines[0]

    @property
    def last_sentence(self) -> str:
        """Likewise, for a command that had more to tell before it was refused."""
        assert self.code != 0, self.out
        assert "Traceback" not in self.err, self.err
        said = [line for line in self.err.splitlines() if line.startswith("batch-offboard: ")]
        assert said == self.err.splitlines()[-1:], self.err
        return said[0]


class Program:
    """The program at work; what it writes is read all the time, so that it never waits for us."""

    def __init__(self, arguments: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._process = started(arguments, folder, environ)
        self._written: dict[str, list[str]] = {"out": [], "err": []}
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("out", self._process.stdout), ("err", self._process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str, stream: Any) -> None:
        with stream:
            for line in stream:
                self._written[name].append(line)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def said(self, name: str = "err") -> str:
        return "".join(self._written[name])

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would: no handler runs."""
        self._process.kill()

    def until(self, fact: Callable[[], bool], what: str) -> None:
        """Return as soon as the fact holds; a process that ends before, or never gets there, fails the test."""
        end = time.monotonic() + PATIENCE
        while not fact():
            assert self.running, f"ended before {what}:\n{self.said()}"
            assert time.monotonic() < end, f"waited in vain for {what}:\n{self.said()}"
            time.sleep(0.01)

    def ends_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ended(self) -> Ended:
        """Wait for its end."""
        assert self.ends_within(PATIENCE), f"still running after {PATIENCE} s:\n{self.said()}"
        for reader in self._readers:
            reader.join()
        assert not shows_a_secret((self.said("out") + self.said("err")).encode())
        return Ended(self._process.returncode, self.said("out"), self.said("err"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.kill()
        self.ended()


@dataclass(frozen=True, slots=True)
class Tenant:
    """A simulator in a process of its own. `special` are devices whose calls meet a fault, by the fault's name."""

    url: str
    program: Program
    devices: Iterator[str]
    special: Mapping[str, Iterator[str]] = field(default_factory=dict)

    def take(self, number: int) -> list[str]:
        """So many devices that no other test was given."""
        return [next(self.devices) for _ in range(number)]

    def take_special(self, fault: str, number: int) -> list[str]:
        """Likewise, of those that meet this fault."""
        return [next(self.special[fault]) for _ in range(number)]

    def calls(self, devices: Sequence[str] | None = None) -> list[Json]:
        """The offboard calls that arrived, in order; of these devices, if some are named."""
        wanted = None if devices is None else set(devices)
        return [
            call
            for call in self._view("calls")
            if call["operation"] == "offboard" and (wanted is None or call["device_id"] in wanted)
        ]

    def reads(self) -> list[Json]:
        """The calls that asked and changed nothing, in order."""
        return [call for call in self._view("calls") if call["group"] == "read"]

    def called(self, devices: Sequence[str]) -> list[str]:
        """The devices whose calls arrived, one for each call."""
        return [call["device_id"] for call in self.calls(devices)]

    def actions(self) -> dict[str, str]:
        """The ID of each device's machine action."""
        return {action["machineId"]: action["id"] for action in self._view("actions")}

    def release(self, devices: Sequence[str]) -> None:
        """Have the calls for these devices of the `held` ones carried out and answered, now and later."""
        body = json.dumps(list(devices)).encode()
        with self._open("release", body, {"Content-Type": "application/json"}):
            pass

    def statuses(self, devices: Sequence[str]) -> set[str]:
        """Where the machine actions of these devices stand."""
        return {action["status"] for action in self._view("actions") if action["machineId"] in devices}

    def _view(self, name: str) -> list[Json]:
        with self._open(name) as answer:
            found: list[Json] = json.load(answer)
        return found

    def _open(self, name: str, body: bytes | None = None, headers: Mapping[str, str] = MappingProxyType({})) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"{self.url}/_simulator/{name}", body, dict(headers))  # noqa: S310  # loopback
        return opener.open(request, timeout=PATIENCE)


@dataclass(frozen=True, slots=True)
class Office:
    """Where one user works: `folder` is the working directory."""

    folder: Path
    environ: dict[str, str] = field(repr=False)

    @classmethod
    def at(cls, root: Path) -> "Office":
        """An office below `root`, with a home and a state folder that are nobody else's."""
        folder, state, home = root / "work", root / "state", root / "home"
        for each in (folder, state, home):
            each.mkdir(parents=True, exist_ok=True)
        ours = {
            "HOME": str(home),
            "USERPROFILE": str(home),
            "XDG_STATE_HOME": str(state),
            "LOCALAPPDATA": str(state),
            "WIN_PD_OVERRIDE_LOCAL_APPDATA": str(state),  # platformdirs asks Windows itself unless this is set
            TOKEN_VARIABLE: "canary-token-of-the-office",
        }
        return cls(folder, program_environment() | ours)

    def start(self, *arguments: str, **environ: str) -> Program:
        return Program(arguments, self.folder, self.environ | environ)

    def run(self, *arguments: str, **environ: str) -> Ended:
        """Start it and wait for its end. Nobody sits at its terminal: there is none."""
        with self.start(*arguments, **environ) as program:
            return program.ended()

    def configure(self, tenant: Tenant | str, **settings: Any) -> None:
        """Write config.yaml for this tenant; JSON is YAML."""
        values = {
            "tenant_id": TENANT_ID,
            "client_id": CLIENT_ID,
            "credential": {"type": "access_token", "token_env": TOKEN_VARIABLE},
            "api_url": tenant if isinstance(tenant, str) else tenant.url,
            "quota": WIDE_QUOTA,
            "network": {"timeout": 600},  # a busy machine is no tenant that does not answer
        }
        (self.folder / "config.yaml").write_text(json.dumps(values | settings), encoding="utf-8")

    def leaks(self) -> list[Path]:
        """The files left below its root that show a secret, but for those in which the user keeps one."""
        root = self.folder.parent
        files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
        return [path for path in files if not KEPT.search(path.as_posix()) and any(map(shows_a_secret, contents(path)))]

    def sheet(self, devices: Sequence[str], name: str = "devices.csv") -> str:
        """A CSV of these devices, the first of them in row 2; returns its name."""
        lines = ["Device ID,Computer,Owner", *(f"{device},pc-{device[:8]},Ann" for device in devices)]
        (self.folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return name

    def report(self, name: str) -> Table:
        """The rows of a CSV report, by its path below the folder."""
        with (self.folder / name).open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def plan(self, sheet: str, *arguments: str) -> str:
        """The ID of a fresh batch."""
        ended = self.run("plan", sheet, "--json", *arguments)
        assert ended.code == 0, ended.err
        return str(ended.json["batch"])


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """An office in which no secret is left behind, whatever the test did there."""
    opened = Office.at(tmp_path)
    yield opened
    assert opened.leaks() == []


@pytest.fixture(scope="session")
def open_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Office]]:
    """Offices that several tests share; likewise."""
    opened: list[Office] = []

    def open_one() -> Office:
        opened.append(Office.at(tmp_path_factory.mktemp("office")))
        return opened[-1]

    yield open_one
    assert [path for each in opened for path in each.leaks()] == []


@pytest.fixture(scope="session")
def invented_devices() -> Callable[[int, int], list[str]]:
    """So many device IDs, the same ones for the same seed."""

    def invent(number: int, seed: int) -> list[str]:
        draw = Random(f"devices/{seed}")  # noqa: S311  # the same ones each time is the point
        return [f"{draw.getrandbits(160):040x}" for _ in range(number)]

    return invent


@pytest.fixture(scope="session")
def open_tenant(open_office: Callable[[], Office]) -> Iterator[Callable[..., Tenant]]:
    """Starts a tenant with these devices: quota lifted, no latency, unless the options say otherwise."""
    with ExitStack() as stack:

        def open_one(devices: Sequence[str], *options: str) -> Tenant:
            office = open_office()
            defaults = ["--per-minute", "100000", "--per-hour", "100000", "--latency", "0"]
            arguments = ["simulate", "--port", "0", "--sheet", office.sheet(devices), *defaults, *options]
            program = stack.enter_context(office.start(*arguments))
            program.until(lambda: "\n" in program.said("out"), "it told its URL")
            return Tenant(program.said("out").strip(), program, iter(devices))

        yield open_one


# Devices of the shared tenant that meet a fault, by a name for it.
FAULTS = {
    "refused once": "404@1",  # the first call is refused, the next accepted
    "failing": "500-after",  # accepted, and answered with a failure
    "dropped": "reset",  # never accepted, and the connection breaks
    "dropped once": "reset@1",  # likewise, and the next call is accepted
    "held": "hold",  # accepted and answered when the test says so
    "stuck": "hang",  # never answered
    "unwelcome": "401",  # the token is not accepted
}


@pytest.fixture(scope="session")
def tenant(open_tenant: Callable[..., Tenant], invented_devices: Callable[[int, int], list[str]]) -> Tenant:
    """The tenant that most tests share; each takes devices of its own."""
    healthy = invented_devices(2000, 1)
    special = {name: invented_devices(30, seed) for seed, name in enumerate(FAULTS, start=2)}
    faults = [f"{FAULTS[name]}:{device}" for name, devices in special.items() for device in devices]
    everything = [*healthy, *(device for devices in special.values() for device in devices)]
    opened = open_tenant(everything, *(word for fault in faults for word in ("--fault", fault)))
    return replace(opened, devices=iter(healthy), special={name: iter(found) for name, found in special.items()})


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """A shell starts background jobs with SIGINT ignored, and so would be the programs that we start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
