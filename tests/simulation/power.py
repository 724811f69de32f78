"""A disk that forgets: SQLite's own files, of which only what was synced is sure to survive when the power goes.

SQLite reaches the disk through a table of functions (sqlite.org/vfs.html). Here the table's functions that write, sync
and delete are overheard, so that for any moment one can say what a power cut may leave: of each file what was last
synced, with any of the writes after that; a file whose directory was not synced since it was made, or not; a file that
was deleted without a sync of its directory, or not.
"""

import ctypes
import ctypes.util
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

Image = dict[str, bytes]  # what is on the disk, by the file's name

_METHODS = 12  # functions in the first version of the table for one file (sqlite3.h, sqlite3_io_methods)
_WRITE, _TRUNCATE, _SYNC = 2, 3, 4  # places in it, from 0

_Open = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_Delete = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_Truncate = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Vfs(ctypes.Structure):
    """The beginning of `sqlite3_vfs` in sqlite3.h."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", ctypes.c_void_p),
        ("delete", ctypes.c_void_p),
    )


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods` in its first version."""

    _fields_ = (("version", ctypes.c_int), ("functions", ctypes.c_void_p * _METHODS))


@dataclass(slots=True)
class _File:
    """`now` is what programs read, `safe` what was synced, `since` what was written after that, in order."""

    now: bytearray
    safe: bytes
    since: list[tuple[int, bytes | None]] = field(default_factory=list)  # offset and bytes; None: cut off here
    named: bool = True  # its directory was synced since it was made
    gone: bool = False  # deleted, and its directory not synced since


class ForgetfulDisk:
    """Keeps account of the files of one database. `on_change` is told after each change."""

    def __init__(self, database: Path) -> None:
        self._paths = (str(database), f"{database}-journal")
        self._files: dict[str, _File] = {}
        self.on_change: Callable[[], None] = lambda: None

    def after_power_cut(self, draw: Random | None) -> Image:
        """What may be left: as `draw` decides, or without it all that was ever written and never synced is lost."""
        image: Image = {}
        for path, file in self._files.items():
            unsure = not file.named or file.gone
            if unsure and (draw.random() < 0.5 if draw else not file.named):
                continue
            content = bytearray(file.safe)
            for offset, data in file.since if draw else ():
                if draw is not None and draw.random() < 0.5:
                    _apply(content, offset, data)
            image[Path(path).name] = bytes(content)
        return image

    # -- what SQLite does --

    def opened(self, path: str) -> bool:
        """Whether the file is one to keep account of."""
        if path not in self._paths:
            return False
        known = self._files.get(path)
        if known is None or known.gone:
            content = Path(path).read_bytes()
            self._files[path] = _File(bytearray(content), content, named=bool(content))
        return True

    def written(self, path: str, offset: int, data: bytes | None) -> None:
        file = self._files[path]
        _apply(file.now, offset, data)
        file.since.append((offset, data))
        self.on_change()

    def synced(self, path: str) -> None:
        """The first sync of a new journal is one of its directory, too."""
        file = self._files[path]
        file.safe, file.since = bytes(file.now), []
        for each in self._files.values():
            each.named = True
        self.on_change()

    def deleted(self, path: str, *, for_sure: bool) -> None:
        if path not in self._files:
            return
        self._files[path].gone = True
        if for_sure:
            del self._files[path]
        self.on_change()


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


class NoTableError(Exception):
    """This Python's SQLite cannot be reached from outside."""


_KEPT: list[Any] = []  # what SQLite may call for as long as any file is open


@contextmanager
def overheard(disk: ForgetfulDisk) -> Iterator[None]:
    """For the block, the disk hears of what SQLite does to its files; NoTableError where that cannot be."""
    vfs = _default_vfs()
    before = vfs.open, vfs.delete
    honest_open, honest_delete = _Open(before[0]), _Delete(before[1])

    def open_(table: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        code: int = honest_open(table, name, file, flags, out)  # SQLite keeps the address of the name
        path = ctypes.string_at(name).decode() if name else ""
        if code == 0 and disk.opened(path):
            _listen(disk, path, file)
        return code

    def delete(table: int, name: bytes, sync_directory: int) -> int:
        code: int = honest_delete(table, name, sync_directory)
        if code == 0:
            disk.deleted(name.decode(), for_sure=bool(sync_directory))
        return code

    ours = _Open(open_), _Delete(delete)
    _KEPT.append(ours)
    vfs.open, vfs.delete = (ctypes.cast(each, ctypes.c_void_p).value for each in ours)
    try:
        yield
    finally:
        vfs.open, vfs.delete = before


def _default_vfs() -> _Vfs:
    """The table of the library that Python's own module uses, and of no second copy of it."""
    name = ctypes.util.find_library("sqlite3")
    if name is None:
        raise NoTableError("SQLite is no library of its own here")
    library = ctypes.CDLL(name)
    library.sqlite3_libversion.restype = ctypes.c_char_p
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    if library.sqlite3_libversion().decode() != sqlite3.sqlite_version:
        raise NoTableError("Python has another SQLite than the system")
    vfs: _Vfs = library.sqlite3_vfs_find(None).contents
    return vfs


def _listen(disk: ForgetfulDisk, path: str, file: int) -> None:
    """Put a table of our own into the open file, which tells and then does what the honest one does."""
    place = ctypes.c_void_p.from_address(file)
    honest = _Methods.from_address(place.value or 0)
    table = _Methods(1)  # the first version has no memory that is shared or mapped
    table.functions[:] = honest.functions[:]
    honest_write, honest_truncate = _Write(honest.functions[_WRITE]), _Truncate(honest.functions[_TRUNCATE])
    honest_sync = _Sync(honest.functions[_SYNC])

    def write(handle: int, data: int, size: int, offset: int) -> int:
        code: int = honest_write(handle, data, size, offset)
        disk.written(path, offset, ctypes.string_at(data, size))
        return code

    def truncate(handle: int, size: int) -> int:
        code: int = honest_truncate(handle, size)
        disk.written(path, size, None)
        return code

    def sync(handle: int, flags: int) -> int:
        code: int = honest_sync(handle, flags)
        disk.synced(path)
        return code

    ours = _Write(write), _Truncate(truncate), _Sync(sync)
    for index, each in zip((_WRITE, _TRUNCATE, _SYNC), ours, strict=True):
        table.functions[index] = ctypes.cast(each, ctypes.c_void_p).value
    _KEPT.append((ours, table))
    place.value = ctypes.addressof(table)
