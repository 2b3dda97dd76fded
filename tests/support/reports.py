"""Reports of a pipeline that nobody ran."""

from contracts.reports.evaluation import EvaluationReport, ModelMonths, MonthQuality


def evaluated(
    months: list[MonthQuality],
    *,
    teacher: list[MonthQuality] | None = None,
    lightgbm: list[MonthQuality] | None = None,
    logistic: list[MonthQuality] | None = None,
) -> EvaluationReport:
    """The report on a released student; models without months of their own have the student's."""
    ours, others = _model(months), {"lightgbm": lightgbm, "logistic_regression": logistic}
    return EvaluationReport(
        format=1,
        as_of="2013-07-01",
        released="student",
        months=ours.months,
        mean_auc=ours.mean_auc,
        unlabelled={},
        teacher=_model(teacher or months),
        student=ours,
        control=ours,
        baselines={name: _model(given or months) for name, given in others.items()},
        auc_differences={},
    )


def _model(months: list[MonthQuality]) -> ModelMonths:
    known = [month.auc for month in months if month.auc is not None]
    return ModelMonths(months, sum(known) / len(known) if known else None)
