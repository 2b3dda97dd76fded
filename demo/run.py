"""`make demo`: reproduce, release, serve, refuse, replay, drain, monitor, judge, report."""

import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from contracts.artifact import MODEL
from contracts.errors import DataError, Unavailable, WindsockError
from contracts.files import write_json
from demo.checks import Check, judge
from demo.evidence import Evidence
from demo.memory import MemorySampler
from demo.page import write_page
from demo.probes import BATCH_ROWS, probe
from demo.replay import read_token, replay
from demo.rows import read_flights
from demo.scrape import scraping
from demo.server import Server, refused_start, serving
from monitoring.log.reader import read_predictions
from monitoring.monitor import job
from monitoring.monitor.calendar import new_york_months
from registry.release import release

logger = logging.getLogger(__name__)

STARTED: Final = "WINDSOCK_DEMO_STARTED"  # epoch seconds, set by `make demo` before it installs anything
SETTLE_SECONDS: Final = 60  # for the spool's last rows to reach the database
UNMOVED: Final = "windsock_spool_unmoved_rows"


def run(root: Path) -> bool:
    """Run the line, judge it, and write `reports/demo.json` and `reports/demo.html`.

    Returns:
        True when every check passed. Whatever breaks on the way is a failed check, and the server is stopped.
    """
    started = float(os.environ.get(STARTED) or time.time())
    evidence: Evidence | None = None
    try:
        evidence = gather(root)
        checks = judge(evidence)
    except Exception as error:  # whatever it was, the verdict must say so
        if not isinstance(error, WindsockError):
            logger.exception("The demo broke off")
        checks = [Check("the line runs to its end", False, "no error", f"{type(error).__name__}: {error}")]
    passed = all(check.passed for check in checks)
    report = {
        "verdict": "pass" if passed else "fail",
        "seconds": round(time.time() - started, 1),
        "checks": [asdict(check) for check in checks],
    }
    write_json(root / "reports/demo.json", report)
    write_page(root, report, evidence)
    for check in checks:
        logger.info("%s  %s: %s", "ok  " if check.passed else "FAIL", check.name, check.measured)
    logger.info("%s in %.0f s: %s", report["verdict"], report["seconds"], root / "reports/demo.html")
    return passed


def gather(root: Path) -> Evidence:
    """Do all of it once, and keep what was seen."""
    state = root / "state/demo"
    shutil.rmtree(state, ignore_errors=True)
    with MemorySampler() as sampler:
        logger.info("Running the pipeline ...")
        reproduce(root)
        evaluation = _read(root / "reports/evaluation.json")
        first, last = evaluation["months"][0]["month"], evaluation["months"][-1]["month"]
        logger.info("Releasing the candidate ...")
        digest = release(root)
        logger.info("Starting a service on a damaged copy of the model ...")
        damaged = refused_start(root, state / "damaged", digest)
        logger.info("Starting the service, and asking it what it should and should not answer ...")
        features = root / "data/features.parquet"
        with serving(root, state) as server, scraping(state, server) as scraped:
            some = read_flights(features, first, first).rows(slice(BATCH_ROWS))
            probes = asyncio.run(probe(some, server.rest, server.grpc, read_token(server.token_file)))
            traffic = replay(
                features,
                first,
                last,
                rest=server.rest,
                grpc=server.grpc,
                token_file=server.token_file,
                evidence=state / "replay.json",
            )
            _settle(server)
            logger.info("Looking at quality, drift and latency by month ...")
            monitoring = job.run(
                root,
                server.database_url,
                server.metrics,
                *(first, last),
                store=root / "artifacts/store",
                public_key=root / "secrets/signing.pub",
            )
            seen = scraped()
        logged = read_predictions(server.database_url, *_span(first, last))
        sent = new_york_months(logged.event_time)
        of_replay = (sent >= first) & (sent <= last)
    rows = {month["month"]: month["rows"] for month in _read(root / "reports/features.json")["months"]}
    return Evidence(
        flights=sum(n for month, n in rows.items() if first <= month <= last),
        training_rows=sum(n for month, n in rows.items() if month < first),
        replay=traffic,
        logged_ids=logged.request_id[of_replay].astype(str),
        logged_scores=logged.score[of_replay],
        monitoring=monitoring,
        evaluation=evaluation,
        model_bytes=(root / "artifacts/store" / digest / MODEL).stat().st_size,
        damaged=damaged,
        memory=sampler.memory(),
        scraped=seen,
        **{name: getattr(probes, name) for name in probes.__slots__},
    )


def reproduce(root: Path) -> None:
    """`dvc repro`: what changed, and nothing else. Its lines go where ours go.

    Raises:
        DataError: a stage fails.
    """
    # The stages say `windsock`, which is beside this Python; nothing of the caller's own settings.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WINDSOCK_")}
    environment |= {"DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    status = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, env=environment, check=False).returncode
    if status:
        raise DataError(f"`dvc repro` must succeed, got exit status {status}; its own lines above say why")


def _read(report: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"`{report}` must be a report of the pipeline, got: {error}; run `dvc repro`") from error
    return content


def _span(first: str, last: str) -> tuple[datetime, datetime]:
    """Instants around these months of New York, with days to spare on both sides."""
    begin, end = (datetime.fromisoformat(f"{month}-01") for month in (first, last))
    return begin - timedelta(days=1), end + timedelta(days=33)


def _settle(server: Server) -> None:
    """Wait until every row that was answered is in the database."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline:
        with urllib.request.urlopen(server.metrics, timeout=5) as answer:  # noqa: S310 - our own server
            lines = answer.read().decode().splitlines()
        if [float(line.split()[1]) for line in lines if line.startswith(f"{UNMOVED} ")] == [0.0]:
            return
        time.sleep(0.2)
    raise Unavailable(f"the spool must be moved within {SETTLE_SECONDS} s, got rows left; see `{server.log}`")
