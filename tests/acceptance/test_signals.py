"""Ctrl-C and SIGTERM: once finishes what is in flight and begins nothing, twice ends at once; `resume` continues."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Office, Tenant

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="a signal cannot be sent to another process there; the console's events are used"
)


@pytest.mark.fault(15, "Calls in flight are finished, nothing is begun, exit 3.")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_is_in_flight_and_begins_nothing_new(
    office: Office, tenant: Tenant, number: signal.Signals
) -> None:
    first, in_flight, waiting = tenant.take(5), tenant.take_special("held", 3), tenant.take(20)
    office.configure(tenant, workers=3)
    sheet = office.sheet([*first, *in_flight, *waiting])
    with office.start("run", sheet, "--yes", "--report", "out.csv") as program:
        program.until(lambda: len(tenant.called(in_flight)) == 3, "all workers at work")
        program.signal(number)
        program.until(lambda: f"{number.name}: " in program.said(), "the signal's answer")
        tenant.release(in_flight)
        ended = program.ended()
    assert ended.code == 3
    assert f"{number.name}: no new calls start" in ended.err
    assert tenant.called(waiting) == []
    outcomes = [row["outcome"] for row in office.report("out.csv")]
    assert outcomes == ["submitted"] * 8 + ["pending"] * 20

    resumed = office.run("resume", "--json")
    assert resumed.code == 0, resumed.err
    assert {row["outcome"] for row in office.report("out.csv")} == {"submitted"}
    called = tenant.called([*first, *in_flight, *waiting])
    assert sorted(called) == sorted([*first, *in_flight, *waiting])


@pytest.mark.fault(16, "Twice: it ends at once, calls in flight are in doubt.")
def test_two_signals_end_the_program_at_once_and_what_was_in_flight_is_in_doubt(office: Office, tenant: Tenant) -> None:
    first, stuck, waiting = tenant.take(5), tenant.take_special("stuck", 3), tenant.take(4)
    office.configure(tenant, workers=3)
    sheet = office.sheet([*first, *stuck, *waiting])
    with office.start("run", sheet, "--yes", "--report", "out.csv") as program:
        program.until(lambda: len(tenant.called(stuck)) == 3, "all workers at work")
        program.signal(signal.SIGINT)
        program.until(lambda: "a second signal stops at once" in program.said(), "the first signal's answer")
        assert program.running
        program.signal(signal.SIGINT)
        ended = program.ended()
    assert ended.code == 3
    assert "Traceback" not in ended.err
    outcomes = [row["outcome"] for row in office.report("out.csv")]
    assert outcomes == ["submitted"] * 5 + ["in_doubt"] * 3 + ["pending"] * 4

    resumed = office.run("resume", "--json")
    assert resumed.code == 3
    assert resumed.json["counts"]["in_doubt"] == 3
    assert tenant.called(stuck) == stuck
    assert sorted(tenant.called(waiting)) == sorted(waiting)


def test_ctrl_c_while_a_sheet_is_planned_saves_nothing(office: Office) -> None:
    sheet = office.sheet([f"{number:040x}" for number in range(0xA0000, 0xA0000 + 80_000)])
    with office.start("plan", sheet, "--simulate", "--journal", "journal.db") as program:
        journal = office.folder / "journal.db"
        program.until(lambda: journal.exists() and journal.stat().st_size > 1 << 20, "rows were saved")
        program.signal(signal.SIGINT)
        ended = program.ended()
    assert (ended.code, ended.sentence) == (3, "batch-offboard: stopped; nothing more is sent.")
    assert office.run("list", "--simulate", "--journal", "journal.db", "--json").json == []


SILENT_NAME_SERVER = """
import socket, sys, threading
real = socket.getaddrinfo
def getaddrinfo(host, *arguments, **named):
    if str(host).endswith(".invalid"):
        print("asked for", host, file=sys.stderr, flush=True)
        threading.Event().wait()
    return real(host, *arguments, **named)
socket.getaddrinfo = getaddrinfo
"""


@pytest.mark.fault(16, "Also where a name server says nothing.")
@pytest.mark.parametrize(
    ("arguments", "keys", "signals"),
    [
        (("run", "devices.csv", "--yes", "--no-lookup"), {}, 2),
        (("plan", "devices.csv"), {}, 1),
        (
            ("check",),
            {
                "credential": {"type": "client_secret", "secret_env": "OFFBOARD_TOKEN"},
                "sign_in_url": "https://login.example.invalid",
            },
            1,
        ),
    ],
    ids=["run", "plan", "check"],
)
def test_ctrl_c_ends_a_program_whose_name_server_never_answers(
    office: Office, arguments: tuple[str, ...], keys: dict[str, Any], signals: int
) -> None:
    office.configure("https://api.example.invalid", **keys)
    office.sheet([f"{number:040x}" for number in range(0xA0000, 0xA0003)])
    (office.folder / "silence").mkdir()
    (office.folder / "silence" / "sitecustomize.py").write_text(SILENT_NAME_SERVER, encoding="utf-8")
    with office.start(*arguments, PYTHONPATH=str(office.folder / "silence")) as program:
        program.until(lambda: "asked for" in program.said(), "a name is asked for")
        program.signal(signal.SIGINT)
        if signals == 2:
            program.until(lambda: "a second signal stops at once" in program.said(), "the first signal's answer")
            program.signal(signal.SIGINT)
        ended = program.ended()
    assert ended.code == 3
    assert "Traceback" not in ended.err
