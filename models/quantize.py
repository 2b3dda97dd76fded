"""Static int8 (QDQ): weights per channel, activations by scales measured once on training rows.

Dynamic int8 would take each activation scale from the batch at hand, and a row's score would depend on its
neighbours (DESIGN decision 1b). Only the hidden layers' products are quantised: preprocessing needs float32, and a
score needs more than 256 values. Weights have 7 bits: a CPU without VNNI adds two products in 16 bits, which
saturate with 8, so the same release would score otherwise there.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC
from contracts.schema import Category, Numeric

_BATCH = 512


class _CalibrationBatches(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime ships no types
    def __init__(self, numeric: Numeric, category: Category) -> None:
        starts = range(0, len(numeric), _BATCH)
        self._batches = iter(
            {INPUT_NUMERIC: numeric[i : i + _BATCH], INPUT_CATEGORY: category[i : i + _BATCH]} for i in starts
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def quantize(model: bytes, numeric: Numeric, category: Category) -> bytes:
    """The int8 form of a graph of `models.export.to_onnx`.

    Args:
        numeric, category: the rows that the activations' ranges are measured on.
    """
    graph = onnx.load_from_string(model)
    *products, _score = [node.name for node in graph.graph.node if node.op_type == "Gemm"]
    # A quantised ReLU costs nothing: the scale of the product before it starts at 0, so rounding clips.
    clipped = [node.name for node in graph.graph.node if node.op_type == "Relu"][: len(products)]
    add_pre_process_metadata(graph)  # its advice to fold constants and infer shapes first does not hold: it is done
    # ONNX Runtime's quantiser writes its result to a file only.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            graph,
            path,
            _CalibrationBatches(numeric, category),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_quantize=[*products, *clipped],
        )
        return onnx.load(path).SerializeToString(deterministic=True)
