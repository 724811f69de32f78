"""The facts of every command as JSON values: the stable output for programs, the same for every face."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_offboard.base.clock import iso_utc
from batch_offboard.commands.views import BatchView, PlanView, QuotaView, ResolvedView, RunView, all_skipped
from batch_offboard.core.batches import Batch, Counts
from batch_offboard.core.consent import Approval, Approvals
from batch_offboard.core.jobs import JobState
from batch_offboard.core.plan import Reason
from batch_offboard.core.slots import Standing
from batch_offboard.reports.lives import Life
from batch_offboard.reports.rows import advice, moment

if TYPE_CHECKING:  # a command that only reads the journal does not load the others
    from batch_offboard.commands.approving import ApprovalView
    from batch_offboard.commands.auditing import AuditView
    from batch_offboard.commands.cancelling import CancelView
    from batch_offboard.commands.checkup import CheckView
    from batch_offboard.commands.tracking import TrackView


def plan_facts(view: PlanView) -> dict[str, Any]:
    return {
        "batch": view.batch.batch_id,
        "source": {
            "name": view.batch.source_name,
            "kind": view.batch.source_kind,
            "sha256": view.batch.source_sha256,
        },
        "simulated": view.batch.simulated,
        "rows": view.counts.rows,
        "offboard": view.counts.of(JobState.PENDING),
        "skipped": view.counts.skipped,
        "examples": {
            reason: [{"row": each.row, "device_id": each.device_id, "detail": each.detail} for each in found]
            for reason, found in view.examples.items()
        },
        "notes": list(view.notes),
        "tenant_id": view.batch.tenant,
        "tenant": view.batch.findings.get("tenant"),
        "looked_up_at": moment(view.batch.looked_up_at),
        "not_looked_up": view.batch.findings.get("not_looked_up"),
        "actions_not_read": view.batch.findings.get("actions_not_read") or None,
        "cautions": {
            caution: {"devices": found.devices, "rows": list(found.rows)} for caution, found in view.cautions.items()
        },
        "expected_seconds": round(view.expected, 1),
        "max_devices": view.max_devices,
        "plan_sha256": view.batch.plan_sha256,
        "overrides": list(view.overrides),
        "approvals": None if view.approvals is None else approvals_facts(view.approvals),
        "refusals": [{"guard": each.guard, "reason": each.why} for each in view.refusals],
    }


def run_facts(view: RunView) -> dict[str, Any]:
    facts = batch_facts(view.batch, view.counts, view.skipped)
    halt = view.halt.reason if view.halt else None
    return {
        **facts,
        "stopped": halt,
        "reports": [str(path) for path in view.reports],
        "exit_code": view.exit_code.value,
    }


def shown_facts(view: BatchView) -> dict[str, Any]:
    """One batch with its approvals and denials, including those that no longer count."""
    approvals = [{"granted": each.granted, **approval_facts(each)} for each in view.approvals]
    return {**batch_facts(view.batch, view.counts, view.skipped), "approvals": approvals}


def approvals_facts(found: Approvals) -> dict[str, Any]:
    """The state of a plan's approvals."""
    return {
        "needed": found.needed,
        "missing": found.missing,
        "counted": [approval_facts(each) for each in found.counted],
        "void": [{**approval_facts(each), "why": why} for each, why in found.void],
        "denied": [approval_facts(each) for each in found.denied],
        "not_by": list(found.submitters),
    }


def approval_facts(said: Approval) -> dict[str, Any]:
    """One person's approval or denial."""
    return {
        "who": said.who,
        "at": iso_utc(said.at),
        "how": said.how,
        "expires_at": iso_utc(said.expires_at),
        "plan_sha256": said.plan_sha256,
        "reason": said.reason or None,
    }


def list_facts(batches: Sequence[tuple[Batch, Counts]]) -> list[dict[str, Any]]:
    return [batch_facts(batch, counts, {}) for batch, counts in batches]


def lives_facts(batch: Batch, lives: Sequence[Life]) -> dict[str, Any]:
    return {"batch": batch.batch_id, "rows": [_life_facts(batch, life) for life in lives]}


def quotas_facts(views: Sequence[QuotaView]) -> list[dict[str, Any]]:
    return [
        {
            "scope": view.scope,
            **_standing_facts(view.standing),
            "waiting_for": view.standing.waiting_for,
            "next_call": None if view.next_call is None else iso_utc(view.next_call),
            "wait_seconds": None if view.next_call is None else round(max(0.0, view.next_call - view.now), 1),
            **{api: _standing_facts(other) for api, other in view.others.items()},
        }
        for view in views
    ]


def paths_facts(paths: Iterable[Path]) -> dict[str, Any]:
    return {"reports": [str(path) for path in paths]}


def _life_facts(batch: Batch, life: Life) -> dict[str, Any]:
    row = life.report_row
    return {
        "row": row.row,
        "device_id": row.device_id,
        "device_name": row.device_name,
        "outcome": row.outcome,
        "reason": life.reason or None,
        "error_code": row.error_code or None,
        "error_message": row.error_message or None,
        "machine_action_id": row.machine_action_id or None,
        "action_status": row.action_status or None,
        "advice": advice(row, batch.batch_id, is_plan=batch.state == "planned"),
        "attempts": [
            {
                "call": call.api,
                "attempt": call.attempt,
                "started_at": iso_utc(call.started_at),
                "ended_at": iso_utc(call.ended_at) if call.ended_at is not None else None,
                "verdict": call.verdict or None,
                "http_status": call.http_status,
                "code": call.code or None,
                "message": call.message or None,
                "target": call.target or None,
            }
            for call in life.calls
        ],
        "settlements": [
            {
                "attempt": each.attempt,
                "at": iso_utc(each.at),
                "settled_by": each.who or each.settled,
                "accepted": each.accepted,
                "machine_action_id": each.action_id or None,
                "note": each.note or None,
            }
            for each in life.settlements
        ],
    }


def batch_facts(batch: Batch, counts: Counts, skipped: Mapping[Reason, int]) -> dict[str, Any]:
    """What every command reports about a batch, under the same names."""
    return {
        "batch": batch.batch_id,
        "state": batch.state.word,
        "simulated": batch.simulated,
        "tenant": batch.scope,
        "source": batch.source_name,
        "source_sha256": batch.source_sha256,
        "comment": batch.comment,
        "planned_at": iso_utc(batch.planned_at),
        "started_at": iso_utc(batch.started_at) if batch.started_at else None,
        "ended_at": iso_utc(batch.ended_at) if batch.ended_at else None,
        "rows": counts.rows,
        "counts": {
            **{state.value: counts.of(state) for state in JobState if state is not JobState.SKIPPED},
            "skipped": sum(counts.skipped.values()) + counts.of(JobState.SKIPPED),
        },
        "skipped": all_skipped(counts, skipped),
        "stopped_because": batch.halted_because or None,
        "overrides": batch.findings.get("overrides", []),
        "plan_sha256": batch.plan_sha256,
        "approved_by": [each["who"] for each in batch.findings.get("approved", ())],
        "differences": batch.findings.get("differences", []),
    }


def _standing_facts(standing: Standing) -> dict[str, Any]:
    return {"minute": _window_facts(standing.minute), "hour": _window_facts(standing.hour)}


def _window_facts(window: tuple[int, int]) -> dict[str, int]:
    used, limit = window
    return {"used": used, "limit": limit, "left": max(0, limit - used)}


def track_facts(view: "TrackView") -> dict[str, Any]:
    return {
        **batch_facts(view.batch, view.counts, view.skipped),
        "action_statuses": dict(view.statuses),
        "open_actions": view.open,
        "rounds": view.rounds,
        "stopped": view.halt.reason if view.halt else None,
        "reports": [str(path) for path in view.reports],
        "exit_code": view.exit_code.value,
    }


def cancel_facts(view: "CancelView") -> dict[str, Any]:
    return {
        "batch": view.batch.batch_id,
        "simulated": view.batch.simulated,
        "asked": view.asked,
        "cancelled": view.cancelled,
        "not_cancelled": [{"row": row, "message": words or None} for row, words in view.refused.items()],
        "stopped": view.halt.reason if view.halt else None,
        "reports": [str(path) for path in view.reports],
        "exit_code": view.exit_code.value,
    }


def resolve_facts(view: ResolvedView) -> dict[str, Any]:
    settled = "accepted" if view.accepted else "not-accepted"
    return {**batch_facts(view.batch, view.counts, {}), "row": view.row, "settled": settled}


def check_facts(view: "CheckView") -> dict[str, Any]:
    return {
        "checks": [
            {"check": each.check, "grade": each.grade, "text": each.text, "remedy": each.remedy or None}
            for each in view.findings
        ],
        "exit_code": view.exit_code.value,
    }


def audit_facts(view: "AuditView") -> dict[str, Any]:
    from batch_offboard.commands.auditing import time_of

    finding = view.finding
    return {
        "intact": finding.intact,
        "records": finding.records,
        "anchor": str(finding.last) if finding.records else None,
        "last_time": time_of(view.last) if view.last else None,
        "broken": finding.broken,
        "problem": finding.problem or None,
        "anchors": [str(anchor) for anchor in view.anchors],
        "exit_code": view.exit_code.value,
    }


def decision_facts(view: "ApprovalView") -> dict[str, Any]:
    return {
        "batch": view.batch.batch_id,
        "granted": view.recorded.granted,
        **approval_facts(view.recorded),
        "approvals": approvals_facts(view.approvals),
    }
