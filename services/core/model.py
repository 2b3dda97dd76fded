"""One verified model, loaded and warmed up."""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT, Artifact
from contracts.errors import ArtifactInvalid, ContractViolation
from contracts.schema import Category, Numeric

# Rows of one call of ONNX Runtime. A longer request is cut, so that requests on other threads get their turn.
RUN_ROWS: Final = 1_024
_WARM_UP_ROWS: Final = (1, 2, 64, 1_024)
_KNOWN_STRINGS: Final = 4_096  # categories that were looked at once, and need no second look


@dataclass(slots=True)
class Usage:
    """What a model has done in this process since it was loaded.

    Attributes:
        runs: calls of ONNX Runtime, `rows` of all of them.
        requests: those that it answered; nanoseconds of all of them from the arrival of the last byte to the run, and
            of their runs. Requests that were scored together have each the whole time of their run.
        last_ns: when it last ran, since 1970; 0: never.
    """

    runs: int = 0
    rows: int = 0
    requests: int = 0
    before_ns: int = 0
    run_ns: int = 0
    last_ns: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add_run(self, rows: int) -> None:
        with self._lock:
            self.runs += 1
            self.rows += rows
            self.last_ns = time.time_ns()

    def add_requests(self, requests: int, before: float, run: float) -> None:
        """Times in seconds, of all these requests together."""
        with self._lock:
            self.requests += requests
            self.before_ns += round(before * 1e9)
            self.run_ns += round(run * 1e9)


class Model:
    """Scores rows of its schema. Thread-safe.

    Raises:
        ArtifactInvalid: it does not load, or gives no probabilities for rows at the schema's bounds.
    """

    def __init__(self, artifact: Artifact) -> None:
        manifest = artifact.manifest
        self.name, self.version, self.digest = manifest.name, artifact.version, artifact.digest
        self.released: str = manifest.released
        self.as_of = manifest.as_of
        self.vocabulary = manifest.vocabulary
        self.created_at = datetime.fromisoformat(artifact.provenance.created_at).timestamp()
        self.schema, self.schema_hash = artifact.schema, artifact.manifest.schema_hash
        features = self.schema.numeric
        self._low, self._high = (
            np.array(bound, np.float32) for bound in zip(*((f.low, f.high) for f in features), strict=True)
        )
        self._nullable = np.array([f.nullable for f in features])
        self._shortest = min(f.max_length for f in self.schema.category)
        self._known: set[str] = set()
        self._session = _load(artifact)
        self.usage = Usage()
        self._warm_up()
        self.usage = Usage()  # without the warm-up

    def check(self, numeric: Numeric, category: Category) -> None:
        """Refuse rows outside the schema.

        Args:
            numeric: float32 [n, numbers], NaN is missing.
            category: str [n, categories], "" is missing.

        Raises:
            ContractViolation: names the feature, the rule and the row.
        """
        fits = (numeric >= self._low) & (numeric <= self._high)
        # Most rows have no missing value, and need only the comparison above.
        if not fits.all() and not (fits | (np.isnan(numeric) & self._nullable)).all():
            self.schema.check_numeric(numeric)
        unseen = set(category.ravel().tolist()) - self._known
        if unseen:
            self._look_at(unseen, category)

    def _look_at(self, unseen: set[str], category: Category) -> None:
        if any(len(value) > self._shortest or "\0" in value for value in unseen):
            self.schema.check_category(category)
            for row, values in enumerate(category.tolist()):
                for feature, value in zip(self.schema.category, values, strict=True):
                    if "\0" in value:
                        raise ContractViolation(
                            f"`{feature.name}` must not hold the character NUL, got {value!r} in row {row}; "
                            f"send a value like {feature.example!r} ({feature.unit})"
                        )
        elif len(self._known) < _KNOWN_STRINGS:
            self._known |= unseen

    def run(self, numeric: Numeric, category: Category) -> NDArray[np.float32]:
        """Score checked rows.

        Returns:
            float32 [n]: probability of the positive outcome.
        """
        if len(numeric) <= RUN_ROWS:
            return self._run(numeric, category)
        starts = range(0, len(numeric), RUN_ROWS)
        return np.concatenate([self._run(numeric[i : i + RUN_ROWS], category[i : i + RUN_ROWS]) for i in starts])

    def _run(self, numeric: Numeric, category: Category) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self._session.run([OUTPUT], {INPUT_NUMERIC: numeric, INPUT_CATEGORY: category})[0]
        self.usage.add_run(len(scores))
        return scores

    def _warm_up(self) -> None:
        """Run rows at the schema's bounds: the lowest without optional values, the lowest, the highest."""
        missing = np.where(self._nullable, np.float32(np.nan), self._low)
        for rows in _WARM_UP_ROWS:
            numeric = np.resize(np.stack([missing, self._low, self._high]), (rows, len(self._low)))
            scores = self._run(numeric, np.full((rows, len(self.schema.category)), "", object))
            if scores.shape != (rows,) or not ((scores >= 0) & (scores <= 1)).all():
                raise ArtifactInvalid(
                    f"the model must give {rows} probabilities for {rows} rows, "
                    f"got shape {list(scores.shape)}, from {scores.min()} to {scores.max()}; release another one"
                )


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
