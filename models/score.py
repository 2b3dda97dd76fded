"""Scores of an exported graph, by the runtime that serves it."""

from collections.abc import Callable
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from contracts.schema import Category, Numeric

_BATCH: Final = 4096
Session = Callable[[Numeric, Category], NDArray[np.float32]]  # one run, thread-safe; probabilities [n]


def open_session(model: bytes) -> Session:
    """The graph, ready to run. A run is on one thread, so that the bits do not depend on the machine's cores.

    Args:
        model: a serialised ONNX graph with the tensors of contracts/artifact.py.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(numeric: Numeric, category: Category) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = session.run([OUTPUT], {INPUT_NUMERIC: numeric, INPUT_CATEGORY: category})[0]
        return scores

    return run


def score(model: bytes, numeric: Numeric, category: Category) -> NDArray[np.float32]:
    """Probabilities [n], in batches."""
    run = open_session(model)
    parts = [run(numeric[i : i + _BATCH], category[i : i + _BATCH]) for i in range(0, len(numeric), _BATCH)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
