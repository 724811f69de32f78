"""`schedule` as an administrator types it; the schedulers of this machine are not touched."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from defusedxml.ElementTree import fromstring

if TYPE_CHECKING:
    from tests.acceptance.conftest import Office, Tenant

posix_only = pytest.mark.skipif(os.name != "posix", reason="this scheduler is not on this platform")

CRONTAB = """#!{python}
import sys
from pathlib import Path
table = Path({table!r})
if sys.argv[1:] == ["-l"]:
    if not table.exists():
        sys.exit("no crontab for me")
    sys.stdout.write(table.read_text())
elif sys.argv[1:] == ["-"]:
    table.write_text(sys.stdin.read())
"""


@pytest.fixture
def crontab(office: Office) -> Path:
    """A program `crontab` of the office's own; returns the file where it keeps the table."""
    table, programs = office.folder.parent / "table", office.folder.parent / "programs"
    programs.mkdir()
    program = programs / "crontab"
    program.write_text(CRONTAB.format(python=sys.executable, table=str(table)), encoding="utf-8")
    program.chmod(0o755)
    office.environ["PATH"] = f"{programs}{os.pathsep}{office.environ['PATH']}"
    return table


def ready(office: Office) -> None:
    """What a scheduled run needs: a configuration, an inbox and the variables."""
    office.configure("http://127.0.0.1:9")
    (office.folder / "inbox").mkdir()
    secrets = office.folder / "secrets.env"
    secrets.write_text("OFFBOARD_TOKEN=canary-token\n", encoding="utf-8")
    secrets.chmod(0o600)


@posix_only
def test_units_are_shown_with_their_places_and_nothing_is_written(office: Office) -> None:
    ended = office.run(
        *("schedule", "install", "--kind", "systemd-user", "--inbox", "inbox", "--days", "mon-fri", "--print")
    )
    assert ended.code == 0, ended.err
    home = Path(office.environ["HOME"])
    assert f"# {home}/.config/systemd/user/batch-offboard-nightly.service\n" in ended.out
    command = f"ExecStart={sys.executable} -P -m batch_offboard nightly --inbox {office.folder}/inbox --config "
    assert command in ended.out
    assert "OnCalendar=Mon..Fri *-*-* 22:00:00" in ended.out
    assert "systemctl --user enable --now batch-offboard-nightly.timer" in ended.err
    assert list(home.iterdir()) == []
    assert list(office.folder.iterdir()) == []


def test_the_task_is_shown_as_xml_and_the_command_to_register_it(office: Office) -> None:
    ended = office.run(
        *("schedule", "install", "--kind", "windows", "--user", r"CONTOSO\svc", "--inbox", r"C:\in box", "--print")
    )
    assert ended.code == 0, ended.err
    task = fromstring(ended.out.partition("\n")[2])  # the declaration names the file's encoding, not the terminal's
    assert task.findtext(".//{*}UserId") == r"CONTOSO\svc"
    assert r'--inbox "C:\in box"' in (task.findtext(".//{*}Arguments") or "")
    assert "schtasks /Create /TN batch-offboard-nightly /XML batch-offboard-nightly.xml /F" in ended.err


def test_the_manifest_can_be_handed_on_as_it_is_shown(office: Office) -> None:
    ended = office.run(
        *("schedule", "install", "--kind", "kubernetes", "--inbox", "/data/inbox", "--zone", "Europe/Berlin", "--print")
    )
    assert ended.code == 0, ended.err
    manifest = yaml.safe_load(ended.out)
    assert (manifest["kind"], manifest["spec"]["timeZone"]) == ("CronJob", "Europe/Berlin")


def test_json_has_files_commands_and_notes(office: Office) -> None:
    ended = office.run("schedule", "install", "--kind", "kubernetes", "--inbox", "/data/inbox", "--print", "--json")
    assert ended.code == 0, ended.err
    assert (ended.json["kind"], ended.json["installed"]) == ("kubernetes", False)
    assert ended.json["commands"] == [["kubectl", "apply", "-f", "batch-offboard-nightly.yaml"]]
    assert yaml.safe_load(ended.json["files"][0]["text"])["kind"] == "CronJob"


@posix_only
def test_a_crontab_gains_the_line_shows_it_and_loses_it(office: Office, crontab: Path) -> None:
    ready(office)
    crontab.write_text("# mine\n", encoding="utf-8")
    cron = ("--kind", "cron")
    ended = office.run("schedule", "install", *cron, "--inbox", "inbox", "--env-file", "secrets.env", "--at", "1:30")
    assert ended.code == 0, ended.err
    assert "30 1 * * * cd " in crontab.read_text(encoding="utf-8")
    assert "canary-token" not in crontab.read_text(encoding="utf-8") + ended.out + ended.err
    shown = office.run("schedule", "show", *cron, "--json")
    assert [(each["kind"], each["state"]) for each in shown.json] == [("cron", "active")]
    removed = office.run("schedule", "remove", *cron)
    assert removed.code == 0, removed.err
    assert crontab.read_text(encoding="utf-8") == "# mine\n"
    assert "Nothing is scheduled" in office.run("schedule", "show", *cron).out
    assert "nothing was removed" in office.run("schedule", "remove", *cron).sentence


@posix_only
def test_a_variable_that_nobody_would_set_at_night_is_noted(office: Office, crontab: Path) -> None:
    ready(office)
    without = office.run("schedule", "install", "--kind", "cron", "--inbox", "inbox")
    assert "from the variable OFFBOARD_TOKEN; --env-file does not set it" in without.out
    with_file = office.run("schedule", "install", "--kind", "cron", "--inbox", "inbox", "--env-file", "secrets.env")
    assert "OFFBOARD_TOKEN" not in with_file.out


@posix_only
@pytest.mark.parametrize(
    ("missing", "words"),
    [("inbox", "There is no folder"), ("config.yaml", "There is no configuration"), ("secrets.env", "--env-file")],
)
def test_what_the_nightly_run_would_miss_is_refused_at_once(
    office: Office, crontab: Path, missing: str, words: str
) -> None:
    ready(office)
    path = office.folder / missing
    path.rmdir() if path.is_dir() else path.unlink()
    ended = office.run("schedule", "install", "--kind", "cron", "--inbox", "inbox", "--env-file", "secrets.env")
    assert words in ended.sentence
    assert ended.code == 2
    assert not crontab.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--at", "25:00"), "--at"),
        (("--days", "someday"), "--days"),
        (("--zone", "Not A Zone"), "--zone"),
        (("--name", "No Name"), "--name"),
        (("--user", "x"), "--user"),
        (("--inbox", "a\nb"), "line break"),
    ],
)
def test_what_no_scheduler_takes_is_one_sentence(office: Office, options: tuple[str, str], words: str) -> None:
    ended = office.run("schedule", "install", "--kind", "cron", "--inbox", "inbox", *options, "--print")
    assert words in ended.sentence
    assert ended.code == 2


def test_the_variables_of_a_file_are_there_for_the_command(office: Office, tenant: Tenant) -> None:
    office.configure(tenant, credential={"type": "access_token", "token_env": "FROM_THE_FILE"})
    secrets = office.folder / "secrets.env"
    secrets.write_text("FROM_THE_FILE='rehearsal-token'\n", encoding="utf-8")
    secrets.chmod(0o600)
    sheet = office.sheet(tenant.take(2))
    assert office.run("run", sheet, "--yes").code == 2
    ended = office.run("--env-file", "secrets.env", "run", sheet, "--yes", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["counts"]["submitted"] == 2
