"""The audit record on a real journal: what is recorded with what, that nothing can be taken back, and what is found."""

import asyncio
import csv
import io
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batch_offboard.base.clock import Moment
from batch_offboard.base.errors import JournalError, ReportError, UsageError
from batch_offboard.commands import auditing
from batch_offboard.core.audit import Anchor, Kind, Record, canonical, digest, verify
from batch_offboard.core.batches import Batch
from batch_offboard.core.jobs import CallOutcome, Verdict
from batch_offboard.core.plan import Decision, PlannedRow, Reason
from batch_offboard.core.settling import Found
from batch_offboard.core.tenant import ApiName, MachineAction
from batch_offboard.journal import audited, settlements
from batch_offboard.journal.attempts import End, Start
from batch_offboard.journal.store import Journal
from batch_offboard.journal.writer import JournalWriter
from tests.commands import ANN
from tests.examples import add_batch

T0 = 1_795_500_000.0
NAME = "20261124-0815-abcd"
ACCEPTED = CallOutcome(Verdict.SUBMITTED, 201, "action-1", "Pending")
REFUSED = CallOutcome(Verdict.FAILED, 404, code="ResourceNotFound", message="no such device")
UNCLEAR = CallOutcome(Verdict.IN_DOUBT, 500, code="500", message="who knows")


def at(seconds: float) -> Moment:
    return Moment(T0 + seconds, 1000 + seconds, "boot-1")


def device(number: int) -> str:
    return f"d{number:039d}"


def row(number: int, reason: Reason | None = None) -> PlannedRow:
    return PlannedRow(number, device(number), f"LT-{number}", reason, "why" if reason else "", None, ("c",))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal.db", create=True, actor=ANN)) as journal:
        yield journal


def add(journal: Journal, rows: Sequence[PlannedRow], name: str = NAME, scope: str = "tenant/app") -> Batch:
    return add_batch(journal, rows, batch_id=name, scope=scope)


def call(
    journal: Journal, batch: Batch, number: int, outcome: CallOutcome | None = None, attempt: int = 1,
    api: ApiName = ApiName.OFFBOARD,
) -> None:  # fmt: skip
    """Begin a call, and end it if there is an outcome."""
    journal.commit([Start(batch.key, batch.scope_key, number, attempt, at(1), api)], [])
    if outcome is not None:
        journal.commit([], [End(batch.key, batch.scope_key, number, attempt, at(2), outcome, api=api)])


def told(journal: Journal, kind: Kind | None = None) -> list[dict[str, Any]]:
    """What the records say, of one kind or all, besides who acts, which each of them says."""
    found = list(audited.records(journal))
    assert verify(found).intact
    contents = [json.loads(record.content) for record in found if kind in (None, record.kind)]
    assert {(each.pop("who"), each.pop("face")) for each in contents} <= {(ANN.who, ANN.face)}
    return contents


def kinds(journal: Journal) -> list[str]:
    return [record.kind for record in audited.records(journal)]


def known(number: int, attempt: int = 1, api: str = "offboard") -> dict[str, Any]:
    return {"api": api, "attempt": attempt, "batch": NAME, "device_id": device(number), "row": number}


# -- what is recorded --


def test_a_plan_is_recorded_with_its_sheet_its_counts_and_who_made_it(journal: Journal) -> None:
    batch = add(
        journal, [row(2), row(3), row(4, Reason.INVALID_ID), row(5, Reason.INVALID_ID), row(6, Reason.NOT_FOUND)]
    )
    assert told(journal) == [
        {
            "batch": NAME,
            "source_name": "devices.csv",
            "source_sha256": "0" * 64,
            "rows": 5,
            "offboard": 2,
            "skipped": {"invalid_id": 2, "not_found": 1},
            "comment": "CHG0042",
            "scope": "tenant/app",
            "api_url": "https://api.example",
            "simulated": False,
            "tool_version": "0",
            "plan_sha256": batch.plan_sha256,
        }
    ]


def test_a_plan_that_breaks_off_is_not_recorded(journal: Journal) -> None:
    def rows() -> Iterator[PlannedRow]:
        yield row(2)
        raise JournalError("the sheet ended in the middle")

    with pytest.raises(JournalError):
        add(journal, rows())  # type: ignore[arg-type]  # an iterable that raises is the point
    assert told(journal) == []


def test_every_intent_and_outcome_is_recorded_with_its_device(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    call(journal, batch, 2, ACCEPTED)
    call(journal, batch, 3, REFUSED)
    call(journal, batch, 2, CallOutcome(Verdict.CANCELLED, 200), api=ApiName.CANCEL)
    assert told(journal, Kind.INTENT) == [known(2), known(3), known(2, api="cancel")]
    assert told(journal, Kind.OUTCOME) == [
        {**known(2), "action_id": "action-1", "code": "", "http_status": 201, "verdict": "submitted"},
        {**known(3), "action_id": "", "code": "ResourceNotFound", "http_status": 404, "verdict": "failed"},
        {**known(2, api="cancel"), "action_id": "", "code": "", "http_status": 200, "verdict": "cancelled"},
    ]


def test_reading_calls_are_not_recorded(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    journal.begin_read(batch.scope_key, at(1))
    assert kinds(journal) == ["planned"]


def test_a_beginning_is_recorded_with_the_command_and_who_gave_it(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    journal.prepare(batch.key, batch.scope_key, at(0), "resume")
    assert told(journal, Kind.STARTED) == [{"batch": NAME, "command": "resume"}]


def test_a_call_that_an_earlier_process_left_open_is_recorded_as_in_doubt(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    call(journal, batch, 2)
    call(journal, batch, 3, ACCEPTED)
    call(journal, batch, 3, api=ApiName.CANCEL)
    journal.prepare(batch.key, batch.scope_key, at(9))
    journal.take_over(batch.scope_key, at(10))
    unclear = {"action_id": "", "code": "Interrupted", "http_status": None, "verdict": "in_doubt"}
    assert told(journal, Kind.OUTCOME)[1:] == [{**known(2), **unclear}, {**known(3, api="cancel"), **unclear}]


def test_rows_that_are_skipped_later_are_recorded_with_the_reason(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3), row(4)])
    call(journal, batch, 2, ACCEPTED)
    gone = Decision(Reason.NOT_FOUND, "The tenant has no such device any more.")
    journal.skip(batch.key, [(2, gone), (4, gone)], T0 + 9)  # row 2 is not pending any more, and stays as it is
    other = add(journal, [row(2), row(3)], "other")
    journal.prepare(other.key, other.scope_key, at(10))
    assert told(journal, Kind.SKIPPED) == [
        {"batch": NAME, "device_id": device(4), "row": 4, "reason": "not_found", "detail": gone.detail},
        {
            "batch": "other", "device_id": device(2), "row": 2, "reason": "already_offboarded",
            "detail": "Another batch submitted the device after this plan was made.",
        },
    ]  # fmt: skip


def test_a_repetition_is_recorded_with_the_number_of_rows(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    journal.prepare(batch.key, batch.scope_key, at(0))
    call(journal, batch, 2, REFUSED)
    journal.retry_failed(batch.key, T0 + 9)
    assert told(journal, Kind.RETRY) == [{"batch": NAME, "rows": 1}]


def test_doubts_are_recorded_with_what_settled_them(journal: Journal) -> None:
    batch = add(journal, [row(number) for number in (2, 3, 4, 5)])
    for number in (2, 3, 4, 5):
        call(journal, batch, number, UNCLEAR)
    two, three, four, five = settlements.doubts(journal, batch.key, at(9))
    action = MachineAction("action-2", "Succeeded", device(2), "", "", T0, T0 + 5)
    settlements.accept_found(journal, [Found(two, action, ours=True)], T0 + 9)
    settlements.send_again(journal, [three], T0 + 9)
    settlements.settle_by_person(journal, four, T0 + 9, "ann", action_id="action-4", note="seen in the portal")
    settlements.settle_by_person(journal, five, T0 + 9, "ann", action_id=None, note="")
    settlements.settle_by_person(journal, five, T0 + 9, "ann", action_id=None, note="too late, and so not recorded")
    found = told(journal, Kind.SETTLED)
    assert [(each["row"], each["by"], each["accepted"], each["action_id"]) for each in found] == [
        (2, "list", True, "action-2"),
        (3, "list", False, ""),
        (4, "person", True, "action-4"),
        (5, "person", False, ""),
    ]
    assert found[2] == {
        **known(4), "by": "person", "accepted": True, "action_id": "action-4",
        "note": "seen in the portal",
    }  # fmt: skip


def test_a_cancellation_that_the_list_shows_to_have_come_true_is_recorded(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    call(journal, batch, 2, ACCEPTED)
    call(journal, batch, 2, UNCLEAR, api=ApiName.CANCEL)
    call(journal, batch, 3, CallOutcome(Verdict.SUBMITTED, 201, "action-3", "Pending"))
    tenant = journal.tenant_of(batch.scope_key)
    actions = [
        MachineAction(f"action-{name}", "Cancelled", device(number), "", "", T0, T0 + 5)
        for name, number in ((1, 2), (3, 3))  # somebody else cancelled that of row 3
    ]
    settlements.note_actions(journal, tenant, actions, T0 + 9)
    settlements.note_actions(journal, tenant, actions, T0 + 10)
    assert told(journal, Kind.SETTLED) == [
        {**known(2, api="cancel"), "by": "list", "accepted": True, "action_id": "action-1", "note": ""}
    ]


# -- neither without the other --


def refuse_records(journal: Journal, kind: str = "") -> None:
    """As a full disk would: nothing can be recorded any more, or nothing of a kind."""
    condition = f"WHEN new.kind = '{kind}'" if kind else ""
    with journal.writing() as connection:
        connection.exec_driver_sql(
            f"CREATE TRIGGER no_space BEFORE INSERT ON audit {condition} BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )


def allow_records(journal: Journal) -> None:
    with journal.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER no_space")


@pytest.mark.fault(32, "Without the audit record nothing is sent.")
def test_a_call_that_cannot_be_recorded_is_not_begun(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    refuse_records(journal)
    with pytest.raises(JournalError, match="disk is full"):
        call(journal, batch, 2)
    assert [job.row for job in journal.pending(batch.key, -1, 9)] == [2]
    assert audited.calls_made(journal)[0] == 0


async def test_an_outcome_that_cannot_be_recorded_is_an_error_and_stays_to_be_settled(journal: Journal) -> None:
    batch = add(journal, [row(2)])
    async with JournalWriter(journal) as writer:
        await writer.write(Start(batch.key, batch.scope_key, 2, 1, at(0)))
        refuse_records(journal, "outcome")
        with pytest.raises(JournalError, match="disk is full"):
            await writer.write(End(batch.key, batch.scope_key, 2, 1, at(1), ACCEPTED))
    allow_records(journal)
    journal.take_over(batch.scope_key, at(9))
    assert [each["verdict"] for each in told(journal, Kind.OUTCOME)] == ["in_doubt"]
    assert len(settlements.doubts(journal, batch.key, at(9))) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda journal, batch: journal.prepare(batch.key, batch.scope_key, at(5)),
        lambda journal, batch: journal.retry_failed(batch.key, T0),
        lambda journal, batch: journal.skip(batch.key, [(4, Decision(Reason.NOT_FOUND, "gone"))], T0),
        lambda journal, batch: journal.record(Kind.CLEARED, T0, {}),
        lambda journal, batch: settlements.send_again(journal, settlements.doubts(journal, batch.key, at(9)), T0),
        lambda journal, batch: add(journal, [row(9)], "another"),
    ],
    ids=["start", "retry", "skip", "clear", "settle", "plan"],
)
def test_what_cannot_be_recorded_has_not_happened(journal: Journal, change: Callable[[Journal, Batch], object]) -> None:
    batch = add(journal, [row(2), row(3), row(4)])
    journal.prepare(batch.key, batch.scope_key, at(0))
    call(journal, batch, 2, REFUSED)
    call(journal, batch, 3, UNCLEAR)
    before = dump_of(journal)
    refuse_records(journal)
    with pytest.raises(JournalError, match="disk is full"):
        change(journal, batch)
    allow_records(journal)
    assert dump_of(journal) == before


def dump_of(journal: Journal) -> list[str]:
    with closing(sqlite3.connect(journal.path)) as connection:
        return list(connection.iterdump())


def test_a_move_that_is_not_legal_is_not_recorded(journal: Journal) -> None:
    batch = add(journal, [row(2), row(3)])
    with pytest.raises(JournalError):
        journal.commit([Start(batch.key, batch.scope_key, number, 1, at(0)) for number in (2, 3, 3)], [])
    assert kinds(journal) == ["planned"]


async def test_outcomes_and_intents_that_wait_together_are_chained_together(journal: Journal) -> None:
    batch = add(journal, [row(number) for number in range(2, 52)])
    async with JournalWriter(journal) as writer:
        begun = [Start(batch.key, batch.scope_key, number, 1, at(0)) for number in range(2, 52)]
        await asyncio.gather(*(writer.write(each) for each in begun))
        ended = [End(batch.key, batch.scope_key, number, 1, at(1), REFUSED) for number in range(2, 52)]
        await asyncio.gather(*(writer.write(each) for each in ended))
    assert sorted(each["row"] for each in told(journal, Kind.INTENT)) == list(range(2, 52))
    assert sorted(each["row"] for each in told(journal, Kind.OUTCOME)) == list(range(2, 52))


def test_two_processes_write_one_chain(journal: Journal) -> None:
    with closing(Journal(journal.path, actor=ANN)) as other:
        one, two = add(journal, [row(2)], "one"), add(other, [row(3)], "two")
        call(journal, one, 2)
        call(other, two, 3, REFUSED)
        journal.commit([], [End(one.key, one.scope_key, 2, 1, at(2), ACCEPTED)])
    assert kinds(journal) == ["planned", "planned", "intent", "intent", "outcome", "outcome"]
    assert verify(audited.records(journal)).intact


# -- nothing can be taken back --


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET content = '{}' WHERE number = 2",
        "UPDATE audit SET number = 9 WHERE number = 3",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE number = 3",
        "INSERT OR REPLACE INTO audit VALUES (2, 1, 'intent', '{}', 'x', 'y')",
        "REPLACE INTO audit SELECT number, at, kind, '{}', previous, hash FROM audit WHERE number = 3",
        "INSERT INTO audit SELECT 9, at, kind, content, hash, 'y' FROM audit WHERE number = 3",
        "INSERT INTO audit VALUES (4, 1, 'intent', '{}', 'no hash of the last', 'y')",
        "INSERT INTO audit SELECT 4, at, kind, content, hash, NULL FROM audit WHERE number = 3",
    ],
)
def test_the_table_takes_nothing_but_the_next_record(journal: Journal, statement: str) -> None:
    batch = add(journal, [row(2)])
    call(journal, batch, 2, REFUSED)
    before = list(audited.records(journal))
    with closing(sqlite3.connect(journal.path)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(statement)
    assert list(audited.records(journal)) == before


# -- what is found --


def tamper(journal: Journal, *statements: str) -> None:
    """As somebody does who knows how: the triggers are put out of the way first, and restored."""
    with closing(sqlite3.connect(journal.path)) as connection, connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in triggers:
            connection.execute(sql)


class Office:
    """All that verification asks of a desk."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal


def look(journal: Journal, *anchors: Anchor) -> auditing.AuditView:
    return auditing.verify(Office(journal), anchors)  # type: ignore[arg-type]  # a journal is enough


@pytest.fixture
def worked(journal: Journal) -> Journal:
    """Seven records: a plan, three intents, three outcomes."""
    batch = add(journal, [row(2), row(3), row(4)])
    for number in (2, 3, 4):
        call(journal, batch, number, REFUSED)
    return journal


def test_a_record_that_nobody_touched_is_intact_and_contains_its_anchors(worked: Journal) -> None:
    view = look(worked, *(Anchor(record.number, record.hash) for record in audited.records(worked)))
    assert (view.finding.intact, view.finding.records, view.exit_code) == (True, 7, 0)
    assert view.finding.last == audited.last_anchor(worked)


@pytest.mark.fault(113, "`audit verify` finds what was recorded and has changed.")
@pytest.mark.parametrize(
    ("statements", "broken"),
    [
        (["UPDATE audit SET content = replace(content, 'failed', 'submitted') WHERE number = 3"], 3),
        (["UPDATE audit SET at = at + 1 WHERE number = 5"], 5),
        (["UPDATE audit SET kind = 'outcome' WHERE number = 4"], 4),
        (["DELETE FROM audit WHERE number = 1"], 1),
        (["DELETE FROM audit WHERE number = 4"], 4),
        (["DELETE FROM audit WHERE number = 4", "UPDATE audit SET number = number - 1 WHERE number > 4"], 4),
        (
            [
                "UPDATE audit SET number = 100 WHERE number = 3",
                "UPDATE audit SET number = 3 WHERE number = 5",
                "UPDATE audit SET number = 5 WHERE number = 100",
            ],
            3,
        ),
        (["UPDATE audit SET content = CAST(x'7bff7d' AS TEXT) WHERE number = 6"], 6),
        (["UPDATE audit SET content = x'7b7d' WHERE number = 6"], 6),
        (["UPDATE audit SET number = -1 WHERE number = 1"], 1),
        (["DELETE FROM audit WHERE number > 5"], 6),
        (["DELETE FROM audit"], 1),
    ],
)
def test_whatever_was_changed_taken_out_or_moved_is_found_by_its_number(
    worked: Journal, statements: list[str], broken: int
) -> None:
    tamper(worked, *statements)
    view = look(worked)
    assert (view.finding.broken, view.exit_code) == (broken, 4)


def test_an_end_that_was_cut_off_together_with_its_calls_is_found_by_the_anchor(worked: Journal) -> None:
    anchor = audited.last_anchor(worked)
    tamper(worked, "DELETE FROM audit WHERE number > 5", "DELETE FROM calls WHERE row = 4")
    assert look(worked).finding.intact
    assert look(worked, anchor).finding.broken == 6


def test_calls_that_were_added_beside_the_record_are_found(worked: Journal) -> None:
    tamper(
        worked,
        "INSERT INTO calls (scope, api, batch, row, attempt, started_at, boot) "
        "SELECT scope, api, batch, row, 2, started_at, boot FROM calls WHERE id = 1",
    )
    assert "4 calls to offboard or to cancel, and the record lists 3" in look(worked).finding.problem


def test_what_others_write_during_the_verification_does_not_disturb_it(
    worked: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audited, "ROWS_AT_A_TIME", 2)
    batch = add(worked, [row(20), row(21), row(22)], "meanwhile")
    pieces: list[int] = []
    piece = audited._piece

    def slowly(journal: Journal, statement: Any) -> Sequence[Record]:
        if len(pieces) < 3:
            call(worked, batch, 20 + len(pieces), REFUSED)
        pieces.append(1)
        return piece(journal, statement)

    monkeypatch.setattr(audited, "_piece", slowly)
    view = look(worked)
    assert view.finding.intact
    assert view.finding.records == 14
    assert look(worked).finding.intact


# -- export --


def export(journal: Journal, form: str, found: Iterator[Record] | None = None) -> str:
    text = io.StringIO()
    auditing.write_export(text, form, found if found is not None else audited.records(journal))
    return text.getvalue()


def test_every_exported_line_can_be_verified_by_itself(worked: Journal) -> None:
    lines = [json.loads(line) for line in export(worked, "jsonl").splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert lines[1]["time"] == "2026-11-24T06:00:01.000000Z"
    for line in lines:
        said = line["number"], line["at"], line["kind"], canonical(line["content"]), line["previous"]
        assert digest(*said) == line["hash"]


def test_the_table_has_the_same_records_with_their_facts_in_columns(worked: Journal) -> None:
    found = list(csv.DictReader(io.StringIO(export(worked, "csv"))))
    assert tuple(found[0]) == auditing.EXPORT_COLUMNS
    assert [each["kind"] for each in found] == ["planned"] + ["intent", "outcome"] * 3
    assert (found[2]["batch"], found[2]["row"], found[2]["device_id"]) == (NAME, "2", device(2))
    assert [each["hash"] for each in found] == [record.hash for record in audited.records(worked)]


def test_no_cell_of_the_table_is_a_formula_and_no_character_acts(journal: Journal) -> None:
    add(journal, [row(2)], '=HYPERLINK("http://x.example")')
    journal.record(Kind.REFUSED, T0, {"batch": "@SUM(1)", "who": "\x1b[2J+1", "device_id": "-1"})
    text = export(journal, "csv")
    assert text.isprintable() or set(text) - {"\n"} == {c for c in text if c.isprintable()}
    for each in csv.reader(io.StringIO(text)):
        assert not [cell for cell in each if cell.startswith(("=", "+", "-", "@"))]


def test_what_somebody_made_unreadable_is_exported_all_the_same(worked: Journal) -> None:
    tamper(
        worked,
        "UPDATE audit SET content = 'no JSON' WHERE number = 2",
        "UPDATE audit SET content = x'ff', at = 9223372036854775807 WHERE number = 3",
        "UPDATE audit SET content = CAST(x'ff' AS TEXT) WHERE number = 4",
    )
    lines = [json.loads(line) for line in export(worked, "jsonl").splitlines()]
    assert [line["content"] for line in lines[1:4]] == ["no JSON", "b'\\xff'", ""]
    assert len(export(worked, "csv").splitlines()) == 8


def test_records_are_chosen_by_time_and_batch(worked: Journal) -> None:
    other = add(worked, [row(20)], "other")
    call(worked, other, 20)
    office: Any = Office(worked)
    assert [each.number for each in auditing.chosen(office, T0 + 2, None, None)] == [3, 5, 7]
    assert [each.number for each in auditing.chosen(office, None, T0 + 1, None)] == [1, 8]
    assert [each.number for each in auditing.chosen(office, T0, T0 + 2, "other")] == [8, 9]


def test_an_exported_file_is_whole_private_and_excels(worked: Journal, tmp_path: Path) -> None:
    path, number = auditing.export_to(tmp_path / "out" / "a.csv", "csv", audited.records(worked), worked.path)
    assert (path, number) == (tmp_path / "out" / "a.csv", 7)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfnumber,")


def test_an_export_never_replaces_the_journal(worked: Journal) -> None:
    before = worked.path.read_bytes()
    with pytest.raises(UsageError, match="would replace the journal itself"):
        auditing.export_to(worked.path, "jsonl", audited.records(worked), worked.path)
    assert worked.path.read_bytes() == before


def test_an_export_that_cannot_be_written_is_one_sentence(worked: Journal, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="could not be written"):
        auditing.export_to(tmp_path / "file" / "a.csv", "csv", audited.records(worked), worked.path)
