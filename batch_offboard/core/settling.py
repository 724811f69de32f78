"""What the tenant's list of machine actions says about calls whose answer never came, and about the whole batch.

Pure. Two rules: *found* settles a doubt at any time; *not found* counts only after the horizon, in a list that has
shown that it works, and then allows one more call. A list can be late, so its silence proves nothing for a while.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from batch_offboard.core.tenant import MachineAction

HORIZON = 3600.0  # seconds after which an action that was accepted is listed

# Clocks differ: an action that is this much older than our call can still be what the call met.
CLOCKS_APART = 900.0  # seconds

# An accepted action may be missing from the list for as long as that without anything being wrong.
LIST_LAG = 600.0  # seconds


@dataclass(frozen=True, slots=True)
class Doubt:
    """A job in doubt. `began` is its last call's start (seconds since the epoch), `gone_by` the seconds that have
    certainly gone by since that call ended; `resent` says that it was sent again after a doubt once already;
    `met_open` that the API named an action of this device as open, which may be of any age."""

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
    """The doubt is settled: this action stands for it. `ours` if our own call made it."""

    doubt: Doubt
    action: MachineAction
    ours: bool


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """The doubt is settled: the call was not accepted, and may be made once more."""

    doubt: Doubt


def settle(doubts: Iterable[Doubt], actions: Iterable[MachineAction], *, horizon: float = HORIZON) -> list[Found]:
    """The doubts that these actions settle, by our correlation token first, else by the device.

    `began` must be by the same clock as the actions' times, the server's.
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
    """The doubts that may be sent once more, by a list of *all* offboard actions in which they were not found.

    `known` are actions that the API has accepted for certain: a list that has none of them proves nothing.
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
    """What an earlier attempt came to says nothing of this one's, unless the device has offboarded or still will."""
    ours = [
        action
        for attempt, action in tokened
        if action.machine_id in ("", doubt.device_id)
        if attempt >= doubt.attempt or not action.came_to_nothing
    ]
    if ours:
        return Found(doubt, _best(ours), ours=True)
    met = [action for action in others if _may_have_met(action, doubt, horizon)]
    return Found(doubt, _best(met), ours=False) if met else None


def _may_have_met(action: MachineAction, doubt: Doubt, horizon: float) -> bool:
    """Somebody's action of the device that makes another call needless: open, or made since ours and not in vain.

    An open one kept ours from being accepted. One that is over did not, so that ours may still come to be listed.
    """
    if not action.is_final:
        return True
    if doubt.gone_by < horizon:
        return False
    since = action.created is not None and action.created >= doubt.began - CLOCKS_APART
    return since and not action.came_to_nothing


def _best(actions: Sequence[MachineAction]) -> MachineAction:
    """The one that says most: one that did not come to nothing, then the newest."""
    return max(actions, key=lambda action: (not action.came_to_nothing, action.created or 0.0, action.id))


# -- the closing look --


class DifferenceKind(StrEnum):
    """How the tenant's list and the journal disagree."""

    SECOND_ACTION = "second_action"  # the device has two actions of this row
    UNKNOWN_ACTION = "unknown_action"  # the tenant has an action of ours that the journal does not know
    OTHER_ACTION = "other_action"  # the journal names another action than the tenant
    MISSING = "missing"  # the tenant does not list an action that it accepted


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement, with the actions that it is about."""

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
    DifferenceKind.OTHER_ACTION: "For row {row} ({device}) tenant and journal name different actions: {actions}.",
    DifferenceKind.MISSING: "The tenant does not list machine action {actions} of row {row} ({device}).",
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What the journal says of a row that was called: its action, if it knows one of ours, and since when."""

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

    `expected` has every row that was called; `actions` are all since the batch was begun, or, if the list is not
    `whole`, some of them, and then none is missed.
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
    live = [action.id for action in actions if not action.came_to_nothing]
    if len(live) > 1:
        return Difference(DifferenceKind.SECOND_ACTION, row, device, ids)
    if expected is None or not expected.action_id:
        return Difference(DifferenceKind.UNKNOWN_ACTION, row, device, ids)
    if expected.action_id not in (live or ids):
        return Difference(DifferenceKind.OTHER_ACTION, row, device, tuple(dict.fromkeys((expected.action_id, *ids))))
    return None
