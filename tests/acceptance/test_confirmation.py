"""On a terminal, nothing is sent before somebody has typed how many devices are meant."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.conftest import PATIENCE, Ended

if TYPE_CHECKING:
    from tests.acceptance.conftest import Office, Tenant

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no terminal to be had for a test there")


def answered(office: Office, sheet: str, answer: bytes | signal.Signals) -> Ended:
    """A run whose input is a terminal, at which somebody answers the one question."""
    keyboard, terminal = os.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "batch_offboard", "run", sheet, "--report", "out.csv"],
            cwd=office.folder,
            env=office.environ,
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stderr is not None
            said = b""
            while not said.endswith(b"to go ahead: "):
                said += (piece := os.read(process.stderr.fileno(), 1 << 16))
                assert piece, said
            if isinstance(answer, signal.Signals):
                process.send_signal(answer)
            else:
                os.write(keyboard, answer)
            out, more = process.communicate(timeout=PATIENCE)
    finally:
        os.close(keyboard)
        os.close(terminal)
    return Ended(process.returncode, out.decode(), (said + more).decode())


def test_the_number_of_devices_goes_ahead(office: Office, tenant: Tenant) -> None:
    devices = tenant.take(3)
    office.configure(tenant)
    ended = answered(office, office.sheet([*devices, devices[0]]), b"3\n")
    assert ended.code == 0, ended.err
    assert sorted(tenant.called(devices)) == sorted(devices)


@pytest.mark.parametrize("answer", [b"y\n", b"2\n", b"\n", b"\x04", signal.SIGINT], ids=repr)
def test_anything_else_sends_nothing_and_keeps_the_plan(
    office: Office, tenant: Tenant, answer: bytes | signal.Signals
) -> None:
    devices = tenant.take(3)
    office.configure(tenant)
    ended = answered(office, office.sheet(devices), answer)
    [batch] = office.run("list", "--json").json
    assert ended.code == 4
    assert ended.err.splitlines()[-1].endswith(
        f"batch-offboard: Not confirmed; nothing was sent. The plan is kept: batch-offboard run {batch['batch']}"
    )
    assert batch["state"] == "planned"
    assert tenant.called(devices) == []
