"""After the calls: the actions are followed, taken back, and known again by the next process."""

from __future__ import annotations

import re
import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.conftest import Office, Tenant

QUICKLY = ("--speed", "1000")


def rehearsed(office: Office, devices: list[str], *options: str) -> str:
    """The ID of a batch that was rehearsed with these options."""
    ended = office.run("run", office.sheet(devices), "--simulate", "--speed", "100", "--json", *options)
    assert ended.code == 0, ended.err
    return str(ended.json["batch"])


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to another process there")
def test_ctrl_c_ends_the_following_and_the_report_tells_what_is_known(office: Office, tenant: Tenant) -> None:
    office.configure(tenant)
    devices = tenant.take(6)
    ended = office.run("run", office.sheet(devices), "--yes", "--json", "--report", "out.csv")
    assert ended.code == 0, ended.err
    with office.start("track") as program:
        program.until(lambda: "next look in" in program.said(), "its first look")
        program.signal(signal.SIGINT)
        tracked = program.ended()
    assert tracked.code == 3
    assert f"SIGINT was received; look again with `batch-offboard track {ended.json['batch']}`." in tracked.out
    rows = office.report("out.csv")
    assert {row["outcome"] for row in rows} == {"submitted"}
    assert {row["action_status"] for row in rows} <= {"Pending", "InProgress", "Succeeded"}

    known = office.run("track", ended.json["batch"], "--for", "1s", "--json")
    assert known.json["rounds"] == 1
    assert sum(known.json["action_statuses"].values()) == 6
    assert known.code == (3 if known.json["open_actions"] else 0)


def test_a_real_batch_is_cancelled_only_when_somebody_agrees(office: Office, tenant: Tenant) -> None:
    office.configure(tenant)
    devices = tenant.take(3)
    batch = office.run("run", office.sheet(devices), "--yes", "--json", "--report", "out.csv").json["batch"]
    refused = office.run("cancel", batch)
    assert refused.code == 4
    assert "There is no terminal to confirm the cancellation of 3 machine actions on" in refused.last_sentence
    assert "Cancelled" not in tenant.statuses(devices)

    one = office.run("cancel", batch, "--row", "3", "--yes", "--json")
    assert (one.code, one.json["asked"], one.json["cancelled"]) == (0, 1, 1), one.err
    assert [row["outcome"] for row in office.report("out.csv")] == ["submitted", "cancelled", "submitted"]
    assert tenant.statuses(devices[1:2]) == {"Cancelled"}
    assert "Cancelled" not in tenant.statuses([devices[0], devices[2]])
    [life] = office.run("explain", batch, "3", "--json").json["rows"]
    assert [(each["call"], each["verdict"]) for each in life["attempts"]] == [
        ("offboard", "submitted"),
        ("cancel", "cancelled"),
    ]


def test_a_rehearsal_is_followed_to_its_end_by_another_process(
    office: Office, invented_devices: Callable[[int, int], list[str]]
) -> None:
    batch = rehearsed(office, invented_devices(12, 600), "--report", "out.csv")
    given = [row["machine_action_id"] for row in office.report("out.csv")]
    tracked = office.run("track", batch, *QUICKLY, "--json")
    assert (tracked.code, tracked.json["action_statuses"]) == (0, {"Succeeded": 12}), tracked.err
    rows = office.report("out.csv")
    assert [row["machine_action_id"] for row in rows] == given
    assert {(row["outcome"], row["action_status"]) for row in rows} == {("submitted", "Succeeded")}
    assert all(row["finished_at"] > row["submitted_at"] for row in rows)


def test_a_rehearsal_is_taken_back_by_another_process_and_a_third_knows_it(
    office: Office, invented_devices: Callable[[int, int], list[str]]
) -> None:
    batch = rehearsed(office, invented_devices(6, 601), "--report", "out.csv")
    cancelled = office.run("cancel", batch, "--json")
    taken_back = cancelled.json["cancelled"]  # on a busy machine some actions may have ended before, or meanwhile
    assert taken_back > 0
    assert cancelled.code == (0 if cancelled.json["asked"] == taken_back else 1), cancelled.err
    assert Counter(row["outcome"] for row in office.report("out.csv"))["cancelled"] == taken_back
    tracked = office.run("track", batch, *QUICKLY, "--json")
    assert tracked.json["action_statuses"]["Cancelled"] == taken_back
    assert tracked.code == 1


def test_a_run_that_is_to_be_followed_ends_when_the_actions_do(
    office: Office, invented_devices: Callable[[int, int], list[str]]
) -> None:
    sheet = office.sheet(invented_devices(8, 602))
    faults = ("--fault", "500-after@6", "--fault", "cut@8")
    ended = office.run("run", sheet, "--simulate", *QUICKLY, "--track", *faults, "--report", "out.csv")
    assert ended.code == 0, ended.err
    rows = office.report("out.csv")
    assert {(row["outcome"], row["action_status"]) for row in rows} == {("submitted", "Succeeded")}
    assert len({row["machine_action_id"] for row in rows}) == 8
    assert re.search(r"8 Succeeded", ended.out)
