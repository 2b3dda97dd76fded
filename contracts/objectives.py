"""Every threshold of the project, once: what is promised, from where on something is wrong, what a check allows.

Alert rules, dashboards, the monitor's page, the choice of the released model and the checks of `make demo` read it from
here. The defaults are those of the flights; `objectives.yaml` in a workspace holds what another task wants otherwise,
as `name: value`. `windsock objectives` prints all of them, with unit, reason and when to change.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from contracts.errors import ParameterError

# Upper edges of histograms, in seconds. An objective is measured exactly only where it is an edge.
LATENCY_EDGES: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)
LABEL_DELAY_EDGES: Final = (60, 600, 3_600, 6 * 3_600, 24 * 3_600, 72 * 3_600)


def _about(unit: str, low: float, high: float, reason: str, change: str) -> msgspec.Meta:
    """What a threshold is about.

    Args:
        low, high: inclusive bounds.
        change: when another value is right.
    """
    return msgspec.Meta(ge=low, le=high, description=reason, extra={"unit": unit, "change": change})


class Objectives(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The thresholds. Each field's `Meta` carries its unit, bounds, reason, and when to change it."""

    # The service.
    latency_seconds: Annotated[float, _about(
        "s", 0.001, 5,
        "A prediction request is slow from here on. A single row has a p99 of 2 to 4 ms on a laptop.",
        "when a caller's own time budget asks for it; it must be an edge of the histogram"
    )] = 0.02  # fmt: skip
    slow_share: Annotated[float, _about(
        "share", 0.0001, 0.5,
        "So many requests may be slow: the objective is a p99.",
        "when the promise to callers is another percentile"
    )] = 0.01  # fmt: skip
    failed_share: Annotated[float, _about(
        "share", 0.0001, 0.5,
        "So many of 30 days' requests may fail by our fault: 99.9 % available, 43 minutes of a month.",
        "when callers retry by themselves (higher) or pay for failures (lower)"
    )] = 0.001  # fmt: skip
    spool_age_seconds: Annotated[float, _about(
        "s", 5, 86_400,
        "Rows move to the database every second or so; a minute means that they do not.",
        "when the database has planned pauses that are longer"
    )] = 60.0  # fmt: skip
    spool_room_hours: Annotated[float, _about(
        "h", 0.25, 168,
        "Somebody who is told in the evening that a volume fills has time to look before it is full.",
        "when it takes longer until somebody can give the volume more room"
    )] = 4.0  # fmt: skip
    memory_bytes: Annotated[int, _about(
        "bytes", 100_000_000, 10**12,
        "The service with all its processes fits a small laptop beside a browser; the demo takes half of it.",
        "when a model of yours is larger"
    )] = 3_000_000_000  # fmt: skip

    # The model.
    mean_auc: Annotated[float, _about(
        "AUC", 0.5, 1,
        "The mean over production months of a release that is worth serving; chance is .5.",
        "to what a plain baseline reaches on your data, less a little"
    )] = 0.72  # fmt: skip
    auc_below_lightgbm: Annotated[float, _about(
        "AUC", 0, 0.5,
        "LightGBM on the same rows is what anyone has in a minute: a net that loses more in a month is no gain.",
        "when size or speed are worth more quality to you"
    )] = 0.02  # fmt: skip
    student_bytes: Annotated[int, _about(
        "bytes", 1_000, 10**10,
        "The int8 student takes 40 kB; more means that it was not pruned or not quantised.",
        "when hidden layers or vocabularies grow on purpose"
    )] = 100_000  # fmt: skip
    teacher_bytes: Annotated[int, _about(
        "bytes", 1_000, 10**10,
        "The float32 teacher takes 0.4 MB.",
        "when hidden layers or vocabularies grow on purpose"
    )] = 1_000_000  # fmt: skip
    score_tolerance: Annotated[float, _about(
        "probability", 0, 0.01,
        "Two ways to the same score may differ by some float32 steps: what another order of summation does.",
        "when the model computes in a narrower type"
    )] = 1e-6  # fmt: skip
    auc_tolerance: Annotated[float, _about(
        "AUC", 0, 0.01,
        "The AUC measured from the log against the one evaluated offline, on the same rows.",
        "with `score_tolerance`"
    )] = 1e-4  # fmt: skip

    # The data, and the monitor that looks at it.
    data_age_hours: Annotated[float, _about(
        "h", 0.1, 8_760,
        "Without a prediction for so long, something is wrong: the longest pause of an ordinary night in 2013 is "
        "6.4 hours.",
        "to a little over the longest pause of your own traffic"
    )] = 7.0  # fmt: skip
    label_delay_hours: Annotated[float, _about(
        "h", 1 / 60, 72,
        "A label that comes later after its outcome is delayed.",
        "to how long your source of labels takes; it must be an edge of the histogram"
    )] = 6.0  # fmt: skip
    delayed_label_share: Annotated[float, _about(
        "share", 0.001, 0.9,
        "So many labels may be delayed: a source has bad hours.",
        "when your source sends in batches by habit"
    )] = 0.1  # fmt: skip
    drift_distance: Annotated[float, _about(
        "distance", 0.001, 10,
        "A feature that moved so far from training is worth a look: standard deviations (Wasserstein) for numbers, "
        "0 to 1 (Jensen-Shannon) for categories. Evidently's own value.",
        "when seasons of your data cross it each year; drift informs and decides nothing"
    )] = 0.1  # fmt: skip
    window_days: Annotated[int, _about(
        "days", 1, 366,
        "The monitor's gauges describe the newest four weeks, as traffic has weekly habits.",
        "when your traffic has another rhythm"
    )] = 28  # fmt: skip
    window_rows: Annotated[int, _about(
        "rows", 100, 10**7,
        "At most so many of the newest rows are looked at: a month of flights out of New York.",
        "when a month of yours is larger and the monitor has the time"
    )] = 30_000  # fmt: skip
    window_labels: Annotated[int, _about(
        "rows of each class", 1, 10**6,
        "With fewer labels the standard error of an AUC is above .03 (Hanley and McNeil 1982, at .75), so quality is "
        "unknown.",
        "when a coarser number is enough for you, or a finer one is needed: half the error takes four times the labels"
    )] = 100  # fmt: skip
    monitor_every_hours: Annotated[float, _about(
        "h", 0.01, 168,
        "The monitor looks again each hour, as hours are what it counts.",
        "when your traffic is so slow that an hour brings nothing"
    )] = 1.0  # fmt: skip
    monitor_silent_hours: Annotated[float, _about(
        "h", 0.1, 720,
        "The monitor runs each hour: two runs in a row were missed.",
        "with `monitor_every_hours`"
    )] = 3.0  # fmt: skip

    def __post_init__(self) -> None:
        _check_edge("latency_seconds", self.latency_seconds, LATENCY_EDGES)
        _check_edge("label_delay_hours", self.label_delay_hours, [edge / 3_600 for edge in LABEL_DELAY_EDGES])

    @property
    def latency_name(self) -> str:
        """The slow request's threshold for people: "20 ms"."""
        return f"{self.latency_seconds * 1000:g} ms"


@dataclass(frozen=True, slots=True)
class Objective:
    """One threshold for a person. `changed`: by the workspace."""

    name: str
    value: float
    unit: str
    reason: str
    change: str
    changed: bool


def load_objectives(path: Path | None) -> Objectives:
    """The defaults, with what `path` changes.

    Args:
        path: YAML of `name: value`; None, or no such file, changes nothing.

    Raises:
        ParameterError: an unknown name, or a value out of its bounds.
    """
    if path is None or not path.is_file():
        return Objectives()
    import yaml

    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParameterError(f"`{path}` must be YAML of `name: value`, got: {error}; correct it") from error
    if not isinstance(given, dict):
        raise ParameterError(f"`{path}` must be YAML of `name: value`, got {given!r}; correct it")
    try:
        return Objectives(**{name: _checked(name, value) for name, value in given.items()})
    except ValueError as error:
        raise ParameterError(f"{error}; correct `{path}`") from error


def _checked(name: Any, value: Any) -> Any:
    field = next((field for field in msgspec.structs.fields(Objectives) if field.name == name), None)
    if field is None:
        raise ValueError(f"`{name}` must be an objective, one of {', '.join(Objectives.__struct_fields__)}, got none")
    try:
        # PyYAML reads 1e-6 as a string, hence not strict.
        return msgspec.convert(value, field.type, strict=False)
    except msgspec.ValidationError as error:
        kind, meta = field.type.__origin__, field.type.__metadata__[0]
        number = "a whole number" if kind is int else "a number"
        rule = f"{number} from {meta.ge:,} to {meta.le:,} ({meta.extra['unit']})"
        raise ValueError(f"`{name}` must be {rule}, got {value!r}") from error


def described(objectives: Objectives) -> list[Objective]:
    """All thresholds with their texts, in the order of `Objectives`."""
    usual = Objectives()
    found = []
    for field in msgspec.structs.fields(Objectives):
        (meta,) = field.type.__metadata__
        value = getattr(objectives, field.name)
        changed = value != getattr(usual, field.name)
        found.append(Objective(field.name, value, meta.extra["unit"], meta.description, meta.extra["change"], changed))
    return found


def _check_edge(name: str, value: float, edges: Any) -> None:
    if not any(abs(value - edge) < 1e-9 for edge in edges):
        raise ValueError(
            f"`{name}` must be an edge of its histogram (contracts/objectives.py), one of "
            f"{', '.join(f'{edge:g}' for edge in edges)}, got {value:g}"
        )
