"""The page at `/docs`: one HTML file without script, style sheet or font of another host."""

import json
from collections.abc import Iterable
from html import escape
from typing import Any, Final

from contracts.schema import CategoricalFeature, NumericFeature, Schema

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "pre{background:#f4f5f7;padding:1rem;white-space:pre-wrap;overflow-wrap:anywhere;border-radius:6px;font-size:13px}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem .3rem 0;"
    "border-bottom:1px solid #dde1e6;vertical-align:top}code{font-size:14px}"
    "@media(prefers-color-scheme:dark){body{background:#14171a;color:#e4e7eb}pre{background:#1f2429}"
    "td,th{border-color:#333a42}a{color:#7db4ff}}"
)


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
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        '<p>The machine-readable form: <a href="/openapi.json">/openapi.json</a>.</p>'
        f"<h2>Try it</h2>{_examples(base, schema)}"
        f"<h2>Endpoints</h2>{_endpoints(document['paths'])}"
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


def _endpoints(paths: dict[str, Any]) -> str:
    rows = [
        (f"{method.upper()} {path}", operation["summary"], "no" if operation.get("security") == [] else "yes")
        for path, item in paths.items()
        for method, operation in item.items()
        if method != "parameters"
    ]
    return _table(("endpoint", "what it does", "token"), rows)


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
