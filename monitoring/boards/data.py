"""Dashboard *data*: drift by feature against its threshold, freshness, missing and unknown inputs, labels."""

from contracts.objectives import Objectives
from monitoring.boards.panels import BLUE, FILTER, GREEN, RED, YELLOW, Frame, Panel, Query, bars, course, number
from monitoring.boards.rule_yaml import percent

_RATE = "[$__rate_interval]"
_RATIO = f"max by (feature) (windsock_drift{{{FILTER}}}) / max by (feature) (windsock_drift_threshold{{{FILTER}}})"
_DELAY = "windsock_label_delay_seconds"


def overview(objectives: Objectives) -> list[Panel]:
    """The row of numbers on top."""
    age, silent = objectives.data_age_hours, objectives.monitor_silent_hours
    return [
        number(
            Frame(
                "Data age",
                f"Since the newest prediction was logged. Alert: over {age:g} hours.",
                unit="s",
                width=5,
                height=4,
                steps=((None, GREEN), (age * 3600 / 7, YELLOW), (age * 3600, RED)),
            ),
            Query(f"max(windsock_data_age_seconds{{{FILTER}}})"),
        ),
        number(
            Frame(
                "Monitor ran",
                f"Since the monitor's last run. Alert: over {silent:g} hours.",
                unit="s",
                width=5,
                height=4,
                steps=((None, GREEN), (silent * 2400, YELLOW), (silent * 3600, RED)),
            ),
            Query(f"time() - max(windsock_monitor_last_run_timestamp_seconds{{{FILTER}}} > 0)"),
        ),
        number(
            Frame(
                "Features over their threshold",
                "Information: inputs move with the season while quality holds.",
                unit="short",
                width=5,
                height=4,
                decimals=0,
                steps=((None, GREEN), (1, BLUE)),
            ),
            Query(f"sum({_RATIO} > bool 1)"),
        ),
        number(
            Frame(
                "Labelled",
                "Share of the window's rows that have a label.",
                "percentunit",
                4,
                4,
                1,
                steps=((None, BLUE),),
            ),
            Query(f"max(windsock_labelled_share{{{FILTER}}})"),
        ),
        number(
            Frame("Window ends", "Last instant that the monitor's numbers describe.", "dateTimeAsIso", 5, 4),
            Query(f"1000 * max(windsock_monitor_window_end_timestamp_seconds{{{FILTER}}})"),
        ),
    ]


def drift() -> list[Panel]:
    """Each feature against its own threshold."""
    marks = ((None, BLUE), (1.0, YELLOW))
    return [
        bars(
            Frame(
                "Drift, as a multiple of its threshold",
                "The twelve features that differ most from the training period; 1 is the feature's own threshold.",
                unit="short",
                width=10,
                height=12,
                decimals=2,
                low=0,
                steps=marks,
            ),
            Query(f"sort_desc(topk(12, {_RATIO}))", "{{feature}}"),
        ),
        course(
            Frame(
                "Drift over time",
                "The same for all features. Dashed: the threshold.",
                unit="short",
                width=14,
                height=12,
                decimals=2,
                steps=marks,
            ),
            Query(_RATIO, "{{feature}}"),
            line=True,
        ),
    ]


def inputs() -> list[Panel]:
    """Missing and unknown inputs."""
    return [
        course(
            Frame(
                "Missing, by feature",
                "Share of the window's rows without this input, where there are any.",
                "percentunit",
                low=0,
            ),
            Query(f"max by (feature) (windsock_missing_share{{{FILTER}}}) > 0", "{{feature}}"),
        ),
        course(
            Frame("Missing inputs, live", "Inputs a second that requests left out, by feature.", "suffix: inputs/s"),
            Query(f"sum by (feature) (rate(windsock_missing_inputs_total{{{FILTER}}}{_RATE})) > 0", "{{feature}}"),
        ),
        course(
            Frame(
                "Unknown categories, live",
                "Inputs a second that the model's vocabulary does not have, by feature. They are answered.",
                "suffix: inputs/s",
            ),
            Query(f"sum by (feature) (rate(windsock_unknown_inputs_total{{{FILTER}}}{_RATE}))", "{{feature}}"),
        ),
    ]


def labels(objectives: Objectives) -> list[Panel]:
    """How labels come, and how old everything is."""
    hours, share, age = objectives.label_delay_hours, objectives.delayed_label_share, objectives.data_age_hours
    delay = f"sum by (le) (rate({_DELAY}_bucket{{{FILTER}}}{_RATE}))"
    return [
        course(
            Frame("Labels", "Labels a second that were delivered, by what they say.", "suffix: labels/s"),
            Query(f"sum by (value) (rate(windsock_labels_total{{{FILTER}}}{_RATE}))", "label: {{value}}"),
            stacked=True,
        ),
        course(
            Frame(
                "Label delay",
                "From the outcome to the label's delivery, on the caller's clock. "
                f"Dashed: {hours:g} hours; {percent(share)} over it are an alert.",
                "s",
                steps=((None, GREEN), (hours * 3600, RED)),
            ),
            Query(f"histogram_quantile(0.5, {delay})", "p50"),
            Query(f"histogram_quantile(0.9, {delay})", "p90"),
            line=True,
        ),
        course(
            Frame(
                "Freshness",
                f"Age of the newest logged prediction and of the monitor's last run. Dashed: {age:g} hours, the alert.",
                "s",
                steps=((None, GREEN), (age * 3600, RED)),
            ),
            Query(f"max(windsock_data_age_seconds{{{FILTER}}})", "data"),
            Query(f"time() - max(windsock_monitor_last_run_timestamp_seconds{{{FILTER}}} > 0)", "monitor"),
            line=True,
        ),
    ]
