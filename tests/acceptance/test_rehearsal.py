"""`--simulate`: the whole job against a tenant of its own, without a configuration, never taken for a real one."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.conftest import Office

FAST = ("--speed", "100")


def test_a_rehearsal_can_be_held_twice_with_the_same_sheet_and_says_that_it_is_one(
    office: Office, invented_devices: Callable[[int, int], list[str]]
) -> None:
    sheet = office.sheet(invented_devices(30, 400))
    for name in ("first.csv", "second.csv"):
        ended = office.run("run", sheet, "--simulate", *FAST, "--report", name)
        assert ended.code == 0, ended.err
        assert "SIMULATED: no real device is touched" in ended.err
        rows = office.report(name)
        assert [row["outcome"] for row in rows] == ["submitted"] * 30
        assert all(row["advice"].startswith("SIMULATED: ") for row in rows)


def test_two_thousand_devices_are_rehearsed_in_seconds(
    office: Office, invented_devices: Callable[[int, int], list[str]]
) -> None:
    devices = invented_devices(2000, 401)
    ended = office.run("run", office.sheet(devices), "--simulate", "--speed", "10000", "--json", "--report", "out.csv")
    assert ended.code == 0, ended.err
    assert (ended.json["counts"]["submitted"], ended.json["simulated"]) == (2000, True)
    assert [row["device_id"] for row in office.report("out.csv")] == devices


def test_a_rehearsal_that_was_killed_is_resumed_by_its_name_and_only_as_a_rehearsal(
    office: Office, invented_devices: Callable[[int, int], list[str]]
) -> None:
    sheet = office.sheet(invented_devices(20, 402))
    with office.start("run", sheet, "--simulate", "--speed", "2", "--journal", "own.db") as killed:
        killed.until(lambda: "submitted" in killed.said(), "its start")
    [batch] = re.findall(r"batch (sim-\S+) started", killed.said())
    office.configure("http://127.0.0.1:9")
    refused = office.run("resume", "--journal", "own.db")
    assert (refused.code, refused.sentence) == (2, f"batch-offboard: Batch {batch} is a rehearsal; add --simulate.")
    ended = office.run("resume", batch, *FAST, "--journal", "own.db", "--json")
    assert ended.json["counts"]["pending"] == 0
    assert ended.code == (3 if ended.json["counts"]["in_doubt"] else 0)


def test_the_quota_of_a_rehearsal_is_shown_for_as_long_as_it_is_used(
    office: Office, invented_devices: Callable[[int, int], list[str]]
) -> None:
    batch = office.plan(office.sheet(invented_devices(2, 700)), "--simulate")
    assert batch in office.run("quota", "--simulate").out

    [journal] = Path(office.environ["XDG_STATE_HOME"]).rglob("rehearsal.db")
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("UPDATE calls SET started_at = started_at - 7200, ended_at = ended_at - 7200, boot = 'old'")
    assert office.run("quota", "--simulate").out.startswith("No call was made in the last hour")
