"""What the prediction log says about each month and about the newest weeks: quality, drift, latency, errors.

Quality is measured where labels have arrived. Where it cannot be, it is unknown with the reason, never good.
"""

import logging
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError

import msgspec

from contracts.artifact import Artifact
from contracts.files import write_atomic, write_json
from contracts.reference import unpack
from contracts.store import load_champion
from monitoring.log.reader import newest_models, read_newest, read_predictions
from monitoring.monitor import results
from monitoring.monitor.calendar import month_instants, wanted_months
from monitoring.monitor.drift import Sample
from monitoring.monitor.summary import PROTOCOLS, summarise

logger = logging.getLogger(__name__)

# The window of the gauges: four weeks, as flights have weekly habits, and a month's flights out of New York at most.
WINDOW: Final = timedelta(days=28)
WINDOW_ROWS: Final = 30_000
# With fewer the standard error of an AUC is above half of the alarm's margin (Hanley and McNeil 1982, at .75).
WINDOW_LABELS: Final = 100  # of each class
SERVED_ROWS: Final = 100  # newest answers that say which model is served: a rollout has both for seconds
REQUESTS: Final = "windsock_requests"  # monitoring.metrics.declared; the parser drops the suffix `_total`


@dataclass(frozen=True, slots=True)
class Champion:
    """The release that is watched, and the sample of its training rows."""

    artifact: Artifact
    reference: Sample


def run(
    root: Path,
    database_url: str,
    metrics_url: str | None,
    first: str | None = None,
    last: str | None = None,
    *,
    store: Path,
    public_key: Path,
    files: bool = True,
) -> dict[str, Any]:
    """Report the log by month and its newest window, and write the result to the log's database.

    Args:
        root: `reports/monitoring.json` and `reports/monitoring/<month>.html` are written there, unless not `files`.
        metrics_url: of the service, for its errors since it started; None leaves them unknown.
        first: first month, "2013-07", inclusive; None is the log's first, of the newest `months.MONTHS`.
        last: last month, inclusive; None is the log's last.
        store: of released models; its champion tells what inputs and quality were promised.

    Raises:
        ArtifactInvalid: no champion, or one that does not verify.
        DataError: no prediction log at this address. An empty one is reported as unknown.
        Unavailable: the database takes no result.
    """
    artifact = load_champion(store, public_key)
    sample = unpack(artifact.reference, artifact.schema)
    champion = Champion(artifact, Sample(sample.numeric, sample.category))
    now = datetime.now(UTC)
    pages: dict[str, bytes] = {}
    names = wanted_months(database_url, first, last)
    report = {
        "generated_at": now.isoformat(timespec="seconds"),
        "release": _release(artifact),
        "schema": msgspec.json.decode(msgspec.json.encode(artifact.schema)),  # lists, as the database gives it back
        "reference": {"rows": len(champion.reference)},
        "months": [_month(name, database_url, champion.reference, pages) for name in names],
        "window": _window(database_url, now, champion, pages),
        **errors(metrics_url),
    }
    if files:
        for name, html in pages.items():
            write_atomic(root / "reports/monitoring" / f"{name}.html", html)
        write_json(root / "reports/monitoring.json", report)
    results.save(database_url, report, pages)
    return report


def _release(artifact: Artifact) -> dict[str, Any]:
    made = artifact.manifest
    return {"digest": artifact.digest, "released": made.released, "as_of": made.as_of, "metrics": made.metrics}


def _month(month: str, database_url: str, reference: Sample, pages: dict[str, bytes]) -> dict[str, Any]:
    log = read_predictions(database_url, *month_instants(month))
    summary, html = summarise(log, reference, path=f"monitoring/{month}.html")
    if html:
        pages[month] = html
    _say(month, summary)
    return {"month": month, **summary}


def _window(database_url: str, now: datetime, champion: Champion, pages: dict[str, bytes]) -> dict[str, Any]:
    """The champion's newest answers, by their arrival: no caller's clock moves it, and no other model is in it."""
    log = read_newest(database_url, champion.artifact.digest, now.replace(tzinfo=None) - WINDOW, WINDOW_ROWS)
    summary, html = summarise(log, champion.reference, labels_of_each=WINDOW_LABELS, path="monitoring/window.html")
    if html:
        pages["window"] = html
    if summary["rows"] == 0:
        who = f"the champion {champion.artifact.version}"
        summary["quality_unknown"] = f"{who} has answered nothing in the newest {WINDOW.days} days"
    served = newest_models(database_url, SERVED_ROWS)
    if served and champion.artifact.digest not in served:
        others = ", ".join(sorted(digest[:12] for digest in served))
        why = f"the newest answers are of {others}, and what is watched is {champion.artifact.version}"
        summary |= {"quality": None, "quality_unknown": why}
    _say("newest", summary)
    first, last = (f"{log.received_at.min()}Z", f"{log.received_at.max()}Z") if summary["rows"] else (None, None)
    return {"days": WINDOW.days, "first": first, "last": last, **summary}


def errors(metrics_url: str | None) -> dict[str, Any]:
    """Refused and failed requests by protocol since the service started, from its Prometheus page."""
    if metrics_url is None:
        return {"errors": None, "errors_unknown": "no address of the service's metrics was given"}
    from prometheus_client.parser import text_string_to_metric_families

    try:
        with urllib.request.urlopen(metrics_url, timeout=5) as answer:  # noqa: S310 - the operator's own address
            families = list(text_string_to_metric_families(answer.read().decode()))
    except (URLError, OSError, ValueError) as error:
        return {"errors": None, "errors_unknown": f"{metrics_url} must answer with Prometheus metrics, got: {error}"}
    counted = [s for family in families if family.name == REQUESTS for s in family.samples if s.name.endswith("_total")]
    if not counted:
        return {"errors": None, "errors_unknown": f"{metrics_url} must have {REQUESTS}_total, got a page without"}
    counts = dict.fromkeys(PROTOCOLS, 0)
    for sample in counted:
        if sample.labels["code"] != "ok":
            counts[sample.labels["protocol"]] += int(sample.value)
    return {"errors": counts, "errors_unknown": None}


def _say(what: str, summary: dict[str, Any]) -> None:
    measured = summary["quality"]
    auc = f"AUC {measured['auc']:.4f}" if measured else f"quality unknown ({summary['quality_unknown']})"
    logger.info(
        "%s: %d flights, %d labelled, %s, %s of %d features drifted",
        what, summary["rows"], summary["labelled"], auc, summary["drifted"], len(summary["drift"]),
    )  # fmt: skip
