"""From the options to a job: paths, accounts, times to stop."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batch_offboard.base.errors import UsageError
from batch_offboard.config import Config
from batch_offboard.unattended.schedule.job import Kind
from batch_offboard.unattended.schedule.planning import (
    Machine,
    Wish,
    absolute,
    config_path,
    job_of,
    kinds_here,
    rendered,
    variables_needed,
)

SIGN_IN = {"type": "access_token", "token_env": "THE_TOKEN"}
LOCAL = (Kind.SYSTEMD_USER, Kind.SYSTEMD_SYSTEM, Kind.CRON)
HERE = Machine("/srv/work", "/opt/py/bin/python", "/home/me/.local/state/batch-offboard", "me", "image:1")


def config(**keys: Any) -> Config:
    return Config.model_validate({"credential": SIGN_IN, **keys})


def wish(kind: Kind = Kind.CRON, **changes: Any) -> Wish:
    user = "svc" if kind is Kind.SYSTEMD_SYSTEM else None
    inbox = "/data/inbox" if kind is Kind.KUBERNETES else "inbox"
    return replace(Wish(kind, "nightly", inbox, user=user), **changes)


def machine(environ: Mapping[str, str] | None = None) -> Machine:
    return replace(HERE, environ=environ or {})


@pytest.mark.parametrize("kind", LOCAL)
def test_every_path_is_whole(kind: Kind) -> None:
    asked = wish(kind, journal="j.db", env_file="my.env", config="my.yaml")
    job = job_of(asked, machine(), None)
    assert job.arguments == (
        "nightly",
        "--inbox",
        "/srv/work/inbox",
        "--config",
        "/srv/work/my.yaml",
        "--journal",
        "/srv/work/j.db",
    )
    assert (job.folder, job.env_file, job.interpreter) == ("/srv/work", "/srv/work/my.env", "/opt/py/bin/python")


def test_the_configuration_is_named_even_if_nobody_named_it() -> None:
    assert config_path(wish(), machine()) == "/srv/work/config.yaml"
    assert config_path(wish(), machine({"BATCH_OFFBOARD_CONFIG": "/etc/bo.yaml"})) == "/etc/bo.yaml"
    assert config_path(wish(config="x.yaml"), machine({"BATCH_OFFBOARD_CONFIG": "/etc/bo.yaml"})) == "/srv/work/x.yaml"
    assert config_path(wish(Kind.KUBERNETES), machine()) == "/etc/batch-offboard/config.yaml"


@pytest.mark.parametrize("path", [r"C:\Sheets\inbox", r"\\files\sheets", r"D:/Sheets"])
def test_whole_paths_of_windows_stay_as_they_are(path: str) -> None:
    assert absolute(Kind.WINDOWS, path, "/srv", "--inbox") == path


def test_a_path_in_a_container_has_to_be_whole() -> None:
    assert absolute(Kind.KUBERNETES, "/data/inbox", "/srv", "--inbox") == "/data/inbox"
    with pytest.raises(UsageError, match=r"--inbox .* in the container"):
        absolute(Kind.KUBERNETES, "inbox", "/srv", "--inbox")


def test_a_run_in_a_cluster_keeps_everything_in_its_volume() -> None:
    job = job_of(wish(Kind.KUBERNETES, inbox="/vol/a/inbox"), machine(), None)
    assert job.arguments[-2:] == ("--journal", "/vol/a/journal.db")
    assert job.environment == {"XDG_STATE_HOME": "/vol/a"}
    assert (job.folder, job.interpreter, job.image) == ("/vol/a", "python", "image:1")
    assert job_of(wish(Kind.KUBERNETES, image="mine:2"), machine(), None).image == "mine:2"


def test_a_run_finds_the_locks_where_every_other_run_has_them() -> None:
    moved = replace(machine({"XDG_STATE_HOME": "/elsewhere"}), state="/elsewhere/batch-offboard")
    for kind in (Kind.SYSTEMD_USER, Kind.CRON):
        assert job_of(wish(kind), moved, None).environment == {"XDG_STATE_HOME": "/elsewhere"}
        assert job_of(wish(kind), machine(), None).environment == {}
    assert job_of(wish(Kind.SYSTEMD_SYSTEM), moved, None).environment == {"XDG_STATE_HOME": "/var/lib"}


def test_systemd_leaves_writable_what_a_run_writes_to_and_nothing_else() -> None:
    files = {"journal": Path("/var/j/journal.db"), "notices": {"textfile": Path("/var/metrics/bo.prom")}}
    with_files = config(**files)
    job = job_of(wish(Kind.SYSTEMD_USER, journal="k/j.db"), machine(), with_files)
    assert set(job.writable) == {
        "/srv/work/inbox",
        "/home/me/.local/state/batch-offboard",
        "/srv/work/k",
        "/var/j",
        "/var/metrics",
        "/srv/work/reports",
    }
    assert job_of(wish(Kind.SYSTEMD_SYSTEM), machine(), None).writable == ("/srv/work/inbox", "/srv/work/reports")
    assert job_of(wish(Kind.CRON), machine(), with_files).writable == ()


@pytest.mark.parametrize("timeout", [1.0, 90.0, 3600.0])
def test_a_stop_waits_for_the_longest_call_and_half_a_minute_more(timeout: float) -> None:
    assert job_of(wish(), machine(), config(network={"timeout": timeout})).stop_seconds > timeout + 30
    assert job_of(wish(), machine(), None).stop_seconds > 90 + 30


def test_a_missed_start_is_made_up_for_if_asked_for() -> None:
    assert job_of(wish(catch_up=True), machine(), None).catch_up
    assert not job_of(wish(catch_up=False), machine(), config()).catch_up
    assert not job_of(wish(), machine(), config()).catch_up  # without a window, it would send in the daytime
    assert job_of(wish(), machine(), config(window={"from": "22:00", "to": "06:00"})).catch_up


@pytest.mark.parametrize("kind", [Kind.SYSTEMD_USER, Kind.CRON, Kind.KUBERNETES])
def test_an_account_that_the_kind_has_no_use_for_is_refused(kind: Kind) -> None:
    with pytest.raises(UsageError, match="--user"):
        job_of(wish(kind, user="svc"), machine(), None)


def test_an_image_is_for_a_cluster() -> None:
    with pytest.raises(UsageError, match="--image"):
        job_of(wish(Kind.CRON, image="mine:2"), machine(), None)


def test_a_windows_task_runs_as_whoever_made_it_unless_another_is_named() -> None:
    assert job_of(wish(Kind.WINDOWS), machine(), None).user == "me"
    assert job_of(wish(Kind.WINDOWS, user=r"CONTOSO\svc"), machine(), None).user == r"CONTOSO\svc"


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_is_rendered_with_its_name(kind: Kind) -> None:
    text = rendered(wish(kind), machine(), None)
    assert "nightly" in text.files[0].text
    assert text.files[0].data


def test_the_variables_of_the_configurations_secrets_are_found_wherever_they_are_named() -> None:
    whole = config(
        network={"proxy": "http://p:1", "proxy_user": "u", "proxy_password_env": "PROXY_PASSWORD"},
        notices={"webhook_url_env": "HOOK"},
    )
    assert set(variables_needed(whole)) == {"THE_TOKEN", "PROXY_PASSWORD", "HOOK"}


def test_windows_has_its_own_scheduler_and_others_have_what_is_installed() -> None:
    assert kinds_here(lambda _: "x", "win32") == (Kind.WINDOWS,)
    assert Kind.CRON in kinds_here(lambda _: "x", "linux")
    assert Kind.CRON not in kinds_here(lambda _: None, "darwin")
