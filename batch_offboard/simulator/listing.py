"""The query of a list call: which items, in which order, how many, and the link to the next page.

Pure: it takes decoded query parameters and sequences, never a request.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote, urlencode

from batch_offboard.simulator.odata import FieldKind, Item, ODataError, Predicate, parse_filter

LARGEST_PAGE = 10_000

_KNOWN = {"$filter", "$top", "$skip", "$orderby"}


@dataclass(frozen=True, slots=True)
class Listable:
    """The query options of one list: its fields for `$filter` and for `$orderby`."""

    fields: Mapping[str, FieldKind]
    orders: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The parsed query of a list call. `top` is None if the service chooses the size of a page."""

    filter: str
    matches: Predicate
    top: int | None
    skip: int
    newest_first: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One page, and whether there is another one after it."""

    items: list[Item]
    more: bool


def read_query(parameters: Mapping[str, str], listable: Listable) -> ListQuery:
    """The query of these parameters; raises `ODataError`.

    Parameters without a dollar sign are ignored, as OData specifies.
    """
    unknown = sorted(name for name in parameters if name.startswith("$") and name not in _KNOWN)
    if unknown:
        raise ODataError(f"The query option '{unknown[0]}' is not allowed.")
    text = parameters.get("$filter", "")
    return ListQuery(
        filter=text,
        matches=parse_filter(text, listable.fields) if "$filter" in parameters else _everything,
        top=_top(parameters.get("$top")),
        skip=_whole("$skip", parameters.get("$skip", "0")),
        newest_first=_newest_first(parameters.get("$orderby"), listable),
    )


def page_of(items: Iterator[Item] | Sequence[Item], query: ListQuery, page_size: int) -> Page:
    """The page of the filtered `items` that the query selects."""
    size = page_size if query.top is None else query.top
    wanted = list(islice(items, query.skip, query.skip + size + 1))
    return Page(wanted[:size], more=len(wanted) > size)


def next_link(address: str, query: ListQuery, page_size: int) -> str:
    """The URL of the page after this one; `address` is the list's URL without a query."""
    wishes = {"$filter": query.filter} if query.filter else {}
    if query.newest_first:
        wishes["$orderby"] = "creationDateTimeUtc desc"
    wishes["$skip"] = str(query.skip + page_size)
    return f"{address}?{urlencode(wishes, safe='$', quote_via=quote)}"


def _everything(_item: Item) -> bool:
    return True


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    top = _whole("$top", text)
    if top > LARGEST_PAGE:
        raise ODataError(f"The limit of '{LARGEST_PAGE}' for Top query has been exceeded.")
    return top


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ODataError(f"Invalid value '{text[:40]}' for {name} query option.")
    return int(text)


def _newest_first(text: str | None, listable: Listable) -> bool:
    if text is None:
        return False
    field, _, direction = text.strip().partition(" ")
    if field not in listable.orders or direction.strip() not in {"", "asc", "desc"}:
        raise ODataError(f"The query option '$orderby={text[:80]}' is not allowed.")
    return direction.strip() == "desc"
