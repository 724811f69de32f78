"""Ways to spoil a file: bytes, marks of its XML, parts of its archive. Each is drawn by Hypothesis, which then finds
the smallest spoiling that breaks something."""

import io
import re
import struct
import warnings
import zipfile
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

JUNK: Sequence[bytes] = (
    *(
        b"\0",
        b'"',
        b"'",
        b"\xff",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b",",
        b";",
        b"\t",
        b"\n",
        b"\r",
        b"\r\n",
        b"<",
        b">",
        b"]]>",
    ),
    *(b"&#0;", b"&x;", b"=1+1", b' hidden="1"', b"<f>1</f>", b'r="XFD9"', b't="s"', b"9" * 20, b"-1", b"A" * 300),
    *(b"\xe2\x80\xa8", b"<!DOCTYPE x>", b"--", b"\x1b[2J", b"\xed\xa0\x80", b"a" * 40, b"1.23E+39", b"sep=;\n", b"nan"),
    *(b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\xd0\xcf\x11\xe0", b"Device ID", b"outcome"),
)
ODD_VALUES: Sequence[bytes] = (
    *(b"", b"-1", b"0", b"1", b"2", b"65536", b"1048576", b"1048577", b"4294967296", b"9" * 30, b"1e9", b"nan", b"A0"),
    *(b"XFD1048576", b"XFE1", b"A1:XFD1048576", b"a1", b"s", b"str", b"inlineStr", b"b", b"e", b"d", b"n", b"true"),
    *(b"hidden", b"veryHidden", b"collapse", b"filter", b"../../x", b"rId99", b"float", b"date", b"percentage"),
)
# What people and programs put where a device ID belongs.
ODD_CELLS: Sequence[str] = (
    *(
        "",
        " ",
        "\u00a0",
        "a" * 39,
        "a" * 41,
        "0" * 40,
        "1.23457E+39",
        "1,23457E+39",
        "'",
        '"',
        '""',
        "=A1",
        "+1",
        "@x",
        "-1",
    ),
    *("\u200b", "\u202e", "\ufeff", "\uff11" * 40, "\u0430" * 40, "nan", "NULL", "None", "#REF!", "TRUE", "x" * 40_000),
    *("11111111-1111-4111-8111-111111111111", "{11111111-1111-4111-8111-111111111111}", "../../x", "a/offboard?x="),
    *("\x1b[2J", "\x07", "\u2028", "\u0085", "\x0c", "sep=,", "Device ID", "${jndi:x}", "<script>", "a\u0301"),
)
ODD_NUMBERS: Sequence[int] = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)


def _place(draw: DrawFn, size: int) -> int:
    """From 0 to `size`, anywhere; Hypothesis itself prefers the ends, where every reader looks first."""
    return draw(st.integers(0, 0xFFFFFFFF)) * 2654435761 % (size + 1)


@st.composite
def spoiled_bytes(draw: DrawFn, content: bytes) -> bytes:
    """Some bytes changed, put in, left out or doubled; at times the end is missing."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 6))):
        at = _place(draw, len(data))
        match draw(st.integers(0, 6)):
            case 0:
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 1:
                data[at:at] = draw(st.sampled_from(JUNK))
            case 2:
                del data[at : at + draw(st.integers(1, 50))]
            case 3:
                start = _place(draw, len(data))
                data[at:at] = data[start : start + draw(st.integers(1, 80))]
            case 4:
                number = struct.pack("<I", draw(st.sampled_from(ODD_NUMBERS)))
                width = draw(st.sampled_from((1, 2, 4)))
                data[at : at + width] = number[:width]
            case 5 if data:
                data[at - 1] ^= 1 << draw(st.integers(0, 7))
            case 6 if draw(st.booleans()):
                del data[at:]
    return bytes(data)


@st.composite
def spoiled_in_place(draw: DrawFn, content: bytes) -> bytes:
    """Bytes changed and none moved, as the formats made of offsets need it to be read on at all."""
    data = bytearray(content)
    used = max(1, len(content.rstrip(b"\0\xff")))
    for _ in range(draw(st.integers(1, 4))):
        at = _place(draw, used - 1)
        match draw(st.integers(0, 2)):
            case 0:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case 1:
                width = min(draw(st.sampled_from((1, 2, 4))), len(data) - at)
                data[at : at + width] = struct.pack("<I", draw(st.sampled_from(ODD_NUMBERS)))[:width]
            case 2:
                other = _place(draw, used - 1)
                width = min(draw(st.integers(1, 40)), len(data) - max(at, other))
                data[at : at + width] = data[other : other + width]
    return bytes(data)


@st.composite
def spoiled_cells(draw: DrawFn, content: bytes, encoding: str) -> bytes:
    """A text file with other texts in some of its cells, in the encoding that it has."""
    cells = re.split(r"([,;\t\r\n]+)", content.decode(encoding))
    for _ in range(draw(st.integers(1, 4))):
        at = _place(draw, len(cells) - 1)
        cells[at] = draw(st.sampled_from(ODD_CELLS) | st.text(max_size=50) | st.just(cells[-3]))
    return "".join(cells).encode(encoding, errors="replace")


@st.composite
def spoiled_marks(draw: DrawFn, content: bytes) -> bytes:
    """XML whose tags or texts are left out, doubled, moved or have other values; mostly it is XML still."""
    marks = re.findall(rb"<[^>]*>|[^<]+", content)
    for _ in range(draw(st.integers(1, 4))):
        if not marks:
            break
        at = _place(draw, len(marks) - 1)
        match draw(st.integers(0, 4)):
            case 0:
                del marks[at]
            case 1:
                marks.insert(at, marks[_place(draw, len(marks) - 1)])
            case 2:
                end = draw(st.integers(at, min(len(marks), at + 40)))
                marks[at:at] = marks[at:end]
            case 3:
                marks[at] = draw(_other_value(marks[at]))
            case 4:
                marks[at] = draw(st.sampled_from((*JUNK, *ODD_VALUES)))
    return b"".join(marks)


@st.composite
def _other_value(draw: DrawFn, mark: bytes) -> bytes:
    """An attribute of the tag with another value, or another text."""
    values = list(re.finditer(rb'="([^"]*)"', mark))
    odd = draw(st.sampled_from(ODD_VALUES))
    if not values:
        return odd if not mark.startswith(b"<") else mark
    found = draw(st.sampled_from(values))
    return mark[: found.start(1)] + odd + mark[found.end(1) :]


@st.composite
def spoiled_archive(draw: DrawFn, content: bytes) -> bytes:
    """An archive that is sound, and one of whose parts is not, is gone, or is there twice or in another's place."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        parts = [(name, source.read(name)) for name in source.namelist()]
    at = _place(draw, len(parts) - 1)
    name, part = parts[at]
    match draw(st.integers(0, 7)):
        case 0:
            del parts[at]
        case 1:
            parts[at] = (draw(st.sampled_from((name.upper(), f"../{name}", f"/{name}", "x" * 300, "mimetype"))), part)
        case 2:
            parts[at] = (name, draw(st.sampled_from(parts))[1])
        case 3:
            parts.append((f"{name}.copy", part))
        case number:
            how = spoiled_marks(part) if part.lstrip()[:1] == b"<" and number > 4 else spoiled_bytes(part)
            parts[at] = (name, draw(how))
    target = io.BytesIO()
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(target, "w", draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))) as opened,
    ):
        warnings.simplefilter("ignore")  # two parts of one name are what is wanted
        for each, data in parts:
            opened.writestr(each, data)
    return target.getvalue()


@st.composite
def spoiled(draw: DrawFn, content: bytes, encoding: str = "") -> bytes:
    """The file spoiled in whatever way its kind allows; a text has an encoding."""
    way = draw(st.integers(0, 6))
    if way == 0:
        return draw(spoiled_bytes(content))
    if way == 1 or not (encoding or content.startswith(b"PK")):
        return draw(spoiled_in_place(content))
    return draw(spoiled_cells(content, encoding) if encoding else spoiled_archive(content))
