"""What happened, as plain data: the checks judge nothing else."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.artifact import Provenance
from contracts.files import write_atomic
from contracts.objectives import LATENCY_EDGES, Objectives
from contracts.reports import write_report
from contracts.reports.demo import Compared, Latency, ReplayReport
from contracts.reports.evaluation import EvaluationReport
from contracts.reports.monitoring import PROTOCOLS, Monitoring
from contracts.schema import Schema

# Names of the odd rows that the service must answer.
UNKNOWN_CATEGORY: Final = "an unknown category"
MISSING_VALUES: Final = "missing values"
COMPARED_ROWS: Final = 2_000  # of a replay, asked over both protocols, spread evenly
# Upper edges in ms of the latency histograms; the last bin has none. The objectives' own are among them, so that what
# is promised is an edge.
LATENCY_EDGES_MS: Final = tuple(sorted({0.5, 2.0, 3.0, 7.5, 15.0, *(1000 * edge for edge in LATENCY_EDGES)}))


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of the rows of some months, in the order of sending.

    Attributes:
        ids: str [n].
        months: str [n], "2013-07" in the time zone of the schema's calendar.
        protocols: str [n], "rest" or "grpc".
        scores: float64 [n]; NaN was refused.
        latency_us: int64 [n], as the client saw it; -1 was refused.
        other_scores: float64 [n], of the same row over the other protocol; NaN was not asked there.
        statuses: how often each answer came, such as {"rest 200": 85309}.
        labels: delivered and acknowledged.
        seconds: of wall time.
    """

    ids: NDArray[np.str_]
    months: NDArray[np.str_]
    protocols: NDArray[np.str_]
    scores: NDArray[np.float64]
    latency_us: NDArray[np.int64]
    other_scores: NDArray[np.float64]
    statuses: dict[str, int]
    labels: int
    seconds: float

    @property
    def compared(self) -> NDArray[np.float64]:
        """[k]: absolute difference of the two protocols' scores, for the rows that both answered."""
        both = ~np.isnan(self.other_scores) & ~np.isnan(self.scores)
        return np.abs(self.other_scores[both] - self.scores[both])

    def summary(self) -> ReplayReport:
        return ReplayReport(
            format=1,
            rows=len(self.ids),
            answered=int((~np.isnan(self.scores)).sum()),
            labels=self.labels,
            seconds=round(self.seconds, 1),
            requests_per_second=round(len(self.ids) / max(self.seconds, 1e-9)),
            statuses=self.statuses,
            compared=Compared(len(self.compared), float(self.compared.max(initial=0))),
            latency_edges_ms=LATENCY_EDGES_MS,
            latency={
                protocol: {month: self._latency(protocol, month) for month in np.unique(self.months).tolist()}
                for protocol in PROTOCOLS
            },
        )

    def _latency(self, protocol: str, month: str) -> Latency | None:
        chosen = (self.protocols == protocol) & (self.months == month) & (self.latency_us >= 0)
        if not chosen.any():
            return None
        milliseconds = self.latency_us[chosen] / 1000
        bins = np.searchsorted(LATENCY_EDGES_MS, milliseconds)
        return Latency(
            p50_ms=float(np.percentile(milliseconds, 50)),
            p99_ms=float(np.percentile(milliseconds, 99)),
            counts=tuple(np.bincount(bins, minlength=len(LATENCY_EDGES_MS) + 1).tolist()),
        )

    def save(self, path: Path) -> None:
        """Write the summary as JSON, and beside it an .npz with every id, score and latency."""
        names = ("ids", "months", "protocols", "scores", "latency_us", "other_scores")
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(self, name) for name in names}
        np.savez(buffer, allow_pickle=False, **arrays)
        write_atomic(path.with_suffix(".npz"), buffer.getvalue())
        write_report(path, self.summary())


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service did with one odd request. `status` is HTTP's, or the name of gRPC's code."""

    case: str
    status: str
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server that should not have started. `exit_status` None: it was still running when time was up."""

    exit_status: int | None
    output: str
    named: str  # what the output must name


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak of the process tree. `measure` is "PSS" (shared pages counted once) or "RSS" where /proc is missing."""

    peak_bytes: int
    measure: str
    samples: int


@dataclass(frozen=True, slots=True)
class Scraped:
    """What Prometheus saw. `requests` are those that the service had answered at the last scrape."""

    version: str
    scrapes: int
    requests: int
    rules: int
    failed_rules: list[str]  # "name: why"


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the verdict rests on.

    Attributes:
        schema: of the task.
        origin: envelope of the released model.
        objectives: thresholds of the checks.
        rows: how many the replayed months of the table of features have.
        training_rows: how many there are before them.
        logged_ids: str [m], as the prediction log holds them for the replayed months, repeated when it repeats them.
        logged_scores: float64 [m].
        alone: float32 [k], scores of rows that were sent alone.
        together: float32 [k], scores of the same rows out of one batch of `batch_rows`.
        latency_rounds_ms: p99 of single rows on one connection, by protocol, a round each.
        monitoring: reports/monitoring.json.
        evaluation: reports/evaluation.json.
        model_bytes: of the released model.onnx.
        tolerated: answers to rows that must be answered (an unknown category, missing values), with their score.
        malformed: answers to requests that must be refused.
        after_malformed: the answer to a good request after all of them.
        without_token: answers to requests without a token.
        damaged: the server on a store with a flipped bit.
        scraped: what a Prometheus saw of the run; None: there is none on this machine.
    """

    schema: Schema
    origin: Provenance
    objectives: Objectives
    rows: int
    training_rows: int
    replay: Replay
    logged_ids: NDArray[np.str_]
    logged_scores: NDArray[np.float64]
    batch_rows: int
    alone: NDArray[np.float64]
    together: NDArray[np.float64]
    latency_rounds_ms: dict[str, list[float]]
    monitoring: Monitoring
    evaluation: EvaluationReport
    model_bytes: int
    tolerated: list[Answer]
    malformed: list[Answer]
    after_malformed: Answer
    without_token: list[Answer]
    damaged: Refusal
    memory: Memory
    scraped: Scraped | None = None
