"""What a tenant has, as values: machines, machine actions, and the correlation token that links an action to our call.

`defender.protocol` parses them; nothing here depends on their format on the wire.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class ApiName(StrEnum):
    """The operations whose quotas are counted separately; Microsoft documents one of the same size for each."""

    OFFBOARD = "offboard"
    READ = "read"
    CANCEL = "cancel"


# machineaction, property `status`, in lower case: with one of these an action does not change any more.
FINAL_STATUSES = frozenset({"succeeded", "failed", "timeout", "cancelled"})


# The action had no effect, so the device may be sent again.
UNSUCCESSFUL = FINAL_STATUSES - {"succeeded"}


_TOKEN = re.compile(r"\[bo ([0-9A-Za-z-]{1,40})/([0-9]{1,9})/([0-9]{1,6})\]")


@dataclass(frozen=True, slots=True)
class Token:
    """The content of a correlation token: which attempt for which row of which batch."""

    batch_id: str
    row: int
    attempt: int


@dataclass(frozen=True, slots=True)
class MachineAction:
    """One machine action of type Offboard. Any field except the ID may be missing (machineaction).

    Times are in seconds since the epoch by the server's clock. `machine_id` is in lower case.
    """

    id: str
    status: str
    machine_id: str
    comment: str
    requestor: str
    created: float | None
    updated: float | None
    error: str = ""

    @property
    def is_final(self) -> bool:
        return self.status.lower() in FINAL_STATUSES

    @property
    def is_unsuccessful(self) -> bool:
        return self.status.lower() in UNSUCCESSFUL

    @property
    def token(self) -> Token | None:
        return token_in(self.comment)


def token_in(comment: str) -> Token | None:
    """The last correlation token in a comment; an earlier one is part of the user's text."""
    found = _TOKEN.findall(comment)
    return Token(found[-1][0], int(found[-1][1]), int(found[-1][2])) if found else None


@dataclass(frozen=True, slots=True)
class Machine:
    """One record of the tenant (machine). Any field except the ID may be missing, and is then empty or None.

    `device_id` is in lower case; `last_seen` is the last full report in seconds since the epoch; `cloud_managed` is
    true for a virtual machine that Defender for Cloud knows.
    """

    device_id: str
    name: str
    platform: str
    version: str
    build: int | None
    agent_version: str
    onboarding: str
    health: str
    last_seen: float | None
    merged_into: str
    group: str
    tags: tuple[str, ...]
    cloud_managed: bool


# offboard-machine-api names no limit; 4,000 characters are refused in practice. A report line must stay readable.
MAX_COMMENT = 500


def correlation_token(batch_id: str, row: int, attempt: int) -> str:
    """The text that identifies this attempt among the tenant's machine actions."""
    return f"[bo {batch_id}/{row}/{attempt}]"


def comment_with_token(comment: str, token: str) -> str:
    """The comment on one line and the token after it; the comment is cut to fit and contains nothing like a token."""
    line = " ".join(comment.replace("[bo", "(bo").split())
    return f"{line[: MAX_COMMENT - len(token) - 1].rstrip()} {token}".lstrip()
