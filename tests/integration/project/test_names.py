"""Host names: resolved, not resolved, and always with a timeout."""

import socket

import pytest

from batch_offboard.defender.host_names import Address, UnresolvedError, look_up, look_up_async
from tests.hanging_names import name_server

LocalAddress = Address(socket.AF_INET, socket.IPPROTO_TCP, "127.0.0.1")


async def test_a_name_that_is_known_has_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server(monkeypatch, {"api.example": "127.0.0.1"}):
        assert look_up("api.example", 443, 60) == [LocalAddress]
        assert await look_up_async("api.example", 443, 60) == [LocalAddress]


def test_an_address_needs_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server(monkeypatch, {}) as asked:
        assert look_up("127.0.0.1", 443, 60) == [LocalAddress]
    assert asked == []


async def test_a_name_that_nobody_knows_is_named_with_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server(monkeypatch, {}):
        with pytest.raises(UnresolvedError) as first:
            look_up("api.example", 443, 60)
        with pytest.raises(UnresolvedError) as second:
            await look_up_async("api.example", 443, 60)
    said = "the name api.example cannot be resolved: Name or service not known; check DNS"
    assert (first.value.strerror, second.value.strerror) == (said, said)


async def test_a_name_server_that_says_nothing_is_not_waited_for_any_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server(monkeypatch, {}, silent=True):
        with pytest.raises(UnresolvedError) as first:
            look_up("api.example", 443, 0.2)
        with pytest.raises(UnresolvedError) as second:
            await look_up_async("api.example", 443, 0.2)
    said = "the name api.example was not resolved in 0.2 s; check DNS"
    assert (first.value.strerror, second.value.strerror) == (said, said)


@pytest.mark.parametrize("host", ["", "a..b", "x" * 300, "\udcff"])
def test_what_is_no_name_is_an_error_of_ours(host: str) -> None:
    with pytest.raises(UnresolvedError, match="cannot be resolved: "):
        look_up(host, 443, 60)


def test_an_address_of_one_network_keeps_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_arguments: object, **_named: object) -> list[object]:
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 443, 0, 3))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert [address.ip for address in look_up("router.example", 443, 60)] == ["fe80::1%3"]
