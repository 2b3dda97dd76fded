"""A network as one ONNX graph from raw values to probability, preprocessing included (DESIGN decision 1).

    numeric  float32 [n, k] ----------------------------------------\
    category string  [n, c] -> LabelEncoder a column -> row [n, c] --+-> exported network -> probability [n]
"""

import io
import warnings

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from models.network import Network
from models.preprocess import Vocabulary

_OPSET = 17
_ML_OPSET = 3
_ROW = "row"  # of the embedding table


class _Probability(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, numeric: Tensor, row: Tensor) -> Tensor:
        return torch.sigmoid(self.network.from_rows(numeric, row))


def to_onnx(network: Network, vocabulary: Vocabulary) -> bytes:
    """The whole graph in float32; the same bytes wherever and whenever it is made."""
    model = _export(network)
    graph = model.graph
    columns = len(vocabulary)
    names = [f"{INPUT_CATEGORY}_{i}" for i in range(columns)]
    rows = [f"{_ROW}_{i}" for i in range(columns)]
    nodes = [helper.make_node("Split", [INPUT_CATEGORY], names, "split_category", axis=1)]
    for i, words in enumerate(vocabulary):
        first = int(network.offset[i])
        nodes.append(
            helper.make_node(
                "LabelEncoder",
                [names[i]],
                [rows[i]],
                f"encode_{i}",
                domain="ai.onnx.ml",
                keys_strings=list(words),
                values_int64s=[first + 1 + j for j in range(len(words))],
                default_int64=first,
            )
        )
    nodes.append(helper.make_node("Concat", rows, [_ROW], "join_rows", axis=1))
    inputs = [
        helper.make_tensor_value_info(INPUT_NUMERIC, TensorProto.FLOAT, ["n", network.architecture.features]),
        helper.make_tensor_value_info(INPUT_CATEGORY, TensorProto.STRING, ["n", columns]),
    ]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n"])]
    whole = helper.make_model(
        helper.make_graph([*nodes, *graph.node], "windsock", inputs, outputs, list(graph.initializer)),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)],
        ir_version=model.ir_version,
        producer_name="windsock",
    )
    onnx.checker.check_model(whole, full_check=True)
    content: bytes = whole.SerializeToString(deterministic=True)
    return content


def _export(network: Network) -> onnx.ModelProto:
    """The numeric part, by PyTorch's tracer: the other exporter (dynamo) writes absolute paths into the file."""
    buffer = io.BytesIO()
    example = (
        torch.zeros(2, network.architecture.features),
        torch.zeros(2, len(network.architecture.categories), dtype=torch.int64),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the tracer, for the reason above
        torch.onnx.export(
            _Probability(network).eval(),
            example,
            buffer,  # type: ignore[arg-type]  # the tracer writes into a buffer, too
            input_names=[INPUT_NUMERIC, _ROW],
            output_names=[OUTPUT],
            dynamic_axes={INPUT_NUMERIC: {0: "n"}, _ROW: {0: "n"}, OUTPUT: {0: "n"}},
            opset_version=_OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(buffer.getvalue())
