"""The parts of an Office package and the relations between them, as Excel finds them.

Excel accepts backslashes and `./` in names and finds the workbook by the package's relations; the workbook reader does
neither. A package that needs it is rewritten in memory, with names that every reader understands.
The rules are those of ECMA-376 part 2 (Open Packaging Conventions), 8 and 9.
"""

import io
import posixpath
import zipfile
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote
from xml.sax.saxutils import quoteattr

from batch_offboard.sheets.archive import Archive, plain_name
from batch_offboard.sheets.xml_parts import parse

_ROOT: Final = "_rels/.rels"
_AT_ROOT: Final = frozenset({_ROOT, "[content_types].xml"})
_WORKBOOK: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
_NAMESPACE: Final = "http://schemas.openxmlformats.org/package/2006/relationships"


class Relation(NamedTuple):
    """A relation to another part of the package, or to an external target."""

    key: str
    kind: str
    target: str  # a part's name, or an external address as written
    is_external: bool
    written: str


def relations(archive: Archive, part: str) -> list[Relation]:
    """The relations of a part, or of the package itself if `part` is empty; none if it has none."""
    folder = posixpath.dirname(part)
    place = _relations_part(part)
    found: list[Relation] = []

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "Relationship":
            written = attributes.get("Target", "")
            external = attributes.get("TargetMode") == "External"
            target = written if external else _resolved(archive, folder, written)
            found.append(Relation(attributes.get("Id", ""), attributes.get("Type", ""), target, external, written))

    if place in archive:
        parse(archive, place, start)
    return found


def relation_targets(archive: Archive, part: str) -> dict[str, str]:
    """The targets of a part's relations, by relation ID; targets outside the archive are left out."""
    return {relation.key: relation.target for relation in relations(archive, part) if not relation.is_external}


def understood(content: bytes, archive: Archive) -> bytes:
    """The package in the form that every reader understands: unchanged, or rewritten."""
    main = _main_part(archive)
    usual = f"xl/workbook{posixpath.splitext(main)[1]}" if main else ""
    listed = relations(archive, main) if main else []
    inside = [relation for relation in listed if not relation.is_external and relation.target in archive]
    if main == usual and archive.has_plain_names and all(map(_is_understood, inside)):
        return content
    moved = {relation.target.casefold(): _below_xl(relation.target) for relation in inside}
    moved |= {main.casefold(): usual, _relations_part(main).casefold(): ""} if main else {}
    written = {_relations_part(usual): _relations_xml(listed, "xl"), _ROOT: _to_workbook(usual)} if main else {}
    move = _below_xl if main and _below_xl(main) != main else plain_name
    return _rewritten({part: moved.get(part.casefold(), move(part)) for part in archive.names}, archive, written)


def _relations_part(part: str) -> str:
    folder, _, name = part.rpartition("/")
    return posixpath.join(folder, f"_rels/{name}.rels")


def _resolved(archive: Archive, folder: str, target: str) -> str:
    """A relation's target as a part's name; relative to its source's folder unless it begins with a slash."""
    part = posixpath.normpath(posixpath.join("/", folder, target.replace("\\", "/"))).lstrip("/")
    return part if part in archive or unquote(part) not in archive else unquote(part)


def _main_part(archive: Archive) -> str:
    """The workbook; empty if the package names none, or one that it does not have."""
    named = [relation.target for relation in relations(archive, "") if relation.kind.endswith("/officeDocument")]
    usual = [part for part in ("xl/workbook.xml", "xl/workbook.bin") if part in archive]
    return next((part for part in named if _is_workbook(archive, part)), next(iter(usual), ""))


def _is_workbook(archive: Archive, part: str) -> bool:
    """True for a part that begins like a workbook: other kinds of documents name their main part in the same way."""
    if part not in archive:
        return False
    beginning = next(archive.pieces(part), b"")[:4096]
    return part.casefold().endswith(".bin") or b"<workbook" in beginning or b":workbook" in beginning


def _is_understood(relation: Relation) -> bool:
    return relation.written.lstrip("/").removeprefix("xl/") == relation.target.removeprefix("xl/")


def _below_xl(part: str) -> str:
    return part if part.casefold().startswith("xl/") or part.casefold() in _AT_ROOT else f"xl/{part}"


def _to_workbook(part: str) -> bytes:
    """The package's relation to its workbook."""
    return _relations_xml([Relation("rId1", _WORKBOOK, part, is_external=False, written=part)], ".")


def _relations_xml(listed: list[Relation], folder: str) -> bytes:
    """The relations of a part in this folder as XML; one of the readers accepts no target that begins with a slash."""
    lines = []
    for relation in listed:
        target = relation.target if relation.is_external else posixpath.relpath(_below_xl(relation.target), folder)
        mode = ' TargetMode="External"' if relation.is_external else ""
        values = (quoteattr(value) for value in (relation.key, relation.kind, target))
        lines.append("<Relationship Id={} Type={} Target={}{}/>".format(*values, mode))
    return f'<Relationships xmlns="{_NAMESPACE}">{"".join(lines)}</Relationships>'.encode()


def _rewritten(places: Mapping[str, str], archive: Archive, written: Mapping[str, bytes]) -> bytes:
    """The archive with each part under its new name and some replaced; a part whose name is taken is left out."""
    taken = {name.casefold() for name in written}
    taken |= {place.casefold() for part, place in places.items() if place.casefold() != part.casefold()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for part, place in places.items():
            stays = place.casefold() == part.casefold()
            if place and not (stays and place.casefold() in taken):
                with target.open(place, "w") as opened:
                    for piece in archive.pieces(part):
                        opened.write(piece)
        for part, content in written.items():
            target.writestr(part, content)
    return buffer.getvalue()
