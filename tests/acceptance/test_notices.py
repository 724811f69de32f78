"""Being told of a run's end, as an administrator has it configured; the devices fare the same whatever comes of it."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.conftest import CLIENT_ID

if TYPE_CHECKING:
    from tests.acceptance.conftest import Office, Tenant

WAY = {"webhook_url_env": "HOOK_URL"}


@dataclass
class Hook:
    """Where the messages arrive."""

    url: str = ""
    messages: list[Any] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}/canary-path?sig=canary-signature"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


def test_the_end_of_a_run_is_told_with_its_facts(office: Office, tenant: Tenant, hook: Hook) -> None:
    office.configure(tenant, notices=WAY)
    sheet = office.sheet([*tenant.take(3), *tenant.take_special("refused once", 1)])
    ended = office.run("run", sheet, "--yes", "--report", "out.csv", HOOK_URL=hook.url)
    assert ended.code == 1, ended.err
    assert "Sent a notice by json webhook." in ended.err
    (message,) = hook.messages
    assert (message["event"], message["exit_code"], message["simulated"]) == ("finished", 1, False)
    assert (message["counts"]["submitted"], message["counts"]["failed"]) == (3, 1)
    assert message["next"] == f"batch-offboard retry {message['batches'][0]}"
    assert message["reports"] == [str(office.folder / "out.csv")]
    again = office.run("retry", message["batches"][0], "--yes", "--quiet", HOOK_URL=hook.url)
    assert (again.code, again.err) == (0, "")
    assert [each["exit_code"] for each in hook.messages] == [1, 0]


def test_a_refused_run_is_told_where_nobody_sits(office: Office, tenant: Tenant, hook: Hook) -> None:
    office.configure(tenant, notices=WAY, guards={"max_devices": 1})
    devices = tenant.take(2)
    ended = office.run("run", office.sheet(devices), "--yes", HOOK_URL=hook.url)
    assert ended.code == 4
    (message,) = hook.messages
    assert (message["event"], message["exit_code"]) == ("stopped", 4)
    assert "guards.max_devices allows 1" in message["headline"]
    assert message["sheets"] == ["devices.csv"]
    assert message["tenant"].endswith(CLIENT_ID)
    assert message["next"] == "batch-offboard run devices.csv"
    assert tenant.called(devices) == []


def test_what_was_mistyped_or_sends_nothing_is_told_to_nobody_and_a_cancellation_is(
    office: Office, tenant: Tenant, hook: Hook
) -> None:
    office.configure(tenant, notices=WAY)
    (office.folder / "notes.docx").write_bytes(b"PK no workbook")
    for arguments in (
        ["run", "notes.docx"],
        ["run", "nowhere.csv", "--yes"],
        ["cancel", "nothing", "--yes"],
        ["resume", "--yes"],
        ["run", office.sheet(tenant.take(1), "unasked.csv")],
    ):
        assert office.run(*arguments, HOOK_URL=hook.url).code != 0
    assert hook.messages == []
    ended = office.run("run", office.sheet(tenant.take(2)), "--yes", "--json", HOOK_URL=hook.url)
    batch = ended.json["batch"]
    assert office.run("cancel", batch, "--row", "99", "--yes", HOOK_URL=hook.url).code == 2
    assert office.run("cancel", batch, "--yes", HOOK_URL=hook.url).code == 0
    ran, cancelled = hook.messages
    assert (ran["event"], ran["sheets"]) == ("finished", ["devices.csv"])
    assert cancelled["headline"] == f"Batch {batch}: 2 of 2 machine actions cancelled."


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"HOOK_URL": "http://127.0.0.1:9/canary-path"}, "the server cannot be reached"),
        ({"HOOK_URL": "http://hooks.example/canary-path"}, "not an https URL"),
        ({}, "The variable HOOK_URL (notices.webhook_url_env) is missing"),
    ],
)
def test_a_failure_to_tell_is_shown_and_changes_nothing(
    office: Office, tenant: Tenant, environ: dict[str, str], words: str
) -> None:
    office.configure(tenant, notices=WAY | {"timeout": 1})
    devices = tenant.take(2)
    ended = office.run("run", office.sheet(devices), "--yes", "--quiet", "--report", "out.csv", **environ)
    assert ended.code == 0
    assert ended.err.startswith("No notice was sent by json webhook: ")
    assert words in ended.err
    assert [row["outcome"] for row in office.report("out.csv")] == ["submitted", "submitted"]


def test_the_webhooks_url_is_nowhere_to_be_found(office: Office, tenant: Tenant, hook: Hook) -> None:
    office.configure(tenant, notices=WAY)
    ended = office.run(
        "run",
        office.sheet(tenant.take(1)),
        "--yes",
        HOOK_URL=hook.url,
        BATCH_OFFBOARD_DEBUG="1",
        PYTHONASYNCIODEBUG="1",
    )
    assert ended.code == 0, ended.err
    written = [path.read_bytes() for path in office.folder.parent.rglob("*") if path.is_file()]
    assert all(b"canary" not in text for text in [*written, ended.out.encode(), ended.err.encode()])


def test_a_rehearsal_tells_only_if_its_configuration_was_named_and_says_what_it_is(
    office: Office, hook: Hook, invented_devices: Callable[[int, int], list[str]]
) -> None:
    office.configure("http://127.0.0.1:9", notices=WAY)
    run = ("run", office.sheet(invented_devices(2, 900)), "--simulate", "--speed", "100")
    unnamed = office.run(*run, HOOK_URL=hook.url)
    assert (unnamed.code, hook.messages) == (0, [])
    named = office.run(*run, "--config", "config.yaml", HOOK_URL=hook.url)
    assert named.code == 0, named.err
    (message,) = hook.messages
    assert (message["simulated"], message["event"]) == (True, "finished")


def test_metrics_are_there_for_the_collector(office: Office, tenant: Tenant) -> None:
    metrics = office.folder / "metrics"
    metrics.mkdir()
    office.configure(tenant, notices={"textfile": "metrics/bo.prom"})
    ended = office.run("run", office.sheet(tenant.take(2)), "--yes")
    assert ended.code == 0, ended.err
    text = (metrics / "bo.prom").read_text(encoding="utf-8")
    assert 'batch_offboard_last_rows{outcome="submitted"} 2\n' in text
    assert [path.name for path in metrics.iterdir()] == ["bo.prom"]


def test_an_interrupted_run_is_told_as_stopped(office: Office, tenant: Tenant, hook: Hook) -> None:
    if os.name != "posix":
        pytest.skip("no signal can be sent to one process alone here")
    office.configure(tenant, notices=WAY, workers=1)
    held = tenant.take_special("held", 3)
    with office.start("run", office.sheet(held), "--yes", HOOK_URL=hook.url) as program:
        program.until(lambda: len(tenant.calls(held)) > 0, "its first call")
        program.signal(signal.SIGTERM)
        program.until(lambda: "SIGTERM: " in program.said(), "the signal's answer")
        tenant.release(held)
        ended = program.ended()
    assert ended.code == 3, ended.err
    (message,) = hook.messages
    assert (message["event"], message["exit_code"]) == ("stopped", 3)
    assert message["next"] == f"batch-offboard resume {message['batches'][0]}"
