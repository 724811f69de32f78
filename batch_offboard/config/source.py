"""Turns the configuration file and the environment into plain values with their positions.

It knows YAML, the names of variables and which keys exist, and does not check values. Its messages name files, lines,
keys and variables, and never a value, which may be a secret.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from batch_offboard.base.errors import ConfigError

KeyPath: TypeAlias = tuple[str, ...]
KeyTree: TypeAlias = Mapping[str, frozenset[str]]
"""The keys at the top level; a section's keys are listed under its name, an ordinary key has none."""

VARIABLE_PREFIX = "BATCH_OFFBOARD_"
UNKNOWN = object()  # a value of a type that no key takes
MAX_BYTES = 1024 * 1024
MAX_DEPTH = 10  # real configurations need two levels; without a limit a page of "[" exhausts the stack

_SECRET_WORD = re.compile(r"secret|passw|pwd|token|assertion|private_key|api_?key", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"eyJ[\w-]{10,}\.|-----BEGIN [A-Z ]*PRIVATE KEY")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value, where it was set, and the folder that a relative path in it starts from.

    `value` is text, a number, a bool or None; a list or mapping is passed on empty, since no key takes one and its
    refusal needs only the type.
    """

    value: object
    where: str
    base: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """All values by key; `sections` says where each section begins, for keys missing in it."""

    values: Mapping[KeyPath, Setting]
    sections: Mapping[KeyPath, str]
    name: str  # the file, or "the environment"

    def where(self, key: KeyPath) -> str:
        """The closest known position for a key that is wrong or missing."""
        if key in self.values:
            return self.values[key].where
        return self.sections.get(key) or self.sections.get(key[:1]) or self.name

    def overridden_by(self, other: "Settings") -> "Settings":
        return Settings({**self.values, **other.values}, self.sections, self.name)

    def nested(self) -> dict[str, Any]:
        """The values as nested mappings, as in a file."""
        tree: dict[str, Any] = {section[0]: {} for section in self.sections}
        for key, setting in self.values.items():
            inner = tree if len(key) == 1 else tree.setdefault(key[0], {})
            inner[key[-1]] = setting.value
        return tree


# -- the file --


def read_file(path: Path) -> str | None:
    """The text of a configuration file, or None if there is no such file.

    Raises `ConfigError` if it cannot be read, is too large, or is not UTF-8 text.
    """
    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; name the configuration file in it.")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path} cannot be read ({reason}); check its permissions and its name.") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than 1 MiB, too large for a configuration; name another file.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: the text is not UTF-8; save the file as UTF-8.") from None


def settings_in_text(text: str, path: Path, keys: KeyTree) -> Settings:
    """The settings of one YAML document; an empty one has none.

    Raises `ConfigError` with file and line for anything but a mapping of known keys.
    """
    root = _compose(text, path)
    if root is None:
        return Settings({}, {}, str(path))
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(f"{_place(path, root)}: the file must hold keys with values, as in 'workers: 8'.")
    values: dict[KeyPath, Setting] = {}
    sections: dict[KeyPath, str] = {}
    for key, where, node in _entries(root, path, keys):
        if isinstance(node, yaml.MappingNode) and keys.get(key[0]) and len(key) == 1:
            sections[key] = where
        else:
            values[key] = Setting(_plain(node), where, path.parent)
    for key, setting in values.items():
        check_setting(key, setting, keys)
    return Settings(values, sections, str(path))


def _entries(root: yaml.MappingNode, path: Path, keys: KeyTree) -> Iterator[tuple[KeyPath, str, yaml.Node]]:
    """Every key with its position and its value; a section comes before the keys in it."""
    for key, where, node in _pairs(root, (), path):
        check_known(key, where, keys)
        yield key, where, node
        if keys[key[0]] and isinstance(node, yaml.MappingNode):
            for inner_key, inner_where, inner_node in _pairs(node, key, path):
                check_known(inner_key, inner_where, keys)
                yield inner_key, inner_where, inner_node


def _pairs(mapping: yaml.MappingNode, parent: KeyPath, path: Path) -> Iterator[tuple[KeyPath, str, yaml.Node]]:
    lines: dict[KeyPath, int] = {}
    for key_node, value_node in mapping.value:
        if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
            raise ConfigError(f"{_place(path, key_node)}: a key must be one of the names in the example file.")
        key = (*parent, key_node.value)
        if key in lines:
            raise ConfigError(
                f"{_place(path, key_node)}: {shown(key)} is set a second time, first in line {lines[key]}; "
                "keep one of the two."
            )
        lines[key] = key_node.start_mark.line + 1
        yield key, _place(path, key_node), value_node


def _compose(text: str, path: Path) -> yaml.Node | None:
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{path}, line {line}: the text contains a control character; delete it.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{path}, line {line}: {_yaml_problem(error)}.") from None
    except (ValueError, OverflowError):  # PyYAML does not catch chr()'s error for "\UFFFFFFFF"
        raise ConfigError(f"{path}: a \\U escape in it is not a valid character; write the character itself.") from None


def _yaml_problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or ""
    if "'\\t'" in problem:
        return "a tab is used where only spaces can indent; replace it with spaces"
    if "another document" in problem:
        return "a second document begins; keep one document in the file"
    if isinstance(error, _RefusedError):
        return problem
    return f"this is not YAML ({problem}); compare it with config.example.yaml"


class _RefusedError(yaml.MarkedYAMLError):
    """Valid YAML that a configuration does not need."""


class _Loader(yaml.SafeLoader):
    """A loader with YAML 1.2 scalars only: `no` is text and `010` is ten, as people expect who do not know YAML 1.1."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # PyYAML's stubs allow no ClassVar; filled below, once
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse anchors and deep nesting while the tree is built, before they can exhaust memory or the stack."""
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's parser has no types
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _RefusedError(None, None, "anchors (&) and aliases (*) are not used here", event.start_mark)
        if self._depth >= MAX_DEPTH:
            raise _RefusedError(None, None, "the nesting is too deep for a configuration", event.start_mark)
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]{1,18}", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]{1,3})?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


def _plain(node: yaml.Node) -> object:
    """The value of a node; for a list its scalars, since no key takes anything else in a list."""
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node.tag, node.value)
    if isinstance(node, yaml.MappingNode):
        return {}
    return [_plain(each) if isinstance(each, yaml.ScalarNode) else UNKNOWN for each in node.value]


def _scalar(tag: str, text: str) -> object:
    """The value of a scalar, or `UNKNOWN` for a tag that no key takes, such as `!!binary`."""
    try:
        match tag.removeprefix("tag:yaml.org,2002:"):
            case "str":
                return text
            case "null":
                return None
            case "bool":
                return {"true": True, "false": False}[text.lower()]
            case "int":
                return int(text)
            case "float":
                return float(text)
    except (KeyError, ValueError):  # an explicit tag on the wrong text: `!!int many`
        pass
    return UNKNOWN


# -- the environment --


def settings_in_environment(environ: Mapping[str, str], base: Path, keys: KeyTree) -> Settings:
    """The settings in `BATCH_OFFBOARD_<KEY>` variables; names that begin with no known key are ignored.

    People may name the variable of their secret BATCH_OFFBOARD_SECRET, so an unknown name is not an error.
    """
    values: dict[KeyPath, Setting] = {}
    for name in sorted(environ):
        key = tuple(name.removeprefix(VARIABLE_PREFIX).lower().split("__"))
        if not name.startswith(VARIABLE_PREFIX) or name != name.upper() or key[0] not in keys:
            continue
        where = f"the variable {name}"
        check_known(key, where, keys)
        values[key] = Setting(_variable_value(environ[name], where), where, base)
        check_setting(key, values[key], keys)
    return Settings(values, {}, "the environment")


def _plain_tag(text: str) -> str:
    tag = _Loader("").resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # as above
    return str(tag)


def _variable_value(text: str, where: str) -> object:
    """A variable's text as a YAML scalar; `: ` and ` #` in it are text, as people expect in a variable."""
    text = text.strip()
    if text[:1] not in {"'", '"'}:
        return _scalar(_plain_tag(text), text)
    try:
        node = _Loader(text).get_single_node()
    except (yaml.YAMLError, ValueError, OverflowError):
        raise ConfigError(f"{where}: the quotes in its value do not match; correct or remove them.") from None
    return _plain(node) if node is not None else None


# -- checks for keys and values from both --


def check_known(key: KeyPath, where: str, keys: KeyTree) -> None:
    """Raise `ConfigError` unless the key exists; the message suggests the most similar key."""
    siblings: KeyTree | frozenset[str] = keys if len(key) == 1 else keys.get(key[0], frozenset())
    if len(key) <= 2 and key[-1] in siblings:
        return
    if _SECRET_WORD.search(key[-1]):
        raise ConfigError(
            f"{where}: {shown(key)} is not a key, and a secret is never written into the configuration; "
            "say where it is with a key such as secret_env, secret_file or token_env."
        )
    raise ConfigError(f"{where}: {shown(key)} is not a key; {_suggestion(key, keys)}")


def _suggestion(key: KeyPath, keys: KeyTree) -> str:
    """The most similar key, compared by its last name only, since it may be in the wrong section."""
    known = [(name,) for name in keys] + [(section, name) for section in keys for name in sorted(keys[section])]
    close = difflib.get_close_matches(key[-1], {path[-1] for path in known}, n=1, cutoff=0.7)
    if not close:
        return "config.example.yaml shows all keys."
    meant = [path for path in known if path[-1] == close[0]]
    return f"did you mean {shown(next((path for path in meant if path[0] == key[0]), meant[0]))}?"


def check_setting(key: KeyPath, setting: Setting, keys: KeyTree) -> None:
    """Raise `ConfigError` for what no key may hold: a secret, control characters, a plain value for a section."""
    value = setting.value
    if len(key) == 1 and keys[key[0]]:
        example = min(keys[key[0]])
        raise ConfigError(
            f"{setting.where}: {shown(key)} must hold keys of its own, such as {key[0]}.{example}; "
            "leave the section out for its defaults."
        )
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str):
            _check_text(key, setting, text)


def _check_text(key: KeyPath, setting: Setting, text: str) -> None:
    if _SECRET_VALUE.search(text):
        raise ConfigError(
            f"{setting.where}: {shown(key)} holds what looks like a secret itself; name the variable or file "
            "that has it instead, and replace the secret if others can read this one."
        )
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ConfigError(f"{setting.where}: {shown(key)} must be one line without control characters.")


def shown(key: KeyPath) -> str:
    """A key as messages show it, so that it can neither disturb a terminal nor reveal a secret."""
    name = ".".join(key)
    if _SECRET_VALUE.search(name) or not name.isprintable():
        return "this name"
    return f"'{name}'" if len(name) <= 60 else f"'{name[:60]}...'"


def _place(path: Path, node: yaml.Node) -> str:
    return f"{path}, line {node.start_mark.line + 1}"
