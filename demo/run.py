"""`windsock demo`: the whole line once, from raw data to alarms, and a verdict on what was seen."""

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from contracts.artifact import MODEL
from contracts.errors import DataError, Unavailable, WindsockError
from contracts.files import write_atomic
from contracts.objectives import load_objectives
from contracts.reports import read_report, write_report
from contracts.reports.demo import Check, DemoReport
from contracts.reports.evaluation import EvaluationReport
from contracts.reports.features import FeaturesReport
from contracts.reports.monitoring import Monitoring
from contracts.schema import Schema
from contracts.settings import clean_environment
from contracts.store import load_champion
from contracts.workspace import Workspace
from demo.demo_service import Server, refused_start, serving
from demo.evidence import Evidence, Replay, Scraped
from demo.observers import MemorySampler, scraping
from demo.probes import PREFIX, Probes, probe
from demo.replay import read_token, replay
from demo.replayed_rows import read_rows
from demo.verdict.checks import judge
from demo.verdict.page import draw
from deploy.local.processes import wait_until
from monitoring.log.reader import read_predictions
from monitoring.monitor import job
from monitoring.monitor.calendar import month_instants
from registry.release import release

logger = logging.getLogger(__name__)

STARTED: Final = "WINDSOCK_DEMO_STARTED"  # epoch seconds, set by `make demo` before it installs anything
SETTLE_SECONDS: Final = 60  # for the spool's last rows to reach the database
UNMOVED: Final = "windsock_spool_unmoved_rows"


@dataclass(frozen=True, slots=True)
class Served:
    """What was seen while the service ran; the fields are `Evidence`'s."""

    replay: Replay
    monitoring: Monitoring
    scraped: Scraped | None
    logged_ids: NDArray[np.str_]
    logged_scores: NDArray[np.float64]


def run(root: Path) -> bool:
    """Run the line, judge it, and write `reports/demo.json` and `reports/demo.html`.

    Args:
        root: of the task's workspace.

    Returns:
        True when every check passed. Whatever breaks on the way is a failed check, and the server is stopped.
    """
    started, workspace = float(os.environ.get(STARTED) or time.time()), Workspace(root)
    evidence: Evidence | None = None
    try:
        evidence = gather(workspace)
        checks = judge(evidence)
    except Exception as error:  # whatever it was, the verdict must say so
        if not isinstance(error, WindsockError):
            logger.exception("The demo broke off")
        checks = [Check("the line runs to its end", False, "no error", f"{type(error).__name__}: {error}")]
    verdict: Literal["pass", "fail"] = "pass" if all(check.passed for check in checks) else "fail"
    report = DemoReport(1, verdict, round(time.time() - started, 1), tuple(checks))
    write_report(workspace.report("demo"), report)
    page = workspace.reports / "demo.html"
    write_atomic(page, draw(workspace, report, evidence).encode())
    for check in checks:
        logger.info("%s  %s: %s", "ok  " if check.passed else "FAIL", check.name, check.measured)
    logger.info("%s in %.0f s: %s", verdict, report.seconds, page)
    return verdict == "pass"


def gather(workspace: Workspace) -> Evidence:
    """Do all of it once, and keep what was seen."""
    state = workspace.state / "demo"
    shutil.rmtree(state, ignore_errors=True)
    objectives = load_objectives(workspace.objectives)
    with MemorySampler() as sampler:
        logger.info("Running the pipeline ...")
        reproduce(workspace.root)
        evaluation = read_report(workspace.report("evaluation"), EvaluationReport)
        first, last = evaluation.months[0].month, evaluation.months[-1].month
        logger.info("Releasing the candidate ...")
        digest = release(workspace)
        champion = load_champion(workspace.store, workspace.public_key)
        logger.info("Starting a service on a damaged copy of the model ...")
        damaged = refused_start(workspace, state / "damaged", digest)
        logger.info("Starting the service, and asking it what it should and should not answer ...")
        probes, served = _serve(workspace, state, champion.schema, first, last)
    features = read_report(workspace.report("features"), FeaturesReport)
    rows = {month.month: month.rows for month in features.months}
    return Evidence(
        schema=champion.schema,
        origin=champion.provenance,
        objectives=objectives,
        rows=sum(n for month, n in rows.items() if first <= month <= last),
        training_rows=sum(n for month, n in rows.items() if month < first),
        evaluation=evaluation,
        model_bytes=(workspace.store / digest / MODEL).stat().st_size,
        damaged=damaged,
        memory=sampler.memory(),
        **{name: getattr(probes, name) for name in probes.__slots__},
        **{name: getattr(served, name) for name in served.__slots__},
    )


def _serve(workspace: Workspace, state: Path, schema: Schema, first: str, last: str) -> tuple[Probes, Served]:
    """Start the service, probe it, replay these months, and let the monitor look at them."""
    with serving(workspace, state) as server, scraping(state, server) as scraped:
        some = read_rows(workspace.features, schema, first, last)
        probes = asyncio.run(probe(some, schema, server.rest, server.grpc, read_token(server.token_file)))
        sent = replay(
            workspace.features, schema, first, last,
            rest=server.rest, grpc=server.grpc, token_file=server.token_file, evidence=state / "replay.json",
        )  # fmt: skip
        _settle(server)
        logger.info("Looking at quality, drift and latency by month ...")
        monitoring = job.run(
            workspace.root, server.database_url, server.metrics, first, last,
            store=workspace.store, public_key=workspace.public_key, clock="event",
        )  # fmt: skip
        seen = scraped()
    (begin, _), (_, end) = (month_instants(month, schema.calendar) for month in (first, last))
    logged = read_predictions(server.database_url, begin, end, schema)
    ids = logged.request_id.astype(str)
    chosen = ~np.char.startswith(ids, PREFIX)
    return probes, Served(sent, monitoring, seen, ids[chosen], logged.score[chosen])


def reproduce(root: Path) -> None:
    """Run `dvc repro`, which does what changed and nothing else. Its lines go where ours go.

    Raises:
        DataError: a stage fails.
    """
    # A stage runs the command `windsock`, which is beside this Python. Settings of the caller are left out.
    environment = clean_environment() | {
        "DVC_NO_ANALYTICS": "1",
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    status = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, env=environment, check=False).returncode
    if status:
        raise DataError(f"`dvc repro` must succeed, got exit status {status}; its own lines above say why")


def _settle(server: Server) -> None:
    """Wait until every row that was answered is in the database."""
    if not wait_until(lambda: _unmoved_rows(server) == 0, SETTLE_SECONDS, 0.2):
        raise Unavailable(f"the spool must be moved within {SETTLE_SECONDS} s, got rows left; see `{server.log}`")


def _unmoved_rows(server: Server) -> float | None:
    with urllib.request.urlopen(server.metrics, timeout=5) as answer:  # noqa: S310 - our own server
        lines = answer.read().decode().splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{UNMOVED} ")), None)
