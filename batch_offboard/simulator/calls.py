"""The service's operations: the operation of a path, its quota, and the body of a request.

Also the record of every received call, for tests and people. Pure: nothing here touches a socket.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from batch_offboard.simulator.answers import ApiError

LONGEST_COMMENT = 4_000


class Group(StrEnum):
    """Operations that share a quota."""

    OFFBOARD = "offboard"
    READ = "read"
    CANCEL = "cancel"


class Operation(StrEnum):
    """The operations of the API; also the names that a fault can be limited to."""

    OFFBOARD = "offboard"
    CANCEL = "cancel"
    MACHINES = "machines"
    MACHINE = "machine"
    ACTIONS = "actions"
    ACTION = "action"

    @property
    def method(self) -> str:
        return "POST" if self in {Operation.OFFBOARD, Operation.CANCEL} else "GET"

    @property
    def group(self) -> Group:
        return Group(self) if self.method == "POST" else Group.READ

    @property
    def roles(self) -> tuple[str, ...]:
        """The application permissions, any of which is sufficient."""
        if self.method == "POST":
            return ("Machine.Offboard",)
        return ("Machine.Read.All", "Machine.ReadWrite.All")


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, and the ID or name in its path, if any."""

    operation: Operation
    key: str = ""


@dataclass(slots=True)
class Call:
    """One received call. `status` stays None if no status line was sent; `action_id` is the action that the call
    started, cancelled or read, whether or not the caller received it."""

    at: float
    method: str
    path: str
    query: str
    group: str | None = None
    operation: str | None = None
    device_id: str | None = None
    comment: str | None = None
    status: int | None = None
    action_id: str | None = None
    fault: str | None = None

    def as_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


def route_of(raw_path: str) -> Route | None:
    """The operation of a path that is still percent-encoded; None if there is none."""
    parts = [unquote(part) for part in raw_path.strip("/").split("/")]
    words = [part.lower() for part in parts]
    if words[:2] == ["api", "v1.0"]:
        del parts[1], words[1]
    if len(words) not in {2, 3, 4} or words[0] != "api" or words[1] not in {"machines", "machineactions"}:
        return None
    return _machine_route(parts, words) if words[1] == "machines" else _action_route(parts, words)


def _machine_route(parts: list[str], words: list[str]) -> Route | None:
    if len(parts) == 2:
        return Route(Operation.MACHINES)
    if len(parts) == 3:
        return Route(Operation.MACHINE, parts[2])
    return Route(Operation.OFFBOARD, parts[2]) if words[3] == "offboard" else None


def _action_route(parts: list[str], words: list[str]) -> Route | None:
    if len(parts) == 2:
        return Route(Operation.ACTIONS)
    if len(parts) == 3:
        return Route(Operation.ACTION, parts[2])
    return Route(Operation.CANCEL, parts[2]) if words[3] == "cancel" else None


def read_comment(content_type: str, body: bytes) -> str:
    """The comment in the body of a POST. Raises ApiError."""
    if content_type != "application/json":
        raise ApiError(415, "UnsupportedMediaType", "The request's Content-Type is not supported.")
    members = _json_object(body)
    if "Comment" not in members:
        raise ApiError(400, "MissingRequiredParameter", "Comment is required.")
    comment = members["Comment"]
    if not isinstance(comment, str):
        raise ApiError(400, "InvalidRequestBody", "Comment must be a string.")
    if not comment.strip():
        raise ApiError(400, "MissingRequiredParameter", "Comment is required.")
    if len(comment) > LONGEST_COMMENT:
        raise ApiError(400, "InvalidInput", f"Comment is longer than {LONGEST_COMMENT} characters.")
    return comment


def _json_object(body: bytes) -> Mapping[str, object]:
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise ApiError(400, "InvalidRequestBody", "Request body is incorrect.")
    return members


def bearer(authorization: str | None) -> str | None:
    """The token of an `Authorization` header, or None."""
    match = re.fullmatch(r"bearer +(\S+) *", authorization or "", re.IGNORECASE)
    return match[1] if match else None
