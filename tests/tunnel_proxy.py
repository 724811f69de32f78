"""A CONNECT proxy on loopback, and an environment that names it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest


class TunnelProxy:
    """A proxy that accepts CONNECT with the right credentials; it records the head of every request."""

    def __init__(self, refuse: str = "") -> None:
        self.heads: list[bytes] = []
        self.url = ""
        self._refuse = refuse
        self._pipes: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self._refuse:
            writer.write(f"HTTP/1.1 {self._refuse}\r\nContent-Length: 0\r\n\r\n".encode())
            writer.close()
            return
        host, port = head.split()[1].decode().split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pipe(source, sink))
            self._pipes.add(task)

    async def _pipe(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
        except ConnectionError:
            pass
        finally:
            sink.transport.abort()

    async def close(self) -> None:
        for task in self._pipes:
            task.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        await asyncio.sleep(0)


@asynccontextmanager
async def tunnel_proxy(refuse: str = "") -> AsyncIterator[TunnelProxy]:
    proxy = TunnelProxy(refuse)
    async with await asyncio.start_server(proxy.accept, "127.0.0.1", 0) as server:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy
        await proxy.close()


def surroundings(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """An environment that names a proxy for everything."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
