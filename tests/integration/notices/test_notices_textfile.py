"""The metrics file as the collector finds it."""

import os
from pathlib import Path

import pytest

from batch_offboard.notices import textfile

posix_only = pytest.mark.skipif(os.name != "posix", reason="the mode says nothing about other users here")


@posix_only
@pytest.mark.parametrize("umask", [0o077, 0o022, 0o000])
def test_the_collector_can_read_the_file_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "bo.prom"
    before = os.umask(umask)
    try:
        textfile.write(path, "a 1\n")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_new_file_takes_the_place_of_the_old_one_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "bo.prom"
    textfile.write(path, "a 1\n")
    textfile.write(path, "b 2é\n")
    assert path.read_bytes() == "b 2é\n".encode()
    assert list(tmp_path.iterdir()) == [path]


@posix_only
def test_whoever_reads_meanwhile_has_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "bo.prom"
    textfile.write(path, "a 1\n")
    with path.open(encoding="utf-8") as reader:
        textfile.write(path, "b 2\n")
        assert reader.read() == "a 1\n"


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-such-folder"):
        textfile.write(tmp_path / "no-such-folder" / "bo.prom", "a 1\n")
    folder = tmp_path / "bo.prom"
    folder.mkdir()
    (folder / "kept").touch()
    with pytest.raises(OSError, match="bo"):
        textfile.write(folder, "a 1\n")
    assert list(tmp_path.iterdir()) == [folder]
