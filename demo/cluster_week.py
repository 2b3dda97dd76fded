"""`make cluster-demo`: a week of the task's own past through the cluster, and what its monitoring says of it."""

import json
import logging
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from contracts.errors import DataError, Unavailable
from contracts.store import load_champion
from contracts.workspace import Workspace
from demo.evidence import Replay
from demo.replay import read_token, replay
from demo.replayed_rows import ID, MONTH, PREDICTED_AT, later_months
from deploy.cluster.cluster import NAMESPACE, Cluster
from deploy.cluster.subprocesses import Kubectl, reason, step
from deploy.local.processes import wait_until

logger = logging.getLogger(__name__)

DAYS: Final = 7
MOVED_SECONDS: Final = 60.0
ALERT_SECONDS: Final = 120.0  # Prometheus tells a new Alertmanager within a minute


def show(cluster: Cluster) -> bool:
    """Replay a week, with its labels, and ask monitor, page, targets and alerts what they say.

    Returns:
        Whether every row was answered and is in the database, all targets are up, and alerts arrive.

    Raises:
        WindsockError: no cluster, no features, or a part that does not answer.
    """
    if not cluster.kubeconfig.exists():
        raise Unavailable(
            "`make cluster-demo` must find the cluster of this checkout, got none; `make cluster-up` first"
        )
    seconds, kubectl = dict[str, float](), Kubectl(cluster.kubeconfig)
    sent = _replay_week(cluster, seconds)
    with step("their rows in PostgreSQL", seconds):
        found = _count_rows(kubectl, sent.ids)
    with step("a run of the monitor, and its result on the page", seconds):
        started = datetime.now(UTC).replace(microsecond=0)
        _run_monitor(kubectl)
        _wait_for_result(f"http://{cluster.address('monitor')}/report.json", started)
    page = _get(f"http://{cluster.address('monitor')}/")
    logger.info("monitor's page: %.0f kB at http://%s/", len(page) / 1e3, cluster.address("monitor"))
    up = _say_targets(json.loads(_get(f"http://{cluster.address('prometheus')}/api/v1/targets")))
    with step("the Watchdog has reached Alertmanager", seconds):
        heard = _wait_for_watchdog(f"http://{cluster.address('alertmanager')}/api/v2/alerts")
    rows, answered = len(sent.ids), int((~np.isnan(sent.scores)).sum())
    logger.info("%d rows: %d answered, %d in PostgreSQL, %d labels", rows, answered, found, sent.labels)
    return up and heard and rows == answered == found


def _replay_week(cluster: Cluster, seconds: dict[str, float]) -> Replay:
    """The first days that are new to the champion: it was trained on what came before."""
    workspace, week = Workspace(cluster.root), cluster.folder / "week.parquet"
    champion, token = load_champion(workspace.store, workspace.public_key), read_token(workspace.token)
    schema, rest = champion.schema, f"http://{cluster.address('rest')}"
    model = json.loads(_get(f"{rest}/v2/models/{schema.name}", token))["versions"][0]
    logger.info("model %s answers", model)
    month, _ = later_months(workspace.features, champion.manifest.as_of)
    rows = _write_week(workspace.features, month, week)
    with step(f"{rows} {schema.subject.plural} over REST and gRPC, and their labels", seconds):
        return replay(
            week, schema, month, month,
            rest=rest, grpc=cluster.address("grpc"), token_file=workspace.token,
            evidence=cluster.folder / "replay.json",
        )  # fmt: skip


def _write_week(features: Path, month: str, week: Path) -> int:
    """Write the first days of the month as a table of its own. Returns how many rows it has.

    The log counts an id once, so each call gives the rows ids of its own: what answers now is what is measured.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(features, filters=[(MONTH, "=", month)])
    except (OSError, ValueError) as error:
        raise DataError(f"`{features}` must be the table of features, got: {error}; run `make repro`") from error
    end = np.datetime64(pc.min(table[PREDICTED_AT]).as_py(), "us") + np.timedelta64(DAYS, "D")
    table = table.filter(pc.less(table[PREDICTED_AT], end))
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    ids = pa.array([f"{now}-{row}" for row in table[ID].to_pylist()])
    table = table.set_column(table.schema.get_field_index(ID), ID, ids)
    week.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, week)
    return int(table.num_rows)


def _count_rows(kubectl: Kubectl, ids: Any) -> int:
    """How many of these requests are in the prediction log, once the spools were moved or time is up."""
    wanted, found = {str(one) for one in ids}, set[str]()

    def moved() -> bool:
        found.update(wanted & set(_query(kubectl, "SELECT request_id FROM predictions").split()))
        return found == wanted

    wait_until(moved, MOVED_SECONDS, every=1)
    return len(found)


def _query(kubectl: Kubectl, sql: str) -> str:
    command = ("psql", "--username=windsock", "--tuples-only", "--no-align", f"--command={sql}")
    return kubectl("exec", "--namespace", NAMESPACE, "postgres-0", "--", *command)


def _run_monitor(kubectl: Kubectl) -> None:
    """Run the monitor now, beside the process that runs it each hour: two at once do the work once."""
    kubectl("rollout", "status", "deployment/monitor", "--namespace", NAMESPACE, "--timeout=120s")
    done = kubectl.attempt("exec", "--namespace", NAMESPACE, "deployment/monitor", "--", "windsock", "monitor")
    if done.returncode != 0:
        raise Unavailable(f"the monitor must end its run, got: {reason(done)}; mend it and run this again")
    for line in done.stderr.decode().splitlines()[-20:]:
        logger.info("  %s", line)


def _wait_for_result(url: str, since: datetime) -> None:
    """Wait until the page, which looks into the database every few seconds, shows a result of `since` or after."""
    if not wait_until(lambda: (made := _result_time(url)) is not None and made >= since, MOVED_SECONDS, every=0.5):
        raise Unavailable(f"`{url}` must show the monitor's newest result, got an older one; see the log of its pod")


def _result_time(url: str) -> datetime | None:
    """None: there is no result yet, which is a 404."""
    try:
        return datetime.fromisoformat(json.loads(_get(url))["generated_at"])
    except Unavailable:
        return None


def _say_targets(told: dict[str, Any]) -> bool:
    targets = told["data"]["activeTargets"]
    for target in targets:
        labels = target["labels"]
        logger.info("target %-18s %-50s %s", labels["job"], labels["instance"], target["health"])
    return bool(targets) and all(target["health"] == "up" for target in targets)


def _wait_for_watchdog(url: str) -> bool:
    """Log the alerts, once the one that always fires has arrived. Returns whether it has."""
    alerts: list[dict[str, Any]] = []

    def heard_it() -> bool:
        alerts[:] = json.loads(_get(url))
        return any(alert["labels"]["alertname"] == "Watchdog" for alert in alerts)

    heard = wait_until(heard_it, ALERT_SECONDS, every=1)
    for alert in alerts:
        logger.info("alert  %-18s %s", alert["labels"]["alertname"], alert["annotations"].get("summary", ""))
    if not heard:
        logger.error("Watchdog must be among the alerts; see docs/runbooks/Watchdog.md")
    return heard


def _get(url: str, token: str | None = None) -> bytes:
    request = urllib.request.Request(url)  # noqa: S310 - http, and our own address
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            content: bytes = answer.read()
            return content
    except (urllib.error.URLError, OSError) as error:
        raise Unavailable(f"`{url}` must answer, got: {error}; `make cluster-up` mends what is missing") from error
