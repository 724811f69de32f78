"""Every guard, seen from the tenant: a refused run has made no call, and says what would permit it."""

from __future__ import annotations

import ast
import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import batch_offboard
from batch_offboard.base.errors import BatchOffboardError, ExitCode, GuardError
from batch_offboard.calls.shift import Terms, work_off
from batch_offboard.cli.screens.texts import plan_text
from batch_offboard.commands import proposing, reporting, run
from batch_offboard.commands.locking import working_alone
from batch_offboard.commands.plans import Reading
from batch_offboard.core.audit import Kind
from batch_offboard.core.guards import PORTAL_COLUMNS, cleared_before, refusal_text
from batch_offboard.core.protected import Protected
from batch_offboard.journal.audited import records
from tests import commands
from tests.virtual import device

if TYPE_CHECKING:
    from batch_offboard.commands.views import PlanView, RunView
    from batch_offboard.core.brakes import Halt
    from tests.integration.commands.guards.conftest import MakeOffice
    from tests.virtual import VirtualOffice

DAY = 86_400.0
WIDE = {"max_devices": 1000, "max_fleet_percent": 100}


def run_sheet(office: VirtualOffice, sheet: Path, **options: Any) -> RunView:
    with office.desk(**options) as desk:
        return office.world.run(commands.run_sheet(desk, sheet, Reading(), (), office.ears.talk))


def refused(office: VirtualOffice, sheet: Path, **options: Any) -> str:
    """The message of a refused run; no call has arrived, and the plan can still be run."""
    before = len(office.world.offboard_calls())
    with office.desk(**options) as desk, pytest.raises(GuardError) as caught:
        office.world.run(commands.run_sheet(desk, sheet, Reading(), (), office.ears.talk))
    assert caught.value.exit_code is ExitCode.REFUSED
    assert len(office.world.offboard_calls()) == before
    return str(caught.value)


def error_codes(office: VirtualOffice, view: RunView) -> list[str]:
    (report,) = [path for path in view.reports if path.suffix == ".csv"]
    lines = report.read_text(encoding="utf-8-sig").splitlines()
    column = lines[0].split(",").index("error_code")
    return [line.split(",")[column] for line in lines[1:]]


# -- numbers --


def test_more_devices_than_a_run_may_have(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 5})
    said = refused(office, office.sheet(range(6)))
    assert "guards.max_devices allows 5" in said
    assert "--max-devices 6" in said
    assert run_sheet(office, office.sheet(range(5))).exit_code is ExitCode.OK
    assert office.called() == list(range(5))


def test_more_devices_than_a_run_may_have_when_they_are_meant(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 5})
    assert run_sheet(office, office.sheet(range(6)), max_devices=6).exit_code is ExitCode.OK
    said = refused(office, office.sheet(range(6, 13)), max_devices=6)
    assert "--max-devices allows 6" in said
    assert "--max-devices 7" in said


def test_more_devices_than_a_day_may_have_across_runs(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 8, "max_devices_per_day": 10})
    assert run_sheet(office, office.sheet(range(7), "one.csv")).exit_code is ExitCode.OK
    said = refused(office, office.sheet(range(7, 11), "two.csv"))
    assert "With the 7 devices of the last 24 hours" in said
    assert "guards.max_devices_per_day allows 10" in said
    assert run_sheet(office, office.sheet(range(7, 10), "three.csv")).exit_code is ExitCode.OK
    assert "With the 10 devices" in refused(office, office.sheet([10], "four.csv"))
    office.world.until(office.world.now().wall + DAY + 1)
    assert run_sheet(office, office.sheet([10], "four.csv")).exit_code is ExitCode.OK
    assert office.called() == list(range(11))


def test_without_a_limit_of_its_own_a_day_has_that_of_a_run(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 6})
    assert run_sheet(office, office.sheet(range(4), "one.csv")).exit_code is ExitCode.OK
    assert "guards.max_devices_per_day allows 6" in refused(office, office.sheet(range(4, 7), "two.csv"))


def test_a_retry_is_refused_like_a_run(make_office: MakeOffice) -> None:
    office = make_office(range(3), guards=WIDE)
    ended = run_sheet(office, office.sheet([0, 1, 2]))
    with office.desk() as desk:
        batch = ended.batch
        with desk.journal.writing() as connection:
            connection.exec_driver_sql("UPDATE jobs SET state = 'failed', action_id = ''")
        office.configure(guards={"max_devices": 2})
    with office.desk() as desk, pytest.raises(GuardError, match=r"guards\.max_devices allows 2"):
        office.world.run(commands.retry(desk, batch.batch_id, (), office.ears.talk))
    assert office.called() == [0, 1, 2]


# -- the tenant --


def test_more_of_the_tenant_than_a_run_may_take(make_office: MakeOffice) -> None:
    office = make_office(range(100), guards={"max_fleet_percent": 20})
    said = refused(office, office.sheet(range(21)))
    assert "21 of the tenant's 100 onboarded devices" in said
    assert "set guards.max_fleet_percent to 21" in said
    assert run_sheet(office, office.sheet(range(20))).exit_code is ExitCode.OK


def test_a_small_tenant_may_lose_any_share(make_office: MakeOffice) -> None:
    office = make_office(range(99), guards={"max_fleet_percent": 20})
    assert run_sheet(office, office.sheet(range(40))).exit_code is ExitCode.OK


def test_only_onboarded_devices_make_the_tenant(make_office: MakeOffice) -> None:
    gone = {number: {"onboardingStatus": "CanBeOnboarded"} for number in range(50, 150)}
    office = make_office(range(150), marks=gone, guards={"max_fleet_percent": 20})
    assert run_sheet(office, office.sheet(range(40))).exit_code is ExitCode.OK  # of 50, which is few


@pytest.mark.parametrize("columns", ["Device ID,Owner", ",".join(sorted({name.title() for name in PORTAL_COLUMNS}))])
def test_a_sheet_that_is_the_whole_inventory(make_office: MakeOffice, columns: str) -> None:
    few = 20 if "Domain" in columns else 100
    id_first = ",".join(["Device ID", *(name for name in columns.split(",") if name != "Device Id")])
    office = make_office(range(few), guards=WIDE | {"max_fleet_percent": 99})
    said = refused(office, office.sheet(range(few), columns=columns if few == 100 else id_first))
    assert f"contains {few} of the tenant's {few} devices" in said
    assert said.endswith("Nothing was sent. Make a sheet that lists only the devices to be offboarded.")
    office.configure(guards=WIDE)
    assert run_sheet(office, office.sheet(range(few))).exit_code is ExitCode.OK


# -- the plan --


def planned(office: VirtualOffice, sheet: Path, **options: Any) -> PlanView:
    with office.desk(**options) as desk:
        return office.world.run(proposing.plan(desk, sheet, Reading()))


@pytest.mark.parametrize("max_devices", [None, 100])
def test_a_plan_names_every_guard_that_will_refuse_it_and_no_way_around_one(
    make_office: MakeOffice, max_devices: int | None
) -> None:
    office = make_office(range(100), guards={"max_devices": 50, "require_comment": True, "stop_file": "STOP"})
    (office.folder / "STOP").touch()
    sheet = office.sheet(range(100))
    view = planned(office, sheet, max_devices=max_devices)
    numbers = [] if max_devices else ["max_devices"]
    assert [each.guard for each in view.refusals] == [
        "stop_file", *numbers, "max_fleet_percent", "whole_tenant", "require_comment"
    ]  # fmt: skip
    text = plan_text(view)
    assert all(each.why in text for each in view.refusals)
    assert "--max-devices" not in text
    assert "batch-offboard run" not in text
    assert "next: Make a sheet that lists only the devices to be offboarded." in text
    with office.desk(max_devices=max_devices) as desk:
        (report,) = reporting.write_reports(desk, desk.batch(view.batch.batch_id), [office.folder / "plan.json"])
    assert json.loads(report.read_text(encoding="utf-8"))["batch"]["refusals"] == [each.why for each in view.refusals]
    (office.folder / "STOP").unlink()
    with office.desk(max_devices=max_devices) as desk, pytest.raises(GuardError) as caught:
        office.world.run(commands.run_batch(desk, view.batch.batch_id, (), office.ears.talk))
    assert str(caught.value) == refusal_text(view.refusals[1:])
    assert "--max-devices" not in str(caught.value)


def test_a_plan_that_no_guard_refuses_names_the_command_that_runs_it(make_office: MakeOffice) -> None:
    office = make_office(range(100), guards={"max_devices": 5})
    view = planned(office, office.sheet(range(6)), max_devices=6)
    assert view.refusals == []
    assert plan_text(view).endswith(f"next: batch-offboard run {view.batch.batch_id} --max-devices 6")
    view = planned(office, office.sheet(range(5), "five.csv"))
    assert plan_text(view).endswith(f"next: batch-offboard run {view.batch.batch_id}")


def test_the_comment_of_a_plan_counts_when_it_is_run(make_office: MakeOffice) -> None:
    office = make_office(guards={"require_comment": True})
    view = planned(office, office.sheet(range(3)), comment="CHG0042")
    assert view.refusals == []
    with office.desk() as desk:
        assert (
            office.world.run(commands.run_batch(desk, view.batch.batch_id, (), office.ears.talk)).exit_code
            is ExitCode.OK
        )


def test_an_export_that_could_not_be_looked_up_is_not_helped_along(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 5})
    columns = ",".join(["Device ID", *sorted({name.title() for name in PORTAL_COLUMNS} - {"Device Id"})])
    said = refused(office, office.sheet(range(6), columns=columns), lookup=False)
    assert "guards.max_devices allows 5" in said
    assert "--max-devices" not in said
    assert said.endswith("plan it with the look-up first.")


# -- the protected list --


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "is empty"),
        (b"# nobody\n\n", "is empty"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"tags: vip\n", "has an unknown kind 'tags' in line 1"),
    ],
)
def test_a_protected_list_that_cannot_be_believed(make_office: MakeOffice, content: bytes | None, words: str) -> None:
    office = make_office(guards={"protected": "protected.txt"})
    path = office.folder / "protected.txt"
    if content is not None:
        path.write_bytes(content)
    said = refused(office, office.sheet(range(3)))
    assert f"The protected list {path} (guards.protected) {words}" in said
    assert office.world.calls == []


def test_a_protected_list_that_is_a_folder(make_office: MakeOffice) -> None:
    office = make_office(guards={"protected": "protected.txt"})
    (office.folder / "protected.txt").mkdir()
    assert "(guards.protected) cannot be read" in refused(office, office.sheet(range(3)))


@pytest.mark.parametrize(
    ("rule", "marks"),
    [
        (device(1), {}),
        (device(1).upper(), {}),
        ("lt-0001", {}),
        ("lt-0001*", {}),
        ("*-0001.contoso.example", {}),
        ("tag: VIP", {1: {"machineTags": ["finance", "vip"]}}),
        ("group: domain controllers", {1: {"rbacGroupName": "Domain Controllers"}}),
    ],
)
def test_a_protected_device_is_never_sent(
    make_office: MakeOffice, rule: str, marks: dict[int, dict[str, object]]
) -> None:
    office = make_office(range(10), marks=marks, guards={"protected": "protected.txt"})
    (office.folder / "protected.txt").write_text(f"{rule}\n", encoding="utf-8")
    view = run_sheet(office, office.sheet(range(3)))
    assert view.exit_code is ExitCode.ROWS_FAILED
    assert error_codes(office, view) == ["", "protected", ""]
    assert office.called() == [0, 2]


def test_a_device_that_is_listed_after_the_plan_is_not_sent_either(make_office: MakeOffice) -> None:
    office = make_office(range(10), guards={"protected": "protected.txt"})
    listed = office.folder / "protected.txt"
    listed.write_text("dc-*\n", encoding="utf-8")
    with office.desk() as desk:
        batch = office.world.run(proposing.plan(desk, office.sheet(range(3)), Reading())).batch
    listed.write_text(f"dc-*\n{device(1)}\n", encoding="utf-8")
    with office.desk() as desk:
        view = office.world.run(commands.run_batch(desk, batch.batch_id, (), office.ears.talk))
    assert error_codes(office, view) == ["", "protected", ""]
    assert office.called() == [0, 2]


def test_a_list_with_names_needs_the_tenant(make_office: MakeOffice) -> None:
    office = make_office(guards={"protected": "protected.txt"})
    (office.folder / "protected.txt").write_text("dc-*\n", encoding="utf-8")
    assert "cannot be checked without a look-up" in refused(office, office.sheet(range(3)), lookup=False)
    (office.folder / "protected.txt").write_text(device(9), encoding="utf-8")
    assert run_sheet(office, office.sheet(range(3)), lookup=False).exit_code is ExitCode.OK


def test_a_list_that_is_lost_before_a_batch_goes_on_stops_it(make_office: MakeOffice) -> None:
    office = make_office(range(10), guards={"stop_file": "STOP"})
    office.world.after_calls(2, (office.folder / "STOP").touch)
    ended = run_sheet(office, office.sheet(range(6)))
    assert (ended.exit_code, len(office.called())) == (ExitCode.REFUSED, 2)
    office.configure(guards={"protected": "protected.txt"})
    with office.desk() as desk, pytest.raises(GuardError, match=r"guards\.protected"):
        office.world.run(run.resume(desk, desk.batch(ended.batch.batch_id), (), office.ears.talk))
    assert len(office.called()) == 2


# -- the comment, the stop file, the plan --


def test_a_run_without_the_comment_that_is_asked_for(make_office: MakeOffice) -> None:
    office = make_office(guards={"require_comment": True})
    assert "guards.require_comment" in refused(office, office.sheet(range(3)))
    assert run_sheet(office, office.sheet(range(3)), comment="CHG0042").exit_code is ExitCode.OK


@pytest.mark.parametrize("by_option", [True, False])
def test_a_stop_file_refuses_every_way_to_send_until_it_is_gone(make_office: MakeOffice, by_option: bool) -> None:
    office = make_office(guards={} if by_option else {"stop_file": "STOP"})
    stop = office.folder / "STOP"
    options = {"stop_file": Path("STOP")} if by_option else {}
    office.world.after_calls(3, stop.touch)
    ended = run_sheet(office, office.sheet(range(8)), **options)
    assert ended.exit_code is ExitCode.REFUSED
    assert ended.halt is not None
    assert f"stopped by the stop file {stop}" in ended.halt.reason
    assert office.called() == [0, 1, 2]
    said = refused(office, office.sheet(range(8, 10), "more.csv"), **options)
    assert f"stopped by the stop file {stop}" in said
    assert said.endswith("Nothing was sent.")
    with office.desk(**options) as desk, pytest.raises(GuardError, match="stop file"):
        office.world.run(run.resume(desk, None, (), office.ears.talk))
    assert office.called() == [0, 1, 2]
    stop.unlink()
    with office.desk(**options) as desk:
        assert office.world.run(run.resume(desk, None, (), office.ears.talk)).exit_code is ExitCode.OK
    assert sorted(office.called()) == list(range(8))


@pytest.mark.skipif(os.name != "posix", reason="Windows says of such a name that it is not there")
def test_a_stop_file_of_which_nobody_can_tell_is_taken_for_one(make_office: MakeOffice) -> None:
    office = make_office()
    endless = Path("x" * 5000)  # too long for any file system, so its absence cannot be checked
    assert "stop file" in refused(office, office.sheet(range(3)), stop_file=endless)
    (office.folder / "file").touch()
    assert run_sheet(office, office.sheet(range(3)), stop_file=Path("file/STOP")).exit_code is ExitCode.OK


def test_a_plan_that_is_older_than_a_day_is_made_again(make_office: MakeOffice) -> None:
    office = make_office(range(5))
    with office.desk() as desk:
        old = office.world.run(proposing.plan(desk, office.sheet(range(5)), Reading())).batch
    office.world.until(office.world.now().wall + DAY + 1)
    with office.desk() as desk:
        view = office.world.run(commands.run_batch(desk, old.batch_id, (), office.ears.talk))
    assert view.batch.batch_id != old.batch_id
    assert any("is planned again: the plan is older than 24 hours" in line for line in office.ears.said_so_far)
    assert office.called() == list(range(5))


@pytest.mark.fault(111, "Planned again, guarded again.")
def test_a_plan_whose_sheet_has_changed_is_made_again_and_guarded_again(make_office: MakeOffice) -> None:
    office = make_office(range(9), guards={"max_devices": 5})
    with office.desk() as desk:
        old = office.world.run(proposing.plan(desk, office.sheet(range(3)), Reading())).batch
    office.sheet(range(9))
    with office.desk() as desk, pytest.raises(GuardError, match="would offboard 9 devices"):
        office.world.run(commands.run_batch(desk, old.batch_id, (), office.ears.talk))
    assert any("is planned again: the sheet has changed since" in line for line in office.ears.said_so_far)
    assert office.called() == []


# -- overrides are named --


def overrides(office: VirtualOffice, batch_id: str) -> list[str]:
    with office.desk() as desk:
        batch = desk.batch(batch_id)
        report = reporting.write_reports(desk, batch, [office.folder / "out.json"])[0]
        told = list(batch.findings.get("overrides", []))
    assert f'"overrides": {told!r}'.replace("'", '"') in report.read_text(encoding="utf-8")
    return told


def test_what_is_set_aside_stands_with_the_batch_and_at_the_head_of_its_report(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 5, "max_devices_per_day": 9})
    plain = run_sheet(office, office.sheet(range(2), "plain.csv"))
    assert overrides(office, plain.batch.batch_id) == []
    many = run_sheet(office, office.sheet(range(2, 8), "many.csv"), max_devices=6, lookup=False)
    assert overrides(office, many.batch.batch_id) == [
        "--no-lookup: the tenant was not asked",
        "--max-devices 6: instead of guards.max_devices 5 and guards.max_devices_per_day 9",
    ]


def test_what_a_later_run_sets_aside_is_added_once(make_office: MakeOffice) -> None:
    office = make_office(guards={"stop_file": "STOP"})
    stop = office.folder / "STOP"
    office.world.after_calls(2, stop.touch)
    batch_id = run_sheet(office, office.sheet(range(8)), max_devices=8).batch.batch_id
    stop.unlink()
    office.world.after_calls(2, stop.touch)
    for _ in range(2):
        with office.desk(lookup=False) as desk:
            office.world.run(run.resume(desk, desk.batch(batch_id), (), office.ears.talk))
        stop.unlink(missing_ok=True)
    told = overrides(office, batch_id)
    assert [each.partition(":")[0] for each in told] == ["--max-devices 8", "--no-lookup"]


def test_whoever_continues_after_failures_is_recorded(make_office: MakeOffice) -> None:
    office = make_office()
    office.world.set_faults("404@2", "404@4")
    stopped = run_sheet(office, office.sheet(range(12)))
    assert stopped.halt is not None
    assert "run `resume --continue-after-failures`" in stopped.halt.reason
    with office.desk() as desk:
        again = office.world.run(run.resume(desk, desk.batch(stopped.batch.batch_id), (), office.ears.talk))
    assert again.halt is not None
    with office.desk(continue_after_failures=True) as desk:
        view = office.world.run(run.resume(desk, desk.batch(stopped.batch.batch_id), (), office.ears.talk))
        cleared = [json.loads(each.content) for each in records(desk.journal) if each.kind == Kind.CLEARED]
    said = "--continue-after-failures: a refusal among the first 5 calls stopped nothing"
    assert view.halt is None
    assert overrides(office, stopped.batch.batch_id) == [said]
    assert [each["overrides"] for each in cleared] == [[], [said]]


def test_an_unattended_run_continues_after_failures_where_the_configuration_says_so(make_office: MakeOffice) -> None:
    office = make_office(guards={"continue_after_failures": True})
    office.world.set_faults("404@2")
    view = run_sheet(office, office.sheet(range(12)), unattended=True)
    assert view.halt is None
    assert overrides(office, view.batch.batch_id) == [
        "guards.continue_after_failures: a refusal among the first 5 calls stopped nothing"
    ]


def test_a_refused_run_has_set_nothing_aside(make_office: MakeOffice) -> None:
    office = make_office(guards={"max_devices": 5})
    refused(office, office.sheet(range(8)), max_devices=7)
    with office.desk() as desk:
        (batch,) = run_batches(desk)
    assert overrides(office, batch) == []


def run_batches(desk: Any) -> list[str]:
    from batch_offboard.journal.reading import list_batches

    return [batch.batch_id for batch in list_batches(desk.journal)]


# -- there is no other way to a call --


def test_a_clearance_for_another_batch_sends_nothing(make_office: MakeOffice) -> None:
    office = make_office(range(5))
    with office.desk() as desk:
        one = office.world.run(proposing.plan(desk, office.sheet(range(3), "one.csv"), Reading())).batch
        other = office.world.run(proposing.plan(desk, office.sheet(range(3, 5), "two.csv"), Reading())).batch

        async def work() -> Halt | None:
            clearance = cleared_before(other.batch_id, Protected())
            async with desk.tenants.of(one, print) as tenancy:
                return await work_off(tenancy, one, clearance, office.ears, Terms(look=False))

        with working_alone(desk, one), pytest.raises(BatchOffboardError, match="cleared another batch"):
            office.world.run(work())
    assert office.called() == []


SOURCE = Path(batch_offboard.__file__).parent


@cache
def code() -> dict[str, list[ast.AST]]:
    """Every module except the embedded tenant's as the nodes of its code, without docstrings."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        module = path.relative_to(SOURCE).with_suffix("").as_posix()
        if not module.startswith("simulator"):
            nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
            spoken = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
            found[module] = [node for node in nodes if id(node) not in spoken]
    return found


def users_of(name: str) -> set[str]:
    """The modules in whose code a name is used."""
    return {
        module
        for module, nodes in code().items()
        if any(isinstance(node, ast.Name) and node.id == name for node in nodes)
    }


def writers_of(part: str) -> set[str]:
    """The modules with a string that contains this."""
    return {
        module
        for module, nodes in code().items()
        if any(isinstance(node, ast.Constant) and isinstance(node.value, str) and part in node.value for node in nodes)
    }


def test_the_request_that_offboards_is_made_in_one_place_and_only_with_a_clearance() -> None:
    assert writers_of("/offboard") == {"defender/protocol/offboard"}  # the only place that knows the address
    assert users_of("offboard_request") == {"calls/shift"}
    assert users_of("_ApiSender") == {"calls/shift"}
    classes = [node for node in code()["calls/shift"] if isinstance(node, ast.ClassDef)]
    sender = next(node for node in classes if node.name == "_ApiSender")
    inside = {node.id for node in ast.walk(sender) if isinstance(node, ast.Name)}
    assert {"offboard_request", "Clearance"} <= inside


def test_a_clearance_comes_from_the_guards_alone_and_is_asked_for_in_one_place() -> None:
    assert users_of("_SEAL") == {"core/guards"}
    assert users_of("clear") == {"commands/clearing"}
    assert users_of("cleared_before") == {"commands/clearing"}
    assert users_of("cleared_to_send") == {"commands/run"}
    assert users_of("cleared_to_go_on") == {"commands/run"}
    assert users_of("work_off") == {"commands/run"}
