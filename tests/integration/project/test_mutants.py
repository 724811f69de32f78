"""The mutants: one place is broken in each, what only readers see is spared, and a tested break is noticed."""

import ast
import os
import subprocess
import sys

import pytest

from tests.mutants import MODULES, ROOT, mutants, path_of

SOURCE = '''
"""A docstring."""
import os
LIMITS = {"a": Verdict.FAILED, "b": 2}
@dataclass(frozen=True)
class Thing:
    size: int = 1
def rule(a: int, b: "int") -> bool:
    """Another."""
    if not a or b < 3:
        raise ValueError(f"no {a} allowed")
    return [each for each in (a, b) if each]
'''


def broken() -> set[str]:
    """What differs from the source in each mutant, line by line."""
    whole = set(ast.unparse(ast.parse(SOURCE)).splitlines())
    found = set()
    for mutant in mutants("x", SOURCE):
        lines = [line.strip() for line in mutant.source.splitlines() if line not in whole]
        found.add(" / ".join(lines))
    return found


def test_every_kind_of_place_is_broken() -> None:
    assert broken() >= {
        "LIMITS = {'b': 2}",
        "LIMITS = {'a': Verdict.SUBMITTED, 'b': 2}",
        "LIMITS = {'a': Verdict.FAILED, 'b': 3}",
        "LIMITS = {'aX': Verdict.FAILED, 'b': 2}",
        "size: int = 2",
        "if not a and b < 3:",
        "if b < 3:",
        "if not a:",
        "if a or b < 3:",
        "if not a or b <= 3:",
        "if not a or b < 4:",
        "if False:",
        "if True:",
        "pass",
        "return None",
        "return [each for each in (a, b)]",
        "return [each for each in (b,) if each]",
    }


def test_what_only_readers_and_type_checkers_see_is_spared() -> None:
    told = " ".join(broken())
    assert not [word for word in ("docstring", "Another", "frozen", "'int'", "import", "allowed") if word in told]


def test_every_module_has_its_tests() -> None:
    for module, tests in MODULES.items():
        assert path_of(module).is_file()
        assert all((ROOT / "tests" / test).exists() for test in tests)


PROGRAM = """
from tests.mutants import Mutant, path_of, survivors
source = path_of("core.jobs").read_text(encoding="utf-8")
noticed = Mutant("core.jobs", 1, "noticed", source.replace("JobState.PENDING", "JobState.FAILED"))
unnoticed = Mutant("core.jobs", 1, "unnoticed", source + "\\ndef nobody_calls_this(): ...")
endless = Mutant("core.jobs", 1, "endless", "while True: ...")
tests = ["unit/core/test_jobs.py"]
print([each.what for each in survivors([noticed, unnoticed], tests, 2) + survivors([endless], tests, most_cpu=3)])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants live in forked processes")
def test_only_a_break_that_no_test_notices_survives() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "['unnoticed']\n", ended.stderr
