"""Scores of an exported graph, by the runtime that serves it."""

from typing import Final

import numpy as np
import onnxruntime

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from contracts.schema import Category, Numeric
from models.train import Probability

_BATCH: Final = 4096


def score(model: bytes, numeric: Numeric, category: Category) -> Probability:
    """Probabilities [n], in batches and on one thread, so that the bits do not depend on the machine's cores."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    parts = [
        session.run([OUTPUT], {INPUT_NUMERIC: numeric[i : i + _BATCH], INPUT_CATEGORY: category[i : i + _BATCH]})[0]
        for i in range(0, len(numeric), _BATCH)
    ]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
