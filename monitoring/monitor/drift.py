"""Drift of each feature against the training period, by Evidently, with every method and threshold written down.

Drift is information: nothing here decides anything (docs/adr/0010). Evidently picks other methods by the size
of the reference when it is not told, and drops missing values before it compares; so methods are explicit and
the share of missing values is reported beside each distance.
"""

import os
import warnings
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from contracts.features import CATEGORY_NAMES, NUMERIC_NAMES, Category, Numeric

NAMES: Final = (*NUMERIC_NAMES, *CATEGORY_NAMES)
# Wasserstein distance in standard deviations of the reference; Jensen-Shannon distance, 0 to 1. Neither turns every
# tiny shift of a large month into an alarm, as a test of significance does (Kolmogorov-Smirnov fires at .5 %).
METHODS: Final = {**dict.fromkeys(NUMERIC_NAMES, "wasserstein"), **dict.fromkeys(CATEGORY_NAMES, "jensenshannon")}
# One for all, Evidently's own. Weather has seasons: these months cross it in many columns, which is no fault.
THRESHOLDS: Final = dict.fromkeys(NAMES, 0.1)
MIN_ROWS: Final = 30  # known values of a feature, below which a distance says nothing


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows to compare. `numeric` float32 [n, 31], NaN is missing; `category` str [n, 3], "" is missing."""

    numeric: Numeric
    category: Category

    def __len__(self) -> int:
        return len(self.numeric)

    def draw(self, rows: int, seed: int) -> "Sample":
        """At most `rows` of them, without repetition, in their order."""
        if len(self) <= rows:
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), rows, replace=False))
        return Sample(self.numeric[chosen], self.category[chosen])

    def missing(self) -> dict[str, float]:
        """Share of missing values by feature."""
        numeric, category = np.isnan(self.numeric).mean(axis=0), (self.category == "").mean(axis=0)
        return dict(zip(NAMES, [*numeric.tolist(), *category.tolist()], strict=True))


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature in one month. `value` is None where there was too little to compare, and `reason` says so."""

    feature: str
    method: str
    threshold: float
    value: float | None
    drifted: bool | None
    missing_share: float
    reference_missing_share: float
    reason: str | None = None


def compare(reference: Sample, current: Sample) -> tuple[list[FeatureDrift], bytes | None]:
    """Distance of each feature from the reference, in the contract's order, and Evidently's HTML about them.

    Returns:
        No HTML (None) when no feature can be compared.
    """
    missing, reference_missing = current.missing(), reference.missing()
    known = {
        name: min(len(current) * (1 - missing[name]), len(reference) * (1 - reference_missing[name])) for name in NAMES
    }
    comparable = [name for name in NAMES if known[name] >= MIN_ROWS]
    values, html = _evidently(reference, current, comparable) if comparable else ({}, None)
    features = [
        FeatureDrift(
            feature=name,
            method=METHODS[name],
            threshold=THRESHOLDS[name],
            value=values.get(name),
            drifted=values[name] >= THRESHOLDS[name] if name in values else None,
            missing_share=missing[name],
            reference_missing_share=reference_missing[name],
            reason=None if name in values else f"fewer than {MIN_ROWS} known values to compare",
        )
        for name in NAMES
    ]
    return features, html


def _evidently(reference: Sample, current: Sample, names: list[str]) -> tuple[dict[str, float], bytes]:
    os.environ["DO_NOT_TRACK"] = "1"  # Evidently reads it when it is imported
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its libraries': deprecations at import, 0 / 0 where a column is constant
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        definition = DataDefinition(
            numerical_columns=[name for name in NUMERIC_NAMES if name in names],
            categorical_columns=[name for name in CATEGORY_NAMES if name in names],
        )
        preset = DataDriftPreset(
            columns=names,
            per_column_method={name: METHODS[name] for name in names},
            per_column_threshold={name: THRESHOLDS[name] for name in names},
        )
        old = Dataset.from_pandas(_frame(reference, names), data_definition=definition)
        new = Dataset.from_pandas(_frame(current, names), data_definition=definition)
        run = Report([preset]).run(new, old)
        return _values(run.dict()), run.get_html_str(as_iframe=False).encode()


def _frame(sample: Sample, names: list[str]) -> Any:
    import pandas as pd

    numeric = {name: sample.numeric[:, i] for i, name in enumerate(NUMERIC_NAMES)}
    category = {name: np.where(c == "", None, c) for name, c in zip(CATEGORY_NAMES, sample.category.T, strict=True)}
    return pd.DataFrame({**numeric, **category})[names]


def _values(report: dict[str, Any]) -> dict[str, float]:
    """Distance by column out of Evidently 0.7's `Snapshot.dict()`."""
    return {
        metric["config"]["column"]: float(metric["value"])
        for metric in report["metrics"]
        if metric["config"]["type"].endswith(":ValueDrift")
    }
