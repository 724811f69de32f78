"""The kinds of values that keys take, each with the words that complete "KEY must be ...".

A check here only accepts or rejects; the sentence for the operator comes from the description.
"""

import re
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from batch_offboard.base.addresses import http_origin, http_url, is_loopback
from batch_offboard.base.filenames import windows_objection
from batch_offboard.base.text import LONGEST_COMMENT


class Part(BaseModel):
    """Base of all sections: strict, so that `"8"` is not a number, and frozen.

    pydantic's own messages and reprs of errors omit the input, since it may be a secret.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)


class KeyProblemError(ValueError):
    """A problem that involves more than one value; `key` is in the section whose check raises this."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(problem)
        self.key = key


def _matching(pattern: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError("it does not have the form")
        return value

    return AfterValidator(check)


def _usable_path(path: Path) -> Path:
    objection = windows_objection(path)
    if objection is not None:
        raise ValueError(objection)
    return path


def _audience(text: str) -> str:
    """The audience without the suffix of a scope: people copy it with `/.default`, which the program adds itself."""
    return text.removesuffix("/.default").rstrip("/")


def _api_address(text: str) -> str:
    """A token is sent there, so the URL must be https or on this computer."""
    parts = http_origin(text)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("it is not encrypted")
    return parts.geturl()


def _sign_in_address(text: str) -> str:
    """A secret is sent there, and msal does not support plain http, not even on this computer."""
    parts = http_origin(text)
    if parts.scheme != "https":
        raise ValueError("it is not encrypted")
    return parts.geturl()


def _proxy_address(text: str) -> str:
    return text if text == "environment" else http_origin(text).geturl()


# Contains nothing that could end a header or begin another address.
_MAIL_ADDRESS = r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+"


def _mail_server(text: str) -> str:
    """HOST:PORT; an IPv6 address is in brackets, and 587 is the default port, for mail submission (RFC 6409)."""
    parts = http_url(f"http://{text}")
    if parts.path:
        raise ValueError("a server has no path")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or 587}"


Guid: TypeAlias = Annotated[
    str,
    _matching(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    AfterValidator(str.lower),
    Field(description="a GUID such as 1f0e7c1a-5b7e-4c53-9a55-0d6f3f4a2b10"),
]
Variable: TypeAlias = Annotated[
    str,
    _matching(r"[A-Za-z_][A-Za-z0-9_]*"),
    Field(description="the name of an environment variable, never the secret itself"),
]
KeyringEntry: TypeAlias = Annotated[
    str,
    _matching(r"[^/].*/[^/]+"),
    Field(description="a keyring entry as service/user, never the secret itself"),
]
PATH_DESCRIPTION = "the path of a file"
FilePath: TypeAlias = Annotated[Path, AfterValidator(_usable_path), Field(description=PATH_DESCRIPTION)]
Percent: TypeAlias = Annotated[
    float, Field(gt=0, le=100, allow_inf_nan=False, description="a number above 0 and at most 100")
]
Calls: TypeAlias = Annotated[int, Field(ge=1, le=10_000, description="a whole number from 1 to 10000")]
ApiUrl: TypeAlias = Annotated[
    str,
    AfterValidator(_api_address),
    Field(
        description="an https URL without user, path, query or fragment (plain http only to localhost), "
        "such as https://eu.api.security.microsoft.com"
    ),
]
SignInUrl: TypeAlias = Annotated[
    str,
    AfterValidator(_sign_in_address),
    Field(description="an https URL without user, path, query or fragment, such as https://login.microsoftonline.com"),
]
ProxyUrl: TypeAlias = Annotated[
    str,
    AfterValidator(_proxy_address),
    Field(
        description="'environment' or a URL such as http://proxy.example.com:8080, with the user in "
        "proxy_user and never in the URL; SOCKS is not supported"
    ),
]
Audience: TypeAlias = Annotated[
    str,
    _matching(r"[!-~]+"),
    AfterValidator(_audience),
    _matching(r".+"),
    Field(description="what the token is asked for, such as https://api.securitycenter.microsoft.com"),
]
Line: TypeAlias = Annotated[str, _matching(r".*\S.*"), Field(max_length=LONGEST_COMMENT)]
MailAddress: TypeAlias = Annotated[
    str, _matching(_MAIL_ADDRESS), Field(description="a mail address such as offboarding@example.com")
]
MailAddresses: TypeAlias = Annotated[
    str,
    _matching(rf"{_MAIL_ADDRESS}( *, *{_MAIL_ADDRESS})*"),
    Field(description="mail addresses, separated by commas"),
]
MailServer: TypeAlias = Annotated[
    str,
    AfterValidator(_mail_server),
    Field(description="a mail server such as smtp.example.com:587"),
]
