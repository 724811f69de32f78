"""A batch to show, and what a reader finds in its page."""

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any

import pytest

from batch_offboard.reports.history import Actions, History, LookUp
from batch_offboard.reports.page import write_page
from batch_offboard.reports.rows import Outcome, ReportHead, ReportRow
from batch_offboard.reports.timeline import Call, Chronicle, Start
from tests.examples import REPORT_HEAD, SUBMITTED_ROW

BEGAN = 1_795_508_131.0  # 2026-11-24T08:15:31Z

# What has broken out of a page somewhere: 40 texts, and each has to stay a text.
HOSTILE = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<!--<script>", "-->", "<!-- </script>",
    "]]>", "</style><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>",
    "<iframe src=//x.example>", '"><script>alert(1)</script>', "'><script>alert(1)</script>",
    '" onmouseover="alert(1)', "' autofocus onfocus='alert(1)", "javascript:alert(1)",
    "<a href=javascript:alert(1)>x</a>", "<base href=//x.example/>", "<meta http-equiv=refresh content=0>",
    "<link rel=stylesheet href=//x.example/a.css>", "<object data=//x.example>", "<embed src=//x.example>",
    "<form action=//x.example><button>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>", "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;", "&amp;", "{{ 7 * 7 }}", "{% raw %}", "${alert(1)}", "`${alert(1)}`", "\\u003cscript\\u003e",
    "\\", '\\"', "\u2028alert(1)\u2029", "\0<script>", "\x1b[2J", "\u202e<script>", "<\ud800script>",
]  # fmt: skip


@dataclass
class Read(HTMLParser):
    """A page as a parser takes it: its elements, its texts, its data."""

    source: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    scripts: list[tuple[dict[str, str | None], str]] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._inside: tuple[str, dict[str, str | None]] = ("", {})
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = (tag, dict(attrs))
        self.tags.append(self._inside)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ("", {})

    def handle_data(self, data: str) -> None:
        tag, attributes = self._inside
        if tag == "script":
            self.scripts.append((attributes, data))
        elif tag == "style":
            self.styles.append(data)
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    @property
    def policy(self) -> str:
        (policy,) = [
            attributes["content"]
            for tag, attributes in self.tags
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        return policy or ""

    @property
    def rows(self) -> list[list[Any]]:
        """The rows as the page's script gets them."""
        return [
            row for attributes, data in self.scripts if attributes.get("class") == "rows" for row in json.loads(data)
        ]

    @property
    def words(self) -> dict[str, Any]:
        (data,) = [data for attributes, data in self.scripts if attributes.get("id") == "words"]
        return dict(json.loads(data))


def a_history() -> History:
    """A run of a minute and a half, one of whose calls was refused for a while."""
    chronicle = Chronicle([Start(BEGAN, 3, 90.0)])
    for at, throttled in ((0, False), (1, True), (90, False)):
        chronicle.add(Call(BEGAN + at, BEGAN + at + 0.5, throttled))
    return History(
        source_kind="XLSX, sheet 'Leavers'",
        options=("--sheet 'Leavers'",),
        lookup=LookUp(at=BEGAN - 60, devices=5000, onboarded=4800, cautions=("2 are inactive",)),
        runs=chronicle.runs(),
        timeline=chronicle.timeline(),
        actions=Actions({"Pending": 1, "Succeeded": 1}, 1, BEGAN + 99, ()),
    )


HEAD = replace(
    REPORT_HEAD,
    columns=("Owner", "Ticket"),
    tenant="contoso/app",
    planned_at=BEGAN - 60,
    written_at=BEGAN + 120,
    history=a_history(),
    beside=("b.csv", "b.xlsx"),
    started_at=BEGAN,
    ended_at=BEGAN + 100,
    planned_by="ann@pc-7",
    run_by=("ann@pc-7", "svc@srv-4"),
    table="reports/b.xlsx",
)

ROW = replace(
    SUBMITTED_ROW,
    submitted_at=BEGAN + 0.9,
    finished_at=BEGAN + 1.2,
    cells=("Ann", "T1"),
)


@pytest.fixture
def head() -> ReportHead:
    return HEAD


@pytest.fixture
def row() -> ReportRow:
    return ROW


@pytest.fixture
def hostile() -> list[str]:
    return HOSTILE


@pytest.fixture
def failed() -> ReportRow:
    return replace(
        ROW, outcome=Outcome.FAILED, machine_action_id="", action_status="", error_code="NotFound",
        error_message="No such device.", http_status=404, submitted_at=None,
    )  # fmt: skip


@pytest.fixture
def page() -> Callable[[ReportHead, Iterable[ReportRow]], Read]:
    """The written page, read again."""

    def written(head: ReportHead, rows: Iterable[ReportRow]) -> Read:
        file = io.BytesIO()
        write_page(file, head, rows)
        return Read(file.getvalue().decode("utf-8"))

    return written
