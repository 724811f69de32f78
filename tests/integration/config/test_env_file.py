"""Files of variables: what is taken, and what systemd would read in another way and so is refused."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import ConfigError
from batch_offboard.config.env_file import read_env_file, variables_in

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("SECRET=plain", "plain"),
        ("SECRET=", ""),
        ("SECRET=a b  c", "a b  c"),
        ("  SECRET=plain  ", "plain"),
        ("SECRET='it is $HOME \\ \"so\"'", 'it is $HOME \\ "so"'),
        ('SECRET="it\'s $HOME #1"', "it's $HOME #1"),
        ("SECRET=a=b#c;d", "a=b#c;d"),
        ("SECRET=$HOME", "$HOME"),
    ],
)
def test_a_value_is_what_stands_there_with_or_without_quotes(line: str, value: str) -> None:
    assert variables_in(f"# a comment\n; another\n\n{line}\n", "file") == {"SECRET": value}


def test_the_last_of_a_name_counts_as_it_does_for_systemd() -> None:
    assert variables_in("A=1\r\nB=2\r\nA=3\r\n", "file") == {"A": "3", "B": "2"}


@pytest.mark.parametrize(
    "line",
    [
        f"export SECRET={CANARY}",
        f"set SECRET={CANARY}",
        f"SECRET = {CANARY}",
        f"1SECRET={CANARY}",
        CANARY,
        f"SECRET={CANARY}\\",
        f"SECRET=a{CANARY}'b'",
        f"SECRET='{CANARY}",
        f'SECRET="{CANARY}\\n"',
        f"SECRET={CANARY}\x1b[2J",
    ],
)
def test_what_is_written_otherwise_is_refused_with_its_line_and_without_its_value(line: str) -> None:
    with pytest.raises(ConfigError, match=r"file, line 2: ") as caught:
        variables_in(f"A=1\n{line}\n", "file")
    assert CANARY not in str(caught.value)


@given(value=st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="'"), max_size=30))
def test_single_quotes_hold_everything_but_themselves(value: str) -> None:
    assert variables_in(f"SECRET='{value}'", "file") == {"SECRET": value}


def test_a_file_of_the_owners_alone_is_read(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    path.write_bytes(b"\xef\xbb\xbfSECRET=plain\n")
    path.chmod(0o600)
    assert read_env_file(path) == {"SECRET": "plain"}


@pytest.mark.skipif(os.name != "posix", reason="the mode says nothing about other users here")
@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_file_open_to_other_users_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secrets.env"
    path.write_text(f"SECRET={CANARY}\n", encoding="utf-8")
    path.chmod(mode)
    with pytest.raises(ConfigError, match=r"secrets\.env \(--env-file\) is open to other users.*chmod 600") as caught:
        read_env_file(path)
    assert CANARY not in str(caught.value)


def test_a_missing_file_and_one_that_is_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--env-file"):
        read_env_file(tmp_path / "no.env")
    path = tmp_path / "bytes.env"
    path.write_bytes(b"SECRET=\xff\xfe\n")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="UTF-8"):
        read_env_file(path)
