"""The log of the service's processes, on standard error: JSON lines for machines, the same as text for people."""

import json
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, Literal

LogFormat = Literal["auto", "json", "text"]
# What a line may say beside its event, as `extra` of the call. Inputs of requests are not among them.
FIELDS: Final = (
    *("request_id", "caller", "protocol", "code", "rows", "duration_us"),
    *("digest", "role", "incident", "left_out"),
)
ROOMS: Final = ("services", "monitoring")
_OTHERS: Final = ("bentoml", "uvicorn.error", "circus")  # have handlers of their own, which write text


def fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    """Those of `FIELDS` that the line has."""
    for name in FIELDS:
        if (value := getattr(record, name, None)) not in (None, ""):
            yield name, value


class JsonLines(logging.Formatter):
    """One JSON object a line: `time` (UTC), `level`, `event`, `logger`, `pid`, the fields, and `trace` of an error."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            "pid": record.process,
            **dict(fields(record)),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Text(logging.Formatter):
    """The time of this machine, the event, then the fields as `name=value`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        told = " ".join(f"{name}={value if str(value).isalnum() else repr(value)}" for name, value in fields(record))
        return f"{super().formatMessage(record)}  {told}" if told else super().formatMessage(record)


def set_up(form: LogFormat) -> None:
    """Have everything that this process logs, warnings and uncaught errors included, written in this form.

    Args:
        form: `auto` is text when standard error is a terminal, else JSON.
    """
    handler = logging.StreamHandler()
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    handler.setFormatter(JsonLines() if as_json else Text())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for room in ROOMS:
        logging.getLogger(room).setLevel(logging.INFO)
    for name in _OTHERS:
        other = logging.getLogger(name)
        other.handlers, other.propagate = [], True
        other.setLevel(logging.WARNING)
    sys.excepthook = lambda *error: logging.getLogger("services").critical("uncaught error", exc_info=error)
    threading.excepthook = lambda told: logging.getLogger("services").critical(
        "uncaught error in the thread %s",
        None if told.thread is None else told.thread.name,
        exc_info=(told.exc_type, told.exc_value or told.exc_type(), told.exc_traceback),
    )
