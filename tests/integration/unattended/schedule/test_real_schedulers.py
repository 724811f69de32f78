"""The schedulers' own programs accept the text, where they are available; nothing is installed or changed."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batch_offboard.unattended.schedule import cron, systemd
from batch_offboard.unattended.schedule.job import Job, Rendered, Start

Make = Callable[..., Job]
ODD = 'it\'s 50% of $HOME "and" `more` \\ é;#'
MANAGER = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(path).exists()), None)

needs_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
needs_crontab = pytest.mark.skipif(not shutil.which("crontab"), reason="crontab is not installed")
needs_shell = pytest.mark.skipif(not Path("/bin/sh").exists(), reason="there is no /bin/sh")
needs_manager = pytest.mark.skipif(
    MANAGER is None or sys.platform != "linux", reason="systemd is not installed, so it cannot read the units"
)


def ran(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"env": {**os.environ, "LC_ALL": "C.UTF-8"}} | options
    done: subprocess.CompletedProcess[str] = subprocess.run(
        words, capture_output=True, encoding="utf-8", timeout=60, check=False, **options
    )
    return done


def written(rendered: Rendered, folder: Path) -> list[str]:
    for file in rendered.files:
        (folder / file.name).write_bytes(file.data)
    return [str(folder / file.name) for file in rendered.files]


@needs_analyze
@pytest.mark.parametrize("system", [True, False])
@pytest.mark.parametrize("argument", ["/srv/inbox", f"/srv/{ODD}"])
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, job: Make, system: bool, argument: str) -> None:
    rendered = systemd.render(
        job(
            arguments=("nightly", "--inbox", argument),
            folder=str(tmp_path),
            user="root",
            env_file="/etc/hosts",
            environment={"XDG_STATE_HOME": argument},
            writable=(argument,),
            catch_up=True,
            start=Start(22, 0, (0, 2, 5, 6), "Europe/Berlin"),
        ),
        system=system,
    )
    done = ran(
        "systemd-analyze", "--system" if system else "--user", "--man=no", "verify", *written(rendered, tmp_path)
    )
    ours = [line for line in done.stderr.splitlines() if "nightly-test" in line]
    assert ours == []


@needs_analyze
@pytest.mark.parametrize(
    ("start", "next_start"),
    [
        (Start(22, 0), "Wed 2026-03-25 22:00:00 UTC"),
        (Start(22, 0, (5, 6)), "Sat 2026-03-28 22:00:00 UTC"),
        (Start(22, 0, (0, 1, 2, 3, 4), "America/New_York"), "Thu 2026-03-26 02:00:00 UTC"),
    ],
)
def test_systemd_starts_when_the_job_says(job: Make, start: Start, next_start: str) -> None:
    timer = systemd.render(job(start=start), system=False).files[1].text
    calendar = next(line.removeprefix("OnCalendar=") for line in timer.splitlines() if line.startswith("OnCalendar="))
    done = ran(
        "systemd-analyze",
        "calendar",
        "--base-time=2026-03-25 12:00:00 UTC",
        calendar,
        env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"},
    )
    assert f"Next elapse: {next_start}" in done.stdout, done.stderr


@needs_analyze
def test_the_system_service_is_exposed_to_little(tmp_path: Path, job: Make) -> None:
    units = written(systemd.render(job(folder=str(tmp_path)), system=True), tmp_path)
    done = ran("systemd-analyze", "security", "--offline=true", "--threshold=30", "--no-pager", units[0])
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot look at a unit that is not loaded")
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


@needs_manager
@needs_shell
def test_systemd_reads_back_what_went_in(tmp_path: Path, job: Make) -> None:
    """A user manager that prints what it has loaded; as root it does not, so another user runs it there."""
    folder = tmp_path / ODD.replace("é", "e")
    made = job(
        interpreter="/bin/true",
        arguments=("nightly", ODD, ODD * 3, "%n", "${HOME}", "$HOME", ";", "-"),
        folder=str(folder),
        env_file=f"/etc/{ODD}",
        environment={"XDG_STATE_HOME": ODD},
        writable=(f"/srv/{ODD}", "/srv/plain"),
    )
    loaded = dumped(systemd.render(made, system=False), tmp_path)
    if not any(line.startswith("Command Line: ") for line in loaded):
        pytest.skip("this systemd does not tell what it has loaded")
    command = next(line.removeprefix("Command Line: ") for line in loaded if line.startswith("Command Line: "))
    words = ran("/bin/sh", "-c", f"printf '%s\\n' {command}").stdout.splitlines()
    assert [words[0], *(word.replace("$$", "$") for word in words[1:])] == list(made.command(env_file=False))
    assert f"WorkingDirectory: {folder}" in loaded
    assert f"EnvironmentFile: /etc/{ODD}" in loaded
    assert f"Environment: XDG_STATE_HOME={ODD}" in loaded
    assert f"ReadWritePaths: -/srv/{ODD} -/srv/plain" in loaded


def dumped(rendered: Rendered, tmp_path: Path) -> list[str]:
    """The manager's output about our service, line by line, as a user that is not root."""
    units, home = tmp_path / "units", tmp_path / "home"
    for folder in (units, home):
        folder.mkdir()
    written(rendered, units)
    environ = {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "SYSTEMD_LOG_TARGET": "console",
        "SYSTEMD_UNIT_PATH": f"{units}:",
        "PATH": os.environ["PATH"],
    }
    options: dict[str, Any] = {"env": environ}
    if os.geteuid() == 0:
        options["user"] = "nobody"
        shutil.chown(home, "nobody")
        open_to_all(home)
    done = ran(str(MANAGER), "--test", "--user", "--unit=nightly-test.service", **options)
    lines = [line.strip() for line in done.stdout.splitlines()]
    begin = next((at for at, line in enumerate(lines) if "Unit nightly-test.service:" in line), len(lines))
    end = next((at for at in range(begin + 1, len(lines)) if lines[at].startswith("-> Unit ")), len(lines))
    return [line.removeprefix("-> ") for line in lines[begin:end]]


def open_to_all(folder: Path) -> None:
    """Make pytest's folders accessible to other users, who may only traverse them."""
    for parent in folder.parents:
        if parent.stat().st_mode & 0o077 == 0 and parent.is_relative_to("/tmp"):  # noqa: S108  # pytest's own root
            parent.chmod(0o711)


@needs_crontab
@pytest.mark.parametrize("argument", ["/srv/inbox", f"/srv/{ODD}"])
def test_cron_takes_the_crontab(tmp_path: Path, job: Make, argument: str) -> None:
    block = cron.render(job(arguments=("nightly", "--inbox", argument))).files[0].text
    table = tmp_path / "table"
    table.write_text(cron.with_block("MAILTO=me\n0 5 * * * backup\n", "nightly-test", block), encoding="utf-8")
    tried = [ran("crontab", option, str(table)) for option in ("-T", "-n")]  # cronie's option, and Debian's
    if all("invalid option" in done.stderr for done in tried):
        pytest.skip("this crontab cannot check a table without installing it")
    assert any(done.returncode == 0 for done in tried), tried


@needs_shell
def test_the_shell_runs_the_command_that_went_in(tmp_path: Path, job: Make) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    show = "import json, os, sys; print(json.dumps([os.getcwd(), os.environ['XDG_STATE_HOME'], *sys.argv[1:]]))"
    made = job(interpreter=sys.executable, arguments=(ODD,), folder=str(folder), environment={"XDG_STATE_HOME": ODD})
    line = next(line for line in cron.render(made).files[0].text.splitlines() if line.startswith("0 22"))
    command = line.split(" ", 5)[5].replace("-P -m batch_offboard", f"-c {shlex.quote(show)}")
    assert "%" in command.replace("\\%", "", 1)
    done = ran("/bin/sh", "-c", command)
    assert json.loads(done.stdout) == [str(folder), ODD, ODD]
