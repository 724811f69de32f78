"""Reads the streams of an OLE compound file, the container of XLS and of encrypted XLSX, within bounds.

The workbook reader follows sector chains without a limit; a circular chain would exhaust memory, so every chain is
checked here first. The layout is Microsoft's [MS-CFB].
"""

import struct
from typing import Final

from batch_offboard.base.errors import InputError
from batch_offboard.core.devices import shown

_HEADER = struct.Struct("<8s16s5H6x9I")
_END = 0xFFFFFFFE
_FREE = 0xFFFFFFFF
_ENTRY = 128  # bytes
_STREAM: Final = 2
_ROOT: Final = 5


class CompoundFile:
    """The streams of a compound file by name; the constructor raises InputError for an invalid chain."""

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self._name = name
        try:
            self._read_header()
            self._streams = self._read_directory()
        except (struct.error, IndexError, OverflowError) as error:
            raise self._broken(shown(str(error))) from None

    @property
    def names(self) -> list[str]:
        """The names of all streams."""
        return list(self._streams)

    def stream(self, name: str) -> bytes | None:
        """A stream's bytes, or None if there is no such stream."""
        for found, content in self._streams.items():
            if found.casefold() == name.casefold():
                return content
        return None

    def _read_header(self) -> None:
        fields = _HEADER.unpack_from(self._content)
        sector_shift, mini_shift = fields[5], fields[6]
        if sector_shift not in (9, 12) or mini_shift != 6:
            raise self._broken("its sectors have a size that is not used")
        self._size = 1 << sector_shift
        self._sectors = max(len(self._content) // self._size, 1)
        _, _, first_directory, _, cutoff, first_mini, mini_count, first_more, more_count = fields[7:16]
        self._cutoff = cutoff
        self._first_directory = first_directory
        tables = list(struct.unpack_from("<109I", self._content, 76))
        if more_count > self._sectors or mini_count > self._sectors:
            raise self._broken("its tables are larger than the file")
        place = first_more
        for _ in range(more_count):
            words = self._words(place)
            tables += words[:-1]
            place = words[-1]
        used = [table for table in tables if table < _END]
        if len(used) > self._sectors:
            raise self._broken("its tables are larger than the file")
        self._fat = [word for table in used for word in self._words(table)]
        self._mini_fat = [word for at in self._chain(first_mini, self._fat) for word in self._words(at)]

    def _read_directory(self) -> dict[str, bytes]:
        directory = b"".join(map(self._sector, self._chain(self._first_directory, self._fat)))
        if len(directory) % _ENTRY:
            raise self._broken("its directory is cut off")
        found: dict[str, bytes] = {}
        mini = b""
        for at in range(0, len(directory), _ENTRY):
            entry = directory[at : at + _ENTRY]
            length, kind = struct.unpack_from("<HB", entry, 64)
            first, size = struct.unpack_from("<II", entry, 116)
            name = entry[: max(min(length, 64) - 2, 0)].decode("utf-16-le", "replace")
            if kind == _ROOT:
                mini = self._read(first, size)
            elif kind == _STREAM:
                found[name] = self._read_mini(mini, first, size) if size < self._cutoff else self._read(first, size)
        return found

    def _read(self, first: int, size: int) -> bytes:
        if not size:
            return b""
        return b"".join(map(self._sector, self._chain(first, self._fat)))[:size]

    def _read_mini(self, mini: bytes, first: int, size: int) -> bytes:
        if not size:
            return b""
        return b"".join(mini[at * 64 : at * 64 + 64] for at in self._chain(first, self._mini_fat))[:size]

    def _chain(self, first: int, table: list[int]) -> list[int]:
        """The sectors of a chain; raises InputError for a cycle or an index outside the table."""
        chain: list[int] = []
        place = first
        while place not in (_END, _FREE):
            if place >= len(table) or len(chain) > len(table):
                raise self._broken("its sectors form a loop or lie outside the file")
            chain.append(place)
            place = table[place]
        return chain

    def _sector(self, number: int) -> bytes:
        return self._content[(number + 1) * self._size : (number + 2) * self._size]

    def _words(self, number: int) -> tuple[int, ...]:
        return struct.unpack(f"<{self._size // 4}I", self._sector(number))

    def _broken(self, what: str) -> InputError:
        return InputError(f"{self._name} is not a valid XLS workbook ({what}); save the list again as XLSX or CSV.")
