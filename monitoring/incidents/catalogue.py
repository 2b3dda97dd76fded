"""The catalogue: each fault that was thought of, what it does to rows, and what a right alert says of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from monitoring.incidents import data, outcomes
from monitoring.incidents.traffic import Random, Traffic
from monitoring.watch.look import DAYS

Kind = Literal["data", "labels", "quality", "silent"]
Inject = Callable[[Traffic, Random], Traffic]
HOURS: Final[dict[Kind, int]] = {"data": 48, "labels": 48, "quality": 28 * 24, "silent": 28 * 24}  # looked at
LIMIT: Final[dict[Kind, int]] = {"data": 24, "labels": 24, "quality": 28 * 24, "silent": 28 * 24}  # to be noticed in


@dataclass(frozen=True, slots=True)
class Truth:
    """What is right to say.

    Attributes:
        detectors: of data faults, or questions of the instruments, that name the cause; none: silence is right.
        remedy: for people.
    """

    detectors: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, slots=True)
class Incident:
    """A fault.

    Attributes:
        kind: "data" and "labels" are looked at each hour, the others each day in the end. The limit counts
            from the fault for "data", and for the others from when the labels of its first hour have had their time.
        inject: the rows from the fault's hour on -> the same rows with it.
        month: 1 to 12, in which it happens; None: at any hour.
        limit: hours in which it has to be noticed; None: that of its kind.
        forgets: hours before it that this model has no rows of: it is new here, or comes back.
    """

    name: str
    kind: Kind
    inject: Inject
    truth: Truth
    month: int | None = None
    limit: int | None = None
    forgets: int = 0

    @property
    def silent(self) -> bool:
        """Whether nothing must alarm."""
        return self.kind == "silent"


CATALOGUE: Final[dict[str, Incident]] = {}


def register(incident: Incident) -> Incident:
    """Put one into the catalogue.

    Raises:
        ValueError: its name is taken.
    """
    if incident.name in CATALOGUE:
        raise ValueError(f"the name of an incident must be its own, got `{incident.name}` twice; rename one")
    CATALOGUE[incident.name] = incident
    return incident


_FEED: Final = "ask the owner of the feed; quarantine what was learned from these hours"
_LABELS: Final = "hold retraining; correct the labels at their source"
_ROLL_BACK: Final = "roll back"

for _name, _kind, _inject, _detectors, _remedy in (
    ("wind in m/s", "data", data.unit_wind, ("unit",), _FEED),
    ("temperature in Celsius", "data", data.unit_temperature, ("unit",), _FEED),
    ("999 for unknown", "data", data.out_of_range, ("range",), _FEED),
    ("stuck value", "data", data.stuck, ("stuck",), _FEED),
    ("dead feed", "data", data.dead_feed, ("stale", "missing"), _FEED),
    ("half of a feature missing", "data", data.part_missing, ("missing",), _FEED),
    ("new category", "data", data.new_category, ("category",), "retrain when its labels are there"),
    ("renamed category", "data", data.renamed_category, ("category",), _FEED),
    ("duplicated rows", "data", data.duplicated, ("duplicate",), "mend the client; count once"),
    ("clock four hours off", "data", data.clock_shift, ("clock",), _FEED),
    ("swapped columns", "data", data.swapped_columns, ("swap",), "mend the client"),
    ("nothing arrives", "data", data.nothing_arrives, ("volume",), "look at gateway, DNS and tokens"),
    ("labels of a slice missing", "labels", outcomes.labels_missing, ("labels_missing",), _LABELS),
    ("labels of a slice flipped", "labels", outcomes.labels_flipped, ("labels_flipped",), _LABELS),
    ("labels under wrong ids", "labels", outcomes.labels_lost, ("labels_missing",), "mend the ids of labels"),
    ("labels late", "labels", outcomes.labels_late, ("labels_late",), "wait, or mend the source of labels"),
    ("random scores", "quality", outcomes.random_scores, ("paired",), _ROLL_BACK),
    ("odds three times too high", "quality", outcomes.wrong_calibration, ("calibration",), "recalibrate"),
    ("slow leak of .03 AUC", "quality", outcomes.slow_leak, ("gap", "challenger"), "retrain"),
    ("slow leak in a slice", "quality", outcomes.slow_leak_of_a_slice, ("gap", "challenger"), "retrain"),
):  # fmt: skip
    _limit = 24 if _inject is outcomes.random_scores else None
    register(Incident(_name, _kind, _inject, Truth(_detectors, _remedy), limit=_limit))  # type: ignore[arg-type]
for _name, _month, _forgets in (
    ("November", 11, 0),
    ("December", 12, 0),
    ("a quiet month", None, 0),
    ("a fresh installation", None, DAYS * 24),
    ("a rollback after a week", None, 7 * 24),
):
    register(Incident(_name, "silent", outcomes.nothing_wrong, Truth((), "none"), _month, forgets=_forgets))
