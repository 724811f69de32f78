"""The `$filter` language of the service: parses a text into a predicate over one JSON object.

It supports what the service documents (eq, ne, gt, ge, lt, le, and, startswith) and what other products are known to
send (or, parentheses, any on tags). Everything else raises `ODataError`.
"""

import operator
import re
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple, NoReturn

from batch_offboard.simulator.timestamps import sortable, sortable_utc

Item = Mapping[str, object]
Predicate = Callable[[Item], bool]
Value = str | int | None


class ODataError(ValueError):
    """The service does not accept this query."""


class FieldKind(Enum):
    """The type of a field, which decides what it may be compared with."""

    TEXT = auto()
    TIME = auto()
    NUMBER = auto()
    TAGS = auto()


_Compare = Callable[[Any, Any], bool]  # two texts or two numbers

_COMPARISONS: dict[str, _Compare] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))
    | (?P<number>-?\d{1,18})
    | (?P<text>'(?:[^']|'')*')
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<mark>[(),:/])
    )""",
    re.VERBOSE | re.ASCII,
)

# Each opening parenthesis is a recursive call of the parser; a hostile query must not exhaust the stack.
_DEEPEST = 50


class _Token(NamedTuple):
    kind: str
    text: str


_END = _Token("end", "the end")


def parse_filter(text: str, fields: Mapping[str, FieldKind]) -> Predicate:
    """The predicate that `text` describes, over objects with these `fields`.

    Field names are case-insensitive, as in the service's documentation. Raises `ODataError`.
    """
    return _Parser(_tokens(text), fields).whole()


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ODataError(f"Syntax error at position {position} in '{text}'.")
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind]))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent: or, and, then one comparison, function or parenthesis."""

    def __init__(self, tokens: list[_Token], fields: Mapping[str, FieldKind]) -> None:
        self._tokens = tokens
        self._fields = {name.lower(): (name, kind) for name, kind in fields.items()}
        self._at = 0
        self._depth = 0

    def whole(self) -> Predicate:
        found = self._any_of()
        if self._peek() is not _END:
            self._fail(self._peek())
        return found

    def _any_of(self) -> Predicate:
        terms = [self._all_of()]
        while self._accept("or"):
            terms.append(self._all_of())
        return terms[0] if len(terms) == 1 else lambda item: any(term(item) for term in terms)

    def _all_of(self) -> Predicate:
        terms = [self._term()]
        while self._accept("and"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda item: all(term(item) for term in terms)

    def _term(self) -> Predicate:
        if self._accept("("):
            return self._parenthesis()
        if self._peek().text.lower() == "startswith":
            return self._startswith()
        name, kind = self._field()
        if kind is FieldKind.TAGS:
            return self._any_tag(name)
        return self._comparison(name, kind)

    def _parenthesis(self) -> Predicate:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ODataError("The query is nested too deeply.")
        found = self._any_of()
        self._expect(")")
        self._depth -= 1
        return found

    def _startswith(self) -> Predicate:
        self._next()
        self._expect("(")
        name, kind = self._field()
        if kind is not FieldKind.TEXT:
            raise ODataError(f"startswith is not possible on '{name}'.")
        self._expect(",")
        prefix = self._text()
        self._expect(")")
        return lambda item: str(item.get(name) or "").startswith(prefix)

    def _any_tag(self, name: str) -> Predicate:
        """`machineTags/any(tag: tag eq 'x')`: the only comparison that a list of tags supports."""
        self._expect("/")
        self._expect("any")
        self._expect("(")
        variable = self._next().text
        self._expect(":")
        self._expect(variable)
        self._expect("eq")
        wanted = self._text()
        self._expect(")")
        return lambda item: wanted in _tags(item.get(name))

    def _comparison(self, name: str, kind: FieldKind) -> Predicate:
        word = self._next()
        compare = _COMPARISONS.get(word.text)
        if compare is None:
            self._fail(word)
        return _comparison(name, kind, compare, self._literal(kind))

    def _literal(self, kind: FieldKind) -> Value:
        token = self._next()
        if token == _Token("word", "null"):
            return None
        if token.kind == "text" and kind is FieldKind.TEXT:
            return _unquoted(token.text)
        if token.kind == "number" and kind is FieldKind.NUMBER:
            return int(token.text)
        if token.kind == "time" and kind is FieldKind.TIME:
            return _time(token.text)
        return self._fail(token)

    def _text(self) -> str:
        token = self._next()
        if token.kind != "text":
            self._fail(token)
        return _unquoted(token.text)

    def _field(self) -> tuple[str, FieldKind]:
        token = self._next()
        known = self._fields.get(token.text.lower()) if token.kind == "word" else None
        if known is None:
            raise ODataError(f"Could not find a property named '{token.text}'.")
        return known

    def _peek(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _next(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _accept(self, text: str) -> bool:
        if self._peek() is _END or self._peek().text != text:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            self._fail(self._peek())

    def _fail(self, token: _Token) -> NoReturn:
        raise ODataError(f"Syntax error: {token.text} is not expected here.")


def _comparison(name: str, kind: FieldKind, compare: _Compare, literal: Value) -> Predicate:
    # null is neither less nor greater than anything; it can only be equal or not equal.
    if literal is None:
        return lambda item: _null_answer(compare, both=item.get(name) is None)

    def holds(item: Item) -> bool:
        value = item.get(name)
        if value is None:
            return _null_answer(compare, both=False)
        return compare(_comparable(value, kind), literal)

    return holds


def _null_answer(compare: _Compare, *, both: bool) -> bool:
    return both if compare is operator.eq else (not both and compare is operator.ne)


def _comparable(value: object, kind: FieldKind) -> Value:
    if kind is FieldKind.NUMBER:
        return int(value) if isinstance(value, int | str) else 0
    return sortable_utc(str(value)) if kind is FieldKind.TIME else str(value)


def _tags(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _unquoted(text: str) -> str:
    return text[1:-1].replace("''", "'")


def _time(text: str) -> str:
    try:
        return sortable(text)
    except ValueError as error:
        raise ODataError(f"{text} is not a timestamp.") from error
