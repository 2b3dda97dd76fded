"""The artifact's reference scorer, run where the log is counted."""

import hashlib
import threading
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from contracts.schema import Category, Numeric

_BATCH: Final = 65_536  # rows of one run: some 30 MB


class ReferenceScorer:
    """scorer.onnx of an artifact, opened when the first rows come: who reads reports only needs no runtime."""

    def __init__(self, model: bytes) -> None:
        """Takes a serialised graph that `contracts.artifact.verify` has seen; `sha256` names it."""
        self.sha256 = hashlib.sha256(model).hexdigest()
        self._model = model
        self._opening = threading.Lock()
        self._session: Any = None

    def __call__(self, numeric: Numeric, category: Category) -> NDArray[np.float32]:
        """Probabilities of the positive outcome [n], on one thread, so that the bits do not depend on the machine.

        Args:
            numeric: float32 [n, k], NaN is missing.
            category: str [n, c], "" is missing; a name outside the vocabulary is unknown to the trees, too.
        """
        session = self._open()
        scores = np.empty(len(numeric), np.float32)
        for start in range(0, len(numeric), _BATCH):
            part = slice(start, start + _BATCH)
            inputs = {INPUT_NUMERIC: numeric[part], INPUT_CATEGORY: category[part]}
            scores[part] = session.run([OUTPUT], inputs)[0]
        return scores

    def _open(self) -> Any:
        with self._opening:
            if self._session is None:
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                self._session = onnxruntime.InferenceSession(self._model, options, providers=["CPUExecutionProvider"])
            return self._session
