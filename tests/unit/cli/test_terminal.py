"""A console whose code page lacks characters shows what stands for them; a program always reads UTF-8."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.text import safe_json
from batch_offboard.cli.terminal import SPELLED, can_be_drawn_on, prepare, width_of


class Terminal(io.TextIOWrapper):
    """A stream in this encoding that a person reads."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        pytest.param("cp437", "row 2, ... - 'a' -> \\u30c7", id="a DOS code page"),
        pytest.param("ascii", "row 2, ... - 'a' -> \\u30c7", id="ASCII"),
        pytest.param("cp1252", "row 2, … – ‘a’ -> \\u30c7", id="a Windows code page"),
        pytest.param("utf-8", "row 2, … – ‘a’ → デ", id="UTF-8"),
    ],
)
def test_a_sign_that_a_code_page_lacks_is_spelled_plainly(encoding: str, shown: str) -> None:
    assert "row 2, … – ‘a’ → デ".encode(encoding, SPELLED).decode(encoding) == shown


def test_bytes_that_cannot_be_read_are_an_error_as_ever() -> None:
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("utf-8", SPELLED)


def test_a_closed_stream_and_a_missing_one_have_no_width() -> None:
    stream = io.StringIO()
    stream.close()

    assert width_of(stream) is None
    assert width_of(None) is None


@given(
    st.sampled_from(["cp437", "cp1252", "cp932", "ascii", "utf-16"]),
    st.dictionaries(st.text(), st.text() | st.just("Geräte 報告 😀.csv")),
)
def test_json_in_a_file_or_a_pipe_is_utf_8_whatever_the_code_page(encoding: str, facts: dict[str, str]) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding)
    prepare(stream)
    stream.write(f"{safe_json(facts, indent=2)}\n")
    stream.flush()

    assert json.loads(written.getvalue().decode("utf-8")) == facts


def test_lines_in_a_file_or_a_pipe_end_with_a_line_feed_on_every_platform() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="cp1252", newline="\r\n")
    prepare(stream)
    stream.write("a,b\r\nc\n")
    stream.flush()

    assert written.getvalue() == b"a,b\r\nc\n"


def test_a_terminal_keeps_its_encoding_and_takes_every_character() -> None:
    written = io.BytesIO()
    stream = Terminal(written, encoding="cp437")
    prepare(stream)
    stream.write("Geräte 報")
    stream.flush()

    assert written.getvalue().decode("cp437") == "Geräte \\u5831"


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_without_escape_sequences_is_not_drawn_on(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", kind)

    assert not can_be_drawn_on(Terminal(io.BytesIO(), encoding="utf-8"))


def test_a_pipe_and_a_closed_stream_are_not_drawn_on() -> None:
    closed = Terminal(io.BytesIO(), encoding="utf-8")
    closed.close()

    assert not can_be_drawn_on(io.StringIO())
    assert not can_be_drawn_on(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
