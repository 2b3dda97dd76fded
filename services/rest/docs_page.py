"""The page at `/docs`: what is asked and answered, and a console that sends requests from the browser.

The console is Swagger UI, out of its npm package and served by this service: no other host is asked for anything, and
the page's policy forbids the browser to. tests/contract/schemas/package.json names the version.
"""

import json
from collections.abc import Iterable
from functools import cache, partial
from html import escape
from pathlib import Path
from typing import Any, Final

from contracts.schema import CategoricalFeature, NumericFeature, Schema
from services.rest.asgi import Header
from services.rest.routes import Call, Reply, Route

_STATIC: Final = Path(__file__).with_name("static")
_SCRIPT: Final = b"text/javascript; charset=utf-8"
_STYLE: Final = b"text/css; charset=utf-8"
_FILES: Final = {
    "/docs/page.css": ("page.css", _STYLE),
    "/docs/console.js": ("console.js", _SCRIPT),
    "/docs/swagger-ui.css": ("swagger-ui/swagger-ui.css", _STYLE),
    "/docs/swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", _SCRIPT),
}
# What the browser may do with the page: our scripts, styles and answers, and Swagger UI's pictures, which stand in its
# style sheet.
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Final[tuple[Header, ...]] = (
    (b"content-security-policy", _POLICY),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


def routes() -> dict[str, Route]:
    """What stands behind the page: its files, and the way from `/` to it. Each is open."""
    files = {path: Route("GET", partial(_file, *found), need=None) for path, found in _FILES.items()}
    return {"/": Route("GET", _home, need=None)} | files


def _home(_: Call) -> Reply:
    return Reply(307, b"", headers=((b"location", b"/docs"),))


def _file(name: str, content_type: bytes, _: Call) -> Reply:
    return Reply(200, _content(name), content_type, (*HEADERS, (b"cache-control", b"max-age=3600")))


@cache
def _content(name: str) -> bytes:
    return (_STATIC / name).read_bytes()


def page(document: dict[str, Any], base: str, schema: Schema) -> bytes:
    """The page as HTML.

    Args:
        document: the OpenAPI document.
        base: address of the service as the reader reaches it, for the examples.
        schema: of the model that is served.
    """
    info = document["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])}</title>"
        '<link rel="stylesheet" href="/docs/swagger-ui.css"><link rel="stylesheet" href="/docs/page.css">'
        '<script src="/docs/swagger-ui-bundle.js" defer></script><script src="/docs/console.js" defer></script>'
        f"</head><body><h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        "<h2>Send a request</h2><p>Authorize asks for the token, once; it is forgotten with the page. Each request "
        'below holds an example to be changed. The document behind it: <a href="/openapi.json">/openapi.json</a>.</p>'
        '<div id="console"><noscript>The console needs JavaScript; the commands below do not.</noscript></div>'
        f"<h2>From a shell</h2>{_examples(base, schema)}"
        f"<h2>Fields of a row: one {escape(schema.subject.singular)}</h2>{_fields(schema)}</body></html>"
    ).encode()


def _examples(base: str, schema: Schema) -> str:
    rows = json.dumps({"id": "my-first", "rows": [schema.example()]}, indent=1)
    label = json.dumps({"labels": [{"id": "my-first", "value": True}]})
    return "".join(
        f"<pre>{escape(text)}</pre>"
        for text in (
            f"curl {base}/v2/health/ready",
            f"curl {base}/v1/predict -H \"Authorization: Bearer $(cat secrets/token)\" -d '{rows}'",
            f"curl {base}/v1/labels -H \"Authorization: Bearer $(cat secrets/token)\" -d '{label}'",
        )
    )


def _fields(schema: Schema) -> str:
    return _table(
        ("field", "unit", "range", "missing", "what it is"),
        [(f.name, f.unit, _range(f), "refused" if _required(f) else "null", f.description) for f in schema.features],
    )


def _required(feature: NumericFeature | CategoricalFeature) -> bool:
    return isinstance(feature, NumericFeature) and not feature.nullable


def _range(feature: NumericFeature | CategoricalFeature) -> str:
    if isinstance(feature, NumericFeature):
        return f"{feature.low:g} to {feature.high:g}"
    return f"text of at most {feature.max_length}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    def line(tag: str, cells: tuple[str, ...]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{line('th', head)}{''.join(line('td', row) for row in rows)}</table>"
