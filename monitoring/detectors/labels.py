"""Labels that do not come, come late, or mean the opposite. Only rows whose label has had its time are looked at."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.reports.watching import Fault
from monitoring.detectors.judged import judged
from monitoring.detectors.scene import DAY, DAYS, LEAST_DAYS, Scene
from monitoring.hours.hour import SCORE_BINS, Counts, Hour

LEAST_ROWS: Final = 20  # of a slice in a day
GONE: Final = 0.6  # of the rows' labels, below the lowest share of the days before
LATE: Final = 0.15  # share of late labels above the highest of the days before
SURE: Final = 16.0  # nats by which labels are likelier opposite than right
SPANS: Final = (12, DAY)  # hours that are looked at: the shorter one notices sooner
INVERTED: Final = 0.37  # AUC below which the order is upside down
_MIDDLE: Final = (np.arange(SCORE_BINS) + 0.5) / SCORE_BINS
_ODDS: Final[NDArray[np.float64]] = np.log(_MIDDLE / (1 - _MIDDLE))


class _Days:
    """The newest 24 hours whose labels have had their time, and the whole days (UTC) before them."""

    def __init__(self, scene: Scene) -> None:
        first = scene.mature_hour - DAY + 1
        begin, end = np.searchsorted(scene.at, [first, scene.mature_hour + 1])
        self.newest = tuple(scene.hours[begin:end])
        last = first // DAY  # the day that the newest hours begin in is none of these
        edges = np.searchsorted(scene.at, DAY * np.arange(last - DAYS, last + 1))
        self.before = [tuple(scene.hours[a:b]) for a, b in pairwise(edges)]
        self._categories = frozenset(scene.yardstick.schema.sliced_categories)

    @property
    def names(self) -> list[str]:
        """Of all, "", and of the names that have newest rows: labels come by them. By ranges of a number, none do."""
        slices = {name for hour in self.newest for name in hour.slices}
        return ["", *sorted(name for name in slices if name.partition("=")[0] in self._categories)]


@lru_cache(maxsize=1024)
def _labelled(hours: tuple[Hour, ...]) -> Mapping[str, tuple[int, int]]:
    """Rows, and those with a label, of all ("") and of each slice. A whole day is counted once."""
    found: dict[str, list[int]] = {}
    for hour in hours:
        for name, scores in (("", hour.scores), *hour.slices.items()):
            total = found.setdefault(name, [0, 0])
            by_state = scores.counts.sum(axis=1)
            total[0] += int(by_state.sum())
            total[1] += int(by_state[1:].sum())
    return {name: (rows, labels) for name, (rows, labels) in found.items()}


def labels_missing(scene: Scene) -> Iterator[Fault]:
    """The share of rows with a label, of all and of each slice."""
    days, whole = _Days(scene), False
    newest, before = _labelled(days.newest), [_labelled(day) for day in days.before]
    for name in days.names:
        rows, labels = newest.get(name, (0, 0))
        shares = [day[name][1] / day[name][0] for day in before if day.get(name, (0, 0))[0] >= LEAST_ROWS / 2]
        if rows < LEAST_ROWS or len(shares) < LEAST_DAYS:
            yield Fault("labels_missing", name, "unknown", None, None, rows)
            continue
        share, usual = labels / rows, float(np.quantile(shares, 0.1))
        found = share < usual - GONE and not whole
        whole = whole or (found and name == "")
        cause = f"{share:.0%} of the rows{f' of {name}' if name else ''} have a label; {usual:.0%} on most days before"
        yield judged("labels_missing", name, scene, found, share, usual - GONE, cause, days.newest)


def labels_late(scene: Scene) -> Iterator[Fault]:
    """The share of labels that came later than the objective allows."""
    days = _Days(scene)
    late, labels = sum(hour.labels_late for hour in days.newest), _labelled(days.newest).get("", (0, 0))[1]
    counted = [(sum(hour.labels_late for hour in day), _labelled(day).get("", (0, 0))[1]) for day in days.before]
    shares = [some / all_ for some, all_ in counted if all_ >= LEAST_ROWS]
    if labels < LEAST_ROWS or len(shares) < LEAST_DAYS:
        yield Fault("labels_late", "", "unknown", None, None, labels)
        return
    share, usual = late / labels, max(shares)
    limit = max(usual + LATE, scene.objectives.delayed_label_share)
    cause = f"{share:.0%} of the labels came later than {scene.objectives.label_delay_hours:g} hours; at most "
    yield judged(
        "labels_late", "", scene, share > limit, share, limit, f"{cause}{usual:.0%} on the days before", days.newest
    )


def labels_flipped(scene: Scene) -> Iterator[Fault]:
    """Whether labels are likelier the opposite of what is meant: a ratio of likelihoods, the scores as probabilities.

    A hard day makes labels unlikely, too. It does not turn their order around, and it is hard for the other rows as
    well: so both are asked.
    """
    days = _Days(scene)
    spans = [tuple(hour for hour in days.newest if hour.hour > scene.mature_hour - span) for span in SPANS]
    counted = [{name: _counts(hours, name) for name in days.names} for hours in spans]
    for name in days.names:
        told = [_flipped(one[name], one[""] - one[name] if name else None) for one in counted]
        rows = int(counted[-1][name][1:].sum())
        if rows < LEAST_ROWS:
            yield Fault("labels_flipped", name, "unknown", None, None, rows)
            continue
        likelier, auc, share, found = max(told, key=lambda one: (one[3], one[0]))
        cause = f"the labels{f' of {name}' if name else ''} mean the opposite: {share:.0%} are positive, AUC {auc:.2f}"
        yield judged("labels_flipped", name, scene, found, likelier, SURE, cause, days.newest)


def _flipped(counts: Counts, others: Counts | None) -> tuple[float, float, float, bool]:
    """By how many nats the opposite is likelier, AUC, share of positives, and whether that says flipped."""
    _, negative, positive = counts
    rows, pairs = int(negative.sum() + positive.sum()), int(negative.sum() * positive.sum())
    likelier = float((negative - positive) @ _ODDS)
    auc = float(positive @ (np.cumsum(negative) - negative / 2)) / pairs if pairs else 0.5
    sound = others is None or float((others[1] - others[2]) @ _ODDS) < 0
    found = rows >= LEAST_ROWS and likelier > SURE and auc < INVERTED and sound
    return likelier, auc, positive.sum() / max(rows, 1), found


def _counts(hours: tuple[Hour, ...], name: str) -> Counts:
    parts = [hour.scores if name == "" else hour.slices.get(name) for hour in hours]
    return np.asarray(sum((part.counts for part in parts if part is not None), np.zeros((3, SCORE_BINS), np.int64)))
