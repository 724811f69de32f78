"""The protected list: rules in a text file that name devices which must never be offboarded.

Pure. One rule per line: a device ID, a name pattern such as `dc-*`, or `tag: vip`, `group: Domain controllers`. A list
without rules would protect nothing, so it is an error like one that cannot be parsed.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property

from batch_offboard.core.devices import normal_name, shown, trimmed
from batch_offboard.core.tenant import Machine

KINDS = ("id", "name", "tag", "group")


class ProtectedListError(ValueError):
    """The list is invalid; the message is the end of a sentence and names the line."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """One line of the list. `value` is normalized for comparison, `line` is as typed."""

    kind: str
    value: str
    line: str


@dataclass(frozen=True)
class Protected:
    """All rules of one list; without rules it protects nothing."""

    rules: tuple[_Rule, ...] = ()
    _ids: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = frozenset(rule.value for rule in self.rules if rule.kind == "id")
        object.__setattr__(self, "_ids", ids)

    @property
    def needs_lookup(self) -> bool:
        """Whether some rules can only be checked with the tenant's data about a device."""
        return any(rule.kind != "id" for rule in self.rules)

    @property
    def sha256(self) -> str:
        """The digest of the rules, in hexadecimal digits; empty without rules."""
        rules = "\n".join(f"{rule.kind}:{rule.value}" for rule in self.rules)
        return hashlib.sha256(rules.encode("utf-8", "surrogatepass")).hexdigest() if self.rules else ""

    def why(self, device_id: str, name: str, machine: Machine | None) -> str | None:
        """The rule that protects this device, as typed, or None. `name` is the sheet's."""
        if device_id in self._ids:
            return device_id
        names = {form for each in (name, machine.name if machine else "") for form in _forms(each)}
        for rule, pattern in self._patterns:
            if any(pattern.fullmatch(form) for form in names):
                return rule.line
        tags = {normal_name(tag) for tag in machine.tags} if machine else set()
        group = normal_name(machine.group) if machine else ""
        marks = (rule for rule in self.rules if rule.kind in ("tag", "group"))
        held = (rule.line for rule in marks if rule.value in (tags if rule.kind == "tag" else {group}))
        return next(held, None)

    @cached_property
    def _patterns(self) -> list[tuple[_Rule, "re.Pattern[str]"]]:
        return [(rule, re.compile(translate(rule.value))) for rule in self.rules if rule.kind == "name"]


def parse_protected(text: str) -> Protected:
    """The rules of a list. Blank lines and lines that start with # are ignored. Raises ProtectedListError."""
    rules = tuple(_rules(text.splitlines()))
    if not rules:
        raise ProtectedListError("is empty; list the devices that must never be offboarded")
    return Protected(rules)


def _rules(lines: Iterable[str]) -> Iterable[_Rule]:
    for number, line in enumerate(lines, start=1):
        entry = trimmed(line)
        if entry and not entry.startswith("#"):
            yield _rule(entry, number)


def _rule(entry: str, number: int) -> _Rule:
    kind, colon, value = entry.partition(":")
    kind, value = (kind.strip().lower(), trimmed(value)) if colon else (_kind_of(entry), entry)
    if kind not in KINDS:
        raise ProtectedListError(f"has an unknown kind '{shown(kind)}' in line {number}; use {', '.join(KINDS)}")
    if kind == "id" and not re.fullmatch(r"[0-9a-fA-F]{40}", value):
        raise ProtectedListError(
            f"has an invalid device ID in line {number} ('{shown(value)}'); a device ID has 40 digits"
        )
    if not value or (kind == "name" and not value.strip("*?. ")):
        raise ProtectedListError(f"has a rule in line {number} that matches nothing or everything ('{shown(entry)}')")
    return _Rule(kind, normal_name(value), entry)


def _kind_of(entry: str) -> str:
    return "id" if re.fullmatch(r"[0-9a-fA-F]{40}", entry) else "name"


def _forms(name: str) -> tuple[str, ...]:
    """The forms of a computer name that a pattern may match: with its domain and without."""
    normal = normal_name(name)
    return (normal, normal.partition(".")[0]) if normal else ()
