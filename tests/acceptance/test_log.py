"""The log of a run as its readers find it, and the errors that nobody foresaw."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Json, Office, Tenant

CANARY = "canary-token-5c1d"
BEARER = f"Authorization: Bearer {CANARY}"
LOUD = {"BATCH_OFFBOARD_DEBUG": "1", "PYTHONASYNCIODEBUG": "1", "OFFBOARD_TOKEN": CANARY}


def events(office: Office, name: str = "logs/bo.log") -> list[Json]:
    return [json.loads(line) for line in (office.folder / name).read_text(encoding="utf-8").splitlines()]


def test_a_run_is_logged_from_the_plan_to_the_report(office: Office, tenant: Tenant) -> None:
    devices = [*tenant.take(6), *tenant.take_special("refused once", 1)]
    office.configure(tenant, log={"file": "logs/bo.log", "format": "json"})
    assert office.run("run", office.sheet(devices), "--yes", "--report", "out.json").code == 1
    found = events(office)
    names = [each["event"] for each in found]
    calls = [each for each in found if each["event"].startswith("call ")]
    assert [each for each in names if not each.startswith("call ") and each != "said"] == [
        "token read", "tenant looked up", "planned", "guards cleared", "run begun", "actions looked back at",
        "actions looked back at", "run ended", "audit", "reports written",
    ]  # fmt: skip
    assert sorted(each["device"] for each in calls) == sorted(devices * 2)
    ended = {each["device"]: (each["verdict"], each["level"]) for each in calls if each["event"] == "call ended"}
    assert ended == dict.fromkeys(devices[:6], ("submitted", "info")) | {devices[6]: ("failed", "warning")}
    anchor = found[names.index("audit")]["anchor"]
    assert office.run("audit", "verify", "--anchor", anchor).code == 0
    assert json.loads((office.folder / "out.json").read_text(encoding="utf-8"))["batch"]["audit"] == anchor


def test_variables_set_the_log_too_and_text_is_for_people(office: Office, tenant: Tenant) -> None:
    office.configure(tenant)
    sheet = office.sheet(tenant.take(2))
    wanted = {"BATCH_OFFBOARD_LOG__FILE": "bo.log", "BATCH_OFFBOARD_LOG__LEVEL": "warning"}
    refused = office.run("run", sheet, "--yes", "--quiet", "--max-devices", "1", **wanted)
    assert refused.code == 4
    first, second = (office.folder / "bo.log").read_text(encoding="utf-8").splitlines()
    assert "warning guards refused  batch=" in first
    assert 'overrides=["--max-devices 1: instead of ' in first
    assert "warning command stopped  error=GuardError reason=" in second


def test_no_secret_is_logged_however_much_is_asked_for(office: Office, tenant: Tenant) -> None:
    devices = [*tenant.take(2), *tenant.take_special("unwelcome", 1), *tenant.take(1)]
    office.configure(tenant, log={"file": "bo.log", "level": "debug"})
    ended = office.run("run", office.sheet(devices), "--yes", **LOUD)
    assert ended.code == 5
    text = (office.folder / "bo.log").read_text(encoding="utf-8")
    assert "tenant read" in text
    assert "verdict=unauthorized" in text
    written = [path.read_bytes() for path in office.folder.parent.rglob("*") if path.is_file()]
    assert all(CANARY.encode() not in each for each in [*written, ended.out.encode(), ended.err.encode()])


@pytest.mark.skipif(os.name != "posix", reason="modes are a matter of POSIX")
def test_the_log_is_for_its_owner_alone(office: Office, tenant: Tenant) -> None:
    office.configure(tenant, log={"file": "logs/bo.log"})
    assert office.run("plan", office.sheet(tenant.take(1)), "--quiet").code == 0
    assert stat.S_IMODE((office.folder / "logs").stat().st_mode) == 0o700
    assert stat.S_IMODE((office.folder / "logs" / "bo.log").stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_is_said_once_and_the_run_goes_on(office: Office, tenant: Tenant) -> None:
    devices = tenant.take(3)
    sheet = office.sheet(devices)
    office.configure(tenant, log={"file": f"{sheet}/bo.log"})
    ended = office.run("run", sheet, "--yes", "--quiet", "--report", "out.csv")
    assert (ended.code, tenant.called(devices)) == (0, devices)
    (sentence,) = ended.err.splitlines()
    assert sentence.startswith("The log ")
    assert "cannot be written" in sentence


def broken(office: Office, *arguments: str, text: str = BEARER, **environ: str) -> subprocess.CompletedProcess[str]:
    """The program with a mistake in it: planning meets an error that nobody foresaw, with this text."""
    program = (
        "import sys\n"
        "from batch_offboard.commands import proposing\n"
        "from batch_offboard.cli.entry import run_command_line\n"
        "def plan(*_arguments):\n"
        f"    raise ZeroDivisionError('at the very bottom, with ' {text!r})\n"
        "proposing.plan = plan\n"
        "sys.exit(run_command_line(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=office.folder, env=office.environ | environ, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip


def state_of(office: Office) -> Path:
    return office.folder.parent / "state"


@pytest.mark.fault(24, "No part of a secret in the environment is kept or shown.")
@pytest.mark.parametrize("debug", ["", "1"])
def test_an_unforeseen_error_shows_no_part_of_a_secret_that_is_in_the_environment(office: Office, debug: str) -> None:
    told = "Port could not be cast to integer value as 'canary-pw', of MY_TOKEN=canary-token, in SOME_NAME=canary-named"
    ended = broken(
        office,
        "plan",
        office.sheet(["a" * 39 + "b"]),
        text=told,
        HTTPS_PROXY="http://ann:canary-pw#1@proxy:8080",
        MY_TOKEN="canary-token",
        SOME_NAME="canary-named",
        BATCH_OFFBOARD_CREDENTIAL__TYPE="access_token",
        BATCH_OFFBOARD_CREDENTIAL__TOKEN_ENV="SOME_NAME",
        BATCH_OFFBOARD_DEBUG=debug,
    )
    (path,) = state_of(office).rglob("batch-offboard.log")
    text = path.read_text(encoding="utf-8")
    assert "value as '***', of MY_TOKEN=***, in SOME_NAME=***" in text
    assert ("value as '***'" in ended.stderr) == bool(debug)
    assert "canary" not in text + ended.stdout + ended.stderr


@pytest.mark.fault(24, "One sentence, exit 3; the log has the traceback without secrets.")
def test_an_unforeseen_error_is_one_sentence_that_names_the_file_with_the_rest(office: Office) -> None:
    ended = broken(office, "plan", office.sheet(["a" * 39 + "b"]), "--simulate")
    assert (ended.returncode, ended.stdout) == (3, "")
    (path,) = state_of(office).rglob("batch-offboard.log")
    assert ended.stderr == (
        "batch-offboard: unexpected ZeroDivisionError, a bug in the program; the journal has every row. "
        f"{path} shows where it happened; please report it.\n"
    )
    text = path.read_text(encoding="utf-8")
    assert "error   unexpected error  error=ZeroDivisionError\n    | Traceback" in text
    assert "at the very bottom" in text
    assert CANARY not in text + ended.stderr
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_unforeseen_error_goes_into_the_log_if_there_is_one(office: Office, tenant: Tenant) -> None:
    office.configure(tenant, log={"file": "bo.log", "format": "json"})
    ended = broken(office, "run", office.sheet(["a" * 39 + "b"]), "--yes", "--quiet")
    assert ended.returncode == 3
    assert str(office.folder / "bo.log") in ended.stderr
    assert "ZeroDivisionError" in events(office, "bo.log")[-1]["traceback"]
    assert list(state_of(office).rglob("batch-offboard.log")) == []


def test_without_a_place_for_it_the_sentence_says_how_to_see_the_error(office: Office) -> None:
    (office.folder.parent / "occupied").touch()
    nowhere = {"XDG_STATE_HOME": str(office.folder.parent / "occupied")}
    if sys.platform != "linux":
        pytest.skip("the state folder is found otherwise here")
    ended = broken(office, "plan", office.sheet(["a" * 39 + "b"]), "--simulate", "--journal", "j.db", **nowhere)
    assert "Set BATCH_OFFBOARD_DEBUG=1 to see where it happened" in ended.stderr
