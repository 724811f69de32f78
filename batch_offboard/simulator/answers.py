"""The service's replies, and the error that becomes a reply in the documented format."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

_CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "ResourceNotFound",
    429: "TooManyRequests",
    500: "InternalServerError",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is sent; `body` is a JSON value, or None for no body."""

    status: int
    body: object | None
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """A call that the service refuses."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def as_reply(self, target: str) -> Reply:
        """The documented error body; `target` is the tracking ID for Microsoft's support."""
        error = {"code": self.code, "message": self.message, "target": target}
        return Reply(self.status, {"error": error}, self.headers)


def usual_code(status: int) -> str:
    """The default error code of a status."""
    try:
        return _CODES.get(status) or "".join(HTTPStatus(status).phrase.title().split())
    except ValueError:
        return f"Status{status}"
