"""The samples read as promised, are what their maker makes, and survive being damaged."""

import importlib.util
import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from batch_offboard.base.errors import InputError
from batch_offboard.core.devices import Refusal, judge_id
from batch_offboard.core.rows import Table
from batch_offboard.sheets import open_table

SAMPLES = Path(__file__).parents[3] / "samples"
NAMES = sorted(path.name for path in SAMPLES.iterdir() if path.suffix not in {".py", ".md"} and path.is_file())
Opened = Callable[..., Table]


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_samples", SAMPLES / "make_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def remade(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    maker.make_all(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("devices.csv", "CSV (UTF-8, comma)", 40),
        ("devices.ods", "ODS, sheet 'Devices'", 12),
        ("devices.xls", "XLS, sheet 'Devices'", 12),
        ("devices.xlsx", "XLSX, sheet 'Devices'", 40),
        ("german-semicolon-cp1252.csv", "CSV (Windows-1252, semicolon)", 20),
        ("ids.txt", "CSV (UTF-8, one column)", 25),
        ("japanese-shift-jis.csv", "CSV (Shift-JIS, comma)", 20),
        ("messy.xlsx", "XLSX, sheet 'Leavers'", 31),
        ("portal-export.csv", "CSV (UTF-8, comma)", 30),
        ("utf16-tab.txt", "CSV (UTF-16, tab)", 15),
    ],
)
def test_a_sample_is_read_as_what_it_is(opened: Opened, name: str, kind: str, count: int) -> None:
    table = opened(SAMPLES / name)
    rows = list(table.rows)
    assert (table.source.kind, len(rows)) == (kind, count)
    if name != "messy.xlsx":
        assert all(judge_id(row.device_id) == row.device_id for row in rows)


def test_every_sample_is_made_by_the_maker_and_named_in_the_read_me(maker: ModuleType) -> None:
    assert sorted(maker.SAMPLES) == NAMES
    text = (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in [*NAMES])


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_sample_holds_what_the_maker_makes(opened: Opened, remade: Path, name: str) -> None:
    committed, made = opened(SAMPLES / name), opened(remade / name)
    assert committed.columns == made.columns
    assert list(committed.rows) == list(made.rows)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith((".csv", ".txt"))])
def test_a_committed_text_sample_is_the_same_to_the_byte(remade: Path, name: str) -> None:
    assert (SAMPLES / name).read_bytes() == (remade / name).read_bytes()


def test_the_messy_sample_has_a_row_for_every_way_to_be_wrong(opened: Opened) -> None:
    rows = list(opened(SAMPLES / "messy.xlsx").rows)
    good = {row.cells[2] for row in rows if isinstance(judge_id(row.device_id), str)}
    assert good == {
        "a good ID",
        "upper case",
        "invisible characters around it",
        "the same device again",
        "after a blank row",
        "the last one",
    }
    reasons = [verdict.detail for row in rows if isinstance(verdict := judge_id(row.device_id), Refusal)]
    assert len(reasons) == 25


JUNK: tuple[bytes, ...] = (
    b"\0",
    b'"',
    b"\xff",
    b",",
    b"\n",
    b"\r",
    b"<",
    b"]]>",
    b"&#0;",
    b"=1+1",
    b' hidden="1"',
    b"<f>1</f>",
)
JUNK += (b'r="XFD9"', b"9" * 20, b"A" * 300, b"\xe2\x80\xa8", b"<!DOCTYPE x>", b"--")


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, put in, left out or doubled; at times the end is missing."""
    spoiled = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = chance.randrange(len(spoiled) + 1)
        match chance.randrange(5):
            case 0 if at < len(spoiled):
                spoiled[at] = chance.randrange(256)
            case 1:
                spoiled[at:at] = chance.choice(JUNK)
            case 2:
                del spoiled[at : at + chance.randrange(1, 50)]
            case 3:
                start = chance.randrange(len(spoiled) + 1)
                spoiled[at:at] = spoiled[start : start + chance.randrange(1, 80)]
            case 4 if chance.random() < 0.2:
                del spoiled[at:]
    return bytes(spoiled)


def damaged_inside(content: bytes, chance: random.Random) -> bytes:
    """A sound archive with one damaged part."""
    source = zipfile.ZipFile(io.BytesIO(content))
    victim = chance.choice([name for name in source.namelist() if name.endswith((".xml", ".rels"))])
    target = io.BytesIO()
    with source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in source.namelist():
            part = source.read(name)
            opened.writestr(name, damaged(part, chance) if name == victim else part)
    return target.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_sample_gives_rows_or_one_sentence_and_nothing_else(name: str, tmp_path: Path) -> None:
    chance = random.Random(name)  # noqa: S311 - a reproducible sequence is what is wanted
    content = (SAMPLES / name).read_bytes()
    path = tmp_path / name
    for number in range(40):
        inside = content.startswith(b"PK") and number % 4
        path.write_bytes(damaged_inside(content, chance) if inside else damaged(content, chance))
        try:
            rows = list(open_table(path).rows)
        except InputError as error:
            sentence = str(error)
            assert sentence.isprintable()
            continue
        assert rows
        assert all(judge_id(row.device_id) for row in rows)
