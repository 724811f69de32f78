"""The page where it is read: in Chromium, on a screen and on a phone. Where there is no Chromium, nothing is shown."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from batch_offboard.reports.files import write_report
from batch_offboard.reports.history import History
from batch_offboard.reports.rows import Outcome, ReportHead, ReportRow
from batch_offboard.reports.timeline import Call, Chronicle, Start
from tests.chromium import Page, browser, found

CHROMIUM = found()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to look at the page with")

DESKTOP, PHONE = (1280, 900), (390, 844)
READY = "document.getElementById('view').getAttribute('aria-busy') === 'false'"
SHOWN = "[...document.querySelectorAll('#table tr.line')].map((line) => line.cells[0].textContent)"
FOUND = "document.getElementById('found').textContent"

# What would do something if it were ever more than a text.
ACTIVE = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>", '"><script>alert(1)</script>', "' autofocus onfocus='alert(1)",
    "<iframe srcdoc='<script>alert(1)</script>'>", "<style>*{display:none}</style>", "<base href=//x.example/>",
    "<meta http-equiv=refresh content='0;url=//x.example'>", "</textarea><script>alert(1)</script>",
    "<!--<script>alert(1)", "<noscript><img src=x onerror=alert(1)></noscript>",
    "<a href=javascript:alert(1)>x</a>", "<form action=//x.example><button autofocus>x</button></form>", "{{7*7}}",
    "${alert(1)}",
]  # fmt: skip


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    assert CHROMIUM is not None
    async with browser(CHROMIUM) as page:
        yield page


async def show(page: Page, path: Path, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> None:
    await page.open(path.as_uri(), width=size[0], height=size[1], dark=dark)
    await page.until(READY)


def a_history() -> History:
    """A run with a call every other second, one of which had to wait, and another a day later."""
    chronicle = Chronicle([Start(1_795_508_131.0, 600, 1200.0)])
    for start in (1_795_508_131.0, 1_795_594_531.0):
        for number in range(600):
            chronicle.add(Call(start + 2 * number, None, number == 300))
    return History(timeline=chronicle.timeline(), runs=chronicle.runs())


@pytest.fixture
def report(tmp_path: Path, head: ReportHead, rows: list[ReportRow]) -> Callable[[int], Path]:
    """A report of so many rows: every tenth failed, every hundredth is in doubt; names count downwards."""

    def written(count: int) -> Path:
        outcomes = {0: Outcome.IN_DOUBT} | dict.fromkeys(range(10, 100, 10), Outcome.FAILED)
        every = (
            replace(
                rows[0], row=number, device_name=f"pc-{count - number:05}", device_id=f"{number:040x}",
                outcome=outcomes.get(number % 100, Outcome.SUBMITTED), cells=(f"Owner {number % 7}", "", ""),
                error_code="NotFound" if number % 10 == 0 and number % 100 else "",
            )
            for number in range(2, count + 2)
        )  # fmt: skip
        return write_report(tmp_path / "r.html", replace(head, history=a_history(), beside=("r.csv",)), every)

    return written


async def test_hostile_cells_ask_nothing_load_nothing_and_break_no_policy(
    page: Page, tmp_path: Path, head: ReportHead, rows_with: Callable[[Iterable[str]], list[ReportRow]]
) -> None:
    told = replace(head, columns=("<script>alert(1)</script>", *ACTIVE[:2]), source_name=ACTIVE[2], comment=ACTIVE[4])
    every = [replace(row, outcome=outcome) for outcome in Outcome for row in rows_with(ACTIVE)]
    path = write_report(tmp_path / "r.html", told, every)
    await show(page, path)
    for number in range(len(ACTIVE)):
        await page.value(f"document.querySelectorAll('#table tr.line')[{number}].click()")
        assert await page.value("document.getElementById('detail').open")
        assert ACTIVE[number] in await page.value("document.getElementById('detail-facts').textContent")
        await page.value("document.getElementById('close').click()")

    assert await page.value("document.scripts.length") == 2  # the words and the page's own; the rows were taken in
    assert await page.value("document.images.length + document.querySelectorAll('iframe, base, form').length") == 0
    assert (page.dialogs, page.complaints, page.requests) == ([], [], [path.as_uri()])


async def test_what_the_policy_does_not_know_is_refused(page: Page, report: Callable[[int], Path]) -> None:
    await show(page, report(3))
    await page.value(
        "(() => { const s = document.createElement('style'); s.textContent = 'p{}'; document.body.append(s) })()"
    )

    assert any("Content Security Policy" in complaint or "style-src" in complaint for complaint in page.complaints)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_the_page_is_no_wider_than_the_screen(
    page: Page, report: Callable[[int], Path], size: tuple[int, int], *, dark: bool
) -> None:
    await show(page, report(1000), size, dark=dark)

    assert await page.value("document.documentElement.scrollWidth") == size[0]
    assert (
        await page.value("Math.max(...[...document.querySelectorAll('section')].map((s) => s.scrollWidth))") <= size[0]
    )
    assert page.complaints == []


async def test_ink_and_paper_change_in_the_dark(page: Page, report: Callable[[int], Path]) -> None:
    path = report(10)
    colours = "[getComputedStyle(document.body).color, getComputedStyle(document.documentElement).backgroundColor]"
    await show(page, path)
    light = await page.value(colours)
    await show(page, path, dark=True)

    assert not set(light) & set(await page.value(colours))


CONTRAST = """
(() => {
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (text) => {
    const [r, g, b] = parts(text).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    const opaque = parts(colour).length === 3 || parts(colour)[3] === 1;
    return opaque || !element.parentElement ? colour : paper(element.parentElement);
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest("svg, script, noscript")) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(paper(element))].sort((a, b) => b - a);
    if ((one + 0.05) / (other + 0.05) < 4.5) poor.push(`${element.className}: ${element.textContent.slice(0, 30)}`);
  }
  return poor;
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_every_text_can_be_read_on_its_ground(
    page: Page, tmp_path: Path, head: ReportHead, rows: list[ReportRow], *, dark: bool
) -> None:
    every = [replace(rows[0], row=number, outcome=outcome, error_code="X") for number, outcome in enumerate(Outcome, 2)]
    told = replace(head, history=replace(a_history(), halted_because="It was stopped."), simulated=True)
    await show(page, write_report(tmp_path / "r.html", told, every), dark=dark)

    assert await page.value(CONTRAST) == []  # WCAG 2, level AA


async def test_a_search_finds_words_in_any_column(page: Page, report: Callable[[int], Path]) -> None:
    await show(page, report(1000))
    assert await page.value(FOUND) == "All 1,000 rows."
    await page.value(
        "document.getElementById('query').value = 'owner 3  PC-00997';"
        "document.getElementById('query').dispatchEvent(new Event('input'))"
    )
    await page.until(f"{FOUND}.startsWith('1 of')")

    assert await page.value(FOUND) == "1 of 1,000 rows."
    assert await page.value(SHOWN) == ["3"]


async def test_outcomes_and_reasons_can_be_chosen_and_taken_back(page: Page, report: Callable[[int], Path]) -> None:
    await show(page, report(1000))
    await page.value("document.querySelector('#controls [data-outcome=in_doubt]').click()")
    assert await page.value(FOUND) == "10 of 1,000 rows."
    await page.value("document.querySelector('#controls [data-outcome=failed]').click()")
    assert await page.value(FOUND) == "100 of 1,000 rows."
    await page.value(
        "document.getElementById('reason').value = 'NotFound';"
        "document.getElementById('reason').dispatchEvent(new Event('change'))"
    )
    assert await page.value(FOUND) == "90 of 1,000 rows."
    pressed = "document.querySelector('#controls [data-outcome=failed]').getAttribute('aria-pressed')"
    assert await page.value(pressed) == "true"
    await page.value("document.getElementById('reset').click()")
    assert await page.value(FOUND) == "All 1,000 rows."


async def test_the_button_of_a_failure_shows_its_rows(page: Page, report: Callable[[int], Path]) -> None:
    await show(page, report(1000))
    await page.value("document.querySelector('.to-rows[data-outcome=failed]').click()")

    assert await page.value(FOUND) == "90 of 1,000 rows."


async def test_a_header_sorts_and_sorts_the_other_way(page: Page, report: Callable[[int], Path]) -> None:
    await show(page, report(1000))
    sorting = "[...document.querySelectorAll('#table thead th')].map((th) => th.getAttribute('aria-sort'))"
    header = "document.querySelector('#table thead th.c-device button').click()"
    assert (await page.value(SHOWN))[:3] == ["2", "3", "4"]
    await page.value(header)
    assert (await page.value(SHOWN))[:3] == ["1001", "1000", "999"]
    assert await page.value(sorting) == ["none", "ascending", "none", "none", "none", "none"]
    await page.value(header)
    assert (await page.value(SHOWN))[:3] == ["2", "3", "4"]
    assert (await page.value(sorting))[1] == "descending"


async def test_only_what_is_looked_at_is_drawn_however_far_one_scrolls(
    page: Page, report: Callable[[int], Path]
) -> None:
    await show(page, report(20_000))
    await page.value("(() => { const v = document.getElementById('view'); v.scrollTop = v.scrollHeight })()")
    await page.until(f"{SHOWN}.includes('20001')")

    assert await page.value("document.querySelectorAll('#table tr.line').length") < 60
    assert await page.value("document.querySelector('#table tbody').lastElementChild.offsetHeight") <= 1
    assert await page.value("document.getElementById('table').getAttribute('aria-rowcount')") == "20001"
    last = "document.querySelector('#table tr.line:nth-last-child(2)')"
    assert await page.value(f"{last}.getAttribute('aria-rowindex')") == "20001"


async def test_the_arrow_keys_go_from_row_to_row_and_enter_opens_one(page: Page, report: Callable[[int], Path]) -> None:
    await show(page, report(1000))
    focused = "document.activeElement.textContent"
    await page.value("document.querySelector('#table tbody button').focus()")
    for _ in range(30):
        await page.key("ArrowDown", 40)
    assert await page.value(focused) == "32"
    await page.key("End", 35)
    assert await page.value(focused) == "1001"
    await page.key("Home", 36)
    await page.key("ArrowDown", 40)
    await page.key("Enter", 13, "\r")
    assert await page.value("document.getElementById('detail-title').textContent") == "Row 3: pc-00997"
    await page.key("Escape", 27)
    await page.until("!document.getElementById('detail').open")
    assert await page.value(focused) == "3"


async def test_a_row_in_full_has_the_sheets_own_columns_and_its_neighbours(
    page: Page, report: Callable[[int], Path]
) -> None:
    await show(page, report(50))
    await page.value("document.querySelectorAll('#table tr.line')[8].click()")
    lines = "[...document.querySelectorAll('#detail-facts div')]"
    facts = f"Object.fromEntries({lines}.map((line) => [...line.children].map((each) => each.textContent)))"
    told = await page.value(facts)

    assert (told["Outcome"], told["Reason"], told["Sheet: Owner"]) == ("failed", "NotFound", "Owner 3")
    assert told["Full history"] == "batch-offboard explain 20261124-081531-7f3a 10"
    await page.value("document.getElementById('later').click()")
    assert (await page.value(facts))["Device ID"] == f"{11:040x}"


async def test_on_a_phone_a_row_keeps_its_name_id_and_outcome_in_sight(
    page: Page, report: Callable[[int], Path]
) -> None:
    await show(page, report(100), PHONE)
    places = await page.value(
        "[...document.querySelector('#table tr.line').querySelectorAll('.c-row, .c-outcome, .c-device code')]"
        ".map((each) => { const r = each.getBoundingClientRect(); return [r.left, r.right, r.height] })"
    )

    assert len(places) == 3
    assert all(0 <= left < right <= PHONE[0] and height > 10 for left, right, height in places)


async def test_without_the_script_the_page_says_where_the_rows_are(page: Page, report: Callable[[int], Path]) -> None:
    path = report(100)
    await page.send("Emulation.setScriptExecutionDisabled", value=True)
    await page.open(path.as_uri())

    text = await page.value("document.body.innerText")
    assert "does not run. All rows are also in r.csv." in text
    assert "lt-" not in text
    assert "Compare the ID with the device's page in the portal" in text
    assert await page.value("document.getElementById('controls').checkVisibility()") is False


async def test_on_paper_are_the_summary_and_the_failures_and_where_the_rows_are(
    page: Page, report: Callable[[int], Path]
) -> None:
    await show(page, report(100))
    await page.send("Emulation.setEmulatedMedia", media="print")
    text = await page.value("document.body.innerText")
    seen = "[...document.querySelectorAll('section')].filter((s) => s.checkVisibility()).map((s) => s.id)"

    assert "100 rows are not printed. All rows are also in r.csv." in text
    assert await page.value(seen) == ["result", "attention", "reasons", "time", "asked", "rows"]
    assert await page.value("['view', 'controls'].map((id) => document.getElementById(id).checkVisibility())") == [
        False,
        False,
    ]
    printed = await page.send("Page.printToPDF")
    assert len(printed["data"]) > 10_000


async def test_a_screen_reader_finds_names_for_all_that_can_be_used(page: Page, report: Callable[[int], Path]) -> None:
    await show(page, report(30))
    tree = (await page.send("Accessibility.getFullAXTree"))["nodes"]
    nodes = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]]
    roles = {role for role, _ in nodes}

    assert {"banner", "main", "navigation", "contentinfo", "search", "status", "columnheader", "rowheader"} <= roles
    used = {"button", "link", "textbox", "searchbox", "combobox", "region", "image", "table"}
    assert [role for role, name in nodes if role in used - {"table"} and not name.strip()] == []
