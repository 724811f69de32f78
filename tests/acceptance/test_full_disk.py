"""A full disk stops the run with one sentence; when there is space again, `resume` ends it and nothing was lost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.conftest import Office, Tenant

SIZE = 4 << 20  # bytes of the whole disk
RESERVE = 1 << 20  # what a run sets aside first


@pytest.fixture
def small_disk(office: Office) -> Iterator[Path]:
    """A file system of a few megabytes below the office's folder."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs Linux and root")
    folder = office.folder / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode(errors='replace').strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, *, but: int) -> Path:
    """Leave only so many bytes free; returns the file to delete."""
    space = os.statvfs(disk)
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, space.f_bavail * space.f_frsize - but))
    return ballast


@pytest.mark.fault(30, "Nothing is sent after it, exit 3, one sentence; resume ends the batch.")
@pytest.mark.parametrize("left", [8 << 10, 24 << 10])
def test_a_disk_that_fills_up_during_a_run_stops_it_and_resume_loses_nothing(
    office: Office, tenant: Tenant, small_disk: Path, left: int
) -> None:
    devices = tenant.take(300)
    office.configure(tenant, journal=str(small_disk / "journal.db"))
    batch = office.plan(office.sheet(devices))
    ballast = fill(small_disk, but=RESERVE + left)
    ended = office.run("run", batch, "--yes", "--report", "disk/out.csv")
    assert ended.code == 3
    assert "full" in ended.last_sentence
    assert len(tenant.called(devices)) < 300, "the disk was large enough for all; leave less of it"

    ballast.unlink()
    again = office.run("run", batch, "--yes", "--report", "disk/out.csv")  # it may have been full before it began
    assert again.code == 0, again.err  # not even a doubt: the reserve had room for what was in flight
    rows = office.report("disk/out.csv")
    called, given = tenant.called(devices), tenant.actions()
    assert len(called) == len(set(called))
    assert [row["device_id"] for row in rows] == devices
    assert [row["machine_action_id"] for row in rows] == [given[device] for device in devices]


def test_without_space_for_the_reserve_nothing_is_sent(office: Office, tenant: Tenant, small_disk: Path) -> None:
    devices = tenant.take(10)
    office.configure(tenant, journal=str(small_disk / "journal.db"))
    batch = office.plan(office.sheet(devices))
    ballast = fill(small_disk, but=RESERVE // 2)
    ended = office.run("run", batch, "--yes", "--report", "out.csv")
    assert ended.code == 3
    assert "nothing was sent" in ended.last_sentence
    assert tenant.called(devices) == []
    assert not list(small_disk.glob("*.reserve"))

    ballast.unlink()
    assert office.run("run", batch, "--yes", "--report", "out.csv").code == 0
    assert sorted(tenant.called(devices)) == sorted(devices)
