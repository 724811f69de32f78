"""A list is read to its end, for all kinds of pages and links."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.defender.protocol import ForeignLinkError, Pages, Read, ReadKind, Request, machines_request
from batch_offboard.defender.protocol import paging as paging_module

FIRST = machines_request("https://api.security.microsoft.com")

Item = Mapping[str, Any]


def items(*numbers: int) -> list[Item]:
    return [{"id": f"id-{number}"} for number in numbers]


def page(*numbers: int, link: str = "") -> Read:
    return Read(ReadKind.PAGE, items(*numbers), link)


def everything(answer: Callable[[Request], Read]) -> tuple[Pages, list[str]]:
    """The list after reading it to its end, and the queries that were made."""
    pages, request, asked = Pages(FIRST), FIRST, list[str]()
    while True:
        asked.append(urlsplit(request.url).query)
        following = pages.take(answer(request))
        if following is None:
            return pages, asked
        request = following


@dataclass(frozen=True)
class Service:
    """Lists these records. `pages` says of each page how many it has (the last one is repeated) and by which
    kind of link it names the next."""

    records: list[Item]
    pages: list[tuple[int, str]]
    empty: ReadKind

    def answer(self, request: Request) -> Read:
        query = dict(parse_qsl(urlsplit(request.url).query))
        skip, number = int(query.get("$skip", query.get("$skiptoken", "0"))), int(query.get("page", "0"))
        size, link = self.pages[min(number, len(self.pages) - 1)]
        shown = self.records[skip : skip + size]
        if not shown:
            return Read(self.empty)
        place, more = skip + len(shown), f"&page={number + 1}"
        links = {
            "whole": f"https://api.securitycenter.microsoft.com/api/machines?$skip={place}{more}",
            "relative": f"machines?$skip={place}{more}",
            "token": f"?$skiptoken={place}{more}",
            "none": "",
        }
        return Read(ReadKind.PAGE, shown, links[link] if place < len(self.records) else "")


services = st.builds(
    Service,
    st.integers(0, 60).map(lambda number: items(*range(number))),
    st.lists(
        st.tuples(st.integers(1, 20), st.sampled_from(["whole", "relative", "token", "none"])), min_size=1, max_size=8
    ),
    st.sampled_from([ReadKind.PAGE, ReadKind.EMPTY]),
)


@given(services)
def test_no_record_is_unseen_whatever_the_sizes_of_the_pages_and_their_links(service: Service) -> None:
    pages, asked = everything(service.answer)
    assert list(pages.items.values()) == service.records
    assert pages.whole
    assert len(set(asked)) == len(asked)


@given(services)
def test_a_list_that_is_said_to_be_whole_has_every_record_even_if_numbers_are_ignored(service: Service) -> None:
    def answer(request: Request) -> Read:
        if "$skip=" in request.url and "page=" not in request.url:
            return service.answer(FIRST)
        return service.answer(request)

    pages, _ = everything(answer)
    assert not pages.whole or list(pages.items.values()) == service.records


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 12))
def test_records_that_are_listed_twice_hide_no_other(numbers: list[int], size: int) -> None:
    pages, _ = everything(Service(items(*numbers), [(size, "none")], ReadKind.PAGE).answer)
    assert pages.items.keys() == {f"id-{number}" for number in numbers} or not pages.whole


@pytest.mark.parametrize(
    ("size", "queries"),
    [
        (10, ["", "$skip=5"]),
        (5, ["", "$skip=5"]),
        (4, ["", "$skip=4", "$skip=5"]),
        (2, ["", "$skip=2", "$skip=4", "$skip=5"]),
    ],
)
def test_a_page_without_a_link_is_the_last_one_only_if_the_next_is_empty(size: int, queries: list[str]) -> None:
    pages, asked = everything(Service(items(*range(5)), [(size, "none")], ReadKind.PAGE).answer)
    assert (len(pages.items), pages.whole, asked) == (5, True, queries)


def test_an_empty_list_is_asked_for_once() -> None:
    pages, asked = everything(lambda _request: Read(ReadKind.EMPTY))
    assert (len(pages.items), pages.whole, len(asked)) == (0, True, 1)


def test_an_empty_page_with_a_link_is_not_the_end() -> None:
    answers = iter([page(1), page(link="?$skip=10"), page(2), page()])
    pages, asked = everything(lambda _request: next(answers))
    assert list(pages.items) == ["id-1", "id-2"]
    assert (pages.whole, asked) == (True, ["", "$skip=1", "$skip=10", "$skip=2"])


@pytest.mark.parametrize("link", ["", "?$skip={}", "?page={}"])
def test_a_page_that_comes_again_ends_a_list_that_is_not_whole(link: str) -> None:
    count = iter(range(100))
    pages, asked = everything(lambda _request: page(1, 2, link=link.format(next(count))))
    assert (len(pages.items), pages.whole, len(asked)) == (2, False, 2)


def test_a_link_to_a_page_that_was_asked_for_ends_a_list_that_is_not_whole() -> None:
    answers = iter([page(1, link="?page=2"), page(2, link="?page=2")])
    pages, _ = everything(lambda _request: next(answers))
    assert (len(pages.items), pages.whole) == (2, False)


@pytest.mark.parametrize("link", ["", "?page={}"])
def test_a_list_that_does_not_end_is_left_after_so_many_pages(link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging_module, "MOST_PAGES", 5)
    count = iter(range(100))

    def answer(_request: Request) -> Read:
        number = next(count)
        return page(number, link=link.format(number))

    pages, asked = everything(answer)
    assert (len(pages.items), pages.whole, len(asked)) == (5, False, 5)


def test_a_link_to_somebody_else_is_no_next_page() -> None:
    with pytest.raises(ForeignLinkError):
        Pages(FIRST).take(page(1, link="https://api.attacker.example/api/machines"))
