"""Every Prometheus metric but the log's (log.py), declared once: `Metrics` for the service, `MonitorMetrics` for the
monitor.

All label sets exist from the start, so a rate over an error that has not happened yet is zero and not absent. Labels
take their values from the code and the model's schema (protocols, codes, measures, features), never from a request, so
the number of series is bounded; tests/contract/test_metrics.py counts them. Each registry is its object's own.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Final, Literal, get_args
from typing import Protocol as Interface

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.registry import Collector

from contracts.errors import Code
from contracts.objectives import LABEL_DELAY_EDGES, LATENCY_EDGES
from contracts.reports.monitoring import PROTOCOLS, Protocol
from contracts.reports.watching import WatchedModel, WindowQuality
from contracts.schema import Schema
from contracts.store.state import ROLES, Role
from monitoring.metrics.counting import ManyHistogram, ProtocolMetrics, RowCounts, Series

Measure = Literal["auc", "log_loss", "brier", "ece", "positive_share"]
ReleaseMeasure = Literal["auc", "log_loss", "brier", "ece", "auc_low"]
Merge = Literal["livesum", "livemax", "livemin"]
_STATES: Final = {"ok": 0.0, "ticket": 1.0, "page": 2.0}  # of an instrument or a fault; another one is unknown
ROW_EDGES: Final = (1, 2, 8, 32, 128, 512, 2048, 8192)
SCORE_EDGES: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class Served(Interface):
    """What is told of a loaded model. `created_at`: seconds since 1970; `vocabulary`: category -> strings it knows."""

    digest: str
    version: str
    released: str
    as_of: str
    created_at: float
    vocabulary: dict[str, list[str]]


class _Declared:
    """A registry, and its metrics by short name."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

    def _counter(self, name: str, what: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"windsock_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, labels: tuple[str, ...] = (), *, merge: Merge = "livesum") -> Gauge:
        """A gauge. `merge` is what several workers make of their values; with one worker nothing is merged."""
        return Gauge(f"windsock_{name}", what, labels, registry=self.registry, multiprocess_mode=merge)

    def _histogram(self, name: str, what: str, edges: tuple[float, ...], labels: tuple[str, ...] = ()) -> ManyHistogram:
        return ManyHistogram(f"windsock_{name}", what, labels, buckets=edges, registry=self.registry)


class _Refresher(Collector):
    """Has no metrics of its own: it stands first in its registry and calls `refresh` at every scrape."""

    def __init__(self, refresh: Callable[[], None]) -> None:
        self._refresh = refresh

    def collect(self) -> Iterable[Metric]:
        self._refresh()
        return ()


class Metrics(_Declared):
    """What the service counts. `schema` is of the model that is served."""

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self.on_refresh: list[Callable[[], None]] = []
        self.registry.register(_Refresher(self.refresh))
        self._count_requests(schema)
        self._count_labels()
        self._count_models()

    def refresh(self) -> None:
        """Bring up to date what is not counted at once. A scrape of the registry does it by itself."""
        for update in self.on_refresh:
            update()

    def failed(self) -> int:
        """Prediction requests that ended otherwise than with an answer, in this process."""
        (family,) = self.requests.collect()
        return round(sum(s.value for s in family.samples if s.name.endswith("_total") and s.labels["code"] != "ok"))

    def _count_requests(self, schema: Schema) -> None:
        requests = self._counter("requests", "Prediction requests, by how they ended.", ("protocol", "code"))
        self.requests = requests
        rows = self._counter("rows", "Rows that were scored.", ("protocol",))
        seconds = self._histogram(
            "request_seconds", "From a prediction request's last byte to its answer.", LATENCY_EDGES, ("protocol",)
        )
        in_flight = self._gauge("in_flight_requests", "Prediction requests being answered.", ("protocol",))
        self.queued_batches = self._gauge("queued_batches", "Large batches that wait for the thread.")
        batch_rows = self._histogram("batch_rows", "Rows of an answered prediction request.", ROW_EDGES)
        self.row_counts = self._count_rows(schema)
        self.of: dict[Protocol, ProtocolMetrics] = {}
        for protocol in PROTOCOLS:
            series = Series(
                requests=requests.labels(protocol, "ok").inc,
                errors={code: requests.labels(protocol, code).inc for code in get_args(Code)},
                rows=rows.labels(protocol).inc,
                batch_rows=batch_rows,
                seconds=seconds.labels(protocol),
                in_flight=in_flight.labels(protocol),
            )
            self.of[protocol] = ProtocolMetrics(series, self.row_counts)
            self.on_refresh.append(self.of[protocol].count)

    def _count_rows(self, schema: Schema) -> RowCounts:
        score = self._histogram("prediction_score", "Predicted probability of the positive outcome.", SCORE_EDGES)
        missing = self._counter("missing_inputs", "Inputs that requests left out.", ("feature",))
        unknown = self._counter("unknown_inputs", "Categories that the vocabulary does not have.", ("feature",))
        return RowCounts(
            score,
            [missing.labels(feature).inc for feature in schema.names],
            {feature: unknown.labels(feature).inc for feature in schema.category_names},
        )

    def _count_labels(self) -> None:
        labels = self._counter("labels", "Labels that were delivered.", ("value",))
        self.labels = {value: labels.labels("true" if value else "false").inc for value in (True, False)}
        self.label_delay = self._histogram(
            "label_delay_seconds", "From the outcome to its label's delivery, on the caller's clock.", LABEL_DELAY_EDGES
        )

    def _count_models(self) -> None:
        labels = ("digest", "version", "released", "as_of", "role")
        self._model = self._gauge("model_info", "The models that are loaded, by role.", labels, merge="livemax")
        self._told: set[tuple[str, ...]] = set()
        what = "When the champion was packaged, after its training."
        self._trained = self._gauge("last_training_timestamp_seconds", what, merge="livemax")
        scored = self._counter("scored_rows", "Rows that a model scored, by its role.", ("role",))
        self.scored = {role: scored.labels(role).inc for role in ROLES}
        what = "Rows that the shadow left out, as it could not keep up."
        self.shadow_dropped = self._counter("shadow_dropped_rows", what).inc
        what = "Whether the model wanted for a role was refused."
        refused = self._gauge("model_refused", what, ("role",), merge="livemax")
        self._refused = {role: refused.labels(role).set for role in ROLES}

    def set_models(self, models: Mapping[Role, Served]) -> None:
        """Name the models that are loaded, the champion among them."""
        told: set[tuple[str, ...]] = {
            (model.digest, model.version, model.released, model.as_of, role) for role, model in models.items()
        }
        for labels in told:
            self._model.labels(*labels).set(1)
        for labels in self._told - told:
            self._model.labels(*labels).set(0)  # in the files of several workers a series cannot be removed
            if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
                self._model.remove(*labels)
        self._told = told
        self._trained.set(models["champion"].created_at)
        self.row_counts.know(models["champion"].vocabulary)

    def set_refused(self, roles: Set[Role]) -> None:
        """For which roles a wanted model was not taken."""
        for role, tell in self._refused.items():
            tell(float(role in roles))


class MonitorMetrics(_Declared):
    """What the monitor found in its newest window. NaN is unknown, and a `last_run` of NaN is never.

    Args:
        features: names of the schema's features; none as long as the monitor has not run, so none has a series yet.
    """

    def __init__(self, features: Sequence[str]) -> None:
        super().__init__()
        self.last_run = self._gauge("monitor_last_run_timestamp_seconds", "When the monitor last finished; NaN: never.")
        self.window_end = self._gauge("monitor_window_end_timestamp_seconds", "Last instant that the numbers describe.")
        quality = self._gauge("quality", "Measured quality of the served model in the window.", ("measure",))
        release = self._gauge("release_quality", "Quality of the release on its validation month.", ("measure",))
        self.quality: dict[Measure, Gauge] = {name: quality.labels(name) for name in get_args(Measure)}
        self.release: dict[ReleaseMeasure, Gauge] = {name: release.labels(name) for name in get_args(ReleaseMeasure)}
        self.known = self._gauge("quality_known", "Whether the window has enough labels of both classes.")
        self.rows = self._gauge("quality_rows", "Labelled rows in the window.")
        self.labelled_share = self._gauge("labelled_share", "Share of the window's rows that have a label.")
        drift = self._gauge("drift", "Distance of a feature in the window from the training period.", ("feature",))
        threshold = self._gauge("drift_threshold", "Drift that is worth a look.", ("feature",))
        missing = self._gauge("missing_share", "Share of the window's rows without the feature.", ("feature",))
        self.drift = {feature: drift.labels(feature) for feature in features}
        self.drift_threshold = {feature: threshold.labels(feature) for feature in features}
        self.missing_share = {feature: missing.labels(feature) for feature in features}
        self.data_age = self._gauge("data_age_seconds", "Since the newest logged prediction was received.")
        self.database_up = self._gauge("monitor_database_up", "Whether the log's database answered just now.")
        self._declare_watched()
        by_name = (self.quality, self.release, self.drift, self.drift_threshold, self.missing_share)
        unknown = [gauge for group in by_name for gauge in group.values()]
        for gauge in (*unknown, self.last_run, self.window_end, self.labelled_share, self.data_age):
            gauge.set(math.nan)

    def _declare_watched(self) -> None:
        """Of each model that answers; at most three, and slices are bounded by the hours' own limit."""
        model, window = ("version", "role"), ("version", "role", "days")
        asked = (*model, "question", "slice", "days")
        what = "Of an instrument's question about quality: 0 ok, 1 ticket, 2 page; NaN: unknown."
        self.instrument_state = self._gauge("instrument_state", what, asked)
        what = "An instrument's value, its interval, its evidence and its limit, over all rows."
        self.instrument = self._gauge("instrument", what, (*model, "question", "days", "of"))
        what = "Measured AUC of the rows whose labels have had their time."
        self.window_auc = self._gauge("window_auc", what, window)
        what = "AUC that the scores themselves let expect (CBPE), with its interval."
        self.expected_auc = self._gauge("expected_auc", what, (*window, "of"))
        self.window_rows = self._gauge("window_rows", "Rows of the window, by what is known of them.", (*window, "of"))
        what = "A fault of the data: 1 it is there, 0 it is not; NaN: unknown."
        self.fault = self._gauge("fault", what, (*model, "detector", "subject"))

    def set_watched(self, models: Iterable[WatchedModel]) -> None:
        """Say what was found of each watched model. None is NaN."""
        for model in models:
            who = (model.digest[:12], model.role)
            for one in model.instruments:
                state = _STATES.get(one.state, math.nan)
                self.instrument_state.labels(*who, one.question, one.slice, one.days).set(state)
                if not one.slice:
                    for of in ("value", "low", "high", "evidence", "limit"):
                        self.instrument.labels(*who, one.question, one.days, of).set(_number(getattr(one, of)))
            for fault in model.faults:
                state = min(_STATES.get(fault.state, math.nan), 1.0)
                self.fault.labels(*who, fault.detector, fault.subject).set(state)
            self._set_windows(who, model.windows)

    def _set_windows(self, who: tuple[str, str], windows: Iterable[WindowQuality]) -> None:
        for window in windows:
            if window.slice:
                continue
            self.window_auc.labels(*who, window.days).set(_number(window.auc))
            for of in ("auc", "low", "high"):
                self.expected_auc.labels(*who, window.days, of).set(_number(getattr(window, f"expected_{of}")))
            for of in ("rows", "mature", "labelled"):
                self.window_rows.labels(*who, window.days, of).set(getattr(window, of))


def _number(value: float | None) -> float:
    return math.nan if value is None else value
