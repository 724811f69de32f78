"""What a tenant holds, as values: machines, machine actions, and the token that ties an action to our call.

`defender.protocol` makes them from answers; nothing here knows how they travel.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class ApiName(StrEnum):
    """The quotas that we count apart; each operation's page states its own of the same size."""

    OFFBOARD = "offboard"
    READ = "read"
    CANCEL = "cancel"


# machineaction, property `status`, in lower case: after these an action does not change any more.
FINAL_STATUSES = frozenset({"succeeded", "failed", "timeout", "cancelled"})


# The action came to nothing, so the device is free to be sent again.
UNSUCCESSFUL = FINAL_STATUSES - {"succeeded"}


_TOKEN = re.compile(r"\[bo ([0-9A-Za-z-]{1,40})/([0-9]{1,9})/([0-9]{1,6})\]")


@dataclass(frozen=True, slots=True)
class Token:
    """What a correlation token says: which attempt, for which row of which batch."""

    batch_id: str
    row: int
    attempt: int


@dataclass(frozen=True, slots=True)
class MachineAction:
    """One machine action of type Offboard. Every field but the ID may be missing (machineaction).

    Times are seconds since the epoch by the server's clock. `machine_id` is in lower case.
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
    def came_to_nothing(self) -> bool:
        return self.status.lower() in UNSUCCESSFUL

    @property
    def token(self) -> Token | None:
        return token_in(self.comment)


def token_in(comment: str) -> Token | None:
    """The correlation token at the end of a comment; an earlier one was somebody's text."""
    found = _TOKEN.findall(comment)
    return Token(found[-1][0], int(found[-1][1]), int(found[-1][2])) if found else None


@dataclass(frozen=True, slots=True)
class Machine:
    """One record of the tenant (machine). Every field but the ID may be missing, and is then empty or None.

    `device_id` is in lower case; `last_seen` is the last full report in seconds since the epoch; `cloud_managed`
    says that it is a virtual machine known to Defender for Cloud.
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
    """What makes this attempt findable among the tenant's machine actions."""
    return f"[bo {batch_id}/{row}/{attempt}]"


def comment_with_token(comment: str, token: str) -> str:
    """The comment on one line, without brackets that look like a token, cut so that the token is whole at its end."""
    line = " ".join(comment.replace("[bo", "(bo").split())
    return f"{line[: MAX_COMMENT - len(token) - 1].rstrip()} {token}".lstrip()
