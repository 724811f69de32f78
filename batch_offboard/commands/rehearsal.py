"""Rehearsals: the embedded tenant, for one run or on its own until it is stopped."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from batch_offboard.base.clock import Clock, LoopClock
from batch_offboard.base.errors import UsageError
from batch_offboard.core.devices import judge_id, trimmed
from batch_offboard.core.ending import Ending
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.core.rows import Table
from batch_offboard.sheets import HiddenRows, open_table
from batch_offboard.simulator import (
    FAULT_HELP,
    SimulatorOptions,
    fleet_of,
    generate_fleet,
    parse_fault,
    read_fleet,
    running_simulator,
)


@dataclass(frozen=True, slots=True)
class TenantOptions:
    """The options of the embedded tenant."""

    port: int
    sheet: Path | None
    fleet: Path | None
    devices: int
    per_minute: int
    per_hour: int
    quota_mode: str
    latency: str  # FROM-TO in seconds
    token: str | None = field(repr=False)
    faults: tuple[str, ...]
    seed: int


def check_faults(specs: Sequence[str]) -> None:
    """Raise UsageError for an unknown fault; `help` lists the known ones."""
    if "help" in specs:
        raise UsageError(f"--fault takes one of these.\n\n{FAULT_HELP}")
    for spec in specs:
        try:
            parse_fault(spec)
        except ValueError as error:
            raise UsageError(f"--fault: {error} --fault help lists them all.") from error


@asynccontextmanager
async def embedded_tenant(
    devices: Iterable[tuple[str | None, str | None]],
    limits: QuotaLimits,
    faults: tuple[str, ...],
    clock: Clock,
    earlier: Iterable[Mapping[str, object]] = (),
) -> AsyncIterator[str]:
    """The URL of a tenant on loopback that has these devices (ID, name), the quota that we assume, and actions that it
    accepted earlier."""
    machines = fleet_of(((device or None, name or None) for device, name in devices), 0, clock.now().wall)
    options = SimulatorOptions(per_minute=limits.per_minute, per_hour=limits.per_hour, faults=faults)
    now = lambda: clock.now().wall  # noqa: E731  # the simulator's clock, in one place
    async with running_simulator(machines, options, now, earlier_actions=earlier) as simulator:
        yield simulator.url


def devices_in(table: Table) -> list[tuple[str | None, str | None]]:
    """ID and name of each row that a tenant can have: with a usable ID, or with only a name."""
    found: list[tuple[str | None, str | None]] = []
    for row in table.rows:
        judged = judge_id(row.device_id)
        if isinstance(judged, str):
            found.append((judged, row.device_name or None))
        elif row.device_name and isinstance(row.device_id, str) and not trimmed(row.device_id):
            found.append((None, row.device_name))
    return found


async def serve(tenant: TenantOptions, ready: Callable[[str, int], None], ending: Ending) -> None:
    """Run a tenant until it is asked to end; `ready` is called with its URL and number of machines."""
    check_faults(tenant.faults)
    try:
        machines = _machines(tenant)
        options = SimulatorOptions(
            port=tenant.port,
            seed=tenant.seed,
            per_minute=tenant.per_minute,
            per_hour=tenant.per_hour,
            quota_mode=tenant.quota_mode,
            latency=_latency(tenant.latency),
            token=tenant.token,
            faults=tenant.faults,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    clock = LoopClock(time.time())
    ended = asyncio.Event()
    try:
        async with running_simulator(machines, options, lambda: clock.now().wall) as simulator:
            ready(simulator.url, len(machines))
            with ending.heard(lambda _name: ended.set(), lambda _name: ended.set()):
                await ended.wait()
    except OSError as error:
        raise UsageError(f"Port {options.port} cannot be used ({error.strerror or error}); name another.") from error


def token_in(environ: Mapping[str, str], variable: str | None) -> str | None:
    """The value of the variable, if one is named. Raises UsageError if it is not set."""
    if variable is None:
        return None
    if not environ.get(variable):
        raise UsageError(f"The variable {variable} (--token-env) is not set; set it, or name another.")
    return environ[variable]


def _machines(tenant: TenantOptions) -> list[dict[str, object]]:
    now = time.time()
    machines: list[dict[str, object]] = []
    if tenant.fleet is not None:
        machines += read_fleet(tenant.fleet)
    if tenant.sheet is not None:
        machines += fleet_of(_sheet_devices(tenant.sheet), tenant.seed, now)
    if tenant.devices or not machines:
        machines += generate_fleet(tenant.devices or 100, tenant.seed, now)
    return machines


def _sheet_devices(sheet: Path) -> list[tuple[str | None, str | None]]:
    return devices_in(open_table(sheet, hidden=HiddenRows.INCLUDE))


def _latency(text: str) -> tuple[float, float]:
    low, dash, high = text.partition("-")
    try:
        return float(low), float(high if dash else low)
    except ValueError:
        raise UsageError(f"--latency takes seconds as FROM-TO, such as 0.05-2, not {text}.") from None
