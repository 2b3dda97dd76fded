"""Dashboard *model*: measured quality beside the release's own, calibration, and what is predicted."""

from grafana_foundation_sdk.models.common import BigValueTextMode

from monitoring.boards.panels import BLUE, FILTER, GREEN, RED, YELLOW, Frame, Panel, Query, course, distribution, number

_RATE = "[$__rate_interval]"


def _measured(measure: str) -> str:
    return f'max(windsock_quality{{{FILTER}, measure="{measure}"}})'


def _released(measure: str) -> str:
    return f'max(windsock_release_quality{{{FILTER}, measure="{measure}"}})'


def _window(of: str) -> str:
    return f'max by (version, role) (windsock_window_{of}{{{FILTER}, role="champion", days="28"}})'


def _expected(of: str) -> str:
    return f'max by (version, role) (windsock_expected_auc{{{FILTER}, role="champion", days="28", of="{of}"}})'


def overview() -> list[Panel]:
    """The row of numbers on top."""
    return [
        number(
            Frame(
                "AUC above expectation",
                "Measured AUC of four weeks less the lower end of what the scores let expect of these rows (CBPE).",
                unit="short",
                width=5,
                height=4,
                decimals=3,
                steps=((None, RED), (0, GREEN)),
            ),
            Query(f"{_window('auc')} - {_expected('low')}"),
        ),
        number(
            Frame(
                "Quality known",
                "1: enough labels of both classes in the monitor's window. 0: unknown, which is neither good nor bad.",
                unit="short",
                width=4,
                height=4,
                decimals=0,
                steps=((None, YELLOW), (1, GREEN)),
            ),
            Query(f"min(windsock_quality_known{{{FILTER}}})"),
        ),
        number(
            Frame("Rows judged", "Labelled rows in the monitor's window.", "suffix: rows", 5, 4, steps=((None, BLUE),)),
            Query(f"max(windsock_quality_rows{{{FILTER}}})"),
        ),
        number(
            Frame("Since training", "Age of the model that answers.", "s", 5, 4, steps=((None, BLUE),)),
            Query(f"time() - max(windsock_last_training_timestamp_seconds{{{FILTER}}})"),
        ),
        number(
            Frame("Model", "What answers: student or teacher, trained on everything before this date.", "none", 5, 4),
            Query(f"sum by (released, as_of) (windsock_model_info{{{FILTER}}})", "{{released}} {{as_of}}"),
            text=BigValueTextMode.NAME,
        ),
    ]


def quality() -> list[Panel]:
    """Each measure beside the release's own."""
    pairs = (
        ("Log loss", "log_loss", "Mean negative log likelihood; lower is better."),
        ("Brier score", "brier", "Mean squared error of the probability; lower is better."),
        ("Calibration error", "ece", "Expected calibration error over 15 bins; lower is better."),
    )
    auc = course(
        Frame("AUC", "Chance that a positive row scores above a negative one; higher is better.", "short", 6, 8, 3),
        Query(_window("auc"), "measured, 28 days"),
        Query(_expected("auc"), "expected of these rows"),
        Query(_expected("low"), "expected, lower end"),
        Query(_expected("high"), "expected, upper end"),
        Query(_released("auc"), "at release"),
        zero=False,
    )
    others = [
        course(
            Frame(title, f"{what} Beside it, the release on its validation month.", "short", 6, 8, 3),
            Query(_measured(measure), "measured"),
            Query(_released(measure), "at release"),
            zero=False,
        )
        for title, measure, what in pairs
    ]
    return [auc, *others]


def mix() -> list[Panel]:
    """What is predicted, beside what came true."""
    score = "windsock_prediction_score"
    positive = f'sum(rate(windsock_labels_total{{{FILTER}, value="true"}}{_RATE}))'
    mean = f"sum(rate({score}_sum{{{FILTER}}}{_RATE})) / sum(rate({score}_count{{{FILTER}}}{_RATE}))"
    over = f'sum(rate({score}_bucket{{{FILTER}, le="0.5"}}{_RATE})) / sum(rate({score}_count{{{FILTER}}}{_RATE}))'
    return [
        distribution(
            Frame("Predictions", "How many predictions a second fall into each range of probability.", "rowsps", 12, 9),
            Query(f"sum by (le) (rate({score}_bucket{{{FILTER}}}{_RATE}))"),
        ),
        course(
            Frame(
                "Predicted and observed share of positives",
                "A calibrated model predicts as many positive rows as there are. Labels come later.",
                unit="percentunit",
                width=12,
                height=9,
                low=0,
            ),
            Query(mean, "mean prediction"),
            Query(f"{positive} / sum(rate(windsock_labels_total{{{FILTER}}}{_RATE}))", "positive among labels, now"),
            Query(_measured("positive_share"), "positive among rows judged"),
            Query(f"1 - {over}", "predictions over 0.5"),
        ),
    ]
