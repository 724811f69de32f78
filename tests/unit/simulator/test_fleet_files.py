"""Fleets from files."""

import json
from pathlib import Path

import pytest

from batch_offboard.simulator import Tenant, generate_fleet, read_fleet

A, B = "a" * 40, "b" * 40


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_json_fleet_is_a_list_or_the_answer_of_the_service(tmp_path: Path, wrapped: bool) -> None:
    machines = generate_fleet(20, 1, 1_800_000_000)
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps({"value": machines} if wrapped else machines), encoding="utf-8")
    assert read_fleet(path) == machines


def test_a_csv_fleet_has_fields_of_the_types_of_the_service(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    lines = [
        "id,computerDnsName,osPlatform,osBuild,isAadJoined,machineTags,lastSeen",
        f"{A},pc-1,Windows10,19045,false,one; two,2026-01-01T00:00:00Z",
        f"{B},,,,,,",
    ]
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    assert read_fleet(path) == [
        {
            "id": A,
            "computerDnsName": "pc-1",
            "osPlatform": "Windows10",
            "osBuild": 19045,
            "isAadJoined": False,
            "machineTags": ["one", "two"],
            "lastSeen": "2026-01-01T00:00:00Z",
        },
        {"id": B},
    ]


def test_an_old_version_without_a_build_is_not_given_a_new_build(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_text(f"id,osPlatform,version\n{A},Windows10,1607\n", encoding="utf-8")
    assert Tenant(read_fleet(path)).machine(A)["osBuild"] is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("f.json", b"{", "not JSON"),
        ("f.json", b"[" * 100_000, "not JSON"),
        ("f.json", b"5", "neither a list of machines"),
        ("f.json", b"[1]", "neither a list of machines"),
        ("f.json", b'{"value": {}}', "neither a list of machines"),
        ("f.json", b"[{}]", "Machine 1 .* has no id"),
        ("f.json", b'[{"id": 5}]', "Machine 1 .* has no id"),
        ("f.json", b'[{"id": "x"}, {"id": "X"}]', "duplicate id"),
        ("f.json", b"\xff\xfe", "not UTF-8"),
        ("f.csv", b"", "no column id"),
        ("f.csv", b"name\nx\n", "no column id"),
        ("f.csv", b"id,osBuild\nx,new\n", "'new' in column osBuild"),
        ("f.csv", b"id,isAadJoined\nx,maybe\n", "'maybe' in column isAadJoined"),
        ("f.csv", b'id\n"x\n', "not a valid CSV"),
        ("f.csv", b"id,osPlatform\n,Windows11\n", "Machine 1 .* has no id"),
    ],
)
def test_what_is_no_fleet_is_refused_in_a_sentence(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_fleet(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"missing\.json"):
        read_fleet(tmp_path / "missing.json")
