"""Signals to a real process: the first drains, the second stops, and afterwards they are what they were."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import batch_offboard
from batch_offboard.cli.signals import SignalEnding

LISTEN = """
import asyncio, signal, sys
from batch_offboard.cli.signals import SignalEnding

async def main():
    stopped = asyncio.Event()
    def stop(name):
        print("stop", name, flush=True)
        stopped.set()
    with SignalEnding().heard(lambda name: print("drain", name, flush=True), stop):
        print("ready", flush=True)
        await stopped.wait()
    print("ended", flush=True)

for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN if name in sys.argv else signal.SIG_DFL)
asyncio.run(main())
"""

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to another process there")


@contextmanager
def listener(*ignored: str) -> Iterator[subprocess.Popen[str]]:
    """A process that says what it is asked for; the signals named were to be ignored when it began."""
    environ = os.environ | {"PYTHONPATH": str(Path(batch_offboard.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN, *ignored], stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        try:
            assert said(process) == "ready"
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.fault(17, "Like SIGTERM.")
@needs_posix
@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGTERM"), ("SIGHUP", "SIGINT")])
def test_the_first_signal_drains_and_the_second_stops(first: str, second: str) -> None:
    with listener() as process:
        process.send_signal(getattr(signal, first))
        assert said(process) == f"drain {first}"
        process.send_signal(getattr(signal, second))
        assert said(process) == f"stop {second}"
        assert said(process) == "ended"
        assert process.wait() == 0


@pytest.mark.fault(17, "Under nohup or a service manager that ignores it, the run continues.")
@needs_posix
def test_a_signal_that_a_parent_had_ignored_stays_ignored() -> None:
    with listener("SIGHUP") as process:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert said(process) == "drain SIGTERM"


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C is listened to, even if these tests run in the background of a shell, where it is not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
async def test_a_signal_wakes_a_loop_that_waits_for_something_else() -> None:
    asked: list[str] = []
    woken = asyncio.Event()

    def drain(name: str) -> None:
        asked.append(name)
        woken.set()

    with SignalEnding().heard(drain, asked.append):
        signal.raise_signal(signal.SIGINT)
        await woken.wait()
    assert asked == ["SIGINT"]


@pytest.mark.usefixtures("heeded")
async def test_afterwards_every_signal_is_what_it_was() -> None:
    numbers = [signal.SIGINT, signal.SIGTERM]
    before = [signal.getsignal(number) for number in numbers]
    with SignalEnding().heard(print, print):
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before


async def test_nested_work_hears_a_signal_the_innermost_first() -> None:
    asked: list[str] = []
    woken = asyncio.Event()
    ending = SignalEnding()
    with (
        ending.heard(lambda name: woken.set(), print),
        ending.heard(lambda name: asked.append(f"inner {name}"), print),
    ):
        signal.raise_signal(signal.SIGTERM)
        await woken.wait()
    assert asked == ["inner SIGTERM"]
