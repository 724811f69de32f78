"""Paths, bodies and headers of the calls."""

import pytest

from batch_offboard.simulator.answers import ApiError, usual_code
from batch_offboard.simulator.calls import Operation, Route, bearer, read_comment, route_of

ID = "a" * 40


@pytest.mark.parametrize(
    ("path", "route"),
    [
        (f"/api/machines/{ID}/offboard", Route(Operation.OFFBOARD, ID)),
        (f"/api/v1.0/machines/{ID}/offboard", Route(Operation.OFFBOARD, ID)),
        (f"/API/Machines/{ID}/Offboard/", Route(Operation.OFFBOARD, ID)),
        ("/api/machines", Route(Operation.MACHINES)),
        ("/api/machines/pc%2F1", Route(Operation.MACHINE, "pc/1")),
        ("/api/machineactions", Route(Operation.ACTIONS)),
        ("/api/machineactions/x", Route(Operation.ACTION, "x")),
        ("/api/machineactions/x/cancel", Route(Operation.CANCEL, "x")),
        ("/api/machineactions/x/offboard", None),
        ("/api/machines/x/cancel", None),
        ("/api/v2.0/machines", None),
        ("/api", None),
        ("/", None),
        ("/login", None),
    ],
)
def test_a_path_names_an_operation(path: str, route: Route | None) -> None:
    assert route_of(path) == route


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"Comment": "x"}', "x"),
        (b'{"comment": "x"}', (400, "MissingRequiredParameter")),
        (b"{}", (400, "MissingRequiredParameter")),
        (b'{"Comment": ""}', (400, "MissingRequiredParameter")),
        (b'{"Comment": " \\t"}', (400, "MissingRequiredParameter")),
        (b'{"Comment": 5}', (400, "InvalidRequestBody")),
        (b'["Comment"]', (400, "InvalidRequestBody")),
        (b"", (400, "InvalidRequestBody")),
        (b"\xff", (400, "InvalidRequestBody")),
        (b"[" * 100_000, (400, "InvalidRequestBody")),
        (b'{"Comment": "' + b"x" * 4000 + b'"}', "x" * 4000),
        (b'{"Comment": "' + b"x" * 4001 + b'"}', (400, "InvalidInput")),
    ],
)
def test_a_body_is_a_comment_or_a_refusal(body: bytes, answer: str | tuple[int, str]) -> None:
    found: str | tuple[int, str]
    try:
        found = read_comment("application/json", body)
    except ApiError as error:
        found = (error.status, error.code)
    assert found == answer


def test_a_body_that_is_not_declared_json_is_refused() -> None:
    with pytest.raises(ApiError) as error:
        read_comment("text/plain", b'{"Comment": "x"}')
    assert error.value.status == 415


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer abc", "abc"), ("bearer abc", "abc"), ("Bearer", None), ("Basic abc", None), ("abc", None), (None, None)],
)
def test_only_a_bearer_header_holds_a_token(header: str | None, token: str | None) -> None:
    assert bearer(header) == token


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "BadRequest"),
        (404, "ResourceNotFound"),
        (503, "ServiceUnavailable"),
        (429, "TooManyRequests"),
        (599, "Status599"),
    ],
)
def test_every_status_has_a_code(status: int, code: str) -> None:
    assert usual_code(status) == code
