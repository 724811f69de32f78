"""A column of names that is not used is told: the ID of its row is then compared with nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from batch_offboard.core.rows import Table

AnId = Callable[[int], str]
Opened = Callable[..., Table]
Written = Callable[..., Path]


def notes(table: Table) -> list[str]:
    return [note for note in table.notes if "may hold device names" in note]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Arbeitsplatz", "ws-{:04}"),
        ("対象", "PC{:03}"),
        ("Poste", "par-lt-{}"),
        ("Old name", "lt-{}.contoso.example"),
    ],
)
def test_a_column_that_looks_like_names_and_is_not_used_is_told(
    opened: Opened, written: Written, an_id: AnId, header: str, name: str
) -> None:
    rows = "".join(f"{an_id(n)},{name.format(n)},Osaka\n" for n in range(9))
    table = opened(written(f"Device ID,{header},Site\n{rows}"))
    (note,) = notes(table)
    assert note.startswith(f"Column B '{header}' may hold device names and is not used, so no ID is compared with its ")
    assert note.endswith("add --name-column.")


def test_two_such_columns_are_told_in_one_sentence(opened: Opened, written: Written, an_id: AnId) -> None:
    rows = "".join(f"{an_id(n)},old-{n},new-{n}\n" for n in range(5))
    (note,) = notes(opened(written(f"Device ID,Before,After\n{rows}")))
    assert note.startswith("Columns B 'Before', C 'After' may hold device names and are not used")


@pytest.mark.parametrize(
    ("header", "cell"),
    [
        ("Owner", "Ann"),
        ("Serial number", "5CG{:04}XYZ"),
        ("資産番号", "A-{:05}"),
        ("Change", "CHG{:04}"),
        ("IP address", "10.0.0.{}"),
        ("Seen", "2026-11-{:02}"),
        ("Room", "12"),
        ("Site", "Osaka-1"),  # the same in all rows
        ("SHA1", "a{:039}"),
        ("Mail", "ann{}@contoso.example"),
    ],
)
def test_other_columns_are_not_told(opened: Opened, written: Written, an_id: AnId, header: str, cell: str) -> None:
    rows = "".join(f"{an_id(n)},{cell.format(n)}\n" for n in range(1, 9))
    assert notes(opened(written(f"Device ID,{header}\n{rows}"))) == []


def test_nothing_is_told_where_names_are_used(opened: Opened, written: Written, an_id: AnId) -> None:
    rows = "".join(f"{an_id(n)},lt-{n},was-{n}\n" for n in range(5))
    assert notes(opened(written(f"Device ID,Device name,Before\n{rows}"))) == []
    assert notes(opened(written(f"Device ID,Now,Before\n{rows}"), name_column="B")) == []
