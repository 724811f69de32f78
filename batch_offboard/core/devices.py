"""Validates a cell of the ID column: it is a Defender device ID, or a sentence says why it is not one.

Nothing here repairs a value. An ID that is almost right may be the ID of another computer, which would lose its
protection, so only a certain ID is accepted.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from batch_offboard.core.rows import CellKind, NotText

SHOWN_LENGTH: Final = 60

# Whitespace and invisible characters that survive copy and paste from web pages, chats and Word.
INVISIBLE: Final = "".join(
    chr(code)
    for low, high in (
        (0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C),
        (0x115F, 0x1160), (0x1680, 0x1680), (0x180E, 0x180E), (0x2000, 0x200F), (0x2028, 0x2029),
        (0x202F, 0x202F), (0x205F, 0x2064), (0x2800, 0x2800), (0x3000, 0x3000), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0),
    )
    for code in range(low, high + 1)
)  # fmt: skip

# The IDs in the examples of Microsoft's documentation, which people paste by mistake.
EXAMPLE_IDS: Final = frozenset(
    {
        "1e5bc9d7e413ddd7902c2932e418702b84d0cc07",
        "111e6dd8c833c8a052ea231ec1b19adaf497b625",
        "7327b54fd718525cbca07dacde913b5ac3c85673",
        "9d80fbbc1bdbc5ce968f1d37c72384cbe17ee337",
        "ac233fa6208e1579620bf44207c4006ed7cc4501",
    }
)

_ID = re.compile(r"[0-9a-f]{40}")
_ANY_CASE_ID = re.compile(r"[0-9A-Fa-f]{40}")
# Japanese input methods produce full-width digits and letters with the same meaning.
_FULL_WIDTH = str.maketrans({ord(char) + 0xFEE0: char for char in "0123456789abcdefABCDEF"})
_ID_INSIDE = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{40}(?![0-9A-Za-z])")
_GUID = re.compile(r"\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?", re.IGNORECASE)
_DAMAGED = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]*)?e[+-]?[0-9]+", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,' ][0-9]+)*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}.*")
_URL = re.compile(r"(?:https?://|www\.|[\w.-]+/machines/)", re.IGNORECASE)
_NAME = re.compile(r"(?=.{1,253}$)[0-9A-Za-z_][0-9A-Za-z_.-]*\$?")
_MAY_BE_NAME = re.compile(r"(?=.{1,253}$)\w[\w.-]*\$?")
_MAY_BE_ID = re.compile(rf"[0-9A-Fa-f]{{16,}}|{_GUID.pattern}|{_DAMAGED.pattern}", re.IGNORECASE)
_WRAPPERS = "'\"`<>[](){}«»‘’“”„‚"
_NOTHING_WORDS = frozenset(
    ["null", "none", "nan", "nil", "n/a", "na", "-", "--", "—", "–", "?", "tbd", "unknown", "undefined"]
)
_LOOK_ALIKES = str.maketrans("OoIlSs", "001155")
_AS_TEXT = "export the list again with the column formatted as text"
_LONGEST_READ = 1000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a cell is not a device ID: one sentence for the operator, safe to print."""

    detail: str


def judge_id(cell: str | NotText) -> str | Refusal:
    """Return the device ID in lower case, or the reason why the cell has none.

    Full-width digits and letters are converted. Whitespace and invisible characters at both ends are ignored; inside
    the value they are a reason to refuse it. Never raises.
    """
    if isinstance(cell, NotText):
        return Refusal(_NOT_TEXT[cell.kind].format(f" ('{shown(cell.shown)}')" if cell.shown else ""))
    if _ID.fullmatch(cell) is None:
        value = _narrow(trimmed(cell))
        if _ANY_CASE_ID.fullmatch(value) is None:
            return Refusal(_why_not(value))
        cell = value.lower()
    if cell in EXAMPLE_IDS:
        return Refusal(f"{cell} is an example from Microsoft's documentation; enter the real device ID.")
    if cell == cell[0] * 40:
        return Refusal(f"'{cell}' is a placeholder, not a device ID; enter the real one.")
    if cell.isdigit() and _passed_through_a_number(cell):
        return Refusal(
            f"'{cell}' was converted into a number by a spreadsheet and lost digits, so it may name another "
            f"device; {_AS_TEXT}."
        )
    return cell


def is_id(cell: str | NotText) -> bool:
    """True if the cell is a usable device ID."""
    return isinstance(judge_id(cell), str)


def is_guid(cell: str | NotText) -> bool:
    """True if the cell is a GUID, with or without braces."""
    return isinstance(cell, str) and _GUID.fullmatch(trimmed(cell)) is not None


def may_be_id(text: str) -> bool:
    """True if the text is an ID, possibly a damaged one: hexadecimal digits, a GUID, or a number like 1.2E+39."""
    return _MAY_BE_ID.fullmatch(_narrow(trimmed(text))) is not None


def holds_id(cell: str | NotText) -> bool:
    """True if the cell is an ID, possibly a damaged one, or a text that contains a complete one."""
    text = cell.shown if isinstance(cell, NotText) else cell
    return may_be_id(text) or _ID_INSIDE.search(text) is not None


def may_be_name(text: str) -> bool:
    """True if the text could name a computer: letters of any script, digits, `_`, `-` and `.`, and no spaces."""
    return _MAY_BE_NAME.fullmatch(trimmed(text)) is not None


def is_wide_id(cell: str) -> bool:
    """True if the cell is an ID with full-width characters."""
    value = trimmed(cell)
    return not value.isascii() and _narrow(value) != value


def trimmed(text: str) -> str:
    """The text without whitespace and invisible characters at its ends."""
    return text.strip(INVISIBLE)


def shown(text: str, length: int = SHOWN_LENGTH) -> str:
    """The text made safe to print: one line, unprintable characters escaped, cut to `length` characters.

    Terminals interpret escape sequences and bidirectional marks, and files may contain lone surrogates.
    """
    escaped = "".join(char if char.isprintable() else _escaped(char) for char in text[: length + 1])
    if len(text) <= length and len(escaped) <= length:
        return escaped
    return escaped[: length - 1] + "…"


def normal_name(name: str) -> str:
    """A computer name in the form used for comparison (NFKC, case folded, trimmed)."""
    return trimmed(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()))


def same_name(one: str, other: str) -> bool:
    """True if both name the same computer; a name without a domain matches any domain, an empty name matches none."""
    first, second = normal_name(one), normal_name(other)
    if not first or not second:
        return False
    if "." in first and "." in second:
        return first == second
    return first.partition(".")[0] == second.partition(".")[0]


def _narrow(value: str) -> str:
    """A full-width ID in ASCII; any other text unchanged."""
    if value.isascii():
        return value
    narrow = value.translate(_FULL_WIDTH)
    return narrow if _ANY_CASE_ID.fullmatch(narrow) else value


def _passed_through_a_number(digits: str) -> bool:
    """Excel keeps 15 digits and pads with zeros; other programs print the exact value of the float64."""
    number = int(digits)
    return digits.endswith("0" * 20) or int(float(number)) == number


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _code_point(char: str) -> str:
    return f"U+{ord(char):04X} ({unicodedata.name(char, 'no name')})"


def _why_not(value: str) -> str:
    if len(value) > _LONGEST_READ:
        return f"The cell contains {len(value)} characters ('{shown(value)}'); a device ID has 40."
    for rule in _RULES:
        reason = rule(value)
        if reason is not None:
            return reason
    return f"'{shown(value)}' is not a device ID; a Defender device ID has 40 hexadecimal digits."


def _why_nothing(value: str) -> str | None:
    if not value:
        return "The cell is empty; enter the device ID, or the computer's name in the name column."
    if value.casefold() in _NOTHING_WORDS:
        return f"'{shown(value)}' means no value; enter the device ID."
    return None


def _why_spreadsheet(value: str) -> str | None:
    """What spreadsheet programs make of an ID: damaged numbers, formulas, error values, booleans, dates."""
    if _DAMAGED.fullmatch(value):
        return f"'{shown(value)}' is an ID that a spreadsheet program has converted into a number; {_AS_TEXT}."
    if value.startswith("#"):
        return f"'{shown(value)}' is a spreadsheet error, not a device ID; correct the sheet."
    if value[0] in "=@" or (value[0] in "+-" and not _NUMBER.fullmatch(value)):
        return f"'{shown(value)}' is a formula, not a device ID; enter the ID itself as text."
    if value.casefold() in {"true", "false"}:
        return f"'{shown(value)}' is a true-or-false value, not a device ID."
    if _DATE.fullmatch(value):
        return f"'{shown(value)}' is a date, not a device ID."
    return None


def _why_other_id(value: str) -> str | None:
    if _GUID.fullmatch(value):
        return (
            f"'{shown(value)}' is an Entra or Intune device ID, not a Defender device ID; "
            "take the 40-digit ID from the Defender portal's device export."
        )
    return None


def _why_hidden_character(value: str) -> str | None:
    for char in value:
        if char in INVISIBLE and char not in " \t\r\n":
            return f"'{shown(value)}' has the invisible character {_code_point(char)} inside; type it again."
        if unicodedata.category(char) in {"Cc", "Cf", "Cs"} and char not in "\t\r\n":
            return f"'{shown(value)}' has the control character {_code_point(char)} inside; type it again."
    return None


def _why_address_or_broken(value: str) -> str | None:
    if _URL.match(value):
        return f"'{shown(value)}' is a web address, not a device ID; put only the 40-digit ID here."
    if _ANY_CASE_ID.fullmatch("".join(value.split())):
        return f"'{shown(value)}' has a space or a line break inside; enter the ID without it."
    return None


def _why_more_than_an_id(value: str) -> str | None:
    """An ID with other text around it: extracting it would be a guess."""
    found = _ID_INSIDE.findall(value)
    if len(found) > 1:
        return f"The cell contains {len(found)} device IDs ('{shown(value)}'); give each a row of its own."
    if not found:
        return None
    around = trimmed(value.replace(found[0], "", 1))
    if value[0] in "'’‘" and value[1:] == found[0]:
        return f"'{shown(value)}' begins with an apostrophe; enter the ID without it."
    if all(char in _WRAPPERS for char in around):
        return f"'{shown(value)}' is an ID in quotation marks or brackets; enter the ID without them."
    return f"'{shown(value)}' contains an ID and other text ('{shown(around)}'); enter only the ID."


def _why_look_alike(value: str) -> str | None:
    strange = next((char for char in value if ord(char) > 0x7F), None)
    if strange is not None:
        return f"'{shown(value)}' contains {_code_point(strange)}, which is not a hexadecimal digit; type the ID again."
    if len(value) == 40 and _ANY_CASE_ID.fullmatch(value.translate(_LOOK_ALIKES)):
        wrong = next(char for char in value if char in "OoIlSs")
        return f"'{shown(value)}' has the letter {wrong} where a digit should be; copy the ID again."
    return None


def _why_hexadecimal(value: str) -> str | None:
    if not all(char in "0123456789abcdefABCDEF" for char in value):
        return None
    if value.isdigit() and len(value) < 30:
        return f"'{shown(value)}' is a number, not a device ID; a device ID has 40 hexadecimal digits."
    if len(value) < 16:
        return None
    return f"'{shown(value)}' has {len(value)} hexadecimal digits; a device ID has 40."


def _why_name(value: str) -> str | None:
    if _NUMBER.fullmatch(value):
        return f"'{shown(value)}' is a number, not a device ID; a device ID has 40 hexadecimal digits."
    if len(value) == 40 and value.isalnum():
        wrong = next((char for char in value if char not in "0123456789abcdefABCDEF"), "")
        return f"'{shown(value)}' contains '{wrong}', which is not a hexadecimal digit; copy the ID again."
    if _NAME.fullmatch(value):
        return (
            f"'{shown(value)}' is not a device ID; if it is a computer name, it belongs in a name column "
            "(--name-column)."
        )
    return None


_RULES: Final[tuple[Callable[[str], str | None], ...]] = (
    _why_nothing,
    _why_hidden_character,
    _why_spreadsheet,
    _why_other_id,
    _why_address_or_broken,
    _why_more_than_an_id,
    _why_look_alike,
    _why_hexadecimal,
    _why_name,
)

_NOT_TEXT: Final = {
    CellKind.NUMBER: "The cell contains a number{}: a spreadsheet program has damaged the ID; " + _AS_TEXT + ".",
    CellKind.DATE: "The cell contains a date or time{}, not a device ID.",
    CellKind.BOOLEAN: "The cell contains a true-or-false value{}, not a device ID.",
    CellKind.FORMULA: "The cell contains a formula{}; enter the ID itself as text.",
    CellKind.ERROR: "The cell contains a spreadsheet error{}; correct the sheet.",
    CellKind.MERGED: "The cell is merged with others{}; give each row its own ID.",
    CellKind.MISSING: "The row is shorter than the header and ends before the device ID; correct the row.",
}
