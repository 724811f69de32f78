"""Reads the tenant to find out which of a sheet's devices may be offboarded, and the results of earlier calls.

The plan looks up the whole tenant before anything is sent; the run of an older plan looks it up again. Before a batch
continues, and after every run, the tenant's machine actions are compared with the journal: doubts are settled,
statuses stored, differences reported.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from batch_offboard.base import logs
from batch_offboard.base.errors import BusyError, ExitCode, SignInError
from batch_offboard.calls.tenancy import (
    HURRIED,
    PATIENT,
    CannotReadError,
    EmptyTenantError,
    Patience,
    Reader,
    ReadError,
    StrangeListError,
    Tenancy,
    Unreadable,
)
from batch_offboard.core.batches import Batch
from batch_offboard.core.brakes import Halt
from batch_offboard.core.fleet import Fleet
from batch_offboard.core.guards import Clearance
from batch_offboard.core.plan import Decision, Reason, judge_machine, why_protected
from batch_offboard.core.protected import Protected
from batch_offboard.core.settling import (
    CLOCKS_APART,
    LIST_LAG,
    Difference,
    Doubt,
    Found,
    differences,
    not_accepted,
    settle,
)
from batch_offboard.core.tenant import MachineAction
from batch_offboard.journal import settlements
from batch_offboard.journal.reading import find_batch, pending_devices

# For how long a run can use its plan's look-up; after that the devices may have changed.
FRESH = 900.0  # seconds

DIFFERENCES_SAID = 10

# Actions are requested from so long before the first call, since clocks differ and an hour costs nothing. If the clock
# was set back, earlier actions must not be missed, so `now` counts as a first call, too. An action that was already
# open when we called may be days old, so the list is then requested without a limit; likewise if our clock turns out
# to be, or to have been, further ahead than this.
MARGIN = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class LookBack:
    """The result of comparing the tenant's actions with the journal."""

    found: int = 0  # doubts that an action settled
    to_send_again: int = 0  # doubts that may be sent once more
    differences: Sequence[Difference] = field(default_factory=tuple)
    listed: Collection[str] = frozenset()  # the IDs of the listed actions


async def look_up(tenancy: Tenancy, *, patience: Patience = PATIENT) -> Fleet:
    """The whole tenant: its machines and its offboard actions; the statuses of our own are stored in the journal. Only
    the machines are looked up if the actions may not be read.

    A tenant without devices is an error, most likely in the configuration: every row would be `not_found`. Only a
    rehearsal's tenant, which is made from the sheet, may have none.

    Raises CannotReadError, ReadError, StrangeListError, EmptyTenantError or SignInError.
    """
    async with tenancy.reader(patience) as reader:
        machines = await reader.machines()
        if not machines and not tenancy.target.simulated:
            raise EmptyTenantError(
                f"{urlsplit(tenancy.target.api_url).netloc} lists no devices at all, so none could be looked up and "
                "nothing is sent; check api_url, cloud and tenant_id, and which devices this sign-in may see."
            )
        try:
            actions, no_actions = (await reader.actions())[0], ""
        except CannotReadError as error:
            actions, no_actions = [], str(error)
    tenant = await tenancy.writer.run(tenancy.journal.tenant_of, tenancy.scope_key)
    at = tenancy.clock.now().wall
    await tenancy.writer.run(settlements.note_actions, tenancy.journal, tenant, actions, at)
    logs.info("tenant looked up", machines=len(machines), actions=len(actions))
    return Fleet(machines, actions, at, tenancy.target.platforms, no_actions=no_actions)


async def look_before_sending(tenancy: Tenancy, batch: Batch, clearance: Clearance, *, look: bool) -> Halt | None:
    """Settle open doubts, and skip devices that are now protected or that the tenant no longer permits to send. Returns
    a Halt if nothing may be sent. The tenant is not read without `look`, or if it may not be read. `batch` is as it was
    before this run."""
    readable = Unreadable.MACHINES not in tenancy.unreadable
    halt = await _look_first(tenancy, batch, clearance) if look and readable else None
    # After the settling: a doubt that was just settled as not accepted is pending again.
    await _skip_protected(tenancy, batch, clearance.protected)
    return halt


async def _look_first(tenancy: Tenancy, batch: Batch, clearance: Clearance) -> Halt | None:
    to_look_up = batch.lookup_wanted and not _is_fresh(batch, tenancy.clock.now().wall)
    try:
        if not tenancy.unreadable:
            try:
                await _catch_up(tenancy, batch)
            except CannotReadError:
                if not to_look_up:
                    raise
        if to_look_up:
            await _look_up_again(tenancy, batch, clearance.protected)
    except CannotReadError as error:
        tenancy.say(f"The tenant was not looked up: {error}.")
    except (ReadError, StrangeListError, EmptyTenantError, SignInError, BusyError) as error:
        return Halt(str(error), error.exit_code, held=error.exit_code is ExitCode.REFUSED)
    return None


async def _catch_up(tenancy: Tenancy, batch: Batch) -> None:
    """Settle the doubts of earlier runs. A pending job for which the tenant has an action of ours is not sent again:
    the journal is then an older copy, such as a restored backup, and may not even have a record of the run."""
    back = await look_back(tenancy, batch)
    if not back.differences:
        return
    pending = {row for row, *_ in await tenancy.writer.run(pending_devices, tenancy.journal, batch.key)}
    sent = [each for each in back.differences if each.row in pending]
    decisions = [(each.row, Decision(Reason.ALREADY_OFFBOARDED, each.sentence)) for each in sent]
    await tenancy.writer.run(tenancy.journal.skip, batch.key, decisions, tenancy.clock.now().wall)
    for each in sent[:DIFFERENCES_SAID]:
        tenancy.say(f"{each.sentence} It is not sent again; is the journal an older copy?")


async def _skip_protected(tenancy: Tenancy, batch: Batch, protected: Protected) -> None:
    """Skip pending devices that were added to the protected list after the plan was made."""
    if not protected.rules:
        return
    jobs = await tenancy.writer.run(pending_devices, tenancy.journal, batch.key)
    decided = [
        (row, decision)
        for row, device, name in jobs
        if (decision := why_protected(protected, device, name, None)) is not None
    ]
    await tenancy.writer.run(tenancy.journal.skip, batch.key, decided, tenancy.clock.now().wall)


async def _look_up_again(tenancy: Tenancy, batch: Batch, protected: Protected) -> None:
    """Look the tenant up again, and skip pending jobs that may no longer be sent."""
    fleet = await look_up(tenancy)
    journal = tenancy.journal
    jobs = await tenancy.writer.run(pending_devices, journal, batch.key)
    decided = [
        (row, decision)
        for row, device, name in jobs
        if (decision := _decision(fleet, protected, device, name)) is not None
    ]
    tenant = {**batch.findings.get("tenant", {}), **fleet.as_json()}
    await tenancy.writer.run(journal.skip, batch.key, decided, fleet.at)
    found = {"tenant": tenant, "not_looked_up": "", "actions_not_read": fleet.no_actions}
    await tenancy.writer.run(journal.note_findings, batch.key, found, fleet.at)
    if fleet.no_actions:
        tenancy.say(f"The machine actions were not read: {fleet.no_actions}.")
    if decided:
        devices = "1 device is" if len(decided) == 1 else f"{len(decided)} devices are"
        tenancy.say(f"{devices} skipped because the tenant has changed since the plan was made.")


def _decision(fleet: Fleet, protected: Protected, device_id: str, name: str) -> Decision | None:
    machine = fleet.find(device_id)
    if machine is None:
        return Decision(Reason.NOT_FOUND, f"Device {device_id} is no longer in the tenant.")
    return why_protected(protected, device_id, name, machine) or judge_machine(machine, fleet)


async def look_after_sending(tenancy: Tenancy, batch: Batch, clearance: Clearance) -> LookBack | None:
    """Compare the tenant with the journal after the run. A failure to do so is only reported; then None."""
    if tenancy.unreadable:
        return None
    try:
        begun = await tenancy.writer.run(find_batch, tenancy.journal, batch.batch_id)
        back = await look_back(tenancy, begun or batch, patience=HURRIED)
    except CannotReadError as error:
        tenancy.say(f"The tenant was not checked after the run: {error}.")
    except (ReadError, StrangeListError, SignInError, BusyError) as error:
        tenancy.say(f"The tenant was not checked after the run: {error}")
    else:
        await tenancy.writer.run(tenancy.journal.note_findings, batch.key, {"differences": _as_json(back.differences)})
        for each in back.differences[:DIFFERENCES_SAID]:
            tenancy.say(f"The tenant and the journal differ: {each.sentence}")
        await _skip_protected(tenancy, batch, clearance.protected)  # including doubts that are pending again
        return back
    return None


def _as_json(found: Sequence[Difference]) -> list[dict[str, Any]]:
    return [
        {"kind": each.kind, "row": each.row, "device_id": each.device_id, "action_ids": list(each.action_ids)}
        for each in found
    ]


async def look_back(
    tenancy: Tenancy, batch: Batch, *, patience: Patience = PATIENT, resend: bool = True, open_only: bool = False
) -> LookBack:
    """Compare the tenant's offboard actions with the journal. `resend`: doubts may also be settled as not accepted,
    which requires the batch's lock. `open_only`: read actions only from the oldest one that is not final on, and report
    no differences. Raises what `look_up` raises."""
    journal, writer, now = tenancy.journal, tenancy.writer, tenancy.clock.now()
    doubts = await writer.run(settlements.doubts, journal, batch.key, now)
    accepted = await writer.run(settlements.open_actions, journal, batch.key)
    began = [doubt.began for doubt in doubts]
    if open_only:
        began += accepted.values()
    else:
        began.append(batch.planned_at if batch.started_at is None else batch.started_at)
    met_open = any(doubt.met_open for doubt in doubts)
    since = None if met_open else max(0.0, min([now.wall, *began]) - MARGIN)
    async with tenancy.reader(patience) as reader:
        actions, whole = await reader.actions(since=since)
        server, ours = reader.server_time or (now.wall, now.wall)
        doubts = _by_server_clock(doubts, server)
        too_late = since is not None and (
            ours - server > CLOCKS_APART
            or any(doubt.began - CLOCKS_APART < since for doubt in doubts)
            or _misses(actions, accepted, now.wall)
        )
        if too_late:
            actions, whole = await reader.actions()
        settled = settle(doubts, actions, horizon=tenancy.target.horizon)
        left = _without(doubts, settled)
        more, again = await _settle_old_doubts(tenancy, reader, left) if resend else ([], [])
    found = await writer.run(settlements.accept_found, journal, [*settled, *more], now.wall)
    if found:
        await writer.run(settlements.finish_settled, journal, batch.key)
    sent_again = await writer.run(settlements.send_again, journal, again, now.wall)
    tenant = await writer.run(journal.tenant_of, tenancy.scope_key)
    await writer.run(settlements.note_actions, journal, tenant, actions, now.wall)
    await writer.run(journal.note_findings, batch.key, {"actions_seen_at": now.wall})
    different: Sequence[Difference] = ()
    if not open_only:
        expected = await writer.run(settlements.expected_of, journal, batch.key)
        different = differences(batch.batch_id, expected, actions, now.wall, whole=whole)
    logs.info(
        "actions looked back at",
        batch=batch.batch_id,
        actions=len(actions),
        doubts=len(doubts),
        found=found,
        to_send_again=sent_again,
        differences=len(different),
    )
    listed = frozenset(action.id for action in actions)
    return LookBack(found, sent_again, different, listed)


async def _settle_old_doubts(
    tenancy: Tenancy, reader: Reader, doubts: Sequence[Doubt]
) -> tuple[list[Found], list[Doubt]]:
    """Settle doubts beyond the horizon: returns those that a list without a time limit contains, and those that were
    certainly not accepted, each confirmed by a list of its device's actions."""
    horizon = tenancy.target.horizon
    if not any(doubt.gone_by >= horizon and not doubt.resent for doubt in doubts):
        return [], []
    actions, whole = await reader.actions()
    found = settle(doubts, actions, horizon=horizon)
    if not whole:
        return found, []
    known = await tenancy.writer.run(settlements.known_actions, tenancy.journal, tenancy.scope_key)
    again = []
    for candidate in not_accepted(_without(doubts, found), actions, known=known, horizon=horizon):
        own, whole = await reader.actions(device_id=candidate.doubt.device_id)
        late = settle([candidate.doubt], own, horizon=horizon)
        found += late
        if not late and whole:
            again.append(candidate.doubt)
    return found, again


def _misses(actions: Sequence[MachineAction], accepted: Mapping[str, float], now: float) -> bool:
    """Whether a list of actions lacks one that was accepted long ago, or in the future: then our clock was changed
    since, and the time limit of the list was wrong."""
    listed = {action.id for action in actions}
    return any(not 0 <= now - at <= LIST_LAG and action_id not in listed for action_id, at in accepted.items())


def _by_server_clock(doubts: Sequence[Doubt], now: float) -> list[Doubt]:
    """The doubts with the start of their calls by the server's clock, which shows `now`: ours may be wrong, and may
    have been changed since. The calls started at this time or a little earlier."""
    return [replace(doubt, began=now - doubt.gone_by) for doubt in doubts]


def _without(doubts: Sequence[Doubt], found: Sequence[Found]) -> list[Doubt]:
    settled = {each.doubt.row for each in found}
    return [doubt for doubt in doubts if doubt.row not in settled]


def _is_fresh(batch: Batch, now: float) -> bool:
    return batch.looked_up_at is not None and 0 <= now - batch.looked_up_at <= FRESH
