"""A headless Chromium for pages that the tests have written, driven through its debugging protocol.

Nothing is installed: tests that need Chromium are skipped if there is none. The browser has a temporary profile, and
everything that the page logs, reports or requests is recorded.
"""

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0",
)  # fmt: skip
PATIENCE = 60.0  # seconds


def found() -> str | None:
    """The browser's path: $CHROMIUM, or one of the usual names."""
    return os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page, with a record of its errors and requests."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self.dialogs: list[str] = []
        self.complaints: list[str] = []  # errors and warnings of the page, including violations of its policy
        self.requests: list[str] = []

    async def listen(self) -> None:
        async for message in self._socket:
            data = message.json()
            if "id" in data:
                self._answers.pop(data["id"]).set_result(data)
            else:
                await self._on_event(data["method"], data["params"])

    async def _on_event(self, method: str, data: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(data["message"])
            number = next(self._numbers)
            self._answers[number] = asyncio.get_running_loop().create_future()
            closing = {"id": number, "method": "Page.handleJavaScriptDialog", "params": {"accept": False}}
            await self._socket.send_json(closing)
        elif method == "Log.entryAdded":
            self.complaints.append(data["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(data["exceptionDetails"]))
        elif method == "Audits.issueAdded":
            self.complaints.append(str(data["issue"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(data["request"]["url"])

    async def send(self, method: str, **params: Any) -> Any:
        """Send one command of the protocol. Raises RuntimeError with the browser's message if it fails."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(PATIENCE):
            data = await answer
        if "error" in data:
            raise RuntimeError(f"{method}: {data['error']}")
        return data["result"]

    async def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load the page with a viewport of this size; a narrow one is a phone."""
        for domain in ("Page", "Runtime", "Log", "Audits", "Network"):
            await self.send(f"{domain}.enable")
        await self.size(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])
        self._loaded.clear()
        await self.send("Page.navigate", url=url)
        async with asyncio.timeout(PATIENCE):
            await self._loaded.wait()

    async def size(self, width: int, height: int) -> None:
        phone = width < 600
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )

    async def value(self, expression: str) -> Any:
        """The value of the JavaScript expression in the page, with promises awaited."""
        data = await self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in data:
            raise RuntimeError(str(data["exceptionDetails"]))
        return data["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until the expression is true."""
        look = f"const look = () => ({expression}) ? done(true) : setTimeout(look, 20)"
        await self.value(f"new Promise((done) => {{ {look}; look(); }})")

    async def key(self, name: str, code: int, text: str = "") -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            await self.send(
                "Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code, **typed
            )


@asynccontextmanager
async def browser(executable: str) -> AsyncIterator[Page]:
    """A browser with one page, for the length of the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(  # noqa: ASYNC220  # started without waiting
            [executable, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = await _port(Path(profile), process)
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(await _page_address(session, port), max_msg_size=0) as socket,
            ):
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                try:
                    yield page
                finally:
                    listening.cancel()
        finally:
            process.kill()
            process.wait()


async def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(PATIENCE):
        while process.poll() is None:
            with_port = file.read_text(encoding="ascii") if file.exists() else ""
            if with_port.partition("\n")[1]:
                return int(with_port.partition("\n")[0])
            await asyncio.sleep(0.02)
    raise RuntimeError(f"the browser ended with {process.returncode}")


async def _page_address(session: aiohttp.ClientSession, port: int) -> str:
    async with asyncio.timeout(PATIENCE):
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = [each for each in await answer.json() if each["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.02)
