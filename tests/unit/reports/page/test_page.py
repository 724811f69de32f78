"""The page: that it says what happened, and that nothing from a sheet or the API is more than a text."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_offboard.base.durations import spoken_duration
from batch_offboard.base.text import visible
from batch_offboard.core.facts import Caution, DeviceFacts
from batch_offboard.reports.history import Actions, History, LookUp
from batch_offboard.reports.rows import Outcome, ReportHead, ReportRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.unit.reports.page.conftest import Read

    Page = Callable[[ReportHead, Iterable[ReportRow]], Read]

NO_LIMIT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


def with_text(head: ReportHead, row: ReportRow, text: str) -> tuple[ReportHead, list[ReportRow]]:
    """The text wherever one comes from outside, in a batch of which every part is shown."""
    history = replace(
        head.history,
        source_kind=text,
        options=(text,),
        halted_because=text,
        lookup=LookUp(at=1.0, devices=1, onboarded=1, cautions=(text,)),
        actions=Actions({text: 1}, 1, 1.0, (text,)),
    )
    told = replace(
        head, source_name=text, comment=text, tenant=text, api_url=text, columns=(text, "T"), beside=(f"{text}.csv",),
        state=text, tool_version=text, history=history, overrides=(text,), audit=text,
    )  # fmt: skip
    every = [
        replace(
            row, row=number, outcome=outcome, device_id=text, device_name=text, machine_action_id=text,
            action_status=text, error_code=text, error_message=text, cells=(text, text),
        )
        for number, outcome in enumerate(Outcome, 2)
    ]  # fmt: skip
    return told, every


# -- nothing but text --


@pytest.mark.parametrize("at", range(40))
def test_a_hostile_text_is_a_text_wherever_it_stands(
    page: Page, head: ReportHead, row: ReportRow, hostile: list[str], at: int
) -> None:
    plain, read = page(*with_text(head, row, "quiet")), page(*with_text(head, row, hostile[at]))

    assert [tag for tag, _ in read.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in read.tags] == [sorted(attributes) for _, attributes in plain.tags]
    assert read.text.count(" ".join(visible(hostile[at]).split())) >= 20
    assert {tuple(each[1:3]) for each in read.rows} == {(visible(hostile[at]),) * 2}


@NO_LIMIT
@given(text=st.text(st.characters() | st.sampled_from("<>&\"'/!-{}%$`\\\0\u2028"), max_size=30))
def test_any_text_is_a_text(page: Page, head: ReportHead, row: ReportRow, text: str) -> None:
    plain, read = page(*with_text(head, row, "quiet")), page(*with_text(head, row, text))

    assert len(read.scripts) == len(plain.scripts)
    assert {each[1] for each in read.rows} == {visible(text)}


def test_the_page_holds_no_control_character_and_no_turned_text(
    page: Page, head: ReportHead, row: ReportRow, hostile: list[str]
) -> None:
    source = page(*with_text(head, row, "".join(hostile))).source

    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", source)


# -- the policy --


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else(page: Page, head: ReportHead) -> None:
    read = page(head, [])
    (style,) = read.styles
    (script,) = [data for attributes, data in read.scripts if "type" not in attributes]

    def allowed(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    assert read.policy.split("; ") == [
        "default-src 'none'",
        f"style-src {allowed(style)}",
        f"script-src {allowed(script)}",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]


def test_the_policy_comes_before_whatever_it_is_about(page: Page, head: ReportHead) -> None:
    assert [tag for tag, _ in page(head, []).tags][:4] == ["html", "head", "meta", "meta"]


def test_nothing_is_loaded_from_anywhere_and_nothing_acts_by_attribute(
    page: Page, head: ReportHead, row: ReportRow
) -> None:
    attributes = [each for _, found in page(head, [row]).tags for each in found.items()]

    assert not [name for name, _ in attributes if name in {"src", "style", "action", "srcset"} or name.startswith("on")]
    assert all((value or "").startswith("#") for name, value in attributes if name == "href")


def test_the_pages_own_files_cannot_end_their_elements(page: Page, head: ReportHead) -> None:
    read = page(head, [])

    assert all("</" not in text for text in [*read.styles, *(data for _, data in read.scripts)])


# -- what it says --


def test_the_first_sentence_counts(page: Page, head: ReportHead, row: ReportRow, failed: ReportRow) -> None:
    assert "All 1 rows were submitted; none needs attention." in page(head, [row]).text
    assert "1 of 2 rows submitted; 1 needs attention." in page(head, [row, failed]).text
    assert "There are no rows." in page(head, []).text


def test_every_outcome_has_its_word_its_sign_its_count_and_its_share(
    page: Page, head: ReportHead, row: ReportRow, failed: ReportRow
) -> None:
    text = page(head, [row] * 299 + [failed]).text

    assert "✓ submitted 299 over 99 %" in text
    assert "✕ failed 1 under 1 %" in text
    assert "? in doubt 0 0 %" in text


def test_failures_come_with_their_advice_before_the_rows(page: Page, head: ReportHead, failed: ReportRow) -> None:
    text = page(head, [failed]).text

    assert "✕ failed NotFound 1 row Compare the ID with the device's page in the portal" in text
    assert "lt-0417 a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0 No such device. 404 1" in text


def test_the_commands_to_type_name_the_batch_and_the_file(page: Page, head: ReportHead, failed: ReportRow) -> None:
    text = page(head, [failed]).text

    assert "batch-offboard retry 20261124-081531-7f3a once the cause is fixed" in text
    assert "batch-offboard run reports/b.xlsx --only failed instead" in text
    assert "batch-offboard track 20261124-081531-7f3a" in text


def test_the_commands_of_a_rehearsal_are_rehearsals(page: Page, head: ReportHead, failed: ReportRow) -> None:
    assert (
        "batch-offboard run reports/b.xlsx --only failed --simulate"
        in page(replace(head, simulated=True), [failed]).text
    )


def test_who_planned_and_ran_it_and_when_is_told(page: Page, head: ReportHead) -> None:
    text = page(head, []).text

    assert "Planned by ann@pc-7" in text
    assert "Started 2026-11-24 08:15:31Z Ended 2026-11-24 08:17:11Z Run by ann@pc-7, svc@srv-4" in text


FACTS = DeviceFacts("Windows11", "Sales", ("leaver",), 1_795_508_131.0 - 3600, (Caution.SEEN_RECENTLY,))


def test_a_plan_says_who_loses_protection_what_is_in_use_and_how_long_it_takes(
    page: Page, head: ReportHead, row: ReportRow
) -> None:
    plan = replace(head, state="planned", expected=75.0, started_at=None, ended_at=None, run_by=(), history=History())
    pending = replace(row, outcome=Outcome.PENDING, machine_action_id="", action_status="", submitted_at=None)
    idle = replace(FACTS, platform="Windows10", last_seen=None, cautions=(Caution.INACTIVE,))
    rows = [replace(pending, row=2, facts=FACTS), replace(pending, row=3, facts=idle), replace(pending, row=4)]
    skipped = replace(pending, row=5, outcome=Outcome.SKIPPED, error_code="not_found")
    read = page(plan, [*rows, skipped])

    assert (
        "3 devices lose their protection. 1 of them was seen in the last 7 days and may still be in use. A run takes "
        "about 1 min 15 s. 1 row is skipped and needs attention."
    ) in read.text
    assert "Last seen Last seen Devices in the last 24 hours 1 not known 1" in read.text
    assert "Platform Platform Devices Windows10 1 Windows11 1" in read.text
    assert "Device group Device group Devices Sales 2" in read.text
    assert "Tag Tag Devices leaver 2" in read.text
    assert "`batch-offboard run 20261124-081531-7f3a` sends it" in json.dumps(read.words, ensure_ascii=False)
    assert "batch-offboard resume" not in read.source
    assert "submitted; none needs attention" not in read.text
    assert "Nothing was sent yet. A run takes about 1 min 15 s." in read.text
    assert [each[17:18] for each in read.rows] == [[1_795_504_531], [None], [], []]


def test_a_plan_that_the_guards_refuse_says_why_and_names_no_command(
    page: Page, head: ReportHead, row: ReportRow
) -> None:
    plan = replace(
        head, state="planned", refusals=("It is too large.", "It is the whole inventory."), history=History()
    )
    text = page(plan, [replace(row, outcome=Outcome.PENDING)]).text

    assert "run will refuse this plan: It is too large. It is the whole inventory." in text
    assert "What to type next" not in text


@pytest.mark.parametrize("state", ["running", "stopped", "finished"])
def test_only_a_plan_speaks_of_what_is_going_to_be(page: Page, head: ReportHead, row: ReportRow, state: str) -> None:
    read = page(replace(head, state=state), [replace(row, outcome=Outcome.PENDING, facts=FACTS)])

    assert "protection" not in read.text
    assert "`batch-offboard resume 20261124-081531-7f3a` sends it" in json.dumps(read.words, ensure_ascii=False)


def test_every_failure_is_printed(page: Page, head: ReportHead, failed: ReportRow) -> None:
    read = page(head, [replace(failed, row=number, device_name=f"ws-{number}-end") for number in range(2, 69)])

    assert [read.text.count(f"ws-{number}-end") for number in range(2, 69)] == [1] * 67
    assert [attributes.get("class") for tag, attributes in read.tags if tag == "tr"].count("on-paper") == 42


def test_what_was_asked_is_told(page: Page, head: ReportHead) -> None:
    text = page(head, []).text

    for fact in (
        "Sheet leavers.xlsx (XLSX, sheet 'Leavers')",
        f"Its SHA-256 {'ab' * 32}",
        "Options --sheet 'Leavers'",
        "Tenant and application contoso/app",
        "Comment CHG0042",
        "Planned 2026-11-24 08:14:31Z",
        "Look-up 5,000 devices in the tenant, 4,800 onboarded, 2026-11-24 08:14:31Z",
        "Of these devices 2 are inactive",
    ):
        assert fact in text


def test_a_guard_that_was_set_aside_is_told_with_the_result_and_with_what_was_asked(
    page: Page, head: ReportHead
) -> None:
    text = page(replace(head, overrides=("--max-devices 900", "--no-lookup"), audit="17:ab"), []).text

    assert "Guards overridden: --max-devices 900; --no-lookup" in text
    assert "Guards overridden --max-devices 900; --no-lookup" in text
    assert "Audit record 17:ab" in text
    assert "Guards overridden" not in page(head, []).text


def test_a_look_up_that_was_not_done_says_why(page: Page, head: ReportHead) -> None:
    history = replace(head.history, lookup=LookUp(why_not="--no-lookup was given"))

    assert "Look-up not done: --no-lookup was given" in page(replace(head, history=history), []).text


def test_the_duration_stands_beside_the_expected_one(page: Page, head: ReportHead) -> None:
    assert "2026-11-24 08:15:31Z 3 for 3 devices 1 min 30 s 1 min 30 s as expected" in page(head, []).text


@pytest.mark.parametrize(
    ("expected", "halted", "word"),
    [
        (86.0, "", "as expected"),
        (60.0, "", "30 s longer"),
        (80.0, "", "10 s longer"),
        (3600.0, "", "58 min 30 s shorter"),
        (90.0, "SIGINT was received.", "stopped before the end"),
    ],
)
def test_a_run_is_told_to_be_punctual_or_not(
    page: Page, head: ReportHead, expected: float, halted: str, word: str
) -> None:
    (run,) = head.history.runs
    runs = (replace(run, start=replace(run.start, expected=expected)),)
    text = page(replace(head, history=replace(head.history, runs=runs, halted_because=halted)), []).text

    assert f"3 for 3 devices 1 min 30 s {spoken_duration(expected)} {word}" in text


def test_the_timeline_is_told_in_words_too(page: Page, head: ReportHead) -> None:
    text = page(head, []).text

    assert "At most 2 calls in any 60 seconds (100 are allowed), and 3 in any hour (1,500 are allowed)" in text
    assert "1 answer asked to wait (429)" in text
    assert "2026-11-24 08:15:00Z 2 2 1 2026-11-24 08:16:00Z 0 2 0 2026-11-24 08:17:00Z 1 3 0" in text


def test_the_action_states_are_those_of_the_last_look(page: Page, head: ReportHead) -> None:
    text = page(head, []).text

    assert "As reported by the tenant at 2026-11-24 08:17:10Z. 1 not final yet" in text
    assert "Pending 1 Succeeded 1" in text
    assert "the tenant's list agreed with the journal" in text


def test_the_differences_of_the_closing_look_are_told(page: Page, head: ReportHead) -> None:
    history = replace(head.history, actions=Actions({"Pending": 1}, 1, None, ("Row 2 differs.",)))

    assert "The tenant and the journal differ Row 2 differs." in page(replace(head, history=history), []).text


def test_a_rehearsal_says_so_on_top_and_in_its_title(page: Page, head: ReportHead) -> None:
    read = page(replace(head, simulated=True), [])

    assert read.text.startswith("SIMULATED: Offboarding report 20261124-081531-7f3a")
    assert "SIMULATED This was a rehearsal; nothing was sent to Microsoft." in read.text
    assert "SIMULATED" not in page(head, []).text


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        (("b.csv", "b.xlsx"), "All rows are also in b.csv and b.xlsx."),
        ((), "`batch-offboard report 20261124-081531-7f3a --format csv` writes all rows as a table."),
    ],
)
def test_whoever_cannot_run_the_script_is_told_where_the_rows_are(
    page: Page, head: ReportHead, beside: tuple[str, ...], words: str
) -> None:
    text = page(replace(head, beside=beside), []).text

    assert f"The table needs this page's own script, which your browser does not run. {words}" in text
    assert f"0 rows are not printed. {words}" in text


def test_headings_and_landmarks_are_in_order(page: Page, head: ReportHead, failed: ReportRow) -> None:
    tags = page(head, [failed]).tags
    labels = {attributes["aria-labelledby"] for tag, attributes in tags if tag == "section"}
    headings = {attributes.get("id") for tag, attributes in tags if tag == "h2"}

    assert {"header", "nav", "main", "footer", "h1"} <= {tag for tag, _ in tags}
    assert labels <= headings
    assert all("scope" in attributes for tag, attributes in tags if tag == "th")
    assert len({attributes["id"] for _, attributes in tags if "id" in attributes}) == len(
        [attributes for _, attributes in tags if "id" in attributes]
    )
