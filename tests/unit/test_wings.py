"""What import-linter cannot see of the house: loops, signals and the process belong to the faces."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import batch_offboard

PACKAGE = Path(batch_offboard.__file__).parent
FACES = {"cli", "unattended"}
BELOW = sorted(
    path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in {*FACES, "base", "__main__.py"}
)

# What starts a loop, or changes or reads what the whole process has; the simulator's own command is a face of its own.
PROCESS_WIDE = {
    "asyncio.run", "asyncio.Runner", "asyncio.new_event_loop", "signal.signal", "os.getlogin",
    "getpass.getuser", "sys.stdin", "sys.stdout", "sys.stderr", "sys.exit", "input", "print",
}  # fmt: skip


def names_in(path: Path) -> Iterator[str]:
    """Every dotted name that a module's code uses."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Name):
            yield node.id


@pytest.mark.parametrize("path", BELOW, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_below_the_faces_starts_a_loop_or_touches_what_the_process_shares(path: Path) -> None:
    assert PROCESS_WIDE & set(names_in(path)) == set()


@pytest.mark.parametrize("wing", sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()))
def test_a_wing_says_in_five_lines_at_most_what_it_owns(wing: str) -> None:
    words = ast.get_docstring(ast.parse((PACKAGE / wing / "__init__.py").read_text(encoding="utf-8")))
    assert words is not None
    assert len(words.splitlines()) <= 5
