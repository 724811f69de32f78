"""A console whose code page lacks characters shows what stands for them."""

import io

import pytest

from batch_offboard.cli.terminal import SPELLED, width_of


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
