"""A name server that never answers, and one that knows some names."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

Resolve = Callable[..., list[Any]]


@contextmanager
def name_server(monkeypatch: pytest.MonkeyPatch, known: Mapping[str, str], silent: bool = False) -> Iterator[list[str]]:
    """Replace name resolution for the block; yields the names that were requested. `known` has the addresses of some
    names; others get no answer, or the answer that they do not exist. IP addresses resolve as usual."""
    real, asked, ended = socket.getaddrinfo, list[str](), Event()

    def getaddrinfo(host: str, *arguments: Any, **named: Any) -> list[Any]:
        if host.replace(".", "").isdigit() or ":" in host:
            return real(host, *arguments, **named)
        asked.append(host)
        if host in known:
            return real(known[host], *arguments, **named)
        if silent:
            ended.wait()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        yield asked
    finally:
        ended.set()
        monkeypatch.setattr(socket, "getaddrinfo", real)
