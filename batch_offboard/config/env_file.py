"""A file of environment variables with the secrets that the configuration names, for schedulers that cannot set any.

What is accepted means the same in systemd's `EnvironmentFile=`; what systemd would read differently is refused. No
message shows a value.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from batch_offboard.base.errors import ConfigError
from batch_offboard.config import read_private_file

OPTION = "--env-file"

_LINE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)")
_VALUE = re.compile(
    r"""'(?P<single>[^']*)'        # literal
    |   "(?P<double>[^"\\]*)"      # systemd gives the backslash a meaning here
    |   (?P<bare>[^'"\\]*)         # the same
    """,
    re.VERBOSE,
)


def read_env_file(path: Path) -> dict[str, str]:
    """The variables in the file. Raises ConfigError if it cannot be read, is open to others, or has any other line."""
    try:
        text = read_private_file(path, OPTION).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"The file {path} ({OPTION}) is not UTF-8 text; save it as UTF-8.") from None
    return dict(variables_in(text, str(path)))


def variables_in(text: str, source: str) -> Mapping[str, str]:
    """The variables in the text, one `NAME=value` a line; `source` names it in messages."""
    variables: dict[str, str] = {}
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if line.strip() and line.strip()[0] not in "#;":
            name, value = _variable(line.strip(), f"{source}, line {number}")
            variables[name] = value
    return variables


def _variable(line: str, where: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ConfigError(f"{where}: this is not NAME=value; write one variable a line, without `export` or `set`.")
    value = _VALUE.fullmatch(found["value"].strip())
    if value is None:
        raise ConfigError(
            f"{where}: the value of {found['name']} holds quotes or backslashes; put it in single quotes."
        )
    text = next(group for group in (value["single"], value["double"], value["bare"]) if group is not None)
    if not text.isprintable():
        raise ConfigError(f"{where}: the value of {found['name']} holds a control character; remove it.")
    return found["name"], text
