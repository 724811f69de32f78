"""A notice as JSON for programs, as a card for Teams, as blocks for Slack, and as the text of a mail.

Pure. Foreign text in a notice (an API's message, a path) is shown on one line, is limited in length, and cannot contain
formatting, mentions or links.
"""

import json
from typing import Any

from batch_offboard.base.clock import iso_utc, local_time
from batch_offboard.base.errors import ExitCode
from batch_offboard.base.text import one_line
from batch_offboard.notices.notice import PROGRAM, Happening, Notice

# Teams takes 28 KB (learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors), Slack 3,000 characters in a
# text, 2,000 in a field, 150 in a header and 10 fields in a section (docs.slack.dev/reference/block-kit).
LONGEST_HEADLINE = 500
LONGEST_VALUE = 200
LONGEST_TITLE = 140
MOST_NAMED = 8
FIELDS_IN_SECTION = 10

_ENDINGS = {
    ExitCode.OK: "finished successfully",
    ExitCode.ROWS_FAILED: "finished, with rows that failed",
    ExitCode.UNFINISHED: "ended with rows that are not settled",
}
_SHOWN_AS_CODE = frozenset({"Report", "Next"})


def title(notice: Notice) -> str:
    """A short title with the machine's name."""
    if notice.deed:
        what = notice.deed
    elif notice.happening is Happening.FINISHED:
        what = _ENDINGS.get(notice.exit_code, "finished")
    else:
        what = "stopped" if notice.happening is Happening.STOPPED else "missed a night"
    mark = "SIMULATED: " if notice.simulated else ""
    return _cut(f"{mark}{PROGRAM} {what} on {notice.machine}", LONGEST_TITLE)


def facts(notice: Notice) -> list[tuple[str, str]]:
    """The other facts, each with its label."""
    counts = ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in notice.counts.items() if number)
    pairs = [
        *_named("Sheet", notice.sheets),
        *_named("Batch", notice.batches),
        ("Rows", counts),
        ("Exit code", f"{notice.exit_code.value}: {notice.meaning}"),
        ("Tenant", notice.tenant),
        ("Started", local_time(notice.started) if notice.started is not None else ""),
        ("Missed" if notice.happening is Happening.MISSED_NIGHT else "Ended", local_time(notice.at)),
        *_named("Report", tuple(str(path) for path in notice.reports)),
        ("Next", notice.next_command),
    ]
    return [(label, _cut(value, LONGEST_VALUE)) for label, value in pairs if value]


def as_json(notice: Notice) -> bytes:
    """JSON for programs; the keys are a contract."""
    return _bytes(
        {
            "program": PROGRAM,
            "event": notice.happening,
            "simulated": notice.simulated,
            "headline": one_line(notice.headline),
            "machine": notice.machine,
            "tenant": notice.tenant or None,
            "sheets": list(notice.sheets),
            "batches": list(notice.batches),
            "counts": dict(notice.counts),
            "exit_code": notice.exit_code.value,
            "exit_meaning": notice.meaning,
            "reports": [str(path) for path in notice.reports],
            "next": notice.next_command or None,
            "started_at": None if notice.started is None else iso_utc(notice.started),
            "at": iso_utc(notice.at),
        }
    )


def as_teams(notice: Notice) -> bytes:
    """An adaptive card in the message that a Workflows webhook takes; text runs do not interpret Markdown."""
    colour = "Good" if notice.is_well else "Attention"
    headline = _cut(notice.headline, LONGEST_HEADLINE)
    body = [
        _rich([_run(title(notice), weight="Bolder", size="Medium", color=colour)]),
        _rich([_run(headline)]),
        *(_rich([_run(f"{label}: ", weight="Bolder"), _value_run(label, value)]) for label, value in facts(notice)),
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": title(notice),
        "body": body,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return _bytes({"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]})


def as_slack(notice: Notice) -> bytes:
    """Blocks, and the same as one line for clients that do not show blocks."""
    headline = escaped(_cut(notice.headline, LONGEST_HEADLINE))
    fields = [_mrkdwn(f"*{label}*\n{_slack_value(label, value)}") for label, value in facts(notice)]
    chunks = [fields[at : at + FIELDS_IN_SECTION] for at in range(0, len(fields), FIELDS_IN_SECTION)]
    return _bytes(
        {
            "text": f"{escaped(title(notice))}: {headline}",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": title(notice), "emoji": False}},
                {"type": "section", "text": _mrkdwn(headline)},
                *({"type": "section", "fields": chunk} for chunk in chunks),
            ],
        }
    )


def as_text(notice: Notice) -> str:
    """The text of a mail."""
    pairs = facts(notice)
    width = max(len(label) for label, _ in pairs) + 1
    lines = [
        _cut(notice.headline, LONGEST_HEADLINE),
        "",
        *(f"{f'{label}:':<{width}} {value}" for label, value in pairs),
    ]
    if notice.simulated:
        lines += ["", "This was a rehearsal: no real device is touched."]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """The text with Slack's three special characters escaped, so that it cannot contain links, mentions or entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _named(label: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """The first few by name, the others as a count."""
    more = len(names) - MOST_NAMED
    return [*((label, name) for name in names[:MOST_NAMED]), *([(label, f"and {more} more")] if more > 0 else [])]


def _slack_value(label: str, value: str) -> str:
    if label in _SHOWN_AS_CODE:
        return f"`{escaped(value.replace('`', chr(39)))}`"
    return escaped(value)


def _mrkdwn(text: str) -> dict[str, Any]:
    """A text object; `verbatim` keeps Slack from turning names and numbers into links."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _rich(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": runs, "spacing": "Small"}


def _run(text: str, **style: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}


def _value_run(label: str, value: str) -> dict[str, Any]:
    return _run(value, fontType="Monospace") if label in _SHOWN_AS_CODE else _run(value)


def _cut(text: str, longest: int) -> str:
    shown = one_line(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
