"""The log: one line for each event, as text or JSON, for people and programs.

Code calls `info` and its siblings with the event's name and its facts; `open_log` decides whether and where they are
written. Only our own events are logged: the libraries' logs contain headers and responses, and are left out. A log that
cannot be written is reported once and stops nothing.
"""

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from batch_offboard.base.clock import exact_utc
from batch_offboard.base.secret import hide_environment, without_secrets
from batch_offboard.base.text import one_line, visible

Say = Callable[[str], None]


_EVENTS = logging.getLogger("batch_offboard")
_EVENTS.propagate = False
_EVENTS.addHandler(logging.NullHandler())
_NOBODY = logging.CRITICAL + 1
_EVENTS.setLevel(_NOBODY)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where and how the log is written. `largest`: bytes of one file. `keep`: how many rotated files are kept."""

    path: Path
    form: str = "text"  # or "json"
    level: str = "info"
    largest: int = 10 << 20
    keep: int = 5


# -- events --


def debug(event: str, **facts: object) -> None:
    _tell(logging.DEBUG, event, facts)


def info(event: str, **facts: object) -> None:
    _tell(logging.INFO, event, facts)


def warning(event: str, **facts: object) -> None:
    _tell(logging.WARNING, event, facts)


def _tell(level: int, event: str, facts: Mapping[str, object], error: BaseException | None = None) -> None:
    if _EVENTS.isEnabledFor(level):
        _EVENTS.log(level, "%s", event, exc_info=error, extra={"facts": facts})


def heard(say: Say) -> Say:
    """Print a message, and log that it was printed."""

    def both(text: str) -> None:
        info("said", text=text)
        say(text)

    return both


# -- the file --


def open_log(settings: LogSettings, say: Say) -> None:
    """Write events to this log from now on, instead of the one before; `say` is called once if that fails."""
    close_log()
    hide_environment(os.environ)
    _EVENTS.addHandler(_PrivateFile(settings, say))
    _EVENTS.setLevel(settings.level.upper())


def close_log() -> None:
    """Stop logging."""
    _EVENTS.setLevel(_NOBODY)
    for handler in _files():
        _EVENTS.removeHandler(handler)
        with suppress(OSError):
            handler.close()


def keep_error(error: BaseException, otherwise: Path) -> Path | None:
    """Write an unexpected error with its traceback to the log, or to the file `otherwise` if that fails.

    Returns the file's path, or None if it could not be written.
    """
    hide_environment(os.environ)
    kept = _keep(error)
    if kept is None:
        open_log(LogSettings(otherwise, largest=1 << 20, keep=1), lambda _text: None)
        kept = _keep(error)
        close_log()
    return kept


def traced(error: BaseException) -> str:
    """The error's traceback without control characters and without secrets that were read or are in the environment."""
    hide_environment(os.environ)
    return _traced(error)


def _traced(error: BaseException) -> str:
    return visible(without_secrets("".join(traceback.format_exception(error))))


def _keep(error: BaseException) -> Path | None:
    _tell(logging.ERROR, "unexpected error", {"error": type(error).__name__}, error)
    return next((file.path for file in _files() if file.works), None)


def _files() -> list["_PrivateFile"]:
    return [handler for handler in _EVENTS.handlers if isinstance(handler, _PrivateFile)]


class _PrivateFile(RotatingFileHandler):
    """A rotated file that only this user can read; errors while writing it are reported and never raised."""

    def __init__(self, settings: LogSettings, say: Say) -> None:
        super().__init__(
            settings.path,
            maxBytes=settings.largest,
            backupCount=settings.keep,
            encoding="utf-8",
            errors="backslashreplace",
            delay=True,
        )
        self.setFormatter(_FORMS[settings.form]())
        self.path = settings.path
        self.works = True
        self._say = say
        self._said = False

    def emit(self, record: logging.LogRecord) -> None:
        self.works = True
        super().emit(record)

    def doRollover(self) -> None:  # noqa: N802  # the library's name
        """On Windows a file that another process has open cannot be renamed: then it keeps growing."""
        with suppress(OSError):
            super().doRollover()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, ARG002  # the library's name
        """Report the first failure, and close the file so that the next line opens it again."""
        error, stream = sys.exception(), self.stream
        self.works, self.stream = False, None
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()
        if not self._said:
            self._said = True
            words = getattr(error, "strerror", None) or type(error).__name__
            self._say(f"The log {one_line(str(self.path))} cannot be written ({words}); work continues without it.")

    def _open(self) -> TextIOWrapper:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = _ends_within_a_line(self.path)
        # pathlib takes no opener, and the handler closes the file.
        stream = open(self.path, "a", encoding=self.encoding, errors=self.errors, opener=_private)  # noqa: SIM115
        if unfinished:
            stream.write("\n")
        return stream


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _ends_within_a_line(path: Path) -> bool:
    """Whether the last line is incomplete, after a full disk or a power failure. False for a terminal or a pipe."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.seek(0, os.SEEK_END) > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
    except OSError:
        return False


# -- the lines --


class _Lines(logging.Formatter):
    """Common to both forms: control characters are escaped, secrets are masked, and each line is formatted once."""

    def format(self, record: logging.LogRecord) -> str:
        rendered: str | None = getattr(record, "rendered", None)
        if rendered is None:
            facts = {name: _plain(value) for name, value in getattr(record, "facts", {}).items()}
            kept = {name: value for name, value in facts.items() if value not in (None, "", [], {})}
            at = exact_utc(round(record.created * 1e6), "milliseconds")
            error = record.exc_info[1] if record.exc_info else None
            trace = _traced(error) if error else ""
            record.rendered = rendered = self.line(at, record.levelname.lower(), record.getMessage(), kept, trace)
        return rendered

    def line(self, at: str, level: str, event: str, facts: Mapping[str, Any], trace: str) -> str:
        raise NotImplementedError


class _Stray(logging.Formatter):
    """Formats what libraries report on standard error, such as asyncio's never-retrieved exceptions."""

    def format(self, record: logging.LogRecord) -> str:
        hide_environment(os.environ)
        return visible(without_secrets(super().format(record)))


if logging.lastResort is not None:
    logging.lastResort.setFormatter(_Stray())


class _Text(_Lines):
    """2026-11-24T08:15:31.250Z info    call ended  batch=20261124-0815-kqzt row=17 verdict=submitted"""

    def line(self, at: str, level: str, event: str, facts: Mapping[str, Any], trace: str) -> str:
        words = "".join(f" {name}={_word(value)}" for name, value in facts.items())
        # A traceback may contain a cell's text, so its lines are marked and cannot pass for lines of the log.
        traced = "".join(f"\n    | {line}" for line in trace.splitlines())
        return f"{at} {level:<7} {event}{' ' if words else ''}{words}{traced}"


class _Json(_Lines):
    """One JSON object on each line; each fact is a key."""

    def line(self, at: str, level: str, event: str, facts: Mapping[str, Any], trace: str) -> str:
        whole = {"time": at, "level": level, "event": event, **facts, **({"traceback": trace} if trace else {})}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


_FORMS: Mapping[str, type[_Lines]] = {"text": _Text, "json": _Json}


def _plain(value: object) -> Any:
    """A fact as a JSON value."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return round(value, 3)
        case Mapping():
            return {str(name): _plain(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(inner) for inner in value]
    return one_line(without_secrets(str(value)))


def _word(value: Any) -> str:
    """A fact as text, in quotes unless it is a single word."""
    if isinstance(value, str) and re.fullmatch(r"[^\s\"=]+", value):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
