"""The page of faults says what the tests' marks say, and every fault has a test or a reason."""

import re

import pytest

from tests.fault_page import PAGE, ROOT, Mark, MarkError, marks, marks_in, page, shown
from tests.faults import CATALOGUE, NOT_SHOWN, Fault, Section

CASES = "CASES = ['half a reply']\n"


def test_the_page_says_what_the_tests_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(list(marks())), "python3 tasks.py faults writes it anew"


def test_every_fault_has_a_test_or_a_reason() -> None:
    assert len(shown(list(marks()))) + len(NOT_SHOWN) == sum(len(section.faults) for section in CATALOGUE)


@pytest.mark.parametrize(
    ("marked", "not_shown", "limits", "problem"),
    [
        ([1], {}, {}, "neither a test nor a reason: 2"),
        ([1, 2], {2: "why"}, {}, "a test and a reason why there is none: 2"),
        ([1, 2, 9], {}, {}, "no row in the catalogue: 9"),
        ([1], {2: "why"}, {2: "open"}, "limits of tests that there are not: 2"),
    ],
)
def test_a_fault_that_nobody_cares_for_is_named(
    marked: list[int], not_shown: dict[int, str], limits: dict[int, str], problem: str
) -> None:
    catalogue = [Section("Words", [Fault(1, "one"), Fault(2, "two")])]
    with pytest.raises(MarkError, match=f"^{problem}$"):
        shown([Mark(number, "Fine.", "t.py::test_x", "") for number in marked], catalogue, not_shown, limits)


def test_a_mark_is_read_with_its_test_and_case() -> None:
    text = CASES + "@pytest.mark.fault(3, 'In doubt.', case='half a reply')\nasync def test_it() -> None: ..."
    assert list(marks_in(text, "tests/test_a.py")) == [Mark(3, "In doubt.", "tests/test_a.py::test_it", "half a reply")]


@pytest.mark.parametrize(
    "text",
    [
        "@pytest.mark.fault(3)\ndef test_it(): ...",
        "@pytest.mark.fault('3', 'Fine.')\ndef test_it(): ...",
        "@pytest.mark.fault(3, 'no sentence')\ndef test_it(): ...",
        "@pytest.mark.fault(NUMBER, 'Fine.')\ndef test_it(): ...",
        "@pytest.mark.fault(3, 'Fine.', case='another reply')\ndef test_it(): ...",
        "@pytest.mark.fault(3, 'Fine.', moment='x')\ndef test_it(): ...",
        "@pytest.mark.fault(3, 'Fine.')\ndef helper(): ...",
        "pytestmark = pytest.mark.fault(3, 'Fine.')",
        "ONE = pytest.param(1, marks=pytest.mark.fault(3, 'Fine.'))",
    ],
)
def test_a_mark_that_the_page_cannot_be_made_from_is_refused(text: str) -> None:
    with pytest.raises(MarkError):
        list(marks_in(CASES + text, "tests/test_a.py"))


def test_every_test_that_the_page_of_security_names_is_there() -> None:
    named = re.findall(
        r"`((?:unit|integration|acceptance|fuzzing)[a-z_/.]*)`", (ROOT / "docs/security.md").read_text("utf-8")
    )
    assert len(named) > 15
    assert [path for path in named if not (ROOT / "tests" / path).exists()] == []
