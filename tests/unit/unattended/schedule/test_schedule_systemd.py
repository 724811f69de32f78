"""Units contain what the job says, read by the rules of systemd.syntax(7)."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import assume, given

from batch_offboard.base.errors import UsageError
from batch_offboard.unattended.schedule.job import Job, Rendered, Start
from batch_offboard.unattended.schedule.systemd import properties, question, removal, render
from tests.unit.unattended.schedule.conftest import make_job, starts, texts


def settings_of(unit: str) -> dict[str, list[str]]:
    """The settings of all sections, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value.strip())
    return found


def words_of(value: str) -> list[str]:
    """Split at spaces outside quotes, then C escapes, then specifiers: in the order of systemd."""
    return [specified(word) for word in split(value)]


def split(value: str) -> Iterator[str]:
    signs = iter(value)
    word: list[str] | None = None
    quote = ""
    for sign in signs:
        if sign == "\\":
            word = [*(word or []), next(signs)]
        elif quote:
            if sign == quote:
                quote = ""
            else:
                word = [*(word or []), sign]
        elif sign in "\"'" and word is None:
            quote, word = sign, []
        elif sign in " \t":
            if word is not None:
                yield "".join(word)
            word = None
        else:
            word = [*(word or []), sign]
    assert not quote
    if word is not None:
        yield "".join(word)


def specified(text: str) -> str:
    assert "%" not in text.replace("%%", "")
    return text.replace("%%", "%")


def run_as(words: list[str]) -> list[str]:
    """Expand variables in all words except the program's name."""
    for word in words[1:]:
        assert "$" not in word.replace("$$", "")
    return [words[0], *(word.replace("$$", "$") for word in words[1:])]


def service_of(job: Job, *, system: bool = False) -> dict[str, list[str]]:
    return settings_of(render(job, system=system).files[0].text)


def timer_of(job: Job, *, system: bool = False) -> dict[str, list[str]]:
    return settings_of(render(job, system=system).files[1].text)


@given(program=texts, argument=texts, folder=texts)
def test_the_command_comes_back_as_it_went_in(program: str, argument: str, folder: str) -> None:
    job = make_job(interpreter=f"/{program}", arguments=("nightly", argument, f"/{folder}"))
    (line,) = service_of(job)["ExecStart"]
    assert run_as(words_of(line)) == list(job.command(env_file=False))


@given(first=texts, second=texts, value=texts)
def test_folders_and_variables_come_back_as_they_went_in(first: str, second: str, value: str) -> None:
    job = make_job(writable=(f"/{first}", f"/{second}"), environment={"XDG_STATE_HOME": f"/{value}"})
    service = service_of(job)
    assert words_of(service["ReadWritePaths"][0]) == [f"-/{first}", f"-/{second}"]
    assert words_of(service["Environment"][0]) == [f"XDG_STATE_HOME=/{value}"]


@given(folder=texts)
def test_a_folder_comes_back_as_it_went_in_or_is_refused(folder: str) -> None:
    job = make_job(folder=f"/{folder}")
    try:
        service = service_of(job)
    except UsageError:
        assume(False)
    assert specified(service["WorkingDirectory"][0]) == f"/{folder}"


@pytest.mark.parametrize("folder", ["/srv/a ", "/srv/a\\", "/srv/a\N{NO-BREAK SPACE}"])
def test_a_folder_whose_end_systemd_would_lose_is_refused(job: Callable[..., Job], folder: str) -> None:
    with pytest.raises(UsageError, match="ends with a space or a backslash"):
        render(job(folder=folder), system=False)


@pytest.mark.parametrize("path", ["/etc/bo/*.env", "/etc/bo/a?.env", "/etc/bo/[a].env"])
def test_an_environment_file_that_would_be_a_pattern_is_refused(job: Callable[..., Job], path: str) -> None:
    with pytest.raises(UsageError, match="pattern"):
        render(job(env_file=path), system=False)


def test_the_environment_file_is_the_managers_to_read(job: Callable[..., Job]) -> None:
    service = service_of(job(env_file="/etc/bo/my %.env"))
    assert service["EnvironmentFile"] == ["/etc/bo/my %%.env"]
    assert "--env-file" not in service["ExecStart"][0]


@pytest.mark.parametrize("user", [None, "", "root x", "a\u00e9", "-x", "x;y"])
def test_a_system_service_needs_an_account(job: Callable[..., Job], user: str | None) -> None:
    with pytest.raises(UsageError, match="--user NAME"):
        render(job(user=user), system=True)


def test_the_services_account_is_named_in_the_systems_unit_alone(job: Callable[..., Job]) -> None:
    assert service_of(job(user="svc-bo"), system=True)["User"] == ["svc-bo"]
    assert "User" not in service_of(job())


@pytest.mark.parametrize("system", [True, False])
def test_a_service_is_held_to_what_it_needs(job: Callable[..., Job], system: bool) -> None:
    service = service_of(job(user="svc"), system=system)
    wanted = {
        "Type": "oneshot",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "read-only",
        "PrivateTmp": "yes",
        "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
        "SystemCallFilter": "@system-service",
        "MemoryMax": "2G",
        "KillSignal": "SIGTERM",
    }
    assert {key: service[key] for key in wanted} == {key: [value] for key, value in wanted.items()}


def test_what_needs_capabilities_is_asked_of_the_system_alone(job: Callable[..., Job]) -> None:
    needing = {"CapabilityBoundingSet", "ProtectKernelModules", "PrivateDevices", "ProtectClock", "ProtectKernelLogs"}
    assert needing <= set(service_of(job(user="svc"), system=True))
    assert not needing & set(service_of(job()))


def test_a_stop_waits_for_as_long_as_the_job_says(job: Callable[..., Job]) -> None:
    assert service_of(job(stop_seconds=212))["TimeoutStopSec"] == ["212"]


@pytest.mark.fault(26, "The service manager does not start it repeatedly.")
def test_exit_codes_of_ours_neither_restart_a_run_nor_count_as_success(job: Callable[..., Job]) -> None:
    service = service_of(job())
    assert service["Restart"] == ["on-abnormal"]
    assert "SuccessExitStatus" not in service


@pytest.mark.parametrize(
    ("start", "calendar"),
    [
        (Start(22, 0), "*-*-* 22:00:00"),
        (Start(2, 5, (0, 1, 2, 3, 4)), "Mon..Fri *-*-* 02:05:00"),
        (Start(2, 5, (0, 2, 5, 6), "Europe/Berlin"), "Mon,Wed,Sat..Sun *-*-* 02:05:00 Europe/Berlin"),
    ],
)
def test_the_timer_says_when(job: Callable[..., Job], start: Start, calendar: str) -> None:
    assert timer_of(job(start=start))["OnCalendar"] == [calendar]


@given(start=starts)
def test_every_start_has_a_timer_that_starts_the_service_of_its_name(start: Start) -> None:
    timer = timer_of(make_job(start=start))
    assert timer["Unit"] == ["nightly-test.service"]
    assert timer["WantedBy"] == ["timers.target"]


@pytest.mark.parametrize(("catch_up", "persistent"), [(True, "true"), (False, "false")])
def test_a_missed_start_is_made_up_for_only_if_that_was_asked_for(
    job: Callable[..., Job], catch_up: bool, persistent: str
) -> None:
    rendered = render(job(catch_up=catch_up), system=False)
    assert settings_of(rendered.files[1].text)["Persistent"] == [persistent]
    assert ("`window`" in rendered.files[1].text) == catch_up


@pytest.mark.parametrize(("system", "manager"), [(True, ("systemctl",)), (False, ("systemctl", "--user"))])
def test_every_command_speaks_to_the_right_manager(job: Callable[..., Job], system: bool, manager: tuple[str]) -> None:
    rendered: Rendered = render(job(user="svc" if system else None), system=system)
    commands = [*rendered.commands, *removal("x", system=system), question("x", "timer", system=system)]
    for command in commands:
        assert command.words[: len(manager)] == manager
        assert ("--user" in command.words) != system


def test_what_systemctl_leaves_empty_is_not_known() -> None:
    text = "ActiveState=active\nNextElapseUSecRealtime=Wed 2026-11-25 22:00:00 UTC\nLastTriggerUSec=n/a\nResult=\n"
    assert properties(text) == {
        "ActiveState": "active",
        "NextElapseUSecRealtime": "Wed 2026-11-25 22:00:00 UTC",
    }


def test_what_lies_in_the_machines_tmp_is_noted(job: Callable[..., Job]) -> None:
    inbox = "/tmp/inbox"  # noqa: S108  # the fact itself
    assert any(inbox in note for note in render(job(writable=(inbox,)), system=False).notes)
    assert not any("cannot access" in note for note in render(job(), system=False).notes)
