"""Servers that answer reads as the embedded tenant never would."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

Answer = Callable[[web.BaseRequest, int], web.Response]


@dataclass
class Stranger:
    """A server with scripted answers; `asked` are the paths with their queries, unescaped."""

    url: str = ""
    asked: list[str] = field(default_factory=list)


Listening = Callable[[Answer], AbstractAsyncContextManager[Stranger]]


@asynccontextmanager
async def _listening(answer: Answer) -> AsyncIterator[Stranger]:
    """`answer` is passed the request and the number of earlier ones."""
    seen = Stranger()

    async def handle(request: web.BaseRequest) -> web.Response:
        seen.asked.append(str(request.rel_url))
        return answer(request, len(seen.asked) - 1)

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        seen.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield seen
    finally:
        await runner.cleanup()


@pytest.fixture
def listening() -> Listening:
    return _listening


def page(*items: Mapping[str, Any], link: str | None = None) -> web.Response:
    """A page of a list."""
    body: dict[str, Any] = {"@odata.context": "https://api.example/$metadata", "value": list(items)}
    if link is not None:
        body["@odata.nextLink"] = link
    return web.Response(text=json.dumps(body), content_type="application/json")
