"""What `explain` prints: the history of one device, one sentence with its time for each event."""

from collections.abc import Iterator, Mapping, Sequence

from batch_offboard.base.clock import local_time
from batch_offboard.cli.screens.texts import label
from batch_offboard.core.batches import Batch
from batch_offboard.core.devices import shown
from batch_offboard.core.jobs import Verdict
from batch_offboard.core.tenant import ApiName
from batch_offboard.reports.lives import Call, Life, Settlement
from batch_offboard.reports.rows import Outcome, ReportRow, advice

_ENDS: Mapping[str, str] = {
    Verdict.SUBMITTED: "Defender accepted it",
    Verdict.FAILED: "Defender refused it",
    Verdict.THROTTLED: "Defender throttled the call and did not accept it",
    Verdict.UNAUTHORIZED: "The token was not accepted, so nothing was done",
    Verdict.NOT_SENT: "The call did not leave this computer",
    Verdict.IN_DOUBT: "No clear answer came, so Defender may have accepted it",
    Verdict.ALREADY_OPEN: "An offboard action of this device was open already",
}
_ENDS_OF_CANCELLING: Mapping[str, str] = {
    Verdict.CANCELLED: "Defender cancelled the action",
    Verdict.ANSWERED: "Defender accepted the cancellation",
    Verdict.FAILED: "Defender did not cancel the action",
}
_NOW: Mapping[Outcome, str] = {
    Outcome.SUBMITTED: "It is submitted",
    Outcome.FAILED: "It has failed",
    Outcome.SKIPPED: "It is skipped and was not sent",
    Outcome.IN_DOUBT: "It is in doubt",
    Outcome.PENDING: "It is pending, not sent yet",
    Outcome.CANCELLED: "Its action is cancelled",
}
_TIME_WIDTH = 25  # of a time with its offset
_Event = tuple[float, int, list[str]]


def lives_text(batch: Batch, lives: Sequence[Life]) -> str:
    """Each row's decision, calls and state, one sentence for each."""
    return "\n\n".join("\n".join(_life_lines(batch, life)) for life in lives)


def _life_lines(batch: Batch, life: Life) -> list[str]:
    row = life.report_row
    lines = [
        f"Row {row.row} of batch {batch.batch_id}: {label(row.device_id, row.device_name)}",
        _line(local_time(batch.planned_at), _planned(batch, life)),
    ]
    events = sorted([*_call_events(life.calls), *_settlement_events(life)])
    lines += [_line(local_time(at), sentence) for at, _, sentences in events for sentence in sentences]
    lines.append(_line("now", _standing(row)))
    lines.append(_line("what to do", advice(row, batch.batch_id, is_plan=batch.state == "planned")))
    return lines


def _line(when: str, sentence: str) -> str:
    return f"  {when:<{_TIME_WIDTH}}  {sentence}"


def _planned(batch: Batch, life: Life) -> str:
    source = shown(batch.source_name)
    if not life.reason:
        return f"The plan took it from {source}, to be offboarded.{f' {life.note}' if life.note else ''}"
    why = life.report_row.error_message or "no more is known."
    return f"The plan left it out of {source} as {life.reason}: {why}"


def _standing(row: ReportRow) -> str:
    code = f" ({row.error_code})" if row.error_code else ""
    action = f"; its machine action is {shown(row.machine_action_id)}" if row.machine_action_id else ""
    status = f", {row.action_status} when last seen" if row.action_status and action else ""
    return f"{_NOW[row.outcome]}{code}{action}{status}."


def _call_events(calls: Sequence[Call]) -> Iterator[_Event]:
    """The start and end of each call, with the time and the call's place in the order."""
    for number, call in enumerate(calls):
        yield call.started_at, number, [_begun(call)]
        if call.ended_at is not None:
            yield call.ended_at, number, list(_ended(call))


def _begun(call: Call) -> str:
    what = "to cancel its action" if call.api == ApiName.CANCEL else "to offboard it"
    unknown = "" if call.ended_at is not None else "; how it ended is not recorded"
    return f"Attempt {call.attempt} {what} began{unknown}."


def _ended(call: Call) -> Iterator[str]:
    ends = _ENDS_OF_CANCELLING if call.api == ApiName.CANCEL else _ENDS
    status = f"HTTP {call.http_status}" if call.http_status else ""
    said = ": ".join(word for word in (call.code, call.message.rstrip(".")) if word)
    details = ", ".join(word for word in (status, shown(said, 300)) if word)
    sentence = ends.get(call.verdict) or _ENDS.get(call.verdict) or f"It ended as {call.verdict.replace('_', ' ')}"
    yield f"{sentence}{f' ({details})' if details else ''}."
    if call.target:
        yield f"Microsoft's tracking ID of this answer is {shown(call.target)}."


def _settlement_events(life: Life) -> Iterator[_Event]:
    for each in life.settlements:
        yield each.at, len(life.calls), [_settled(each)]


def _settled(each: Settlement) -> str:
    found = "was accepted" if each.accepted else "was not accepted"
    action = f", as machine action {shown(each.action_id)}" if each.action_id else ""
    note = f" ({shown(each.note, 300)})" if each.note else ""
    who = f"{shown(each.who)} said" if each.who else "The tenant's list showed"
    return f"{who} that attempt {each.attempt} {found}{action}{note}."
