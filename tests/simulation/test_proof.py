"""docs/proof.md lists what is checked: no more, and nothing less."""

import re
from pathlib import Path

from tests.simulation.long import MARKS, PAGE

SOURCES = [Path(__file__).with_name(name) for name in ("inspection.py", "story.py", "nights.py")]


def checks_made() -> set[tuple[str, str]]:
    """Invariant and check, as the simulation names them when they fail."""
    text = "\n".join(source.read_text(encoding="utf-8") for source in SOURCES)
    named = re.findall(r'found\(\s*"(\w+)", "([^"]+)"', text)
    never = text.partition("_NEVER = {")[2].partition("\n}")[0]
    return {*named, *(("I11", check) for check in re.findall(r'^    "([^"]+)": ', never, re.MULTILINE))}


def test_the_page_names_every_check() -> None:
    rows = dict(re.findall(r"^\| (I\d+|errors) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    page = "; ".join(rows.values())
    assert {check for _, check in checks_made() if check not in page} == set()
    assert set(rows) == {invariant for invariant, _ in checks_made()} | {"I14"}  # a test of its own plays a seed twice


def test_the_page_has_room_for_the_figures() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(text.count(mark) == 1 for mark in MARKS)
