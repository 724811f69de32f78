"""What must hold between the wire, the tenant's record, the journal and the reports: each a check with a name.

The numbers are those of the invariants that the checks stand for (I1 to I21). A check that depends on the tenant's
list telling the truth in time, or on the calendar after a restart of the computer, says so.
"""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batch_offboard.base.errors import BatchOffboardError, ExitCode
from batch_offboard.commands.desk import Desk
from batch_offboard.commands.views import RunView
from batch_offboard.core.audit import Anchor, Record, verify
from batch_offboard.journal.audited import last_anchor
from batch_offboard.journal.reported import report_rows
from batch_offboard.simulator import Action, Tenant
from tests.simulation.host import Ended, Host, Process
from tests.simulation.reckoning import difference, group_of, most_in_any, read_csv, wait_asked_for
from tests.simulation.record import Exchange
from tests.simulation.scenario import Scenario
from tests.simulation.sheets import Sheet
from tests.simulation.wire import Net

OFFBOARD = re.compile(r"/api/machines/([0-9a-f]{40})/offboard")
CANCEL = re.compile(r"/api/machineactions/([^/]+)/cancel")
TOKEN = re.compile(r"\[bo ([0-9A-Za-z-]+)/(\d+)/(\d+)\]$")
CANARY = "canary-token"

FIRST_CALLS = 5  # of a batch, that go one by one and must all be accepted

# Between a slot and the first byte lie the wait for the journal and for a connection.
ON_THE_WAY = 2.5  # seconds
TOLERANCE = 0.002  # of a wait, for clocks that run apart

MOVES = frozenset(
    {
        ("pending", "sending"),
        ("pending", "skipped"),
        ("sending", "submitted"),
        ("sending", "failed"),
        ("sending", "pending"),
        ("sending", "in_doubt"),
        ("in_doubt", "submitted"),
        ("in_doubt", "pending"),
        ("failed", "pending"),
        ("submitted", "cancelled"),
    }
)
_OF_JOB = "calls.batch = jobs.batch AND calls.row = jobs.row AND calls.api = 'offboard'"
_CALLS = "api IN ('offboard', 'cancel')"
_NEVER = {  # each counts what must not be in a journal when all is over
    "no job is left in sending": "SELECT count(*) FROM jobs WHERE state = 'sending'",
    "every attempt is a call": (
        f"SELECT count(*) FROM jobs WHERE attempts <> (SELECT count(*) FROM calls WHERE {_OF_JOB})"  # noqa: S608  # ours
    ),
    "every call is in the audit record": (
        "SELECT (SELECT count(*) FROM audit WHERE kind = 'intent') - (SELECT count(*) FROM calls"  # noqa: S608  # ours
        f" WHERE {_CALLS})"
    ),
    "only a last call settles a job": (
        f"SELECT count(*) FROM calls JOIN jobs ON {_OF_JOB}"  # noqa: S608  # ours
        " WHERE calls.attempt < jobs.attempts AND calls.verdict = 'submitted'"
    ),
}
ALL_WELL = frozenset({"duplicate", "already_offboarded"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One check that failed."""

    invariant: str
    check: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} ({self.check}): {self.what}"


class BrokenInvariantError(AssertionError):
    """Says which invariant, how, and how to see it again."""

    def __init__(self, text: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(text)
        self.findings = tuple(findings)


@dataclass(slots=True)
class Silence:
    """A 429: nobody calls from `since` to `until`, unless it died before it could write that down."""

    process: Process
    group: str
    since: float
    until: float


@dataclass
class Inspector:
    """Sees everything. The live checks are made as it happens, the others when a command or the whole has ended."""

    scenario: Scenario
    net: Net
    host: Host
    tenant: Tenant
    journal: Path
    sheets: dict[str, Sheet] = field(default_factory=dict)  # by the hash of what they hold
    findings: list[Finding] = field(default_factory=list)
    silences: list[Silence] = field(default_factory=list)
    settled_by_people: set[tuple[str, int]] = field(default_factory=set)
    reports: set[Path] = field(default_factory=set)
    anchors: list[Anchor] = field(default_factory=list)  # of the audit record, as every report has named it
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    _eye: sqlite3.Connection | None = None
    _eye_on: int = 0

    def found(self, invariant: str, check: str, what: str) -> None:
        self.findings.append(Finding(invariant, check, what))

    # -- live --

    def request_leaves(self, exchange: Exchange) -> None:
        """The first byte of a request is about to leave."""
        found = OFFBOARD.fullmatch(exchange.path) if exchange.method == "POST" else None
        if found is not None:
            device = found[1]
            self._intent_is_durable(device)
            self._device_is_called_once_at_a_time(exchange, device)
            self._device_is_meant(exchange, device)
            self._sender_holds_the_locks(exchange)
            self._first_calls_are_settled(exchange, device)
        elif exchange.method == "GET":
            self._read_is_in_the_call_log(exchange)
        elif taken_back := CANCEL.fullmatch(exchange.path):
            self._own_action_is_taken_back(taken_back[1])
            self._sender_holds_the_locks(exchange)
        self._nobody_calls_into_a_silence(exchange)

    def _intent_is_durable(self, device: str) -> None:
        statement = (
            "SELECT count(*) FROM jobs JOIN calls ON calls.batch = jobs.batch AND calls.row = jobs.row"
            " AND calls.attempt = jobs.attempts AND calls.api = 'offboard' AND calls.ended_at IS NULL"
            " WHERE jobs.tenant IN (SELECT id FROM tenants) AND jobs.device_id = ?"
            " AND jobs.state IN ('sending', 'in_doubt') AND jobs.state = 'sending'"
        )
        if self._ask(statement, device) != [(1,)]:
            self.found("I2", "the intent is durable before the first byte", f"device {device} is sent without one")

    def _first_calls_are_settled(self, exchange: Exchange, device: str) -> None:
        """Until five in a row were accepted, nothing is sent while this process's last call is unclear."""
        [(batch,)] = self._ask("SELECT batch FROM jobs WHERE device_id = ? AND state = 'sending'", device) or [(None,)]
        judged = self._ask(
            "SELECT calls.verdict, jobs.state, jobs.device_id FROM calls JOIN jobs ON calls.batch = jobs.batch"
            " AND calls.row = jobs.row AND calls.attempt = jobs.attempts"
            " WHERE calls.batch = ? AND calls.api = 'offboard'"
            " AND calls.verdict IN ('submitted', 'failed', 'in_doubt', 'already_open') ORDER BY calls.id",
            batch,
        )
        accepted = 0
        for verdict, state, _ in judged:
            accepted = accepted + 1 if verdict in ("submitted", "already_open") or state == "submitted" else 0
            if accepted >= FIRST_CALLS:
                return
        if not judged or judged[-1][:2] != ("in_doubt", "in_doubt"):
            return
        path = f"/api/machines/{judged[-1][2]}/offboard"
        last = [each for each in self.net.record.exchanges if each.path == path][-1:]
        if last and last[0].process is exchange.process:
            self.found("I21", "an unclear call among the first is settled before the next", f"{device} is sent")

    def _own_action_is_taken_back(self, action_id: str) -> None:
        action = self.tenant.actions.get(action_id)
        if action is None or not TOKEN.search(action.comment):
            self.found("I9", "only actions of ours are taken back", action_id)
        statement = (
            "SELECT count(*) FROM calls JOIN jobs ON calls.batch = jobs.batch AND calls.row = jobs.row"
            " WHERE calls.api = 'cancel' AND calls.ended_at IS NULL AND jobs.action_id = ?"
        )
        if self._ask(statement, action_id) != [(1,)]:
            self.found("I2", "a cancellation is durable before the first byte", action_id)

    def _read_is_in_the_call_log(self, exchange: Exchange) -> None:
        [(open_calls,)] = self._ask("SELECT count(*) FROM calls WHERE api = 'read' AND ended_at IS NULL")
        under_way = [
            each for each in self._open_exchanges() if each.method == "GET" and each.process is exchange.process
        ]
        if open_calls < len(under_way):
            self.found("I2", "every read is in the call log", f"{exchange.path}: {open_calls} of {len(under_way)}")

    def _open_exchanges(self) -> list[Exchange]:
        return [line.exchange for line in self.net.open_lines if line.exchange and line.exchange.ended is None]

    def _device_is_called_once_at_a_time(self, exchange: Exchange, device: str) -> None:
        for each in self._open_exchanges():
            if each is not exchange and each.path == exchange.path:
                self.found("I8", "one call for a device at a time", f"{device} by {each.process.name}, and now again")

    def _device_is_meant(self, exchange: Exchange, device: str) -> None:
        if not any(device in sheet.wanted for sheet in self.sheets.values()):
            self.found("I9", "only devices of the plan are sent", device)
        if device in exchange.process.protected:
            self.found("I9", "a protected device is never sent", device)

    def _sender_holds_the_locks(self, exchange: Exchange) -> None:
        held = [path for path, holder in self.host.locks.items() if holder is exchange.process]
        if (
            len([path for path in held if not path.name.startswith(("reading-", "inbox-"))]) != 3
        ):  # the journal's, the user's and the one of all users
            self.found("I10", "who sends holds the locks", f"{exchange.process.name} holds {held}")

    def _nobody_calls_into_a_silence(self, exchange: Exchange) -> None:
        now, group = exchange.began, group_of(exchange)
        for silence in self.silences:
            if silence.group != group or not silence.since + ON_THE_WAY < now < silence.until:
                continue
            if silence.process is exchange.process or self._was_written_down(silence):
                wait = silence.until - silence.since
                self.found("I7", "nobody calls into a silence", f"{now - silence.since:.3f} s into {wait:.0f} s")

    def _was_written_down(self, silence: Silence) -> bool:
        process = silence.process
        died = process.died_at
        lived = died is None or died > silence.since + ON_THE_WAY
        return lived and not process.was_struck and not self.calendar_misleads

    def answer_is_read(self, exchange: Exchange) -> None:
        """An exchange is over; a 429 asks everybody for silence."""
        if exchange.status != 429 or exchange.ended is None or not exchange.answered:
            return
        wait = wait_asked_for(exchange.retry_after)
        if wait is not None:
            until = exchange.ended + wait * (1 - TOLERANCE)
            self.silences.append(Silence(exchange.process, group_of(exchange), exchange.ended, until))

    def job_moves(self, before: str, after: str) -> None:
        self.moves[before, after] += 1
        if (before, after) not in MOVES:
            self.found("I11", "jobs move along the arrows", f"{before} -> {after}")

    # -- when a command has ended --

    def command_reports(self, desk: Desk, view: RunView, paths: Sequence[Path]) -> None:
        """In the process itself, so that nobody changes the journal in between."""
        rows = list(report_rows(desk.journal, view.batch.key))
        self.anchors.append(last_anchor(desk.journal))
        for path in paths:
            self.reports.add(path)
            if path.suffix == ".csv":
                self._report_agrees(read_csv(path), rows, view)

    def _report_agrees(self, table: list[dict[str, str]], rows: Sequence[Any], view: RunView) -> None:
        name = view.batch.batch_id
        self.report_is_true(table, name, self.sheets[view.batch.source_sha256])
        self._exit_code_agrees(table, view.exit_code)
        shown = [(row["outcome"], row["machine_action_id"]) for row in table]
        if shown != [(row.outcome.value, row.machine_action_id) for row in rows]:
            self.found("I3", "the report says what the journal says", f"batch {name}")

    def report_is_true(self, table: list[dict[str, str]], name: str, sheet: Sheet) -> None:
        """What must be so of a report for as long as it lies there."""
        self._every_row_comes_back(table, name, sheet)
        self._submitted_rows_have_their_action(table, name)
        self._accepted_actions_are_reported(table, name)

    def _every_row_comes_back(self, table: list[dict[str, str]], name: str, sheet: Sheet) -> None:
        found = tuple((int(row["row"]), row["Owner"]) for row in table)
        if found != sheet.lines:
            what = f"batch {name}: {difference(found, sheet.lines)}"
            self.found("I3", "every row comes back once and in order", what)

    def _exit_code_agrees(self, table: list[dict[str, str]], code: ExitCode) -> None:
        outcomes = Counter(row["outcome"] for row in table)
        unfinished = outcomes["pending"] + outcomes["in_doubt"]
        unwell = outcomes["failed"] + outcomes["cancelled"]
        unwell += sum(row["outcome"] == "skipped" and row["error_code"] not in ALL_WELL for row in table)
        allowed = {3, 4, 5} if unfinished else {1, 5} if unwell else {0, 5}
        if code not in allowed:
            self.found("I17", "exit code and report agree", f"exit {code} with {dict(outcomes)}")

    def _submitted_rows_have_their_action(self, table: list[dict[str, str]], name: str) -> None:
        for row in table:
            if row["outcome"] != "submitted" or (name, int(row["row"])) in self.settled_by_people:
                continue
            action = self.tenant.actions.get(row["machine_action_id"])
            if action is None or action.machine_id != row["device_id"] or action.type != "Offboard":
                self.found("I5", "submitted rows have their action", f"row {row['row']}: {row['machine_action_id']!r}")

    def _accepted_actions_are_reported(self, table: list[dict[str, str]], name: str) -> None:
        shown = {row["machine_action_id"] for row in table}
        doubtful = {row["device_id"] for row in table if row["outcome"] == "in_doubt"}
        doubled = {each.path for each in self.net.record.exchanges if each.copies}
        for number, actions in self._ours(name).items():
            missing = [each for each in actions if each.id not in shown and each.machine_id not in doubtful]
            # One answer for two requests: the closing look tells of the difference.
            missing = [each for each in missing if f"/api/machines/{each.machine_id}/offboard" not in doubled]
            if not self._list_can_be_trusted and len(missing) < len(actions):
                continue
            if missing and (name, number) not in self.settled_by_people:
                self.found("I4", "accepted actions are reported or in doubt", f"row {number}: {missing[0].id}")

    def command_ended(self, name: str, ended: Ended, process: Process) -> None:
        if self.journal.exists() and self.journal.stat().st_size:
            self._nobody_is_offboarded_twice()
            self._doubts_have_left(process)
            self._no_reserve_is_left(ended)
        error = ended.error
        if error is not None and not isinstance(error, (BatchOffboardError, KeyboardInterrupt)):
            self.found("errors", "every error is one of ours", f"{name} ended with {error!r}")
        if process.stray and not process.was_hurried:
            self.found("errors", "nothing is left running", f"{name}: {process.stray}")

    # -- at the end --

    def inspect(self) -> None:
        """Everything that is seen best when all is over."""
        self._requests_and_record_agree()
        self._windows_are_never_overfull()
        self._journal_is_in_order()
        self._audit_record_is_whole()
        self._no_secret_is_kept()
        for error in self.net.loop.errors:
            self.found("errors", "nothing fails unseen", f"{error.get('message')}: {error.get('exception')!r}")

    def _ours(self, name: str | None = None) -> dict[int, list[Action]]:
        """Our actions by row; of one batch."""
        found: dict[int, list[Action]] = defaultdict(list)
        for action in self.tenant.actions.values():
            token = TOKEN.search(action.comment)
            if token and (name is None or token[1] == name):
                found[int(token[2])].append(action)
        return found

    def _nobody_is_offboarded_twice(self) -> None:
        copies = {each.path: each.copies for each in self.net.record.exchanges if each.copies}
        by_device: dict[str, list[Action]] = defaultdict(list)
        for action in self.tenant.actions.values():
            if TOKEN.search(action.comment):
                by_device[action.machine_id].append(action)
        resent = dict(self._ask("SELECT device_id, count(*) FROM jobs WHERE resent GROUP BY device_id"))
        for device, actions in by_device.items():
            doubled = copies.get(f"/api/machines/{device}/offboard", 0)
            standing = self._standing(actions)
            allowed = 1 + doubled + (0 if self._list_can_be_trusted else resent.get(device, 0))
            if len(standing) > allowed:
                self.found("I1", "nobody is offboarded twice", f"{device}: {[each.comment for each in actions]}")

    @property
    def _list_can_be_trusted(self) -> bool:
        return self.scenario.is_truthful and not self.calendar_misleads

    def _standing(self, actions: Sequence[Action]) -> list[Action]:
        """Those that did not come to nothing before the next one was made."""
        ordered = sorted(actions, key=lambda each: each.created)
        ends = [each.created for each in ordered[1:]] + [float("inf")]
        return [each for each, end in zip(ordered, ends, strict=True) if each.status(end) not in _IN_VAIN]

    def _doubts_have_left(self, process: Process) -> None:
        """What a living process calls unclear was on the wire; only the rescue of a dead one's calls cannot know."""
        if process.was_struck:
            return
        statement = (
            "SELECT jobs.device_id, count(*) FROM calls JOIN jobs ON calls.batch = jobs.batch AND calls.row = jobs.row"
            " WHERE calls.api = 'offboard' AND calls.verdict = 'in_doubt' AND calls.message NOT LIKE ?"
            " GROUP BY jobs.device_id"
        )
        left = Counter(each.path for each in self.net.record.exchanges if each.method == "POST")
        for device, number in self._ask(statement, "The program ended while%"):
            if number > left[f"/api/machines/{device}/offboard"]:
                self.found("I19", "only what has left is in doubt", f"{device}: {number} doubts")

    def _no_reserve_is_left(self, ended: Ended) -> None:
        # One that was killed leaves it to the next run.
        excused = any(each.is_running or each.gone for each in self.host.processes)
        if not ended.killed and not excused and list(self.journal.parent.glob("*.reserve")):
            self.found("I20", "a command that ends gives its reserve up", "it is still there")

    def _requests_and_record_agree(self) -> None:
        """What the tenant saw is what left here, and no token was used for two calls."""
        posts = [each for each in self.net.record.exchanges if OFFBOARD.fullmatch(each.path)]
        copies = sum(each.copies for each in posts)
        arrived = sum(each.arrived is not None for each in posts)
        seen = [call for call in self.tenant.calls if call.operation == "offboard"]
        if len(seen) > arrived + copies:
            self.found(
                "I2", "every call has a request of ours", f"{len(seen)} calls, {arrived} requests, {copies} copies"
            )
        used = Counter(call.comment for call in seen if call.comment is not None)
        again = [comment for comment, times in used.items() if times > 1]
        if len(again) > copies:
            self.found("I2", "no token is used twice", f"{again[:3]}")
        [(intents,)] = self._ask("SELECT count(*) FROM calls WHERE api = 'offboard'")
        if len(posts) > intents:
            self.found("I2", "no more requests than intents", f"{len(posts)} requests, {intents} intents")

    def _windows_are_never_overfull(self) -> None:
        if self.calendar_misleads:
            return
        scenario = self.scenario
        for group in ("offboard", "read", "cancel"):
            times = sorted(
                each.arrived
                for each in self.net.record.exchanges
                if each.arrived is not None and group_of(each) == group
            )
            for period, most in ((60.0, scenario.per_minute), (3600.0, scenario.per_hour)):
                fullest = most_in_any(times, period)
                if fullest > most:
                    self.found(
                        "I6", "no window is ever overfull", f"{fullest} {group} calls in {period:.0f} s, not {most}"
                    )

    def _journal_is_in_order(self) -> None:
        for check, statement in _NEVER.items():
            if (found := self._ask(statement)) != [(0,)]:
                self.found("I11", check, f"{found}")

    def _audit_record_is_whole(self) -> None:
        """The chain holds, with every anchor that was ever told in it."""
        columns = "number, at, kind, content, previous, hash"
        records = self._ask(f"SELECT {columns} FROM audit ORDER BY number")  # noqa: S608  # ours
        found = verify((Record(*each) for each in records), self.anchors)
        if not found.intact:
            self.found("I16", "the audit record verifies", found.problem)

    def _no_secret_is_kept(self) -> None:
        for path in sorted(self.host.folder.rglob("*")):
            if path.is_file() and CANARY.encode() in path.read_bytes():
                self.found("I15", "no secret is kept", str(path))

    @property
    def calendar_misleads(self) -> bool:
        """Whether the calendar ran ahead from one boot to a later one: then nothing on the computer can tell."""
        errors = self.host.wall_errors
        return any(max(errors[later]) > min(errors[boot]) for boot in errors for later in errors if later > boot)

    def _ask(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """What the journal's file says, to somebody who has no part in what writes it."""
        inode = self.journal.stat().st_ino
        if self._eye is None or inode != self._eye_on:
            self.close()
            self._eye, self._eye_on = sqlite3.connect(self.journal), inode
        return self._eye.execute(statement, arguments).fetchall()

    def close(self) -> None:
        if self._eye is not None:
            self._eye.close()
            self._eye = None


_IN_VAIN = ("Failed", "TimeOut", "Cancelled")
