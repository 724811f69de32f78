"""What the operator sees while a run is at work: a live display on a terminal, dated lines anywhere else.

Everything goes to the stream that is handed in, stderr as a rule; stdout stays free for data. A stream that
breaks ends the talking and never the run. Nothing here changes a job or decides anything.
"""

import time
from collections.abc import Callable
from datetime import tzinfo
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batch_offboard.base.clock import local_time, time_of_day
from batch_offboard.base.durations import spoken_duration
from batch_offboard.base.text import one_line
from batch_offboard.cli.terminal import SPELLED, can_be_drawn_on
from batch_offboard.core.progress import Observer, Progress

_SHORTEST_BETWEEN_DRAWINGS = 0.125  # seconds: eyes see no more, and a drawing costs milliseconds
_SHORTEST_BETWEEN_LINES = 30.0  # seconds of the run's own clock


def observer_for(stream: TextIO | None, *, quiet: bool, now: Callable[[], float] = time.time) -> Observer:
    """What suits the stream. `now` (seconds since the epoch) dates what is said before a start."""
    if quiet or stream is None:  # a program without a console has no stderr
        return Silent()
    kept = UnbreakableStream(stream)
    if not can_be_drawn_on(stream):
        return DatedLines(kept, now)
    return LiveDisplay(Console(file=kept, highlight=False, legacy_windows=False))  # type: ignore[arg-type]  # all that rich calls is there


class UnbreakableStream:
    """A stream that can be written to for ever, whatever becomes of the one behind it.

    A closed pipe or terminal must not stop a run. What the stream's
    encoding lacks is spelled out.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._broken = False

    def write(self, text: str) -> int:
        self._attempt(lambda: self._write(text))
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            self._stream.write(text.encode(self.encoding, SPELLED).decode(self.encoding))

    def _attempt(self, action: Callable[[], object]) -> None:
        if self._broken:
            return
        try:
            action()
        except (OSError, ValueError):  # ValueError: closed
            self._broken = True


class Silent:
    """Says nothing."""

    def started(self, batch_id: str, progress: Progress) -> None:
        """Nothing."""

    def changed(self, progress: Progress) -> None:
        """Nothing."""

    def said(self, text: str) -> None:
        """Nothing."""

    def finished(self, progress: Progress) -> None:
        """Nothing."""


# ── dated lines ───────────────────────────────────────────────────────────────────────────────────────────


class DatedLines:
    """One line for each change that matters, for logs and pipes.

    The start, the end, a failure, a doubt and the decision to stop are told at once; counts that merely grow
    at most every 30 seconds of the run's own clock, and nothing while nothing changes.
    """

    def __init__(self, stream: UnbreakableStream | TextIO, now: Callable[[], float]) -> None:
        self._stream = stream
        self._now = now
        self._last: Progress | None = None  # as told
        self._told_at = 0.0
        self._current: float | None = None  # the run's own time, as last heard

    def started(self, batch_id: str, progress: Progress) -> None:
        mark = f"{_rehearsal(progress)}: " if progress.simulated else ""
        self._line(progress.now, f"{mark}batch {one_line(batch_id)} started, {_ready(progress)}")
        self._tell(progress)

    def changed(self, progress: Progress) -> None:
        self._current = progress.now
        if self._last is None or _is_urgent(self._last, progress) or self._is_due(progress):
            self._tell(progress)

    def said(self, text: str) -> None:
        self._line(self._now() if self._current is None else self._current, one_line(text))

    def finished(self, progress: Progress) -> None:
        self._tell(progress, _ending(progress))

    def _is_due(self, progress: Progress) -> bool:
        if self._last is None or _news(progress) == _news(self._last):
            return False
        # A clock that was set back would otherwise silence us for as long.
        return not 0 <= progress.now - self._told_at < _SHORTEST_BETWEEN_LINES

    def _tell(self, progress: Progress, ending: str = "") -> None:
        self._last, self._told_at = progress, progress.now
        self._line(progress.now, _counts_line(progress, ending))

    def _line(self, now: float, text: str) -> None:
        self._current = now
        self._stream.write(f"{local_time(now)}  {text}\n")
        self._stream.flush()


def _is_urgent(before: Progress, after: Progress) -> bool:
    return (after.failed, after.in_doubt, after.draining) != (before.failed, before.in_doubt, before.draining)


def _news(progress: Progress) -> tuple[object, ...]:
    return (progress.submitted, progress.left, progress.waiting_for)


def _counts_line(progress: Progress, ending: str) -> str:
    parts = [
        f"{progress.submitted:,} of {progress.total:,} submitted",
        f"{progress.failed:,} failed",
        f"{progress.in_doubt:,} in doubt",
        f"{progress.left:,} left",
    ]
    if progress.total == 0:
        parts = ["no devices to send"]
    if progress.simulated:
        parts.insert(0, "SIMULATED")
    parts.append(ending or _now_in_words(progress))
    return ", ".join(part for part in parts if part)


def _now_in_words(progress: Progress) -> str:
    if progress.draining:
        return f"stopping after {progress.in_flight:,} calls in flight"
    if progress.waiting_for:
        until = "" if progress.waiting_until is None else f" until {local_time(progress.waiting_until)}"
        return f"waiting for {one_line(progress.waiting_for)}{until}"
    return ""


def _ready(progress: Progress) -> str:
    if progress.left == 0:
        return "nothing is left to send"
    if progress.eta is None:
        return "end not known yet"
    return f"ready about {local_time(progress.eta)}, in {spoken_duration(progress.eta - progress.now)}"


def _ending(progress: Progress) -> str:
    return "finished" if progress.left == 0 else "stopped before the end"


def _rehearsal(progress: Progress) -> str:
    return "SIMULATED" + (f", {progress.speed:g} times as fast" if progress.speed != 1 else "")


# ── live display ──────────────────────────────────────────────────────────────────────────────────────────


class LiveDisplay:
    """A few lines at the bottom of the terminal, drawn anew at most eight times a second.

    It has no thread of its own: a change that comes too soon after a drawing is shown with the next one.
    Times of day are those of `zone`, the machine's own by default. `ticks` are seconds that only grow.
    """

    def __init__(
        self, console: Console, zone: tzinfo | None = None, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._zone = zone
        self._ticks = ticks
        self._drawn_at = float("-inf")
        self._batch_id = ""
        self._live = self._new_live()

    def started(self, batch_id: str, progress: Progress) -> None:
        self._batch_id = batch_id
        self._live = self._new_live()  # a batch that came before keeps its last picture
        self._live.start()
        self._draw(progress)

    def changed(self, progress: Progress) -> None:
        if self._ticks() - self._drawn_at >= _SHORTEST_BETWEEN_DRAWINGS:
            self._draw(progress)

    def said(self, text: str) -> None:
        self._console.print(Text(one_line(text)))

    def finished(self, progress: Progress) -> None:
        self._draw(progress, _ending(progress))
        self._live.stop()

    def _new_live(self) -> Live:
        # stdout is data, perhaps piped to a program: rich must not take it over.
        return Live(console=self._console, auto_refresh=False, redirect_stdout=False)

    def _draw(self, progress: Progress, ending: str = "") -> None:
        self._drawn_at = self._ticks()
        self._live.update(picture(self._batch_id, progress, self._zone, ending), refresh=True)


def picture(batch_id: str, progress: Progress, zone: tzinfo | None = None, ending: str = "") -> RenderableType:
    """The live display at one moment; always as many lines where they fit, so that nothing jumps."""
    return Group(_headline(batch_id, progress), _bar(progress), _figures(progress, zone, ending))


def _headline(batch_id: str, progress: Progress) -> RenderableType:
    line = Text(f"Batch {one_line(batch_id)}", style="bold")
    if progress.simulated:
        line.append(f"  {_rehearsal(progress)}", style="bold magenta")
    return line


def _bar(progress: Progress) -> RenderableType:
    share = progress.done / progress.total if progress.total else 1.0
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(ratio=1)
    line.add_column(no_wrap=True)
    bar = ProgressBar(total=max(1, progress.total), completed=progress.done if progress.total else 1)
    # Rounded down: 100 % is for the end alone.
    line.add_row(bar, f"{int(100 * share)} %  {progress.done:,} of {progress.total:,}")
    return line


def _figures(progress: Progress, zone: tzinfo | None, ending: str) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Devices", _counts(progress))
    table.add_row("Calls", _windows(progress))
    table.add_row("Now", _now(progress, zone, ending))
    table.add_row("Ready", _end(progress, zone, ending))
    return table


def _counts(progress: Progress) -> Text:
    return Text.assemble(
        (f"{progress.submitted:,} submitted", "green"),
        ", ",
        (f"{progress.failed:,} failed", "bold red" if progress.failed else ""),
        ", ",
        (f"{progress.in_doubt:,} in doubt", "bold yellow" if progress.in_doubt else ""),
        f", {progress.left:,} left, {progress.in_flight:,} in flight",
    )


def _windows(progress: Progress) -> Text:
    (minute, per_minute), (hour, per_hour) = progress.minute, progress.hour
    return Text(f"{minute:,} of {per_minute:,} this minute, {hour:,} of {per_hour:,} this hour")


def _now(progress: Progress, zone: tzinfo | None, ending: str) -> Text:
    if ending:
        return Text(ending, style="bold")
    if progress.draining:
        return Text(f"stopping: {progress.in_flight:,} calls in flight are being finished", style="bold yellow")
    if progress.waiting_for:
        return Text(f"waiting for {one_line(progress.waiting_for)}{_until(progress, zone)}")
    return Text("sending")


def _until(progress: Progress, zone: tzinfo | None) -> str:
    if progress.waiting_until is None:
        return ""
    rest = spoken_duration(progress.waiting_until - progress.now)
    return f" until {time_of_day(progress.waiting_until, progress.now, zone)} ({rest})"


def _end(progress: Progress, zone: tzinfo | None, ending: str) -> Text:
    if ending:
        return Text("not yet" if progress.left else f"at {time_of_day(progress.now, progress.now, zone)}")
    if progress.eta is None:
        return Text("not known yet")
    rest = progress.eta - progress.now
    ours = f", {spoken_duration(rest / progress.speed)} at this speed" if progress.speed > 1 else ""
    return Text(f"about {time_of_day(progress.eta, progress.now, zone)} (in {spoken_duration(rest)}{ours})")
