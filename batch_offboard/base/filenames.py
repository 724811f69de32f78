"""What Windows cannot use as the name of a file. Pure.

learn.microsoft.com/windows/win32/fileio/naming-a-file: reserved names, characters and ends of names.
"""

import re
import sys
from pathlib import PurePath, PureWindowsPath

LONGEST = 259  # characters of a path; MAX_PATH counts the NUL at its end

_ON_WINDOWS = sys.platform == "win32"

# Superscript digits count as digits there; so do the console's two names.
_DEVICE = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[1-9¹²³])", re.IGNORECASE)
_FORBIDDEN = re.compile('[<>:"|?*\x00-\x1f]')


def name_of(path: PurePath) -> str:
    """What to call a file or folder in a sentence: its name, or the whole path where it has none, as `C:` and `/`."""
    return path.name or str(path)


def windows_objection(path: PurePath, *, windows: bool = _ON_WINDOWS) -> str | None:
    """Why Windows cannot use this path for a file, as a clause such as "NUL is the name of a device there"; None if it
    can, and on other systems.

    A device's name stands for the device in any folder and with any suffix: what is written to `NUL.csv` is gone, and
    reading `con.csv` waits for the console.
    """
    if not windows:
        return None
    whole = PureWindowsPath(path)
    parts = whole.parts[1:] if whole.anchor else whole.parts
    return next((found for part in parts if (found := _objection(part))), None)


def length_objection(path: PurePath, *, windows: bool = _ON_WINDOWS) -> str | None:
    """Why Windows may say of a path that it does not exist although it does, as a clause; None if it is short enough.
    `path` is absolute.

    learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation: Python supports long paths, but an
    administrator must have enabled them.
    """
    length = len(str(path))
    if not windows or length <= LONGEST or str(path).startswith("\\\\?\\"):
        return None
    return f"its path has {length} characters, and Windows takes {LONGEST} unless long paths are enabled"


def _objection(part: str) -> str | None:
    if part in (".", ".."):
        return None
    stem = part.partition(".")[0].partition(":")[0].rstrip(" ")
    if _DEVICE.fullmatch(stem):
        return f"{stem} is the name of a device there"
    forbidden = _FORBIDDEN.search(part)
    if forbidden is not None:
        return f"its name has the character {forbidden[0]!r}"
    if part.endswith((".", " ")):
        return f"a name cannot end with {'a dot' if part.endswith('.') else 'a space'}"
    return None
