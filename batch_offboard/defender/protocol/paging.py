"""Which page of a list comes next, and whether what came is the whole list.

A page says by `@odata.nextLink` that there is more. That it says nothing proves nothing: with `$top` the service was
seen to fill a page without a link, and no page of the documentation promises one. So the page behind the last one is
asked for by `$skip` until one is empty.
"""

from collections.abc import Mapping
from typing import Any

from batch_offboard.defender.protocol.lists import Read, following_request, next_page_by_number
from batch_offboard.defender.protocol.wire import Request

MOST_PAGES = 1000  # ten million records: no tenant, but a list that does not end


class ForeignLinkError(ValueError):
    """A page names a next one that is not the API's."""


class Pages:
    """One list, page by page: `items` by their IDs as they came. `whole` is false once the list has run in a circle
    and may hold more."""

    def __init__(self, first: Request) -> None:
        self.items: dict[str, Mapping[str, Any]] = {}
        self.whole = True
        self._first = self._request = first
        self._asked = {first.url}
        self._shown: set[tuple[str, ...]] = set()
        self._by_number = True  # how the page that comes next was asked for
        self._place = 0  # so many items of the list have come for certain, all from its beginning

    def take(self, read: Read) -> Request | None:
        """Keep the page that was asked for last; the request for the next one, or None at the end. Raises
        ForeignLinkError."""
        ids = tuple(str(item.get("id")) for item in read.items)
        known = len(self.items)
        self.items |= {each: item for each, item in zip(ids, read.items, strict=True) if each not in self.items}
        self._place = self._place + len(ids) if self._by_number else max(self._place, len(self.items))
        if not ids and not read.next_link:
            return None
        self._by_number = not read.next_link
        following = next_page_by_number(self._first, self._place) if self._by_number else self._link(read)
        is_new = len(self.items) > known
        # A page by number may bring nothing new where records were listed twice, but never the same page again.
        circles = bool(ids) and not is_new and (not self._by_number or ids in self._shown)
        if circles or following.url in self._asked or len(self._asked) >= MOST_PAGES:
            self.whole = False
            return None
        self._shown.add(ids)
        self._asked.add(following.url)
        self._request = following
        return following

    def _link(self, read: Read) -> Request:
        following = following_request(self._request, read.next_link)
        if following is None:
            raise ForeignLinkError(read.next_link)
        return following
