"""Reads a fleet from a file: the JSON that the service returns, or a CSV with its field names as columns.

Every error in the file is a `ValueError` with one sentence.
"""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

from batch_offboard.simulator.machines import HEALTHY, Machine

_TRUTH = {"true": True, "false": False}


def read_fleet(path: Path) -> list[Machine]:
    """The machines in a `.csv` file, or in any other file as JSON: a list, or an object with a list `value`.

    Omitted fields are those of a healthy Windows 11 machine. Raises `ValueError`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"The fleet {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"The fleet {path} is not UTF-8; save it in that encoding.") from error
    machines = _from_csv(path, text) if path.suffix.lower() == ".csv" else _from_json(path, text)
    _check_ids(path, machines)
    return machines


def _from_json(path: Path, text: str) -> list[Machine]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The fleet {path} is not JSON; the name of a CSV must end in .csv.") from error
    if isinstance(content, dict):
        content = content.get("value")
    if not isinstance(content, list) or not all(isinstance(machine, dict) for machine in content):
        raise ValueError(f'The fleet {path} is neither a list of machines nor an object with one as "value".')
    return [_unpaired(machine) for machine in content]


def _from_csv(path: Path, text: str) -> list[Machine]:
    try:
        rows = csv.DictReader(StringIO(text, newline=""), restkey="", strict=True)
        columns = rows.fieldnames or []
        if "id" not in columns:
            raise ValueError(f"The fleet {path} has no column id.")
        return [
            _unpaired({name: _cell(path, name, cell) for name, cell in row.items() if name and cell}) for row in rows
        ]
    except csv.Error as error:
        raise ValueError(f"The fleet {path} is not a valid CSV file: {error}.") from error


def _unpaired(machine: Machine) -> Machine:
    """The machine; with a version but no build its build is unknown, not the default one."""
    return {"osBuild": None} | machine if "version" in machine else machine


def _cell(path: Path, name: str, cell: str) -> object:
    """The cell converted to the type that the field has in the service."""
    usual = HEALTHY.get(name)
    read: Callable[[str], object] = str
    if isinstance(usual, bool):
        read = lambda text: _TRUTH[text.strip().lower()]  # noqa: E731  # more readable next to the other two
    elif isinstance(usual, int):
        read = int
    elif name == "machineTags":
        read = lambda text: [tag.strip() for tag in text.split(";") if tag.strip()]  # noqa: E731  # the same
    try:
        return read(cell)
    except (KeyError, ValueError) as error:
        raise ValueError(f"The fleet {path} has the invalid value {cell!r} in column {name}.") from error


def _check_ids(path: Path, machines: list[Machine]) -> None:
    for number, machine in enumerate(machines, start=1):
        if not isinstance(machine.get("id"), str) or not str(machine["id"]).strip():
            raise ValueError(f"Machine {number} of the fleet {path} has no id.")
    keys = [str(machine["id"]).lower() for machine in machines]
    if len(set(keys)) != len(keys):
        raise ValueError(f"The fleet {path} has a duplicate id; every machine needs its own.")
