"""What `windsock monitor` found: by month, and in the window of the newest answers.

It goes to `reports/monitoring.json` and into the log's database, from where `windsock monitor serve` makes page and
gauges. So it carries what these need of the model's schema and of the objectives; the page needs no model.
"""

from typing import Final, Literal, get_args

from contracts.reports import Part
from contracts.reports.watching import Timeline, WatchedModel
from contracts.schema import Schema, Subject, Target

FORMAT: Final = 2  # 1 knew months and one window alone
Protocol = Literal["rest", "grpc"]
PROTOCOLS: Final[tuple[Protocol, ...]] = get_args(Protocol)
Method = Literal["wasserstein", "jensenshannon"]


class FeatureText(Part, frozen=True):
    """What a page says of a feature."""

    name: str
    description: str


class Task(Part, frozen=True):
    """What the model predicts, and its features in the order of every list by feature."""

    name: str
    title: str
    subject: Subject
    target: Target
    features: tuple[FeatureText, ...]

    @classmethod
    def of(cls, schema: Schema) -> "Task":
        features = tuple(FeatureText(one.name, one.description) for one in schema.features)
        return cls(schema.name, schema.title, schema.subject, schema.target, features)


class Limits(Part, frozen=True):
    """Objectives that the page judges by, as they were when the report was made."""

    monitor_silent_hours: float


class Release(Part, frozen=True):
    """The champion. `metrics` are what its manifest promises; an empty one promises nothing."""

    digest: str
    released: str
    as_of: str
    metrics: dict[str, float]


class ReferenceSize(Part, frozen=True):
    """The sample of training rows that drift is measured against."""

    rows: int


class Quality(Part, frozen=True):
    """Of labelled rows of both classes."""

    rows: int
    positive_share: float
    auc: float
    log_loss: float
    brier: float
    ece: float


class FeatureDrift(Part, frozen=True):
    """One feature against the training period. `value` None: too little to compare, and `reason` says so."""

    feature: str
    method: Method
    threshold: float
    value: float | None
    drifted: bool | None
    missing_share: float
    reference_missing_share: float
    reason: str | None = None


class Latency(Part, frozen=True):
    """Of the service itself, by its own clock. None: no rows."""

    rows: int
    p50_ms: float | None
    p99_ms: float | None


class Summary(Part, frozen=True):
    """Some rows of the prediction log.

    Attributes:
        rows: with inputs of the champion's schema; all other members are about these.
        other_inputs: rows whose inputs have another width, so they belong to a model of another schema.
        models: digest -> rows that it answered.
        quality: None is unknown, and `quality_unknown` says why.
        drifted: features beyond their threshold; None: no rows.
        drift_rows: that were drawn to be compared.
        page: Evidently's, relative to `reports/`; None: nothing could be compared.
    """

    rows: int
    other_inputs: int
    labelled: int
    unlabelled: int
    models: dict[str, int]
    mean_score: float | None
    quality: Quality | None
    quality_unknown: str | None
    drift: tuple[FeatureDrift, ...]
    drifted: int | None
    drift_rows: int
    page: str | None
    latency: dict[Protocol, Latency]


class Month(Summary, frozen=True):
    """All models' rows of a month of the schema's calendar, "2013-07"."""

    month: str

    @property
    def name(self) -> str:
        return self.month


class Window(Summary, frozen=True):
    """The champion's newest answers: at most `days` old, from `first` to `last` (ISO, UTC; None: no rows)."""

    days: int
    first: str | None
    last: str | None

    @property
    def name(self) -> str:
        return "window"


class Monitoring(Part, frozen=True):
    """The whole report.

    Attributes:
        generated_at: ISO instant, UTC.
        clock: which instant of a row was its time: that of its arrival, or the caller's, in a replay.
        watched: each model that answered in the newest weeks, the one with the newest row first.
        timeline: the champion's weeks, as far back as hours are counted.
        errors: refused and failed requests since the service started; None is unknown, and `errors_unknown` says why.
    """

    format: Literal[2]
    generated_at: str
    task: Task
    limits: Limits
    release: Release
    reference: ReferenceSize
    months: tuple[Month, ...]
    window: Window
    clock: Literal["arrival", "event"]
    watched: tuple[WatchedModel, ...]
    errors: dict[Protocol, int] | None
    errors_unknown: str | None
    timeline: Timeline = Timeline()
