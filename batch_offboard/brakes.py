"""When a run must stop by itself: rules over the outcomes, in the order in which they come.

Pure. A halt says why and with which exit code; what was not sent by then stays pending. How many jobs have
to go before a share of failures means anything is fixed here, the share itself is the configuration's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from batch_offboard.errors import ExitCode
from batch_offboard.jobs import SIGN_IN, Alarm, CallOutcome, Verdict

FIRST_CALLS = 5
UNCLEAR_IN_A_ROW = 3
SHARE_MEANS_SOMETHING = 20  # finished jobs
STRANGERS = 2

# How long an unreachable API is tried again: briefly when it never answered, longer when it did.
PATIENCE_AT_FIRST = 30.0  # seconds
PATIENCE_LATER = 600.0  # seconds


@dataclass(frozen=True, slots=True)
class Halt:
    """Why the run stops, in one sentence for the operator, and the exit code.

    `held`: a person has to look before the batch goes on, so that no unattended run takes it up again.
    """

    reason: str
    exit_code: ExitCode
    held: bool = False


def _hold(reason: str) -> Halt:
    """What is wrong will not pass by waiting."""
    return Halt(reason, ExitCode.REFUSED, held=True)


# {said} is the API's own code and message.
_ALARMS: Mapping[Alarm, Halt] = {
    Alarm.OUR_MISTAKE: _hold(
        "The API does not understand the request ({said}); please report this, it is a mistake in the program."
    ),
    Alarm.PERMISSION: Halt(
        "The API refuses with 403 ({said}); check the application's permission Machine.Offboard and its consent.",
        ExitCode.SIGN_IN,
    ),
    Alarm.WRONG_ANSWER: _hold(
        "The API's answer does not fit the request ({said}); do not go on before this is understood."
    ),
    Alarm.LONG_WAIT: Halt(
        "The API asks to wait for more than an hour ({said}); go on later with `resume`.", ExitCode.UNFINISHED
    ),
    Alarm.NO_TRUST: Halt(
        "The API's certificate is not trusted ({said}); if your network inspects TLS, name its root certificate in "
        "network.ca_file.",
        ExitCode.UNFINISHED,
    ),
    Alarm.NOT_THE_API: _hold(
        "Something else answers in the API's place ({said}), twice now; check api_url and network.proxy."
    ),
}


# Offboarded, or, where actions are taken back, cancelled or told that it was too late.
_ACCEPTED = (Verdict.SUBMITTED, Verdict.CANCELLED, Verdict.ANSWERED)


class Brakes:
    """Watches the outcomes of one run."""

    def __init__(self, abort_failure_percent: float) -> None:
        self._abort_share = abort_failure_percent / 100
        self._answered = self._accepted = self._failed = 0
        self._unclear = self._strangers = 0
        self._renewals = 0
        self._away_since: float | None = None
        self._action_of: dict[str, str] = {}

    @property
    def warmed_up(self) -> bool:
        """The first calls are through: from now on several may be in flight."""
        return self._answered >= FIRST_CALLS

    def examine(self, outcome: CallOutcome, device_id: str) -> CallOutcome:
        """The outcome, unless its action is known as another device's: then nothing is certain any more."""
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

    def note(self, outcome: CallOutcome, now: float) -> Halt | None:
        """Count an outcome; a Halt if the run must stop. `now` in ticks."""
        if outcome.verdict is Verdict.NOT_SENT:
            return self._alarm(outcome) or self._away(now, outcome)
        self._away_since = None
        if outcome.verdict is Verdict.UNAUTHORIZED:
            return self._unauthorized(outcome)
        if outcome.verdict is not Verdict.THROTTLED:
            self._count(outcome)
            return self._alarm(outcome) or self._too_soon(outcome) or self._too_unclear() or self._too_many_failures()
        return self._alarm(outcome)

    def _count(self, outcome: CallOutcome) -> None:
        self._answered += 1
        self._accepted += outcome.verdict in _ACCEPTED
        self._failed += outcome.verdict is Verdict.FAILED
        self._unclear = self._unclear + 1 if outcome.verdict is Verdict.IN_DOUBT else 0

    def _alarm(self, outcome: CallOutcome) -> Halt | None:
        if outcome.alarm is None:
            return None
        if outcome.alarm is Alarm.NOT_THE_API:
            self._strangers += 1
            if self._strangers < STRANGERS:
                return None
        halt = _ALARMS[outcome.alarm]
        return replace(halt, reason=halt.reason.format(said=_said(outcome)))

    def _unauthorized(self, outcome: CallOutcome) -> Halt | None:
        self._renewals += 1
        if self._renewals < 2:
            return None
        reason = f"The API does not accept the token (401, {_said(outcome)}); renew it, then `resume`."
        return Halt(reason, ExitCode.SIGN_IN)

    def _away(self, now: float, outcome: CallOutcome) -> Halt | None:
        since = self._away_since = now if self._away_since is None else self._away_since
        patience = PATIENCE_LATER if self._answered else PATIENCE_AT_FIRST
        if now - since < patience:
            return None
        if outcome.code == SIGN_IN:
            return Halt(f"{outcome.message} When there are tokens again, run `resume`.", ExitCode.SIGN_IN)
        reason = f"The API cannot be reached ({outcome.message}); when the network is back, `resume`."
        return Halt(reason, ExitCode.UNFINISHED)

    def _too_soon(self, outcome: CallOutcome) -> Halt | None:
        """The first calls show whether the sheet, the tenant and the permission fit together: all must be accepted."""
        well = outcome.verdict in (*_ACCEPTED, Verdict.ALREADY_OPEN)
        if well or self._answered > FIRST_CALLS:
            return None
        reason = (
            f"One of the first {FIRST_CALLS} devices was not accepted ({_said(outcome)}); look at the report, and "
            "`resume` if the others are meant all the same."
        )
        return _hold(reason)

    def _too_unclear(self) -> Halt | None:
        if self._unclear < UNCLEAR_IN_A_ROW:
            return None
        reason = f"{self._unclear} answers in a row were unclear; look at the rows in doubt before you go on."
        return _hold(reason)

    def _too_many_failures(self) -> Halt | None:
        finished = self._accepted + self._failed
        if finished < SHARE_MEANS_SOMETHING or self._failed <= self._abort_share * finished:
            return None
        reason = (
            f"{self._failed} of {finished} devices failed, more than guards.abort_failure_percent "
            f"({self._abort_share:.0%}) allows; look at the report before you go on."
        )
        return _hold(reason)


def _said(outcome: CallOutcome) -> str:
    return f"{outcome.code}: {outcome.message}".rstrip(" .:")
