"""A picture of the monitor's page in an incident: a replay whose last days have scores of other rows.

    python -m benchmarks.incident_page state/demo/predictions.db docs/dashboards/monitor-incident.png

The log is what `make demo` leaves, and is not changed. The monitor runs before the fault and on the days after it, so
the page knows since when. Needs Chromium.
"""

import asyncio
import base64
import shutil
import sqlite3
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from contracts.workspace import Workspace
from monitoring.log.schema import to_us
from monitoring.monitor import job, page, results
from monitoring.watch.models import newest_moment
from tests.e2e.console import chromium

DAYS: Final = 9  # of the fault; labels take one or two
WIDTH, HEIGHT = 1_120, 1_500


def main(log: Path, out: Path) -> None:
    """Draw it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(log, folder))
        url = f"sqlite:///{copy}"
        last = newest_moment(url, "event")
        shuffle(copy, last - timedelta(days=DAYS))
        workspace = Workspace(Path.cwd())
        month = f"{last:%Y-%m}"
        for days in (DAYS, DAYS - 3, 0):
            job.run(
                workspace.root, url, None, month, month, store=workspace.root / "artifacts/store",
                public_key=workspace.root / "secrets/signing.pub", files=False, clock="event",
                now=last - timedelta(days=days),
            )  # fmt: skip
        html = page.render(results.newest(url), None, datetime.now(UTC), past=results.history(url))
        (Path(folder) / "page.html").write_text(html, encoding="utf-8")
        asyncio.run(draw(Path(folder), out))


def shuffle(log: Path, since: datetime) -> None:
    """Give the requests of one row from this event on each other's scores, and forget what was counted of them."""
    chosen = "from predictions where event_us >= ? and rows = 1"
    with sqlite3.connect(log) as database:
        found = database.execute(f"select rowid, score {chosen}", (to_us(since),)).fetchall()
        other = np.random.default_rng(0).permutation(len(found))
        changed = [(found[there][1], rowid) for (rowid, _), there in zip(found, other, strict=True)]
        for table in ("monitor_hours", "monitor_label_hours", "monitor_reports", "monitor_pages"):
            database.execute(f"drop table if exists {table}")
        database.executemany("update predictions set score = ? where rowid = ?", changed)
    database.close()


async def draw(folder: Path, out: Path) -> None:
    """The upper part of page.html as PNG, as wide as the page is at most."""
    size = {"width": WIDTH, "height": HEIGHT}
    async with chromium.opened(folder) as tab:
        await tab.call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)
        await tab.call("Page.navigate", url=(folder / "page.html").as_uri())
        await tab.wait_for("document.readyState == 'complete' && document.querySelector('main') != null")
        picture = await tab.call("Page.captureScreenshot", clip={"x": 0, "y": 0, **size, "scale": 1})
    out.write_bytes(base64.b64decode(picture["data"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
