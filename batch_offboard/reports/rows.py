"""The content of a report: the rows, what to do about each, and the counts.

Pure: takes rows as the journal has them, and returns values for a file. Nothing here opens a file, knows a format, or
reads a clock.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from batch_offboard.base.clock import iso_utc
from batch_offboard.core.facts import Caution, DeviceFacts
from batch_offboard.reports.history import History

REPORT_COLUMNS = (
    "row",
    "device_id",
    "device_name",
    "outcome",
    "machine_action_id",
    "action_status",
    "error_code",
    "error_message",
    "http_status",
    "attempts",
    "submitted_at",
    "finished_at",
    "advice",
)  # a contract; a report that is read back is recognised by them

FORMATS = ("csv", "xlsx", "json", "html")
USUAL_FORMATS = ("csv", "xlsx", "html")  # written at the end of every run

# The workbook's sheets: all rows; the failed rows again, to be repaired and fed back; what the tenant reported for
# each device, without device IDs, so that it cannot be taken for a list of devices; the counts.
DEVICES_SHEET, FAILED_SHEET, LOOKUP_SHEET, SUMMARY_SHEET = "Devices", "Failed", "Look-up", "Summary"

SIMULATED = "SIMULATED: "  # prefix of the advice of every row of a rehearsal, since the columns are a contract


class Outcome(StrEnum):
    """How a row ended, or its state while the batch is not finished."""

    SUBMITTED = "submitted"
    FAILED = "failed"
    SKIPPED = "skipped"
    IN_DOUBT = "in_doubt"
    PENDING = "pending"
    CANCELLED = "cancelled"


# Shown before the word wherever an outcome has a colour, for people who cannot distinguish the colours.
SIGNS: Mapping[Outcome, str] = {
    Outcome.SUBMITTED: "✓",
    Outcome.FAILED: "✕",
    Outcome.SKIPPED: "–",
    Outcome.IN_DOUBT: "?",
    Outcome.PENDING: "…",
    Outcome.CANCELLED: "⊘",
}


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One input row as the report shows it.

    For a skipped row `error_code` is the reason and `error_message` its detail. Times are seconds since the
    epoch. `cells` are the input's own, one for each of the batch's columns; `facts` are the look-up's result.
    """

    row: int
    device_id: str
    device_name: str
    outcome: Outcome
    machine_action_id: str
    action_status: str
    error_code: str
    error_message: str
    http_status: int | None
    attempts: int
    submitted_at: float | None
    finished_at: float | None
    cells: tuple[str, ...]
    facts: DeviceFacts | None = None


@dataclass(frozen=True, slots=True)
class ReportHead:
    """Facts about the batch. Times are seconds since the epoch; `columns` are the input's own; `audit` is the end of
    the audit record as NUMBER:HASH, empty if there is none. `beside` are the names of the other files of the same
    report; `history` is set for formats that show it."""

    batch_id: str
    source_name: str
    source_sha256: str
    columns: tuple[str, ...]
    tenant: str
    api_url: str
    comment: str
    simulated: bool
    planned_at: float
    written_at: float
    state: str
    tool_version: str
    audit: str = ""
    history: History = field(default_factory=History)
    beside: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()  # options that set a guard aside
    started_at: float | None = None
    ended_at: float | None = None
    planned_by: str = ""
    approved_by: tuple[str, ...] = ()  # who gave the approvals that its run needed
    denied: tuple[str, ...] = ()  # who denied the plan, and why
    run_by: tuple[str, ...] = ()  # everyone who ran a part of it, such as ann@pc-7
    expected: float | None = None  # expected duration of a run of the plan, in seconds
    refusals: tuple[str, ...] = ()  # why the guards refuse to run the plan
    table: str = ""  # the file that can be fed back, as it is typed
    part_sent: bool = False  # only a part was to be sent, and that part was sent

    @property
    def is_plan(self) -> bool:
        """Whether it was never run."""
        return self.state == "planned"


def moment(seconds: float | None) -> str | None:
    """A time as reports show it, or None if there is none."""
    return None if seconds is None else iso_utc(seconds)


def record(row: ReportRow, head: ReportHead) -> list[str | int | None]:
    """The row's values in the order of REPORT_COLUMNS, None for unknown ones; without the input's cells."""
    mark = SIMULATED if head.simulated else ""
    return [
        row.row,
        row.device_id or None,
        row.device_name or None,
        row.outcome.value,
        row.machine_action_id or None,
        row.action_status or None,
        row.error_code or None,
        row.error_message or None,
        row.http_status,
        row.attempts,
        moment(row.submitted_at),
        moment(row.finished_at),
        mark + advice(row, head.batch_id, is_plan=head.is_plan),
    ]


def unique_names(columns: Iterable[str]) -> list[str]:
    """Unique names, for formats that identify a cell by its column's name: "Name", "Name (2)", …"""
    names: dict[str, None] = {}
    for column in columns:
        name, count = column, 1
        while name in names:
            count += 1
            name = f"{column} ({count})"
        names[name] = None
    return list(names)


# ── advice ────────────────────────────────────────────────────────────────────────────────────────────────

_NO_SECOND_CALL = "do not send it again by hand before that"
_SETTLE = (
    "`batch-offboard resume {batch}` looks for its action in the tenant; where that is not possible, look at the "
    "device's action centre and record it with `batch-offboard resolve {batch} {row} accepted` or `not-accepted`"
)
_OUR_MISTAKE = "The API does not understand the request, which is a bug in this tool: report it with the message."
_LOOK = f"then {_SETTLE}; {_NO_SECOND_CALL}."
_UNKNOWN_DEVICE = (
    "Compare the ID with the device's page in the portal: the device may be gone, in another tenant, or in a "
    "device group that the application may not see."
)
_NO_PLATFORM = "Offboard this device with the offboarding package or on the device itself: the API cannot do it."
_AGAIN = "then send it with `batch-offboard run REPORT --only failed`."

# What to do, by outcome and code. Codes are those of the API's common-errors page, others that were observed, our own
# for responses without a code, and the reasons of skipped rows; in lower case here.
_ADVICE: Mapping[Outcome, Mapping[str, str]] = {
    Outcome.SUBMITTED: {},
    Outcome.FAILED: {
        "osplatformnotsupported": _NO_PLATFORM,
        "clientversionnotsupported": f"Update the sensor on the device, {_AGAIN}",
        "notfound": _UNKNOWN_DEVICE,
        "resourcenotfound": _UNKNOWN_DEVICE,
        "activerequestalreadyexists": (
            "Nothing to send: an offboard action of this device is open, see the device's action centre."
        ),
        "unauthorized": (f"Read the message: the sign-in was refused or a licence is missing; fix that, {_AGAIN}"),
        "forbidden": f"Grant the application the permission Machine.Offboard with admin consent, {_AGAIN}",
        "disabledfeature": f"Have the feature that the message names turned on in the tenant, {_AGAIN}",
        "disallowedoperation": "Read the message: the tenant does not allow this operation for this device.",
        "invalidinput": f"Shorten the comment and take special characters out of it, {_AGAIN}",
        "badrequest": "Read the message: the API rejects this request and gives no further reason.",
        "invalidrequestbody": _OUR_MISTAKE,
        "missingrequiredparameter": _OUR_MISTAKE,
        "odataerror": _OUR_MISTAKE,
        "maximumbatchsizeexceeded": _OUR_MISTAKE,
        "http405": _OUR_MISTAKE,
    },
    Outcome.SKIPPED: {
        "duplicate": "Nothing to do: the row that the message names counts for this device.",
        "invalid_id": "Correct the ID: copy it from the device's page in the portal, as text.",
        "not_found": _UNKNOWN_DEVICE,
        "ambiguous_name": "Put the ID of the right device into this row: several devices have this name.",
        "name_mismatch": "Find out which device is meant, then correct the row: its ID and name do not match.",
        "unsupported_os": _NO_PLATFORM,
        "not_onboarded": "Nothing to do: the device is not onboarded, so there is no sensor to stop.",
        "merged": "Use the ID of the device that this one was merged into, after checking it in the portal.",
        "protected": "Leave the device onboarded, or ask the owner of the protected list to remove it there.",
        "already_pending": "Nothing to send: an offboard action of this device is open, wait for its end.",
        "already_offboarded": "Nothing to do: the API accepted this device earlier.",
        "offboarded_before": (
            "Find out in the portal whether the device came back; if it did, plan it again with `--offboard-again`."
        ),
    },
    Outcome.IN_DOUBT: {
        "nottheapi": f"Check proxy and api_url, since something else answered in the API's place; {_LOOK}",
        "redirect": f"Check proxy and api_url, since the API never redirects; {_LOOK}",
    },
    Outcome.PENDING: {
        "unreachable": "Not sent: check network and proxy, then run `batch-offboard resume {batch}`.",
        "notrust": (
            "Not sent, since the server's certificate is not trusted: find out who intercepts the "
            "connection, then run `batch-offboard resume {batch}`."
        ),
        "unauthorized": "Not sent: check the credential, then run `batch-offboard resume {batch}`.",
    },
    Outcome.CANCELLED: {},
}

_ADVICE_OTHERWISE: Mapping[Outcome, str] = {
    Outcome.SUBMITTED: "Accepted: the device offboards when it next connects; `batch-offboard track {batch}` shows it.",
    Outcome.FAILED: f"Read the message, fix what it names, {_AGAIN}",
    Outcome.SKIPPED: "Not sent: the message says why.",
    Outcome.IN_DOUBT: f"The API may have accepted it: {_SETTLE}; {_NO_SECOND_CALL}.",
    Outcome.PENDING: "Not sent yet: `batch-offboard {verb} {batch}` sends it.",
    Outcome.CANCELLED: "The action was cancelled: run the device again if it should be offboarded after all.",
}

# machine action, property `status`
_ADVICE_BY_STATUS: Mapping[str, str] = {
    "succeeded": "Nothing to do: the device is offboarded.",
    "failed": "The device did not carry it out: see its action centre, then run the sheet again, which sends it again.",
    "timeout": "Bring the device online, then run the sheet again, which sends it again: it did not connect in time.",
    "cancelled": "The action was cancelled in the tenant: ask who did it before you send the device again.",
}


def advice(row: ReportRow, batch: str = "BATCH", number: str | None = None, *, is_plan: bool = False) -> str:
    """One sentence that says what to do about the row; commands in it contain the batch and the row, or `number` in
    place of the row if several rows share the sentence. `is_plan`: the batch was never run."""
    return _advised(row.outcome, row.error_code, row.action_status, batch, number or str(row.row), is_plan=is_plan)


def _advised(outcome: Outcome, code: str, status: str, batch: str, row: str, *, is_plan: bool) -> str:
    by_status = _ADVICE_BY_STATUS.get(status.lower()) if outcome is Outcome.SUBMITTED else None
    text = by_status or _ADVICE[outcome].get(code.lower()) or _ADVICE_OTHERWISE[outcome]
    verb = "run" if is_plan else "resume"
    return text.replace("{batch}", batch).replace("{row}", row).replace("{verb}", verb)


@dataclass(frozen=True, slots=True)
class Step:
    """A command to type next; `why` says when or what for, if that is not obvious."""

    command: str
    why: str = ""


_IF_STILL_MEANT = "sends the rows that are pending; only if they should be offboarded although others were cancelled"


def next_steps(
    batch: str,
    state: str,
    left: Mapping[Outcome, int],
    *,
    open_actions: int = 0,
    at_work: bool = False,
    part_sent: bool = False,
) -> list[Step]:
    """The next steps for a batch with these outcomes and this number of machine actions that are not final.

    `at_work`: another process works on it; `part_sent`: a person left the pending rows out. After a cancellation the
    pending rows may not be wanted either, and `resume` would send them.
    """
    outcomes = (Outcome.PENDING, Outcome.FAILED, Outcome.IN_DOUBT, Outcome.CANCELLED)
    pending, failed, in_doubt, cancelled = (left.get(outcome, 0) for outcome in outcomes)
    if at_work:
        return [Step(f"batch-offboard show {batch}", "later: a process is working on it")]
    if state == "planned" and pending:
        return [Step(f"batch-offboard run {batch}")]
    steps = []
    if pending and part_sent:
        steps.append(Step(f"batch-offboard run {batch}", "sends the rows that were left out"))
    elif pending and cancelled:
        steps.append(Step(f"batch-offboard resume {batch}", _IF_STILL_MEANT))
    elif pending and not in_doubt:
        steps.append(Step(f"batch-offboard resume {batch}"))
    if failed:
        steps.append(Step(f"batch-offboard retry {batch}", "once the cause is fixed"))
    if in_doubt and not (pending and cancelled):
        steps.append(Step(f"batch-offboard resume {batch}", "later: it looks in the tenant for the rows in doubt"))
    if open_actions and not pending:
        steps.append(Step(f"batch-offboard track {batch}", "follows the machine actions until each is final"))
    return steps


# ── counts ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many rows have this outcome for this reason, and what to do about them."""

    outcome: Outcome
    error_code: str
    rows: int
    advice: str


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts of one report.

    `outcomes` has every outcome; `reasons` has those that occur, by outcome and then by frequency.
    `planned` counts the devices that a plan would offboard.
    """

    rows: int
    outcomes: Mapping[Outcome, int]
    reasons: tuple[ReasonCount, ...]
    planned: "PlannedDevices | None" = None


@dataclass(frozen=True, slots=True)
class PlannedDevices:
    """The devices that lose their protection if a plan is run, counted by the look-up's facts.

    Tables are sorted by frequency, that of times by time, the latest first. They count the `known` devices, of which
    `recent` were seen in the seven days before the look-up.
    """

    devices: int
    known: int
    recent: int
    tables: Mapping[str, Mapping[str, int]]  # by a heading for people


def planned_headline(planned: PlannedDevices) -> str:
    """The effect of a plan, in a sentence."""
    if not planned.devices:
        return "No device loses its protection."
    return f"{planned.devices:,} {'device loses its' if planned.devices == 1 else 'devices lose their'} protection."


def recent_words(planned: PlannedDevices) -> str:
    """How many of them may still be in use, in a sentence."""
    recent = planned.recent
    if not recent:
        return "None of them was seen in the last 7 days."
    return f"{recent:,} of them {'was' if recent == 1 else 'were'} seen in the last 7 days and may still be in use."


class Tally:
    """Counts rows while they are written: each is processed once and never held in memory."""

    def __init__(self, head: ReportHead) -> None:
        self._head = head
        self._counts: Counter[tuple[Outcome, str, str]] = Counter()
        self._planned = _PlannedTally(head.planned_at) if head.is_plan else None

    def add(self, row: ReportRow) -> None:
        status = row.action_status.lower()
        final = status if row.outcome is Outcome.SUBMITTED and status in _ADVICE_BY_STATUS else ""
        self._counts[row.outcome, row.error_code, final] += 1
        if self._planned is not None and row.outcome is Outcome.PENDING:
            self._planned.add(row.facts)

    def counting(self, rows: Iterable[ReportRow]) -> Iterator[ReportRow]:
        """Yield the same rows and count them."""
        for row in rows:
            self.add(row)
            yield row

    def summary(self) -> Summary:
        """The counts so far."""
        outcomes = dict.fromkeys(Outcome, 0)
        for (outcome, _code, _status), rows in self._counts.items():
            outcomes[outcome] += rows
        planned = None if self._planned is None else self._planned.devices()
        return Summary(self._counts.total(), outcomes, tuple(self._reasons()), planned)

    def _reasons(self) -> Iterator[ReasonCount]:
        order = list(Outcome)
        for (outcome, code, status), rows in sorted(
            self._counts.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1:])
        ):
            remedy = _advised(outcome, code, status, self._head.batch_id, "ROW", is_plan=self._head.is_plan)
            yield ReasonCount(outcome, code, rows, remedy)


DAY = 86_400.0  # seconds
_AGES = ((DAY, "in the last 24 hours"), (7 * DAY, "2 to 7 days ago"), (30 * DAY, "8 to 30 days ago"))
_OLDER, _NEVER = "more than 30 days ago", "not known"
_AGES_IN_ORDER = (*(words for _, words in _AGES), _OLDER, _NEVER)
LAST_SEEN = "Last seen"
ENTRIES_COUNTED = 500  # per table: with a different tag on each device, memory must stay limited
ENTRIES_SHOWN = 12
OTHERS = "others"


class _PlannedTally:
    """Counts the devices of a plan."""

    def __init__(self, planned_at: float) -> None:
        self._now = planned_at
        self._devices = self._known = self._recent = 0
        self._tables: dict[str, Counter[str]] = {
            name: Counter() for name in (LAST_SEEN, "Platform", "Device group", "Tag")
        }

    def add(self, facts: DeviceFacts | None) -> None:
        self._devices += 1
        if facts is None:
            return
        self._known += 1
        self._recent += Caution.SEEN_RECENTLY in facts.cautions
        self._count(LAST_SEEN, _age(facts.last_seen, self._now))
        self._count("Platform", facts.platform or _NEVER)
        self._count("Device group", facts.group or "none")
        for tag in facts.tags or ("none",):
            self._count("Tag", tag)

    def devices(self) -> PlannedDevices:
        ages = self._tables[LAST_SEEN]
        tables: dict[str, Mapping[str, int]] = {
            LAST_SEEN: {words: ages[words] for words in _AGES_IN_ORDER if ages[words]},
            **{name: _shown(counts) for name, counts in self._tables.items() if name != LAST_SEEN},
        }
        tables = {name: counts for name, counts in tables.items() if counts}
        return PlannedDevices(self._devices, self._known, self._recent, tables)

    def _count(self, table: str, entry: str) -> None:
        counts = self._tables[table]
        counts[entry if entry in counts or len(counts) < ENTRIES_COUNTED else OTHERS] += 1


def _age(last_seen: float | None, now: float) -> str:
    if last_seen is None:
        return _NEVER
    return next((words for limit, words in _AGES if now - last_seen <= limit), _OLDER)


def _shown(counts: Counter[str]) -> Mapping[str, int]:
    """The most frequent entries, and the sum of the others."""
    ordered = sorted(counts.items(), key=lambda item: (item[0] == OTHERS, -item[1], item[0]))
    shown = dict(ordered[:ENTRIES_SHOWN])
    rest = sum(number for _, number in ordered[ENTRIES_SHOWN:])
    return shown | {OTHERS: rest + shown.get(OTHERS, 0)} if rest else shown
