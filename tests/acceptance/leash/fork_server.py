"""Starts programs of the acceptance tests by a fork of a process that has imported everything, in a tenth of the time.

`python -m tests.acceptance.leash.fork_server FD`: FD is a Unix socket. Each message on
it asks for one start: JSON with `arguments`, `folder` and `environ`, and three descriptors, for stdout, stderr and the
state of the process, which is written as two lines: its ID, and its wait status once it has ended. The server ends with
its client.

A program started this way differs from one started by a user only in what Python decides before its first import, such
as the encoding of file names. A test of that starts an interpreter.
"""

import array
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import time
from typing import Any

from tests.acceptance.leash.sitecustomize import hold

LONGEST = 1 << 20  # bytes of a message: the whole environment and the arguments
DESCRIPTORS = 3


def import_everything() -> None:
    import batch_offboard

    for module in pkgutil.walk_packages(batch_offboard.__path__, "batch_offboard."):
        importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # a collection in a child would write to each page that it shares with this process


def received(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next start that is asked for; None once the client is gone."""
    room = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)
    message, ancillary, _flags, _address = control.recvmsg(LONGEST, room)
    if not message:
        return None
    descriptors = array.array("i")
    for _level, _kind, content in ancillary:
        descriptors.frombytes(content)
    return json.loads(message), descriptors.tolist()


def serve(control: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for every start; returns in each child with what it has to run, and here when the client is gone."""
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    ends: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(LONGEST)
            report_ends(ends)
        if control not in ready:
            continue
        asked = received(control)
        if asked is None:
            return None
        request, [out, err, end] = asked
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            for each in (control, woken, waker):
                each.close()
            for descriptor in (end, *ends.values()):
                os.close(descriptor)
            return request, [out, err]
        os.write(end, f"{child}\n".encode())
        os.close(out)
        os.close(err)
        ends[child] = end


def report_ends(ends: dict[int, int]) -> None:
    while ends:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child == 0:
            return
        end = ends.pop(child)
        os.write(end, f"{status}\n".encode())
        os.close(end)


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Make this process what a new interpreter would be for these arguments, in this folder and environment."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    null = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((null, *streams)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # as Python opens them at its start
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False, newline="\n")  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False, newline="\n")  # noqa: SIM115
    hold()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import_everything()
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        become(*asked)
        from batch_offboard.__main__ import __file__ as program
        from batch_offboard.__main__ import main

        sys.argv[:] = [program, *asked[0]["arguments"]]
        main()
