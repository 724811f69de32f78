"""Which page of a list to request next, and whether the pages are the whole list.

`@odata.nextLink` says that there is another page. A missing link proves nothing: with `$top` the service was seen to
return a full page without one, and the documentation does not promise one. So after a page without a link the next
one is requested by `$skip`, until a page is empty.
"""

from collections.abc import Mapping
from typing import Any

from batch_offboard.defender.protocol.lists import Read, following_request, next_page_by_number
from batch_offboard.defender.protocol.wire import Request

MOST_PAGES = 1000  # ten million records: more than any tenant has, so the list does not end


class ForeignLinkError(ValueError):
    """A page links to a next one on a host that is not the API's."""


class Pages:
    """One list, page by page: `items` by ID, in the order received. `whole` is false if the pages repeat or do not end,
    so that the list may have more items."""

    def __init__(self, first: Request) -> None:
        self.items: dict[str, Mapping[str, Any]] = {}
        self.whole = True
        self._first = self._request = first
        self._asked = {first.url}
        self._shown: set[tuple[str, ...]] = set()
        self._by_number = True  # whether the current page was requested by $skip
        self._place = 0  # how many items from the start of the list were certainly received

    def take(self, read: Read) -> Request | None:
        """Add the page that was requested last, and return the request for the next one, or None at the end. Raises
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
        # A page requested by $skip may have no new items if records were listed twice, but is never an earlier page.
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
