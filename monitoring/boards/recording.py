"""Recording rules: the shares that the alerts compare with the objectives."""

from typing import Final

from contracts.objectives import Objectives
from monitoring.boards.rule_yaml import Group, Recording, RuleFile, edge

LABELS: Final = "job:windsock_labels:increase1d"
DELAYED: Final = "job:windsock_labels_delayed:ratio_rate1h"


def recordings(objectives: Objectives) -> RuleFile:
    """All recording rules."""
    about = (
        "What the alerts compare. Names are level:metric:operation; the window of labels is an hour, as they come in "
        "waves. A ratio without labels is NaN: no alert compares true with it."
    )
    return RuleFile(
        about,
        (Group("windsock-labels", (_labels(), _delayed(objectives))),),
    )


def _labels() -> Recording:
    return Recording(LABELS, why="", expr="sum by (job) (increase(windsock_labels_total[1d]))")


def _delayed(objectives: Objectives) -> Recording:
    hours = objectives.label_delay_hours
    return Recording(
        DELAYED,
        why=f"The share of labels that came more than {hours:g} hours after their outcome; an edge, too.",
        expr=f'1 - sum by (job) (rate(windsock_label_delay_seconds_bucket{{le="{edge(hours * 3_600)}"}}[1h]))\n'
        "  /\n"
        "sum by (job) (rate(windsock_label_delay_seconds_count[1h]))",
    )
