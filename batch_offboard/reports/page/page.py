"""Writes the page: first the rows into a temporary file, since the counts precede them, then everything in order."""

import io
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from importlib.resources import files
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from batch_offboard.base.text import visible
from batch_offboard.reports.page.attention import Attention
from batch_offboard.reports.page.blocks import Words, row_blocks, script_json
from batch_offboard.reports.page.view import outcome_word, page_of, said_moment, times_title, trouble_word
from batch_offboard.reports.rows import SIGNS, Outcome, ReportHead, ReportRow, Summary, Tally

ROWS_IN_MEMORY = 4 << 20  # bytes; a larger report is buffered on disk


def write_page(file: BinaryIO, head: ReportHead, rows: Iterable[ReportRow]) -> None:
    """Write the whole page as UTF-8; `rows` are iterated once."""
    words, tally, attention = Words(), Tally(head), Attention(head.batch_id)
    with SpooledTemporaryFile(ROWS_IN_MEMORY, mode="w+", encoding="utf-8", newline="\n") as spool:
        seen = attention.watching(tally.counting(rows))
        spool.writelines(f"{block}\n" for block in row_blocks(seen, head, words))
        spool.seek(0)
        summary = tally.summary()
        page = page_of(head, summary, attention.groups())
        pieces = _template().generate(
            page=page,
            blocks=(_as_it_is(line.rstrip("\n")) for line in spool),
            words=_as_it_is(script_json(_for_script(head, summary, words))),
            policy=content_policy(),
            style=_as_it_is(asset("page.css")),
            script=_as_it_is(asset("page.js")),
        )
        _write(file, pieces)


def _write(file: BinaryIO, pieces: Iterator[str]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="\n", write_through=False)
    text.writelines(pieces)
    text.flush()
    text.detach()


@cache
def asset(name: str) -> str:
    """One of the page's own files, with LF line ends only: the hashes must match what a browser reads."""
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def content_policy() -> str:
    """The content security policy: it allows only the page's own style and script, by their hashes."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(asset('page.css'))}'",
            f"script-src '{_hash(asset('page.js'))}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}"


def _as_it_is(text: str) -> Markup:
    """Mark text as safe: only the page's own files, and JSON without active content. All other text is escaped."""
    return Markup(text)  # noqa: S704


def _for_script(head: ReportHead, summary: Summary, words: Words) -> dict[str, Any]:
    """What the script needs in addition to the rows."""
    return {
        "batch": head.batch_id,
        "rows": summary.rows,
        "is_plan": head.is_plan,
        "columns": [visible(column) for column in head.columns],
        "outcomes": [[outcome.value, outcome_word(outcome), SIGNS[outcome]] for outcome in Outcome],
        "words": words.as_list(),
    }


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("batch_offboard.reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": said_moment,
        "number": lambda value: f"{value:,}",
        "outcome_word": outcome_word,
        "trouble_word": trouble_word,
        "times_title": times_title,
        "sign": lambda outcome: SIGNS[Outcome(outcome)],
    }
    return environment.get_template("page.html")


def _shown(value: object) -> object:
    """Texts with control characters and direction overrides made visible, before they are escaped."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else visible(value)
