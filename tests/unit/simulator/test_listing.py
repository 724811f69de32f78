"""Pages: every item once, and queries that the service refuses."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_offboard.simulator.listing import Listable, next_link, page_of, read_query
from batch_offboard.simulator.model import ACTIONS, MACHINES
from batch_offboard.simulator.odata import FieldKind, Item, ODataError

NUMBERS = Listable({"number": FieldKind.NUMBER})


@given(st.integers(min_value=0, max_value=40), st.integers(min_value=1, max_value=12))
def test_following_the_links_gives_every_item_once(count: int, size: int) -> None:
    items: list[Item] = [{"number": number} for number in range(count)]
    parameters: dict[str, str] = {"$filter": "number ge 0"}
    found: list[Item] = []
    while True:
        query = read_query(parameters, NUMBERS)
        page = page_of([item for item in items if query.matches(item)], query, size)
        found += page.items
        if not page.more:
            break
        parameters = dict(parse_qsl(urlsplit(next_link("http://x/api", query, size)).query))
    assert found == items


def test_top_is_honoured_beyond_the_page_size() -> None:
    query = read_query({"$top": "3", "$skip": "1"}, NUMBERS)
    page = page_of([{"number": number} for number in range(9)], query, 2)
    assert [item["number"] for item in page.items] == [1, 2, 3]


def test_the_link_keeps_filter_and_order() -> None:
    parameters = {"$filter": "status eq 'A&B+1'", "$orderby": "creationDateTimeUtc desc", "$skip": "5"}
    link = next_link("http://x/api", read_query(parameters, ACTIONS), 10)
    assert dict(parse_qsl(urlsplit(link).query)) == parameters | {"$skip": "15"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"$top": "10001"},
        {"$top": "-1"},
        {"$top": "ten"},
        {"$top": ""},
        {"$skip": "-1"},
        {"$skip": "٣"},
        {"$skip": "9" * 5000},
        {"$select": "id"},
        {"$stop": "5"},
        {"$orderby": "lastSeen desc"},
        {"$filter": ""},
    ],
)
def test_a_query_that_the_service_does_not_know_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(ODataError):
        read_query(parameters, MACHINES)


def test_only_desc_and_asc_order_actions() -> None:
    assert read_query({"$orderby": "creationDateTimeUtc desc"}, ACTIONS).newest_first
    assert not read_query({"$orderby": "creationDateTimeUtc"}, ACTIONS).newest_first
    with pytest.raises(ODataError):
        read_query({"$orderby": "creationDateTimeUtc down"}, ACTIONS)


def test_parameters_without_a_dollar_sign_are_ignored() -> None:
    assert read_query({"api-version": "1"}, MACHINES).top is None
