"""What must hold between a journal and the tenants that its batches were worked off against, whatever happened."""

import json
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from sqlalchemy import select

from batch_offboard.core import audit
from batch_offboard.core.batches import Batch
from batch_offboard.core.jobs import NEXT_STATE, JobState, Verdict
from batch_offboard.core.quota import QuotaLimits
from batch_offboard.journal import audited, reading
from batch_offboard.journal.schema import calls, jobs, settlements, throttles
from batch_offboard.journal.store import Journal
from batch_offboard.reports.rows import Outcome
from batch_offboard.simulator import Call, Tenant

if TYPE_CHECKING:
    from tests.integration.world import World


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of the journal's. A reading call is of no device, and the numbers that it has not are 0."""

    api: str
    device_id: str
    batch: int
    row: int
    number: int
    started_at: float
    ended_at: float
    verdict: str


def attempts_of(world: "World") -> list[Attempt]:
    """Every call of the journal, in the order of their intents."""
    statement = (
        select(
            calls.c.api,
            jobs.c.device_id,
            calls.c.batch,
            calls.c.row,
            calls.c.attempt,
            calls.c.started_at,
            calls.c.ended_at,
            calls.c.verdict,
        )
        .outerjoin(jobs, (jobs.c.batch == calls.c.batch) & (jobs.c.row == calls.c.row))
        .order_by(calls.c.id)
    )
    with world.journal.reading() as connection:
        return [
            Attempt(api, device or "", batch or 0, row or 0, number or 0, *rest)
            for api, device, batch, row, number, *rest in connection.execute(statement)
        ]


class Inspection:
    """The invariants between the journal and what the tenant saw of it."""

    def __init__(self, world: "World", batches: Sequence[Batch], tenants: Sequence[Tenant]) -> None:
        self.world = world
        self.batches = {batch.batch_id: batch for batch in batches}
        self.arrived = sorted((call for tenant in tenants for call in tenant.calls), key=lambda call: call.at)
        self.wire = self._arrived("offboard")
        self.actions = [action for tenant in tenants for action in tenant.actions.values() if "[bo " in action.comment]
        self.known = {
            (action.id, action.machine_id, action.type) for tenant in tenants for action in tenant.actions.values()
        }
        self.rows = [(batch, row) for batch in batches for row in world.report(batch)]
        self.calls = attempts_of(world)
        self.attempts = [each for each in self.calls if each.api == "offboard"]

    def _arrived(self, group: str) -> list[Call]:
        return [call for call in self.arrived if call.group == group]

    def all(self, limits: QuotaLimits, *, same_clock: bool) -> None:
        self.nobody_is_offboarded_twice()
        self.every_request_has_an_earlier_intent(same_clock=same_clock)
        self.every_read_and_cancellation_has_an_earlier_intent(same_clock=same_clock)
        self.every_row_is_reported_once_and_in_order()
        self.every_action_is_reported_or_its_device_in_doubt()
        self.every_submitted_row_has_its_action()
        self.no_window_is_overfull(limits)
        if same_clock:
            self.nobody_calls_while_the_server_asks_for_silence()
            self.no_device_is_called_twice_at_a_time()
        self.states_are_legal()
        self.the_audit_record_is_whole_and_tells_of_every_call()
        self.no_secret_is_kept()

    def nobody_is_offboarded_twice(self) -> None:
        devices = [action.machine_id for action in self.actions]
        assert len(devices) == len(set(devices))

    def every_request_has_an_earlier_intent(self, *, same_clock: bool) -> None:
        keys = {batch.key: name for name, batch in self.batches.items()}
        intents = {f"[bo {keys[each.batch]}/{each.row}/{each.number}]": each for each in self.attempts}
        seen = set()
        for call in self.wire:
            if call.comment is None:  # refused or lost before anybody read its body
                assert call.device_id in {each.device_id for each in self.attempts}
                continue
            token = call.comment.removeprefix("CHG0042 ")
            assert re.fullmatch(r"\[bo [^ ]+/\d+/\d+\]", token)
            assert token not in seen
            seen.add(token)
            assert intents[token].device_id == call.device_id
            assert not same_clock or intents[token].started_at <= call.at + 1e-3
        assert len(self.wire) <= len(self.attempts)

    def every_read_and_cancellation_has_an_earlier_intent(self, *, same_clock: bool) -> None:
        """Reads have nothing on them that says which intent is theirs: one is never further than the intents."""
        for group in ("read", "cancel"):
            arrivals = [call.at for call in self._arrived(group)]
            intents = sorted(each.started_at for each in self.calls if each.api == group)
            assert len(arrivals) <= len(intents)
            if same_clock:
                assert [at for at, intent in zip(arrivals, intents, strict=False) if intent > at + 1e-3] == []

    def every_row_is_reported_once_and_in_order(self) -> None:
        for batch in self.batches.values():
            rows = [row.row for each, row in self.rows if each is batch]
            assert rows == list(range(2, 2 + len(rows)))
            assert len(rows) == reading.count(self.world.journal, batch.key).rows

    def every_action_is_reported_or_its_device_in_doubt(self) -> None:
        reported = {row.machine_action_id for _, row in self.rows}
        doubtful = {row.device_id for _, row in self.rows if row.outcome is Outcome.IN_DOUBT}
        lost = [each.id for each in self.actions if each.id not in reported and each.machine_id not in doubtful]
        assert lost == []

    def every_submitted_row_has_its_action(self) -> None:
        submitted = [row for _, row in self.rows if row.outcome is Outcome.SUBMITTED]
        assert all((row.machine_action_id, row.device_id, "Offboard") in self.known for row in submitted)

    def no_window_is_overfull(self, limits: QuotaLimits) -> None:
        for group in ("offboard", "read", "cancel"):
            arrivals = [call.at for call in self._arrived(group)]
            for window in limits.windows:
                assert fullest(arrivals, window.period) <= window.calls

    def nobody_calls_while_the_server_asks_for_silence(self) -> None:
        with self.world.journal.reading() as connection:
            holds = connection.execute(select(throttles.c.api, throttles.c.at, throttles.c.wait)).all()
        for api, at, wait in holds:
            starts = sorted(each.started_at for each in self.calls if each.api == api)
            begun = [start for start in starts[bisect_right(starts, at) :] if start < at + wait - 1e-3]
            assert begun == [], f"called {begun[0] - at:.3f} s into a wait of {wait} s"

    def no_device_is_called_twice_at_a_time(self) -> None:
        by_device: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in self.attempts:
            by_device[attempt.device_id].append(attempt)
        for several in by_device.values():
            several.sort(key=lambda each: each.started_at)
            for one, two in pairwise(several):
                assert one.ended_at <= two.started_at

    def states_are_legal(self) -> None:
        """Each call leads to the next or to where the job stands: by its verdict, or by what settled its doubt."""
        settled = self._settlements()
        last: dict[tuple[int, int], Attempt] = {}
        for attempt in self.attempts:
            before = last.get((attempt.batch, attempt.row))
            assert attempt.number == (before.number + 1 if before else 1)
            assert before is None or _led_to(before, settled) is JobState.PENDING
            last[attempt.batch, attempt.row] = attempt
        statement = select(jobs.c.batch, jobs.c.row, jobs.c.state, jobs.c.attempts, jobs.c.cancels)
        with self.world.journal.reading() as connection:
            for batch, row, state, made, cancels in connection.execute(statement):
                end = last.get((batch, row))
                assert made == (end.number if end else 0)
                led_to = _led_to(end, settled) if end else JobState.PENDING
                taken_back = led_to is JobState.SUBMITTED and cancels > 0
                assert state in {led_to, *([JobState.CANCELLED] if taken_back else [])} or (
                    state == JobState.SKIPPED and led_to is JobState.PENDING
                )

    def _settlements(self) -> dict[tuple[int, int, int], bool]:
        statement = select(settlements.c.batch, settlements.c.row, settlements.c.attempt, settlements.c.accepted)
        with self.world.journal.reading() as connection:
            return {(batch, row, attempt): took for batch, row, attempt, took in connection.execute(statement)}

    def the_audit_record_is_whole_and_tells_of_every_call(self) -> None:
        records = list(audited.records(self.world.journal))
        assert audit.verify(records).intact
        names = {batch.key: name for name, batch in self.batches.items()}
        calls_ = [each for each in self.calls if each.batch]
        made = sorted((each.api, names[each.batch], each.row, each.number, each.verdict) for each in calls_)
        facts = {kind: [json.loads(each.content) for each in records if each.kind == kind] for kind in audit.Kind}
        ended = [(f["api"], f["batch"], f["row"], f["attempt"], f["verdict"]) for f in facts[audit.Kind.OUTCOME]]
        begun = [(f["api"], f["batch"], f["row"], f["attempt"]) for f in facts[audit.Kind.INTENT]]
        assert sorted(ended) == made
        assert sorted(begun) == [each[:4] for each in made]

    def no_secret_is_kept(self) -> None:
        for path in self.world.journal.path.parent.iterdir():
            assert self.world.secret.encode() not in path.read_bytes()
        assert self.world.secret not in "".join(self.world.ears.said_so_far)


def _led_to(attempt: Attempt, settled: dict[tuple[int, int, int], bool]) -> JobState:
    state = NEXT_STATE[Verdict(attempt.verdict)]
    took = settled.get((attempt.batch, attempt.row, attempt.number))
    if state is not JobState.IN_DOUBT or took is None:
        return state
    return JobState.SUBMITTED if took else JobState.PENDING


def fullest(times: Sequence[float], period: float) -> int:
    """The most arrivals in any half-open stretch of `period` seconds, by trying every one that begins with a call."""
    times = sorted(times)
    return max((bisect_left(times, start + period) - index for index, start in enumerate(times)), default=0)


def transactions(journal: Journal) -> int:
    """How many have changed the journal's file, as SQLite counts them in its header (the file change counter)."""
    with journal.path.open("rb") as file:
        return int.from_bytes(file.read(28)[24:])
