"""Gradient-boosted trees as one ONNX graph from raw values to probability, preprocessing included.

    numeric  float32 [n, k] -------------------------------------------\
    category string  [n, c] -> LabelEncoder a column -> codes [n, c] ---+-> TreeEnsemble -> Sigmoid -> probability [n]

Written from LightGBM's own dump. A converter would be another dependency, and rounds thresholds to the nearest
float32, by which rows on a threshold go the other way; here the graph and LightGBM send every float32 row to the same
leaves.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from models.preprocess import UNKNOWN, Vocabulary

_OPSET: Final = 17
_ML_OPSET: Final = 3
_IR: Final = 8  # of opset 17
Node = Mapping[str, Any]


def trees_to_onnx(dump: Mapping[str, Any], numbers: int, vocabulary: Vocabulary) -> bytes:
    """The graph in float32; equal trees give equal bytes.

    Args:
        dump: `Booster.dump_model()` of a binary objective, with ordinary splits only; its features are the numbers,
            then the categories' codes.
        numbers: how many numeric features there are.

    Raises:
        ValueError: another objective or number of features, or a split that ONNX does not know.
    """
    columns = len(vocabulary)
    if dump["objective"].split()[0] != "binary" or dump["max_feature_idx"] + 1 != numbers + columns:
        raise ValueError(
            f"`dump` must be of a binary objective on {numbers + columns} features, "
            f"got {dump['objective']!r} on {dump['max_feature_idx'] + 1}"
        )
    names = [f"{INPUT_CATEGORY}_{i}" for i in range(columns)]
    codes = [f"code_{i}" for i in range(columns)]
    nodes = [helper.make_node("Split", [INPUT_CATEGORY], names, "split_category", axis=1)]
    nodes += [_encoder(i, names[i], codes[i], words) for i, words in enumerate(vocabulary)]
    nodes += [
        helper.make_node("Concat", [INPUT_NUMERIC, *codes], ["features"], "join", axis=1),
        _ensemble(dump["tree_info"]),
        helper.make_node("Sigmoid", ["logit"], ["column"], "sigmoid"),
        helper.make_node("Squeeze", ["column", "axis"], [OUTPUT], "squeeze"),
    ]
    inputs = [
        helper.make_tensor_value_info(INPUT_NUMERIC, TensorProto.FLOAT, ["n", numbers]),
        helper.make_tensor_value_info(INPUT_CATEGORY, TensorProto.STRING, ["n", columns]),
    ]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n"])]
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    model = helper.make_model(
        helper.make_graph(nodes, "windsock_scorer", inputs, outputs, [axis]),
        opset_imports=[helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)],
        ir_version=_IR,
        producer_name="windsock",
    )
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _encoder(place: int, name: str, code: str, words: tuple[str, ...]) -> onnx.NodeProto:
    """Codes as `models.preprocess.encode` gives them, but float32."""
    return helper.make_node(
        "LabelEncoder",
        [name],
        [code],
        f"encode_{place}",
        domain="ai.onnx.ml",
        keys_strings=list(words),
        values_floats=[float(i + 1) for i in range(len(words))],
        default_float=float(UNKNOWN),
    )


def _ensemble(trees: list[Mapping[str, Any]]) -> onnx.NodeProto:
    """All trees in the parallel lists that ai.onnx.ml takes; a leaf's entries but its value are zeros there."""
    lists: dict[str, Any] = {  # of lists
        name: []
        for name in (
            *("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_values", "nodes_modes"),
            *("nodes_truenodeids", "nodes_falsenodeids", "nodes_missing_value_tracks_true"),
            *("target_treeids", "target_nodeids", "target_ids", "target_weights"),
        )
    }

    def add(kind: str, **values: Any) -> None:
        for name, value in values.items():
            lists[f"{kind}_{name}"].append(value)

    for tree, info in enumerate(trees):
        for number, node, true, false in _walk(info["tree_structure"]):
            leaf = "leaf_value" in node
            missing_goes_left = not leaf and _missing_goes_left(node)  # refuses a split of another kind
            add(
                "nodes",
                treeids=tree,
                nodeids=number,
                featureids=0 if leaf else node["split_feature"],
                values=0.0 if leaf else _threshold(node["threshold"]),
                modes="LEAF" if leaf else "BRANCH_LEQ",
                truenodeids=true,
                falsenodeids=false,
                missing_value_tracks_true=int(missing_goes_left),
            )
            if leaf:
                add("target", treeids=tree, nodeids=number, ids=0, weights=float(node["leaf_value"]))
    return helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["logit"], "trees", domain="ai.onnx.ml", n_targets=1, **lists
    )


def _walk(root: Node) -> Iterator[tuple[int, Node, int, int]]:
    """Each node with its number and those of its children (zeros: a leaf), parents first."""
    waiting, count = [(0, root)], 1
    while waiting:
        number, node = waiting.pop(0)
        if "leaf_value" in node:
            yield number, node, 0, 0
            continue
        left, right = count, count + 1
        count += 2
        waiting += [(left, node["left_child"]), (right, node["right_child"])]
        yield number, node, left, right


def _threshold(value: float) -> float:
    """The greatest float32 that is not above it: a float32 is at most the one where it is at most the other."""
    nearest = np.float32(value)
    return float(nearest if float(nearest) <= value else np.nextafter(nearest, np.float32(-np.inf)))


def _missing_goes_left(node: Node) -> bool:
    """LightGBM's own rule: the default direction where the split saw missing values, as a zero where it saw none."""
    if node["decision_type"] != "<=" or node["missing_type"] not in ("NaN", "None"):
        raise ValueError(
            f"a split must be `<=` with missing values as NaN, got {node['decision_type']!r} and "
            f"{node['missing_type']!r}; train without `categorical_feature` and `zero_as_missing`"
        )
    return bool(node["default_left"]) if node["missing_type"] == "NaN" else node["threshold"] >= 0
