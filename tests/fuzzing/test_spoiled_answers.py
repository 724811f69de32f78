"""Spoiled answers, as values and on the wire: every one has a meaning, and none is taken for an acceptance."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.base.clock import Moment
from batch_offboard.core.jobs import CallOutcome, Verdict
from batch_offboard.core.slots import Slot
from batch_offboard.core.tenant import Machine, MachineAction
from batch_offboard.defender.client import api_client
from batch_offboard.defender.connection import Connection
from batch_offboard.defender.protocol import (
    Answer,
    ReadKind,
    classify,
    classify_cancel,
    classify_read,
    offboard_request,
)
from batch_offboard.defender.protocol.actions import action_of
from batch_offboard.defender.protocol.machines import machine_of
from tests.fuzzing.effort import effort
from tests.fuzzing.mutations import spoiled_bytes, spoiled_in_place

DEVICE = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
TOKEN = "[bo batch-1/2/1]"
SECRET = "canary-token"
NOW = 1_795_500_000.0

ACTION: dict[str, Any] = {
    "id": "0b0f6f0e-52a1-4f0c-9a63-3a5d6a1c7e90",
    "type": "Offboard",
    "requestor": "ann@contoso.example",
    "requestorComment": f"CHG0042 {TOKEN}",
    "status": "Pending",
    "machineId": DEVICE,
    "creationDateTimeUtc": "2026-11-24T08:30:00.1234567Z",
    "lastUpdateDateTimeUtc": None,
    "errorHResult": 0,
}
MACHINE: dict[str, Any] = {
    "id": DEVICE,
    "computerDnsName": "pc-1.contoso.example",
    "osPlatform": "Windows11",
    "osBuild": 22631,
    "onboardingStatus": "Onboarded",
    "lastSeen": "2026-11-24T08:30:00Z",
    "machineTags": ["VIP", "Berlin"],
    "vmMetadata": None,
}
BODIES = [
    json.dumps(body).encode()
    for body in (
        ACTION,
        {"value": [ACTION, ACTION | {"type": "Isolate"}], "@odata.nextLink": "https://api.example/api/x?$skip=1"},
        {"value": [MACHINE]},
        MACHINE,
        {"error": {"code": "ActiveRequestAlreadyExists", "message": "Already\nthere", "target": "|3f"}},
        {"error": {"code": "TooManyRequests", "message": "Slow down", "target": ""}},
        {},
    )
] + [b"", b"<html><body>Sign in</body></html>"]
HEADER_NAMES = ("content-type", "retry-after", "date", "x-other")
HEADER_VALUES = ("application/json", "text/html", "30", "-5", "999999", "Tue, 24 Nov 2026 09:00:00 GMT", "abc", "")
STATUSES = (100, 200, 201, 202, 204, 206, 301, 307, 400, 401, 403, 404, 405, 407, 408, 409, 429, 500, 503, 599, 777)

bodies = st.sampled_from(BODIES).flatmap(
    lambda body: st.one_of(st.just(body), spoiled_bytes(body), spoiled_in_place(body + b" "))
)
headers = st.dictionaries(
    st.sampled_from(HEADER_NAMES),
    st.lists(st.sampled_from(HEADER_VALUES) | st.text(max_size=60), min_size=1, max_size=2).map(tuple),
    max_size=4,
)
statuses = st.sampled_from(STATUSES) | st.integers(-1, 1000)
answers = st.builds(Answer, statuses, headers, bodies, st.booleans())


def assert_sober(outcome: CallOutcome) -> None:
    """Words that can be kept and shown, and waits that can be waited for."""
    for text in (outcome.action_id, outcome.action_status, outcome.code, outcome.message, outcome.target):
        assert text.isprintable()
        assert len(text) < 1000
    assert outcome.retry_after is None or 0 < outcome.retry_after <= 3600


@pytest.mark.fault(80, "Every corrupted answer is classified, and only a complete one counts as accepted.")
@effort(300)
@given(answers)
def test_every_answer_to_an_offboard_call_has_a_meaning(answer: Answer) -> None:
    outcome = classify(answer, DEVICE, NOW, TOKEN)
    assert_sober(outcome)
    if outcome.verdict is Verdict.SUBMITTED:
        assert answer.complete
        assert answer.status in (200, 201)
        shown = json.loads(answer.body.decode("utf-8-sig"))
        assert outcome.action_id == shown["id"].strip() != ""
        assert (shown.get("machineId") or DEVICE).strip().lower() == DEVICE
        assert (shown.get("type") or "Offboard").strip().lower() == "offboard"
    if outcome.verdict is Verdict.FAILED:
        assert answer.complete
        assert 400 <= answer.status < 500
    if answer.status >= 500 or answer.status == 408:
        assert outcome.verdict is Verdict.IN_DOUBT


@effort(300)
@given(answers)
def test_every_answer_to_a_cancellation_has_a_meaning(answer: Answer) -> None:
    outcome = classify_cancel(answer, ACTION["id"], NOW)
    assert_sober(outcome)
    assert outcome.verdict is not Verdict.CANCELLED or (answer.complete and answer.status in (200, 201))


@pytest.mark.fault(88, "Of corrupted lists, only a complete one counts as a list.")
@effort(300)
@given(answers, st.booleans())
def test_every_answer_to_a_read_has_a_meaning_and_every_item_is_something_or_nothing(
    answer: Answer, single: bool
) -> None:
    read = classify_read(answer, NOW, single=single)
    assert read.kind is not ReadKind.PAGE or (answer.status == 200 and answer.complete)
    assert read.kind is not ReadKind.EMPTY or (answer.status == 404 and answer.complete)
    assert f"{read.code}{read.message}{read.target}".isprintable()
    for item in read.items:
        assert isinstance(action_of(item), MachineAction | None)
        assert isinstance(machine_of(item), Machine | None)


# -- on the wire --

GOOD = json.dumps(ACTION).encode()
WIRE = [
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(GOOD), GOOD),
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD),
    b"HTTP/1.1 429 Too Many\r\nRetry-After: 30\r\nRetry-After: 40\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oops\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n",
]
wires = st.sampled_from(WIRE).flatmap(lambda data: st.one_of(spoiled_bytes(data), spoiled_in_place(data)))


class Wire:
    """A server that writes what it is told to and hangs up, and a client that calls it, in one loop."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._data = b""
        self.requests = 0

    def __enter__(self) -> Self:
        self._server = self._runner.run(asyncio.start_server(self._answer, "127.0.0.1", 0))
        self._url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.close()
        self._runner.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length:")[1].split()[0]))
            self.requests += 1
            writer.write(self._data)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def call(self, data: bytes) -> CallOutcome:
        self._data = data
        return self._runner.run(self._call())

    async def _call(self) -> CallOutcome:
        async def token() -> str:
            return SECRET

        async with api_client(self._url, token, Connection(timeout=5.0)) as client:
            answer = await client.send(offboard_request(self._url, DEVICE, TOKEN), Slot(Moment(0, 0, "")))
        assert SECRET not in repr(answer)
        return classify(answer, DEVICE, NOW, TOKEN)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Wire() as opened:
        yield opened


@pytest.mark.fault(78, "Every corruption on the wire is one request with one classification.")
@pytest.mark.fault(82, "Every corruption on the wire is one request with one classification.")
@effort(100)
@given(wires)
def test_whatever_comes_over_the_wire_is_one_request_and_one_meaning(wire: Wire, data: bytes) -> None:
    before = wire.requests
    outcome = wire.call(data)
    assert_sober(outcome)
    assert wire.requests - before == 1
    assert outcome.verdict is not Verdict.NOT_SENT or data.startswith(b"HTTP/1.1 407")
