"""Finding the tenant's devices by ID, name and open action, with their cautions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.devices import same_name
from batch_offboard.core.facts import Caution
from batch_offboard.core.fleet import Fleet, is_onboarded
from batch_offboard.core.platforms import Platforms
from batch_offboard.core.tenant import Machine, MachineAction
from batch_offboard.defender.protocol.machines import machine_of

ONE, TWO = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0", "b3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
THREE = "c3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
NOW = 1_795_509_000.0  # 2026-11-24 08:30:00 UTC


def machine(device_id: str = ONE, name: str | None = "lt-1.contoso.example", **more: Any) -> Machine:
    shown = {"id": device_id, "computerDnsName": name, "osPlatform": "Windows11", "onboardingStatus": "Onboarded"}
    found = machine_of(shown | more)
    assert found is not None
    return found


def action(status: str, device_id: str = ONE, action_id: str = "x-1") -> MachineAction:
    return MachineAction(action_id, status, device_id, "", "somebody", NOW - 60, NOW - 60)


def fleet(*machines: Machine, actions: tuple[MachineAction, ...] = ()) -> Fleet:
    return Fleet(machines, actions, NOW)


def names_found(tenant: Fleet, name: str) -> list[str]:
    return [found.device_id for found in tenant.named(name)]


def test_a_device_is_found_by_its_id() -> None:
    tenant = fleet(machine(ONE, "lt-1"), machine(TWO, "lt-2"))
    assert tenant.find(TWO) == machine(TWO, "lt-2")
    assert tenant.find(THREE) is None


def test_the_platforms_are_those_of_the_standard_unless_others_are_asked_for() -> None:
    assert fleet().platforms is Platforms.STANDARD
    assert Fleet((), (), NOW, Platforms.MACOS_LINUX).platforms is Platforms.MACOS_LINUX


def test_how_many_devices_there_are_and_how_many_of_them_have_a_sensor() -> None:
    tenant = fleet(
        machine(ONE),
        machine(TWO, onboardingStatus="CanBeOnboarded"),
        machine(THREE, mergedIntoMachineId=ONE),
        machine("d" * 40, onboardingStatus=None),
        machine("d" * 40, onboardingStatus=None),
    )
    assert (tenant.size, tenant.onboarded) == (4, 2)
    assert tenant.as_json() == {"devices": 4, "onboarded": 2}


@pytest.mark.parametrize(
    ("status", "onboarded"),
    [
        ("Onboarded", True),
        ("onboarded", True),
        ("", True),
        ("CanBeOnboarded", False),
        ("Unsupported", False),
        ("InsufficientInfo", False),
        ("NeverHeardOf", False),
    ],
)
def test_onboarded(status: str, onboarded: bool) -> None:
    assert is_onboarded(machine(onboardingStatus=status)) is onboarded


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lt-1", [ONE]),
        ("LT-1", [ONE]),
        ("lt-1.contoso.example", [ONE]),
        ("LT-1.Contoso.Example", [ONE]),
        (" lt-1 ", [ONE]),
        ("ｌｔ-1", [ONE]),
        ("lt-1.fabrikam.example", []),
        ("lt-1.contoso", []),
        ("lt", []),
        ("lt-10", []),
        ("short", [TWO]),
        ("short.contoso.example", [TWO]),
        ("Mu\u0308ller-PC", [THREE]),
        ("MÜLLER-pc", [THREE]),
        ("", []),
        (" ", []),
        (".", []),
    ],
)
def test_a_name_means_a_device_with_or_without_its_domain(name: str, found: list[str]) -> None:
    tenant = fleet(machine(ONE), machine(TWO, "SHORT"), machine(THREE, "müller-pc.contoso.example"))
    assert names_found(tenant, name) == found


def test_a_name_without_a_domain_means_a_device_of_every_domain() -> None:
    tenant = fleet(machine(ONE, "lt-1.a.example"), machine(TWO, "lt-1.b.example"), machine(THREE, "lt-1"))
    assert names_found(tenant, "lt-1") == [ONE, TWO, THREE]
    assert names_found(tenant, "lt-1.a.example") == [ONE, THREE]


def test_a_merged_record_still_has_its_name() -> None:
    tenant = fleet(machine(ONE), machine(TWO, mergedIntoMachineId=ONE))
    assert names_found(tenant, "lt-1") == [ONE, TWO]


def test_devices_without_a_name_are_found_by_none() -> None:
    tenant = fleet(machine(ONE, None), machine(TWO, ""))
    assert names_found(tenant, "") == []
    assert names_found(tenant, "lt-1") == []


NAMES = st.lists(st.sampled_from(["lt", "LT", "ﬂ", "fl", "ß", "ss", ".", "․", "a", " ", ""]), max_size=4).map("".join)


@given(st.lists(NAMES, max_size=8), NAMES)
def test_a_name_finds_exactly_the_devices_that_it_can_mean(names: list[str], name: str) -> None:
    machines = [machine(f"{number:040x}", each) for number, each in enumerate(names)]
    assert fleet(*machines).named(name) == [each for each in machines if same_name(name, each.name)]


@pytest.mark.parametrize(
    ("status", "is_open"),
    [
        ("Pending", True),
        ("InProgress", True),
        ("Dreaming", True),
        ("", True),
        ("Succeeded", False),
        ("Failed", False),
        ("TimeOut", False),
        ("Cancelled", False),
        ("CANCELLED", False),
    ],
)
def test_an_action_is_open_until_it_is_final(status: str, is_open: bool) -> None:
    tenant = fleet(machine(ONE), actions=(action(status),))
    assert tenant.open_action(ONE) == (action(status) if is_open else None)
    assert tenant.open_action(TWO) is None


def test_a_final_action_does_not_hide_an_open_one() -> None:
    for actions in [("Failed", "Pending"), ("Pending", "Failed"), ("Pending", "Succeeded"), ("Succeeded", "Pending")]:
        found = fleet(machine(ONE), actions=tuple(action(each, action_id=each) for each in actions)).open_action(ONE)
        assert found is not None
        assert found.id == "Pending"


def test_an_action_that_names_no_device_is_nobodys() -> None:
    tenant = fleet(machine(ONE), actions=(action("Pending", ""),))
    assert tenant.open_action(ONE) is None


def test_cautions_go_by_the_words_that_a_batch_keeps() -> None:
    assert [*Caution] == ["seen_recently", "inactive", "defender_for_cloud", "offboarded_before", "sent_again"]


SEEN_NOW, SEEN_LONG_AGO = "2026-11-24T08:00:00Z", "2026-10-01T08:00:00Z"
CAUTIONS = [
    pytest.param({"lastSeen": SEEN_LONG_AGO}, (), id="nothing to say"),
    pytest.param({"lastSeen": SEEN_NOW}, (Caution.SEEN_RECENTLY,), id="seen half an hour ago"),
    pytest.param({"lastSeen": "2026-11-17T08:30:00Z"}, (Caution.SEEN_RECENTLY,), id="seen seven days ago"),
    pytest.param({"lastSeen": "2026-11-17T08:29:59Z"}, (), id="seen a second longer ago"),
    pytest.param({"lastSeen": "2026-12-24T08:30:00Z"}, (Caution.SEEN_RECENTLY,), id="seen in the future"),
    pytest.param({"lastSeen": None}, (), id="never seen"),
    pytest.param({"healthStatus": "Inactive"}, (Caution.INACTIVE,), id="inactive"),
    pytest.param({"healthStatus": "INACTIVE"}, (Caution.INACTIVE,), id="inactive in capitals"),
    pytest.param({"healthStatus": "NoSensorData"}, (), id="no sensor data"),
    pytest.param({"vmMetadata": {"vmId": "1"}}, (Caution.DEFENDER_FOR_CLOUD,), id="in Defender for Cloud"),
    pytest.param(
        {"lastSeen": SEEN_NOW, "healthStatus": "Inactive", "vmMetadata": {"vmId": "1"}},
        (Caution.SEEN_RECENTLY, Caution.INACTIVE, Caution.DEFENDER_FOR_CLOUD),
        id="all at once",
    ),
]


@pytest.mark.parametrize(("shown", "cautions"), CAUTIONS)
def test_caution(shown: dict[str, Any], cautions: tuple[Caution, ...]) -> None:
    device = machine(ONE, **shown)
    assert fleet(device).cautions(device) == cautions


@pytest.mark.parametrize(
    ("statuses", "cautions"),
    [
        (("Succeeded",), (Caution.OFFBOARDED_BEFORE,)),
        (("succeeded",), (Caution.OFFBOARDED_BEFORE,)),
        (("Succeeded", "Failed"), (Caution.OFFBOARDED_BEFORE,)),
        (("Failed",), ()),
        (("TimeOut",), ()),
        (("Cancelled",), ()),
        (("Pending",), ()),
        (("Dreaming",), ()),
        ((), ()),
    ],
)
def test_a_device_that_was_offboarded_before_is_back(statuses: tuple[str, ...], cautions: tuple[Caution, ...]) -> None:
    device = machine(ONE)
    tenant = fleet(device, machine(TWO), actions=tuple(action(status) for status in statuses))
    assert tenant.cautions(device) == cautions
    assert tenant.cautions(machine(TWO)) == ()
