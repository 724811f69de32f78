"""Parses one XML part of a workbook with constant memory, and refuses document type and entity declarations."""

from collections.abc import Callable
from xml.parsers import expat

from batch_offboard.base.errors import InputError
from batch_offboard.core.devices import shown
from batch_offboard.sheets.archive import Archive

Attributes = dict[str, str]
_DEEPEST = 200


class _RefusedError(Exception):
    """Raised inside the parser to stop it."""


def parse(
    archive: Archive,
    part: str,
    start: Callable[[str, Attributes], None],
    end: Callable[[str], None] | None = None,
) -> None:
    """Call `start` and `end` for each element, by local names; attributes by local names too.

    Raises InputError if the part is missing, not well formed, too deep, or declares a document type.
    """
    depth = 0
    local = _LocalNames()

    def opened(tag: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise _RefusedError
        start(local[tag], {local[key]: value for key, value in attributes.items()} if attributes else attributes)

    def closed(tag: str) -> None:
        nonlocal depth
        depth -= 1
        if end is not None:
            end(local[tag])

    def declared(*_: object) -> None:
        raise _RefusedError

    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.StartDoctypeDeclHandler = declared
    parser.EntityDeclHandler = declared
    try:
        for piece in archive.pieces(part):
            parser.Parse(piece)
        parser.Parse(b"", True)  # noqa: FBT003 - expat takes it by position only
    except (expat.ExpatError, _RefusedError, LookupError, ValueError) as error:
        raise InputError(
            f"The workbook's part {shown(part)} is not valid XML ({shown(str(error)) or 'refused'}); "
            "save the list again."
        ) from None


class _LocalNames(dict[str, str]):
    """Names without their namespace, cached: a document has few different names and uses each often."""

    def __missing__(self, name: str) -> str:
        local = self[name] = name.rpartition("}")[2]
        return local
