"""The log in real files: its lines, who may read it, what never gets into it, and that it never stops anything."""

import json
import logging
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_offboard.base import logs
from batch_offboard.base.secret import Secret
from batch_offboard.calls.logged import LoggedCalls, LoggedRun
from batch_offboard.core.jobs import CallOutcome, Job, Verdict
from batch_offboard.core.progress import Progress
from batch_offboard.core.tenant import ApiName

CANARY = "q7R~canary/Secret+1"
JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJyb2xlcyI6W119.c2lnbmF0dXJl"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug  |info   |warning|error  ) \S")

Opened = Callable[..., Path]


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    logs.close_log()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def opened(tmp_path: Path, said: list[str]) -> Opened:
    """Opens a log in a folder that is not there yet; returns where it is."""

    def open_one(**changes: Any) -> Path:
        chosen = logs.LogSettings(**{"path": tmp_path / "logs" / "bo.log", **changes})
        logs.open_log(chosen, said.append)
        return chosen.path

    return open_one


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def raised(text: str) -> RuntimeError:
    """An error with a traceback."""
    with pytest.raises(RuntimeError) as caught:
        _raise(text)
    return caught.value


def _raise(text: str) -> None:
    raise RuntimeError(text)


# -- the lines --


def test_a_text_line_has_a_time_a_level_an_event_and_facts(opened: Opened) -> None:
    path = opened()
    logs.info("call ended", batch="b", row=17, verdict=Verdict.SUBMITTED, message="two words", took=0.12345, code="")
    (line,) = lines(path)
    assert LINE.match(line)
    assert line[25:] == 'info    call ended  batch=b row=17 verdict=submitted message="two words" took=0.123'


def test_a_json_line_has_the_same_as_keys(opened: Opened) -> None:
    path = opened(form="json")
    logs.warning("call ended", row=17, paths=[Path("a"), Path("b")], skipped={"x": 1}, nothing=None, ok=False)
    (line,) = lines(path)
    found = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {
        "level": "warning", "event": "call ended", "row": 17, "paths": ["a", "b"], "skipped": {"x": 1}, "ok": False,
    }  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["message", "code", "sheet"]), st.text() | st.lists(st.text())))
def test_whatever_a_cell_or_the_api_says_every_event_is_one_line_that_nothing_acts_in(
    opened: Opened, facts: dict[str, Any]
) -> None:
    for form in ("text", "json"):
        path = opened(form=form, path=opened().with_name(form))
        path.unlink(missing_ok=True)
        logs.info("event", **facts)
        logs.close_log()
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") == 1
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", text)
        if form == "json":
            json.loads(text)


def test_less_than_the_level_is_not_kept(opened: Opened) -> None:
    path = opened(level="warning")
    logs.debug("one")
    logs.info("two")
    logs.warning("three")
    assert [line[25:] for line in lines(path)] == ["warning three"]


def test_nothing_is_kept_anywhere_before_a_log_is_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.warning("nobody hears this", row=1)
    assert capsys.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_our_events_go_to_no_other_log(opened: Opened) -> None:
    heard: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    opened()
    listening = Listening()
    logging.getLogger().addHandler(listening)
    try:
        logs.warning("event")
    finally:
        logging.getLogger().removeHandler(listening)
    assert heard == []


def test_the_libraries_logs_stay_out(opened: Opened) -> None:
    path = opened(level="debug")
    for name in ("aiohttp.client", "msal", "urllib3", "sqlalchemy.engine", "asyncio", None):
        logging.getLogger(name).critical("headers: %s", CANARY)
    logs.info("ours")
    assert len(lines(path)) == 1


# -- secrets --


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        f"https://hooks.example/x?code={CANARY}",
        "POST /x?secret%3Dq7R~canary%2FSecret%2B1",
        f"Authorization: Bearer {JWT}",
        f"{{'Authorization': 'Bearer {JWT}'}}",
        f"'authorization': '{JWT}'",
        "Proxy-Authorization: Basic dXNlcjpjYW5hcnk=",
        f"token {JWT} was refused",
        f"bearer {JWT}",
        "client_id=1&client_secret=canary-unknown&grant_type=x",
        'client_assertion": "canary-unknown"',
        "https://logic.example/trigger?sp=1&sig=canary-unknown",
    ],
)
def test_no_secret_gets_into_a_line(opened: Opened, form: str, text: str) -> None:
    Secret(CANARY)
    path = opened(form=form, level="debug")
    logs.debug("event", text=text, several=[text], inner={"a": text})
    logs.keep_error(raised(text), path.with_name("never"))
    written = path.read_text(encoding="utf-8")
    assert "canary" not in written.lower()
    assert "eyJ" not in written
    assert "dXNlcjpjYW5hcnk" not in written
    assert "***" in written


def test_what_is_no_secret_stays_as_it_is(opened: Opened) -> None:
    path = opened(form="json")
    text = "credential.secret_env names SECRET_VAR; sign=yes; 2af4c3e1b2a04c5f8e6d7a9b0c1d2e3f4a5b6c7d"
    logs.info("event", text=text)
    assert json.loads(lines(path)[0])["text"] == text


def test_a_short_secret_does_not_eat_the_words_it_stands_in(opened: Opened) -> None:
    Secret("abc")
    path = opened()
    logs.info("event", text="abcdef")
    assert lines(path)[0].endswith("text=abcdef")


# -- errors --


def test_an_unexpected_error_is_kept_with_its_traceback_and_no_line_can_be_taken_for_another(opened: Opened) -> None:
    path = opened()
    error = raised("a cell\n2026-11-24T08:15:31.250Z info    forged \x1b[2J")
    assert logs.keep_error(error, path.with_name("never")) == path
    first, *rest = lines(path)
    assert first[25:] == "error   unexpected error  error=RuntimeError"
    assert rest[0] == "    | Traceback (most recent call last):"
    assert all(line.startswith("    | ") for line in rest)
    assert "\\x1b[2J" in rest[-1]
    assert not path.with_name("never").exists()


def test_in_json_the_traceback_is_a_key(opened: Opened) -> None:
    path = opened(form="json")
    logs.keep_error(RuntimeError("why"), path.with_name("never"))
    assert json.loads(lines(path)[0])["traceback"] == "RuntimeError: why\n"


def test_without_a_log_an_unexpected_error_is_kept_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "state" / "batch-offboard.log"
    assert logs.keep_error(RuntimeError("why"), path) == path
    assert lines(path)[1] == "    | RuntimeError: why"
    logs.info("not kept")
    assert len(lines(path)) == 2


def test_an_error_that_the_log_cannot_take_is_kept_in_the_other_file(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    opened(path=tmp_path / "file" / "bo.log")
    assert logs.keep_error(RuntimeError("why"), tmp_path / "other.log") == tmp_path / "other.log"


def test_an_error_that_no_file_can_take_is_not_said_to_stand_anywhere(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert logs.keep_error(RuntimeError("why"), tmp_path / "file" / "bo.log") is None


# -- files --


@pytest.mark.fault(126, "Readable only by its owner.")
@pytest.mark.skipif(os.name != "posix", reason="modes are a matter of POSIX")
def test_the_log_and_its_folder_are_for_their_owner_alone_whatever_the_umask(opened: Opened) -> None:
    before = os.umask(0)
    try:
        path = opened(largest=200, keep=2)
        for number in range(9):
            logs.info("event", number=number)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


@pytest.mark.fault(125, "The log continues.")
def test_a_log_that_has_grown_is_put_aside_and_the_oldest_goes(opened: Opened) -> None:
    path = opened(largest=300, keep=2)
    for number in range(100):
        logs.info("event", number=number)
    files = sorted(path.parent.iterdir())
    assert [each.name for each in files] == ["bo.log", "bo.log.1", "bo.log.2"]
    assert all(each.stat().st_size <= 300 for each in files)
    kept = [int(line.rpartition("=")[2]) for each in reversed(files) for line in lines(each)]
    assert kept == list(range(kept[0], 100))


def test_a_log_that_cannot_be_put_aside_grows_on(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, while another process has it open."""

    def refuse(*_names: object) -> None:
        raise PermissionError(13, "The process cannot access the file")

    path = opened(largest=300)
    monkeypatch.setattr(os, "rename", refuse)
    for number in range(20):
        logs.info("event", number=number)
    assert len(lines(path)) == 20


def test_a_log_goes_on_where_it_was(opened: Opened) -> None:
    path = opened()
    logs.info("one")
    opened()
    logs.info("two")
    assert [line[33:] for line in lines(path)] == ["one", "two"]


def test_a_line_that_was_cut_off_is_ended_before_the_next(opened: Opened) -> None:
    path = opened()
    path.parent.mkdir()
    path.write_text("2026-11-24T08:15:31.250Z info    cut o", encoding="utf-8")
    logs.info("whole")
    assert [line[25:] for line in lines(path)] == ["info    cut o", "info    whole"]


def test_a_log_that_cannot_be_opened_is_said_once_and_stops_nothing(
    opened: Opened, said: list[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    path = opened(path=tmp_path / "file" / "bo.log")
    for _ in range(3):
        logs.warning("event")
    (sentence,) = said
    assert sentence.startswith(f"The log {path} cannot be written (")
    assert sentence.endswith("work continues without it.")


@pytest.mark.fault(32, "A log that cannot be written is reported once; the run continues.")
@pytest.mark.fault(125, "Reported once; the run continues.")
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_once_and_stops_nothing(opened: Opened, said: list[str]) -> None:
    opened(path=Path("/dev/full"))
    for _ in range(3):
        logs.warning("event", text="x" * 20_000)
    assert said == ["The log /dev/full cannot be written (No space left on device); work continues without it."]


def test_when_there_is_space_again_the_log_goes_on(opened: Opened, said: list[str], tmp_path: Path) -> None:
    blocker = tmp_path / "logs"
    blocker.touch()
    path = opened()
    logs.warning("lost")
    blocker.unlink()
    logs.warning("kept")
    assert len(said) == 1
    assert [line[33:] for line in lines(path)] == ["kept"]


# -- who tells --


class Deaf:
    """Watches and hears; keeps the names of what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def began(self, job: Job) -> None:
        self.asked.append("began")

    def ended(self, job: Job, outcome: CallOutcome) -> None:
        self.asked.append("ended")

    def started(self, batch_id: str, progress: Progress) -> None:
        self.asked.append("started")

    def changed(self, progress: Progress) -> None:
        self.asked.append("changed")

    def said(self, text: str) -> None:
        self.asked.append(text)

    def finished(self, progress: Progress) -> None:
        self.asked.append("finished")


def events(path: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in json.loads(line).items() if key != "time"} for line in lines(path)]


def test_every_call_is_logged_with_its_row_and_what_it_came_to(opened: Opened) -> None:
    path, watcher = opened(form="json"), Deaf()
    logged = LoggedCalls(ApiName.OFFBOARD, "b", watcher)
    job = Job(17, "d" * 40, 2)
    logged.began(job)
    logged.ended(job, CallOutcome(Verdict.SUBMITTED, 201, "action-1", "Pending"))
    logged.ended(job, CallOutcome(Verdict.THROTTLED, 429, code="429", message="wait", target="t", retry_after=30.0))
    call = {"api": "offboard", "batch": "b", "row": 17, "attempt": 2, "device": "d" * 40}
    assert events(path) == [
        {"level": "info", "event": "call begun", **call},
        {"level": "info", "event": "call ended", **call, "verdict": "submitted", "status": 201, "action": "action-1"},
        {
            "level": "warning", "event": "call ended", **call, "verdict": "throttled", "status": 429, "code": "429",
            "message": "wait", "tracking_id": "t", "retry_after": 30.0,
        },
    ]  # fmt: skip
    assert watcher.asked == ["began", "ended", "ended"]


def moment(now: float, waiting_for: str | None = None, until: float | None = None) -> Progress:
    return Progress(9, 0, 0, 0, 5, 0, (0, 100), (0, 1500), waiting_for, until, None, now)


def test_a_long_wait_is_logged_once_and_short_ones_not_at_all(opened: Opened) -> None:
    path, observer = opened(form="json"), Deaf()
    logged = LoggedRun(observer)
    told = [
        moment(0),
        moment(1, "a slot of the minute quota", 3),
        moment(10, "a slot of the hour quota", 610),
        moment(11, "a slot of the hour quota", 611),
        moment(20, "the server's Retry-After", 50),
        moment(60, "a slot of the hour quota", None),
        moment(70, "the server's Retry-After", 100),
    ]
    for each in told:
        logged.changed(each)
    assert [(each["reason"], each["seconds"]) for each in events(path)] == [
        ("a slot of the hour quota", 600),
        ("the server's Retry-After", 30),
        ("the server's Retry-After", 30),
    ]
    assert observer.asked == ["changed"] * 7


def test_what_is_said_to_the_operator_is_logged_and_said(opened: Opened) -> None:
    path, observer = opened(form="json"), Deaf()
    spoken: list[str] = []
    logged = LoggedRun(observer)
    logged.started("b", moment(0))
    logged.said("Row 5: not sent")
    logged.finished(moment(1))
    logs.heard(spoken.append)("Sent a notice by mail.")
    assert [each["text"] for each in events(path)] == ["Row 5: not sent", "Sent a notice by mail."]
    assert (observer.asked, spoken) == (["started", "Row 5: not sent", "finished"], ["Sent a notice by mail."])


def test_the_log_is_not_read_as_the_operators_code_page(opened: Opened) -> None:
    path = opened()
    logs.info("event", name="Zoë 東京")
    assert "Zoë 東京".encode() in path.read_bytes()
    assert sys.getdefaultencoding() == "utf-8"


def test_what_a_library_reports_on_standard_error_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_TOKEN", CANARY)
    record = logging.LogRecord("asyncio", logging.ERROR, "", 0, "never retrieved: %s", (CANARY,), None)
    record.exc_info = (RuntimeError, raised(f"with {CANARY}"), None)
    assert logging.lastResort is not None
    shown = logging.lastResort.format(record)
    assert "never retrieved: ***" in shown
    assert "RuntimeError: with ***" in shown
