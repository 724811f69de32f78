"""The tenant's answers to each call, with the time passed in."""

import pytest

from batch_offboard.simulator import Pace, PlatformRule, Tenant, fleet_of
from batch_offboard.simulator.answers import ApiError
from batch_offboard.simulator.listing import ListQuery, read_query
from batch_offboard.simulator.machines import Machine
from batch_offboard.simulator.model import ACTIONS, MACHINES
from batch_offboard.simulator.odata import Item

NOW = 1_800_000_000.0
A, B = "a" * 40, "b" * 40
PACE = Pace(pick_up=(10, 10), work=(20, 20))


def tenant(**fields: object) -> Tenant:
    machine: Machine = {"id": A, "computerDnsName": "lt-1.contoso.example", **fields}
    return Tenant([machine, {"id": B, "computerDnsName": "lt-2"}], pace=PACE)


def code_of(error: pytest.ExceptionInfo[ApiError]) -> tuple[int, str]:
    return error.value.status, error.value.code


def actions(query: str | None = None, **options: str) -> ListQuery:
    parameters = {"$" + name: value for name, value in options.items()}
    return read_query(parameters | ({"$filter": query} if query else {}), ACTIONS)


def test_an_accepted_device_gets_a_pending_action_with_the_comment() -> None:
    shown = tenant().offboard(A.upper(), "CHG-1", NOW).as_json(NOW)
    assert (shown["machineId"], shown["status"], shown["requestorComment"]) == (A, "Pending", "CHG-1")


def test_an_unknown_device_is_not_found() -> None:
    with pytest.raises(ApiError) as error:
        tenant().offboard("c" * 40, "x", NOW)
    assert code_of(error) == (404, "ResourceNotFound")


def test_a_name_is_not_an_id_when_offboarding() -> None:
    with pytest.raises(ApiError) as error:
        tenant().offboard("lt-2", "x", NOW)
    assert code_of(error) == (404, "ResourceNotFound")


def test_a_second_offboarding_is_refused_while_the_first_is_open() -> None:
    ours = tenant()
    ours.offboard(A, "x", NOW)
    with pytest.raises(ApiError) as error:
        ours.offboard(A, "x", NOW + 29.9)
    assert code_of(error) == (400, "ActiveRequestAlreadyExists")
    assert len(ours.actions) == 1


def test_a_second_offboarding_is_accepted_when_the_first_is_final() -> None:
    ours = tenant()
    first = ours.offboard(A, "x", NOW)
    assert ours.offboard(A, "x", NOW + 30).id != first.id


def test_an_open_action_of_another_type_is_no_hindrance() -> None:
    ours = tenant()
    ours.start(A, "scan", NOW, kind="RunAntiVirusScan")
    assert ours.offboard(A, "x", NOW).type == "Offboard"


def test_an_action_that_somebody_else_started_counts_as_open() -> None:
    ours = tenant()
    ours.start(A, "by hand", NOW, requestor="admin@contoso.example")
    with pytest.raises(ApiError, match="already in progress"):
        ours.offboard(A, "x", NOW)


def test_a_machine_that_is_not_onboarded_is_refused() -> None:
    with pytest.raises(ApiError) as error:
        tenant(onboardingStatus="CanBeOnboarded").offboard(A, "x", NOW)
    assert code_of(error) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("platform", "version", "build", "agent", "codes"),
    [
        ("Windows11", "24H2", 26100, "10.8", (None, None, None)),
        ("Windows10", "1703", 15063, "10.8", (None, None, None)),
        ("windows10", "1607", 14393, "10.8", ("OsPlatformNotSupported",) * 3),
        ("Windows10", "1703", None, "10.8", (None, None, None)),
        ("Windows10", "1607", None, "10.8", ("OsPlatformNotSupported",) * 3),
        ("Windows10WVD", "20H2", None, "10.8", (None, None, None)),
        ("Windows10", None, None, "10.8", ("OsPlatformNotSupported",) * 3),
        ("WindowsServer2019", None, None, "10.8", (None, None, None)),
        ("WindowsServer2031", None, None, "10.8", (None, None, None)),
        ("WindowsServer2016", None, 14393, "10.8800.1", ("OsPlatformNotSupported", None, None)),
        (
            "WindowsServer2012R2",
            None,
            9600,
            "10.3720",
            ("OsPlatformNotSupported", "ClientVersionNotSupported", "ClientVersionNotSupported"),
        ),
        ("WindowsServer2008R2", None, None, "10.8", ("OsPlatformNotSupported",) * 3),
        ("macOS", "14", None, "101", ("OsPlatformNotSupported", "OsPlatformNotSupported", None)),
        ("Linux", None, None, "101", ("OsPlatformNotSupported", "OsPlatformNotSupported", None)),
        ("iOS", None, None, "1", ("OsPlatformNotSupported",) * 3),
        ("Windows", None, None, None, ("OsPlatformNotSupported",) * 3),
        (None, None, None, None, ("OsPlatformNotSupported",) * 3),
    ],
)
def test_platforms_are_accepted_by_the_rule_of_the_tenant(
    platform: str | None, version: str | None, build: int | None, agent: str | None, codes: tuple[str | None, ...]
) -> None:
    machine: Machine = {"id": A, "osPlatform": platform, "version": version, "osBuild": build, "agentVersion": agent}
    for rule, code in zip(PlatformRule, codes, strict=True):
        ours = Tenant([machine], rule=rule)
        try:
            ours.offboard(A, "x", NOW)
            answered = None
        except ApiError as error:
            answered = error.code
        assert (rule, answered) == (rule, code)


def test_the_same_run_gives_the_same_ids_and_another_moment_gives_others() -> None:
    ids = [tenant().offboard(A, "x", moment).id for moment in (NOW, NOW, NOW + 1)]
    assert ids[0] == ids[1] != ids[2]


def test_every_action_has_an_id_of_its_own() -> None:
    fleet = fleet_of([(f"{number:040x}", None) for number in range(2000)], 0, NOW)
    ours = Tenant(fleet)
    assert len({ours.offboard(str(machine["id"]), "x", NOW).id for machine in fleet}) == 2000


def test_an_open_action_can_be_cancelled_once() -> None:
    ours = tenant()
    action = ours.offboard(A, "x", NOW)
    assert ours.cancel(action.id.upper(), "mistake", NOW + 5).as_json(NOW + 5)["status"] == "Cancelled"
    with pytest.raises(ApiError) as error:
        ours.cancel(action.id, "again", NOW + 6)
    assert code_of(error) == (400, "BadRequest")


def test_a_final_action_cannot_be_cancelled() -> None:
    ours = tenant()
    action = ours.offboard(A, "x", NOW)
    with pytest.raises(ApiError):
        ours.cancel(action.id, "too late", NOW + 30)
    assert action.status(NOW + 31) == "Succeeded"


def test_a_cancelled_device_can_be_offboarded_again() -> None:
    ours = tenant()
    ours.cancel(ours.offboard(A, "x", NOW).id, "mistake", NOW + 1)
    assert ours.offboard(A, "y", NOW + 2).is_open(NOW + 2)


def test_an_unknown_action_is_not_found() -> None:
    with pytest.raises(ApiError) as error:
        tenant().action("nothing")
    assert code_of(error) == (404, "ResourceNotFound")


def test_actions_can_be_listed_by_each_documented_field() -> None:
    ours = tenant()
    first, second = ours.offboard(A, "x", NOW), ours.offboard(B, "y", NOW + 15)
    queries = {
        f"id eq '{first.id}'": [first.id],
        "status eq 'InProgress'": [first.id],
        f"machineId eq '{B}'": [second.id],
        "type ne 'Offboard'": [],
        "requestor eq 'offboarding-batch'": [first.id, second.id],
        "creationDateTimeUtc ge 2027-01-15T08:00:10Z": [second.id],
    }
    assert {text: [a["id"] for a in ours.actions_for(actions(text), NOW + 16)] for text in queries} == queries


def test_newest_first_turns_the_list_of_actions_round() -> None:
    ours = tenant()
    ids = [ours.offboard(A, "x", NOW).id, ours.offboard(B, "y", NOW + 1).id]
    query = actions(orderby="creationDateTimeUtc desc")
    assert [action["id"] for action in ours.actions_for(query, NOW + 2)] == ids[::-1]


def test_a_lagging_list_shows_the_tenant_as_it_was() -> None:
    ours = Tenant([{"id": A}], pace=PACE, list_lag=60)
    action = ours.offboard(A, "x", NOW)
    seen = {after: [a["status"] for a in ours.actions_for(actions(), NOW + after)] for after in (59, 60, 71, 95)}
    assert seen == {59: [], 60: ["Pending"], 71: ["InProgress"], 95: ["Succeeded"]}
    assert ours.action(action.id).status(NOW + 59) == "Succeeded"


def test_machines_are_found_by_id_and_name_in_any_case() -> None:
    ours = tenant()
    assert ours.machine(A.upper())["id"] == ours.machine("LT-1.contoso.example")["id"] == A
    with pytest.raises(ApiError):
        ours.machine("lt-1")


def test_of_namesakes_the_one_seen_last_is_shown() -> None:
    ours = Tenant(
        [
            {"id": A, "computerDnsName": "pc", "lastSeen": "2026-01-02T00:00:00Z"},
            {"id": B, "computerDnsName": "pc", "lastSeen": "2026-01-01T00:00:00Z"},
        ]
    )
    assert ours.machine("pc")["id"] == A


def test_filters_see_the_fields_that_a_fleet_left_out() -> None:
    query = read_query({"$filter": "osPlatform eq 'Windows11' and startswith(computerDnsName,'lt-2')"}, MACHINES)
    assert [machine["id"] for machine in tenant().machines_for(query)] == [B]


def test_following_the_pages_of_a_filter_judges_every_machine_once() -> None:
    ours = tenant()
    judged: list[object] = []

    def judge(machine: Item) -> bool:
        judged.append(machine["id"])
        return True

    for skip in range(5):
        ours.machines_for(ListQuery("any", judge, top=None, skip=skip, newest_first=False))
    assert judged == [A, B]


def test_another_filter_gives_another_list() -> None:
    ours = tenant()
    lists = [ours.machines_for(read_query({"$filter": f"id eq '{key}'"}, MACHINES)) for key in (A, B, A)]
    assert [[machine["id"] for machine in found] for found in lists] == [[A], [B], [A]]


def test_two_machines_of_one_id_are_no_fleet() -> None:
    with pytest.raises(ValueError, match="Two machines"):
        Tenant([{"id": A}, {"id": A.upper()}])


def test_an_action_of_an_earlier_process_goes_on_as_it_would_have() -> None:
    before = Tenant([{"id": A}], seed=3)
    shown = before.offboard(A, "x", NOW).as_json(NOW)
    after = Tenant([{"id": A}], seed=3)
    taken_up = after.adopt(shown)
    assert taken_up.as_json(NOW + 1000) == before.action(taken_up.id).as_json(NOW + 1000)
    with pytest.raises(ApiError, match="already in progress"):
        after.offboard(A, "again", NOW)


def test_the_same_action_takes_another_course_under_another_seed() -> None:
    shown = Tenant([{"id": A}], seed=3).offboard(A, "x", NOW).as_json(NOW)
    assert len({Tenant([{"id": A}], seed=seed).adopt(shown).course for seed in (3, 4)}) == 2


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"id": "x", "machineId": B, "creationDateTimeUtc": "2026-01-01T00:00:00Z"},
        {"id": "x", "machineId": A, "creationDateTimeUtc": "soon"},
    ],
)
def test_what_is_no_action_of_this_tenant_is_not_taken_up(shown: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Tenant([{"id": A}]).adopt(shown)
