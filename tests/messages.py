"""Every sentence that can end a command, gathered from the program's source, with its exit code.

Variable parts of a sentence are shown as `{the expression}`. A sentence that a function builds is taken from what that
function returns.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import batch_offboard
from batch_offboard.base import errors
from batch_offboard.base.errors import BatchOffboardError, ExitCode

FEWEST_LETTERS = 12  # constant ones that a sentence needs to be recognised
PACKAGE = Path(batch_offboard.__file__).parent

# Classes whose instances end a command: why a run stopped, and why a guard refused it.
_STOPS = {"Halt": None, "Refusal": ExitCode.REFUSED, "_hold": ExitCode.REFUSED}


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence, its place in the source, and the exit code; None if that is known only at run time."""

    place: str
    kind: str
    text: str
    exit_code: ExitCode | None

    def is_said_by(self, sentence: str) -> bool:
        """Whether the sentence is this one, with values in place of the variable parts."""
        says_something = len(re.findall(r"[a-z]", fixed(self.text))) >= FEWEST_LETTERS
        return says_something and re.fullmatch(_pattern(self.text), sentence) is not None


def fixed(text: str) -> str:
    """The constant parts of a text."""
    return re.sub(r"\{[^{}]*\}", "", text)


def _pattern(text: str) -> str:
    parts = re.split(r"\{[^{}]*\}", text)
    return ".+?".join(re.escape(part) for part in parts)


@cache
def messages() -> tuple[Message, ...]:
    """All messages, in the order of the files."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    codes = _exit_codes(trees.values())
    return tuple(each for path, tree in trees.items() for each in _in_module(path, tree, codes))


def _exit_codes(trees: object) -> dict[str, ExitCode | None]:
    """The exit code of each of our error classes by name; classes outside `errors` inherit it."""
    known: dict[str, ExitCode | None] = {
        name: found.exit_code
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, BatchOffboardError)
    }
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]  # type: ignore[attr-defined]
    for _ in range(3):  # subclasses of subclasses
        for node in classes:
            parents = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id in known]
            if parents:
                known.setdefault(node.name, known[parents[0]])
    return {**known, **_STOPS}


def _in_module(path: Path, tree: ast.Module, codes: dict[str, ExitCode | None]) -> Iterator[Message]:
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node, around in _calls(tree, tree):
        if not (isinstance(node.func, ast.Name) and node.func.id in codes and node.args):
            continue
        kind = node.func.id
        if kind == "CannotReadError" or (kind == "Refusal" and path.name != "guards.py"):
            continue  # a clause of other sentences; a refusal of one row, which ends no command
        code = _said_code(node) or codes[kind]
        place = f"{path.relative_to(PACKAGE).as_posix()}:{node.lineno}"
        for text in _refused(node, around, functions) if kind == "Refusal" else _texts(node.args[0], around, functions):
            yield Message(place, kind, text, code)


def _refused(call: ast.Call, around: ast.AST, functions: dict[str, ast.FunctionDef]) -> Iterator[str]:
    """The message of one guard's refusal, as `guards.refusal_text` builds it."""
    _, why, remedy = call.args
    for reason in _texts(why, around, functions):
        for step in _texts(remedy, around, functions):
            yield f"{reason} Nothing was sent. {step}"


def _calls(tree: ast.AST, around: ast.AST) -> Iterator[tuple[ast.Call, ast.AST]]:
    """Every call, with the innermost function around it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call):
            yield node, around
        yield from _calls(node, node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else around)


def _said_code(call: ast.Call) -> ExitCode | None:
    """The exit code among a call's arguments, as for `Halt`."""
    for node in call.args[1:]:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ExitCode":
            return ExitCode[node.attr]
    return None


def _texts(node: ast.expr, around: ast.AST, functions: dict[str, ast.FunctionDef]) -> Iterator[str]:
    """The literal sentence, or every sentence that a name or a function of the same module may stand for."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
        for each in ast.walk(functions[node.func.id]):
            if isinstance(each, ast.Return) and each.value is not None:
                yield from _texts(each.value, functions[node.func.id], {})
    elif isinstance(node, ast.Name):
        for each in ast.walk(around):
            if isinstance(each, ast.Assign) and [ast.unparse(target) for target in each.targets] == [node.id]:
                yield from _texts(each.value, around, {})
    elif isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
        yield _text(node)


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
        case ast.FormattedValue(value=value):
            return "{" + re.sub(r"[{}]", "", ast.unparse(value)) + "}"
        case _:
            return "{" + re.sub(r"[{}]", "", ast.unparse(node)) + "}"
