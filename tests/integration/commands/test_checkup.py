"""What `check` says of what is right and of each thing that is wrong, and with which exit code."""

import asyncio
import errno
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from batch_offboard.base.errors import ExitCode
from batch_offboard.commands.checkup import CheckView, Finding, Grade, check
from batch_offboard.commands.options import Options
from tests.commands import ANN
from tests.entra import office as entra_office
from tests.entra.wire import Reply, Request, Served, serving
from tests.tokens import CLIENT, OTHER_TENANT, TENANT, jwt

SECRET = "q7R~canary.Secret-1"
RESOURCE = "https://api.securitycenter.microsoft.com"


@dataclass
class Api:
    """An API that answers its lists with `body`, on a clock that is `ahead` seconds of ours; `forbidden` is the path of
    the one that may not be read."""

    served: Served = field(default_factory=Served)
    ahead: float = 0.0
    status: int = 200
    body: object = field(default_factory=lambda: {"value": [{"id": "a" * 40}]})
    forbidden: str = ""

    def answer(self, request: Request) -> Reply:
        dated = {"Date": formatdate(time.time() + self.ahead, usegmt=True)}
        if request.path == self.forbidden:
            return Reply(403, {"error": {"code": "Forbidden", "message": "Not for you."}}, dated)
        return Reply(self.status, self.body, dated)


@dataclass
class Bench:
    """Where `check` is tried: its folder, its API, its sign-in."""

    folder: Path
    api: Api
    entra: entra_office.Office
    environ: dict[str, str] = field(default_factory=dict)

    def look(self, **keys: str) -> CheckView:
        """What `check` finds with this configuration, over one that is in order."""
        order = {
            "credential__type": "client_secret",
            "credential__secret_env": "MY_SECRET",
            "api_url": self.api.served.url,
            "journal": str(self.folder / "state" / "journal.db"),
        }
        environ = self.entra.variables(**{**order, **keys}) | {"MY_SECRET": SECRET} | self.environ
        (self.folder / "state").mkdir(exist_ok=True)
        return asyncio.run(check(Options(environ=environ, cwd=self.folder, actor=ANN)))

    def ready_token(self, claims: Mapping[str, object]) -> CheckView:
        self.environ["TOKEN"] = jwt(dict(claims))
        without_secret = {"credential__type": "access_token", "credential__token_env": "TOKEN"}
        keys = {"api_url": self.api.served.url, "journal": str(self.folder / "state" / "journal.db")}
        variables = self.entra.variables(**without_secret, **keys)
        (self.folder / "state").mkdir(exist_ok=True)
        return asyncio.run(check(Options(environ=variables | self.environ, cwd=self.folder, actor=ANN)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    api, folder = Api(), tmp_path / "entra"
    folder.mkdir()
    with entra_office.office(folder) as entra, serving(api.answer) as api.served:
        entra.tenant.register(CLIENT, secrets={SECRET: False})
        yield Bench(tmp_path, api, entra)


def one(view: CheckView, name: str) -> Finding:
    [found] = [each for each in view.findings if each.check == name]
    return found


def claims(**changes: Any) -> dict[str, Any]:
    right = {"aud": RESOURCE, "tid": TENANT, "appid": CLIENT, "idtyp": "app", "exp": time.time() + 3000}
    return right | {"roles": ["Machine.Offboard", "Machine.Read.All"]} | changes


def test_what_is_in_order_is_said_line_by_line(bench: Bench) -> None:
    view = bench.look()
    assert view.exit_code is ExitCode.OK
    assert [(each.check, each.grade) for each in view.findings] == [
        ("configuration", Grade.OK),
        ("journal", Grade.OK),
        ("reports", Grade.OK),
        ("sign-in", Grade.OK),
        ("permissions", Grade.OK),
        ("API", Grade.OK),
        ("clock", Grade.OK),
    ]
    assert [request.method for request in bench.api.served.requests] == ["GET", "GET"]
    assert view.verdict == "Nothing prevents a run."


def test_it_leaves_no_file_behind(bench: Bench) -> None:
    bench.look()
    assert {path.name for path in bench.folder.rglob("*") if path.is_file()} <= {"roots.pem"}


def test_a_wrong_configuration_is_the_only_finding(bench: Bench) -> None:
    view = bench.look(workers="many")
    assert (len(view.findings), view.exit_code) == (1, ExitCode.USAGE)
    assert "BATCH_OFFBOARD_WORKERS" in view.findings[0].text


def test_a_wrong_secret_fails_the_sign_in(bench: Bench) -> None:
    bench.environ["MY_SECRET"] = "canary-wrong"
    view = bench.look()
    found = one(view, "sign-in")
    assert (found.grade, view.exit_code) == (Grade.FAILED, ExitCode.SIGN_IN)
    assert "AADSTS7000215" in found.text
    assert "canary-wrong" not in str(view.findings)
    assert bench.api.served.requests == []


def test_a_wrong_tenant_fails_the_sign_in(bench: Bench) -> None:
    view = bench.look(tenant_id=OTHER_TENANT)
    assert (one(view, "sign-in").grade, view.exit_code) == (Grade.FAILED, ExitCode.SIGN_IN)
    assert OTHER_TENANT in one(view, "sign-in").text


def test_a_token_of_another_tenant_fails_the_sign_in(bench: Bench) -> None:
    view = bench.ready_token(claims(tid=OTHER_TENANT))
    assert (one(view, "sign-in").grade, view.exit_code) == (Grade.FAILED, ExitCode.SIGN_IN)


def test_a_missing_role_fails_and_is_named_with_what_to_do(bench: Bench) -> None:
    bench.entra.tenant.registrations[CLIENT].roles = ("Machine.Read.All",)
    view = bench.look()
    found = one(view, "permissions")
    assert (found.grade, view.exit_code) == (Grade.FAILED, ExitCode.SIGN_IN)
    assert "lacks Machine.Offboard" in found.text
    assert "admin consent" in found.remedy


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"value": []}),
        (200, {"value": [{"name": "an answer of something else"}]}),
        (404, {"error": {"code": "ResourceNotFound", "message": "No recent machines."}}),
    ],
)
def test_a_tenant_without_devices_is_never_in_order(bench: Bench, status: int, body: object) -> None:
    """A wrong api_url answers just so."""
    bench.api.status, bench.api.body = status, body
    view = bench.look()
    found = one(view, "API")
    assert (found.grade, view.exit_code) == (Grade.FAILED, ExitCode.USAGE)
    assert "lists no devices" in found.text
    assert "api_url" in found.remedy


def test_no_permission_to_read_is_a_warning(bench: Bench) -> None:
    bench.entra.tenant.registrations[CLIENT].roles = ("Machine.Offboard",)
    bench.api.status = 403
    bench.api.body = {"error": {"code": "Forbidden", "message": "Missing application roles."}}
    view = bench.look()
    assert (one(view, "permissions").grade, one(view, "API").grade) == (Grade.WARNING, Grade.WARNING)
    assert view.exit_code is ExitCode.OK


def test_machine_actions_that_may_not_be_read_are_a_warning_that_does_not_ask_for_what_the_token_has(
    bench: Bench,
) -> None:
    bench.api.forbidden = "/api/machineactions"
    found = one(bench.look(), "API")
    assert found.grade is Grade.WARNING
    assert "lets devices be read, but the API does not permit reading the tenant's machine actions" in found.text
    assert "Forbidden: Not for you" in found.text
    assert "although the token has Machine.Read.All" in found.text
    assert "grant" not in found.text


def test_a_token_whose_permissions_cannot_be_read_leaves_the_verdict_open(bench: Bench) -> None:
    bench.environ["TOKEN"] = "opaque-token"
    keys = {"credential__type": "access_token", "credential__token_env": "TOKEN", "api_url": bench.api.served.url}
    variables = bench.entra.variables(**keys) | bench.environ
    view = asyncio.run(
        check(Options(environ=variables, cwd=bench.folder, journal=bench.folder / "journal.db", actor=ANN))
    )
    assert (one(view, "permissions").grade, view.exit_code) == (Grade.WARNING, ExitCode.OK)
    assert "not known whether it has Machine.Offboard" in one(view, "permissions").text
    assert view.verdict == "Not everything could be checked (permissions); a run may still be refused."


@pytest.mark.parametrize("text", ['"opaque"', "Bearer opaque", "System.Security.SecureString", '{"accessToken": "a"}'])
def test_a_text_that_is_no_token_fails_before_anything_is_sent(bench: Bench, text: str) -> None:
    bench.environ["TOKEN"] = text
    keys = {"credential__type": "access_token", "credential__token_env": "TOKEN", "api_url": bench.api.served.url}
    variables = bench.entra.variables(**keys) | bench.environ
    view = asyncio.run(
        check(Options(environ=variables, cwd=bench.folder, journal=bench.folder / "journal.db", actor=ANN))
    )
    assert (one(view, "sign-in").grade, view.exit_code) == (Grade.FAILED, ExitCode.USAGE)
    assert bench.api.served.requests == []


def test_more_permissions_than_needed_are_pointed_out(bench: Bench) -> None:
    view = bench.ready_token(claims(roles=["Machine.Offboard", "Machine.Read.All", "Machine.Isolate"]))
    odd = [each for each in view.findings if each.grade is Grade.WARNING]
    assert [(each.check, each.text) for each in odd] == [
        ("permissions", "more than this program needs: Machine.Isolate")
    ]
    assert view.exit_code is ExitCode.OK


def test_a_persons_token_is_judged_by_its_scopes(bench: Bench) -> None:
    mine = claims(scp="Machine.Offboard Machine.Read", idtyp="user")
    del mine["roles"]
    assert one(bench.ready_token(mine), "permissions").grade is Grade.OK
    mine["scp"] = "Machine.Read"
    assert "delegated permission" in one(bench.ready_token(mine), "permissions").remedy


def test_a_token_for_something_else_fails(bench: Bench) -> None:
    view = bench.ready_token(claims(aud="https://graph.microsoft.com"))
    assert (one(view, "audience").grade, view.exit_code) == (Grade.FAILED, ExitCode.SIGN_IN)


def test_an_api_that_cannot_be_reached_fails(bench: Bench) -> None:
    with serving(lambda _request: Reply()) as gone:
        nowhere = gone.url
    view = bench.look(api_url=nowhere)
    assert (one(view, "API").grade, view.exit_code) == (Grade.FAILED, ExitCode.USAGE)
    assert "cannot be reached" in one(view, "API").text


def test_a_sign_in_host_that_cannot_be_reached_fails(bench: Bench) -> None:
    with serving(lambda _request: Reply()) as gone:
        nowhere = gone.url.replace("http:", "https:")
    view = bench.look(sign_in_url=nowhere)
    assert one(view, "sign-in").grade is Grade.FAILED
    assert view.exit_code in (ExitCode.USAGE, ExitCode.SIGN_IN)


@pytest.mark.fault(54, "`check` tells the difference.")
@pytest.mark.parametrize(
    ("ahead", "grade", "words"),
    [
        (0.0, Grade.OK, "agrees"),
        (-30.0, Grade.OK, "agrees"),
        (-120.0, Grade.WARNING, "ahead"),
        (120.0, Grade.WARNING, "behind"),
        (-3600.0, Grade.FAILED, "1 h ahead"),
        (3600.0, Grade.FAILED, "behind"),
    ],
)
def test_a_clock_that_is_wrong_is_told_with_its_difference(
    bench: Bench, ahead: float, grade: Grade, words: str
) -> None:
    bench.api.ahead = ahead
    view = bench.look()
    found = one(view, "clock")
    assert (found.grade, view.exit_code) == (grade, ExitCode.USAGE if grade is Grade.FAILED else ExitCode.OK)
    assert words in found.text


@pytest.mark.skipif(os.name != "posix", reason="Windows has no mode that tells")
def test_a_secret_file_that_others_can_read_fails(bench: Bench) -> None:
    path = bench.entra.private_file("secret.txt", SECRET)
    path.chmod(0o644)
    keys: dict[str, str] = {"credential__secret_file": str(path)}
    environ = dict(bench.entra.variables(**keys))
    environ |= {"BATCH_OFFBOARD_CREDENTIAL__TYPE": "client_secret", "BATCH_OFFBOARD_API_URL": bench.api.served.url}
    view = asyncio.run(
        check(Options(environ=environ, cwd=bench.folder, journal=bench.folder / "journal.db", actor=ANN))
    )
    assert (one(view, "sign-in").grade, view.exit_code) == (Grade.FAILED, ExitCode.USAGE)
    assert "chmod 600" in one(view, "sign-in").text


@pytest.mark.skipif(os.name != "posix", reason="Windows has no mode that tells")
def test_a_journal_that_others_can_read_is_a_warning(bench: Bench) -> None:
    path = bench.folder / "state" / "journal.db"
    path.parent.mkdir()
    path.write_bytes(b"")
    path.chmod(0o644)
    found = one(bench.look(), "journal")
    assert (found.grade, found.remedy) == (Grade.WARNING, f"type: chmod 600 {path}")


@pytest.mark.skipif(os.name != "posix", reason="these are the answers of POSIX systems")
@pytest.mark.fault(42, "`check` says so before the first night.")
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.EACCES])
def test_a_drive_that_gives_no_locks_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr("batch_offboard.commands.checkup.no_locks", lambda _folder: os.strerror(number))
    view = bench.look()
    for name in ("journal", "locks"):
        assert one(view, name).grade is Grade.FAILED
        assert f"does not support locks ({os.strerror(number)})" in one(view, name).text
    assert view.exit_code is ExitCode.USAGE


@pytest.mark.fault(42, "`check` warns of a journal in a folder that OneDrive copies.")
def test_a_journal_that_onedrive_copies_is_a_warning(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OneDrive", str(bench.folder))
    found = one(bench.look(), "journal")
    assert found.grade is Grade.WARNING
    assert found.text.endswith("is in a folder that OneDrive copies while it is used")


def test_a_journal_that_is_a_folder_fails(bench: Bench) -> None:
    (bench.folder / "state" / "journal.db").mkdir(parents=True)
    view = bench.look()
    assert (one(view, "journal").grade, view.exit_code) == (Grade.FAILED, ExitCode.USAGE)


def test_a_report_folder_that_cannot_be_made_fails(bench: Bench) -> None:
    (bench.folder / "reports").write_text("in the way", encoding="utf-8")
    view = bench.look()
    assert (one(view, "reports").grade, view.exit_code) == (Grade.FAILED, ExitCode.USAGE)


def test_the_first_failure_gives_the_exit_code(bench: Bench) -> None:
    (bench.folder / "reports").write_text("in the way", encoding="utf-8")
    bench.environ["MY_SECRET"] = "wrong"
    assert bench.look().exit_code is ExitCode.USAGE
