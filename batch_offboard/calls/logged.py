"""Wrappers that log the events of calls and runs, one line each, before they pass them on."""

from typing import Protocol

from batch_offboard.base.logs import info, warning
from batch_offboard.core.jobs import CallOutcome, Job, Verdict
from batch_offboard.core.progress import Observer, Progress
from batch_offboard.core.tenant import ApiName

SHORTEST_WAIT = 5.0  # seconds; shorter ones are the normal pacing of the quota


class Watcher(Protocol):
    """Receives the events of a pool."""

    def began(self, job: Job) -> None: ...

    def ended(self, job: Job, outcome: CallOutcome) -> None: ...


class LoggedCalls:
    """A pool's watcher that logs every call and passes it on."""

    def __init__(self, api: ApiName, batch_id: str, watcher: Watcher) -> None:
        self._api, self._batch_id, self._watcher = api, batch_id, watcher

    def began(self, job: Job) -> None:
        info("call begun", **self._facts(job))
        self._watcher.began(job)

    def ended(self, job: Job, outcome: CallOutcome) -> None:
        well = outcome.verdict in (Verdict.SUBMITTED, Verdict.CANCELLED, Verdict.ANSWERED)
        (info if well else warning)(
            "call ended",
            **self._facts(job),
            verdict=outcome.verdict,
            status=outcome.http_status,
            action=outcome.action_id,
            code=outcome.code,
            message=outcome.message,
            tracking_id=outcome.target,
            retry_after=outcome.retry_after,
        )
        self._watcher.ended(job, outcome)

    def _facts(self, job: Job) -> dict[str, object]:
        return {
            "api": self._api,
            "batch": self._batch_id,
            "row": job.row,
            "attempt": job.attempts,
            "device": job.device_id,
        }


class LoggedRun:
    """An observer that logs messages to the operator and long waits, and passes everything on."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._waiting: tuple[str, float] = ("", 0.0)

    def started(self, batch_id: str, progress: Progress) -> None:
        self._observer.started(batch_id, progress)

    def changed(self, progress: Progress) -> None:
        self._note_wait(progress)
        self._observer.changed(progress)

    def said(self, text: str) -> None:
        info("said", text=text)
        self._observer.said(text)

    def finished(self, progress: Progress) -> None:
        self._observer.finished(progress)

    def _note_wait(self, progress: Progress) -> None:
        reason, until = progress.waiting_for, progress.waiting_until
        if reason is None or until is None or until - progress.now < SHORTEST_WAIT:
            return
        logged, logged_until = self._waiting
        if reason != logged or progress.now >= logged_until:
            self._waiting = reason, until
            info("waiting", reason=reason, seconds=until - progress.now, left=progress.left)
