"""Decides whether a batch may be sent: asks the guards, the stop file and the approvals, and records the result.

What a run sets aside is in the journal, in the audit record and at the head of the report.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

from batch_offboard.base import logs
from batch_offboard.base.errors import ExitCode, GuardError
from batch_offboard.base.text import one_line
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.options import Options
from batch_offboard.commands.plans import comment_without_reason
from batch_offboard.commands.views import Proposal
from batch_offboard.core.audit import Kind
from batch_offboard.core.batches import Batch, tenant_of
from batch_offboard.core.brakes import CONTINUE, FIRST_CALLS, Halt
from batch_offboard.core.consent import Approvals, Conditions, Consent, Demand, SetAside, require_allowed
from batch_offboard.core.guards import Clearance, Refusal, Situation, clear, cleared_before, refusal_text
from batch_offboard.core.protected import Protected
from batch_offboard.journal.approving import approvals_of
from batch_offboard.journal.reading import count, sent_since
from batch_offboard.sheets import HiddenRows

DAY = 86_400.0  # seconds

_APPROVED_GUARDS = {
    "max_devices",
    "max_fleet_percent",
    "abort_failure_percent",
    "continue_after_failures",
    "require_comment",
    "approvals",
}


def check_guards(desk: Desk, proposal: Proposal) -> None:
    """Raise GuardError if a guard refuses the proposal, before anybody is asked to confirm it; the refusal is
    recorded."""
    with refusals_recorded(desk, proposal.batch):
        _cleared(desk, proposal.batch, proposal.view.to_send)
        require_approvals(desk, proposal.batch, proposal.command)


def cleared_to_send(desk: Desk, batch: Batch, devices: int, consent: Consent, command: str) -> Clearance:
    """The guards' clearance for the devices that a person has agreed to send. Raises GuardError if a guard refuses or
    an approval is missing. `command` is `run` or `retry`."""
    with refusals_recorded(desk, batch):
        clearance = _cleared(desk, batch, devices)
        approved = require_approvals(desk, batch, command)
    content = {
        "batch": batch.batch_id,
        "devices": devices,
        "consent": consent.how,
        "consented": consent.actor.who,
        "guards": asdict(desk.guard_limits()),
        "overrides": _overrides(desk, batch),
        **approved,
    }
    desk.journal.record(Kind.CLEARED, desk.clock.now().wall, content)
    logs.info("guards cleared", **content)
    return clearance


def cleared_to_go_on(desk: Desk, batch: Batch) -> Clearance:
    """The clearance of a batch that was cleared when it started. Raises GuardError if a stop file exists, or if what
    was approved has changed."""
    with refusals_recorded(desk, batch):
        _refuse_if_stopped(desk)
        require_approvals(desk, batch, "resume")
        clearance = cleared_before(batch.batch_id, desk.protected())
    overrides = _overrides(desk, batch)
    if overrides:
        content = {"batch": batch.batch_id, "overrides": overrides}
        desk.journal.record(Kind.CLEARED, desk.clock.now().wall, content)
        logs.info("guards overridden", **content)
    return clearance


@contextmanager
def refusals_recorded(desk: Desk, batch: Batch) -> Iterator[None]:
    """Record a refusal by a guard or a person inside the block, with the reason."""
    try:
        yield
    except GuardError as error:
        content = {
            "batch": batch.batch_id,
            "reason": str(error),
            "overrides": _overrides(desk, batch),
        }
        desk.journal.record(Kind.REFUSED, desk.clock.now().wall, content)
        logs.warning("guards refused", **content)
        raise


def conditions(desk: Desk, set_aside: SetAside, protected: Protected) -> Conditions:
    """What is approved with a plan besides its rows; `protected` is the list that the rows were checked with."""
    guards = desk.config.guards if desk.config else None
    limits = guards.model_dump(include=_APPROVED_GUARDS) | {"max_devices_per_day": guards.per_day} if guards else {}
    return Conditions(limits, set_aside, protected.sha256)


def conditions_now(desk: Desk, batch: Batch) -> Conditions:
    """The conditions of a saved plan with the current guards and protected list."""
    return conditions(desk, batch.set_aside, desk.protected())


def set_aside_by(options: Options) -> SetAside:
    """The guards and brakes that the options set aside."""
    return SetAside(options.max_devices, not options.lookup, options.continue_after_failures)


def approvals_needed(desk: Desk, batch: Batch) -> int:
    """How many approvals a run of the batch needs: none without devices to offboard, and none for a rehearsal unless
    its configuration was named."""
    needed = desk.config.guards.approvals if desk.config else 0
    return needed if needed and count(desk.journal, batch.key).devices else 0


def demand(desk: Desk, batch: Batch, command: str = "run", runner: str = "") -> Demand:
    """The approvals that a run of the batch needs; those of its submitters and of `runner` do not count."""
    submitters = tuple(each for each in (*batch.submitters, runner) if each)
    return Demand(approvals_needed(desk, batch), conditions_now(desk, batch), submitters, command)


def approvals(desk: Desk, batch: Batch, runner: str = "") -> Approvals | None:
    """The approvals of a batch as they stand now, for a run by `runner`; None if it needs none."""
    if not approvals_needed(desk, batch):
        return None
    return approvals_of(desk.journal, batch.key, demand(desk, batch, runner=runner), desk.clock.now().wall)


def require_approvals(desk: Desk, batch: Batch, command: str) -> dict[str, Any]:
    """Raise GuardError unless this command has every approval that it needs; returns what to record about them."""
    if not approvals_needed(desk, batch):
        return {}
    aside = set_aside_by(desk.options)
    if not aside.within(batch.set_aside):
        planned = batch.set_aside.words or "nothing"
        raise GuardError(
            f"This command would set aside guards with {aside.words}, but batch {batch.batch_id} was planned with "
            f"{planned}, and only that can be approved; nothing was sent. Leave the options out, or give them when "
            "the sheet is planned."
        )
    wanted = demand(desk, batch, command, desk.options.actor.person)
    now = approvals_of(desk.journal, batch.key, wanted, desk.clock.now().wall)
    require_allowed(batch.batch_id, now)
    return {"approved": [each.who for each in now.counted], "plan_sha256": now.plan_sha256}


def refusals(desk: Desk, batch: Batch, devices: int) -> list[Refusal]:
    """Every guard that would refuse to send so many devices of the batch now."""
    halt, cleared = _stop_file(desk), _asked(desk, batch, devices)
    stopped = [] if halt is None else [Refusal("stop_file", halt.reason, "")]
    return stopped if isinstance(cleared, Clearance) else [*stopped, *cleared]


def _cleared(desk: Desk, batch: Batch, devices: int) -> Clearance:
    """The guards' clearance, or GuardError with what they refuse."""
    _refuse_if_stopped(desk)
    cleared = _asked(desk, batch, devices)
    if isinstance(cleared, Clearance):
        return cleared
    raise GuardError(refusal_text(cleared))


def _asked(desk: Desk, batch: Batch, devices: int) -> Clearance | list[Refusal]:
    """The guards' refusals of a run with so many devices."""
    now = desk.clock.now().wall
    # A rehearsal's tenant is made from the sheet, so its size means nothing.
    tenant = {} if batch.simulated else batch.findings.get("tenant", {})
    situation = Situation(
        batch_id=batch.batch_id,
        devices=devices,
        sent_today=sent_since(desk.journal, tenant_of(batch.scope), now - DAY),
        onboarded=tenant.get("onboarded"),
        known=0 if batch.simulated else tenant.get("devices"),
        matched=tenant.get("in_sheet", 0),
        columns=batch.columns,
        has_comment=batch.comment != one_line(comment_without_reason(batch.source_name)),
        protected=desk.protected(),
    )
    return clear(situation, desk.guard_limits())


def _stop_file(desk: Desk) -> Halt | None:
    """Refuse to start while the stop file exists."""
    halt = desk.objection()
    return halt if halt is not None and halt.exit_code is ExitCode.REFUSED else None


def _refuse_if_stopped(desk: Desk) -> None:
    halt = _stop_file(desk)
    if halt is not None:
        raise GuardError(f"{halt.reason} Nothing was sent.")


def note_overrides(desk: Desk, batch: Batch) -> None:
    """Store what this run sets aside with the batch, in addition to what its earlier runs have set aside."""
    known = batch.findings.get("overrides", [])
    new = [each for each in _overrides(desk, batch) if each not in known]
    if new:
        desk.journal.note_findings(batch.key, {"overrides": [*known, *new]})


def planned_overrides(desk: Desk, batch: Batch) -> list[str]:
    """What the plan and this command together set aside."""
    planned, now = batch.set_aside, desk.options
    return _overrides(
        desk,
        batch,
        replace(
            now,
            max_devices=planned.max_devices if now.max_devices is None else now.max_devices,
            continue_after_failures=planned.continue_after_failures or now.continue_after_failures,
        ),
    )


def _overrides(desk: Desk, batch: Batch, options: Options | None = None) -> list[str]:
    """The options that set a guard aside, each with its meaning; by default those of the command. --yes is not one of
    them."""
    options, guards = options or desk.options, desk.config.guards if desk.config else None
    hidden = batch.reading.get("hidden")
    said = {
        "--no-lookup: the tenant was not asked": not (options.lookup and batch.lookup_wanted),
        "--offboard-again: devices that were offboarded before were taken as well": batch.findings.get(
            "offboard_again", False
        ),
        "--include-hidden: hidden rows were taken as well": hidden == HiddenRows.INCLUDE,
        "--visible-only: hidden rows were left out": hidden == HiddenRows.VISIBLE_ONLY,
        "--multiline-text: lines inside cells were taken as text": batch.reading.get("multiline_text", False),
    }
    if options.max_devices is not None and guards is not None:
        limits = f"guards.max_devices {guards.max_devices} and guards.max_devices_per_day {guards.per_day}"
        said[f"--max-devices {options.max_devices}: instead of {limits}"] = True
    if options.continue_after_failures or desk.continues_after_failures:
        name = CONTINUE if options.continue_after_failures else "guards.continue_after_failures"
        said[f"{name}: a refusal among the first {FIRST_CALLS} calls stopped nothing"] = True
    return [words for words, holds in said.items() if holds]
