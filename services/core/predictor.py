"""The one inference core. REST and gRPC turn what they get into a `PredictionRequest` and scores into their answers.

A request passes, in this order: whether the service is open, the schema's rules, the model, the spool, the answer. So
what a client has seen is in the log.
"""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT, Artifact
from contracts.errors import ArtifactInvalid, InvalidInput, TooLarge, Unavailable
from contracts.reports.monitoring import Protocol
from contracts.schema import Category, Numeric
from monitoring.log.spool import LabelRecord, PredictionRecord, Record, Spool
from monitoring.metrics.declared import Metrics

MAX_ROWS: Final = 8_192  # a request
MAX_BYTES: Final = 16 * 2**20  # a request: 8,192 named records are about 8 MiB
MAX_ID_LENGTH: Final = 128
_WARM_UP_ROWS: Final = (1, 2, 64, 1024)


@dataclass(slots=True)
class PredictionRequest:
    """Rows to score, without their transport.

    `event_time` is the caller's clock (UTC without a zone), None: the time of arrival. `started` is the
    `perf_counter` at the arrival of the last byte.
    """

    protocol: Protocol
    numeric: Numeric
    category: Category
    id: str = ""
    event_time: datetime | None = None
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.id = check_id(self.id) if self.id else str(uuid4())


def check_id(request_id: str) -> str:
    """Ids are database keys: short, and without the control characters that PostgreSQL refuses."""
    if not request_id or len(request_id) > MAX_ID_LENGTH or not request_id.isprintable():
        raise InvalidInput(
            f"`id` must be 1 to {MAX_ID_LENGTH} printable characters, got {request_id[:MAX_ID_LENGTH]!r}; "
            "leave it out, and the service makes one"
        )
    return request_id


def as_utc(instant: datetime | None) -> datetime | None:
    """UTC without a zone. An instant without a zone is UTC already."""
    if instant is None or instant.tzinfo is None:
        return instant
    try:
        return instant.astimezone(UTC).replace(tzinfo=None)
    except OverflowError as error:
        raise InvalidInput(f"an instant must be in the years 1 to 9999 of UTC, got {instant}; correct it") from error


def now() -> datetime:
    """UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


class Predictor:
    """A verified model, warmed up, with its log. `ready` and `open` change when the service drains."""

    def __init__(self, artifact: Artifact, spool: Spool, metrics: Metrics) -> None:
        self.name = artifact.manifest.name
        self.schema = artifact.schema
        self.version = artifact.version
        self.ready = False  # what the health endpoints say
        self.open = False  # whether requests are answered
        self._digest = artifact.digest
        self._spool = spool
        self._metrics = metrics
        self._check_numeric, self._check_category = self.schema.check_numeric, self.schema.check_category
        self._session = _load(artifact)
        self._warm_up()
        manifest = artifact.manifest
        metrics.set_model(
            self._digest,
            released=manifest.released,
            as_of=manifest.as_of,
            created_at=datetime.fromisoformat(artifact.provenance.created_at).timestamp(),
            vocabulary=manifest.vocabulary,
        )

    def predict(self, request: PredictionRequest) -> NDArray[np.float32]:
        """Score, log, answer. Thread-safe.

        Returns:
            float32 [n]: probability of the positive outcome.

        Raises:
            ContractViolation: a value outside the model's schema.
            Unavailable: the service is closed, or the spool takes no writes.
        """
        if not self.open:
            raise Unavailable("the service must be ready, got a request before start-up or after SIGTERM; try another")
        self._check_numeric(request.numeric)
        self._check_category(request.category)
        received_at = now()
        scores = self._run(request.numeric, request.category)
        record = PredictionRecord(
            request_id=request.id,
            digest=self._digest,
            protocol=request.protocol,
            event_time=request.event_time or received_at,
            received_at=received_at,
            duration_us=round((time.perf_counter() - request.started) * 1e6),
            numeric=request.numeric.tolist(),
            category=request.category.tolist(),
            score=scores.tolist(),
        )
        self._append([record], len(scores))
        self._metrics.of[request.protocol].ok(request.numeric, request.category, scores)
        return scores

    def label(self, labels: list[LabelRecord], delays: NDArray[np.float64]) -> None:
        """Take in what became of predicted rows. Thread-safe.

        Args:
            delays: seconds from outcome to delivery, float64 [k], of the k labels that tell when the outcome was known.

        Raises:
            Unavailable: nothing was written, so nothing may be acknowledged.
        """
        self._append([*labels], len(labels))
        positive = sum(label.value for label in labels)
        self._metrics.labels[True](positive)
        self._metrics.labels[False](len(labels) - positive)
        self._metrics.label_delay.observe_many(delays)

    def _append(self, records: list[Record], rows: int) -> None:
        try:
            self._spool.append(records, rows)
        except OSError as error:
            raise Unavailable(f"the spool must take writes, got: {error.strerror}; try again later") from error

    def _run(self, numeric: Numeric, category: Category) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT_NUMERIC: numeric, INPUT_CATEGORY: category})[0]
        return scores

    def _warm_up(self) -> None:
        """Run rows at the schema's bounds: the lowest without optional values, the lowest, the highest."""
        features = self.schema.numeric
        low, high = (np.array(bound, np.float32) for bound in zip(*((f.low, f.high) for f in features), strict=True))
        missing = np.where([f.nullable for f in features], np.float32(np.nan), low)
        for rows in _WARM_UP_ROWS:
            numeric = np.resize(np.stack([missing, low, high]), (rows, len(features)))
            scores = self._run(numeric, np.full((rows, len(self.schema.category)), "", object))
            if scores.shape != (rows,) or not ((scores >= 0) & (scores <= 1)).all():
                raise ArtifactInvalid(
                    f"the model must give {rows} probabilities for {rows} rows, "
                    f"got shape {list(scores.shape)}, from {scores.min()} to {scores.max()}; release another one"
                )


def check_size(rows: int) -> None:
    """Refuse more rows than a request may have (`TooLarge`)."""
    if rows > MAX_ROWS:
        raise TooLarge(f"a request must have at most {MAX_ROWS} rows, got {rows}; split it")


def _load(artifact: Artifact) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # a row is 15 us of work: a second thread costs more than it does
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(artifact.model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ArtifactInvalid(f"the model must load in ONNX Runtime, got: {error}; release another one") from error
    found = {tensor.name: tensor.type for tensor in [*session.get_inputs(), *session.get_outputs()]}
    expected = {INPUT_NUMERIC: "tensor(float)", INPUT_CATEGORY: "tensor(string)", OUTPUT: "tensor(float)"}
    if found != expected:
        raise ArtifactInvalid(f"the model must have the tensors {expected}, got {found}; release another one")
    return session
