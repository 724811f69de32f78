"""The decision on each row by the tenant's data about its device."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.core.devices import same_name
from batch_offboard.core.facts import Caution, CautionCount, DeviceFacts, count_cautions
from batch_offboard.core.fleet import Fleet
from batch_offboard.core.plan import Decision, Known, PlannedRow, Planner, Reason, came_back, judge_machine
from batch_offboard.core.platforms import Platforms
from batch_offboard.core.rows import CellKind, NotText, SourceRow
from batch_offboard.core.tenant import Machine, MachineAction
from batch_offboard.defender.protocol.machines import machine_of

ONE, TWO = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0", "b3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
THREE = "c3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
NOW = 1_795_509_000.0  # 2026-11-24 08:30:00 UTC
DAY = 86_400.0
ACCEPTED, ENDED = NOW - 20 * DAY, NOW - 19 * DAY  # 2026-11-04 and 2026-11-05, 08:30:00 UTC
EARLIER = {ONE: Known(Reason.ALREADY_OFFBOARDED, "20261101-0800-abcd", 7, "action-1", ACCEPTED, ENDED)}
UNSEEN = {"lastSeen": "2026-11-05T08:29:59Z"}  # since the action ended

Cell = str | NotText


def machine(device_id: str = ONE, name: str | None = "lt-1.contoso.example", **more: Any) -> Machine:
    shown = {"id": device_id, "computerDnsName": name, "osPlatform": "Windows11", "osBuild": 26100}
    found = machine_of(shown | {"onboardingStatus": "Onboarded", "healthStatus": "Active"} | more)
    assert found is not None
    return found


def action(status: str = "Pending", device_id: str = ONE, requestor: str = "Ann") -> MachineAction:
    return MachineAction("x-1", status, device_id, "", requestor, NOW - 60, NOW - 60)


def planned(
    tenant: Fleet, *rows: tuple[Cell, str], known: dict[str, Known] | None = None
) -> tuple[list[PlannedRow], Planner]:
    planner = Planner(known or {}, tenant)
    return [planner.decide(SourceRow(n, device, name, (name,))) for n, (device, name) in enumerate(rows, 2)], planner


def cautions(rows: list[PlannedRow], planner: Planner) -> dict[Caution, CautionCount]:
    """The rows that become jobs."""
    sent = jobs(rows, planner)
    return count_cautions((row.row, row.facts.cautions) for row in rows if row.row in sent and row.facts)


def decided(tenant: Fleet, device: Cell, name: str = "", **more: Any) -> tuple[Reason | None, str, str]:
    row = planned(tenant, (device, name), **more)[0][0]
    return row.reason, row.detail, row.device_id


def fleet(*machines: Machine, actions: tuple[MachineAction, ...] = (), **more: Any) -> Fleet:
    return Fleet(machines, actions, NOW, **more)


DECISIONS = [
    # the tenant's data, why the device is not offboarded, the message
    pytest.param({}, None, "", id="nothing speaks against it"),
    pytest.param({"onboardingStatus": None}, None, "", id="it does not say whether it is onboarded"),
    pytest.param({"healthStatus": "Inactive"}, None, "", id="inactive is no refusal"),
    pytest.param({"lastSeen": "2026-11-24T08:29:00Z"}, None, "", id="seen a minute ago is no refusal"),
    pytest.param({"vmMetadata": {"vmId": "1"}}, None, "", id="Defender for Cloud is no refusal"),
    pytest.param({"computerDnsName": None}, None, "", id="no name"),
    pytest.param(
        {"mergedIntoMachineId": TWO},
        Reason.MERGED,
        f"The tenant has merged this record into device {TWO}.",
        id="merged",
    ),
    *[
        pytest.param(
            {"onboardingStatus": status},
            Reason.NOT_ONBOARDED,
            f"Defender reports this device as {status}.",
            id=status,
        )
        for status in ("CanBeOnboarded", "Unsupported", "InsufficientInfo", "NeverHeardOf")
    ],
    pytest.param(
        {"osPlatform": "Windows7"}, Reason.UNSUPPORTED_OS, "The API does not accept Windows7.", id="an old platform"
    ),
    pytest.param(
        {"osPlatform": "macOS"},
        Reason.UNSUPPORTED_OS,
        "macOS is sent only with lookup.platforms: macos_linux.",
        id="a platform behind a setting",
    ),
    pytest.param(
        {"osPlatform": "Windows10", "osBuild": 14393},
        Reason.UNSUPPORTED_OS,
        "Build 14393 is older than Windows 10 version 1703.",
        id="an old build",
    ),
    pytest.param(
        {"osPlatform": None},
        Reason.UNSUPPORTED_OS,
        "The tenant does not say which platform this device has.",
        id="no platform",
    ),
]


@pytest.mark.parametrize(("shown", "reason", "detail"), DECISIONS)
def test_decision(shown: dict[str, Any], reason: Reason | None, detail: str) -> None:
    tenant = fleet(machine(**shown), machine(TWO, "lt-2"))
    assert decided(tenant, ONE) == (reason, detail, ONE)
    assert decided(tenant, TWO) == (None, "", TWO)


@pytest.mark.parametrize("platforms", Platforms)
def test_the_platforms_of_the_setting_are_taken(platforms: Platforms) -> None:
    tenant = fleet(machine(osPlatform="Linux"), platforms=platforms)
    assert (decided(tenant, ONE)[0] is None) == (platforms is Platforms.MACOS_LINUX)


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (action(), "An offboard action of this device by Ann is already Pending: machine action x-1."),
        (action("Dreaming"), "An offboard action of this device by Ann is already Dreaming: machine action x-1."),
        (action("", requestor=""), "An offboard action of this device is already open: machine action x-1."),
        (
            action(requestor="a\x1b[2J"),
            "An offboard action of this device by a\\x1b[2J is already Pending: machine action x-1.",
        ),
    ],
)
def test_an_open_action_of_anybody_stands_in_the_way(found: MachineAction, detail: str) -> None:
    assert decided(fleet(machine(), actions=(found,)), ONE) == (Reason.ALREADY_PENDING, detail, ONE)


@pytest.mark.parametrize("status", ["Succeeded", "Failed", "TimeOut", "Cancelled"])
def test_a_final_action_does_not_stand_in_the_way(status: str) -> None:
    assert decided(fleet(machine(), actions=(action(status),)), ONE)[0] is None


def test_a_device_that_the_tenant_does_not_have_is_not_found() -> None:
    assert decided(fleet(machine(TWO)), ONE, "lt-1") == (Reason.NOT_FOUND, f"The tenant has no device {ONE}.", ONE)


def test_a_tenant_without_devices_has_none_of_the_sheets() -> None:
    assert decided(fleet(), ONE)[0] is Reason.NOT_FOUND
    assert decided(fleet(), "", "lt-1")[0] is Reason.NOT_FOUND


# Everything that can be wrong at once, in the order in which it is reported; each is corrected after the previous one.
WRONGS: list[tuple[Reason, dict[str, Any]]] = [
    (Reason.NAME_MISMATCH, {"name": "lt-1.contoso.example"}),
    (Reason.ALREADY_OFFBOARDED, {"known": {}}),
    (Reason.MERGED, {"mergedIntoMachineId": None}),
    (Reason.NOT_ONBOARDED, {"onboardingStatus": "Onboarded"}),
    (Reason.UNSUPPORTED_OS, {"osPlatform": "Windows11"}),
    (Reason.ALREADY_PENDING, {"status": "Failed"}),
]


def test_the_order_in_which_reasons_are_looked_for() -> None:
    state: dict[str, Any] = {"name": "lt-9", "known": EARLIER, "status": "Pending"}
    state |= {"mergedIntoMachineId": TWO, "onboardingStatus": "Unsupported", "osPlatform": "Windows7"}
    found = []
    for _, remedy in [*WRONGS, (None, {})]:
        shown = {key: state[key] for key in ("mergedIntoMachineId", "onboardingStatus", "osPlatform")}
        tenant = fleet(machine(name=state["name"], **UNSEEN, **shown), actions=(action(state["status"]),))
        found.append(decided(tenant, ONE, "lt-1", known=state["known"])[0])
        state |= remedy
    assert found == [*(reason for reason, _ in WRONGS), None]


def test_what_the_journal_knows_is_said_even_of_a_device_that_the_tenant_does_not_have_any_more() -> None:
    assert decided(fleet(), ONE, known=EARLIER) == (
        Reason.ALREADY_OFFBOARDED,
        "Accepted earlier in batch 20261101-0800-abcd, row 7, machine action action-1.",
        ONE,
    )


# -- devices that came back --

SEEN = {"lastSeen": "2026-11-24T08:00:00Z"}  # long since
PENDING_EARLIER = {ONE: replace(EARLIER[ONE], ended_at=None)}
PENDING_JUST_NOW = {ONE: replace(EARLIER[ONE], ended_at=None, accepted_at=NOW - DAY)}


def test_a_device_that_was_seen_since_it_was_offboarded_is_sent_again_with_a_warning() -> None:
    rows, planner = planned(fleet(machine(**SEEN), actions=(action("Succeeded"),)), (ONE, ""), known=EARLIER)
    note = (
        "Offboarded on 2026-11-05 (batch 20261101-0800-abcd, row 7), back since 2026-11-24 at the latest; sent again."
    )
    assert (rows[0].reason, rows[0].detail) == (None, note)
    assert cautions(rows, planner).keys() == {Caution.SEEN_RECENTLY, Caution.SENT_AGAIN}


@pytest.mark.parametrize(
    ("known", "shown", "reason"),
    [
        pytest.param(EARLIER, UNSEEN, Reason.ALREADY_OFFBOARDED, id="not seen since"),
        pytest.param(EARLIER, {"lastSeen": "2026-11-05T08:30:00Z"}, Reason.ALREADY_OFFBOARDED, id="seen as it ended"),
        pytest.param(EARLIER, {"lastSeen": "2026-11-05T08:30:00.5Z"}, None, id="seen just after it ended"),
        pytest.param(EARLIER, SEEN | {"healthStatus": "Inactive"}, None, id="seen since, and silent by now"),
        pytest.param(EARLIER, SEEN | {"onboardingStatus": "CanBeOnboarded"}, Reason.ALREADY_OFFBOARDED, id="no sensor"),
        pytest.param(EARLIER, SEEN | {"mergedIntoMachineId": TWO}, Reason.MERGED, id="back, and merged"),
        pytest.param(EARLIER, SEEN | {"osPlatform": "Windows7"}, Reason.UNSUPPORTED_OS, id="back, and not supported"),
        pytest.param(EARLIER, {}, Reason.OFFBOARDED_BEFORE, id="the tenant does not say when it was seen"),
        pytest.param(EARLIER, {"healthStatus": "Inactive"}, Reason.ALREADY_OFFBOARDED, id="silent since whenever"),
        pytest.param(PENDING_EARLIER, SEEN, Reason.OFFBOARDED_BEFORE, id="its action's end is unknown"),
        pytest.param(PENDING_JUST_NOW, SEEN, Reason.ALREADY_OFFBOARDED, id="sent just now, and not listed yet"),
    ],
)
def test_what_the_tenant_says_now_decides(
    known: dict[str, Known], shown: dict[str, Any], reason: Reason | None
) -> None:
    assert decided(fleet(machine(**shown)), ONE, known=known)[0] is reason


@pytest.mark.parametrize("known", [{}, PENDING_EARLIER])
def test_an_action_that_a_reporting_device_has_not_taken_for_weeks_does_not_stand_in_the_way(
    known: dict[str, Known],
) -> None:
    old = replace(action(), created=ACCEPTED)
    row = planned(fleet(machine(**SEEN), actions=(old,)), (ONE, ""), known=known)[0][0]
    assert row.reason is None
    assert ("back since" if known else "Machine action x-1 is Pending since 2026-11-04") in row.detail
    assert row.detail.endswith("sent again.")


@pytest.mark.parametrize("shown", [{"lastSeen": "2026-11-10T08:00:00Z"}, {}])
def test_an_old_action_of_a_device_that_has_not_reported_waits_for_it(shown: dict[str, Any]) -> None:
    old = replace(action(), created=ACCEPTED)
    assert decided(fleet(machine(**shown), actions=(old,)), ONE)[0] is Reason.ALREADY_PENDING


def test_of_two_open_actions_the_newer_one_counts() -> None:
    old, new = replace(action(), created=ACCEPTED), replace(action(), id="x-2", created=NOW - DAY)
    for actions in ((old, new), (new, old)):
        assert decided(fleet(machine(**SEEN), actions=actions), ONE)[0] is Reason.ALREADY_PENDING


@given(
    st.floats(0, 60 * DAY),
    st.floats(0.001, 30 * DAY),
    st.sampled_from(["Active", "Inactive", "Unknown", ""]),
    st.sampled_from(["Onboarded", "onboarded", None]),
)
def test_a_device_that_is_onboarded_and_was_seen_after_its_action_ended_is_never_already_offboarded(
    ago: float, later: float, health: str, onboarding: str | None
) -> None:
    ended = NOW - ago
    seen = replace(machine(healthStatus=health, onboardingStatus=onboarding), last_seen=ended + later)
    known = {ONE: replace(EARLIER[ONE], accepted_at=ended - DAY, ended_at=ended)}
    reason, detail, _ = decided(fleet(seen), ONE, known=known)
    assert (reason, "back since" in detail) == (None, True)


@given(
    st.one_of(st.none(), st.floats(0, 2 * NOW)),
    st.floats(0, 2 * NOW),
    st.floats(0, 2 * NOW),
    st.sampled_from([(), (action(),), (replace(action(), created=None),)]),
)
def test_no_calendar_of_ours_makes_a_device_one_that_came_back(
    accepted: float | None, at: float, seen: float, actions: tuple[MachineAction, ...]
) -> None:
    """Our clock may be wrong by years; without a time of the server's clock nothing is sent again."""
    known = {ONE: replace(EARLIER[ONE], accepted_at=accepted, ended_at=None)}
    tenant = Fleet([replace(machine(), last_seen=seen)], actions, at)
    overdue = bool(actions) and actions[0].created is not None and seen > actions[0].created + 7 * DAY
    assert (decided(tenant, ONE, known=known)[0] is None) == overdue


# -- names --


@pytest.mark.parametrize("name", ["lt-1", "LT-1", "LT-1.Contoso.Example", "ｌｔ-1", "\u200blt-1 "])
def test_a_name_stands_for_the_one_device_that_has_it(name: str) -> None:
    tenant = fleet(machine(ONE), machine(TWO, "lt-2"))
    for blank in ("", " ", "\u00a0"):
        assert decided(tenant, blank, name) == (None, "", ONE)


def test_the_device_that_a_name_stands_for_is_judged_like_any_other() -> None:
    assert decided(fleet(machine(mergedIntoMachineId=TWO)), "", "lt-1")[0] is Reason.MERGED
    assert decided(fleet(machine(**UNSEEN)), "", "lt-1", known=EARLIER)[0] is Reason.ALREADY_OFFBOARDED


@pytest.mark.parametrize("name", ["lt-9", "lt", "lt-1.fabrikam.example", "."])
def test_a_name_that_no_device_has_is_not_found(name: str) -> None:
    assert decided(fleet(machine()), "", name) == (
        Reason.NOT_FOUND,
        f"The tenant has no device named {name}.",
        "",
    )


def test_a_name_that_several_devices_have_is_refused_with_the_candidates() -> None:
    tenant = fleet(machine(ONE), machine(TWO, "lt-1.fabrikam.example", healthStatus="Inactive"))
    assert decided(tenant, "", "lt-1") == (
        Reason.AMBIGUOUS_NAME,
        f"2 devices are named lt-1: {ONE} (Active), {TWO} (Inactive).",
        "",
    )
    assert decided(tenant, "", "lt-1.fabrikam.example") == (None, "", TWO)


def test_a_merged_record_makes_a_name_ambiguous_all_the_same() -> None:
    tenant = fleet(
        machine(ONE),
        machine(TWO, mergedIntoMachineId=ONE, healthStatus=None),
        machine(THREE, mergedIntoMachineId=ONE, healthStatus="Inactive"),
    )
    listed = f"{ONE} (Active), {TWO} (merged into another), {THREE} (Inactive, merged into another)"
    assert decided(tenant, "", "lt-1") == (Reason.AMBIGUOUS_NAME, f"3 devices are named lt-1: {listed}.", "")


def test_no_more_than_five_candidates_are_listed() -> None:
    machines = [machine(f"{number:040x}", healthStatus=None) for number in range(7)]
    listed = ", ".join(f"{number:040x}" for number in range(5))
    assert decided(fleet(*machines), "", "lt-1")[1] == f"7 devices are named lt-1: {listed} and 2 more."
    assert decided(fleet(*machines[:5]), "", "lt-1")[1] == f"5 devices are named lt-1: {listed}."


def test_a_formula_is_no_blank_cell_even_beside_a_name() -> None:
    assert decided(fleet(machine()), NotText(CellKind.FORMULA, ""), "lt-1")[0] is Reason.INVALID_ID
    assert decided(fleet(machine()), "x", "lt-1")[0] is Reason.INVALID_ID


def test_an_id_of_the_tenants_that_is_none_is_not_taken_for_a_name() -> None:
    assert decided(fleet(machine("../x")), "", "lt-1") == (
        Reason.INVALID_ID,
        "'../x' is not a device ID; a Defender device ID has 40 hexadecimal digits.",
        "../x",
    )


@pytest.mark.parametrize("name", ["", "lt-1", "LT-1.contoso.example"])
def test_an_id_and_a_name_that_agree_are_taken(name: str) -> None:
    assert decided(fleet(machine()), ONE, name) == (None, "", ONE)


@pytest.mark.parametrize(
    ("in_tenant", "in_row", "detail"),
    [
        (
            "lt-1.contoso.example",
            "lt-2",
            "The tenant calls this device lt-1.contoso.example, but the row says lt-2; correct one of them.",
        ),
        ("lt-2", "lt-1", "The tenant calls this device lt-2, but the row says lt-1; correct one of them."),
        (
            "lt-1.contoso.example",
            "lt-1.fabrikam",
            "The tenant calls this device lt-1.contoso.example, but the row says lt-1.fabrikam; correct one of them.",
        ),
        (None, "lt-1", "The tenant has no name for this device, but the row says lt-1; correct one of them."),
    ],
)
def test_an_id_and_a_name_that_disagree_are_refused(in_tenant: str | None, in_row: str, detail: str) -> None:
    assert decided(fleet(machine(name=in_tenant)), ONE, in_row) == (Reason.NAME_MISMATCH, detail, ONE)


def test_a_row_without_a_name_gets_the_tenants() -> None:
    rows, _ = planned(fleet(machine(), machine(TWO, "lt-2")), (ONE, ""), (TWO, "LT-2"), (THREE, ""))
    assert [row.device_name for row in rows] == ["lt-1.contoso.example", "LT-2", ""]


# -- several rows of one device --


def test_a_name_and_an_id_of_the_same_device_are_a_duplicate() -> None:
    for cells in [((ONE, ""), ("", "lt-1")), (("", "lt-1"), (ONE, "")), (("", "LT-1"), ("", "lt-1.contoso.example"))]:
        rows, planner = planned(fleet(machine()), *cells)
        assert [(row.reason, row.first_row, row.device_id) for row in rows] == [
            (None, None, ONE),
            (Reason.DUPLICATE, 2, ONE),
        ]
        assert list(planner.amendments()) == []


def test_a_later_row_whose_name_the_tenant_contradicts_is_refused_and_the_first_with_it() -> None:
    rows, planner = planned(fleet(machine()), (ONE, ""), (ONE, "lt-9"), (ONE, ""))
    assert [row.reason for row in rows] == [None, Reason.NAME_MISMATCH, Reason.NAME_MISMATCH]
    assert [row.detail for row in rows[1:]] == [
        "The tenant calls this device lt-1.contoso.example, but the row says lt-9; correct one of them.",
        "Row 3 gives the same device ID another name (lt-9); correct one of them.",
    ]
    assert [(each.row, each.reason, each.detail) for each in planner.amendments()] == [
        (2, Reason.NAME_MISMATCH, "Row 3 gives the same device ID another name (lt-9); correct one of them.")
    ]


def test_a_row_whose_name_is_wrong_casts_doubt_on_the_row_whose_name_is_right() -> None:
    for cells in [((ONE, "lt-1"), (ONE, "lt-9")), (("", "lt-1"), (ONE, "lt-9")), ((ONE, "lt-9"), ("", "lt-1"))]:
        rows, planner = planned(fleet(machine()), *cells)
        amended = {each.row for each in planner.amendments()}
        assert [row for row in rows if row.reason is None and row.row not in amended] == []
        assert Reason.DUPLICATE not in [row.reason for row in rows]


# -- cautions --

LIVELY = {"lastSeen": "2026-11-24T08:00:00Z"}


def test_what_is_worth_knowing_is_counted_once_for_each_device_with_the_first_rows() -> None:
    machines = [machine(f"{number + 1:039x}a", f"lt-{number}", **LIVELY) for number in range(5)]
    rows = [(each.device_id, "") for each in machines]
    assert cautions(*planned(fleet(*machines), *rows, *rows)) == {Caution.SEEN_RECENTLY: CautionCount(5, (2, 3, 4))}


def test_a_device_that_is_refused_is_not_counted() -> None:
    tenant = fleet(machine(mergedIntoMachineId=TWO, **LIVELY), machine(TWO, "lt-2", **LIVELY))
    assert cautions(*planned(tenant, (ONE, ""), (TWO, "lt-9"))) == {}


def test_every_caution_of_a_device_is_counted() -> None:
    device = machine(healthStatus="Inactive", vmMetadata={"vmId": "1"}, **LIVELY)
    assert cautions(*planned(fleet(device, actions=(action("Succeeded"),)), (ONE, ""))) == {
        caution: CautionCount(1, (2,)) for caution in Caution if caution is not Caution.SENT_AGAIN
    }


def test_every_row_of_a_known_device_keeps_what_the_tenant_says_of_it() -> None:
    known = machine(
        osPlatform="Windows11", rbacGroupName="Sales", machineTags=["a", "b"], lastSeen="2026-11-24T08:00:00Z"
    )
    rows, _ = planned(fleet(known), (ONE, ""), (ONE, ""), (ONE, "lt-9"), (TWO, ""), ("x", ""))
    facts = DeviceFacts("Windows11", "Sales", ("a", "b"), NOW - 1800, (Caution.SEEN_RECENTLY,))
    assert [row.facts for row in rows] == [facts, facts, facts, None, None]
    assert DeviceFacts.from_json(facts.as_json()) == facts


def test_a_decision_that_is_taken_back_takes_its_cautions_back_once() -> None:
    tenant = fleet(machine(**LIVELY), machine(TWO, "lt-2", **LIVELY))
    assert cautions(*planned(tenant, (ONE, ""), (TWO, ""), (ONE, "lt-8"), (ONE, "lt-9"))) == {
        Caution.SEEN_RECENTLY: CautionCount(1, (3,))
    }
    assert cautions(*planned(fleet(machine(**LIVELY)), (ONE, ""), (ONE, "lt-9"))) == {}


# -- any sheet and any tenant --

IDS = [ONE, TWO, THREE]
NAMES = ["", "lt-1", "LT-1.a", "lt-1.b", "lt-2", "lt-3"]
MACHINES = st.builds(
    machine,
    st.sampled_from([ONE, TWO, THREE, "d" * 39 + "e", "../x"]),
    st.sampled_from([*NAMES, None]),
    onboardingStatus=st.sampled_from(["Onboarded", "Onboarded", None, "CanBeOnboarded"]),
    mergedIntoMachineId=st.sampled_from([None, None, None, TWO]),
    osPlatform=st.sampled_from(["Windows11", "Windows11", "Windows7", "Linux"]),
    healthStatus=st.sampled_from(["Active", "Active", "Inactive"]),
    lastSeen=st.sampled_from([None, "2026-11-24T08:00:00Z", "2026-11-05T08:30:00Z", "2026-10-05T08:30:00Z"]),
)
ACTIONS = st.builds(action, st.sampled_from(["Pending", "Succeeded", "Failed"]), st.sampled_from(IDS))
FLEETS = st.builds(Fleet, st.lists(MACHINES, max_size=6), st.lists(ACTIONS, max_size=2), st.just(NOW))
CELLS = st.sampled_from([*IDS, *IDS, ONE.upper(), "", "", "", "x", NotText(CellKind.FORMULA, ONE)])
ROWS = st.lists(st.tuples(CELLS, st.sampled_from(NAMES)), max_size=8)
MEMORIES = st.builds(
    Known,
    st.sampled_from([Reason.ALREADY_OFFBOARDED, Reason.ALREADY_OFFBOARDED, Reason.ALREADY_PENDING]),
    st.just("20261101-0800-abcd"),
    st.just(7),
    st.just("action-1"),
    st.sampled_from([None, ACCEPTED, NOW - DAY]),
    st.sampled_from([None, ENDED, NOW]),
)
KNOWN = st.dictionaries(st.sampled_from(IDS), MEMORIES, max_size=2)


def jobs(rows: list[PlannedRow], planner: Planner) -> dict[int, str]:
    amended = {each.row for each in planner.amendments()}
    return {row.row: row.device_id for row in rows if row.reason is None and row.row not in amended}


@given(FLEETS, ROWS, KNOWN)
def test_every_row_gets_one_decision_and_only_what_nothing_speaks_against_is_planned(
    tenant: Fleet, cells: list[tuple[Cell, str]], known: dict[str, Known]
) -> None:
    rows, planner = planned(tenant, *cells, known=known)
    planned_jobs = jobs(rows, planner)
    assert [row.row for row in rows] == list(range(2, len(cells) + 2))
    assert len(set(planned_jobs.values())) == len(planned_jobs)
    for row, device in planned_jobs.items():
        found = tenant.find(device)
        assert found is not None
        assert judge_machine(found, tenant) is None
        assert device in IDS or device == "d" * 39 + "e"
        assert device not in known or came_back(known[device], found, tenant)
        of_it = [each for each in rows if each.device_id == device and each.reason is not Reason.INVALID_ID]
        names = [cells[each.row - 2][1] for each in of_it]
        assert row in [each.row for each in of_it]
        assert all(same_name(name, found.name) for name in names if name)
    for each in rows:
        assert (each.first_row is not None) == (each.reason is Reason.DUPLICATE)
        again = each.device_id in known or tenant.overdue_action(tenant.find(each.device_id) or machine()) is not None
        assert bool(each.detail) == (each.reason is not None or again)


@given(FLEETS, ROWS, KNOWN, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_decides_no_device(
    tenant: Fleet, cells: list[tuple[Cell, str]], known: dict[str, Known], chance: Any
) -> None:
    shuffled = chance.sample(cells, len(cells))
    assert set(jobs(*planned(tenant, *cells, known=known)).values()) == set(
        jobs(*planned(tenant, *shuffled, known=known)).values()
    )


@given(FLEETS, ROWS)
def test_cautions_are_those_of_the_planned_devices(tenant: Fleet, cells: list[tuple[Cell, str]]) -> None:
    rows, planner = planned(tenant, *cells)
    planned_jobs = jobs(rows, planner)
    found = [found for device in planned_jobs.values() if (found := tenant.find(device))]
    expected = {caution: sum(caution in tenant.cautions(each) for each in found) for caution in Caution}
    counted = cautions(rows, planner)
    assert {caution: each.devices for caution, each in counted.items()} == {
        caution: number for caution, number in expected.items() if number
    }
    assert all(set(each.rows) <= set(planned_jobs) and len(each.rows) <= 3 for each in counted.values())


def test_a_machine_that_nothing_speaks_against_is_judged_so() -> None:
    tenant = fleet(machine())
    assert judge_machine(machine(), tenant) is None
    assert judge_machine(machine(mergedIntoMachineId=TWO), tenant) == Decision(
        Reason.MERGED, f"The tenant has merged this record into device {TWO}."
    )
