"""What each guard refuses and permits, on both sides of its limit, and that only guards create a clearance."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from batch_offboard.base.errors import BatchOffboardError
from batch_offboard.core.guards import (
    PORTAL_COLUMNS,
    PORTAL_SIGNS,
    SMALLEST_FLEET,
    Clearance,
    GuardLimits,
    Situation,
    clear,
    cleared_before,
    refusal_text,
)
from batch_offboard.core.protected import Protected, parse_protected

DEVICE = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
LIMITS = GuardLimits(max_devices=500, max_devices_per_day=500, max_fleet_percent=20.0)
OPEN = GuardLimits(max_devices=None, max_devices_per_day=None, max_fleet_percent=100.0)


def situation(**changes: Any) -> Situation:
    """A small run in a tenant of 10,000 devices."""
    facts: dict[str, Any] = {
        "batch_id": "20261124-0815-kqzt",
        "devices": 10,
        "sent_today": 0,
        "onboarded": 10_000,
        "known": 11_000,
        "matched": 10,
        "columns": ("Device ID", "Owner"),
        "has_comment": True,
        "protected": Protected(),
    }
    return Situation(**(facts | changes))


def refusals(found: Situation, limits: GuardLimits = LIMITS) -> dict[str, str]:
    """The guards that refuse, each with its sentence."""
    cleared = clear(found, limits)
    return {} if isinstance(cleared, Clearance) else {each.guard: f"{each.why} {each.remedy}" for each in cleared}


def test_a_small_run_is_cleared_for_its_batch_and_with_its_list() -> None:
    listed = parse_protected(DEVICE)
    cleared = clear(situation(protected=listed), LIMITS)
    assert isinstance(cleared, Clearance)
    assert (cleared.batch_id, cleared.protected) == ("20261124-0815-kqzt", listed)


@pytest.mark.parametrize("devices", [0, 499, 500])
def test_a_run_within_max_devices_is_allowed(devices: int) -> None:
    assert refusals(situation(devices=devices)) == {}


def test_a_run_of_one_device_more_is_refused_with_what_would_allow_it() -> None:
    assert refusals(situation(devices=501)) == {
        "max_devices": "Batch 20261124-0815-kqzt would offboard 501 devices, but guards.max_devices allows 500. If "
        "all of them are meant, run it with --max-devices 501."
    }


@pytest.mark.parametrize(("devices", "sent_today", "refused"), [(100, 400, False), (101, 400, True), (1, 500, True)])
def test_the_days_limit_counts_what_other_runs_have_sent(devices: int, sent_today: int, refused: bool) -> None:
    said = refusals(situation(devices=devices, sent_today=sent_today))
    assert list(said) == (["max_devices_per_day"] if refused else [])
    if refused:
        sentence = said["max_devices_per_day"]
        assert f"With the {sent_today} devices of the last 24 hours" in sentence
        assert f"would make {devices + sent_today} devices" in sentence
        assert "guards.max_devices_per_day allows 500" in sentence
        assert f"--max-devices {devices}" in sentence


def test_the_days_limit_holds_for_the_first_run_of_a_day_as_well() -> None:
    limits = replace(LIMITS, max_devices_per_day=50)
    assert refusals(situation(devices=50), limits) == {}
    said = refusals(situation(devices=51), limits)
    assert list(said) == ["max_devices_per_day"]
    assert "would make 51 devices in 24 hours, but guards.max_devices_per_day allows 50" in said["max_devices_per_day"]


@pytest.mark.parametrize(("devices", "refused"), [(20, False), (21, True)])
def test_a_share_of_the_tenant_is_refused_with_the_share_that_would_be_needed(devices: int, refused: bool) -> None:
    said = refusals(situation(devices=devices, onboarded=SMALLEST_FLEET))
    assert list(said) == (["max_fleet_percent"] if refused else [])
    if refused:
        assert "21 of the tenant's 100 onboarded devices" in said["max_fleet_percent"]
        assert "guards.max_fleet_percent allows 20 %" in said["max_fleet_percent"]
        assert "set guards.max_fleet_percent to 21." in said["max_fleet_percent"]


@pytest.mark.parametrize("percent", range(1, 101))
def test_exactly_the_share_that_is_allowed_is_allowed(percent: int) -> None:
    """29 % of 100 is 28.999999999999996 to a computer that multiplies in the wrong order."""
    assert refusals(situation(devices=percent, onboarded=100), replace(LIMITS, max_fleet_percent=float(percent))) == {}


@pytest.mark.parametrize("onboarded", [None, SMALLEST_FLEET - 1])
def test_a_share_of_a_small_or_unknown_tenant_says_nothing(onboarded: int | None) -> None:
    assert refusals(situation(devices=99, onboarded=onboarded)) == {}


PORTAL = tuple(sorted(PORTAL_COLUMNS))


@pytest.mark.parametrize(
    ("known", "matched", "columns", "refused"),
    [
        (1000, 900, ("Device ID",), True),  # nine tenths of the tenant, with any columns
        (1000, 899, ("Device ID",), False),
        (100, 90, ("Device ID",), True),
        (99, 99, ("Device ID",), False),  # a small tenant may be offboarded completely
        (99, 99, PORTAL[:PORTAL_SIGNS], True),  # unless the sheet is the portal's own export
        (99, 99, PORTAL[: PORTAL_SIGNS - 1], False),
        (5, 5, PORTAL, True),
        (4, 4, PORTAL, False),
        (99, 89, PORTAL, False),
        (None, 0, PORTAL, False),
    ],
)
def test_a_sheet_that_holds_the_whole_tenant_is_refused(
    known: int | None, matched: int, columns: tuple[str, ...], refused: bool
) -> None:
    said = refusals(situation(devices=5, known=known, matched=matched, columns=columns))
    assert list(said) == (["whole_tenant"] if refused else [])
    if refused:
        assert f"contains {matched} of the tenant's {known} devices" in said["whole_tenant"]
        assert said["whole_tenant"].endswith("Make a sheet that lists only the devices to be offboarded.")


def test_more_devices_than_are_onboarded_are_no_more_than_all() -> None:
    said = refusals(situation(devices=300, onboarded=200, known=1000))
    assert said["max_fleet_percent"].endswith("set guards.max_fleet_percent to 100.")


def test_the_last_days_devices_are_told_only_where_there_are_some() -> None:
    limits = GuardLimits(None, 5, 100.0)
    for sent, begins in ((0, "Batch 2026"), (3, "With the 3 devices of the last 24 hours, batch 2026")):
        said = refusals(situation(devices=10, sent_today=sent), limits)
        assert said["max_devices_per_day"].startswith(begins)


def test_headers_of_the_portal_are_known_in_any_case() -> None:
    columns = tuple(f" {name.upper()} " for name in PORTAL)
    assert "whole_tenant" in refusals(situation(devices=5, known=50, matched=50, columns=columns))


# As the reference of the portal's export lists them, and as the file has them.
EXPORTED = (
    "Device ID", "Device name", "Domain", "First Seen", "Last device update", "OS Platform", "OS Distribution",
    "OS Version", "OS Build", "Windows 10 Version", "Tags", "Group", "Is AAD Joined", "Device IPs", "Risk Level",
    "Exposure Level", "Health Status", "Onboarding Status", "Device Role", "Managed By", "Antivirus status",
    "Criticality level", "Device category", "Device type", "Device subtype", "Vendor", "Model", "Mitigation status",
)  # fmt: skip


@pytest.mark.parametrize("place", range(len(EXPORTED)))
def test_any_six_headers_of_the_portal_make_an_export_and_five_do_not(place: int) -> None:
    six = tuple((EXPORTED * 2)[place : place + 6])
    assert "whole_tenant" in refusals(situation(devices=5, known=50, matched=50, columns=six))
    assert refusals(situation(devices=5, known=50, matched=50, columns=six[:5])) == {}


def test_whoever_allows_the_whole_share_means_the_whole_tenant() -> None:
    limits = GuardLimits(None, None, 100.0)
    assert refusals(situation(devices=1000, onboarded=1000, known=1000, matched=1000), limits) == {}


def test_a_sheet_of_the_whole_tenant_without_a_device_to_send_is_nothing_to_refuse() -> None:
    assert refusals(situation(devices=0, known=1000, matched=1000)) == {}


@pytest.mark.parametrize(
    ("text", "known", "refused"),
    [
        (DEVICE, None, False),
        ("dc-*", None, True),
        ("tag: vip", None, True),
        ("group: Servers", None, True),
        ("dc-*", 11_000, False),
        ("tag: vip", 11_000, False),
    ],
)
def test_a_list_that_needs_the_tenant_is_refused_without_it(text: str, known: int | None, refused: bool) -> None:
    found = situation(protected=parse_protected(text), known=known, onboarded=known)
    said = refusals(found)
    assert list(said) == (["protected"] if refused else [])
    assert not refused or "guards.protected has rules by name, tag or group" in said["protected"]


@pytest.mark.parametrize(("has_comment", "required", "refused"), [(False, True, True), (True, True, False)])
def test_a_comment_can_be_asked_for(has_comment: bool, required: bool, refused: bool) -> None:
    said = refusals(situation(has_comment=has_comment), replace(LIMITS, require_comment=required))
    assert list(said) == (["require_comment"] if refused else [])
    assert not refused or "--comment" in said["require_comment"]


def test_a_comment_is_not_asked_for_unless_somebody_wants_it() -> None:
    assert refusals(situation(has_comment=False)) == {}


def test_every_guard_that_refuses_says_so_at_once() -> None:
    found = situation(devices=900, sent_today=1, onboarded=1000, known=1000, matched=1000, has_comment=False)
    said = refusals(found, replace(LIMITS, require_comment=True))
    expected = {"max_devices", "max_devices_per_day", "max_fleet_percent", "whole_tenant", "require_comment"}
    assert set(said) == expected


# -- the only way to a clearance --


def test_nobody_but_the_guards_gives_a_clearance() -> None:
    for seal in (None, object(), True, "seal"):
        with pytest.raises(BatchOffboardError, match="Only the guards"):
            Clearance("20261124-0815-kqzt", Protected(), seal=seal)


def test_a_clearance_cannot_be_changed_to_protect_less() -> None:
    cleared = cleared_before("20261124-0815-kqzt", parse_protected(DEVICE))
    with pytest.raises(AttributeError):
        cleared.protected = Protected()  # type: ignore[misc]  # that is the fact
    with pytest.raises(AttributeError):
        cleared.other = 1  # type: ignore[attr-defined]  # that is the fact
    assert cleared.protected.why(DEVICE, "", None) == DEVICE


# -- what holds for every situation --

SITUATIONS = st.builds(
    situation,
    devices=st.integers(0, 5000),
    sent_today=st.integers(0, 5000),
    onboarded=st.none() | st.integers(0, 5000),
    known=st.none() | st.integers(0, 5000),
    matched=st.integers(0, 5000),
    columns=st.sets(st.sampled_from([*PORTAL, "Owner"])).map(tuple),
    has_comment=st.booleans(),
    protected=st.sampled_from([Protected(), parse_protected(DEVICE), parse_protected("dc-*")]),
)
LIMITING = st.builds(
    GuardLimits,
    st.none() | st.integers(1, 5000),
    st.none() | st.integers(1, 5000),
    st.floats(0.01, 100),
    st.booleans(),
)


@given(SITUATIONS, LIMITING)
def test_a_clearance_is_given_only_within_every_limit(found: Situation, limits: GuardLimits) -> None:
    if not isinstance(clear(found, limits), Clearance):
        return
    assert limits.max_devices is None or found.devices <= limits.max_devices
    assert limits.max_devices_per_day is None or found.devices + found.sent_today <= limits.max_devices_per_day
    large = found.onboarded is not None and found.onboarded >= SMALLEST_FLEET
    assert not large or found.devices * 100 <= limits.max_fleet_percent * (found.onboarded or 0) * (1 + 1e-12)
    assert found.has_comment or not limits.require_comment
    assert found.known is not None or not found.protected.needs_lookup


@given(SITUATIONS, LIMITING)
def test_whoever_does_what_the_sentences_say_is_let_through(found: Situation, limits: GuardLimits) -> None:
    """`--max-devices N` sets both limits, the percentage is the one named, the rest is provided."""
    for _ in range(3):
        cleared = clear(found, limits)
        if isinstance(cleared, Clearance):
            return
        for refusal in cleared:
            if refusal.guard in ("max_devices", "max_devices_per_day"):
                named = re.findall(r"--max-devices (\d+)", refusal.remedy)
                if named:
                    limits = replace(limits, max_devices=int(named[0]), max_devices_per_day=None)
                else:
                    found = replace(found, known=5001, onboarded=5001, matched=found.devices)
            elif refusal.guard == "whole_tenant":
                found = replace(found, matched=0)
            elif refusal.guard == "max_fleet_percent":
                percent = float(re.findall(r"set guards\.max_fleet_percent to (\d+)", refusal.remedy)[0])
                limits = replace(limits, max_fleet_percent=max(percent, limits.max_fleet_percent))
            elif refusal.guard == "require_comment":
                found = replace(found, has_comment=True)
            else:
                found = replace(found, known=found.matched + 1)
    # More devices than the tenant has onboarded can only be the whole of it.
    assume(found.onboarded is None or found.devices <= found.onboarded)
    assert isinstance(clear(found, limits), Clearance)


@given(SITUATIONS, LIMITING)
def test_a_refusal_gives_every_reason_before_the_first_remedy(found: Situation, limits: GuardLimits) -> None:
    cleared = clear(found, limits)
    assume(not isinstance(cleared, Clearance))
    assert isinstance(cleared, list)
    text = refusal_text(cleared)
    reasons, _, remedies = text.partition(" Nothing was sent. ")
    assert reasons == " ".join(each.why for each in cleared)
    assert "--max-devices" not in reasons
    assert "set guards" not in reasons
    assert remedies


@given(SITUATIONS, LIMITING)
def test_nobody_is_helped_to_offboard_what_looks_like_the_whole_inventory(
    found: Situation, limits: GuardLimits
) -> None:
    cleared = clear(found, limits)
    assume(not isinstance(cleared, Clearance))
    assert isinstance(cleared, list)
    an_export = len({column for column in found.columns if column in PORTAL_COLUMNS}) >= PORTAL_SIGNS
    unseen = found.known is None and found.onboarded is None and an_export
    assume(unseen or any(each.guard == "whole_tenant" for each in cleared))
    text = refusal_text(cleared)
    assert "--max-devices" not in text
    assert "set guards" not in text


@given(SITUATIONS, LIMITING)
def test_fewer_devices_are_never_refused_where_more_are_allowed(found: Situation, limits: GuardLimits) -> None:
    assume(found.devices > 0)
    if isinstance(clear(found, limits), Clearance):
        assert isinstance(clear(replace(found, devices=found.devices - 1), limits), Clearance)
