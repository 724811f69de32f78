"""Processes of the program, started as a user starts it or, where nothing tells the two apart, by `fork_server`."""

import array
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from io import RawIOBase
from pathlib import Path
from typing import Any, Protocol, TextIO

LEASH = Path(__file__).parent / "leash"

# What Python itself reads at its start: a program that is to see another value needs an interpreter of its own.
READ_AT_START = ("PYTHON", "LC_", "LANG")


class Process(Protocol):
    """What these tests ask of a process; `subprocess.Popen` is one."""

    pid: int
    returncode: Any
    stdout: Any
    stderr: Any

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


@functools.cache
def _parent_pipe() -> int:
    """The reading end of a pipe that ends with this process, for `leash/sitecustomize.py`; inherited on demand only."""
    reading, _writing = os.pipe()
    return reading


def leashed(environ: Mapping[str, str]) -> dict[str, Any]:
    """What `subprocess` needs to start a program that ends with this process; Windows starts it without."""
    if os.name != "posix":
        return {"env": environ}
    parent = _parent_pipe()
    return {"env": {**environ, "BATCH_OFFBOARD_TESTS_PARENT": str(parent)}, "pass_fds": (parent,)}


def started(arguments: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Process:
    """The program with these arguments, with nothing on its standard input and its output in pipes, as UTF-8."""
    if hasattr(os, "fork"):
        server = _server()
        if server.serves(environ):
            return server.start(arguments, folder, environ)
    return subprocess.Popen(
        [sys.executable, "-m", "batch_offboard", *arguments],
        cwd=folder,
        **leashed(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@functools.cache
def _server() -> "_ForkServer":
    return _ForkServer()


class _ForkServer:
    """The client's end of `leash/fork_server.py`. It serves one thread at a time."""

    def __init__(self) -> None:
        self.environ = program_environment()
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            # Nothing may run beside the thread that forks, such as the threads of a library for linear algebra.
            environ = self.environ | {"OPENBLAS_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.acceptance.leash.fork_server", str(other.fileno())],
                env=environ,
                pass_fds=(other.fileno(), _parent_pipe()),
                stdin=subprocess.DEVNULL,
            )

    def serves(self, environ: Mapping[str, str]) -> bool:
        """Whether a new interpreter would start with these variables just as the server did."""
        names = {name for name in {*environ, *self.environ} if name.startswith(READ_AT_START)}
        return all(environ.get(name) == self.environ.get(name) for name in names)

    def start(self, arguments: Sequence[str], folder: Path, environ: Mapping[str, str]) -> "_Forked":
        whole = leashed(environ)["env"]
        request = {"arguments": list(arguments), "folder": str(folder), "environ": dict(whole)}
        pipes = [os.pipe() for _ in range(3)]
        written = array.array("i", [writing for _, writing in pipes])
        message = json.dumps(request).encode()
        self._control.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, written)])
        for _, writing in pipes:
            os.close(writing)
        out, err, end = (reading for reading, _ in pipes)
        return _Forked(os.fdopen(out, encoding="utf-8"), os.fdopen(err, encoding="utf-8"), os.fdopen(end, "rb", 0))


class _Forked:
    """A child of the server."""

    def __init__(self, out: TextIO, err: TextIO, end: RawIOBase) -> None:
        self.stdout, self.stderr, self._end = out, err, end
        self.pid = int(end.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._end], [], [], 0)[0]:
            self._read()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("batch_offboard", timeout or 0)
            self._read()
        assert self.returncode is not None
        return self.returncode

    def _read(self) -> None:
        self.returncode = os.waitstatus_to_exitcode(int(self._end.readline()))
        self._end.close()

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def program_environment() -> dict[str, str]:
    """The variables that every program of these tests starts with."""
    import batch_offboard

    ours = {
        "PYTHONPATH": os.pathsep.join([str(LEASH), str(Path(batch_offboard.__file__).parent.parent)]),
        "PYTHONIOENCODING": "utf-8",
    }
    # An installed program is compiled; one that every start compiles anew takes half as long again.
    dropped = ("BATCH_OFFBOARD_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | ours
