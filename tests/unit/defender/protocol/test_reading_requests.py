"""The requests for reading, and that no page's link sends the token to another host."""

from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batch_offboard.defender.protocol import (
    Request,
    action_request,
    actions_request,
    following_request,
    machines_request,
    next_page_by_number,
)

API = "https://api.security.microsoft.com"
DEVICE = "a3c1f5e29b7d4086c2e1a9b8d7f60514e3c2b1a0"
HALF_PAST_EIGHT = 1_795_509_000.0  # 2026-11-24 08:30:00 UTC


def filter_of(request: Request) -> str:
    return dict(parse_qsl(urlsplit(request.url).query))["$filter"]


def test_the_machines_are_asked_for_page_by_page_without_a_filter() -> None:
    request = machines_request(API)
    assert (request.method, request.url, request.body) == ("GET", f"{API}/api/machines", None)


def test_a_list_may_be_larger_and_slower_than_one_action() -> None:
    one, many = action_request(API, "x"), actions_request(API)
    assert (one.largest_answer, one.patience) == (1 << 20, 1.0)
    assert (many.largest_answer, many.patience) == (256 << 20, 4.0)
    assert (machines_request(API).largest_answer, machines_request(API).patience) == (256 << 20, 4.0)


@pytest.mark.parametrize(
    ("request_", "url"),
    [
        pytest.param(
            actions_request(API),
            f"{API}/api/machineactions?$filter=type%20eq%20'Offboard'",
            id="all offboard actions",
        ),
        pytest.param(
            actions_request(API, since=HALF_PAST_EIGHT),
            f"{API}/api/machineactions?$filter=type%20eq%20'Offboard'"
            "%20and%20creationDateTimeUtc%20ge%202026-11-24T08:30:00Z",
            id="since a time",
        ),
        pytest.param(
            actions_request(API, since=HALF_PAST_EIGHT + 0.999),
            f"{API}/api/machineactions?$filter=type%20eq%20'Offboard'"
            "%20and%20creationDateTimeUtc%20ge%202026-11-24T08:30:00Z",
            id="a fraction of a second begins at the second",
        ),
        pytest.param(
            actions_request(API, since=0.0),
            f"{API}/api/machineactions?$filter=type%20eq%20'Offboard'"
            "%20and%20creationDateTimeUtc%20ge%201970-01-01T00:00:00Z",
            id="since ever is a time, too",
        ),
        pytest.param(
            actions_request(API, device_id=DEVICE),
            f"{API}/api/machineactions?$filter=type%20eq%20'Offboard'%20and%20machineId%20eq%20'{DEVICE}'",
            id="of one device",
        ),
        pytest.param(
            actions_request(API, since=HALF_PAST_EIGHT, device_id=DEVICE),
            f"{API}/api/machineactions?$filter=type%20eq%20'Offboard'%20and%20machineId%20eq%20'{DEVICE}'"
            "%20and%20creationDateTimeUtc%20ge%202026-11-24T08:30:00Z",
            id="of one device since a time",
        ),
        pytest.param(action_request(API, "0b0f-1"), f"{API}/api/machineactions/0b0f-1", id="one action"),
        pytest.param(
            action_request(API, "a/../b?c=d#e f"),
            f"{API}/api/machineactions/a%2F..%2Fb%3Fc%3Dd%23e%20f",
            id="an action ID is one part of the path",
        ),
    ],
)
def test_what_is_asked(request_: Request, url: str) -> None:
    assert (request_.method, request_.url, request_.body) == ("GET", url, None)
    assert request_.headers == {"Accept": "application/json"}


@pytest.mark.parametrize(
    "device",
    ["", DEVICE.upper(), DEVICE[:-1], DEVICE + "\n", "' or 1 eq 1", DEVICE + "' or 'a' eq 'a", "LT-1", "１" * 40],
)
def test_no_filter_is_built_for_what_is_no_device_id(device: str) -> None:
    with pytest.raises(ValueError, match="not a device ID"):
        actions_request(API, device_id=device)


def first_page() -> Request:
    return actions_request(API, since=HALF_PAST_EIGHT)


OWN_LINKS = [
    pytest.param(f"{API}/api/machineactions?$skip=10000", f"{API}/api/machineactions?$skip=10000", id="the same host"),
    pytest.param(
        "HTTPS://API.Security.Microsoft.com/api/machineactions?$skip=1",
        f"{API}/api/machineactions?$skip=1",
        id="case does not matter",
    ),
    pytest.param(
        "https://api.security.microsoft.com:443/api/machineactions?$skip=1",
        f"{API}/api/machineactions?$skip=1",
        id="the usual port by its number",
    ),
    pytest.param("/api/machineactions?$skip=1", f"{API}/api/machineactions?$skip=1", id="a path"),
    pytest.param("?$skip=1", f"{API}/api/machineactions?$skip=1", id="only a query"),
    pytest.param("machineactions?$skip=1", f"{API}/api/machineactions?$skip=1", id="a relative path"),
    pytest.param(
        "//api.security.microsoft.com/api/machineactions", f"{API}/api/machineactions", id="the host without a scheme"
    ),
    pytest.param("https:///api/machineactions", f"{API}/api/machineactions", id="a scheme without a host"),
    pytest.param(f"{API}/api/machineactions?$skip=1#part", f"{API}/api/machineactions?$skip=1", id="a fragment goes"),
    pytest.param(
        f"{API}/api/machineactions?$filter=type eq 'Offboard'&$skip=1",
        f"{API}/api/machineactions?$filter=type%20eq%20'Offboard'&$skip=1",
        id="blanks are escaped",
    ),
    pytest.param(
        f"{API}/api/machineactions?$filter=type%20eq%20'Offboard'&$skiptoken=a%2Bb%3d",
        f"{API}/api/machineactions?$filter=type%20eq%20'Offboard'&$skiptoken=a%2Bb%3d",
        id="what is escaped stays",
    ),
    pytest.param(f"{API}/api/größe?$skip=1", f"{API}/api/gr%C3%B6%C3%9Fe?$skip=1", id="other letters are escaped"),
]


@pytest.mark.parametrize(("link", "url"), OWN_LINKS)
def test_a_link_to_the_same_host_is_followed(link: str, url: str) -> None:
    first = first_page()
    following = following_request(first, link)
    assert following is not None
    assert following.url == url
    assert (following.method, following.headers, following.largest_answer, following.patience) == (
        "GET",
        first.headers,
        first.largest_answer,
        first.patience,
    )


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("https://evil.example/api/machineactions?$skip=1", id="another host"),
        pytest.param("https://security.microsoft.com/api/machineactions", id="a host above"),
        pytest.param("https://api.security.microsoft.com.evil.example/api", id="the host as a beginning"),
        pytest.param("https://api.security.microsoft.com./api/machineactions", id="the host with a dot"),
        pytest.param("http://api.security.microsoft.com/api/machineactions", id="not encrypted"),
        pytest.param("http://api.security.microsoft.com:443/api/machineactions", id="not encrypted on the same port"),
        pytest.param("ftp://api.security.microsoft.com/api", id="another scheme"),
        pytest.param("javascript:alert(1)", id="a script"),
        pytest.param("https://api.security.microsoft.com:8443/api/machineactions", id="another port"),
        pytest.param("https://api.security.microsoft.com:0/api/machineactions", id="port 0"),
        pytest.param("https://user@api.security.microsoft.com/api", id="a user"),
        pytest.param("https://user:secret@api.security.microsoft.com/api", id="a user and a password"),
        pytest.param("https://:secret@api.security.microsoft.com/api", id="only a password"),
        pytest.param("https://api.security.microsoft.com@evil.example/api", id="the host as a user"),
        pytest.param("https://api.security.microsoft.com\\@evil.example/api", id="the host before a backslash"),
        pytest.param("//evil.example/api/machineactions", id="another host without a scheme"),
        pytest.param("https://[::1/api", id="half an address"),
        pytest.param("https://api.security.microsoft.com:port/api", id="a port that is none"),
        pytest.param("https://api.security.microsoft.com:99999/api", id="a port too high"),
        pytest.param("/api/machineactions?$skiptoken=\ud800", id="half a character"),
    ],
)
def test_a_link_to_anybody_else_is_not_followed(link: str) -> None:
    assert following_request(first_page(), link) is None


def test_a_host_on_a_port_of_its_own_is_followed_there_only() -> None:
    first = machines_request("http://127.0.0.1:8765")
    following = following_request(first, "http://127.0.0.1:8765/api/machines?$skip=1")
    assert following is not None
    assert following.url == "http://127.0.0.1:8765/api/machines?$skip=1"
    assert following_request(first, "http://127.0.0.1/api/machines?$skip=1") is None


def test_the_usual_port_may_be_named_or_not_where_nothing_is_encrypted() -> None:
    for host, link in [("127.0.0.1", "127.0.0.1:80"), ("127.0.0.1:80", "127.0.0.1")]:
        assert following_request(machines_request(f"http://{host}"), f"http://{link}/api/machines") is not None


ANY_LINK = st.one_of(
    st.text(),
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["https://", "http://", "//", "", "https:", "HTTPS://", "\\\\", "https:\\\\", " https://"]),
        st.sampled_from(["api.security.microsoft.com", "evil.example", "u@api.security.microsoft.com", "[::1]", ""]),
        st.sampled_from(["", ":443", ":80", ":", "@evil.example", "\\@evil.example", "%40evil.example", "\t.evil"]),
        st.text(max_size=20),
    ),
)


@given(ANY_LINK)
@example("https://api.security.microsoft.com\n@evil.example/")
def test_any_link_leads_to_the_same_host_by_a_clean_address_or_nowhere(link: str) -> None:
    following = following_request(first_page(), link)
    if following is not None:
        assert following.url.isascii()
        assert following.url.isprintable()
        assert " " not in following.url
        parts = urlsplit(following.url)
        assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "api.security.microsoft.com", "")


def test_the_next_page_by_number_keeps_the_filter() -> None:
    second = next_page_by_number(first_page(), 10_000)
    third = next_page_by_number(second, 20_000)
    assert second.url == f"{first_page().url}&$skip=10000"
    assert third.url == f"{first_page().url}&$skip=20000"
    assert filter_of(third) == "type eq 'Offboard' and creationDateTimeUtc ge 2026-11-24T08:30:00Z"
    assert third.largest_answer == first_page().largest_answer


def test_the_next_page_by_number_of_a_list_without_a_filter() -> None:
    assert next_page_by_number(machines_request(API), 10_000).url == f"{API}/api/machines?$skip=10000"


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), st.integers(0, 10**7))
def test_the_next_page_by_number_keeps_any_filter(text: str, skip: int) -> None:
    first = Request("GET", f"{API}/api/machines?$filter={quote(text, safe='')}", None, {})
    parameters = dict(parse_qsl(urlsplit(next_page_by_number(first, skip).url).query))
    assert parameters == {"$filter": text, "$skip": str(skip)}


@pytest.mark.parametrize(
    ("here", "link", "page"),
    [
        (
            "https://api.security.microsoft.com/api/machines",
            "https://api.securitycenter.microsoft.com/api/machines?$skip=10000",
            "https://api.security.microsoft.com/api/machines?$skip=10000",
        ),
        (
            "https://eu.api.security.microsoft.com/api/machines",
            "https://api.security.microsoft.com/api/machines?$skip=10000",
            "https://eu.api.security.microsoft.com/api/machines?$skip=10000",
        ),
        ("https://api.security.microsoft.com/x", "https://notapi.security.microsoft.com.evil.example/x", None),
        ("https://api.security.microsoft.com/x", "http://api.securitycenter.microsoft.com/x", None),
        ("https://proxy.example/x", "https://api.securitycenter.microsoft.com/x", None),
    ],
)
def test_a_link_to_another_of_the_apis_hosts_is_followed_on_our_own(here: str, link: str, page: str | None) -> None:
    following = following_request(Request("GET", here, None, {}), link)
    assert (following.url if following else None) == page
