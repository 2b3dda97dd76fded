"""reports/features.json: rows, labels and missing values of the table of features."""

from typing import Literal

from contracts.reports import Part


class FeatureMonth(Part, frozen=True):
    """`positive_share` of the labelled rows; None when there are none."""

    month: str
    rows: int
    labelled: int
    positive_share: float | None


class FeaturesReport(Part, frozen=True):
    """`missing_share`: numeric feature -> share of its rows without a value."""

    format: Literal[1]
    rows: int
    labelled: int
    months: list[FeatureMonth]
    missing_share: dict[str, float]
