"""Where requests and answers begin and end in a stream of HTTP/1.1, for whoever only carries them."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Head:
    """A first line in words, and the header lines below it with their names in lower case."""

    words: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(value for each, value in self.fields if each == name)


class Frames:
    """Cuts one direction of a connection into heads and bodies.

    `feed` gives each piece of bytes with the head that it completes, if it does, and whether a message ends with it.
    An answer without a length never ends.
    """

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers
        self._head = bytearray()
        self._left: int | None = 0  # bytes of the body to come; None if only the end of the connection tells
        self._in_body = False

    def feed(self, data: bytes) -> Iterator[tuple[Head | None, bytes, bool]]:
        while data:
            if self._in_body:
                piece, data = self._body(data)
                yield None, piece, not self._in_body
                continue
            before = len(self._head)
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                yield None, data, False
                return
            size = end + 4 - before
            piece, data = data[:size], data[size:]
            head = _parsed(bytes(self._head[:end]))
            self._head.clear()
            self._left = self._length(head)
            self._in_body = self._left != 0
            yield head, piece, not self._in_body

    def _body(self, data: bytes) -> tuple[bytes, bytes]:
        if self._left is None:
            self._in_body = not data.endswith(b"0\r\n\r\n")
            return data, b""
        piece, rest = data[: self._left], data[self._left :]
        self._left -= len(piece)
        self._in_body = self._left > 0
        return piece, rest

    def _length(self, head: Head) -> int | None:
        lengths = head.all("content-length")
        if lengths:
            return int(lengths[0])
        return None if self._answers and head.words[1] not in ("204", "304") else 0


def _parsed(text: bytes) -> Head:
    first, *lines = text.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return Head(tuple(first.split(" ", 2)), tuple((name.lower(), value.strip()) for name, _, value in fields))
