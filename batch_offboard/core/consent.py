"""Consent as a record: what the digest of a plan covers, and which approvals of the plan count.

Pure. An approval holds the digest of what was approved, so any later change of it makes the approval void.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batch_offboard.base.errors import ApprovalError
from batch_offboard.core.actor import Actor
from batch_offboard.core.audit import canonical

APPROVAL_LIFE = 24 * 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class SetAside:
    """The guards and brakes that a run sets aside by its options."""

    max_devices: int | None = None
    no_lookup: bool = False
    continue_after_failures: bool = False

    def within(self, approved: "SetAside") -> bool:
        """Whether nothing more is set aside than `approved` does."""
        limit = self.max_devices
        return (
            (limit is None or (approved.max_devices is not None and limit <= approved.max_devices))
            and self.no_lookup <= approved.no_lookup
            and self.continue_after_failures <= approved.continue_after_failures
        )

    @property
    def words(self) -> str:
        """The options as typed; empty if nothing is set aside."""
        options = {
            f"--max-devices {self.max_devices}": self.max_devices is not None,
            "--no-lookup": self.no_lookup,
            "--continue-after-failures": self.continue_after_failures,
        }
        return " ".join(option for option, given in options.items() if given)

    def as_json(self) -> dict[str, Any]:
        return {
            "max_devices": self.max_devices,
            "no_lookup": self.no_lookup,
            "continue_after_failures": self.continue_after_failures,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "SetAside":
        return cls(**value)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What decides, besides the plan itself, about what is sent: the configuration's `guards`, what is set aside, and
    the digest of the protected list, empty without one."""

    guards: Mapping[str, Any] = field(default_factory=dict)
    set_aside: SetAside = SetAside()
    protected_sha256: str = ""


@dataclass(frozen=True, slots=True)
class PlanHead:
    """What is approved besides the rows: for which tenant and application, at which API host, which sheet, read how,
    with which comment."""

    scope: str
    api_url: str
    source_sha256: str
    reading: Mapping[str, Any]
    comment: str


def plan_digest(head: PlanHead, conditions: Conditions, rows: Iterable[tuple[int, str, str]]) -> str:
    """SHA-256 over everything that is approved, in hexadecimal digits. `rows` are row number, device ID and decision
    of every row, in the sheet's order."""
    first = {
        "scope": head.scope,
        "api_url": head.api_url,
        "source_sha256": head.source_sha256,
        "reading": dict(head.reading),
        "comment": head.comment,
        "guards": dict(conditions.guards),
        "set_aside": conditions.set_aside.as_json(),
        "protected_sha256": conditions.protected_sha256,
    }
    whole = hashlib.sha256(canonical(first).encode("ascii"))
    for row in rows:
        whole.update(f"\n{canonical(row)}".encode("ascii"))
    return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class Consent:
    """A person's agreement to a proposal. `how` says for the audit record how it was given: `typed` (the number of
    devices), `--yes`, `nightly`, or `rehearsal`, in which nothing real is sent."""

    actor: Actor
    how: str


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's approval or denial of a plan. `how` is how it was given (`typed` or `--yes`), `reason` why it was
    denied. Times are in seconds since the epoch."""

    person: str
    machine: str
    face: str
    at: float
    how: str
    plan_sha256: str
    expires_at: float
    granted: bool = True
    reason: str = ""

    @property
    def who(self) -> str:
        """The person at the machine, such as ann@pc-7."""
        return Actor(self.person, self.machine, self.face).who


@dataclass(frozen=True, slots=True)
class Demand:
    """The approvals that a run needs: how many, under which conditions, and from whom they do not count. `command`:
    `run`, `retry` or `resume`, which continues a run that was approved when it began, so that its approvals do not
    expire."""

    needed: int
    conditions: Conditions
    submitters: tuple[str, ...]
    command: str = "run"

    @property
    def resumes(self) -> bool:
        return self.command == "resume"


@dataclass(frozen=True, slots=True)
class Approvals:
    """The approvals of a plan: those that count, those that are void, each with why, and the denials."""

    needed: int
    plan_sha256: str
    submitters: tuple[str, ...]
    counted: tuple[Approval, ...]
    void: tuple[tuple[Approval, str], ...]
    denied: tuple[Approval, ...]
    command: str = "run"

    @property
    def missing(self) -> int:
        """How many more approvals are needed."""
        return max(0, self.needed - len(self.counted))

    @property
    def allows(self) -> bool:
        """Whether the plan may be run."""
        return not self.needed or not (self.missing or self.denied)


def same_person(one: str, other: str) -> bool:
    """Whether two names are of one person, whichever account or machine they come from: `ann (as root)` is `ann`."""
    return _name(one) == _name(other)


def assess(given: Sequence[Approval], demand: Demand, plan_sha256: str, at: float) -> Approvals:
    """Which of the approvals and denials `given`, in the order of time, count at the time `at` (seconds since the
    epoch). The last word of each person is the one that counts, and a denial counts whatever has changed since."""
    last = {_name(each.person): each for each in given}
    counted, void = [], []
    for each in given:
        if each.granted:
            why = _why_void(each, last[_name(each.person)], demand, plan_sha256, at)
            if why:
                void.append((each, why))
            else:
                counted.append(each)
    return Approvals(
        needed=demand.needed,
        plan_sha256=plan_sha256,
        submitters=demand.submitters,
        counted=tuple(counted),
        void=tuple(void),
        denied=denials(given),
        command=demand.command,
    )


def denials(given: Sequence[Approval]) -> tuple[Approval, ...]:
    """The denials that stand: the last word of each person, if it is one. `given` is in the order of time."""
    return tuple(each for each in {_name(each.person): each for each in given}.values() if not each.granted)


def _why_void(approval: Approval, last: Approval, demand: Demand, plan_sha256: str, at: float) -> str:
    """Why an approval does not count; empty if it does."""
    if any(same_person(approval.person, each) for each in demand.submitters):
        return "nobody approves what they submit themselves"
    if not last.granted:
        return "it was withdrawn"
    if approval.plan_sha256 != plan_sha256:
        return "the plan, a guard or the protected list has changed since"
    if at >= approval.expires_at and not demand.resumes:
        return "it has expired"
    if approval is not last:
        return "the same person approved again"
    return ""


def require_allowed(batch_id: str, found: Approvals) -> None:
    """Raise ApprovalError unless the batch may be run."""
    if not found.allows:
        error = ApprovalError(waiting_text(batch_id, found))
        error.waits = "" if found.denied else batch_id
        raise error


def waiting_text(batch_id: str, found: Approvals) -> str:
    """Why a batch that may not be run may not, and who has to do what."""
    if found.denied:
        said = " ".join(f"{each.who} denied batch {batch_id}: {each.reason.rstrip('.')}." for each in found.denied)
        return f"{said} This command sent nothing. Correct the sheet, then plan it again."
    approvals = "1 approval" if found.missing == 1 else f"{found.missing} approvals"
    return (
        f"Batch {batch_id} waits for {approvals} by somebody other than {listed(found.submitters)}; this command sent "
        f"nothing.{void_text(found)} They type `batch-offboard approve {batch_id}`, then `batch-offboard "
        f"{found.command} {batch_id}` sends it."
    )


def void_text(found: Approvals) -> str:
    """A sentence, after a space, for each approval that does not count."""
    return "".join(f" The approval of {each.who} is void: {why}." for each, why in found.void)


def _name(person: str) -> str:
    return person.partition(" (as ")[0].casefold()


def listed(persons: Sequence[str]) -> str:
    """The people by name, each once."""
    unique = list({_name(each): each for each in persons}.values())
    return " and ".join([", ".join(unique[:-1]), unique[-1]] if len(unique) > 1 else unique) or "the submitter"
