"""The columns are found by fixed names or by content; two candidates are a question, never a guess."""

import hashlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.errors import InputError
from batch_offboard.core.rows import CellKind, NotText
from batch_offboard.sheets.aliases import ID_HEADERS, NAME_HEADERS, header_key
from batch_offboard.sheets.columns import Layout, find_layout
from batch_offboard.sheets.head import HeadRow, column_index, column_letters

GUID = "2f0a6b57-5f0c-4b37-9a35-1f9a4d1b7c5"


def an_id(number: int) -> str:
    return "a" + hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()[1:]


def table(*rows: Sequence[str | NotText]) -> list[HeadRow]:
    return [HeadRow(number, cells) for number, cells in enumerate(rows, 1)]


def below(header: Sequence[str | NotText], *columns: str) -> list[HeadRow]:
    """Three rows below the header; a column `id`, `guid`, `number` or `name` is filled accordingly."""
    fill: dict[str, Callable[[int], str]] = {
        "id": an_id,
        "guid": lambda number: GUID + str(number),
        "number": str,
        "name": lambda number: f"lt-{number}",
        "": lambda number: "",
    }
    return table(header, *[[fill[kind](number) for kind in columns] for number in (1, 2, 3)])


def refused(head: list[HeadRow], **options: str) -> str:
    with pytest.raises(InputError) as caught:
        find_layout(head, **options)
    return str(caught.value)


def places(layout: Layout) -> tuple[int | None, int | None, int | None]:
    return layout.id_index, layout.name_index, layout.header_number


@pytest.mark.parametrize(
    "header",
    [
        "Device ID",
        "DeviceId",
        "device_id",
        "DEVICE-ID",
        " Device\u00a0ID ",
        "\ufeffDevice ID",
        "Ｄｅｖｉｃｅ ＩＤ",
        "Device\u200b ID",
        "MachineId",
        "Machine ID",
        "id",
        "Defender device ID",
        "MDE device ID",
        "デバイス ID",
        "デバイスID",
        "Geräte-ID",
        "Gera\u0308te-ID",
        "ID de l’appareil",
        "ID de l'appareil",
        "Id. de dispositivo",
        "ID do dispositivo",
        "设备 ID",
        "디바이스 ID",
    ],
)
def test_the_id_column_is_known_by_its_header(header: str) -> None:
    layout = find_layout(below(["Owner", header], "name", "id"))
    assert places(layout) == (1, None, 1)
    assert "by its content" not in layout.notes[0]


@pytest.mark.parametrize(
    "header",
    ["Device name", "DeviceName", "computerDnsName", "Computer name", "Hostname", "device_name", "Gerätename"],
)
def test_the_name_column_is_known_by_its_header(header: str) -> None:
    assert places(find_layout(below([header, "Device ID"], "name", "id"))) == (1, 0, 1)


@pytest.mark.parametrize(
    "header",
    [
        "Device AAD ID",
        "Azure AD device ID",
        "aadDeviceId",
        "Entra device ID",
        "Intune device ID",
        "Serial number",
        "Asset tag",
        "Object ID",
    ],
)
def test_an_entra_intune_or_serial_column_is_never_the_id_column(header: str) -> None:
    assert header_key(header) not in ID_HEADERS
    assert places(find_layout(below([header, "Device ID"], "guid", "id"))) == (1, None, 1)


def test_no_header_means_both_an_id_and_a_name() -> None:
    assert not ID_HEADERS & NAME_HEADERS


def test_headers_that_only_resemble_a_known_one_are_not_matched() -> None:
    layout = find_layout(below(["Devise ID", "Device IDs old"], "id", "number"))
    assert places(layout) == (0, None, 1)
    assert "recognised by its content" in layout.notes[0]


def test_a_column_without_a_known_header_is_found_by_its_content() -> None:
    assert places(find_layout(below(["Owner", "Kennung"], "name", "id"))) == (1, None, 1)


def test_content_decides_by_the_majority_of_filled_cells() -> None:
    mostly = [["Kennung"], [an_id(1)], [an_id(2)], [""], ["gone"]]
    assert places(find_layout(table(*mostly))) == (0, None, 1)
    half = [["Kennung"], [an_id(1)], ["gone"]]
    assert "Could not find a column" in refused(table(*half))


@pytest.mark.parametrize("header", ["SHA1", "Thumbprint", "File hash"])
def test_a_column_of_hashes_is_not_taken_for_ids_by_its_content(header: str) -> None:
    assert "Could not find a column" in refused(below(["Owner", header], "number", "id"))


def test_a_running_number_called_id_gives_way_to_the_column_that_holds_ids() -> None:
    assert places(find_layout(below(["ID", "Kennung"], "number", "id"))) == (1, None, 1)
    assert places(find_layout(below(["ID", "Device ID"], "number", "id"))) == (1, None, 1)


def test_damaged_numbers_under_id_are_still_the_id_column() -> None:
    damaged: list[list[str | NotText]] = [
        [NotText(CellKind.NUMBER, "1.23e+39"), "lt-1"],
        [NotText(CellKind.NUMBER, "4.56e+39"), "lt-2"],
    ]
    assert places(find_layout(table(["id", "Device name"], *damaged))) == (0, 1, 1)


@pytest.mark.parametrize(
    ("header", "columns", "option"),
    [
        (["Device ID", "Machine ID"], ("id", "id"), "--id-column"),
        (["Device ID", "Device ID"], ("id", "id"), "--id-column"),
        (["Kennung", "Nummer"], ("id", "id"), "--id-column"),
        (["Device ID", "Device name", "Hostname"], ("id", "name", "name"), "--name-column"),
    ],
)
def test_two_candidates_are_a_question(header: list[str], columns: tuple[str, ...], option: str) -> None:
    sentence = refused(below(header, *columns))
    assert sentence.startswith("More than one column")
    assert option in sentence
    assert f"'{header[-1]}'" in sentence


@pytest.mark.parametrize("option", ["B", "b", "2", "Machine ID", "machineid", " machine_id "])
def test_the_operator_names_a_column_by_header_letter_or_number(option: str) -> None:
    head = below(["Device ID", "Machine ID"], "id", "id")
    assert places(find_layout(head, id_column=option)) == (1, None, 1)


def test_a_header_goes_before_a_letter() -> None:
    head = below(["B", "Device ID"], "id", "id")
    assert find_layout(head, id_column="B").id_index == 0


@pytest.mark.parametrize("option", ["ZZ", "9", "Nothing", "0", ""])
def test_a_named_column_that_does_not_exist_is_refused_with_the_list(option: str) -> None:
    head = below(["Owner", "Place"], "name", "name")
    assert "A 'Owner', B 'Place'" in refused(head, id_column=option)


def test_a_named_header_that_is_there_twice_is_a_question() -> None:
    assert "2 columns have this header" in refused(below(["Key", "Key"], "id", "id"), id_column="Key")


def test_one_column_cannot_hold_both_ids_and_names() -> None:
    head = below(["Device ID", "Device name"], "id", "name")
    assert "Column B cannot hold both the device IDs and the device names" in refused(
        head, id_column="2", name_column="Device name"
    )


def test_a_plain_list_has_no_header() -> None:
    layout = find_layout(table([an_id(1)], [an_id(2)]))
    assert places(layout) == (0, None, None)
    assert layout.columns == ("Column A",)


@pytest.mark.parametrize("first", [an_id(1)[:39], "1.23E+39", GUID + "1", "lt-0417"])
def test_a_damaged_first_line_of_a_list_is_a_row_and_no_header(first: str) -> None:
    head = table([first], *[[an_id(number)] for number in range(9)])
    assert find_layout(head).header_number is None


def test_a_number_in_the_first_row_is_a_row_and_no_header() -> None:
    head = table([NotText(CellKind.NUMBER, "1.23e+39")], [an_id(1)], [an_id(2)])
    assert find_layout(head).header_number is None


def test_a_list_of_names_with_a_named_column_has_no_header_unless_it_is_a_known_one() -> None:
    assert places(find_layout(table(["anna"], ["berta"]), name_column="A")) == (None, 0, None)
    assert places(find_layout(table(["Hostname"], ["berta"]), name_column="A")) == (None, 0, 1)


def test_a_table_with_names_only_has_no_id_column() -> None:
    layout = find_layout(below(["Device name", "Owner"], "name", "number"))
    assert places(layout) == (None, 0, 1)
    assert "looked up by name" in layout.notes[0]


def test_a_column_of_guids_is_called_entra_or_intune() -> None:
    assert "Entra or Intune IDs, not Defender device IDs" in refused(below(["Device ID"], "guid"))
    assert "Entra or Intune" in refused(below(["Device AAD ID", "Owner"], "guid", "number"))


def test_some_guids_among_ids_are_rows() -> None:
    assert find_layout(table(["Device ID"], [GUID + "1"], [an_id(1)])).id_index == 0


def test_a_header_below_title_lines_is_refused_until_it_is_named() -> None:
    head = table(["Leavers in November"], [""], ["Device ID", "Owner"], [an_id(1), "x"], [an_id(2), "y"])
    assert "is in row 3" in refused(head)
    assert places(find_layout(head, id_column="Device ID")) == (0, None, 3)
    assert places(find_layout(head, id_column="A")) == (0, None, 3)


def test_columns_without_a_header_are_called_by_their_letters_and_repeated_headers_stay() -> None:
    head = table(["Device ID", "", "Note", "Note"], [an_id(1), "x", "y", "z"])
    assert find_layout(head).columns == ("Device ID", "Column B", "Note", "Note")


def test_nothing_usable_is_refused_with_the_columns_and_the_options() -> None:
    sentence = refused(below(["Owner", "Place"], "number", "number"))
    assert "A 'Owner', B 'Place'" in sentence
    assert "--id-column or --name-column" in sentence


def test_more_than_200_columns_are_refused() -> None:
    head = table(["Device ID", *["x"] * 200])
    assert "201 columns" in refused(head)
    assert find_layout(table(["Device ID", *["x"] * 199])).id_index == 0


def test_headers_are_escaped_when_they_are_shown() -> None:
    assert "\x1b" not in refused(below(["\x1b[2J", "\u202ex"], "number", "number"))


@pytest.mark.parametrize(("index", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (199, "GR"), (16383, "XFD")])
def test_columns_are_lettered_as_spreadsheet_programs_do(index: int, letters: str) -> None:
    assert column_letters(index) == letters
    assert column_index(letters.lower()) == index


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=5), min_size=1, max_size=8))
def test_any_head_is_a_layout_within_its_columns_or_an_input_error(rows: list[list[str]]) -> None:
    try:
        layout = find_layout(table(*rows))
    except InputError:
        return
    assert layout.id_index is not None or layout.name_index is not None
    for index in (layout.id_index, layout.name_index):
        assert index is None or index < len(layout.columns)
