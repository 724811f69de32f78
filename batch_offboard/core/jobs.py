"""The states of a job, the moves between them, and what one call came to.

Two rules: a job moves only along TRANSITIONS, and no other module decides that a move is legal. Every job
begins in `pending`. `sending` is the one state in which a device may have been called without our knowing
the answer; a job that is found there when no process works has been interrupted and becomes `in_doubt`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands."""

    PENDING = "pending"  # to be sent: new, throttled, or certainly not sent; `sending` comes next
    SENDING = "sending"  # the intent is durable, the call may be on the wire
    SUBMITTED = "submitted"  # the API accepted the call and named the machine action
    FAILED = "failed"  # the API refused the device for good; `retry` makes it pending again
    IN_DOUBT = "in_doubt"  # the API may have accepted the call; never sent again unasked
    SKIPPED = "skipped"  # another batch took care of the device in the meantime
    CANCELLED = "cancelled"  # the machine action was cancelled on our request


TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.PENDING: frozenset({JobState.SENDING, JobState.SKIPPED}),
    JobState.SENDING: frozenset({JobState.SUBMITTED, JobState.FAILED, JobState.PENDING, JobState.IN_DOUBT}),
    JobState.IN_DOUBT: frozenset({JobState.SUBMITTED, JobState.FAILED, JobState.PENDING}),
    JobState.FAILED: frozenset({JobState.PENDING}),
    JobState.SUBMITTED: frozenset({JobState.CANCELLED}),
    JobState.SKIPPED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

FINISHED = frozenset({JobState.SUBMITTED, JobState.FAILED, JobState.SKIPPED, JobState.CANCELLED})

# The code of a call that was not made because there was no token for it.
SIGN_IN = "SignIn"


class IllegalMove(Exception):  # noqa: N818  # says what was tried, like KeyError says what was missing
    """A job was to be moved along no arrow of TRANSITIONS: a mistake of ours, never of the input."""


def move(old: JobState, new: JobState) -> JobState:
    """The new state, or IllegalMove with nothing changed."""
    if new not in TRANSITIONS[old]:
        raise IllegalMove(f"{old} -> {new}")
    return new


@dataclass(frozen=True, slots=True)
class Job:
    """One device to be offboarded. `attempts` counts the calls that were begun for it."""

    row: int
    device_id: str
    attempts: int


class Verdict(StrEnum):
    """What one call came to."""

    SUBMITTED = "submitted"
    FAILED = "failed"
    THROTTLED = "throttled"
    UNAUTHORIZED = "unauthorized"
    NOT_SENT = "not_sent"
    IN_DOUBT = "in_doubt"
    ALREADY_OPEN = "already_open"  # somebody's action of this device is open; whose and which is not known yet
    ANSWERED = "answered"  # a call that moves no device: the tenant was read, or a cancellation was taken
    CANCELLED = "cancelled"  # the machine action was cancelled


# What an offboard call does to its job; the other verdicts are those of other calls.
NEXT_STATE: Mapping[Verdict, JobState] = {
    Verdict.SUBMITTED: JobState.SUBMITTED,
    Verdict.FAILED: JobState.FAILED,
    Verdict.THROTTLED: JobState.PENDING,
    Verdict.UNAUTHORIZED: JobState.PENDING,
    Verdict.NOT_SENT: JobState.PENDING,
    Verdict.IN_DOUBT: JobState.IN_DOUBT,
    Verdict.ALREADY_OPEN: JobState.IN_DOUBT,
}


class Alarm(StrEnum):
    """What an answer says about the whole run, beyond its own device."""

    OUR_MISTAKE = "our_mistake"  # the API does not understand our request: the next would fare the same
    PERMISSION = "permission"  # the token lacks a permission, or the tenant the feature
    WRONG_ANSWER = "wrong_answer"  # accepted, but for another device or another kind of action
    NOT_THE_API = "not_the_api"  # a redirect or a web page: something else answers in the API's place
    LONG_WAIT = "long_wait"  # the server asks to wait longer than an hour
    NO_TRUST = "no_trust"  # the server's certificate is not accepted


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What one call came to, as it is written to the journal.

    `code`, `message` and `target` are the API's own words where it gave any (`target` is the tracking ID to
    quote to Microsoft). `retry_after` is in seconds, and set whenever the API is to be left alone for so long.
    """

    verdict: Verdict
    http_status: int | None = None
    action_id: str = ""
    action_status: str = ""
    code: str = ""
    message: str = ""
    target: str = ""
    retry_after: float | None = None
    own_action: bool = True  # our call made the action; another's stands for the device all the same
    alarm: Alarm | None = None

    @property
    def state(self) -> JobState:
        """The state that a job in `sending` moves to."""
        return NEXT_STATE[self.verdict]
