"""Checks of every zipped workbook before a reader opens it: sizes, entries and XML declarations.

Everything is inflated once, in pieces, and nothing is written to disk. What is refused here could exhaust memory or
time, or cause a wrong result, in a reader that trusts the archive.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from batch_offboard.base.errors import InputError
from batch_offboard.core.devices import shown
from batch_offboard.sheets.encryption import encrypted_with_password

MOST_ENTRIES: Final = 1000
LARGEST_PART: Final = 1 << 30  # bytes; about 1,000,000 rows of 12 columns
LARGEST_TOTAL: Final = 2 << 30  # bytes
_RATIO = 100
_RATIO_FROM = 32 << 20  # bytes; below, even a harmless sheet of equal rows may exceed the ratio
_PIECE = 1 << 20
_SLICE = 128 << 10
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_MEDIA = re.compile(r"(^|/)(media|pictures|embeddings|thumbnails)/", re.IGNORECASE)
_DOCTYPES = tuple("<!DOCTYPE".encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-16-be"))
_OVERLAP = 32


class Archive:
    """A ZIP archive with a valid directory; its parts still have to be verified.

    Construction and every method raise InputError with one sentence that names the file.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self._content = content
        self._name = name
        if content.count(b"PK\x05\x06", max(0, len(content) - 66_000)) != 1:
            raise self._broken("the end of the archive is missing or duplicated")
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                self._entries = archive.infolist()
                directory = archive.start_dir
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            ValueError,
            struct.error,
            OSError,
            EOFError,
        ) as error:
            raise self._broken(shown(str(error))) from None
        self._check_directory()
        self._check_places(directory)
        self._by_name = {plain_name(entry.filename).casefold(): entry for entry in self._entries}

    @property
    def names(self) -> list[str]:
        """The names of all parts without folders, in the form of `plain_name`."""
        return [plain_name(entry.filename) for entry in self._entries if not entry.is_dir()]

    @property
    def has_plain_names(self) -> bool:
        """True if every part's name in the archive is already in the form of `plain_name`."""
        return all(entry.is_dir() or plain_name(entry.filename) == entry.orig_filename for entry in self._entries)

    def __contains__(self, part: str) -> bool:
        return part.casefold() in self._by_name

    def read(self, part: str, limit: int = 16 << 20) -> bytes:
        """A small part as a whole."""
        entry = self._entry(part)
        if entry.file_size > limit:
            raise InputError(
                f"{self._name}: the part {shown(part)} is larger than any spreadsheet needs; save the "
                "list again as CSV."
            )
        return b"".join(self._inflate(entry))

    def pieces(self, part: str) -> Iterator[bytes]:
        """A part in pieces of at most 1 MiB; its size and checksum are checked meanwhile."""
        return self._inflate(self._entry(part))

    def verify(self, watchers: Mapping[str, Callable[[bytes], None]]) -> None:
        """Inflate every part once; `watchers` get the pieces of the part that is their key.

        Raises InputError for a part with a false size, a damaged part, or one that declares a document type (used for
        entity bombs and external files).
        """
        by_name = {name.casefold(): watch for name, watch in watchers.items()}
        for entry in self._entries:
            watch = by_name.get(plain_name(entry.filename).casefold())
            scan = None if _MEDIA.search(entry.filename) else _DoctypeScan()
            for piece in self._inflate(entry):
                if scan is not None and scan.found_in(piece):
                    raise InputError(
                        f"{self._name}: {shown(entry.filename)} declares an XML document type, which spreadsheet "
                        "programs never write; save the list again."
                    )
                if watch is not None:
                    watch(piece)

    def _entry(self, part: str) -> zipfile.ZipInfo:
        entry = self._by_name.get(part.casefold())
        if entry is None:
            raise self._broken(f"the part {shown(part)} is missing")
        return entry

    def _check_directory(self) -> None:
        """Check the directory: number of entries, names, sizes, methods."""
        if len(self._entries) > MOST_ENTRIES:
            raise InputError(
                f"{self._name} is an archive of {len(self._entries)} parts, more than a workbook has; save the list "
                "again as CSV."
            )
        seen: set[str] = set()
        for entry in self._entries:
            self._check_entry(entry)
            key = plain_name(entry.filename).casefold()
            if key in seen:
                raise self._broken(f"the part {shown(entry.filename)} is duplicated")
            seen.add(key)
        if sum(entry.file_size for entry in self._entries) > LARGEST_TOTAL:
            raise self._too_large()

    def _check_entry(self, entry: zipfile.ZipInfo) -> None:
        name = entry.orig_filename.replace("\\", "/")
        if "\0" in name or name.startswith("/") or ".." in name.split("/") or name[1:2] == ":":
            raise self._broken(f"a part has the path {shown(entry.orig_filename)}")
        if entry.flag_bits & 0x1:
            raise encrypted_with_password(self._name)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._broken(f"{shown(entry.filename)} is compressed in a way that workbooks do not use")
        inflated = entry.file_size
        if inflated > LARGEST_PART or (inflated > _RATIO_FROM and inflated > _RATIO * max(entry.compress_size, 1)):
            raise self._too_large()

    def _check_places(self, directory: int) -> None:
        """Raise InputError for parts that overlap: small ZIP bombs share bytes between parts."""
        end_before = 0
        for entry in sorted(self._entries, key=lambda entry: entry.header_offset):
            start = self._data_start(entry)
            if entry.header_offset < end_before or start + entry.compress_size > directory:
                raise self._broken(f"the part {shown(entry.filename)} overlaps another one")
            end_before = start + entry.compress_size

    def _data_start(self, entry: zipfile.ZipInfo) -> int:
        """The offset of the part's data; the local header must name the same part as the directory."""
        try:
            fields = _LOCAL_HEADER.unpack_from(self._content, entry.header_offset)
        except struct.error:
            raise self._broken(f"the part {shown(entry.filename)} lies outside the file") from None
        name_length, extra_length = fields[9], fields[10]
        start = entry.header_offset + _LOCAL_HEADER.size
        name = self._content[start : start + name_length]
        encoding = "utf-8" if entry.flag_bits & 0x800 else "cp437"
        if fields[0] != b"PK\x03\x04" or name.decode(encoding, "replace") != entry.orig_filename:
            raise self._broken(f"the directory and the part {shown(entry.filename)} disagree")
        return start + int(name_length) + int(extra_length)

    def _inflate(self, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        """The part's real bytes; stops as soon as there are more than the directory declares."""
        start = self._data_start(entry)
        data = memoryview(self._content)[start : start + entry.compress_size]
        size = checksum = 0
        for piece in self._stored(data) if entry.compress_type == zipfile.ZIP_STORED else self._deflated(data):
            size += len(piece)
            if size > entry.file_size:
                raise self._broken(f"the part {shown(entry.filename)} is larger than declared")
            checksum = zlib.crc32(piece, checksum)
            yield piece
        if size != entry.file_size or checksum != entry.CRC:
            raise self._broken(f"the part {shown(entry.filename)} is damaged")

    def _stored(self, data: memoryview) -> Iterator[bytes]:
        for start in range(0, len(data), _PIECE):
            yield bytes(data[start : start + _PIECE])

    def _deflated(self, data: memoryview) -> Iterator[bytes]:
        """Inflate in pieces; the input is taken in slices so that its rest is not copied each time."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for start in range(0, len(data), _SLICE):
                rest: bytes | memoryview = data[start : start + _SLICE]
                while rest and not inflater.eof:
                    yield inflater.decompress(rest, _PIECE)
                    rest = inflater.unconsumed_tail
            yield inflater.flush()
        except zlib.error as error:
            raise self._broken(f"damaged data, {shown(str(error))}") from None

    def _broken(self, what: str) -> InputError:
        return InputError(f"{self._name} is not a valid workbook ({what}); save the list again as XLSX or CSV.")

    def _too_large(self) -> InputError:
        return InputError(f"{self._name} unpacks to far more than a list of devices needs; save the list again as CSV.")


def plain_name(part: str) -> str:
    """A part's name with slashes between its folders, as Excel reads it: some programs write backslashes or `./`."""
    return "/".join(step for step in part.replace("\\", "/").split("/") if step not in ("", "."))


class _DoctypeScan:
    """Searches for a document type declaration in a part that arrives in pieces.

    UTF-16 is searched as well: an XML parser may accept it where a search for ASCII finds nothing.
    """

    def __init__(self) -> None:
        self._before = b""

    def found_in(self, piece: bytes) -> bool:
        seam = self._before + piece[:_OVERLAP]
        self._before = piece[-_OVERLAP:]
        wide = b"\0" in piece[:256]
        needles = _DOCTYPES if wide else _DOCTYPES[:1]
        return any(needle in piece or needle in seam for needle in needles)
