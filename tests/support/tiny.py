"""A tiny real model: the contract's graph with some fixed arithmetic inside, packed and signed like a real one."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT, Git
from contracts.features import CATEGORY, NUMERIC
from contracts.reference import Reference, pack
from registry.keys import signing_keys
from registry.packaging import Content, Origin, write_artifact
from tasks.flights.schema import SCHEMA

NOWHERE = Origin(Git(commit=None, dirty=False), mlflow_run_id="none", data_sha256={}, parameters={})
CARRIERS = ("AA", "B6", "DL", "UA")
PROMISED = {"auc": 0.75, "log_loss": 0.45, "brier": 0.14, "ece": 0.02, "auc_low": 0.74}  # by no measurement


def tiny_model() -> bytes:
    """sigmoid(sum of standardised numbers, missing ones left out, and of a code for each known string).

    Row by row and element by element, so that a row's score cannot depend on its neighbours.
    """
    low = np.array([f.low for f in NUMERIC], np.float32)
    high = np.array([f.high for f in NUMERIC], np.float32)
    weight = np.linspace(-1, 1, len(NUMERIC), dtype=np.float32) / (high - low)
    constants = {"zero": np.float32(0), "low": low, "weight": weight, "axis": np.array([1], np.int64)}
    nodes = [
        helper.make_node("IsNaN", [INPUT_NUMERIC], ["missing"]),
        helper.make_node("Sub", [INPUT_NUMERIC, "low"], ["shifted"]),
        helper.make_node("Mul", ["shifted", "weight"], ["weighted"]),
        helper.make_node("Where", ["missing", "zero", "weighted"], ["known"]),
        helper.make_node("ReduceSum", ["known", "axis"], ["number"], keepdims=0),
        helper.make_node(
            "LabelEncoder",
            [INPUT_CATEGORY],
            ["codes"],
            domain="ai.onnx.ml",
            keys_strings=[*CARRIERS, "JFK", "LGA", "EWR", "LAX"],
            values_floats=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
            default_float=0.0,
        ),
        helper.make_node("ReduceSum", ["codes", "axis"], ["code"], keepdims=0),
        helper.make_node("Add", ["number", "code"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], [OUTPUT]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(INPUT_NUMERIC, TensorProto.FLOAT, ["n", len(NUMERIC)]),
            helper.make_tensor_value_info(INPUT_CATEGORY, TensorProto.STRING, ["n", len(CATEGORY)]),
        ],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def tiny_reference(rows: int = 50) -> bytes:
    """Rows that walk from each feature's lower bound to its upper one."""
    low = np.array([f.low for f in NUMERIC], np.float32)
    high = np.array([f.high for f in NUMERIC], np.float32)
    numeric = np.linspace(low, high, rows, dtype=np.float32)
    return pack(Reference(numeric, np.tile(np.array(["AA", "JFK", "LAX"], object), (rows, 1))))


def tiny_content(model: bytes, **more: Any) -> Content:
    """A release of the flights with this graph; `more` replaces members."""
    usual = {"reference": tiny_reference(), "released": "student", "as_of": "2013-07-01", "metrics": {}}
    return Content(schema=SCHEMA, model=model, **(usual | {"vocabulary": {}} | more))


def write_store(folder: Path, model: bytes | None = None) -> str:
    """`folder/store` with one released model, signed by the key in `folder`. Returns its digest."""
    artifact = write_artifact(
        folder / "candidate",
        tiny_content(
            tiny_model() if model is None else model,
            metrics=PROMISED,
            vocabulary={"carrier": list(CARRIERS), "origin": ["EWR", "JFK", "LGA"], "dest": ["LAX"]},
        ),
        NOWHERE,
        signing_keys(folder),
    )
    target = folder / "store" / artifact.digest
    target.parent.mkdir(exist_ok=True)
    (folder / "candidate").rename(target)
    (folder / "store/champion").write_text(artifact.digest)
    return artifact.digest
