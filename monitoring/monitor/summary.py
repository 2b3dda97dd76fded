"""Some rows of the prediction log as plain JSON data: quality, drift, latency. What cannot be known is None."""

from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.log.reader import Predictions
from monitoring.monitor.drift import FeatureDrift, Sample, compare
from monitoring.statistics import quality

PROTOCOLS: Final = ("rest", "grpc")
SAMPLE_ROWS: Final = 5_000  # of the rows that are compared, as many as the reference has: no distance moves by .05
SEED: Final = 0


def summarise(
    log: Predictions, reference: Sample, *, labels_of_each: int = 1, path: str
) -> tuple[dict[str, Any], bytes | None]:
    """The rows of `log`, and Evidently's page about them; None: nothing could be compared.

    Args:
        labels_of_each: late and punctual flights that must have a label, below which the quality is unknown.
        path: of the page, kept in the summary when there is one.
    """
    rows, labelled = len(log.score), ~np.isnan(log.label)
    current = Sample(log.numeric, log.category).draw(SAMPLE_ROWS, SEED)
    drift: list[FeatureDrift] = []
    html = None
    if rows:
        drift, html = compare(reference, current)
    digests, counts = np.unique(log.digest.astype(str), return_counts=True)
    summary = {
        "rows": rows,
        "labelled": int(labelled.sum()),
        "unlabelled": rows - int(labelled.sum()),
        "models": dict(zip(digests.tolist(), counts.tolist(), strict=True)),
        "mean_score": float(log.score.mean()) if rows else None,
        **_quality(log.label[labelled], log.score[labelled], labels_of_each),
        "drift": [asdict(feature) for feature in drift],
        "drifted": sum(feature.drifted is True for feature in drift) if rows else None,
        "drift_rows": len(current),
        "page": path if html else None,
        "latency": {name: _latency(log.duration_us[log.protocol == name]) for name in PROTOCOLS},
    }
    return summary, html


def _quality(late: NDArray[np.float64], score: NDArray[np.float64], labels_of_each: int) -> dict[str, Any]:
    count = int((late == 1).sum())
    if reason := _unknown(count, len(late) - count, labels_of_each):
        return {"quality": None, "quality_unknown": reason}
    return {"quality": asdict(quality.measure(late, score)), "quality_unknown": None}


def _unknown(late: int, punctual: int, labels_of_each: int) -> str | None:
    """Why the quality cannot be told; None: it can."""
    if late + punctual == 0:
        return "no label has arrived"
    if not late or not punctual:
        return f"all {late + punctual} labelled flights are {'late' if late else 'not late'}"
    if min(late, punctual) < labels_of_each:
        return f"only {late} late and {punctual} other labelled flights, fewer than {labels_of_each} of each"
    return None


def _latency(duration_us: NDArray[np.int64]) -> dict[str, float | int | None]:
    """Of the service itself, in milliseconds, by its own clock."""
    if len(duration_us) == 0:
        return {"rows": 0, "p50_ms": None, "p99_ms": None}
    p50, p99 = (np.percentile(duration_us, [50, 99]) / 1000).tolist()
    return {"rows": len(duration_us), "p50_ms": p50, "p99_ms": p99}
