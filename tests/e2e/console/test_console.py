"""The console at `/docs`, in a real Chromium: the token is pasted once, the examples are sent, the answers are seen."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.console.chromium import MISSING, Tab, opened
from tests.support.node import installed
from tests.support.serving import Server

STATIC = Path(__file__).parents[3] / "services/rest/static/swagger-ui"
in_a_browser = pytest.mark.skipif(bool(MISSING), reason=f"the console is not tried: {MISSING}")


def operation(path: str) -> str:
    """CSS of the part of the console that belongs to a path."""
    return f".opblock:has([data-path='{path}'])"


async def send(tab: Tab, path: str) -> dict[str, Any]:
    """Open the operation, execute its example as it stands, and read the answer off the page."""
    part = operation(path)
    await tab.click(f"{part} .opblock-summary-control")
    await tab.click(f"{part} button.execute")
    shown = f"{part} .live-responses-table .response-col_description code"
    text = await tab.wait_for(f'document.querySelector("{shown}")?.innerText')
    status = await tab.evaluate(
        f'document.querySelector("{part} .live-responses-table tbody .response-col_status").innerText'
    )
    assert status.split()[0] == "200", text
    found: dict[str, Any] = json.loads(text)
    return found


async def visit(server: Server, folder: Path) -> dict[str, Any]:
    async with opened(folder) as tab:
        await tab.call("Page.navigate", url=f"{server.rest}/")
        await tab.wait_for("!!document.querySelector('#console .opblock')")
        await tab.click("#console button.authorize")
        await tab.click("#console .auth-container input")
        await tab.paste(server.token)
        await tab.click("#console .auth-btn-wrapper button[type=submit]")
        await tab.click("#console .modal-ux .btn-done")
        found = {
            "address": await tab.evaluate("location.pathname"),
            "predicted": await send(tab, "/v1/predict"),
            "labelled": await send(tab, "/v1/labels"),
            "kept": await tab.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"),
        }
        return found | {"events": tab.events}


@in_a_browser
def test_the_example_is_sent_from_the_browser(server: Server, tmp_path: Path) -> None:
    seen = asyncio.run(visit(server, tmp_path))
    assert seen["address"] == "/docs"
    (probability,) = seen["predicted"]["probabilities"]
    assert 0 < probability < 1
    assert seen["labelled"] == {"accepted": 1}
    assert server.token not in seen["kept"]
    asked = {
        event["params"]["request"]["url"] for event in seen["events"] if event["method"] == "Network.requestWillBeSent"
    }
    foreign = {url for url in asked if not url.startswith((f"{server.rest}/", "data:"))}
    assert foreign == set()
    assert f"{server.rest}/docs/swagger-ui-bundle.js" in asked
    complaints = [event["params"] for event in seen["events"] if event["method"] == "Log.entryAdded"]
    assert not [told for told in complaints if "favicon" not in told["entry"].get("url", "")]


@in_a_browser
def test_the_policy_stops_what_is_not_ours(server: Server, tmp_path: Path) -> None:
    async def inject() -> tuple[Any, list[str]]:
        async with opened(tmp_path) as tab:
            await tab.call("Page.navigate", url=f"{server.rest}/docs")
            await tab.wait_for("!!document.querySelector('#console .opblock')")
            await tab.evaluate(
                "(s => { s.textContent = 'window.intruder = 1'; document.head.append(s); })"
                "(document.createElement('script'))"
            )
            await tab.evaluate("fetch('http://127.0.0.2:9/').catch(() => { window.refused = 1; }), 1")
            await tab.wait_for("window.refused")
            entries = [e["params"]["entry"]["text"] for e in tab.events if e["method"] == "Log.entryAdded"]
            return await tab.evaluate("window.intruder ?? null"), entries

    intruder, entries = asyncio.run(inject())
    assert intruder is None
    assert any("script-src 'self'" in text for text in entries), entries
    assert any("connect-src 'self'" in text for text in entries), entries


def test_the_way_to_the_console(server: Server) -> None:
    """`/` leads to it, and all that the page names is served here, to anybody, as what it is."""
    head = server.ask("/", token=None, method="HEAD")  # urllib follows
    assert (head[0], head[2]["content-type"]) == (200, "text/html; charset=utf-8")
    _, content, headers = server.ask("/docs", token=None)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    named = re.findall(r'(?:src|href)="([^"]+)"', content.decode())
    assert {name.partition("/")[0] for name in named} == {""}
    kinds = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
    for name in named:
        status, _, headers = server.ask(name, token=None)
        assert (status, headers["x-content-type-options"] if name != "/openapi.json" else "nosniff") == (200, "nosniff")
        assert headers["content-type"] == kinds.get(name.rpartition(".")[2], "application/json")
    assert server.ask("/docs/page.css/../../app.py", token=None)[0] == 401
    assert server.ask("/docs/app.py")[0] == 404


def test_swagger_ui_is_the_package_s(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Byte by byte; npm holds the package against the hash in package-lock.json."""
    package = installed(tmp_path_factory, "Swagger UI is not held against its package") / "node_modules/swagger-ui-dist"
    ours = {path.name: path.read_bytes() for path in STATIC.iterdir()}
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js"} <= set(ours)
    assert ours == {name: (package / name).read_bytes() for name in ours}
