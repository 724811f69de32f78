"""Drives that a journal should not be on, by their paths and variables."""

from pathlib import Path

import pytest

from batch_offboard.journal.drives import is_share, synchronised_by


@pytest.mark.parametrize(
    ("path", "share"),
    [
        ("\\\\server\\share\\journal.db", True),
        ("\\\\?\\UNC\\server\\share", True),
        ("\\\\?\\unc\\server\\share", True),
        ("\\\\?\\C:\\state", False),
        ("\\\\.\\UNCLE", False),
        ("C:\\state", False),
        ("//tmp", False),
    ],
)
def test_a_share_of_windows_is_known_by_its_path(path: str, share: bool) -> None:
    assert is_share(path) == share


@pytest.mark.parametrize("name", ["OneDrive", "OneDriveCommercial", "OneDriveConsumer"])
def test_a_folder_that_onedrive_copies_is_known_by_its_variables(name: str, tmp_path: Path) -> None:
    assert synchronised_by(tmp_path / "Documents", {name: str(tmp_path)}) == "OneDrive"
    assert synchronised_by(tmp_path, {name: str(tmp_path / "Documents")}) is None
    assert synchronised_by(tmp_path, {name: ""}) is None
