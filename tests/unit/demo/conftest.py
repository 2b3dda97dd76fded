"""A demo that went well, small enough to read."""

from typing import Any

import msgspec
import numpy as np
import pytest

from contracts.artifact import Git, Provenance
from contracts.objectives import Objectives
from contracts.reports.evaluation import MonthQuality
from contracts.reports.monitoring import Monitoring, Task
from demo.evidence import Answer, Evidence, Memory, Refusal, Replay
from tasks.flights.schema import SCHEMA
from tests.support.reports import evaluated

MONTHS = ("2013-07", "2013-08")
DIGEST = "3f9ac1d2" * 8
ROWS = 2_400
ORIGIN = Provenance(
    digest=DIGEST,
    created_at="2026-11-24T08:00:00Z",
    git=Git("17e5556c0ffee", dirty=True),
    mlflow_run_id="0b7e4a1f",
    data_sha256={},
    parameters={},
    versions={},
)


def months(auc: float) -> list[MonthQuality]:
    return [MonthQuality(1_100, 0.2, auc, 0.4, 0.13, 0.02, month=month) for month in MONTHS]


def monitored(auc: float) -> list[dict[str, Any]]:
    drift = [
        {"feature": "temp", "method": "wasserstein", "threshold": 0.1, "value": 0.4, "drifted": True,
         "missing_share": 0.01, "reference_missing_share": 0.0, "reason": None},
        {"feature": "carrier", "method": "jensenshannon", "threshold": 0.1, "value": None, "drifted": None,
         "missing_share": 1.0, "reference_missing_share": 0.0, "reason": "fewer than 30 known values to compare"},
    ]  # fmt: skip
    return [
        {
            "month": month.month, "rows": 1_200, "other_inputs": 0, "labelled": 1_100, "unlabelled": 100,
            "models": {DIGEST: 1_200}, "mean_score": 0.2,
            "quality": {k: v for k, v in msgspec.to_builtins(month).items() if k != "month"}, "quality_unknown": None,
            "drift": drift, "drifted": 1, "drift_rows": 1_200, "page": f"monitoring/{month.month}.html",
            "latency": {p: {"rows": 600, "p50_ms": 0.2, "p99_ms": 0.9} for p in ("rest", "grpc")},
        }
        for month in months(auc)
    ]  # fmt: skip


def monitoring(auc: float) -> Monitoring:
    found = monitored(auc)
    window = {name: value for name, value in found[0].items() if name != "month"}
    return msgspec.convert(
        {
            "format": 2, "generated_at": "2026-11-24T08:00:00+00:00", "task": msgspec.to_builtins(Task.of(SCHEMA)),
            "limits": {"monitor_silent_hours": 3},
            "release": {"digest": DIGEST, "released": "student", "as_of": "2013-07-01", "metrics": {}},
            "reference": {"rows": 5_000}, "months": found, "window": window | {"days": 28, "first": None, "last": None},
            "clock": "event", "watched": [],
            "errors": {"rest": 6, "grpc": 3}, "errors_unknown": None,
        },
        Monitoring,
    )  # fmt: skip


@pytest.fixture
def good() -> Evidence:
    ids = np.array([f"20130701-0515-UA{i}-EWR-IAH" for i in range(ROWS)])
    scores = np.linspace(0.01, 0.99, ROWS)
    traffic = Replay(
        ids=ids,
        months=np.repeat(MONTHS, ROWS // 2),
        protocols=np.array(["rest", "grpc"])[np.arange(ROWS) % 2],
        scores=scores,
        latency_us=np.full(ROWS, 1_500, np.int64),
        other_scores=np.where(np.arange(ROWS) < 2_000, scores + 5e-8, np.nan),
        statuses={"rest 200": 2_200, "grpc OK": 2_200},
        labels=2_200,
        seconds=2.0,
    )
    return Evidence(
        schema=SCHEMA,
        origin=ORIGIN,
        objectives=Objectives(),
        rows=ROWS,
        training_rows=166_158,
        replay=traffic,
        logged_ids=ids.copy(),
        logged_scores=scores.copy(),
        batch_rows=4_096,
        alone=scores[:64],
        together=scores[:64].copy(),
        latency_rounds_ms={"rest": [1.2, 30.0, 1.1], "grpc": [1.9, 1.8, 2.0]},
        monitoring=monitoring(0.75),
        evaluation=evaluated(months(0.75), teacher=months(0.751), lightgbm=months(0.755), logistic=months(0.7)),
        model_bytes=41_000,
        tolerated=[Answer("an unknown category", "200", "0.2"), Answer("missing values", "200", "0.3")],
        malformed=[
            Answer("not JSON", "400", '{"error":"the body must be JSON"}'),
            Answer("gRPC", "INVALID_ARGUMENT", "no"),
        ],
        after_malformed=Answer("a good row", "200", "0.2"),
        without_token=[Answer("REST no token", "401", "no"), Answer("gRPC no token", "UNAUTHENTICATED", "no")],
        damaged=Refusal(1, f"Error: artifact `store/{DIGEST}` must be signed", DIGEST),
        memory=Memory(1_200_000_000, "PSS", 400),
    )
