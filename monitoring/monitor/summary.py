"""Some rows of the prediction log as a summary: quality, drift, latency. What cannot be known is None."""

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from contracts.reports.monitoring import PROTOCOLS, Latency, Quality, Summary
from contracts.schema import Schema
from monitoring.log.reader import Predictions
from monitoring.monitor.drift import Sample, compare
from monitoring.statistics import quality

SAMPLE_ROWS: Final = 5_000  # rows that are compared, at most; as many as the reference has: no distance moves by .05
SEED: Final = 0


def summarise(
    log: Predictions, reference: Sample, schema: Schema, drift_distance: float, *, labels_of_each: int = 1, path: str
) -> tuple[Summary, bytes | None]:
    """The rows of `log` in numbers, and Evidently's page about them.

    Args:
        drift_distance: from which on a feature has drifted.
        labels_of_each: rows of each class that must have a label, below which the quality is unknown.
        path: of the page, kept in the summary when there is one.

    Returns:
        No page (None) when nothing could be compared.
    """
    rows, labelled = len(log.score), ~np.isnan(log.label)
    current = Sample(log.numeric, log.category).draw(SAMPLE_ROWS, SEED)
    drift, html = compare(reference, current, schema, drift_distance) if rows else ((), None)
    digests, counts = np.unique(log.digest.astype(str), return_counts=True)
    measured, unknown = _quality(log.label[labelled], log.score[labelled], schema, labels_of_each)
    summary = Summary(
        rows=rows,
        other_inputs=log.other_inputs,
        labelled=int(labelled.sum()),
        unlabelled=rows - int(labelled.sum()),
        models=dict(zip(digests.tolist(), counts.tolist(), strict=True)),
        mean_score=float(log.score.mean()) if rows else None,
        quality=measured,
        quality_unknown=unknown,
        drift=drift,
        drifted=sum(feature.drifted is True for feature in drift) if rows else None,
        drift_rows=len(current),
        page=path if html else None,
        latency={name: _latency(log.duration_us[log.protocol == name]) for name in PROTOCOLS},
    )
    return summary, html


def _quality(
    label: NDArray[np.float64], score: NDArray[np.float64], schema: Schema, labels_of_each: int
) -> tuple[Quality | None, str | None]:
    """Quality, or why it is unknown."""
    count = int((label == 1).sum())
    if reason := _unknown(count, len(label) - count, schema, labels_of_each):
        return None, reason
    return Quality(**msgspec.structs.asdict(quality.measure(label, score))), None


def _unknown(positive: int, negative: int, schema: Schema, labels_of_each: int) -> str | None:
    """Why the quality cannot be told; None: it can."""
    rows, word = schema.subject.plural, schema.target.positive
    if positive + negative == 0:
        return "no label has arrived"
    if not positive or not negative:
        return f"all {positive + negative} labelled {rows} are {word if positive else f'not {word}'}"
    if min(positive, negative) < labels_of_each:
        return f"only {positive} {word} and {negative} other labelled {rows}, fewer than {labels_of_each} of each"
    return None


def _latency(duration_us: NDArray[np.int64]) -> Latency:
    if len(duration_us) == 0:
        return Latency(0, None, None)
    p50, p99 = (np.percentile(duration_us, [50, 99]) / 1000).tolist()
    return Latency(len(duration_us), p50, p99)
