"""Values that must never be shown, and the mask that removes them from any text.

`config.secret` reads them; every log line, traceback and report passes through `without_secrets`.
"""

import json
import re
from collections.abc import Mapping
from typing import NoReturn
from urllib.parse import quote, unquote

SHORTEST = 4  # characters; a shorter secret occurs in too many ordinary words to be masked


# What looks like any secret: the value of a header or of a form field, a JSON web token.
_LOOKS_SECRET = re.compile(
    r"(?P<before>(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)[^\"'\r\n,;}]+"
    r"|(?P<scheme>\b(?:bearer|basic|negotiate)\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|(?P<field>\b(?:client_secret|client_assertion|assertion|access_token|refresh_token|id_token|device_code|password"
    r"|passwd|secret|sig)[\"']?\s*[:=]\s*[\"']?)[^&\s\"',;}]+"
    r"|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*",
    re.IGNORECASE,
)


# Names of variables that may hold a secret, and of those among them that only say where one is or whose it is.
_MAY_HOLD = re.compile(
    r"secret|passw|passphrase|_pwd|token|credential|assertion|private|auth(?!or)|cookie|webhook|api_?key|_key$|_sas$"
    r"|conn(?:ection)?_?str",
    re.IGNORECASE,
)


_NAMES_A_PLACE = re.compile(
    r"(?:^|_)(?:env|file|keyring|path|dir|home|sock|type|kind|cache|user|name|id|host|port)$", re.IGNORECASE
)


_NO_SECRETS = frozenset({"true", "false", "none", "null"})


# What follows the first colon of a valid address without an account: a port, or two.
_PORTS = re.compile(r"[\d:]{0,12}(?:[/?#;].*)?", re.DOTALL)


_known: set[str] = set()


class Secret:
    """A value that only `reveal` returns: printing, formatting, dumping and copying show a mask.

    Not a dataclass on purpose, since `dataclasses.asdict` would expose the value.
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
        """Called by every pickle protocol."""
        raise TypeError("a secret is not stored")


def hide(value: str) -> None:
    """Makes `without_secrets` mask this value from now on, in every form of quoting."""
    quoted = quote(value, safe="", errors="replace")  # a variable may hold bytes that are not text
    ways = (value, value.strip(), quoted, unquote(value), repr(value)[1:-1], json.dumps(value)[1:-1])
    _known.update(way for way in ways if len(way) >= SHORTEST)


def hide_environment(environ: Mapping[str, str]) -> None:
    """Masks the secrets that variables may hold, for unexpected errors: a library that fails to parse an address may
    quote pieces of it in its message."""
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
    """What may be a password in an address, even an invalid one: everything before the last @ except the user, else
    what is in the place of the port."""
    rest = address.split("://", 1)[-1]
    account, at, _ = rest.rpartition("@")
    if at:
        user, colon, password = account.partition(":")
        return password if colon else user
    port = rest.partition(":")[2]
    return "" if rest.startswith("[") or _PORTS.fullmatch(port) else port


def without_secrets(text: str) -> str:
    """The text with every secret that was read, and everything that looks like one, replaced by a mask."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, "***")
    return _LOOKS_SECRET.sub(lambda found: f"{found['before'] or found['scheme'] or found['field'] or ''}***", text)
