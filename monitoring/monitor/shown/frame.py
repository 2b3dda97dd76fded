"""Evidently's page under a headline of ours: what it is of, the window in words, and the way back."""

import re
from datetime import datetime
from typing import Final

from markupsafe import Markup

from contracts.reports.monitoring import Monitoring, Month, Window
from web.jinja import column_name

_HEAD: Final = re.compile(rb"<head>")
_BODY: Final = re.compile(rb"</head>\s*<body[^>]*>")
_STYLE: Final = (
    "font:16px/1.5 system-ui,sans-serif;padding:14px 22px;border-bottom:1px solid #ccc;color:#1d2125;background:#fff"
)


def framed(html: bytes, report: Monitoring, name: str, back: str = "Back to the monitor") -> bytes:
    """The page of one column of the report, one folder below what it leads back to.

    Args:
        name: "2013-07" or "window".
        back: words of the link to the folder above: the monitor's page, or on a disk all reports.
    """
    all_: tuple[Month | Window, ...] = (*report.months, report.window)
    columns = {one.name: one for one in all_}
    title = f"{report.task.title}: drift, {words(report, columns[name])}"
    head = Markup("<title>{0}</title>").format(title)
    header = Markup('<header style="{0}"><strong>{1}</strong><br>{2} <a href="../">{3}</a></header>')
    note = "Each feature against the training sample. Inputs have seasons: it describes, and alerts nobody."
    body = str(header.format(_STYLE, title, note, back)).encode()
    found = _BODY.search(html)
    if found is None:
        return body + html
    titled = _HEAD.sub(lambda one: one[0] + str(head).encode(), html[: found.end()], count=1)
    return titled + body + html[found.end() :]


def words(report: Monitoring, column: Month | Window) -> str:
    """ "Jul ’13, 29,425 flights", or the first and last minute of the newest answers."""
    window = report.window
    counted = f"{column.rows:,} {report.task.subject.plural}"
    if column is not window or window.first is None or window.last is None:
        return f"{column_name(column.name)}, {counted}"
    first, last = (f"{datetime.fromisoformat(one):%Y-%m-%d %H:%M}" for one in (window.first, window.last))
    return f"newest {counted}, {first} to {last} UTC"
