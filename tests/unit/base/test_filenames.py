"""Which names Windows cannot use for a file, found before anything is written to one."""

import ntpath
import sys
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.filenames import LONGEST, length_objection, name_of, windows_objection

DEVICES = [
    "CON",
    "PRN",
    "AUX",
    "NUL",
    "CONIN$",
    "CONOUT$",
    *(f"{port}{n}" for port in ("COM", "LPT") for n in "189¹²³"),
]


@given(
    st.sampled_from(DEVICES),
    st.booleans(),
    st.sampled_from(["", ".csv", ".tar.gz", " .xlsx", ":a", "."]),
    st.sampled_from(["", "reports\\", "C:\\x\\", "\\\\server\\share\\"]),
)
def test_a_device_is_refused_in_any_folder_case_and_with_any_suffix(
    device: str, lower: bool, suffix: str, folder: str
) -> None:
    path = PureWindowsPath(folder + (device.lower() if lower else device) + suffix)

    assert "is the name of a device there" in (windows_objection(path, windows=True) or "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out?.csv", "its name has the character '?'"),
        ("a\tb.csv", "its name has the character '\\t'"),
        ("out.csv:hidden", "its name has the character ':'"),
        ("out.csv.", "a name cannot end with a dot"),
        ("leavers \\out.csv", "a name cannot end with a space"),
    ],
)
def test_a_name_that_windows_cannot_store_is_refused(name: str, said: str) -> None:
    assert windows_objection(PureWindowsPath(name), windows=True) == said


@pytest.mark.parametrize(
    "name",
    ["C:\\reports\\out.csv", "..\\out.csv", ".\\x.csv", "console.csv", "COM10.csv", "nulls\\Geräte 報告 😀.csv", "C:"],
)
def test_a_usual_name_is_taken(name: str) -> None:
    assert windows_objection(PureWindowsPath(name), windows=True) is None


def test_other_systems_take_every_name() -> None:
    assert windows_objection(PurePosixPath("reports/NUL.csv"), windows=False) is None


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Python knows the reserved names since 3.13")
@given(st.text(st.sampled_from('conulprx019¹$.: *"\t'), min_size=1).filter(lambda name: name not in {".", ".."}))
def test_python_agrees_about_the_reserved_names(name: str) -> None:
    assert ntpath.isreserved(name) == (  # type: ignore[attr-defined,unused-ignore]
        windows_objection(PureWindowsPath(name), windows=True) is not None
    )


@pytest.mark.parametrize(("path", "said"), [("C:", "C:"), ("C:\\", "C:\\"), ("C:\\x\\a.csv", "a.csv")])
def test_a_drive_is_called_by_its_path(path: str, said: str) -> None:
    assert name_of(PureWindowsPath(path)) == said


def test_a_path_that_is_too_long_for_windows_is_called_so() -> None:
    longest = PureWindowsPath("C:\\" + "x" * (LONGEST - 3))
    longer = PureWindowsPath(f"{longest}x")

    assert length_objection(longest, windows=True) is None
    assert length_objection(longer, windows=False) is None
    assert length_objection(PureWindowsPath(f"\\\\?\\{longer}"), windows=True) is None
    assert length_objection(longer, windows=True) == (
        "its path has 260 characters, and Windows takes 259 unless long paths are enabled"
    )
