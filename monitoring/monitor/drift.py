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

from contracts.reports.monitoring import FeatureDrift, Method
from contracts.schema import Category, Numeric, Schema

MIN_ROWS: Final = 30  # known values of a feature, below which a distance says nothing


def methods(schema: Schema) -> dict[str, Method]:
    """Distance of each feature, in the schema's order.

    Wasserstein distance in standard deviations of the reference; Jensen-Shannon distance, 0 to 1. Neither turns every
    tiny shift of a large month into an alarm, as a test of significance does (Kolmogorov-Smirnov fires at .5 %).
    """
    numbers: dict[str, Method] = dict.fromkeys(schema.numeric_names, "wasserstein")
    return numbers | dict.fromkeys(schema.category_names, "jensenshannon")


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows to compare. `numeric` float32 [n, k], NaN is missing; `category` str [n, c], "" is missing."""

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

    def missing(self) -> list[float]:
        """Share of missing values by feature, numbers first."""
        numeric, category = np.isnan(self.numeric).mean(axis=0), (self.category == "").mean(axis=0)
        return [*numeric.tolist(), *category.tolist()]


def compare(
    reference: Sample, current: Sample, schema: Schema, threshold: float
) -> tuple[tuple[FeatureDrift, ...], bytes | None]:
    """Distance of each feature from the reference, in the schema's order, and Evidently's HTML about them.

    Args:
        threshold: distance from which on a feature has drifted, one for all.

    Returns:
        No HTML (None) when no feature can be compared.
    """
    missing = dict(zip(schema.names, zip(current.missing(), reference.missing(), strict=True), strict=True))
    known = {
        name: min(len(current) * (1 - absent), len(reference) * (1 - reference_absent))
        for name, (absent, reference_absent) in missing.items()
    }
    comparable = [name for name in schema.names if known[name] >= MIN_ROWS]
    values, html = _evidently(reference, current, comparable, schema, threshold) if comparable else ({}, None)
    features = tuple(
        FeatureDrift(
            feature=name,
            method=method,
            threshold=threshold,
            value=values.get(name),
            drifted=values[name] >= threshold if name in values else None,
            missing_share=missing[name][0],
            reference_missing_share=missing[name][1],
            reason=None if name in values else f"fewer than {MIN_ROWS} known values to compare",
        )
        for name, method in methods(schema).items()
    )
    return features, html


def _evidently(
    reference: Sample, current: Sample, names: list[str], schema: Schema, threshold: float
) -> tuple[dict[str, float], bytes]:
    os.environ["DO_NOT_TRACK"] = "1"  # Evidently reads it when it is imported
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its libraries': deprecations at import, 0 / 0 where a column is constant
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        definition = DataDefinition(
            numerical_columns=[name for name in schema.numeric_names if name in names],
            categorical_columns=[name for name in schema.category_names if name in names],
        )
        by_name = methods(schema)
        preset = DataDriftPreset(
            columns=names,
            per_column_method={name: by_name[name] for name in names},
            per_column_threshold=dict.fromkeys(names, threshold),
        )
        old = Dataset.from_pandas(_frame(reference, names, schema), data_definition=definition)
        new = Dataset.from_pandas(_frame(current, names, schema), data_definition=definition)
        run = Report([preset]).run(new, old)
        return _values(run.dict()), run.get_html_str(as_iframe=False).encode()


def _frame(sample: Sample, names: list[str], schema: Schema) -> Any:
    import pandas as pd

    numeric = dict(zip(schema.numeric_names, sample.numeric.T, strict=True))
    category = {
        name: np.where(c == "", None, c) for name, c in zip(schema.category_names, sample.category.T, strict=True)
    }
    return pd.DataFrame({**numeric, **category})[names]


def _values(report: dict[str, Any]) -> dict[str, float]:
    """Distance by column out of Evidently 0.7's `Snapshot.dict()`."""
    return {
        metric["config"]["column"]: float(metric["value"])
        for metric in report["metrics"]
        if metric["config"]["type"].endswith(":ValueDrift")
    }
