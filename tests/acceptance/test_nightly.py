"""`nightly` as a scheduler starts it: processes of their own, a real clock, and nobody there."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.acceptance.conftest import Office, Tenant


def drop(office: Office, devices: Sequence[str], name: str) -> None:
    """A sheet that lies in the inbox for a while already."""
    inbox = office.folder / "inbox"
    inbox.mkdir(exist_ok=True)
    path = inbox / name
    (office.folder / office.sheet(devices, f"outside-{name}")).rename(path)
    os.utime(path, (time.time() - 300,) * 2)


def test_a_night_of_several_sheets_is_told_line_by_line_and_in_one_notice(office: Office, tenant: Tenant) -> None:
    metrics = office.folder / "offboarding.prom"
    office.configure(tenant, guards={"max_devices": 4, "max_devices_per_day": 50}, notices={"textfile": str(metrics)})
    good, many = tenant.take(3), tenant.take(5)
    drop(office, good, "good.csv")
    drop(office, many, "many.csv")
    drop(office, good, "again.csv")
    (office.folder / "inbox" / "broken.xlsx").write_bytes(b"PK\x03\x04")
    os.utime(office.folder / "inbox" / "broken.xlsx", (time.time() - 300,) * 2)
    ended = office.run("nightly", "--inbox", "inbox")
    assert ended.code == 4, ended.err
    assert "Traceback" not in ended.err
    lines = {line.split()[1].rstrip(":"): line.split()[0] for line in ended.out.splitlines() if ".csv" in line[:30]}
    assert lines["many.csv"] == "refused"
    assert sorted(lines[name] for name in ("good.csv", "again.csv")) == ["done", "repeated"]
    assert "unreadable  broken.xlsx:" in ended.out
    assert "4 sheets: 1 done, 1 repeated, 1 unreadable, 1 refused. Rows: 3 submitted, 5 pending." in ended.out
    assert "Exit code 4: refused or stopped by a guard." in ended.out
    assert tenant.called([*good, *many]) == good
    assert 'batch_offboard_last_event{event="stopped"} 1' in metrics.read_text(encoding="utf-8")
    assert "batch_offboard_last_exit_code 4" in metrics.read_text(encoding="utf-8")

    metrics.unlink()
    nothing = office.run("nightly", "--inbox", "inbox", "--json")
    assert (nothing.code, nothing.json["exit_code"], nothing.json["sheets"]) == (0, 0, [])
    assert not metrics.exists()  # nothing to do is nothing to tell


def test_a_night_that_is_killed_is_gone_on_with_and_no_device_is_sent_twice(office: Office, tenant: Tenant) -> None:
    office.configure(tenant, workers=1)
    held, rest = tenant.take_special("held", 3), tenant.take(6)
    drop(office, [*rest[:2], *held, *rest[2:]], "leavers.csv")
    with office.start("nightly", "--inbox", "inbox") as program:
        program.until(lambda: bool(tenant.called(held)), "a call that lasts")
        program.kill()
        program.ended()
    tenant.release(held)
    assert list((office.folder / "inbox" / "working").glob("*.csv"))
    # What was on its way when the machine went off is carried out by the tenant all the same.
    ended = office.run("nightly", "--inbox", "inbox", "--json")
    while ended.code == 3:
        ended = office.run("nightly", "--inbox", "inbox", "--json")
    assert ended.code == 0, ended.err
    (sheet,) = ended.json["sheets"]
    assert (sheet["outcome"], sheet["counts"]["submitted"]) == ("done", 9)
    assert sorted(tenant.called([*held, *rest])) == sorted([*held, *rest])
    assert set(tenant.actions()) >= {*held, *rest}


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signals for a program without a console")
def test_a_second_run_leaves_and_a_signal_ends_the_first_in_order(office: Office, tenant: Tenant) -> None:
    office.configure(tenant, workers=1)
    held, rest = tenant.take_special("held", 3), tenant.take(3)
    drop(office, [*held, *rest], "leavers.csv")
    with office.start("nightly", "--inbox", "inbox") as first:
        first.until(lambda: bool(tenant.called(held)), "its first call")
        second = office.run("nightly", "--inbox", "inbox")
        first.signal(signal.SIGTERM)
        first.until(lambda: "SIGTERM: " in first.said(), "the signal's answer")
        tenant.release(held)
        ended = first.ended()
    assert second.code == 3
    assert f"Already at work on this inbox: process {first.pid} on " in second.sentence
    assert ended.code == 3, ended.err
    assert "left        leavers.csv: batch " in ended.out
    assert "SIGTERM was received" in ended.out
    assert 0 < len(tenant.called([*held, *rest])) < 6
    assert office.run("nightly", "--inbox", "inbox", "--quiet").code == 0
    assert sorted(tenant.called([*held, *rest])) == sorted([*held, *rest])


def test_without_its_folder_nothing_begins(office: Office) -> None:
    office.configure("http://127.0.0.1:9")
    ended = office.run("nightly", "--inbox", "nowhere")
    assert ended.code == 2
    assert "(--inbox); make it first." in ended.sentence


def test_outside_its_hours_it_says_when_they_begin_and_sends_nothing(office: Office, tenant: Tenant) -> None:
    tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400))
    days = [time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86_400 * number)) for number in (-1, 0)]
    office.configure(tenant, window={"zone": "UTC", "except": days})
    devices = tenant.take(2)
    drop(office, devices, "leavers.csv")
    ended = office.run("nightly", "--inbox", "inbox")
    assert ended.code == 3
    assert f"Nothing was started: The window is closed; it opens next at {tomorrow} 00:00+00:00." in ended.out
    assert tenant.called(devices) == []


def test_what_is_set_aside_is_shown_and_a_stop_file_refuses(office: Office, tenant: Tenant) -> None:
    office.configure(tenant, guards={"max_devices": 2})
    devices, others = tenant.take(3), tenant.take(1)
    ended = office.run("run", office.sheet(devices), "--yes", "--max-devices", "3", "--report", "out.xlsx", "--json")
    assert ended.code == 0, ended.err
    said = "--max-devices 3: instead of guards.max_devices 2 and guards.max_devices_per_day 2"
    assert ended.json["overrides"] == [said]
    assert f"overrides {said}" in office.run("show", ended.json["batch"]).out
    (office.folder / "STOP").touch()
    refused = office.run("run", office.sheet(others, "more.csv"), "--yes", "--max-devices", "9", "--stop-file", "STOP")
    assert refused.code == 4
    assert f"stopped by the stop file {office.folder / 'STOP'}" in refused.last_sentence
    assert tenant.called(others) == []
