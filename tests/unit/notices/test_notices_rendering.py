"""Every recipient gets the same facts in its own language, and a text from elsewhere can do nothing there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import ExitCode
from batch_offboard.config.notices import HAPPENINGS
from batch_offboard.notices.notice import Happening, Notice
from batch_offboard.notices.rendering import as_json, as_slack, as_teams, as_text, escaped, facts, title
from tests.unit.notices.conftest import make_notice

Make = Callable[..., Notice]

hostile = st.text(max_size=60) | st.sampled_from(
    [
        "<!channel> <@U1> <https://evil.example|click>",
        "**bold** [click](https://evil.example) <at>all</at> _x_ `y`",
        "a\nb\r\nSubject: c",
        "\x1b[2J\u202e\ud800",
        "&lt;!channel&gt;",
    ]
)


def texts_in(value: Any) -> Iterator[str]:
    """Every text that a reader would see."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in {"text", "fallbackText"} and isinstance(inner, str):
                yield inner
            else:
                yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


def card_of(notice: Notice) -> Any:
    message = json.loads(as_teams(notice))
    (attachment,) = message["attachments"]
    assert (message["type"], attachment["contentUrl"]) == ("message", None)
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    return attachment["content"]


def test_the_configuration_and_the_notices_know_the_same_happenings() -> None:
    assert tuple(Happening) == HAPPENINGS


# -- what is said --


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exit_code": ExitCode.OK}, "batch-offboard finished successfully on ops-1"),
        ({}, "batch-offboard finished, with rows that failed on ops-1"),
        ({"exit_code": ExitCode.UNFINISHED}, "batch-offboard ended with rows that are not settled on ops-1"),
        ({"happening": Happening.STOPPED, "exit_code": ExitCode.REFUSED}, "batch-offboard stopped on ops-1"),
        ({"happening": Happening.MISSED_NIGHT}, "batch-offboard missed a night on ops-1"),
        ({"simulated": True}, "SIMULATED: batch-offboard finished, with rows that failed on ops-1"),
    ],
)
def test_the_title_says_what_happened_and_where(notice: Make, changes: dict[str, Any], words: str) -> None:
    assert title(notice(**changes)) == words


def test_the_facts_leave_out_what_is_not_there(notice: Make) -> None:
    assert facts(notice()) == [
        ("Batch", "20261124-0815-kqzt"),
        ("Rows", "39 submitted, 1 failed"),
        ("Exit code", "1: finished, and at least one row failed or was skipped for a reason"),
        ("Tenant", "contoso/app"),
        ("Started", "2026-11-24 06:43:20+01:00"),
        ("Ended", "2026-11-24 07:00:00+01:00"),
        ("Report", str(Path("reports") / "a_b*c.csv")),
        ("Report", str(Path("reports") / "a.xlsx")),
        ("Next", "batch-offboard retry 20261124-0815-kqzt"),
    ]
    bare = Notice(Happening.MISSED_NIGHT, "No run.", ExitCode.OK, 1_795_500_000.0, "ops-1")
    assert [label for label, _ in facts(bare)] == ["Exit code", "Missed"]


def test_of_many_batches_the_first_are_named(notice: Make) -> None:
    named = [value for label, value in facts(notice(batches=tuple(f"b{n}" for n in range(12)))) if label == "Batch"]
    assert named == [*(f"b{n}" for n in range(8)), "and 4 more"]


def test_json_has_every_fact_under_a_name_that_stays(notice: Make) -> None:
    assert json.loads(as_json(notice())) == {
        "program": "batch-offboard",
        "event": "finished",
        "simulated": False,
        "headline": "Batch 20261124-0815-kqzt: 39 submitted, 1 failed.",
        "machine": "ops-1",
        "tenant": "contoso/app",
        "sheets": [],
        "batches": ["20261124-0815-kqzt"],
        "counts": {"submitted": 39, "failed": 1, "skipped": 0, "in_doubt": 0, "pending": 0, "cancelled": 0},
        "exit_code": 1,
        "exit_meaning": "finished, and at least one row failed or was skipped for a reason",
        "reports": [str(Path("reports") / "a_b*c.csv"), str(Path("reports") / "a.xlsx")],
        "next": "batch-offboard retry 20261124-0815-kqzt",
        "started_at": "2026-11-24T05:43:20Z",
        "at": "2026-11-24T06:00:00Z",
    }


@pytest.mark.parametrize("render", [as_teams, as_slack, lambda each: as_text(each).encode()])
def test_every_fact_reaches_every_reader(notice: Make, render: Callable[[Notice], bytes]) -> None:
    said = render(notice()).decode("utf-8").replace("\\\\", "\\")
    for _, value in facts(notice()):
        assert value in said
    assert notice().headline in said


@pytest.mark.parametrize("render", [as_json, as_teams, as_slack, lambda each: as_text(each).encode()])
def test_a_rehearsal_is_never_taken_for_a_real_run(notice: Make, render: Callable[[Notice], bytes]) -> None:
    assert "simulated" in render(notice(simulated=True)).decode("utf-8").lower() or b"rehearsal" in render(
        notice(simulated=True)
    )


def test_a_mail_lines_its_facts_up(notice: Make) -> None:
    lines = as_text(notice(simulated=True)).splitlines()
    assert lines[0] == notice().headline
    assert lines[2:5] == [
        "Batch:     20261124-0815-kqzt",
        "Rows:      39 submitted, 1 failed",
        "Exit code: 1: finished, and at least one row failed or was skipped for a reason",
    ]
    assert lines[-1] == "This was a rehearsal: no real device is touched."


@pytest.mark.parametrize(
    ("changes", "colour"),
    [({"exit_code": ExitCode.OK}, "Good"), ({}, "Attention"), ({"happening": Happening.STOPPED}, "Attention")],
)
def test_a_card_is_green_only_if_all_is_well(notice: Make, changes: dict[str, Any], colour: str) -> None:
    assert card_of(notice(**changes))["body"][0]["inlines"][0]["color"] == colour


# -- what a text from elsewhere can do --


@given(headline=hostile, machine=hostile, command=hostile, tenant=hostile, batch=hostile, report=hostile)
def test_no_text_formats_mentions_or_links(
    headline: str, machine: str, command: str, tenant: str, batch: str, report: str
) -> None:
    notice = make_notice(
        headline=headline,
        machine=machine,
        next_command=command,
        tenant=tenant,
        batches=(batch,),
        reports=(Path(report.replace("\0", "")),),
    )
    for text in texts_in(json.loads(as_slack(notice))["blocks"][1:]):
        assert "<" not in text
        assert ">" not in text
        assert "\n" not in text.replace("*\n", "", 1)
    kinds = {block["type"] for block in card_of(notice)["body"]}
    assert kinds == {"RichTextBlock"}  # its runs know no Markdown
    assert all("\n" not in text for text in texts_in(card_of(notice)))
    assert "\n" not in title(notice)
    assert "\x1b" not in as_text(notice)
    for rendered in (as_json(notice), as_teams(notice), as_slack(notice)):
        rendered.decode("utf-8")


@given(text=st.text(max_size=50))
def test_what_was_escaped_for_slack_is_read_back(text: str) -> None:
    back = escaped(text).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert back == text


@pytest.mark.parametrize("sign", ["a", "<", "é", "世", "😀", "\x1b", "`", "\\", '"'])
def test_the_largest_notice_fits_what_the_readers_take(notice: Make, sign: str) -> None:
    long = sign * 5000
    largest = notice(
        headline=long,
        machine=long,
        tenant=long,
        batches=(long,) * 50,
        next_command=long,
        reports=(Path(long),) * 50,
    )
    assert len(as_teams(largest)) < 28 * 1024
    slack = json.loads(as_slack(largest))
    assert len(slack["blocks"]) <= 50
    assert len(slack["blocks"][0]["text"]["text"]) <= 150
    assert len(slack["blocks"][1]["text"]["text"]) <= 3000
    assert len(slack["text"]) <= 4000
    for block in slack["blocks"][2:]:
        assert len(block["fields"]) <= 10
        assert all(len(field["text"]) <= 2000 for field in block["fields"])
    assert len(title(largest)) <= 150
