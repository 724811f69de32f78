"""The brakes: rules over the outcomes, in their order, that stop a series of calls.

Pure. A halt gives the reason and the exit code; jobs that were not sent stay pending. The number of jobs from which on
the share of failures is checked is fixed here, the permitted share is configured.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from batch_offboard.base.errors import ExitCode
from batch_offboard.core.jobs import SIGN_IN, Alarm, CallOutcome, JobState, Verdict

FIRST_CALLS = 5
UNCLEAR_IN_A_ROW = 3
SMALLEST_SAMPLE = 20  # finished jobs
FOREIGN_ANSWERS = 2  # answers of something other than the API

# Requesting a cancellation twice does no harm, so many more answers may be unclear.
UNCLEAR_CANCELLATIONS = 20  # in a row

# How long to retry an unreachable API: briefly if it never answered, longer if it did.
PATIENCE_AT_FIRST = 30.0  # seconds
PATIENCE_LATER = 600.0  # seconds

CONTINUE = "--continue-after-failures"


@dataclass(frozen=True, slots=True)
class Halt:
    """Why the run stops, in one sentence for the operator, and the exit code.

    `held`: a person must decide before the batch continues, so no unattended run resumes it. `unsettled`: code and
    message of an unclear answer that may still turn out to be accepted; empty if there is none.
    """

    reason: str
    exit_code: ExitCode
    held: bool = False
    unsettled: str = ""


def _hold(reason: str) -> Halt:
    """A halt for a problem that waiting does not solve."""
    return Halt(reason, ExitCode.REFUSED, held=True)


# {said} is the API's own code and message, {again} the command to continue with.
_ALARMS: Mapping[Alarm, Halt] = {
    Alarm.OUR_MISTAKE: _hold(
        "The API does not understand the request ({said}); please report this, it is a bug in the program."
    ),
    Alarm.PERMISSION: Halt(
        "The API refuses with 403 ({said}); check the application's permission Machine.Offboard and its consent.",
        ExitCode.SIGN_IN,
    ),
    Alarm.WRONG_ANSWER: _hold(
        "The API's answer does not fit the request ({said}); do not continue until this is understood."
    ),
    Alarm.LONG_WAIT: Halt(
        "The API asks to wait for more than an hour ({said}); {again} after that.", ExitCode.UNFINISHED
    ),
    Alarm.NO_TRUST: Halt(
        "The API's certificate is not trusted ({said}); if your network inspects TLS, name its root certificate in "
        "network.ca_file.",
        ExitCode.UNFINISHED,
    ),
    Alarm.NOT_THE_API: _hold(
        "Something other than the API has answered twice ({said}); check api_url and network.proxy."
    ),
}


class CallBrakes:
    """Watches the outcomes of one series of calls of any kind. A refused token, an unreachable API, or something else
    answering in its place stops all kinds. `again` says what to do once that is fixed."""

    def __init__(self, again: str) -> None:
        self._again = again
        self._answered = self._unclear = 0
        self._renewals = self._foreign_answers = 0
        self._away_since: float | None = None

    @property
    def warmed_up(self) -> bool:
        """Whether several calls may be in flight."""
        return True

    def examine(self, outcome: CallOutcome, _device_id: str) -> CallOutcome:
        """The outcome, changed if earlier outcomes contradict it."""
        return outcome

    def note(self, outcome: CallOutcome, now: float) -> Halt | None:
        """Count an outcome; a Halt if no more calls may be made. `now` in ticks."""
        if outcome.verdict is Verdict.NOT_SENT:
            return self._alarm(outcome) or self._away(now, outcome)
        self._away_since = None
        if outcome.verdict is Verdict.UNAUTHORIZED:
            return self._unauthorized(outcome)
        if outcome.verdict is Verdict.THROTTLED:
            return self._alarm(outcome)
        self._answered += 1
        self._unclear = self._unclear + 1 if outcome.verdict is Verdict.IN_DOUBT else 0
        self._count(outcome)
        return self._alarm(outcome) or self._judge(outcome)

    def _count(self, _outcome: CallOutcome) -> None:
        """Update the counters that `_judge` uses."""

    def _judge(self, _outcome: CallOutcome) -> Halt | None:
        """The rules of this kind of call, for an answer without an alarm."""
        raise NotImplementedError

    def _alarm(self, outcome: CallOutcome) -> Halt | None:
        if outcome.alarm is None:
            return None
        if outcome.alarm is Alarm.NOT_THE_API:
            self._foreign_answers += 1
            if self._foreign_answers < FOREIGN_ANSWERS:
                return None
        halt = _ALARMS[outcome.alarm]
        return replace(halt, reason=halt.reason.format(said=_said(outcome), again=self._again))

    def _unauthorized(self, outcome: CallOutcome) -> Halt | None:
        self._renewals += 1
        if self._renewals < 2:
            return None
        reason = f"The API does not accept the token (401, {_said(outcome)}); renew it, then {self._again}."
        return Halt(reason, ExitCode.SIGN_IN)

    def _away(self, now: float, outcome: CallOutcome) -> Halt | None:
        since = self._away_since = now if self._away_since is None else self._away_since
        patience = PATIENCE_LATER if self._answered else PATIENCE_AT_FIRST
        if now - since < patience:
            return None
        if outcome.code == SIGN_IN:
            return Halt(f"{outcome.message} When sign-in works again, {self._again}.", ExitCode.SIGN_IN)
        reason = f"The API cannot be reached ({outcome.message}); when the network is back, {self._again}."
        return Halt(reason, ExitCode.UNFINISHED)


class CancelBrakes(CallBrakes):
    """The brakes of a cancellation. A refusal does not stop it: it says nothing about the next action, and a
    cancellation is urgent."""

    def __init__(self) -> None:
        super().__init__("run `cancel` again")

    def _judge(self, outcome: CallOutcome) -> Halt | None:
        if self._unclear < UNCLEAR_CANCELLATIONS:
            return None
        return Halt(
            f"The last {self._unclear} answers were unclear ({_said(outcome)}); run `cancel` again later, which "
            "repeats the request for every action that is still open.",
            ExitCode.UNFINISHED,
        )


class Brakes(CallBrakes):
    """The brakes of a run that offboards.

    `accepted_first` is how many of the batch's first calls were accepted in earlier runs; with
    `continue_after_failures` a refusal among the first calls does not stop the run.
    """

    def __init__(
        self, abort_failure_percent: float, *, accepted_first: int = 0, continue_after_failures: bool = False
    ) -> None:
        super().__init__("run `resume`")
        self._abort_share = abort_failure_percent / 100
        self._accepted = self._failed = 0
        self._first, self._continue = accepted_first, continue_after_failures
        self._action_of: dict[str, str] = {}

    @property
    def warmed_up(self) -> bool:
        """Whether the first calls are done, so that several may be in flight."""
        return self._first >= FIRST_CALLS

    def examine(self, outcome: CallOutcome, device_id: str) -> CallOutcome:
        """The outcome, or a doubt if its action was already returned for another device."""
        if outcome.verdict is not Verdict.SUBMITTED:
            return outcome
        owner = self._action_of.setdefault(outcome.action_id, device_id)
        if owner == device_id:
            return outcome
        return CallOutcome(
            Verdict.IN_DOUBT,
            http_status=outcome.http_status,
            action_id=outcome.action_id,
            code="WrongAction",
            message=f"The answer names the machine action that was given for device {owner}.",
            alarm=Alarm.WRONG_ANSWER,
        )

    def settled(self, accepted_first: int) -> None:
        """An unclear answer among the first calls was settled; `accepted_first` of them are accepted now."""
        self._first, self._unclear = accepted_first, 0

    def _count(self, outcome: CallOutcome) -> None:
        self._accepted += outcome.verdict is Verdict.SUBMITTED
        self._failed += outcome.verdict is Verdict.FAILED

    def _judge(self, outcome: CallOutcome) -> Halt | None:
        return self._too_soon(outcome) or self._too_unclear() or self._too_many_failures()

    def _too_soon(self, outcome: CallOutcome) -> Halt | None:
        """The first calls show whether sheet, tenant and permission match, so all of them must be accepted."""
        if self.warmed_up:
            return None
        if self._continue or outcome.verdict in (Verdict.SUBMITTED, Verdict.ALREADY_OPEN):
            self._first += 1
            return None
        if outcome.verdict is Verdict.IN_DOUBT:
            return _unclear_at_first(_said(outcome))
        return _hold(
            f"One of the first {FIRST_CALLS} devices was not accepted ({_said(outcome)}); check the report. To send "
            f"the others anyway, run `resume {CONTINUE}`."
        )

    def _too_unclear(self) -> Halt | None:
        if self._unclear < UNCLEAR_IN_A_ROW:
            return None
        reason = (
            f"{self._unclear} answers in a row were unclear; look at the rows in doubt, then run `resume`, which looks "
            "for their actions in the tenant first."
        )
        return _hold(reason)

    def _too_many_failures(self) -> Halt | None:
        finished = self._accepted + self._failed
        if finished < SMALLEST_SAMPLE or self._failed <= self._abort_share * finished:
            return None
        reason = (
            f"{self._failed} of {finished} devices failed, more than guards.abort_failure_percent "
            f"({self._abort_share:.0%}) allows; check the report. To send the others anyway, raise it, then "
            "run `resume`."
        )
        return _hold(reason)


def accepted_first(calls: Iterable[JobState]) -> int:
    """How many calls in a row were accepted at the end of `calls`; FIRST_CALLS if so many ever were. `calls` are the
    states that the batch's judged calls ended in, in order."""
    accepted = 0
    for state in calls:
        accepted = accepted + 1 if state is JobState.SUBMITTED else 0
        if accepted >= FIRST_CALLS:
            break
    return accepted


def not_listed_yet(halt: Halt) -> Halt:
    """The halt for an unclear answer among the first calls whose action the tenant does not list yet."""
    return Halt(
        f"One of the first {FIRST_CALLS} calls was unclear ({halt.unsettled}), and its machine action has not been "
        f"found yet; run `resume` later to look again, or `resume {CONTINUE}` to send the others now.",
        ExitCode.UNFINISHED,
    )


def _unclear_at_first(said: str) -> Halt:
    return replace(
        _hold(
            f"One of the first {FIRST_CALLS} calls was unclear ({said}), and the tenant cannot be asked; look for the "
            "device's action in the portal, record it with `resolve`, then run `resume`. To send the others "
            f"anyway, run `resume {CONTINUE}`."
        ),
        unsettled=said,
    )


def _said(outcome: CallOutcome) -> str:
    return f"{outcome.code}: {outcome.message}".rstrip(" .:")
