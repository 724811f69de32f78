"""A machine from the API's JSON: every field but the ID may be missing, and no value raises."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.tenant import Machine
from batch_offboard.defender.protocol.machines import machine_of

DEVICE = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
OTHER = "b3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"

SHOWN: dict[str, Any] = {
    "id": DEVICE.upper(),
    "mergedIntoMachineId": None,
    "computerDnsName": "lt-0417.contoso.example",
    "firstSeen": "2026-01-05T07:00:00.1234567Z",
    "lastSeen": "2026-11-24T08:30:00.0000000Z",
    "osPlatform": "Windows11",
    "osVersion": None,
    "version": "24H2",
    "agentVersion": "10.8800.26100.4000",
    "osBuild": 26100,
    "healthStatus": "Active",
    "onboardingStatus": "Onboarded",
    "rbacGroupId": 3,
    "rbacGroupName": "Laptops",
    "machineTags": ["leaver", "wave 2"],
    "vmMetadata": None,
}

UNKNOWN = Machine(
    device_id="x",
    name="",
    platform="",
    version="",
    build=None,
    agent_version="",
    onboarding="",
    health="",
    last_seen=None,
    merged_into="",
    group="",
    tags=(),
    cloud_managed=False,
)


def machine(**changes: Any) -> Machine:
    found = machine_of(SHOWN | changes)
    assert found is not None
    return found


def test_a_machine_is_read_as_it_is_shown() -> None:
    assert machine() == Machine(
        device_id=DEVICE,
        name="lt-0417.contoso.example",
        platform="Windows11",
        version="24H2",
        build=26100,
        agent_version="10.8800.26100.4000",
        onboarding="Onboarded",
        health="Active",
        last_seen=1_795_509_000.0,
        merged_into="",
        group="Laptops",
        tags=("leaver", "wave 2"),
        cloud_managed=False,
    )


def test_every_field_but_the_id_may_be_missing_or_null() -> None:
    assert machine_of({"id": "X"}) == UNKNOWN
    assert machine_of(dict.fromkeys(SHOWN) | {"id": "X"}) == UNKNOWN


@pytest.mark.parametrize("identifier", [None, "", "  ", 7, [DEVICE], "a\nb", "\ud800"])
def test_what_has_no_id_is_no_machine(identifier: object) -> None:
    assert machine_of(SHOWN | {"id": identifier}) is None


@pytest.mark.parametrize(
    ("shown", "build"),
    [(19045, 19045), (0, 0), (None, None), ("19045", None), (19045.0, None), (True, None), ([19045], None)],
)
def test_a_build_is_a_whole_number(shown: object, build: int | None) -> None:
    assert machine(osBuild=shown).build == build


@pytest.mark.parametrize(
    ("names", "onboarding"),
    [
        ({"onboardingStatus": "CanBeOnboarded"}, "CanBeOnboarded"),
        ({"onboardingStatus": None, "onboardingstatus": "Unsupported"}, "Unsupported"),
        ({"onboardingStatus": "Onboarded", "onboardingstatus": "Unsupported"}, "Onboarded"),
        ({"onboardingStatus": None}, ""),
    ],
)
def test_the_onboarding_status_is_spelled_in_two_ways(names: dict[str, Any], onboarding: str) -> None:
    assert machine(**names).onboarding == onboarding


def test_the_machine_that_a_record_was_merged_into_is_in_lower_case_like_every_id() -> None:
    assert machine(mergedIntoMachineId=OTHER.upper()).merged_into == OTHER


@pytest.mark.parametrize(
    ("metadata", "cloud_managed"),
    [({"vmId": "1", "cloudProvider": "Azure"}, True), ({}, False), (None, False)],
)
def test_a_virtual_machine_with_metadata_is_known_to_defender_for_cloud(metadata: object, cloud_managed: bool) -> None:
    assert machine(vmMetadata=metadata).cloud_managed is cloud_managed


@pytest.mark.parametrize(
    ("shown", "tags"),
    [(["b", "a"], ("b", "a")), ([], ()), (None, ()), ("leaver", ()), ([None, 7, "x\ny"], ("", "7", "x y"))],
)
def test_tags_are_kept_in_their_order(shown: object, tags: tuple[str, ...]) -> None:
    assert machine(machineTags=shown).tags == tags


def test_words_that_cannot_be_kept_or_shown_are_spelled_out_and_cut() -> None:
    found = machine(computerDnsName="a\x1b[2J\ud83d\nb", osPlatform="y" * 9000)
    assert found.name == "a\\x1b[2J\\ud83d b"
    assert found.platform == "y" * 500


ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*SHOWN, "onboardingstatus", "invented"]), ANY_JSON))
def test_any_value_in_any_field_is_a_machine_or_none(shown: dict[str, Any]) -> None:
    found = machine_of({"id": DEVICE} | shown)
    if found is not None:
        texts = [found.device_id, found.name, found.platform, found.version, found.agent_version, found.onboarding]
        texts += [found.health, found.merged_into, found.group, *found.tags]
        assert all(len(text.splitlines()) <= 1 and len(text) <= 500 for text in texts)
        assert found.build is None or type(found.build) is int


def test_a_value_as_deep_as_a_parser_reads_breaks_nothing() -> None:
    deep = json.loads("[" * 500 + "]" * 500)
    assert machine(computerDnsName=deep, machineTags=[deep], osBuild=deep).name == "[" * 500
