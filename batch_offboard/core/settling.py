"""Compares the tenant's list of machine actions with the calls whose answer is unknown, and with the whole batch.

Pure. Two rules: *found* settles a doubt at any time; *not found* counts only after the horizon, in a list that is
proved to be current, and then permits one more call. The list can lag, so a missing action proves nothing for a while.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from batch_offboard.core.tenant import MachineAction

HORIZON = 3600.0  # seconds after which every accepted action is listed

# Clocks differ: an action up to this much older than our call may have been created after it.
CLOCKS_APART = 900.0  # seconds

# For how long an accepted action may be missing from the list without anything being wrong.
LIST_LAG = 600.0  # seconds


@dataclass(frozen=True, slots=True)
class Doubt:
    """A job in doubt. `began` is the start of its last call (seconds since the epoch), `gone_by` the seconds that have
    certainly passed since that call ended; `resent` says that it was already sent again after a doubt; `met_open` that
    the API reported an open action of this device, which may be of any age."""

    batch: int
    batch_id: str
    row: int
    device_id: str
    attempt: int
    began: float
    gone_by: float
    resent: bool
    met_open: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The doubt is settled: this action offboards the device. `ours` if our own call created it."""

    doubt: Doubt
    action: MachineAction
    ours: bool


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """The doubt is settled: the call was not accepted and may be repeated once."""

    doubt: Doubt


def settle(doubts: Iterable[Doubt], actions: Iterable[MachineAction], *, horizon: float = HORIZON) -> list[Found]:
    """The doubts that these actions settle, matched by our correlation token, else by the device.

    Each doubt's `began` must be by the server's clock, like the actions' times.
    """
    by_device: dict[str, list[MachineAction]] = defaultdict(list)
    by_token: dict[tuple[str, int], list[tuple[int, MachineAction]]] = defaultdict(list)
    for action in actions:
        by_device[action.machine_id].append(action)
        if (token := action.token) is not None:
            by_token[token.batch_id, token.row].append((token.attempt, action))
    found = (
        _found(doubt, by_token[doubt.batch_id, doubt.row], by_device[doubt.device_id], horizon) for doubt in doubts
    )
    return [each for each in found if each is not None]


def not_accepted(
    doubts: Sequence[Doubt], actions: Sequence[MachineAction], *, known: Collection[str], horizon: float = HORIZON
) -> list[NotAccepted]:
    """The doubts that may be sent once more, because a list of *all* offboard actions does not contain them.

    `known` are IDs of actions that the API certainly accepted: a list without any of them proves nothing.
    """
    if {action.id for action in actions}.isdisjoint(known):
        return []
    settled = {(found.doubt.batch, found.doubt.row) for found in settle(doubts, actions, horizon=horizon)}
    return [
        NotAccepted(doubt)
        for doubt in doubts
        if (doubt.batch, doubt.row) not in settled and doubt.gone_by >= horizon and not doubt.resent
    ]


def _found(
    doubt: Doubt, tokened: Sequence[tuple[int, MachineAction]], others: Sequence[MachineAction], horizon: float
) -> Found | None:
    """The action that settles the doubt. An unsuccessful action of an earlier attempt says nothing about this one."""
    ours = [
        action
        for attempt, action in tokened
        if action.machine_id in ("", doubt.device_id)
        if attempt >= doubt.attempt or not action.is_unsuccessful
    ]
    if ours:
        return Found(doubt, _best(ours), ours=True)
    met = [action for action in others if _may_have_met(action, doubt, horizon)]
    return Found(doubt, _best(met), ours=False) if met else None


def _may_have_met(action: MachineAction, doubt: Doubt, horizon: float) -> bool:
    """Whether this action of another caller makes our call unnecessary: it is open, or was created after our call and
    did not fail.

    While an action is open, another call is not accepted. A final one does not exclude that ours is listed later.
    """
    if not action.is_final:
        return True
    if doubt.gone_by < horizon:
        return False
    since = action.created is not None and action.created >= doubt.began - CLOCKS_APART
    return since and not action.is_unsuccessful


def _best(actions: Sequence[MachineAction]) -> MachineAction:
    """The most relevant action: one that was not unsuccessful, then the newest."""
    return max(actions, key=lambda action: (not action.is_unsuccessful, action.created or 0.0, action.id))


# -- comparison after the run --


class DifferenceKind(StrEnum):
    """How the tenant's list and the journal disagree."""

    SECOND_ACTION = "second_action"  # the device has two actions of this row
    UNKNOWN_ACTION = "unknown_action"  # the tenant has an action of ours that the journal does not know
    OTHER_ACTION = "other_action"  # the journal names another action than the tenant
    MISSING = "missing"  # the tenant does not list an action that it accepted


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement, with the actions concerned."""

    kind: DifferenceKind
    row: int
    device_id: str
    action_ids: tuple[str, ...]

    @property
    def sentence(self) -> str:
        return _SENTENCES[self.kind].format(row=self.row, device=self.device_id, actions=", ".join(self.action_ids))


_SENTENCES: Mapping[DifferenceKind, str] = {
    DifferenceKind.SECOND_ACTION: "Row {row} ({device}) has more than one machine action in the tenant: {actions}.",
    DifferenceKind.UNKNOWN_ACTION: "The tenant has machine action {actions} for row {row} ({device}), unknown here.",
    DifferenceKind.OTHER_ACTION: "Tenant and journal name different actions for row {row} ({device}): {actions}.",
    DifferenceKind.MISSING: "The tenant does not list machine action {actions} of row {row} ({device}).",
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What the journal has for a row that was called: the action that our call created, if any, and when it was
    accepted (seconds since the epoch)."""

    row: int
    device_id: str
    action_id: str
    accepted_at: float | None


def differences(
    batch_id: str,
    expected: Mapping[int, Expected],
    actions: Iterable[MachineAction],
    now: float,
    *,
    whole: bool = True,
) -> list[Difference]:
    """Where the list and the journal disagree about a batch, in the order of the rows.

    `expected` has every row that was called; `actions` are all since the batch started, or only some of them if the
    list is not `whole`, in which case no action is reported as missing.
    """
    listed: dict[int, dict[str, MachineAction]] = defaultdict(dict)
    ids = set()
    for action in actions:
        ids.add(action.id)
        token = action.token
        if token is not None and token.batch_id == batch_id:
            listed[token.row][action.id] = action
    found = [_disagreement(row, expected.get(row), list(by_id.values())) for row, by_id in listed.items()]
    found += [
        Difference(DifferenceKind.MISSING, each.row, each.device_id, (each.action_id,))
        for each in (expected.values() if whole else ())
        if each.action_id and each.action_id not in ids and each.accepted_at is not None
        if now - each.accepted_at > LIST_LAG
    ]
    return sorted((each for each in found if each is not None), key=lambda each: (each.row, each.kind))


def _disagreement(row: int, expected: Expected | None, actions: Sequence[MachineAction]) -> Difference | None:
    ids = tuple(sorted(action.id for action in actions))
    device = expected.device_id if expected else actions[0].machine_id
    live = [action.id for action in actions if not action.is_unsuccessful]
    if len(live) > 1:
        return Difference(DifferenceKind.SECOND_ACTION, row, device, ids)
    if expected is None or not expected.action_id:
        return Difference(DifferenceKind.UNKNOWN_ACTION, row, device, ids)
    if expected.action_id not in (live or ids):
        return Difference(DifferenceKind.OTHER_ACTION, row, device, tuple(dict.fromkeys((expected.action_id, *ids))))
    return None
