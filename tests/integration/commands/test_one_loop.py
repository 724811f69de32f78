"""Commands in a server: several in one event loop, in a thread that is not the main one."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.options import Options
from batch_offboard.commands.plans import Reading
from batch_offboard.commands.views import RunView, Talk
from batch_offboard.core.ending import Ending
from batch_offboard.core.jobs import JobState
from batch_offboard.core.progress import Progress
from batch_offboard.simulator import SimulatorOptions, fleet_of, running_simulator
from tests import commands
from tests.commands import ANN
from tests.virtual import WIDE_QUOTA, Ears, device

NARROW_QUOTA = {"per_minute": 7, "per_hour": 1500, "burst": 7}
APPLICATION = "22222222-2222-4222-8222-222222222222"


class Watching(Ears):
    """Calls `waits` when the run waits for its quota."""

    def __init__(self, waits: Callable[[], object]) -> None:
        super().__init__()
        self._waits = waits

    def changed(self, progress: Progress) -> None:
        if progress.waiting_for is not None and progress.left:
            self._waits()


def written(folder: Path, configuration: dict[str, Any], devices: range) -> Path:
    """The folder with its configuration, and a sheet of these devices in it."""
    folder.mkdir()
    (folder / "config.yaml").write_text(json.dumps(configuration), encoding="utf-8")
    sheet = folder / "devices.csv"
    sheet.write_text("Device ID\n" + "".join(f"{device(number)}\n" for number in devices), encoding="utf-8")
    return sheet


async def offboarded(
    folder: Path, devices: range, quota: dict[str, int], ending: Ending, waits: Callable[[], object]
) -> RunView:
    """Plan and send these devices at a tenant of their own, with a configuration and a journal of their own."""
    fleet = fleet_of([(device(number), None) for number in devices], 0, 1_795_500_017.0)
    async with running_simulator(
        fleet, SimulatorOptions(latency=(0.0, 0.0), per_minute=None, per_hour=None), time.time
    ) as simulator:
        configuration = {
            "tenant_id": f"{devices.start:08d}-1111-4111-8111-111111111111",
            "client_id": APPLICATION,
            "credential": {"type": "access_token", "token_env": "OFFBOARD_TOKEN"},
            "api_url": simulator.url,
            "journal": str(folder / "journal.db"),
            "quota": quota,
        }
        sheet = written(folder, configuration, devices)
        options = Options({"OFFBOARD_TOKEN": "rehearsal-token"}, folder, ANN)
        ears = Watching(waits)
        with Desk(options, create=True) as desk:
            return await commands.run_sheet(desk, sheet, Reading(), [folder / "out.csv"], Talk(ears, ears.said, ending))


async def two_tenants(place: Path) -> tuple[RunView, RunView]:
    """Two runs at once. The first may make seven calls a minute, and is asked to end when it waits for more, but not
    before the second has come to its end."""
    first, second = Ending(), Ending()
    waits = asyncio.Event()
    async with asyncio.TaskGroup() as both:
        slow = both.create_task(offboarded(place / "one", range(20), NARROW_QUOTA, first, waits.set))
        quick = both.create_task(offboarded(place / "two", range(100, 140), WIDE_QUOTA, second, lambda: None))
        await waits.wait()
        await quick
        first.ask("A stop request")
    return slow.result(), quick.result()


def test_one_loop_in_a_thread_runs_two_tenants_each_with_its_own_quota_and_one_is_drained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("XDG_STATE_HOME", "HOME", "LOCALAPPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "state"))
    ended: list[tuple[RunView, RunView]] = []
    thread = threading.Thread(target=lambda: ended.append(asyncio.run(two_tenants(tmp_path))))
    thread.start()
    thread.join()
    [(drained, finished)] = ended
    assert (finished.exit_code, finished.halt) == (ExitCode.OK, None)
    assert finished.counts.of(JobState.SUBMITTED) == 40
    assert drained.exit_code is ExitCode.UNFINISHED
    assert drained.halt is not None
    assert drained.halt.reason.startswith("A stop request was received; ")
    assert (drained.counts.of(JobState.SUBMITTED), drained.counts.of(JobState.PENDING)) == (7, 13)
    assert not drained.batch.held
