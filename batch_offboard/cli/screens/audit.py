"""What `audit` prints, for people and for programs."""

from batch_offboard.base.clock import local_time, wall_of
from batch_offboard.commands.auditing import AuditView, time_of


def audit_text(view: AuditView) -> str:
    """Whether the record is intact, and the anchor to store elsewhere."""
    finding = view.finding
    if not finding.intact:
        return (
            f"The audit record is broken: {finding.problem}\n"
            f"{finding.records} records before that are intact; those after it prove nothing."
        )
    if view.last is None:
        return "The audit record is empty: nothing was planned or sent yet."
    lines = [
        f"The audit record is intact: {finding.records} records, the last of {local_time(wall_of(time_of(view.last)))}."
    ]
    lines += [f"It contains {anchor}." for anchor in view.anchors]
    return "\n".join([*lines, f"Its anchor now: {finding.last}"])
