"""Read by schemathesis, whose interpreter has nothing of this project."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

schemathesis: Any = import_module("schemathesis")


@schemathesis.hook  # type: ignore[untyped-decorator] # not installed where types are checked
def filter_body(_: Any, body: Any) -> bool:
    """Schemathesis takes code points without a character for letters and marks, which the pattern of an id excludes."""
    return all(not isinstance(name, str) or name.isprintable() for name in _ids(body))


def _ids(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield value.get("id")
        for member in value.values():
            yield from _ids(member)
    elif isinstance(value, list):
        for member in value:
            yield from _ids(member)
