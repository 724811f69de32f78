"""Installing, showing and removing: everything that was written is removed, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batch_offboard.base.errors import UsageError
from batch_offboard.unattended.schedule import cron, kubernetes, systemd, windows
from batch_offboard.unattended.schedule.job import Command, Job, Kind, Rendered, Start
from batch_offboard.unattended.schedule.programs import run
from batch_offboard.unattended.schedule.schedulers import (
    Cron,
    Kubernetes,
    Scheduler,
    Standing,
    Systemd,
    Windows,
    scheduler,
)

if TYPE_CHECKING:
    from tests.integration.unattended.schedule.conftest import Stub

NAME = "nightly-test"
Make = Callable[..., Job]
MakeStub = Callable[[str], "Stub"]


def act(target: Scheduler, action: str, rendered: Rendered) -> None:
    match action:
        case "install":
            target.install(NAME, rendered)
        case "remove":
            target.remove(NAME)
        case _:
            target.show(NAME)


# -- systemd --


@pytest.fixture
def units(tmp_path: Path) -> Path:
    return tmp_path / "config" / "systemd" / "user"


@pytest.fixture
def systemctl(stub: MakeStub) -> "Stub":
    return stub("systemctl")


@pytest.fixture
def manager(units: Path, systemctl: "Stub") -> Systemd:
    return Systemd(run, units, system=False)


def test_units_are_written_and_the_timer_is_enabled(
    manager: Systemd, units: Path, systemctl: "Stub", job: Make
) -> None:
    rendered = systemd.render(job(), system=False)
    manager.install(NAME, rendered)
    assert manager.places(rendered) == (str(units / f"{NAME}.service"), str(units / f"{NAME}.timer"))
    assert [(units / file.name).read_bytes() for file in rendered.files] == [file.data for file in rendered.files]
    assert {path.stat().st_mode & 0o777 for path in units.iterdir()} == {0o644}
    assert systemctl.calls() == ["--user daemon-reload", f"--user enable --now {NAME}.timer"]


def test_removing_takes_both_units_and_stops_the_timer_alone(
    manager: Systemd, units: Path, systemctl: "Stub", job: Make
) -> None:
    units.mkdir(parents=True)
    (units / "other.service").write_text("[Unit]\n", encoding="utf-8")
    manager.install(NAME, systemd.render(job(), system=False))
    removed = manager.remove(NAME)
    assert removed == (str(units / f"{NAME}.service"), str(units / f"{NAME}.timer"))
    assert [path.name for path in units.iterdir()] == ["other.service"]
    assert systemctl.calls()[2:] == [f"--user disable --now {NAME}.timer", "--user daemon-reload"]


def test_installing_again_replaces_the_units(manager: Systemd, units: Path, job: Make) -> None:
    manager.install(NAME, systemd.render(job(), system=False))
    again = systemd.render(job(start=Start(3, 0)), system=False)
    manager.install(NAME, again)
    assert (units / f"{NAME}.timer").read_bytes() == again.files[1].data


@pytest.mark.parametrize("action", ["install", "remove", "show"])
def test_a_unit_that_somebody_else_wrote_is_not_touched(
    manager: Systemd, units: Path, systemctl: "Stub", job: Make, action: str
) -> None:
    units.mkdir(parents=True)
    foreign = units / f"{NAME}.service"
    foreign.write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
    with pytest.raises(UsageError, match="was not written by `schedule install`"):
        act(manager, action, systemd.render(job(), system=False))
    assert foreign.read_text(encoding="utf-8") == "[Service]\nExecStart=/bin/true\n"
    assert [path.name for path in units.iterdir()] == [foreign.name]
    assert systemctl.calls() == []


@pytest.mark.parametrize("before", [True, False])
def test_units_that_the_manager_does_not_take_leave_things_as_they_were(
    manager: Systemd, units: Path, systemctl: "Stub", job: Make, before: bool
) -> None:
    first = systemd.render(job(), system=False)
    if before:
        manager.install(NAME, first)
    systemctl.remembers("answer", "fail")
    with pytest.raises(UsageError, match=r"enable --now .* failed: Failed to enable unit: Unit file is masked"):
        manager.install(NAME, systemd.render(job(start=Start(3, 0)), system=False))
    left = sorted(path.name for path in units.iterdir())
    assert left == ([f"{NAME}.service", f"{NAME}.timer"] if before else [])
    if before:
        assert (units / f"{NAME}.timer").read_bytes() == first.files[1].data


def test_the_manager_tells_what_is_next_and_how_the_last_run_ended(
    manager: Systemd, systemctl: "Stub", job: Make, units: Path
) -> None:
    manager.install(NAME, systemd.render(job(), system=False))
    systemctl.remembers(
        "timer",
        "ActiveState=active\nNextElapseUSecRealtime=Wed 2026-11-25 22:00:00 UTC\nLastTriggerUSec=Tue 2026-11-24\n",
    )
    systemctl.remembers("service", "ActiveState=failed\nResult=exit-code\nExecMainStatus=3\n")
    assert manager.show(NAME) == Standing(
        Kind.SYSTEMD_USER,
        NAME,
        (str(units / f"{NAME}.service"), str(units / f"{NAME}.timer")),
        "active",
        "Wed 2026-11-25 22:00:00 UTC",
        "Tue 2026-11-24",
        3,
    )


def test_a_job_that_never_ran_has_no_exit_code(manager: Systemd, systemctl: "Stub", job: Make) -> None:
    manager.install(NAME, systemd.render(job(), system=False))
    systemctl.remembers("timer", "ActiveState=active\nLastTriggerUSec=n/a\n")
    systemctl.remembers("service", "ActiveState=inactive\nResult=success\nExecMainStatus=0\n")
    standing = manager.show(NAME)
    assert standing is not None
    assert (standing.last_start, standing.last_exit) == (None, None)


def test_what_is_not_there_is_not_shown_and_cannot_be_removed(manager: Systemd, systemctl: "Stub") -> None:
    assert manager.show(NAME) is None
    with pytest.raises(UsageError, match="This program has not scheduled nightly-test with systemd-user"):
        manager.remove(NAME)
    assert systemctl.calls() == []


def test_the_folders_that_a_service_may_write_to_are_there_before_it(
    manager: Systemd, tmp_path: Path, job: Make
) -> None:
    folders = (tmp_path / "inbox", tmp_path / "state" / "batch-offboard", tmp_path / "reports")
    manager.install(NAME, systemd.render(job(writable=tuple(map(str, folders))), system=False))
    assert [folder.is_dir() for folder in folders] == [False, True, True]  # the operator creates the inbox
    assert folders[1].stat().st_mode & 0o777 == 0o700


def test_the_users_units_are_where_the_manager_looks_for_them(tmp_path: Path, job: Make) -> None:
    rendered = systemd.render(job(), system=False)
    at_home = scheduler(Kind.SYSTEMD_USER, run, {}, tmp_path)
    moved = scheduler(Kind.SYSTEMD_USER, run, {"XDG_CONFIG_HOME": str(tmp_path / "c")}, tmp_path)
    assert at_home.places(rendered)[0] == str(tmp_path / ".config" / "systemd" / "user" / f"{NAME}.service")
    assert moved.places(rendered)[0] == str(tmp_path / "c" / "systemd" / "user" / f"{NAME}.service")


# -- cron --


@pytest.fixture
def crontab(stub: MakeStub) -> "Stub":
    return stub("crontab")


def test_the_crontab_gains_a_block_and_loses_it_again(crontab: "Stub", job: Make) -> None:
    mine = "# caf\udce9, not UTF-8\n0 5 * * * backup \\%d\n"
    (crontab.folder / "table").write_bytes(mine.encode("utf-8", "surrogateescape"))
    rendered = cron.render(job())
    Cron(run).install(NAME, rendered)
    table = (crontab.folder / "table").read_bytes()
    assert table.decode("utf-8", "surrogateescape") == mine + rendered.files[0].text
    assert Cron(run).show(NAME) == Standing(Kind.CRON, NAME, ("the crontab",), "active")
    Cron(run).remove(NAME)
    assert (crontab.folder / "table").read_bytes().decode("utf-8", "surrogateescape") == mine
    assert Cron(run).show(NAME) is None


def test_a_user_without_a_crontab_gets_one(crontab: "Stub", job: Make) -> None:
    Cron(run).install(NAME, cron.render(job()))
    assert (crontab.folder / "table").read_text(encoding="utf-8") == cron.render(job()).files[0].text


@pytest.mark.parametrize("action", ["install", "remove", "show"])
def test_a_crontab_that_cannot_be_read_is_not_taken_for_an_empty_one(crontab: "Stub", job: Make, action: str) -> None:
    crontab.remembers("answer", "You (me) are not allowed to use this program (crontab)")
    with pytest.raises(UsageError, match="not allowed to use this program"):
        act(Cron(run), action, cron.render(job()))
    assert crontab.calls() == []


@pytest.mark.parametrize(("version", "known"), [("cronie 1.5.7", True), ("", False)])
def test_a_zone_needs_a_cron_that_knows_zones(crontab: "Stub", job: Make, version: str, known: bool) -> None:
    crontab.remembers("version", version)
    rendered = cron.render(job(start=Start(22, 0, zone="Europe/Berlin")))
    if known:
        Cron(run).install(NAME, rendered)
        assert "CRON_TZ=Europe/Berlin" in (crontab.folder / "table").read_text(encoding="utf-8")
    else:
        with pytest.raises(UsageError, match="omit --zone"):
            Cron(run).install(NAME, rendered)
        assert crontab.calls() == []


# -- Windows --


def test_a_task_is_registered_from_the_file_shown_and_deleted(stub: MakeStub, job: Make) -> None:
    schtasks = stub("schtasks")
    rendered = windows.render(job())
    Windows(run).install(NAME, rendered)
    assert (schtasks.folder / "task").read_bytes() == rendered.files[0].data
    assert Windows(run).show(NAME) == Standing(
        Kind.WINDOWS, NAME, ("the task \\nightly-test",), "Ready", "11/25/2026 10:00:00 PM"
    )
    assert Windows(run).remove(NAME) == ("the task \\nightly-test",)
    assert Windows(run).show(NAME) is None
    assert schtasks.calls() == [f"/Create /TN {NAME} /XML {NAME}.xml /F", f"/Delete /TN {NAME} /F"]


@pytest.mark.parametrize("action", ["install", "remove", "show"])
def test_a_task_that_somebody_else_made_is_not_touched(stub: MakeStub, job: Make, action: str) -> None:
    schtasks = stub("schtasks")
    schtasks.remembers("task", "<Task/>")
    with pytest.raises(UsageError, match="was not made by `schedule install`"):
        act(Windows(run), action, windows.render(job()))
    assert (schtasks.folder / "task").read_text(encoding="utf-8") == "<Task/>"


# -- Kubernetes --


def test_a_cron_job_is_applied_and_deleted(stub: MakeStub, job: Make) -> None:
    kubectl = stub("kubectl")
    Kubernetes(run).install(NAME, kubernetes.render(job(), config="/etc/bo/config.yaml", data="/data"))
    assert Kubernetes(run).show(NAME) == Standing(Kind.KUBERNETES, NAME, ("the CronJob nightly-test",), "active")
    Kubernetes(run).remove(NAME)
    assert Kubernetes(run).show(NAME) is None
    assert kubectl.calls() == [f"apply -f {NAME}.yaml", f"delete cronjob {NAME}"]


def test_a_cron_job_that_somebody_else_made_is_not_touched(stub: MakeStub, job: Make) -> None:
    kubectl = stub("kubectl")
    kubectl.remembers("cronjob", '{"metadata": {"name": "nightly-test"}}')
    with pytest.raises(UsageError, match="was not made by `schedule install`"):
        Kubernetes(run).install(NAME, kubernetes.render(job(), config="/etc/bo/config.yaml", data="/data"))
    with pytest.raises(UsageError, match="was not made by `schedule install`"):
        Kubernetes(run).remove(NAME)
    assert kubectl.calls() == []


def test_a_cluster_that_does_not_answer_is_said_in_its_words(stub: MakeStub) -> None:
    stub("kubectl").remembers("answer", "The connection to the server localhost:8080 was refused")
    with pytest.raises(UsageError, match=r"kubectl get cronjob .* localhost:8080 was refused"):
        Kubernetes(run).show(NAME)


# -- the programs --


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="no program `no-such-scheduler`"):
        run(Command(("no-such-scheduler", "x")), "", None)


def test_a_program_gets_its_arguments_as_they_are_and_no_shell_sees_them(stub: MakeStub, tmp_path: Path) -> None:
    crontab = stub("crontab")
    run(Command(("crontab", f"; touch {tmp_path}/no; $(id) `id` *")), "", None)
    assert crontab.calls() == [f"; touch {tmp_path}/no; $(id) `id` *"]
    assert not (tmp_path / "no").exists()
