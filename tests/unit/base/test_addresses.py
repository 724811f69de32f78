"""The proxy that an address names, what is said of one that is wrong, and that nothing of it is shown."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from batch_offboard.base.addresses import Proxy, proxy_in

CANARY = "GEHEIM"


@pytest.mark.parametrize(
    ("address", "proxy"),
    [
        ("http://proxy.example:8080", Proxy("http://proxy.example:8080")),
        ("proxy.example:8080", Proxy("http://proxy.example:8080")),
        ("proxy.example", Proxy("http://proxy.example")),
        (" HTTP://Proxy.example:8080/ ", Proxy("http://proxy.example:8080")),
        ("https://proxy.example", Proxy("https://proxy.example")),
        ("http://[::1]:3128", Proxy("http://[::1]:3128")),
        ("http://ann@proxy:1", Proxy("http://proxy:1", "ann")),
        ("http://ann:p%23a%2Fb%3F%40@proxy:1", Proxy("http://proxy:1", "ann", "p#a/b?@")),
        ("http://CONTOSO%5Cann:pw@proxy:1", Proxy("http://proxy:1", "CONTOSO\\ann", "pw")),
        ("http://ann:p@ss:word@proxy:1", Proxy("http://proxy:1", "ann", "p@ss:word")),
        ("http://ann:100%@proxy:1", Proxy("http://proxy:1", "ann", "100%")),
    ],
)
def test_a_proxy_is_host_and_port_and_perhaps_an_account(address: str, proxy: Proxy) -> None:
    assert proxy_in(address) == proxy
    assert proxy.password not in repr(proxy) or not proxy.password


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"http://ann:{CANARY}#1@proxy:8080", "has a password with a character that must be percent-encoded"),
        (f"http://ann:{CANARY}/1@proxy:8080", "has a password with a character that must be percent-encoded"),
        (f"http://ann:{CANARY}?1@proxy:8080", "has a password with a character that must be percent-encoded"),
        (f"http://ann:{CANARY} 1@proxy:8080", "has a password with a character that must be percent-encoded"),
        (f"http://{CANARY}\\ann:pw@proxy:8080", "has a user with a character that must be percent-encoded"),
        (f"http://:{CANARY}@proxy:8080", "has an @ and no user before it"),
        (f"http://proxy:8080:{CANARY}", "has a port that is not a number from 1 to 65535"),
        ("http://proxy:8080:8081", "has a port that is not a number from 1 to 65535"),
        (f"http://ann:{CANARY}#1", "has more than a host and a port"),
        (f"http://ann:{CANARY}", "has a port that is not a number from 1 to 65535"),
        ("http://proxy:0", "has a port that is not a number from 1 to 65535"),
        ("http://proxy:70000", "has a port that is not a number from 1 to 65535"),
        ("http://proxy:٣", "has a port that is not a number from 1 to 65535"),
        (f"http://proxy:8080/{CANARY}", "has more than a host and a port"),
        (f"http://proxy:8080?{CANARY}", "has more than a host and a port"),
        (f"http=proxy:8080;https={CANARY}:8080", "has a port that is not a number from 1 to 65535"),
        (f"http={CANARY}", "has no usable host"),
        (f"{CANARY} proxy", "has no usable host"),
        ("http://", "has no usable host"),
        ("", "has no usable host"),
        ("http://[::1:8080", "has a port that is not a number from 1 to 65535"),
        ("http://[proxy]:8080", "has no usable host"),
        (f"ftp://ann:{CANARY}@proxy", "has a scheme that is neither http nor https"),
        (f"socks5://ann:{CANARY}@proxy:1080", "is a SOCKS proxy, which is not supported"),
        (f"socks5h://ann:{CANARY}#@proxy:1080", "is a SOCKS proxy, which is not supported"),
        ("SOCKS4://proxy", "is a SOCKS proxy, which is not supported"),
    ],
)
def test_the_part_that_is_wrong_is_named_and_nothing_of_it_is_shown(address: str, said: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # its text is compared
        proxy_in(address)
    assert str(raised.value).startswith(said)
    assert CANARY not in str(raised.value)


PIECES = st.sampled_from(
    ["http", "https", "socks5", ":", "/", "//", "://", "@", "#", "?", "%", "\\", "[", "]", ";", " "]
)
ADDRESSES = st.lists(PIECES | st.text(max_size=6), max_size=12).map("".join)


@given(ADDRESSES)
@example("http://a:b@[::1]%25")
def test_an_address_is_a_usable_proxy_or_a_clause_of_ours(address: str) -> None:
    """No other error comes out of it, however the address is broken."""
    proxy, said = usable(address)
    if proxy is None:
        assert said.startswith(("is a SOCKS", "has "))
        return
    url = URL(proxy.url)
    assert url.host
    assert url.port
    assert (url.user, url.password, url.path, url.query_string, url.fragment) == (None, None, "/", "", "")


def usable(address: str) -> tuple[Proxy | None, str]:
    try:
        return proxy_in(address), ""
    except ValueError as error:
        return None, str(error)
