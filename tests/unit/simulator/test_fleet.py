"""Generated fleets, and fleets made for given devices."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.simulator import Tenant, fleet_of, generate_fleet
from batch_offboard.simulator.machines import HEALTHY, Machine, complete
from batch_offboard.simulator.timestamps import moment_of

NOW = 1_800_000_000.0
DAY = 86_400
COUNT = 4_000


@pytest.fixture(scope="module")
def fleet() -> list[Machine]:
    return generate_fleet(COUNT, 5, NOW)


def test_every_machine_has_an_id_of_its_own_of_forty_hexadecimal_digits(fleet: list[Machine]) -> None:
    ids = {str(machine["id"]) for machine in fleet}
    assert len(ids) == COUNT
    assert all(len(key) == 40 and set(key) <= set("0123456789abcdef") for key in ids)


def test_every_machine_has_the_fields_of_the_service(fleet: list[Machine]) -> None:
    assert {tuple(machine) for machine in fleet} == {tuple(HEALTHY)}


def test_the_same_seed_gives_the_same_fleet_and_another_seed_another(fleet: list[Machine]) -> None:
    assert generate_fleet(COUNT, 5, NOW) == fleet
    assert generate_fleet(COUNT, 6, NOW) != fleet


@pytest.mark.parametrize(
    ("field", "value", "least"),
    [
        ("osPlatform", "Windows11", 0.4), ("osPlatform", "Windows10", 0.2), ("osPlatform", "Windows10WVD", 0.01),
        ("osPlatform", "WindowsServer2019", 0.02), ("osPlatform", "WindowsServer2016", 0.01),
        ("osPlatform", "WindowsServer2012R2", 0.002), ("osPlatform", "macOS", 0.02), ("osPlatform", "Linux", 0.01),
        ("osPlatform", "iOS", 0.001), ("osPlatform", "Android", 0.001), ("osPlatform", "Windows", 0.001),
        ("healthStatus", "Active", 0.6), ("healthStatus", "Inactive", 0.08),
        ("onboardingStatus", "Onboarded", 0.9), ("onboardingStatus", "CanBeOnboarded", 0.01),
        ("rbacGroupName", "Servers", 0.05), ("isPotentialDuplication", True, 0.01),
    ],
)  # fmt: skip
def test_the_fleet_has_its_share_of_everything(fleet: list[Machine], field: str, value: object, least: float) -> None:
    assert sum(machine[field] == value for machine in fleet) >= least * COUNT


def test_inactive_machines_were_silent_for_a_week_and_the_others_were_not(fleet: list[Machine]) -> None:
    silent = {machine["id"] for machine in fleet if NOW - moment_of(str(machine["lastSeen"])) > 7 * DAY}
    assert silent == {machine["id"] for machine in fleet if machine["healthStatus"] == "Inactive"}


def test_every_machine_was_first_seen_before_it_was_last_seen(fleet: list[Machine]) -> None:
    assert all(str(machine["firstSeen"]) < str(machine["lastSeen"]) for machine in fleet)


def test_merged_machines_point_to_another_machine_of_the_same_name(fleet: list[Machine]) -> None:
    names = {machine["id"]: machine["computerDnsName"] for machine in fleet}
    merged = [machine for machine in fleet if machine["mergedIntoMachineId"]]
    assert merged
    assert all(names[machine["mergedIntoMachineId"]] == machine["computerDnsName"] for machine in merged)


def test_some_names_belong_to_two_machines_that_are_not_merged(fleet: list[Machine]) -> None:
    names = Counter(machine["computerDnsName"] for machine in fleet if machine["mergedIntoMachineId"] is None)
    assert max(names.values()) > 1


def test_some_machines_carry_tags(fleet: list[Machine]) -> None:
    assert 0.3 * COUNT < sum(bool(machine["machineTags"]) for machine in fleet) < 0.7 * COUNT


def test_each_pair_becomes_a_healthy_machine_that_can_be_offboarded() -> None:
    pairs = [("A" * 40, "pc-1"), ("b" * 40, None), (None, "pc-3")]
    machines = [complete(machine) for machine in fleet_of(pairs, 0, NOW)]
    tenant = Tenant(machines)
    assert [machine["computerDnsName"] for machine in machines] == ["pc-1", f"pc-{'b' * 10}.contoso.example", "pc-3"]
    assert [tenant.offboard(str(machine["id"]), "x", NOW).machine_id for machine in machines][:2] == [
        "a" * 40,
        "b" * 40,
    ]


def test_a_missing_id_is_the_hash_of_the_name_in_any_case() -> None:
    ids = {str(fleet_of([(None, name)], 0, NOW)[0]["id"]) for name in ("PC-3", "pc-3")}
    assert ids == {"dfc2150aced085d8c74c6b418fa199935d7c0caf"}


@given(
    st.lists(
        st.tuples(
            st.none() | st.sampled_from(["a" * 40, "A" * 40, "b" * 40]), st.none() | st.sampled_from(["x", "X", "y"])
        )
    )
)
def test_no_pairs_make_an_id_twice_or_a_name_ambiguous_that_stands_alone(
    pairs: list[tuple[str | None, str | None]],
) -> None:
    machines = fleet_of(pairs, 0, NOW, extra=5)
    assert len({machine["id"] for machine in machines}) == len(machines)
    names = Counter(str(machine["computerDnsName"]).lower() for machine in machines)
    given_ids = {device_id.lower() for device_id, _ in pairs if device_id}
    alone = {name.lower() for device_id, name in pairs if name and not device_id}
    with_ids = Counter(str(machine["computerDnsName"]).lower() for machine in machines if machine["id"] in given_ids)
    assert all(names[name] == max(1, with_ids[name]) for name in alone)


def test_extra_machines_come_besides_and_take_nobodys_name() -> None:
    invented = generate_fleet(50, 1, NOW)
    pairs = [(None, str(invented[0]["computerDnsName"]))]
    machines = fleet_of(pairs, 1, NOW, extra=50)
    assert len(machines) == 51
    assert [machine["computerDnsName"] for machine in machines].count(invented[0]["computerDnsName"]) == 1
