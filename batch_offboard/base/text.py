"""Text from cells and from the API, made safe for a terminal and for a file that a spreadsheet program opens.

Pure. Nothing is dropped: what cannot be shown is escaped (`\\x1b`), what could be taken for a formula gets an
apostrophe in front. Nothing here shortens a text or interprets it.
"""

import json
import re

LONGEST_COMMENT = 400  # characters of a machine action's comment, the correlation token not counted

# Not shown, or shown as something else: control characters except TAB and LF, separators that some programs take
# for line ends, direction overrides that reverse text, lone surrogates, which cannot be encoded.
_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb\ufffe\uffff]"
)
_OTHER_LINE_ENDS = re.compile("\r\n?")

# What makes a spreadsheet program calculate: the ASCII signs, and the full-width, small and mathematical ones
# that some locales accept in their place. Blanks, invisible characters and quotes in front hide them from us,
# but not from every program.
_SIGNS = "=+\\-@＝＋－＠﹦﹢﹣﹫−"
_VEIL = "\\s\u00ad\u200b-\u200f\u2060\ufeff\"'`´‘’‚“”„«»＂＇"
_FORMULA = re.compile(f"[\t\n\r]|[{_VEIL}]*[{_SIGNS}]")


def visible(text: str) -> str:
    """The text with every control or invisible character escaped; TAB and line feeds stay."""
    if text.isprintable():
        return text
    return _UNSHOWABLE.sub(_spelled, _OTHER_LINE_ENDS.sub("\n", text))


def one_line(text: str) -> str:
    """The visible text on one line, so that no cell can add a line of its own to a log."""
    return " ".join(visible(text).split())


def safe_json(value: object, *, indent: int | None = None) -> str:
    """The value as JSON of the same meaning, with control and invisible characters escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)  # escapes the first 32 characters and no others
    return _UNSHOWABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def safe_cell(text: str) -> str:
    """The visible text as a cell that no spreadsheet program takes for a formula.

    What already begins with an apostrophe is safe and stays as it is.
    """
    shown = visible(text)
    return f"'{shown}" if not shown.startswith("'") and is_like_formula(shown) else shown


def unguarded(cell: str) -> str:
    """A cell that `safe_cell` made, without the apostrophe that it added."""
    return cell[1:] if cell.startswith("'") and is_like_formula(cell[1:]) else cell


def is_like_formula(text: str) -> bool:
    """A spreadsheet program might calculate this text."""
    return _FORMULA.match(text) is not None


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
