"""Asking a command that is under way to end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Heard = Callable[[str], None]

# Ways to ask that only a person has, who has seen something; a scheduler or the system asks by others.
BY_HAND = frozenset({"SIGINT", "SIGBREAK"})


class Ending:
    """Hands requests to end to whatever is at work. The first request drains: no new calls begin, and those in flight
    are finished. Every later one stops: calls in flight are abandoned.

    Not thread-safe: ask in the thread of the event loop that the command runs in.
    """

    def __init__(self) -> None:
        self._asked: list[str] = []
        self._listeners: list[tuple[Heard, Heard]] = []

    @property
    def is_heard(self) -> bool:
        """Whether anything is at work that would hear a request."""
        return bool(self._listeners)

    def ask(self, by: str) -> None:
        """`by` names the request in sentences such as "SIGTERM was received"."""
        self._asked.append(by)
        for listener in reversed(self._listeners):
            self._tell(listener, by)

    @contextmanager
    def heard(self, drain: Heard, stop: Heard) -> Iterator[None]:
        """Within the block, requests are handed to `drain` and `stop`; one that was made before is handed on at the
        block's beginning. Blocks may be nested: every one of them hears, the innermost first."""
        listener = (drain, stop)
        self._listeners.append(listener)
        try:
            if self._asked:
                self._tell(listener, self._asked[-1])
            yield
        finally:
            self._listeners.remove(listener)

    def _tell(self, listener: tuple[Heard, Heard], by: str) -> None:
        drain, stop = listener
        (drain if len(self._asked) == 1 else stop)(by)
