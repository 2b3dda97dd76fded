"""What the prediction log says about each month and about the newest weeks: quality, drift, latency, errors.

Quality is measured where labels have arrived. Where it cannot be, it is unknown with the reason, never good.
"""

import logging
import urllib.request
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError

import numpy as np
from numpy.typing import NDArray

from contracts.artifact import Artifact
from contracts.files import write_atomic, write_json
from contracts.reference import unpack
from contracts.store import load_champion
from monitoring import reports
from monitoring.drift import Sample
from monitoring.log import Predictions, read_predictions
from monitoring.months import month_instants, wanted_months
from monitoring.summary import PROTOCOLS, summarise

logger = logging.getLogger(__name__)

# The window of the gauges: four whole weeks, as flights have weekly habits, that move on with each run.
WINDOW: Final = timedelta(days=28)
# With fewer the standard error of an AUC is above half of the alarm's margin (Hanley and McNeil 1982, at .75).
WINDOW_LABELS: Final = 100  # of each class
AHEAD: Final = timedelta(days=1)  # what a caller's clock may be ahead; rows beyond are in no month
REQUESTS: Final = "windsock_requests"  # monitoring.metrics; the parser drops the suffix `_total`


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
        first: first month, "2013-07", inclusive; None is the log's first.
        last: last month, inclusive; None is the log's last. Of all these, the newest `MONTHS`.
        store: of released models; its champion tells what inputs and quality were promised.

    Raises:
        ArtifactInvalid: no champion, or one that does not verify.
        DataError: no prediction log at this address. An empty one is reported as unknown.
        Unavailable: the database takes no result.
    """
    artifact = load_champion(store, public_key)
    sample = unpack(artifact.reference)
    champion = Champion(artifact, Sample(sample.numeric, sample.category))
    now = datetime.now(UTC)
    span = reports.span(database_url, now.replace(tzinfo=None) + AHEAD)
    pages: dict[str, bytes] = {}
    report = {
        "generated_at": now.isoformat(timespec="seconds"),
        "release": _release(artifact),
        "reference": {"rows": len(champion.reference)},
        "months": [_month(name, database_url, champion.reference, pages) for name in wanted_months(span, first, last)],
        "window": _window(database_url, span, champion, pages),
        **errors(metrics_url),
    }
    if files:
        for name, html in pages.items():
            write_atomic(root / "reports/monitoring" / f"{name}.html", html)
        write_json(root / "reports/monitoring.json", report)
    reports.save(database_url, report, pages)
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


def _window(
    database_url: str, span: tuple[datetime, datetime] | None, champion: Champion, pages: dict[str, bytes]
) -> dict[str, Any]:
    """The champion's answers of the newest `WINDOW`: another model's say nothing about it."""
    digest, nothing = champion.artifact.digest, "the prediction log is empty"
    end = span[1] + timedelta(microseconds=1) if span else datetime(1970, 1, 1)
    log = read_predictions(database_url, end - WINDOW, end)
    if len(log.score):
        nothing = f"no row of the newest {WINDOW.days} days was answered by the champion {digest[:12]}"
    log = _rows(log, log.digest == digest)
    summary, html = summarise(log, champion.reference, labels_of_each=WINDOW_LABELS, path="monitoring/window.html")
    if html:
        pages["window"] = html
    if summary["rows"] == 0:
        summary["quality_unknown"] = nothing
    _say(f"newest {WINDOW.days} days", summary)
    instants = {"first": (end - WINDOW).isoformat() + "Z", "last": end.isoformat() + "Z"} if span else {}
    return {"days": WINDOW.days, "first": None, "last": None, **instants, **summary}


def _rows(log: Predictions, chosen: NDArray[np.bool_]) -> Predictions:
    return replace(log, **{field.name: getattr(log, field.name)[chosen] for field in fields(log)})


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
