"""Alerts on faults of the data: one a detector of monitoring/detectors, all of the same form.

A detector decides, with what was usual on the days before; a rule only tells of it. Unknown is NaN, which compares with
nothing: it neither fires nor, for as long as `keep`, resolves.
"""

from dataclasses import dataclass
from typing import Final

from monitoring.boards.rule_yaml import Alert

KEEP: Final = "2h"  # two runs of the monitor
WAIT: Final = "65m"  # two hourly looks: one hour alone may be odd
_OF: Final = "{{ $labels.subject }}"
_WHERE: Final = (
    "Seen on the rows of the {{ $labels.role }} {{ $labels.version }}. The monitor's page has the numbers, since when, "
    "and what it looks like."
)


@dataclass(frozen=True, slots=True)
class Told:
    """What an alert says of one detector's fault.

    Attributes:
        why: for who reads the rules.
        broken: what is wrong, for whom.
    """

    alert: str
    why: str
    summary: str
    broken: str


DATA_ALERTS: Final[dict[str, Told]] = {
    "missing": Told(
        "ValuesMissing",
        "A share of missing values far above that of the same hours on 28 days before.",
        f"{_OF} is missing far more often than usual.",
        f"The model answers without {_OF} where it usually has it, so it knows less of these rows.",
    ),
    "stale": Told(
        "StreamEnded",
        "All features that are made of one stream of events are empty, and seldom were.",
        f"Nothing comes from {_OF} any more.",
        f"Every feature that is made of {_OF} is empty. The model answers as if it knew nothing of it.",
    ),
    "stuck": Told(
        "ValueStuck",
        "One value for longer than it ever stayed in four weeks; zeros and other common values are left out.",
        f"{_OF} does not move.",
        f"{_OF} has had one value for longer than ever on the days before: its source repeats itself.",
    ),
    "range": Told(
        "ValueOutOfRange",
        "The same extreme value in nearly every hour, far beyond all that training had.",
        f"{_OF} has a value that stands for none.",
        f"One value of {_OF}, far beyond all that training had, comes again and again. The model takes it for real.",
    ),
    "unit": Told(
        "UnitChanged",
        "Most values are none that the instrument ever gave, and ordinary ones when they are converted back.",
        f"{_OF} comes in another unit.",
        f"The values of {_OF} are ordinary ones in another unit. The model takes them for its own.",
    ),
    "swap": Told(
        "ColumnsSwapped",
        "Two neighbours are strange, and each would be ordinary as the other.",
        f"{_OF} is in another column's place.",
        f"{_OF} has the values of its neighbour, and the other way round: a client sends columns in another order.",
    ),
    "clock": Told(
        "ClockShifted",
        "The time of day that rows tell, against the local hour of their arrival.",
        f"{_OF} is hours off.",
        f"{_OF} does not fit the hour in which its rows arrive: another time zone, or a clock that is wrong.",
    ),
    "category": Told(
        "UnknownNames",
        "A share of names that the model does not know far above that of the days before.",
        f"{_OF} has names that the model does not know.",
        f"Many rows have a name in {_OF} that training never saw, or an old one that is now written otherwise.",
    ),
    "volume": Told(
        "VolumeUnusual",
        "Rows of a day against the same hours of four weeks; NothingArrives pages when callers stay away.",
        "The prediction log gets far fewer or far more rows than in the weeks before.",
        "Callers are lost or double, or rows do not arrive in the log.",
    ),
    "duplicate": Told(
        "RowsRepeated",
        "Rows under an id that came before, or equal to another of their hour.",
        f"Rows come twice ({_OF}).",
        "A client sends the same rows again. Each counts twice in all that is measured.",
    ),
    "labels_missing": Told(
        "LabelsMissing",
        "The share of rows with a label, of rows whose label has had its time, by slice.",
        f"Labels do not come any more{{{{ if $labels.subject }}}} for {_OF}{{{{ end }}}}.",
        "The quality of these rows is not known, and nothing must be learned from what is left.",
    ),
    "labels_flipped": Told(
        "LabelsFlipped",
        "The labels of a slice are likelier the opposite of what is meant, while those of other rows are right.",
        f"The labels{{{{ if $labels.subject }}}} of {_OF}{{{{ end }}}} mean the opposite.",
        "Measured quality is wrong there, and a model that learns from these labels learns the opposite.",
    ),
}
ELSEWHERE: Final = {"labels_late": "LabelsLate"}  # detectors whose alert is made of more


def data_alerts() -> tuple[Alert, ...]:
    """One each."""
    return tuple(
        Alert(
            told.alert,
            why=told.why,
            expr=fault(detector),
            wait=WAIT,
            severity="warning",
            summary=told.summary,
            description=f"{told.broken} {_WHERE}",
            keep=KEEP,
        )
        for detector, told in DATA_ALERTS.items()
    )


def fault(detector: str) -> str:
    """Whether it says fault, by subject."""
    return f'max by (job, version, role, subject) (windsock_fault{{detector="{detector}"}}) == 1'
