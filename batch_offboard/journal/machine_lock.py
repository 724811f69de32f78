"""A named lock that all users of this computer share, independent of their folders.

It separates well-meaning users, such as an administrator and the account of a scheduled run. A malicious user can hold
it, which is visible, and can delete it except on Linux; the users' own locks do not depend on it.
"""

import errno
import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

PREFIX = "batch-offboard"
ASKING = 128  # processes that may ask who holds a lock


class HeldError(Exception):
    """Another process has the lock; the message says which, if known."""


class MachineLock(Protocol):
    """A lock to acquire once; freed by `release` or when the process ends."""

    def acquire(self) -> None:
        """Take the lock. Raises HeldError. Does nothing if this computer has no place for such a lock."""

    def release(self) -> None: ...


def machine_lock(name: str) -> MachineLock:
    """The lock of this name: letters, digits and hyphens."""
    if sys.platform == "linux":
        return SocketLock(f"{PREFIX}-{name}")
    return EverybodysFileLock(everybodys_folder(), f"{name}.lock")


if sys.platform == "linux":

    class SocketLock:
        """A socket in Linux's abstract namespace (unix(7)): only one process of any user can bind its name, independent
        of folders, modes and the clean-up of temporary files. A service with a private /tmp sees it, too."""

        def __init__(self, name: str) -> None:
            self._address = f"\0{name}"
            self._socket: socket.socket | None = None

        def acquire(self) -> None:
            try:
                held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            except OSError:  # a sandbox may not support such sockets
                return
            try:
                held.bind(self._address)
                held.listen(ASKING)
            except OSError as error:
                held.close()
                if error.errno == errno.EADDRINUSE:
                    raise HeldError(self._holder()) from None
            else:
                self._socket = held

        def release(self) -> None:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

        def _holder(self) -> str:
            """The socket's owner according to the kernel."""
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
                asking.settimeout(0)
                try:
                    asking.connect(self._address)
                    credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                except OSError:
                    return "another process"
            process, user, _ = struct.unpack("3i", credentials)
            return f"process {process} of user {_name_of(user)}" if process else f"a process of user {_name_of(user)}"

    def _name_of(user: int) -> str:
        import pwd

        try:
            return pwd.getpwuid(user).pw_name
        except KeyError:
            return str(user)


class EverybodysFileLock:
    """A locked file in a folder that every user can write to, for systems without such sockets."""

    def __init__(self, folder: Path, name: str) -> None:
        self._lock = FileLock(folder / name, mode=0o666, timeout=0)
        self._folder = folder

    def acquire(self) -> None:
        try:
            self._folder.mkdir(exist_ok=True)
            with suppress(PermissionError):  # it belongs to another user, who has set the mode already
                self._folder.chmod(0o777)  # whatever the umask
            self._lock.acquire()
        except Timeout:
            raise HeldError("another process of yours or of another user of this computer") from None
        except OSError:
            return

    def release(self) -> None:
        self._lock.release()


def everybodys_folder() -> Path:
    """A subfolder of the system's folder for shared files; temporary folders are often private to each user."""
    public = os.environ.get("PUBLIC") if os.name == "nt" else None
    return Path(public or "/tmp") / f"{PREFIX}-locks"  # noqa: S108  # no secret is in it, and links are not followed
