"""What goes wrong before anything is sent: one sentence, the right exit code, no call, and no secret in any of it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.acceptance.conftest import Office, Program, Tenant

# What must never be seen again, as it is given by a variable, in a file, and by mistake in the configuration.
BY_VARIABLE, IN_FILE, IN_URL = "canary-by-variable-5c1d", "canary-in-file-9e27", "canary-in-url-b04a"
LOUD = {"BATCH_OFFBOARD_DEBUG": "1", "OFFBOARD_TOKEN": BY_VARIABLE}


@pytest.fixture(scope="session", autouse=True)
def stranded(
    open_office: Callable[[], Office], invented_devices: Callable[[int, int], list[str]]
) -> Iterator[tuple[Office, Program]]:
    """A run whose API cannot be reached. It is patient for half a minute, so it begins with the first test here."""
    office = open_office()
    sheet = office.sheet(invented_devices(2, 500))
    with socket.socket() as closed:  # bound and not listening: nobody else gets the port, and nobody answers
        closed.bind(("127.0.0.1", 0))
        office.configure(f"http://127.0.0.1:{closed.getsockname()[1]}")
        with office.start("run", sheet, "--yes", "--report", "out.csv", **LOUD) as program:
            yield office, program


@pytest.fixture(scope="session")
def desk(open_office: Callable[[], Office], tenant: Tenant) -> tuple[Office, list[str], str]:
    """An office with a configuration, a sheet `devices.csv` and a plan of it; nothing of it is ever sent."""
    office, devices = open_office(), tenant.take(4)
    office.configure(tenant, guards={"max_devices": 5})
    return office, devices, office.plan(office.sheet(devices))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "nowhere.xlsx"], 2, "nowhere.xlsx"),
        (["run", "."], 2, "folder"),
        (["plan", "devices.csv", "--id-column", "Serial"], 2, "Serial"),
        (["show", "20200101-0000-none"], 2, "There is no batch 20200101-0000-none"),
        (["offboard", "devices.csv"], 2, "offboard"),
        (["run", "devices.csv", "--speed", "60"], 2, "--simulate"),
        (["list", "--config", "elsewhere.yaml"], 2, "elsewhere.yaml"),
        (["plan", "devices.csv", "--journal", "devices.csv/journal.db"], 3, "devices.csv/journal.db"),
        (["run", "devices.csv", "--yes", "--quiet", "--report", "devices.csv/out.csv"], 2, "out.csv"),
        (["run", "devices.csv", "--yes", "--report", "out.pdf"], 2, "out.pdf"),
        (["run", "devices.csv", "--quiet"], 4, "--yes"),
        (["run", "devices.csv", "--yes", "--max-devices", "3"], 4, "--max-devices 4"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_refused_command_says_one_sentence_and_sends_nothing(
    desk: tuple[Office, list[str], str], tenant: Tenant, arguments: list[str], code: int, words: str
) -> None:
    office, devices, _ = desk
    ended = office.run(*arguments)
    assert words in ended.sentence.replace("\\", "/")
    assert ended.code == code
    assert ended.out == ""
    assert tenant.called(devices) == []


def test_a_report_never_replaces_the_sheet_it_is_about(desk: tuple[Office, list[str], str], tenant: Tenant) -> None:
    office, devices, batch = desk
    before = (office.folder / "devices.csv").read_bytes()
    for arguments in (["run", batch, "--yes", "--quiet"], ["report", batch]):
        ended = office.run(*arguments, "--report", "../work/devices.csv")
        assert ended.code == 2
        assert "would replace the sheet itself" in ended.sentence
    assert (office.folder / "devices.csv").read_bytes() == before
    assert tenant.called(devices) == []


def test_a_real_batch_is_not_run_as_a_rehearsal(desk: tuple[Office, list[str], str], tenant: Tenant) -> None:
    office, devices, batch = desk
    journal = next(path for path in office.folder.parent.rglob("journal.db"))
    ended = office.run("run", batch, "--simulate", "--yes", "--quiet", "--journal", str(journal))
    assert (ended.code, ended.sentence) == (2, f"batch-offboard: Batch {batch} is real; leave --simulate out.")
    assert tenant.called(devices) == []


def test_a_missing_token_is_named_by_its_variable(desk: tuple[Office, list[str], str]) -> None:
    office, _, batch = desk
    ended = office.run("run", batch, "--yes", "--quiet", OFFBOARD_TOKEN="")
    assert ended.code == 2
    assert "OFFBOARD_TOKEN" in ended.sentence


def test_without_a_configuration_a_real_run_is_refused(office: Office) -> None:
    ended = office.run("run", office.sheet(["c" * 40]), "--yes")
    assert ended.code == 2
    assert "config.example.yaml" in ended.sentence


def test_a_wrong_configuration_is_told_with_file_line_and_key(office: Office) -> None:
    config = office.folder / "config.yaml"
    credential = "credential: {type: access_token, token_env: OFFBOARD_TOKEN}"
    config.write_text(f"{credential}\nquota:\n  per_minute: many\n", encoding="utf-8")
    ended = office.run("run", office.sheet(["c" * 40]), "--yes")
    assert ended.code == 2
    assert all(words in ended.sentence for words in (str(config), "line 3", "quota.per_minute"))


def test_an_api_that_cannot_be_reached_leaves_every_row_to_resume(stranded: tuple[Office, Program]) -> None:
    office, program = stranded
    ended = program.ended()
    assert ended.code == 3
    assert "Traceback" not in ended.err
    assert "The API cannot be reached" in ended.err
    assert [row["outcome"] for row in office.report("out.csv")] == ["pending", "pending"]


def seen_in(office: Office, *texts: str) -> list[str]:
    """Where a canary is found: in the files below the office's root, or in what a program wrote."""
    places = {str(path): path.read_bytes() for path in office.folder.parent.rglob("*") if path.is_file()}
    places |= {f"output {number}": text.encode() for number, text in enumerate(texts)}
    canaries = [canary.encode() for canary in (BY_VARIABLE, IN_FILE, IN_URL)]
    return [place for place, content in places.items() if any(canary in content for canary in canaries)]


def test_a_token_in_a_variable_is_never_seen_again_when_the_api_is_away(stranded: tuple[Office, Program]) -> None:
    office, program = stranded
    ended = program.ended()
    assert seen_in(office, ended.out, ended.err) == []


def test_a_token_in_a_file_is_never_seen_again_when_it_is_accepted_and_when_it_is_not(
    office: Office, tenant: Tenant
) -> None:
    token = office.folder.parent.parent / f"{office.folder.parent.name}-token"
    token.write_text(IN_FILE, encoding="utf-8")
    token.chmod(0o600)
    office.configure(tenant, credential={"type": "access_token", "token_file": str(token)})
    reports = [word for suffix in ("csv", "xlsx", "json") for word in ("--report", f"out.{suffix}")]
    sheet = office.sheet([*tenant.take(2), *tenant.take_special("unwelcome", 1), *tenant.take(1)])
    ended = office.run("run", sheet, "--yes", *reports, **LOUD)
    assert ended.code == 5
    assert [row["outcome"] for row in office.report("out.csv")] == ["submitted", "submitted", "pending", "pending"]
    told = office.run("explain", office.run("list", "--json").json[0]["batch"], "4", "--json", **LOUD)
    assert seen_in(office, ended.out, ended.err, told.out, told.err) == []


def test_a_secret_put_into_the_url_by_mistake_is_refused_and_not_repeated(office: Office) -> None:
    sheet = office.sheet(["c" * 40])
    office.configure(f"https://user:{IN_URL}@defender.example")
    ended = office.run("run", sheet, "--yes", **LOUD)
    assert ended.code == 2
    assert "api_url" in ended.sentence
    (office.folder / "config.yaml").unlink()
    assert seen_in(office, ended.out, ended.err) == []


@pytest.mark.fault(102, "A variable that names no usable proxy is exit 2, and no part of it is shown.")
@pytest.mark.parametrize(
    ("command", "address", "words"),
    [
        (("check",), "http://ann:canary#1@proxy:8080", "has a password"),
        (("plan", "devices.csv"), "http://CONTOSO\\ann:canary@proxy:8080", "has a user"),
        (("run", "devices.csv", "--yes", "--no-lookup"), "http=canary:80;https=canary:80", "has a port"),
        (("plan", "devices.csv"), "socks5://ann:canary@proxy:1080", "is a SOCKS proxy, which is not supported"),
    ],
)
def test_a_variable_that_names_no_usable_proxy_is_named_without_its_value(
    office: Office, command: tuple[str, ...], address: str, words: str
) -> None:
    office.sheet(["a" * 39 + "b"])
    office.configure("https://127.0.0.1:9", network={"proxy": "environment"})
    ended = office.run(*command, HTTPS_PROXY=address, no_proxy="", BATCH_OFFBOARD_DEBUG="1")
    assert ended.code == 2
    assert f"The proxy of the variable HTTPS_PROXY {words}" in ended.out + ended.err
    assert "unexpected" not in ended.out + ended.err
    assert "canary" not in ended.out + ended.err
    assert office.leaks() == []
