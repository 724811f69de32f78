"""What the operator sees during a run."""

import io
import os
import sys
from dataclasses import replace
from datetime import UTC
from types import TracebackType
from typing import Self

import pytest
from rich.console import Console

from batch_offboard.cli.display import (
    DatedLines,
    LiveDisplay,
    Silent,
    UnbreakableStream,
    observer_for,
    picture,
)
from batch_offboard.core.progress import Progress

NOW = 1795508131.0  # 2026-11-24T08:15:31Z
RUNNING = Progress(
    total=300,
    submitted=120,
    failed=1,
    in_doubt=0,
    left=179,
    in_flight=8,
    minute=(57, 100),
    hour=(121, 1500),
    waiting_for=None,
    waiting_until=None,
    eta=NOW + 160,
    now=NOW,
)
WAITING = replace(RUNNING, waiting_for="minute quota", waiting_until=NOW + 59)
REHEARSED = replace(WAITING, simulated=True, speed=60.0)


def drawn(progress: Progress, width: int = 80, ending: str = "") -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, legacy_windows=False, _environ={}).print(
        picture("20261124-7f3a", progress, UTC, ending)
    )
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def logged() -> tuple[DatedLines, io.StringIO]:
    stream = io.StringIO()
    return DatedLines(stream, lambda: 0.0), stream


# ── live display ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_rehearsal_that_waits_at_80_columns() -> None:
    assert drawn(REHEARSED) == [
        "Batch 20261124-7f3a  SIMULATED, 60 times as fast",
        "━━━━━━━━━━━━━━━━━━━━━━━━━                                       40 %  121 of 300",
        "Devices  120 submitted, 1 failed, 0 in doubt, 179 left, 8 in flight",
        "Calls    57 of 100 this minute, 121 of 1,500 this hour",
        "Now      waiting for minute quota until 08:16:30+00:00 (59 s)",
        "Ready    about 08:18:11+00:00 (in 2 min 40 s, 3 s at this speed)",
    ]


def test_a_real_run_at_200_columns() -> None:
    lines = drawn(RUNNING, 200)

    assert lines[0] == "Batch 20261124-7f3a"
    assert len(lines[1]) == 200
    assert lines[1].endswith("  40 %  121 of 300")
    assert lines[2:] == [
        "Devices  120 submitted, 1 failed, 0 in doubt, 179 left, 8 in flight",
        "Calls    57 of 100 this minute, 121 of 1,500 this hour",
        "Now      sending",
        "Ready    about 08:18:11+00:00 (in 2 min 40 s)",
    ]


def test_a_run_that_is_being_stopped_says_what_it_waits_for() -> None:
    assert drawn(replace(WAITING, draining=True))[4] == "Now      stopping: 8 calls in flight are being finished"


def test_a_time_on_another_day_has_its_date() -> None:
    assert drawn(replace(RUNNING, eta=NOW + 86_400))[5] == "Ready    about 2026-11-25 08:15:31+00:00 (in 1 d)"


def test_an_end_that_is_not_known_is_not_invented() -> None:
    assert drawn(replace(RUNNING, eta=None))[5] == "Ready    not known yet"


def test_the_bar_is_full_only_at_the_end() -> None:
    assert "99 %" in drawn(replace(RUNNING, total=1_000_000, left=1))[1]
    assert "100 %  300 of 300" in drawn(replace(RUNNING, left=0))[1]


def test_a_run_without_a_device_is_drawn_too() -> None:
    assert drawn(replace(RUNNING, total=0, left=0))[1].endswith("100 %  0 of 0")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    progress = replace(REHEARSED, total=10**6, submitted=10**6 - 1, waiting_for="Retry-After of the server")

    assert max(map(len, drawn(progress, width))) <= width


def test_control_characters_never_reach_the_terminal() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=False, width=80, _environ={})
    display = LiveDisplay(console, UTC, ticks=lambda: 0.0)
    display.started("b\x1b[2J", replace(WAITING, waiting_for="\x1b]0;x\x07[bold]"))
    display.said("row 7: \x1b[31m[red]name\nnext")
    display.finished(RUNNING)

    assert "\x1b" not in stream.getvalue()
    assert "\x07" not in stream.getvalue()
    assert "row 7: \\x1b[31m[red]name next\n" in stream.getvalue()


def terminal(**environment: str) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, color_system="truecolor", _environ=environment)


def test_no_more_than_eight_drawings_a_second_however_many_changes() -> None:
    clock = [0.0]
    console = terminal()
    display = LiveDisplay(console, UTC, ticks=lambda: clock[0])
    display.started("b", RUNNING)
    for step in range(1, 1001):
        clock[0] = step / 1000
        display.changed(RUNNING)
    drawings = text_of(console).count("Devices")
    display.finished(RUNNING)

    assert 8 <= drawings <= 9


def test_a_change_after_a_pause_is_drawn_at_once() -> None:
    clock = [0.0]
    console = terminal()
    display = LiveDisplay(console, UTC, ticks=lambda: clock[0])
    display.started("b", RUNNING)
    clock[0] = 1.0
    display.changed(replace(RUNNING, submitted=121))
    shown = text_of(console)
    display.finished(RUNNING)

    assert "121 submitted" in shown


def test_stdout_is_left_to_the_data() -> None:
    before = sys.stdout
    display = LiveDisplay(terminal(), UTC, ticks=lambda: 0.0)
    display.started("b", RUNNING)
    during = sys.stdout
    display.finished(RUNNING)

    assert during is before


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_last_picture_stays_and_says_how_it_ended() -> None:
    assert drawn(replace(RUNNING, left=0), ending="finished")[4:] == ["Now      finished", "Ready    at 08:15:31+00:00"]
    assert drawn(RUNNING, ending="stopped before the end")[4:] == [
        "Now      stopped before the end",
        "Ready    not yet",
    ]


def test_the_cursor_is_given_back() -> None:
    console = terminal()
    display = LiveDisplay(console, UTC, ticks=lambda: 0.0)
    display.started("b", RUNNING)
    display.finished(RUNNING)

    assert text_of(console).rindex("\x1b[?25h") > text_of(console).rindex("\x1b[?25l")


def colours(console: Console) -> bool:
    console.print(picture("b", replace(RUNNING, in_doubt=2), UTC))
    return "\x1b[32m" in text_of(console) or "\x1b[1;31m" in text_of(console)


def test_colours_are_left_out_when_no_color_is_set() -> None:
    assert colours(terminal())
    assert not colours(terminal(NO_COLOR="1"))


# ── dated lines ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_in_dated_lines() -> None:
    lines, stream = logged()
    lines.started("20261124-7f3a", replace(RUNNING, submitted=0, failed=0, left=300))
    lines.changed(replace(RUNNING, submitted=1, failed=0, left=299, now=NOW + 1))
    lines.changed(replace(WAITING, failed=0, left=180, now=NOW + 30))
    lines.changed(replace(RUNNING, now=NOW + 31))
    lines.said("something to know")
    lines.finished(replace(RUNNING, submitted=299, left=0, now=NOW + 160))

    assert stream.getvalue().splitlines() == [
        "2026-11-24 09:15:31+01:00  batch 20261124-7f3a started, ready about 2026-11-24 09:18:11+01:00, in 2 min 40 s",
        "2026-11-24 09:15:31+01:00  0 of 300 submitted, 0 failed, 0 in doubt, 300 left",
        (
            "2026-11-24 09:16:01+01:00  120 of 300 submitted, 0 failed, 0 in doubt, 180 left, "
            "waiting for minute quota until 2026-11-24 09:16:30+01:00"
        ),
        "2026-11-24 09:16:02+01:00  120 of 300 submitted, 1 failed, 0 in doubt, 179 left",
        "2026-11-24 09:16:02+01:00  something to know",
        "2026-11-24 09:18:11+01:00  299 of 300 submitted, 1 failed, 0 in doubt, 0 left, finished",
    ]


def test_every_line_of_a_rehearsal_with_counts_says_so() -> None:
    lines, stream = logged()
    lines.started("b", REHEARSED)
    lines.finished(REHEARSED)

    assert [line.partition("  ")[2][:9] for line in stream.getvalue().splitlines()] == ["SIMULATED"] * 3
    assert "SIMULATED, 60 times as fast: batch b started" in stream.getvalue()


@pytest.mark.parametrize(
    "urgent",
    [
        {"failed": 2},
        {"in_doubt": 1},
        {"draining": True},
    ],
    ids=str,
)
def test_what_cannot_wait_is_told_at_once(urgent: dict[str, int]) -> None:
    lines, stream = logged()
    lines.started("b", RUNNING)
    lines.changed(replace(RUNNING, now=NOW + 1, **urgent))  # type: ignore[arg-type]  # the fields named above

    assert len(stream.getvalue().splitlines()) == 3


def test_nothing_is_told_while_nothing_changes() -> None:
    lines, stream = logged()
    lines.started("b", WAITING)
    for second in range(3600):
        lines.changed(replace(WAITING, now=NOW + second, in_flight=second % 8, eta=NOW + second))

    assert len(stream.getvalue().splitlines()) == 2


def test_growing_counts_are_told_once_in_30_seconds() -> None:
    lines, stream = logged()
    lines.started("b", replace(RUNNING, submitted=0))
    for second in range(1, 301):
        lines.changed(replace(RUNNING, submitted=second, now=NOW + second))

    told = [int(line.partition("  ")[2].partition(" ")[0]) for line in stream.getvalue().splitlines()[2:]]
    assert told == list(range(30, 301, 30))


def test_a_clock_that_was_set_back_does_not_silence_the_log() -> None:
    lines, stream = logged()
    lines.started("b", RUNNING)
    lines.changed(replace(RUNNING, submitted=121, now=NOW - 3600))

    assert "2026-11-24 08:15:31+01:00  121 of 300 submitted" in stream.getvalue()


def test_what_is_said_before_the_start_is_dated_by_the_clock() -> None:
    stream = io.StringIO()
    DatedLines(stream, lambda: NOW).said("reading the spreadsheet")

    assert stream.getvalue() == "2026-11-24 09:15:31+01:00  reading the spreadsheet\n"


def test_a_cell_cannot_forge_a_line_of_the_log() -> None:
    lines, stream = logged()
    lines.said("name\n2026-11-24 09:15:31+01:00  300 of 300 submitted\x1b[2J")

    assert (
        stream.getvalue() == "1970-01-01 01:00:00+01:00  name 2026-11-24 09:15:31+01:00 300 of 300 submitted\\x1b[2J\n"
    )


def test_a_run_that_stops_with_devices_left_says_so() -> None:
    lines, stream = logged()
    lines.finished(replace(RUNNING, draining=True))

    assert stream.getvalue().endswith("179 left, stopped before the end\n")


# ── which observer ────────────────────────────────────────────────────────────────────────────────────────


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_the_live_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")

    assert isinstance(observer_for(Terminal(), quiet=False), LiveDisplay)


def test_a_terminal_that_can_only_print_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")

    assert isinstance(observer_for(Terminal(), quiet=False), DatedLines)


def test_anything_but_a_terminal_gets_lines_even_when_colour_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert isinstance(observer_for(io.StringIO(), quiet=False), DatedLines)


def test_quiet_is_quiet() -> None:
    stream = Terminal()
    observer = observer_for(stream, quiet=True)
    observer.started("b", RUNNING)
    observer.changed(RUNNING)
    observer.said("text")
    observer.finished(RUNNING)

    assert isinstance(observer, Silent)
    assert stream.getvalue() == ""


def test_a_program_without_a_console_is_told_nothing() -> None:
    assert isinstance(observer_for(None, quiet=False), Silent)


# ── broken streams ────────────────────────────────────────────────────────────────────────────────────


class BrokenPipe:
    """A pipe whose reader has gone: real descriptors, closed on the reading side."""

    def __enter__(self) -> Self:
        reading, writing = os.pipe()
        os.close(reading)
        self.stream = open(writing, "w", encoding="utf-8", buffering=1)  # noqa: PTH123  # a descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123  # what is buffered goes there
            os.dup2(nowhere.fileno(), self.stream.fileno())
        self.stream.close()


@pytest.mark.fault(18, "The run continues.")
def test_a_reader_that_goes_away_does_not_stop_the_run() -> None:
    with BrokenPipe() as pipe:
        observer = observer_for(pipe.stream, quiet=False)
        observer.started("b", RUNNING)
        observer.changed(replace(RUNNING, failed=2))
        observer.finished(RUNNING)

        assert isinstance(observer, DatedLines)


def test_a_live_display_survives_its_terminal() -> None:
    with BrokenPipe() as pipe:
        console = Console(file=UnbreakableStream(pipe.stream), force_terminal=True)  # type: ignore[arg-type]  # as in observer_for
        display = LiveDisplay(console, UTC, ticks=lambda: 0.0)
        display.started("b", RUNNING)
        display.finished(RUNNING)


@pytest.mark.fault(18, "The run continues.")
def test_a_closed_stream_is_written_to_without_harm() -> None:
    stream = io.StringIO()
    stream.close()
    kept = UnbreakableStream(stream)

    assert kept.write("text") == 4


@pytest.mark.fault(126, "What the terminal cannot show is escaped.")
def test_what_the_encoding_lacks_is_spelled_out() -> None:
    raw = io.BytesIO()
    kept = UnbreakableStream(io.TextIOWrapper(raw, encoding="cp1252", newline=""))
    kept.write("Gerät 東\n")
    kept.flush()

    assert raw.getvalue() == "Gerät \\u6771\n".encode("cp1252")
