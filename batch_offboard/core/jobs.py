"""The states of a job, the transitions between them, and the outcome of a call.

A job moves only along TRANSITIONS, and no other module decides that a transition is legal. Every job starts in
`pending`. Only in `sending` may a call have been made whose answer is not recorded; a job found in it while no process
works was interrupted and becomes `in_doubt`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    """The state of a job."""

    PENDING = "pending"  # to be sent: new, throttled, or certainly not sent; `sending` comes next
    SENDING = "sending"  # the intent is durable, the call may be on the wire
    SUBMITTED = "submitted"  # the API accepted the call and named the machine action
    FAILED = "failed"  # the API refused the device for good; `retry` makes it pending again
    IN_DOUBT = "in_doubt"  # the API may have accepted the call; never sent again until that is settled
    SKIPPED = "skipped"  # another batch handled the device in the meantime
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
    """A transition that is not in TRANSITIONS: a bug in this program, never an error in the input."""


def move(old: JobState, new: JobState) -> JobState:
    """The new state. Raises IllegalMove."""
    if new not in TRANSITIONS[old]:
        raise IllegalMove(f"{old} -> {new}")
    return new


@dataclass(frozen=True, slots=True)
class Job:
    """One device to be offboarded. `attempts` counts the calls that were started for it."""

    row: int
    device_id: str
    attempts: int


class Verdict(StrEnum):
    """The result of one call."""

    SUBMITTED = "submitted"
    FAILED = "failed"
    THROTTLED = "throttled"
    UNAUTHORIZED = "unauthorized"
    NOT_SENT = "not_sent"
    IN_DOUBT = "in_doubt"
    ALREADY_OPEN = "already_open"  # an action of this device is open; which one, and whose, is not known yet
    ANSWERED = "answered"  # a call that changes no job: the tenant was read, or a cancellation was answered
    CANCELLED = "cancelled"  # the machine action was cancelled


# The state of a job after its offboard call; the other verdicts belong to other calls.
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
    """What an answer means for the whole run, not only for its device."""

    OUR_MISTAKE = "our_mistake"  # the API does not understand our request; the next one would fail in the same way
    PERMISSION = "permission"  # the token lacks a permission, or the tenant the feature
    WRONG_ANSWER = "wrong_answer"  # accepted, but for another device or another kind of action
    NOT_THE_API = "not_the_api"  # a redirect or a web page: something else answers in the API's place
    LONG_WAIT = "long_wait"  # the server asks to wait longer than an hour
    NO_TRUST = "no_trust"  # the server's certificate is not accepted


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """The outcome of one call, as written to the journal.

    `code`, `message` and `target` come from the API where it gave any (`target` is the tracking ID for Microsoft's
    support). `retry_after` is in seconds, and set if no call may be made for so long.
    """

    verdict: Verdict
    http_status: int | None = None
    action_id: str = ""
    action_status: str = ""
    code: str = ""
    message: str = ""
    target: str = ""
    retry_after: float | None = None
    own_action: bool = True  # false if the action was not created by this call; it offboards the device anyway
    alarm: Alarm | None = None

    @property
    def state(self) -> JobState:
        """The state that a job in `sending` moves to."""
        return NEXT_STATE[self.verdict]
