"""Spoiled files of every kind that is read: rows, or one sentence, and never an ID that is none."""

import csv
import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import InputError
from batch_offboard.core.plan import Planner
from batch_offboard.reports.rows import REPORT_COLUMNS
from batch_offboard.sheets import HiddenRows, open_table
from tests.binary_workbook import binary_workbook
from tests.fuzzing.effort import effort
from tests.fuzzing.mutations import spoiled

SAMPLES = Path(__file__).parents[2] / "samples"
ID = re.compile(r"[0-9a-f]{40}")

MOST_CELLS = 2_000_000  # of a file of a few kilobytes: what repeats and spreads must not multiply it further
MOST_MEMORY = 256 << 20  # bytes, of this process beside what it had before


def device(number: int) -> str:
    return "a" + hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()[1:]


def _binary() -> bytes:
    target = io.BytesIO()
    facts = ((False, False), (True, False), (False, True))
    rows = [("Device ID", False, False), *((device(row), *fact) for row, fact in enumerate(facts))]
    with zipfile.ZipFile(target, "w") as opened:
        for name, part in binary_workbook(rows).items():
            opened.writestr(name, part)
    return target.getvalue()


def _report() -> bytes:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow([*REPORT_COLUMNS, "Owner"])
    for row, outcome in enumerate(("failed", "submitted", "in_doubt", "failed"), 2):
        values = {"row": row, "device_id": device(row), "device_name": f"pc-{row}", "outcome": outcome}
        table.writerow([*(values.get(column, "") for column in REPORT_COLUMNS), "'=Ann"])
    return text.getvalue().encode("utf-8-sig")


def seeds() -> dict[str, bytes]:
    """A real file of every kind, by its name."""
    found = {path.name: path.read_bytes() for path in SAMPLES.iterdir() if path.suffix not in {"", ".py", ".md"}}
    text = found["devices.csv"].decode("utf-8-sig")
    return found | {
        "binary.xlsb": _binary(),
        "report.csv": _report(),
        "big-endian.csv": b"\xfe\xff" + text.encode("utf-16-be"),
        "tabs.tsv": text.replace(",", "\t").encode("cp1252", errors="replace"),
        "macro.xlsm": found["devices.xlsx"],
    }


SEEDS = seeds()
ENCODINGS = {
    "big-endian.csv": "utf-16",
    "german-semicolon-cp1252.csv": "cp1252",
    "japanese-shift-jis.csv": "shift-jis",
    "tabs.tsv": "cp1252",
    "utf16-tab.txt": "utf-16",
}


def encoding_of(name: str) -> str:
    """Nothing for a workbook."""
    return ENCODINGS.get(name, "utf-8") if name.endswith(("csv", "txt", "tsv")) else ""


def options_for(name: str) -> st.SearchStrategy[dict[str, Any]]:
    """What an operator may say beside the name of such a file."""
    optional: dict[str, st.SearchStrategy[Any]] = {
        "id_column": st.sampled_from(("A", "1", "2", "Device ID", "ZZ")),
        "name_column": st.sampled_from(("B", "1")),
    }
    if name.startswith("report"):
        optional = {"only": st.just(frozenset({"failed"}))}
    if not encoding_of(name):
        optional["sheet"] = st.sampled_from(("1", "Devices", "2"))
    return st.fixed_dictionaries({"hidden": st.sampled_from(HiddenRows)}, optional=optional)


def most_memory() -> int:
    """The most memory that this process ever had, libraries included; in bytes, or 0 where it cannot be told."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spoiled")


def planned(path: Path, options: dict[str, Any]) -> Iterator[str]:
    """The IDs that would be sent."""
    planner = Planner({}, None)
    table = open_table(path, **options)
    cells = 0
    for source in table.rows:
        cells += len(source.cells) + 1
        assert cells < MOST_CELLS
        row = planner.decide(source)
        if row.reason is None:
            yield row.device_id
    list(planner.amendments())


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_a_sound_file_is_read(name: str, folder: Path) -> None:
    path = folder / name
    path.write_bytes(SEEDS[name])
    assert list(planned(path, {"hidden": HiddenRows.INCLUDE}))


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_a_spoiled_file_gives_rows_or_one_sentence_and_never_an_id_that_is_none(name: str, folder: Path) -> None:
    path = folder / name
    before = most_memory()

    @effort(75)
    @given(content=spoiled(SEEDS[name], encoding_of(name)), options=options_for(name))
    def spoil(content: bytes, options: dict[str, Any]) -> None:
        path.write_bytes(content)
        try:
            devices, said = list(planned(path, options)), ""
        except InputError as error:
            devices, said = [], str(error)
        assert all(map(ID.fullmatch, devices))
        assert len(said) < 2000
        assert said.isprintable()
        assert most_memory() - before < MOST_MEMORY

    spoil()
