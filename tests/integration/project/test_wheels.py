"""Windows gets every locked package as a wheel, for each Python that the program supports."""

import tomllib

import pytest
from packaging.utils import canonicalize_name, parse_wheel_filename

from tests.windows.wheels import PYTHONS, RUN_LOCK, WHEELS, for_windows, recorded, tags_of

LOCK = RUN_LOCK.read_text(encoding="utf-8")
RECORDED = recorded(WHEELS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("python", PYTHONS)
def test_every_locked_package_has_a_wheel_for_windows(python: str) -> None:
    tags = tags_of(python)
    had = {}
    for name, digest in RECORDED.items():
        package, version, _build, own = parse_wheel_filename(name)
        if own & tags:
            had[package, str(version), digest] = name
    without = [
        each.requirement.partition(" ")[0]
        for each in for_windows(LOCK, python)
        if not any((canonicalize_name(each.name), each.version, digest) in had for digest in each.hashes)
    ]
    assert without == [], "run: python3 tasks.py lock"


def test_no_wheel_is_recorded_that_the_lock_does_not_pin() -> None:
    pinned = {digest for python in PYTHONS for each in for_windows(LOCK, python) for digest in each.hashes}
    assert set(RECORDED.values()) <= pinned


def test_the_pythons_are_those_that_the_program_supports() -> None:
    project = tomllib.loads((RUN_LOCK.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [each.rpartition(" :: ")[2] for each in project["classifiers"] if "Python :: 3." in each]
    assert list(PYTHONS) == named


def test_a_package_for_windows_alone_is_among_those_it_needs() -> None:
    needed = {each.name for each in for_windows(LOCK, "3.11")}
    assert {"tzdata", "aiohttp"} <= needed
