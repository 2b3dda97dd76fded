"""What the prediction log says about each month and about the newest weeks: quality, drift, latency, errors.

Quality is measured where labels have arrived. Where it cannot be, it is unknown with the reason, never good.
"""

import logging
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.error import URLError

import msgspec

from contracts.artifact import Artifact
from contracts.files import write_atomic
from contracts.objectives import Objectives, load_objectives
from contracts.reference import unpack
from contracts.reports import write_report
from contracts.reports.monitoring import (
    FORMAT,
    PROTOCOLS,
    Limits,
    Monitoring,
    Month,
    Protocol,
    ReferenceSize,
    Release,
    Summary,
    Task,
    Window,
)
from contracts.schema import Schema
from contracts.workspace import Workspace
from monitoring.log.newest import newest_models
from monitoring.log.reader import read_newest, read_predictions
from monitoring.log.sample import Clock
from monitoring.monitor import results
from monitoring.monitor.calendar import month_instants, wanted_months
from monitoring.monitor.champion import champion_in_force
from monitoring.monitor.drift import Sample
from monitoring.monitor.shown.frame import framed
from monitoring.monitor.summary import summarise
from monitoring.watch.look import mature_hour
from monitoring.watch.models import newest_moment, watch
from monitoring.watch.timeline import timeline

logger = logging.getLogger(__name__)

SERVED_ROWS: Final = 100  # newest answers that say which model is served: during a rollout both are, for seconds
REQUESTS: Final = "windsock_requests"  # monitoring.metrics.declared; the parser drops the suffix `_total`
Errors = tuple[dict[Protocol, int] | None, str | None]  # by protocol, or why they are unknown
Pages = dict[str, bytes]  # "2013-07" or "window" -> Evidently's HTML


@dataclass(frozen=True, slots=True)
class Champion:
    """The release that is monitored, the sample of its training rows, and what it is held against."""

    artifact: Artifact
    reference: Sample
    objectives: Objectives

    @property
    def schema(self) -> Schema:
        return self.artifact.schema


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
    clock: Clock = "arrival",
    now: datetime | None = None,
) -> Monitoring:
    """Report the log by month and its newest window, and write the result to the log's database.

    Args:
        root: the workspace; `objectives.yaml` is read there, and `reports/monitoring.json` and
            `reports/monitoring/<month>.html` are written there, unless not `files`.
        metrics_url: of the service, for its errors since it started; None leaves them unknown.
        first: first month, "2013-07", inclusive; None is the log's first, of the newest `calendar.MONTHS`.
        last: last month, inclusive; None is the log's last.
        store: of released models; the champion in force tells schema, inputs and quality that were promised.
        clock: which instant of a row is its time for `watched`; "event" is for replays.
        now: the moment of `watched`, UTC without a zone; None: the clock's newest.

    Raises:
        ArtifactInvalid: no champion, or one that does not verify.
        DataError: no prediction log at this address. An empty one is reported as unknown.
        ParameterError: `objectives.yaml` names or sets what it may not.
        Unavailable: the database takes no result.
    """
    workspace = Workspace(root)
    champion = _champion(workspace, store, public_key, database_url)
    wall = datetime.now(UTC)
    pages: Pages = {}
    names = wanted_months(database_url, champion.schema.calendar, first, last)
    counted, why = errors(metrics_url)
    limits, made, calendar = champion.objectives, champion.artifact.manifest, champion.schema.calendar
    moment = now or newest_moment(database_url, clock)
    report = Monitoring(
        format=FORMAT,
        generated_at=wall.isoformat(timespec="seconds"),
        task=Task.of(champion.schema),
        limits=Limits(limits.monitor_silent_hours),
        release=Release(champion.artifact.digest, made.released, made.as_of, made.metrics),
        reference=ReferenceSize(len(champion.reference)),
        months=tuple(_month(name, database_url, champion, pages) for name in names),
        window=_window(database_url, wall, champion, pages),
        clock=clock,
        watched=watch(database_url, store, public_key, limits, clock, moment),
        errors=counted,
        errors_unknown=why,
        timeline=timeline(database_url, clock, calendar.time_zone, limits.window_labels, mature_hour(calendar, moment)),
    )
    if files:
        for name, html in pages.items():
            write_atomic(workspace.monitoring_page(name), framed(html, report, name, "All reports"))
        write_report(workspace.report("monitoring"), report)
    results.save(database_url, report, pages)
    return report


def _champion(workspace: Workspace, store: Path, public_key: Path, database_url: str) -> Champion:
    artifact = champion_in_force(store, public_key, database_url)
    sample = unpack(artifact.reference, artifact.schema)
    return Champion(artifact, Sample(sample.numeric, sample.category), load_objectives(workspace.objectives))


def _month(month: str, database_url: str, champion: Champion, pages: Pages) -> Month:
    schema = champion.schema
    log = read_predictions(database_url, *month_instants(month, schema.calendar), schema)
    distance = champion.objectives.drift_distance
    summary, html = summarise(log, champion.reference, schema, distance, path=f"monitoring/{month}.html")
    if html:
        pages[month] = html
    _tell(month, summary, schema)
    return Month(**msgspec.structs.asdict(summary), month=month)


def _window(database_url: str, now: datetime, champion: Champion, pages: Pages) -> Window:
    """The champion's newest answers, by their arrival: no caller's clock moves it, and no other model is in it."""
    schema, digest, wanted = champion.schema, champion.artifact.digest, champion.objectives
    since = now.replace(tzinfo=None) - timedelta(days=wanted.window_days)
    log = read_newest(database_url, digest, since, wanted.window_rows, schema)
    summary, html = summarise(
        log, champion.reference, schema, wanted.drift_distance,
        labels_of_each=wanted.window_labels, path="monitoring/window.html",
    )  # fmt: skip
    if html:
        pages["window"] = html
    if why := _not_served(database_url, champion, summary.rows):
        summary = msgspec.structs.replace(summary, quality=None, quality_unknown=why)
    _tell("newest", summary, schema)
    first, last = (f"{log.received_at.min()}Z", f"{log.received_at.max()}Z") if summary.rows else (None, None)
    return Window(**msgspec.structs.asdict(summary), days=wanted.window_days, first=first, last=last)


def _not_served(database_url: str, champion: Champion, rows: int) -> str | None:
    """Why the window says nothing about what is served; None: it does.

    Args:
        rows: of the window.
    """
    artifact = champion.artifact
    served = newest_models(database_url, SERVED_ROWS)
    if served and artifact.digest not in served:
        others = ", ".join(sorted(digest[:12] for digest in served))
        return f"the newest answers are of {others}, and what is monitored is {artifact.version}"
    if rows == 0:
        days = champion.objectives.window_days
        return f"the champion {artifact.version} has answered nothing in the newest {days} days"
    return None


def errors(metrics_url: str | None) -> Errors:
    """Refused and failed requests by protocol since the service started, from its Prometheus page."""
    if metrics_url is None:
        return None, "no address of the service's metrics was given"
    from prometheus_client.parser import text_string_to_metric_families

    try:
        with urllib.request.urlopen(metrics_url, timeout=5) as answer:  # noqa: S310 - the operator's own address
            families = list(text_string_to_metric_families(answer.read().decode()))
    except (URLError, OSError, ValueError) as error:
        return None, f"{metrics_url} must answer with Prometheus metrics, got: {error}"
    counted = [s for family in families if family.name == REQUESTS for s in family.samples if s.name.endswith("_total")]
    if not counted:
        return None, f"{metrics_url} must have {REQUESTS}_total, got a page without"
    counts = dict.fromkeys(PROTOCOLS, 0)
    for sample in counted:
        for protocol in PROTOCOLS:
            if sample.labels["protocol"] == protocol and sample.labels["code"] != "ok":
                counts[protocol] += int(sample.value)
    return counts, None


def _tell(what: str, summary: Summary, schema: Schema) -> None:
    measured = summary.quality
    auc = f"AUC {measured.auc:.4f}" if measured else f"quality unknown ({summary.quality_unknown})"
    logger.info(
        "%s: %d %s, %d labelled, %s, %s of %d features drifted",
        what, summary.rows, schema.subject.plural, summary.labelled, auc, summary.drifted, len(summary.drift),
    )  # fmt: skip
    if summary.other_inputs:
        logger.warning("%s: %d rows have inputs of another schema, and are left out", what, summary.other_inputs)
