"""What the commands print for people, at the width of their terminal."""

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.cli.screens import lives as screens_lives
from batch_offboard.cli.screens import texts as screens
from batch_offboard.cli.screens.following import track_text
from batch_offboard.commands.tracking import TrackView
from batch_offboard.commands.views import PlanView
from batch_offboard.core.batches import Batch, BatchState, Counts
from batch_offboard.core.jobs import JobState, Verdict
from batch_offboard.core.plan import Reason
from batch_offboard.core.tenant import ApiName
from batch_offboard.reports.lives import Call, Life, Settlement
from batch_offboard.reports.rows import Outcome, ReportRow

AT = 1795508131.0  # 2026-11-24T08:15:31Z
BATCH = Batch(
    key=1,
    batch_id="20261124-0815-kqzt",
    scope_key=1,
    scope="tenant/application",
    state=BatchState.FINISHED,
    halted_because="",
    planned_at=AT,
    started_at=AT + 60,
    ended_at=AT + 120,
    source_path="leavers.csv",
    source_name="leavers.csv",
    source_sha256="0" * 64,
    source_kind="CSV",
    columns=(),
    reading={},
    reports=(),
    api_url="https://api.security.microsoft.com",
    comment="CHG0042",
    simulated=False,
    tool_version="1",
    lookup_wanted=True,
    looked_up_at=None,
    findings={},
)
COUNTS = Counts({JobState.SUBMITTED: 25, JobState.FAILED: 2}, {Reason.NOT_FOUND: 3})
DEVICE = "0123456789abcdef0123456789abcdef01234567"
ROW = ReportRow(4, DEVICE, "lt-0003", Outcome.SUBMITTED, "", "", "", "", None, 1, AT, AT, ())
CALL = Call(ApiName.OFFBOARD, 1, AT + 60, AT + 61, Verdict.SUBMITTED, 201, "", "", "")


class Terminal(io.StringIO):
    """A terminal of 80 columns, as its size in the environment says."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def wide_80(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


# ── folding ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("wide_80")
def test_a_terminal_folds_what_is_for_people_between_words() -> None:
    with redirect_stdout(Terminal()) as terminal:
        screens.show("       40  of these were seen in the last 7 days and may still be in use (row 2, 3)", prose=True)

    assert terminal.getvalue().splitlines() == [
        "       40  of these were seen in the last 7 days and may still be in use (row 2,",
        "           3)",
    ]


@pytest.mark.usefixtures("wide_80")
def test_a_terminal_leaves_data_whole() -> None:
    path = "/srv/the reports of " + "November " * 10
    with redirect_stdout(Terminal()) as terminal:
        screens.show(path)

    assert terminal.getvalue() == f"{path}\n"


@pytest.mark.usefixtures("wide_80")
def test_a_pipe_gets_whole_lines() -> None:
    with redirect_stdout(io.StringIO()) as pipe:
        screens.show("word " * 30, prose=True)

    assert len(pipe.getvalue().splitlines()) == 1


# ── list ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("width", [None, 200])
def test_batches_are_a_table_where_there_is_room(width: int | None) -> None:
    head, line = screens.list_text([(BATCH, COUNTS)], width).splitlines()

    assert head.split() == [
        *(
            "batch",
            "state",
            "planned",
            "rows",
            "submitted",
            "failed",
            "in",
            "doubt",
            "pending",
            "cancelled",
            "skipped",
            "tenant",
            "source",
        )
    ]
    assert line.split() == [
        *(
            "20261124-0815-kqzt",
            "finished",
            "2026-11-24",
            "09:15:31+01:00",
            "30",
            "25",
            "2",
            "0",
            "0",
            "0",
            "3",
            "tenant",
            "leavers.csv",
        )
    ]


@pytest.mark.parametrize("width", [None, 80])
def test_a_batch_whose_process_is_gone_is_interrupted(width: int | None) -> None:
    running = replace(BATCH, state=BatchState.RUNNING)
    assert " interrupted " in screens.list_text([(running, COUNTS)], width, interrupted={BATCH.key})
    assert " interrupted " not in screens.list_text([(running, COUNTS)], width)


def test_a_batch_is_two_lines_where_there_is_none() -> None:
    assert screens.list_text([(BATCH, COUNTS)], 80).splitlines() == [
        "20261124-0815-kqzt  finished  tenant",
        "    leavers.csv, 30 rows: 25 submitted, 2 failed, 3 skipped by the plan",
    ]


# ── what to type next ─────────────────────────────────────────────────────────────────────────────────────


def next_lines(counts: Counts, open_actions: int, state: BatchState = BatchState.FINISHED) -> list[str]:
    text = screens.batch_text(replace(BATCH, state=state), counts, {}, open_actions)
    return [line.strip() for line in text.splitlines() if line.startswith("  next:")]


def test_a_batch_whose_actions_are_open_names_track() -> None:
    counts = Counts({JobState.SUBMITTED: 25}, {})
    follow = "next: batch-offboard track 20261124-0815-kqzt (follows the machine actions until each is final)"

    assert next_lines(counts, 4) == [follow]
    assert next_lines(counts, 0) == []


def test_what_is_left_to_send_comes_before_following_what_was_sent() -> None:
    counts = Counts({JobState.SUBMITTED: 25, JobState.PENDING: 3}, {})

    assert next_lines(counts, 4, BatchState.STOPPED) == ["next: batch-offboard resume 20261124-0815-kqzt"]


def track_lines(counts: Counts, open_actions: int) -> list[str]:
    view = TrackView(BATCH, counts, {}, {"Succeeded": 25}, open_actions, 1, None, [], ExitCode.UNFINISHED)
    return [line for line in track_text(view).splitlines() if "Next" in line]


def test_following_names_what_is_left_to_send_as_well() -> None:
    assert track_lines(Counts({JobState.SUBMITTED: 25, JobState.PENDING: 3}, {}), 0) == [
        "Next: batch-offboard resume 20261124-0815-kqzt"
    ]
    assert track_lines(Counts({JobState.SUBMITTED: 25}, {}), 2) == [
        "2 machine actions are not final yet. Next: batch-offboard track 20261124-0815-kqzt"
    ]
    assert track_lines(Counts({JobState.SUBMITTED: 25}, {}), 0) == []


# ── the life of a device ──────────────────────────────────────────────────────────────────────────────────


def told(life: Life) -> list[str]:
    return screens_lives.lives_text(BATCH, [life]).splitlines()


def test_a_life_is_told_in_sentences_with_their_times() -> None:
    row = replace(ROW, machine_action_id="43b001bb", action_status="Succeeded")

    assert told(Life(row, "", None, (CALL,))) == [
        f"Row 4 of batch 20261124-0815-kqzt: {DEVICE} lt-0003",
        "  2026-11-24 09:15:31+01:00  The plan took it from leavers.csv, to be offboarded.",
        "  2026-11-24 09:16:31+01:00  Attempt 1 to offboard it began.",
        "  2026-11-24 09:16:32+01:00  Defender accepted it (HTTP 201).",
        "  now                        It is submitted; its machine action is 43b001bb, Succeeded when last seen.",
        "  what to do                 Nothing to do: the device is offboarded.",
    ]


def test_a_doubt_and_who_settled_it_are_told_in_their_order() -> None:
    doubt = replace(CALL, verdict=Verdict.IN_DOUBT, http_status=500, code="Internal", message="Busy.")
    settled = Settlement(1, AT + 100, "person", "ann", accepted=False, action_id="", note="looked in the portal")

    assert told(Life(replace(ROW, outcome=Outcome.PENDING), "", None, (doubt,), (settled,)))[3:6] == [
        "  2026-11-24 09:16:32+01:00  No clear answer came, so Defender may have accepted it (HTTP 500, Internal: Busy).",  # noqa: E501
        "  2026-11-24 09:17:11+01:00  ann said that attempt 1 was not accepted (looked in the portal).",
        "  now                        It is pending, not sent yet.",
    ]


def test_a_settlement_stands_between_the_attempts_that_it_lies_between() -> None:
    doubt = replace(CALL, verdict=Verdict.IN_DOUBT, http_status=None)
    again = replace(CALL, attempt=2, started_at=AT + 200, ended_at=AT + 201)
    settled = Settlement(1, AT + 100, "list", "", accepted=False, action_id="", note="")
    lines = told(Life(ROW, "", None, (doubt, again), (settled,)))

    assert [line[29:] for line in lines[2:7]] == [
        "Attempt 1 to offboard it began.",
        "No clear answer came, so Defender may have accepted it.",
        "The tenant's list showed that attempt 1 was not accepted.",
        "Attempt 2 to offboard it began.",
        "Defender accepted it (HTTP 201).",
    ]


def test_a_cancellation_that_failed_is_not_taken_for_a_device_that_was_refused() -> None:
    cancel = replace(CALL, api=ApiName.CANCEL, verdict=Verdict.FAILED, http_status=404, code="ResourceNotFound")

    assert [line[29:] for line in told(Life(ROW, "", None, (cancel,)))[2:4]] == [
        "Attempt 1 to cancel its action began.",
        "Defender did not cancel the action (HTTP 404, ResourceNotFound).",
    ]


def test_a_row_that_the_plan_left_out_says_why() -> None:
    row = replace(
        ROW, outcome=Outcome.SKIPPED, error_code="not_found", error_message="The tenant has no such device.", attempts=0
    )

    assert told(Life(row, "not_found", None, ()))[1:3] == [
        "  2026-11-24 09:15:31+01:00  The plan left it out of leavers.csv as not_found: The tenant has no such device.",
        "  now                        It is skipped and was not sent (not_found).",
    ]


def test_a_call_that_a_crash_cut_off_is_not_said_to_have_ended() -> None:
    cut = replace(CALL, ended_at=None, verdict="", http_status=None)

    assert told(Life(replace(ROW, outcome=Outcome.IN_DOUBT), "", None, (cut,)))[2] == (
        "  2026-11-24 09:16:31+01:00  Attempt 1 to offboard it began; how it ended is not recorded."
    )


@pytest.mark.parametrize("api", [ApiName.OFFBOARD, ApiName.CANCEL])
@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_a_sentence(api: ApiName, verdict: Verdict) -> None:
    sentence = told(Life(ROW, "", None, (replace(CALL, api=api, verdict=verdict, http_status=None),)))[3]

    assert sentence.endswith(".")
    assert "None" not in sentence
    assert "_" not in sentence


def test_the_plan_and_its_question_name_the_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    view = PlanView(replace(BATCH, state=BatchState.PLANNED), Counts({JobState.PENDING: 2}, {}), {}, [], 12.0, None)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(screens, "typed_line", lambda _stream: "2\n")
    with redirect_stderr(io.StringIO()) as said:
        screens.confirm(view, yes=False, quiet=False)

    assert "  tenant    tenant\n" in said.getvalue()
    assert "This takes 2 devices of tenant tenant out of Defender. Type 2 to go ahead: " in said.getvalue()
