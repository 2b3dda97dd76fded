"""What the prediction log says about each month: quality, drift, latency, errors.

Quality is measured where labels have arrived. Where it cannot be, it is unknown with the reason, never good.
"""

import logging
import urllib.request
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from contracts.errors import DataError
from contracts.features import CATEGORY_NAMES, HORIZON_HOURS, NUMERIC_NAMES
from contracts.files import write_json
from contracts.params import load_params
from monitoring import quality
from monitoring.drift import FeatureDrift, Sample, compare
from monitoring.log import Predictions, read_predictions

logger = logging.getLogger(__name__)

NEW_YORK: Final = ZoneInfo("America/New_York")
SAMPLE_ROWS: Final = 20_000  # of a month and of the reference: no distance moves by more than .03 against all rows
SEED: Final = 0
PROTOCOLS: Final = ("rest", "grpc")
ERRORS_TOTAL: Final = "windsock_errors"  # monitoring.metrics; the parser drops the suffix `_total`
Months = NDArray[np.str_]


def run(
    root: Path, database_url: str, metrics_url: str | None, first: str | None = None, last: str | None = None
) -> dict[str, Any]:
    """Report every month of the log, and write `reports/monitoring.json` and `reports/monitoring/<month>.html`.

    Args:
        root: holds `params.yaml` and `data/features.parquet`, the source of the reference.
        metrics_url: of the service, for its errors since it started; None leaves them unknown.
        first: first month, "2013-07", inclusive; None is the log's first.
        last: last month, inclusive; None is the log's last.

    Raises:
        DataError: no log, no row in it in these months, or no features to take the reference from.
    """
    as_of = load_params(root / "params.yaml").as_of
    log = read_predictions(database_url, datetime(1900, 1, 1), datetime(2200, 1, 1))
    months = new_york_months(log.event_time)
    seen = [m for m in np.unique(months).tolist() if (first or m) <= m <= (last or m)]
    if not seen:
        asked = f"{first or 'any month'} to {last or 'now'}"
        raise DataError(f"the prediction log must hold predictions ({asked}), got none; run `windsock replay`")
    names = _range(first or seen[0], last or seen[-1])
    reference, training_rows = read_reference(root / "data/features.parquet", f"{as_of:%Y-%m}")
    report = {
        "reference": {"before": f"{as_of:%Y-%m}", "rows": len(reference), "drawn_from": training_rows, "seed": SEED},
        "months": [],
        **_errors(metrics_url),
    }
    for name in names:
        report["months"].append(describe(name, log, months == name, reference, root / "reports"))
        _say(report["months"][-1])
    write_json(root / "reports/monitoring.json", report)
    return report


def describe(
    month: str, log: Predictions, of_month: NDArray[np.bool_], reference: Sample, reports: Path
) -> dict[str, Any]:
    """One month as plain JSON data; the keys that cannot be known are None."""
    rows, labelled = int(of_month.sum()), of_month & ~np.isnan(log.late)
    page = reports / "monitoring" / f"{month}.html"
    current = Sample(log.numeric[of_month], log.category[of_month]).draw(SAMPLE_ROWS, SEED)
    drift = compare(reference, current, page) if rows else []
    digests, counts = np.unique(log.digest[of_month].astype(str), return_counts=True)
    return {
        "month": month,
        "rows": rows,
        "labelled": int(labelled.sum()),
        "unlabelled": rows - int(labelled.sum()),
        "models": dict(zip(digests.tolist(), counts.tolist(), strict=True)),
        "mean_score": float(log.score[of_month].mean()) if rows else None,
        **_quality(log.late[labelled], log.score[labelled]),
        "drift": [asdict(feature) for feature in drift],
        "drifted": sum(feature.drifted is True for feature in drift) if rows else None,
        "drift_rows": len(current),
        "page": str(page.relative_to(reports)) if _compared(drift) else None,
        "latency": {name: _latency(log.duration_us[of_month & (log.protocol == name)]) for name in PROTOCOLS},
    }


def new_york_months(event_time: NDArray[np.datetime64]) -> Months:
    """[n] of "2013-07": the month, in New York, of the departure that was asked about.

    Args:
        event_time: datetime64 [n], UTC: when it was asked, `HORIZON_HOURS` before departure.
    """
    # New York's offset is whole hours, so the hour decides, and few of them are distinct.
    hours, inverse = np.unique(event_time.astype("datetime64[h]") + HORIZON_HOURS, return_inverse=True)
    local = [hour.replace(tzinfo=UTC).astimezone(NEW_YORK) for hour in hours.astype("datetime64[s]").tolist()]
    return np.array([f"{hour:%Y-%m}" for hour in local], dtype="U7")[inverse]


def read_reference(features: Path, before: str) -> tuple[Sample, int]:
    """The fixed sample of the training period, and how many rows it was drawn from.

    Args:
        before: first month that is not of the training period, "2013-07".
    """
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(
            features, columns=[*NUMERIC_NAMES, *CATEGORY_NAMES], filters=[("local_month", "<", before)]
        )
    except (OSError, ValueError) as error:
        raise DataError(f"`{features}` must be the table of features, got: {error}; run `dvc repro`") from error
    numeric = np.column_stack([table[name].to_numpy().astype(np.float32) for name in NUMERIC_NAMES])
    category = np.column_stack([table[name].to_numpy(zero_copy_only=False) for name in CATEGORY_NAMES])
    return Sample(numeric, category).draw(SAMPLE_ROWS, SEED), table.num_rows


def _quality(late: NDArray[np.float64], score: NDArray[np.float64]) -> dict[str, Any]:
    if len(late) == 0:
        return {"quality": None, "quality_unknown": "no label has arrived"}
    measured = quality.measure(late, score)
    if measured.auc is None:
        which = "late" if late[0] else "not late"
        return {"quality": None, "quality_unknown": f"all {len(late)} labelled flights are {which}"}
    return {"quality": asdict(measured), "quality_unknown": None}


def _latency(duration_us: NDArray[np.int64]) -> dict[str, float | int | None]:
    """Of the service itself, in milliseconds, by its own clock."""
    if len(duration_us) == 0:
        return {"rows": 0, "p50_ms": None, "p99_ms": None}
    p50, p99 = (np.percentile(duration_us, [50, 99]) / 1000).tolist()
    return {"rows": len(duration_us), "p50_ms": p50, "p99_ms": p99}


def _errors(metrics_url: str | None) -> dict[str, Any]:
    """Errors by protocol since the service started, from its Prometheus page."""
    if metrics_url is None:
        return {"errors": None, "errors_unknown": "no address of the service's metrics was given"}
    from prometheus_client.parser import text_string_to_metric_families

    try:
        with urllib.request.urlopen(metrics_url, timeout=5) as answer:  # noqa: S310 - the operator's own address
            families = list(text_string_to_metric_families(answer.read().decode()))
    except (URLError, OSError, ValueError) as error:
        return {"errors": None, "errors_unknown": f"{metrics_url} must answer with Prometheus metrics, got: {error}"}
    counts = dict.fromkeys(PROTOCOLS, 0)
    for sample in (s for family in families if family.name == ERRORS_TOTAL for s in family.samples):
        if sample.name.endswith("_total") and sample.labels.get("protocol") in counts:
            counts[sample.labels["protocol"]] += int(sample.value)
    return {"errors": counts, "errors_unknown": None}


def _compared(drift: list[FeatureDrift]) -> bool:
    return any(feature.value is not None for feature in drift)


def _range(first: str, last: str) -> list[str]:
    return np.arange(np.datetime64(first, "M"), np.datetime64(last, "M") + 1).astype(str).tolist()


def _say(month: dict[str, Any]) -> None:
    measured = month["quality"]
    auc = f"AUC {measured['auc']:.4f}" if measured else f"quality unknown ({month['quality_unknown']})"
    logger.info(
        "%s: %d flights, %d labelled, %s, %s of %d features drifted",
        month["month"], month["rows"], month["labelled"], auc, month["drifted"], len(month["drift"]),
    )  # fmt: skip
