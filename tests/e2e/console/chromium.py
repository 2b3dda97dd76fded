"""A headless Chromium, driven over its DevTools protocol: what a reader of a page would see and do."""

import asyncio
import itertools
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from deploy.local import processes
from deploy.local.processes import Program

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = "" if PROGRAM else "chromium is not on PATH"
SECONDS = 30.0


class Tab:
    """One tab. `events` are all that Chromium has told of it, in order."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.events: list[dict[str, Any]] = []
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            else:
                self.events.append(told)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        answer = self._answers[number]
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        told = await asyncio.wait_for(answer, SECONDS)
        assert "error" not in told, told
        found: dict[str, Any] = told["result"]
        return found

    async def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, as an engineer at the console gets it."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, (expression, found)
        return found["result"].get("value")

    async def wait_for(self, expression: str) -> Any:
        """The first value of the expression that is true."""
        deadline = time.monotonic() + SECONDS
        while not (found := await self.evaluate(expression)):
            assert time.monotonic() < deadline, (expression, await self.evaluate("document.body.innerText"))
            await asyncio.sleep(0.05)
        return found

    async def click(self, selector: str) -> None:
        """Click the middle of the element with the mouse, once it stands still and nothing covers it."""
        found = f"document.querySelector({selector!r})"
        where = f"""(e => {{
            if (!e) return null;
            e.scrollIntoView({{block: 'center', behavior: 'instant'}});
            const b = e.getBoundingClientRect(), x = b.x + b.width / 2, y = b.y + b.height / 2;
            return e.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
        }})({found})"""
        last, place = None, await self.wait_for(where)
        while last != place:
            await asyncio.sleep(0.1)
            last, place = place, await self.wait_for(where)
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    async def paste(self, text: str) -> None:
        """Put the text where the cursor is."""
        await self.call("Input.insertText", text=text)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Tab]:
    """An empty tab of a Chromium of its own, whose profile is in `folder`, until the block ends."""
    profile, log = folder / "profile", folder / "chromium.log"
    command = [
        str(PROGRAM),
        # As root, and in a container, Chromium has no sandbox. Without the rest it asks its maker's hosts for things.
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,900"),
        *("--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
    ]
    process = processes.start(Program("chromium", command, 0, "/"), folder, log)
    try:
        said = profile / "DevToolsActivePort"
        assert processes.wait_until(lambda: said.is_file() and said.read_text().count("\n"), SECONDS), log.read_text()
        port = said.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                address = next(tab["webSocketDebuggerUrl"] for tab in await answer.json() if tab["type"] == "page")
            async with session.ws_connect(address, max_msg_size=0) as socket:
                tab = Tab(socket)
                for domain in ("Page", "Network", "Runtime", "Log"):
                    await tab.call(f"{domain}.enable")
                yield tab
    finally:
        processes.stop("chromium", process)
