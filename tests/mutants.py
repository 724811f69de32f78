"""Mutation testing of the rules, one place at a time: `python -m tests.mutants` reports what no test notices.

Many rules are tables, so constants, entries and enum values are mutated as well. Each mutant runs in its own process,
forked from one that has imported the tests' libraries, and is never written to disk.
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import multiprocessing as mp
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, cast

ROOT = Path(__file__).resolve().parents[1]
# Seconds of CPU time, which does not depend on the load. A mutant that needs more is in an endless loop, and counts as
# noticed; pytest's own timeout ends one that waits forever.
MOST_CPU = 120

# The modules whose rules keep the promises, and their tests.
MODULES: Mapping[str, Sequence[str]] = {
    "core.quota": ["unit/core/test_quota.py", "unit/calls/test_gate.py", "unit/defender/protocol/test_wire.py"],
    "core.jobs": ["unit/core/test_jobs.py", "unit/calls/test_pool.py"],
    "defender.protocol.offboard": ["unit/defender/protocol"],
    "core.guards": ["unit/core/test_guards.py"],
    "core.protected": ["unit/core/test_protected.py", "unit/core/test_plan.py"],
    "core.settling": ["unit/core/test_settling.py", "unit/core/test_differences.py"],
    "core.consent": ["unit/core/test_consent.py"],
    "core.brakes": ["unit/core/test_brakes.py", "unit/calls/test_pool.py"],
}

FLIPPED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OTHER_SIGN: Mapping[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip
OTHER_WORDS: Mapping[str, tuple[str, str]] = {
    "Verdict": ("FAILED", "SUBMITTED"),
    "JobState": ("PENDING", "FAILED"),
    "Alarm": ("OUR_MISTAKE", "PERMISSION"),
    "ExitCode": ("UNFINISHED", "REFUSED"),
}

Change = Callable[[ast.AST], ast.AST]


class Mutant(NamedTuple):
    module: str
    line: int
    what: str
    source: str

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.what}"


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """The mutants of a module, each with one place of the source changed."""
    tree = ast.parse(source)
    skipped = _unmutated(tree)
    for index, node in enumerate(ast.walk(tree)):
        if id(node) not in skipped:
            for what, change in _changes(node):
                yield Mutant(module, _line(node), what, _changed(tree, index, change))


def _line(node: ast.AST) -> int:
    """The line where a node begins; for a condition of a comprehension, that of its loop."""
    line: int = getattr(node.target if isinstance(node, ast.comprehension) else node, "lineno", 0)
    return line


def path_of(module: str) -> Path:
    path = ROOT.joinpath("batch_offboard", *module.split("."))
    return path.with_suffix(".py")


def _unmutated(tree: ast.Module) -> set[int]:
    """Nodes that are not mutated, since they are for readers and type checkers: docstrings, sentences, annotations,
    decorators, imports."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                parts = [node.returns, *node.decorator_list]
            case ast.ClassDef():
                parts = [*node.decorator_list]
            case ast.arg() | ast.AnnAssign():
                parts = [node.annotation]
            case ast.Expr(value=ast.Constant()) | ast.Import() | ast.ImportFrom():
                parts = [node]
            case ast.JoinedStr():
                parts = [each for each in node.values if isinstance(each, ast.Constant)]
        skipped |= {id(each) for part in parts if part is not None for each in ast.walk(part)}
    return skipped


def _changed(tree: ast.Module, index: int, change: Change) -> str:
    """The source with the node at this index of `ast.walk` changed in place, or replaced by what the change returns."""
    twin = copy.deepcopy(tree)
    node = list(ast.walk(twin))[index]
    other = change(node)
    if other is not node:
        for parent in ast.walk(twin):
            for name, value in ast.iter_fields(parent):
                if value is node:
                    setattr(parent, name, other)
                elif isinstance(value, list):
                    value[:] = [other if each is node else each for each in value]
    return ast.unparse(ast.fix_missing_locations(twin))


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    shown = ast.unparse(node).split("\n")[0][:90] if isinstance(node, ast.expr | ast.stmt) else ""
    for what, change in (*_conditions(node), *_values(node), *_statements(node), *_members(node)):
        yield f"{what}: {shown}" if shown and not what.startswith(("without e", "another")) else what, change


def _conditions(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Compare():
            yield "other comparison", _flip
        case ast.BoolOp():
            yield "and/or", _other_bool
            for place in range(len(node.values)):
                yield f"without part {place + 1}", _without_part(place)
        case ast.UnaryOp(op=ast.Not()):
            yield "without not", lambda each: each.operand  # type: ignore[attr-defined]  # same type as the original
        case ast.If() | ast.IfExp() | ast.While():
            yield "never", _test_is(False)
            yield "always", _test_is(True)
        case ast.comprehension(ifs=[_, *_]):
            yield f"without {ast.unparse(node.ifs[0])}", _without_ifs


def _values(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.BinOp() if type(node.op) in OTHER_SIGN:
            yield "other sign", _other_sign
        case ast.Constant():
            yield from _constants(node)
        case ast.Attribute(value=ast.Name(id=name), attr=word) if name in OTHER_WORDS and word.isupper():
            first, second = OTHER_WORDS[name]
            other = second if word == first else first
            yield f"{name}.{other} instead", _attribute(other)


def _statements(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Return(value=ast.Constant(value=None)):
            return
        case ast.Return(value=ast.expr()):
            yield "returns nothing", lambda _each: ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Assign(targets=[ast.Attribute()]):
            yield "left out", lambda _each: ast.Pass()


def _members(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Dict():
            for place, value in enumerate(node.values):
                yield f"without entry {place + 1}: {ast.unparse(value)[:60]}", _without_entry(place)
        case ast.Tuple(ctx=ast.Load()) | ast.List(ctx=ast.Load()) | ast.Set() if len(node.elts) > 1:
            for place, element in enumerate(node.elts):
                yield f"without element {ast.unparse(element)[:60]}", _without_element(place)


def _constants(node: ast.Constant) -> Iterator[tuple[str, Change]]:
    value = node.value
    if isinstance(value, bool):
        yield f"{not value} instead", lambda _each: ast.Constant(not value)
    elif isinstance(value, int | float):
        yield f"{value + 1} instead", lambda _each: ast.Constant(value + 1)
    elif isinstance(value, str) and value and " " not in value:
        yield f"another word than {value!r}", lambda _each: ast.Constant(f"{value}X")


def _flip(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Compare)
    node.ops[0] = FLIPPED[type(node.ops[0])]()
    return node


def _other_bool(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BoolOp)
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    return node


def _other_sign(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.BinOp)
    node.op = OTHER_SIGN[type(node.op)]()
    return node


def _without_part(place: int) -> Change:
    def change(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.BoolOp)
        left = [each for number, each in enumerate(node.values) if number != place]
        return left[0] if len(left) == 1 else ast.BoolOp(node.op, left)

    return change


def _test_is(value: bool) -> Change:  # the constant that replaces the condition
    def change(node: ast.AST) -> ast.AST:
        node.test = ast.Constant(value)  # type: ignore[attr-defined]  # only nodes that have one
        return node

    return change


def _without_ifs(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.comprehension)
    node.ifs = node.ifs[1:]
    return node


def _without_entry(place: int) -> Change:
    def change(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.Dict)
        del node.keys[place], node.values[place]
        return node

    return change


def _without_element(place: int) -> Change:
    def change(node: ast.AST) -> ast.AST:
        del node.elts[place]  # type: ignore[attr-defined]  # only nodes that have some
        return node

    return change


def _attribute(word: str) -> Change:
    def change(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.Attribute)
        node.attr = word
        return node

    return change


# -- running them --


class _Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """An import hook that returns the mutant when its module is imported."""

    def __init__(self, mutant: Mutant) -> None:
        self._name, self._mutant = f"batch_offboard.{mutant.module}", mutant

    def find_spec(self, name: str, _path: object, _target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_file_location(name, path_of(self._mutant.module), loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.source, str(path_of(self._mutant.module)), "exec"), module.__dict__)  # noqa: S102  # ours


def _test(mutant: Mutant | None, tests: Sequence[str], most_cpu: int) -> None:
    """In the child: exit with pytest's code, or killed by the kernel after `most_cpu` seconds of processor time."""
    import resource  # not on Windows, which has no fork either

    import pytest
    from hypothesis.configuration import set_hypothesis_home_dir

    resource.setrlimit(resource.RLIMIT_CPU, (most_cpu, most_cpu))
    os.chdir(ROOT)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    if mutant is not None:
        sys.meta_path.insert(0, _Instead(mutant))
    with tempfile.TemporaryDirectory() as folder:
        set_hypothesis_home_dir(folder)  # failures of mutants are not stored as examples
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-seed=0", "-W"]
        options += ["ignore::pytest.PytestAssertRewriteWarning"]
        code = pytest.main([*options, *(f"tests/{test}" for test in tests)])
    os._exit(int(code))


def survivors(
    found: Sequence[Mutant | None], tests: Sequence[str], jobs: int = 1, most_cpu: int = MOST_CPU
) -> list[Mutant | None]:
    """The mutants with which all tests pass, running `jobs` at a time; None is the unchanged module."""
    context = mp.get_context("fork")
    waiting, left = list(reversed(found)), []
    running: dict[int, tuple[mp.process.BaseProcess, Mutant | None]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            child = context.Process(target=_test, args=(mutant, tests, most_cpu))
            child.start()
            running[child.sentinel] = (child, mutant)
        for sentinel in wait(list(running)):
            process, mutant = running.pop(cast("int", sentinel))
            process.join()
            if process.exitcode == 0:
                left.append(mutant)
    return left


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tasks.py mutants")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"some of {', '.join(MODULES)}; all if none")
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.modules) - set(MODULES):
        parser.error(f"{', '.join(sorted(unknown))} is not mutated; name some of {', '.join(MODULES)}")
    _import_libraries()
    total = killed = 0
    for module in chosen.modules or MODULES:
        tests = MODULES[module]
        if not survivors([None], tests):
            print(f"The tests of {module} fail without a mutant; fix that first.", file=sys.stderr)
            return 1
        found = list(mutants(module, path_of(module).read_text(encoding="utf-8")))
        left = survivors(found, tests, chosen.jobs)
        for mutant in left:
            print(f"SURVIVED {mutant}")
        print(f"{module}: {len(found)} mutants, {len(found) - len(left)} killed, {len(left)} survived", flush=True)
        total, killed = total + len(found), killed + len(found) - len(left)
    print(f"together: {total} mutants, {killed} killed ({killed / total:.1%}), {total - killed} survived")
    return 0


def _import_libraries() -> None:
    """Import libraries once for all children; not our own modules, which each child imports with its mutant, and no
    pytest plugin."""
    for name in ("aiohttp", "aiolimiter", "hypothesis.strategies", "pydantic", "pytest", "rich.console", "sqlalchemy"):
        importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
