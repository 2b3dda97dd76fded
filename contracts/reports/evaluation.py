"""reports/evaluation.json and reports/plots/months.json: every model on every month after `as_of`."""

from typing import Literal

from contracts.artifact import Released
from contracts.reports import Part
from contracts.reports.quality import Interval, Quality


class MonthQuality(Quality, frozen=True, kw_only=True):
    """`month`: "2013-07"."""

    month: str


class MonthPoint(MonthQuality, frozen=True, kw_only=True):
    """A point of the plot."""

    model: str


class ModelMonths(Part, frozen=True):
    """`mean_auc` over the months that have one; None when none has."""

    months: list[MonthQuality]
    mean_auc: float | None


class EvaluationReport(Part, frozen=True):
    """What each model would have done in production.

    Attributes:
        months, mean_auc: of the released model.
        unlabelled: month -> rows that were left out, as they have no label.
        auc_differences: "<a>_less_<b>" -> difference over all months; None where only one class or day is there.
    """

    format: Literal[1]
    as_of: str
    released: Released
    months: list[MonthQuality]
    mean_auc: float | None
    unlabelled: dict[str, int]
    teacher: ModelMonths
    student: ModelMonths
    control: ModelMonths
    baselines: dict[str, ModelMonths]
    auc_differences: dict[str, Interval | None]
