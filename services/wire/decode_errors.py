"""Messages for bodies that do not decode: they name the field, what it must be and what came."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from contracts.errors import InvalidInput

_EXPECTED: Final = re.compile(r"Expected (?P<rule>.+), got (?P<got>.+?)(?: - at `\$(?P<path>[^`]*)`)?$")
_MISSING: Final = re.compile(r"Object missing required field `(?P<field>[^`]*)`(?: - at `\$(?P<path>[^`]*)`)?$")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`(?: - at `\$(?P<path>[^`]*)`)?$")
_OTHER: Final = re.compile(r"(?P<what>.+) - at `\$(?P<path>[^`]*)`$")
_OFFSET: Final = re.compile(r"\(byte (?P<offset>\d+)\)")
_NOT_FINITE: Final = re.compile(rb"[-+]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
_KEY: Final = re.compile(rb'"((?:[^"\\]|\\.){1,64})"\s*:')

DecodeErrors: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def describe_decode_error(error: Exception, body: bytes | memoryview, columns: Sequence[str] = ()) -> InvalidInput:
    """The refusal for one of `DecodeErrors`.

    Args:
        error: what decoding raised.
        body: what was decoded.
        columns: names of the columns when the body is a tensor's data; a position in it becomes a name.
    """
    text = str(error)
    if isinstance(error, msgspec.ValidationError):
        return _explain_value(text, columns)
    if isinstance(error, msgspec.DecodeError) and (match := _OFFSET.search(text)):
        return _explain_syntax(bytes(body), int(match["offset"]), text, columns)
    if isinstance(error, RecursionError):
        text = "it is nested too deeply"
    return InvalidInput(f"the body must be JSON in UTF-8, got: {text}; see /openapi.json")


def _explain_value(text: str, columns: Sequence[str]) -> InvalidInput:
    if match := _EXPECTED.match(text):
        rule, got = match["rule"].replace("`", ""), match["got"].replace("`", "")
        return InvalidInput(f"`{_name(match['path'], columns)}` must be {rule}, got {got}; see /openapi.json")
    if match := _MISSING.match(text):
        return InvalidInput(
            f"`{match['field']}` must be given, got nothing in {_name(match['path'], columns)}; "
            "see /openapi.json (send null for a value that is not known)"
        )
    if match := _UNKNOWN.match(text):
        return InvalidInput(
            f"`{match['field']}` must be a field of {_name(match['path'], columns)}, got an unknown name; leave it out"
        )
    if match := _OTHER.match(text):
        return InvalidInput(f"`{_name(match['path'], columns)}` must be in range, got: {match['what']}; correct it")
    return InvalidInput(f"the body must match the OpenAPI document, got: {text}; see /openapi.json")


def _name(path: str | None, columns: Sequence[str]) -> str:
    """`.rows[0].temp` -> `rows[0].temp`; a position in a tensor -> its column and row."""
    if columns and (match := re.fullmatch(r"\[(\d+)\](?:\[(\d+)\])?", path or "")):
        row, column = (int(match[1]), int(match[2])) if match[2] else divmod(int(match[1]), len(columns))
        return f"{columns[column]}` in row {row} of `data" if column < len(columns) else f"data[{row}][{column}]"
    return (path or "").removeprefix(".") or ("data" if columns else "the body")


def _explain_syntax(body: bytes, offset: int, text: str, columns: Sequence[str]) -> InvalidInput:
    """JSON has no NaN and no Infinity, but many writers emit them: the field that holds one is named."""
    start = offset - 1 if offset and body[offset - 1 : offset] in (b"-", b"+") else offset
    literal = _NOT_FINITE.match(body, start)
    if literal is None:
        return InvalidInput(f"the body must be JSON, got: {text}; see /openapi.json")
    keys = list(_KEY.finditer(body, max(0, start - 65_536), start))
    name = keys[-1][1].decode(errors="replace") if keys else "the body"
    if name == "data" and columns:
        row, column = divmod(body.count(b",", keys[-1].end(), start), len(columns))
        name = f"{columns[column]}` in row {row} of `data"
    return InvalidInput(
        f"`{name}` must be a number or null, got {literal[0].decode()}, which JSON does not have; "
        "send null for a value that is not known"
    )
