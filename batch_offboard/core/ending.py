"""Requests to end a running command."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Heard = Callable[[str], None]

# Requests that only a person makes, who may have noticed a problem; schedulers and the system use others.
BY_HAND = frozenset({"SIGINT", "SIGBREAK"})


class Ending:
    """Passes requests to end to the work in progress. The first request drains: no new calls start, and those in flight
    are finished. Every later one stops: calls in flight are cancelled.

    Not thread-safe: call `ask` in the thread of the command's event loop.
    """

    def __init__(self) -> None:
        self._asked: list[str] = []
        self._listeners: list[tuple[Heard, Heard]] = []

    @property
    def is_heard(self) -> bool:
        """Whether any work in progress would receive a request."""
        return bool(self._listeners)

    def ask(self, by: str) -> None:
        """`by` names the request in sentences such as "SIGTERM was received"."""
        self._asked.append(by)
        for listener in reversed(self._listeners):
            self._pass_on(listener, by)

    @contextmanager
    def heard(self, drain: Heard, stop: Heard) -> Iterator[None]:
        """Within the block, requests are passed to `drain` and `stop`; an earlier request is passed on at its start.
        Blocks may be nested: each receives every request, the innermost first."""
        listener = (drain, stop)
        self._listeners.append(listener)
        try:
            if self._asked:
                self._pass_on(listener, self._asked[-1])
            yield
        finally:
            self._listeners.remove(listener)

    def _pass_on(self, listener: tuple[Heard, Heard], by: str) -> None:
        drain, stop = listener
        (drain if len(self._asked) == 1 else stop)(by)
