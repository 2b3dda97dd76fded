"""The time lines of the page: AUC in the band that the scores promised, volume, missing values, with release marks."""

from dataclasses import dataclass

from markupsafe import Markup

from contracts.reports.watching import Timeline
from web.weeks import weeks_chart


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart with its headline."""

    title: str
    chart: Markup


def pictures(timeline: Timeline, rows: str) -> list[Picture]:
    """One a question; none for fewer than two weeks.

    Args:
        rows: what rows are called: "flights".
    """
    weeks = timeline.weeks
    if len(weeks) < 2:
        return []
    days = [week.first for week in weeks]
    marks = [(day, f"{digest[:7]} champion") for day, digest in timeline.releases]
    band = [
        None if week.expected_low is None or week.expected_high is None else (week.expected_low, week.expected_high)
        for week in weeks
    ]
    auc = "AUC by week, in the band that the scores promised"
    volume, missing = f"{rows.capitalize()} by week", "Share of missing values by week"
    counts = [float(week.rows) for week in weeks]
    return [
        Picture(auc, weeks_chart(auc, days, [week.auc for week in weeks], band, marks)),
        Picture(volume, weeks_chart(volume, days, counts, height=150, unit="k")),
        Picture(missing, weeks_chart(missing, days, [week.missing for week in weeks], height=150, unit="%")),
    ]
