"""What the drive below a folder gives: locks, or none, and whether it is a network's."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afpfs", "webdav"})


def no_locks(folder: Path) -> str | None:
    """Why files in the folder cannot be locked, in the system's words; None if they can be, or if nothing can be
    written there to find out.

    It is tried on a file that nobody else can know. Whatever is refused there is no lock of somebody else: shares
    without locks answer ENOLCK, EOPNOTSUPP, EINVAL or EACCES, and SQLite takes the first and the last for a lock that
    is held, the others for a broken disk (`sqliteErrorFromPosixError`).
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return _refusal(file.fileno())
    except OSError:
        return None


def _refusal(descriptor: int) -> str | None:
    try:
        _lock(descriptor)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        """Both kinds: SQLite's are those of POSIX, the others are the whole file's (flock)."""
        for lock in (fcntl.flock, fcntl.lockf):
            lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock(descriptor, fcntl.LOCK_UN)


def is_share(path: str) -> bool:
    """Whether an absolute path of Windows names a share: `\\\\server\\share` or `\\\\?\\UNC\\server\\share`.

    `\\\\?\\C:` and `\\\\.\\` are of this computer.
    """
    return path.startswith("\\\\") and (path[2:4] not in ("?\\", ".\\") or path[4:8].upper() == "UNC\\")


def synchronised_by(folder: Path, environ: Mapping[str, str]) -> str | None:
    """The client that copies the folder to a cloud while it is used, as far as its variables tell: OneDrive sets them
    to its folders, which may hold Desktop and Documents."""
    roots = [environ.get(name) for name in ("OneDrive", "OneDriveCommercial", "OneDriveConsumer")]
    inside = any(root and folder.resolve().is_relative_to(Path(root).resolve()) for root in roots)
    return "OneDrive" if inside else None


def network_file_system(folder: Path) -> str | None:
    """What kind of network drive the folder lies on, as far as the system tells. On Windows a drive letter that stands
    for a share resolves to the share."""
    if is_share(str(folder)) or (sys.platform == "win32" and is_share(str(folder.resolve()))):
        return "UNC"
    if sys.platform != "linux":
        return None
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return None
    resolved = folder.resolve()
    above = [mount for mount in mounts if len(mount) > 2 and resolved.is_relative_to(mount[1])]
    kind = max(above, key=lambda mount: len(mount[1]), default=["", "", ""])[2]
    return kind if kind in NETWORK_FILE_SYSTEMS else None
