"""Secrets: where one is to be found, and the value that does not show itself.

The configuration only names secrets; they are read when a command needs them. Nothing here writes one
anywhere, and no message contains one.
"""

import importlib
import json
import os
import re
import shlex
import stat
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, NoReturn
from urllib.parse import quote, unquote

from batch_offboard.errors import ConfigError

MAX_SECRET_BYTES = 64 * 1024

SHORTEST = 4  # characters; a shorter secret stands in too many words to be taken out of them

# What looks like a secret, whoever's it is: the value of a header or of a form's field, a JSON web token.
_LOOKS_SECRET = re.compile(
    r"(?P<before>(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)[^\"'\r\n,;}]+"
    r"|(?P<scheme>\b(?:bearer|basic|negotiate)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?P<field>\b(?:client_secret|client_assertion|assertion|access_token|refresh_token|id_token|device_code|password"
    r"|passwd|secret|sig)[\"']?\s*[:=]\s*[\"']?)[^&\s\"',;}]+"
    r"|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*",
    re.IGNORECASE,
)

# Variables that may hold a secret, by their names, and those of them that say where one is, or who has it.
_MAY_HOLD = re.compile(
    r"secret|passw|passphrase|_pwd|token|credential|assertion|private|auth(?!or)|cookie|webhook|api_?key|_key$|_sas$"
    r"|conn(?:ection)?_?str",
    re.IGNORECASE,
)
_NAMES_A_PLACE = re.compile(
    r"(?:^|_)(?:env|file|keyring|path|dir|home|sock|type|kind|cache|user|name|id|host|port)$", re.IGNORECASE
)
_NO_SECRETS = frozenset({"true", "false", "none", "null"})

# What follows the first colon of an address without an account, if it is right: a port, or two.
_PORTS = re.compile(r"[\d:]{0,12}(?:[/?#;].*)?", re.DOTALL)

_known: set[str] = set()


class SecretPlace(StrEnum):
    """Where a secret can be kept."""

    VARIABLE = "variable"
    FILE = "file"
    KEYRING = "keyring"


@dataclass(frozen=True, slots=True)
class SecretName:
    """Says where a secret is, never what it is.

    `name` is the variable, the file's path, or `service/user` of a keyring entry; `key` is the
    configuration key that said so, for messages.
    """

    place: SecretPlace
    name: str
    key: str


class Secret:
    """A value that only `reveal` hands out: printing, formatting, dumping and copying show a mask.

    It is no dataclass on purpose, since `dataclasses.asdict` would take one apart.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        hide(value)

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __getstate__(self) -> NoReturn:
        """Asked for by every way of pickling."""
        raise TypeError("a secret is not stored")


def hide(value: str) -> None:
    """From now on `without_secrets` masks this value, however it is quoted."""
    quoted = quote(value, safe="", errors="replace")  # a variable may hold bytes that are no text
    ways = (value, value.strip(), quoted, unquote(value), repr(value)[1:-1], json.dumps(value)[1:-1])
    _known.update(way for way in ways if len(way) >= SHORTEST)


def hide_environment(environ: Mapping[str, str]) -> None:
    """Mask what the variables may hold of secrets, for errors that nobody foresaw: an address that could not be read
    comes back in pieces, and in the words of whatever library has met it."""
    for name, value in environ.items():
        account = _account(value) if "://" in value or name.lower().endswith("_proxy") else ""
        if account:
            hide(account)
            for piece in re.split(r"[:/?#@%\\;&=,\s]+", account):
                hide(piece)
        if _MAY_HOLD.search(name) and not _NAMES_A_PLACE.search(name) and value.lower() not in _NO_SECRETS:
            for line in {value, *value.splitlines()}:
                hide(line)


def _account(address: str) -> str:
    """What may be a password in an address, however wrong that is: all before the last @ but the user, else what
    stands in the place of the port."""
    rest = address.split("://", 1)[-1]
    account, at, _ = rest.rpartition("@")
    if at:
        user, colon, password = account.partition(":")
        return password if colon else user
    port = rest.partition(":")[2]
    return "" if rest.startswith("[") or _PORTS.fullmatch(port) else port


def without_secrets(text: str) -> str:
    """The text with a mask in the place of every secret that was read, and of whatever looks like one."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, "***")
    return _LOOKS_SECRET.sub(lambda found: f"{found['before'] or found['scheme'] or found['field'] or ''}***", text)


def read_secret(named: SecretName, environ: Mapping[str, str]) -> Secret:
    """The secret at the place named. Raises `ConfigError` if it is not there or not safe there."""
    match named.place:
        case SecretPlace.VARIABLE:
            return _usable(environ.get(named.name, ""), f"The variable {named.name}", named.key)
        case SecretPlace.FILE:
            return _usable(_text_of_file(named), f"The file {named.name}", named.key)
        case SecretPlace.KEYRING:
            return _usable(_keyring_entry(named), f"The keyring entry {named.name}", named.key)


def read_private_file(path: Path, key: str) -> bytes:
    """The bytes of a file that only its owner may read, such as a secret or a certificate with its key.

    `key` is the configuration key that named it. On Windows the mode says nothing about other users,
    so there the folder's own protection has to do.
    """
    return _bytes_of_file(path, key, _refuse_shared)


def read_assertion_file(path: Path, key: str) -> bytes:
    """The bytes of a file that another identity provider writes and renews.

    Kubernetes and CI systems mount it as a link, readable by everybody in the container, and nobody can change that;
    what is in it ends within the hour. So its mode is not looked at.
    """
    return _bytes_of_file(path, key, None)


def _bytes_of_file(path: Path, key: str, check: Callable[[IO[bytes], Path, str], None] | None) -> bytes:
    try:
        with path.open("rb") as file:
            if check is not None:
                check(file, path, key)
            data = file.read(MAX_SECRET_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such name"
        raise ConfigError(f"The file {path} ({key}) cannot be read ({reason}); check its name.") from None
    if len(data) > MAX_SECRET_BYTES:
        raise ConfigError(f"The file {path} ({key}) is larger than 64 KiB; name the right file.")
    return data


def _refuse_shared(file: IO[bytes], path: Path, key: str) -> None:
    """Looks at the open file rather than the name, so that nobody can exchange it in between."""
    if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
        command = f"chmod 600 {shlex.quote(str(path))}"
        raise ConfigError(f"The file {path} ({key}) is open to other users of this computer; type: {command}")


def _text_of_file(named: SecretName) -> str:
    try:
        return read_private_file(Path(named.name), named.key).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"The file {named.name} ({named.key}) is not UTF-8 text; save it as UTF-8.") from None


def _keyring_entry(named: SecretName) -> str:
    """keyring is optional and slow to import, and each of its many back ends fails in its own way."""
    service, _, user = named.name.rpartition("/")
    try:
        keyring = importlib.import_module("keyring")
        return keyring.get_password(service, user) or ""
    except ImportError:
        raise ConfigError(
            f"{named.key} needs the package keyring, which is not installed; type: pip install keyring"
        ) from None
    except Exception as error:  # noqa: BLE001  # a back end may raise anything, and its text may hold anything
        raise ConfigError(
            f"The keyring entry {named.name} ({named.key}) cannot be read ({type(error).__name__}); "
            "unlock the keyring or use a file."
        ) from None


def _usable(text: str, source: str, key: str) -> Secret:
    """The secret without the newline that editors and `echo` put behind it."""
    value = text.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise ConfigError(f"{source} ({key}) is missing or empty; put the secret there.")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        raise ConfigError(f"{source} ({key}) holds more than one line of text; leave only the secret there.")
    return Secret(value)
