"""The headers by which columns are known: as people write them in several languages, in every width and decoration."""

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.sheets.aliases import (
    HASH_HEADERS,
    ID_HEADERS,
    NAME_HEADERS,
    TOTALS,
    WEAK_ID_HEADERS,
    WEAK_NAME_HEADERS,
    header_key,
)
from batch_offboard.sheets.columns import find_layout
from batch_offboard.sheets.head import HeadRow

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
FORMS: tuple[Form, ...] = ("NFC", "NFD", "NFKC", "NFKD")
AN_ID = "a" * 39 + "b"


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        ("Device ID", "PC name"),
        ("デバイスID", "PC名"),
        ("デバイスＩＤ", "ＰＣ名"),
        ("端末ID", "機器名"),
        ("マシン ID", "コンピューター名"),
        ("デバイス識別子", "コンピュータ名"),
        ("デバイス ID", "ｺﾝﾋﾟｭｰﾀｰ名"),
        ("デバイス\nID", "【ホスト名】"),
        ("MDE デバイスID", "端末名※"),
        ("Geräte-ID", "Gerätename"),
        ("Geraete-ID", "Geraetename"),
        ("Geräte-Id.", "Rechnername"),
        ("GERÄTE-ID:", "PC-Name"),
        ("ID de l’appareil", "Nom de l’hôte"),
        ("Identifiant de l'appareil", "Nom du PC"),
        ("ID appareil", "Nom de la machine"),
        ("Id. de dispositivo", "Nombre de equipo"),
        ("ID del dispositivo", "Nombre de maquina"),
        ("Identificador de equipo", "Nombre del ordenador"),
        ("ID do dispositivo", "Nome da máquina"),
        ("Identificador do dispositivo", "Nome do computador"),
        ("设备 ID", "计算机名称"),
        ("장치 ID", "컴퓨터 이름"),
    ],
)
def test_columns_are_known_in_the_languages_of_their_lists(ids: str, names: str) -> None:
    layout = find_layout([HeadRow(1, ["No", names, ids]), HeadRow(2, ["1", "lt-1", AN_ID])])
    assert (layout.id_index, layout.name_index, layout.header_number) == (2, 1, 1)


def test_no_header_means_two_things() -> None:
    lists = [ID_HEADERS, WEAK_ID_HEADERS, NAME_HEADERS, WEAK_NAME_HEADERS, HASH_HEADERS, TOTALS]
    assert len(frozenset().union(*lists)) == sum(map(len, lists))
    assert all(key and key == header_key(key) for listed in lists for key in listed)


def test_numbers_of_things_and_ids_of_other_systems_are_no_device_ids() -> None:
    others = ["No.", "番号", "資産番号", "管理番号", "Azure AD Device ID", "Seriennummer", "N° de série", "機種名"]
    known = ID_HEADERS | WEAK_ID_HEADERS | NAME_HEADERS | WEAK_NAME_HEADERS
    assert [other for other in others if header_key(other) in known] == []


@given(
    header=st.sampled_from(["PC名", "コンピューター名", "Gerätename", "Nom d'hôte", "Nombre de máquina", "Device ID"]),
    around=st.text(" \u3000\u00a0\n*:※_-", max_size=3),
    form=st.sampled_from(FORMS),
)
def test_width_accents_case_and_decoration_do_not_change_a_header(header: str, around: str, form: Form) -> None:
    written = around + unicodedata.normalize(form, header.upper()) + around[::-1]
    assert header_key(written) == header_key(header)
