"""Who may use a file on Windows, by access lists as the API writes them."""

import sys
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.config.access_list import EVERYONE, closing_command, named, others_with_access
from batch_offboard.config.secret import command_to_close

ANN = "S-1-5-21-1004336348-1177238915-682003330-1001"
BOB = "S-1-5-21-1004336348-1177238915-682003330-1002"
OURS = f"(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;{ANN})"

READING = ["FA", "FR", "GR", "GA", "0x1200a9", "0x1f01ff", "0x120089", "CCDCLCSWRPWPDTLOCRSDRCWDWO", "KR"]
CHANGING = ["FW", "GW", "WD", "WO", "0x100116"]
HARMLESS = ["FX", "RC", "0x1200a0", "SD", "0x100000", ""]


@pytest.mark.parametrize(
    ("descriptor", "others"),
    [
        pytest.param(f"O:{ANN}D:AI{OURS}", (), id="a file in the user's profile"),
        pytest.param(f"O:{ANN}D:PAI(A;;FA;;;{ANN})", (), id="a file for its owner alone"),
        pytest.param(f"O:BAD:AI{OURS}(A;ID;0x1200a9;;;BU)", ("S-1-5-32-545",), id="a file in a folder of the system"),
        pytest.param(f"O:{ANN}D:AI(A;ID;0x1301bf;;;AU){OURS}", ("S-1-5-11",), id="a file on a second disk"),
        pytest.param(f"O:{ANN}D:PAI(A;;FR;;;WD)", (EVERYONE,), id="a file for everyone"),
        pytest.param(f"O:{ANN}D:PAI{OURS}(A;;FR;;;{BOB})", (BOB,), id="a file for one other person"),
        pytest.param(f"O:{ANN}D:PAI(A;OICIIO;FA;;;{BOB}){OURS}", (), id="an entry for files below, not for this"),
        pytest.param(f"O:{ANN}D:PAI(D;;FR;;;{BOB}){OURS}", (), id="an entry that denies"),
        pytest.param(f'O:{ANN}D:PAI(XA;;FR;;;BU;(Member_of {{SID(BA)}})){OURS}', ("S-1-5-32-545",), id="a condition"),
        pytest.param(f"O:{ANN}D:PAI(A;;FA;;;S-1-3-4)(A;;FA;;;CO){OURS}", (), id="the owner's rights"),
        pytest.param(f"O:{ANN}D:NO_ACCESS_CONTROL", (EVERYONE,), id="no list, as on FAT"),
        pytest.param(f"O:{ANN}", (EVERYONE,), id="no list at all"),
        pytest.param(f"O:{ANN}D:P", (), id="an empty list, which lets nobody in"),
    ],
)  # fmt: skip
def test_who_else_may_use_a_file(descriptor: str, others: tuple[str, ...]) -> None:
    assert others_with_access(descriptor, ANN) == others


@given(st.sampled_from(READING + CHANGING), st.sampled_from(["BU", "WD", "AU", "IU", BOB]), st.sampled_from(["", "ID"]))
def test_an_entry_that_lets_another_account_read_or_change_is_found(rights: str, account: str, flags: str) -> None:
    assert others_with_access(f"D:AI{OURS}(A;{flags};{rights};;;{account})", ANN)


@given(st.lists(st.tuples(st.sampled_from(HARMLESS), st.sampled_from(["BU", "WD", BOB])), max_size=5))
def test_entries_that_let_nobody_read_or_change_leave_the_file_closed(entries: list[tuple[str, str]]) -> None:
    listed = "".join(f"(A;;{rights};;;{account})" for rights, account in entries)

    assert others_with_access(f"D:AI{OURS}{listed}", ANN) == ()


@given(st.text("()AD;:SWBUFR0x1-52 _\n"))
def test_no_text_makes_reading_a_list_fail(text: str) -> None:
    others_with_access(text, ANN)


def test_a_service_may_use_its_own_files() -> None:
    assert others_with_access("D:(A;;FA;;;NS)", "S-1-5-20") == ()


def test_what_to_type_names_accounts_in_no_language() -> None:
    path = PureWindowsPath("C:\\Users\\Ann\\my secret.txt")

    assert closing_command(path, ANN, (EVERYONE, BOB)) == (
        f'icacls "C:\\Users\\Ann\\my secret.txt" /inheritance:r /grant:r "*{ANN}:F" '
        f'/remove:g "*S-1-1-0" /remove:g "*{BOB}"'
    )
    assert (named(EVERYONE), named(BOB)) == ("Everyone", BOB)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no mode")
def test_a_mode_that_lets_others_in_is_closed_by_chmod(tmp_path: Path) -> None:
    path = tmp_path / "my secret"
    path.touch(0o600)
    assert command_to_close(path) is None
    path.chmod(0o644)
    assert command_to_close(path) == f"chmod 600 '{path}'"
