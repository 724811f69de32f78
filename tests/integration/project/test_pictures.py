"""The pictures of the documentation: what they show, and that they belong into a repository."""

import csv
import re
import struct
from pathlib import Path

import pytest

from docs.make_pictures import DEVICES, LARGEST, PICTURES, SHOTS, PictureError, Shot, browser, only, take, write_sheet
from tests.chromium import found

ROOT = Path(__file__).resolve().parents[3]


def size_of(picture: bytes) -> tuple[int, int]:
    """Width and height in a PNG's header."""
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
def test_every_picture_is_there_in_its_size_and_small(shot: Shot) -> None:
    picture = (PICTURES / shot.name).read_bytes()

    assert size_of(picture) == (shot.width, shot.height)
    assert len(picture) <= LARGEST


def test_every_picture_is_shown_by_the_page_about_the_report_or_about_performance() -> None:
    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    curves = re.findall(r"pictures/([\w.-]+)", (ROOT / "docs" / "performance.md").read_text(encoding="utf-8"))

    assert {path.name for path in PICTURES.iterdir()} == {shot.name for shot in SHOTS} | set(curves)
    assert all(f"pictures/{shot.name}" in text for shot in SHOTS)


def test_the_sheet_has_the_samples_devices_and_three_rows_that_are_wrong(tmp_path: Path) -> None:
    write_sheet(tmp_path / "leavers.csv")
    with (tmp_path / "leavers.csv").open(encoding="utf-8", newline="") as file:
        ids = [row["Device ID"] for row in csv.DictReader(file)]

    assert len(ids) == DEVICES
    assert (ids[300], len(ids[500]), len(ids[900])) == (ids[12], 36, 39)


def test_a_section_alone_is_the_page_without_the_others() -> None:
    page = '<main><section id="one" a>1</section>\n<section id="two">2</section></main>'

    assert only(("two",), page) == '<main>\n<section id="two">2</section></main>'
    assert only((), page) == page


def test_without_a_browser_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(PictureError, match="need Chromium or Chrome"):
        browser()


@pytest.mark.skipif(found() is None, reason="there is no Chromium to take a picture with")
def test_a_picture_is_taken_in_its_size(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>x</title><p>Hello", encoding="utf-8")
    take(Shot("x.png", (), 390, 500), page, tmp_path / "x.png", browser())

    assert size_of((tmp_path / "x.png").read_bytes()) == (390, 500)
