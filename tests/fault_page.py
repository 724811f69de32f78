"""Writes `docs/faults.md` from the tests' marks: `python -m tests.fault_page`.

Marks are read from the source, so that nothing has to be imported and a mark that is not literal (a number and a
sentence) is refused. A mark is part of its test, and is deleted with it.
"""

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.faults import CATALOGUE, LIMITS, NOT_SHOWN, Section

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "faults.md"

HEAD = """# Faults and their outcomes

Written by `python3 tasks.py faults` from the marks of the tests; do not edit it. Every test that is named here runs
with `python3 tasks.py check`. Words: *pending* is not sent and safe to send; *in doubt* may have been accepted, and is
never sent again unless the tenant's own list has shown after the horizon that it was not.
"""


class MarkError(Exception):
    """A mark that is invalid, or a row of the catalogue that has no mark."""


class Mark(NamedTuple):
    """What one test shows about one fault. `case`: the parameter set that shows it."""

    fault: int
    outcome: str
    test: str
    case: str


def marks(root: Path = ROOT) -> Iterator[Mark]:
    """All marks below `tests`, by file and line."""
    for path in sorted((root / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.fault" in text:
            yield from marks_in(text, path.relative_to(root).as_posix())


def marks_in(text: str, name: str) -> Iterator[Mark]:
    tree = ast.parse(text, name)
    used = [
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "fault" and _is_mark(node)
    ]
    texts = _texts(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.func in used:
            texts -= _texts(node)
    found = 0
    for test in _tests(tree):
        for decorator in test.decorator_list:
            if isinstance(decorator, ast.Call) and decorator.func in used:
                found += 1
                yield _mark(decorator, f"{name}::{test.name}", texts)
    if found != len(used):
        raise MarkError(f"{name}: a fault mark must be on a test.")


def _texts(tree: ast.AST) -> Counter[str]:
    """How often each string is in the source."""
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return Counter(node.value for node in nodes if isinstance(node.value, str))


def _is_mark(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Attribute) and node.value.attr == "mark"


def _tests(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node


def _mark(call: ast.Call, test: str, texts: Counter[str]) -> Mark:
    try:
        number, outcome = map(ast.literal_eval, call.args)
        more = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
        case = more.pop("case", "")
    except ValueError as error:
        raise MarkError(f"{test}: a mark is a number, a sentence and optionally a case.") from error
    if more or type(number) is not int or not (isinstance(outcome, str) and outcome.endswith(".")):
        raise MarkError(f"{test}: a mark is a number, a sentence and optionally a case.")
    if case and not texts[case]:
        raise MarkError(f"{test}: there is no case {case!r}.")
    return Mark(number, outcome, test, case)


def shown(
    found: Sequence[Mark],
    catalogue: Sequence[Section] = CATALOGUE,
    not_shown: Mapping[int, str] = NOT_SHOWN,
    limits: Mapping[int, str] = LIMITS,
) -> dict[int, list[Mark]]:
    """The marks of each fault. Raises MarkError unless every fault has either a test or a reason."""
    by_fault: dict[int, list[Mark]] = defaultdict(list)
    for mark in found:
        by_fault[mark.fault].append(mark)
    numbers = [fault.number for section in catalogue for fault in section.faults]
    problems = {
        "neither a test nor a reason": set(numbers) - by_fault.keys() - not_shown.keys(),
        "a test and a reason why there is none": by_fault.keys() & not_shown.keys(),
        "no row in the catalogue": (by_fault.keys() | not_shown.keys()) - set(numbers),
        "limits of tests that there are not": limits.keys() - by_fault.keys(),
        "more than one row": {number for number in numbers if numbers.count(number) > 1},
    }
    listed = [f"{what}: {', '.join(map(str, sorted(which)))}" for what, which in problems.items() if which]
    if listed:
        raise MarkError("; ".join(listed))
    return by_fault


def page(found: Sequence[Mark]) -> str:
    by_fault = shown(found)
    faults = [fault for section in CATALOGUE for fault in section.faults]
    lines = [HEAD]
    for section in CATALOGUE:
        lines += [f"## {section.title}", "", "| | fault | moment | outcome | test |", "|---|---|---|---|---|"]
        for fault in section.faults:
            for place, mark in enumerate(by_fault.get(fault.number, ())):
                row = (fault.number, fault.what, fault.when) if place == 0 else ("", "", "")
                lines.append(_line(*row, mark.outcome, _link(mark)))
        lines.append("")
    lines += ["## What the tests do not cover", "", "| | fault | what is not covered |", "|---|---|---|"]
    lines += [_line(each.number, each.what, LIMITS[each.number]) for each in faults if each.number in LIMITS]
    lines += ["", "## What does not apply", "", "| | fault | why |", "|---|---|---|"]
    lines += [_line(each.number, each.what, NOT_SHOWN[each.number]) for each in faults if each.number in NOT_SHOWN]
    return "\n".join(lines) + "\n"


def _line(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _link(mark: Mark) -> str:
    file, test = mark.test.split("::")
    case = f" ({mark.case})" if mark.case else ""
    return f"[{test.removeprefix('test_').replace('_', ' ')}](../{file}){case}"


def main() -> int:
    try:
        text = page(list(marks()))
    except MarkError as error:
        print(error, file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8", newline="\n")
    print(f"{PAGE.relative_to(ROOT)} is written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
