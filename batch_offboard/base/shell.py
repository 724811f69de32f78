"""Commands as a person types them. Pure."""

import re
import shlex
import sys
from collections.abc import Iterable

_ON_WINDOWS = sys.platform == "win32"

# Both shells of Windows take these as they are; each gives others a meaning of its own.
_PLAIN = re.compile(r"[\w.:\\/=+-]+")


def command_line(words: Iterable[str], *, windows: bool = _ON_WINDOWS) -> str:
    """The words as typed into the platform's shell; on Windows the same for PowerShell and cmd, where a `$` or `%` in a
    word keeps the meaning that the shell gives it, since nothing quotes it in both."""
    return " ".join(_quoted_for_windows(word) for word in words) if windows else shlex.join(words)


def _quoted_for_windows(word: str) -> str:
    """In double quotes unless it is plain; a backslash is doubled before a quote and at the end, as programs read their
    command line (learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments)."""
    if _PLAIN.fullmatch(word):
        return word
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', word)
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'
