"""The report for a terminal."""

from collections.abc import Iterator

from contracts.reports.incidents import IncidentResult, IncidentsReport


def lines(report: IncidentsReport) -> Iterator[str]:
    """A line for each incident, then the quiet time."""
    yield f"{'incident':<28}{'noticed':>10}{'low':>6}{'median':>9}{'p90':>8}{'cause':>8}  by"
    for one in report.incidents:
        yield _line(one)
    for name in report.not_here:
        yield f"{name:<28} cannot happen here: no such feature, or no promtool"
    if report.quiet:
        quiet = report.quiet
        yield f"{quiet.months:g} months without a fault: {quiet.pages} pages, {quiet.tickets} tickets"
        for alarm in quiet.alarms:
            yield f"  {alarm.severity} {alarm.detector} {alarm.first} to {alarm.last}: {', '.join(alarm.subjects)}"


def _line(one: IncidentResult) -> str:
    shown = [f"{value:g} h" if value is not None else "-" for value in (one.delay_hours.median, one.delay_hours.p90)]
    noticed, cause = f"{one.detected} of {one.seeds}", f"{one.named_cause_right} of {one.detected}"
    if one.kind == "silent":
        return f"{one.name:<28}{noticed:>10}  alarms; none is right"
    rules = ", ".join(fired.alert for fired in one.fired[:3])
    by = f"{one.detector} ({one.severity})" if one.detector else "nothing"
    return f"{one.name:<28}{noticed:>10}{one.detected_low:>6.2f}{shown[0]:>9}{shown[1]:>8}{cause:>8}  {by} {rules}"
