"""A tiny real model: a schema's inputs and output with some fixed arithmetic, packed and signed like a real one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import model_signing
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contracts.artifact import (
    INPUT_CATEGORY,
    INPUT_NUMERIC,
    MANIFEST,
    OUTPUT,
    PROVENANCE,
    SIGNATURE,
    Git,
    sha256,
    signing_config,
)
from contracts.reference import Reference, pack
from contracts.schema import Schema
from monitoring.scorer.reference import ReferenceScorer
from monitoring.statistics.expectation import Expectation, Release, to_metrics
from registry.artifact_writer import Content, Origin, write_artifact
from registry.keys import signing_keys
from tasks.flights.schema import SCHEMA

ROWS_A_DAY = 240  # of `write_workspace`
AS_OF_US = np.datetime64("2013-07-01", "us")
NOWHERE = Origin(Git(commit=None, dirty=False), mlflow_run_id="none", data_sha256={}, parameters={})
CARRIERS = ("AA", "B6", "DL", "UA")
PROMISED = {"auc": 0.75, "log_loss": 0.45, "brier": 0.14, "ece": 0.02, "auc_low": 0.74}  # by no measurement
PAIRED = {"reference_auc": 0.74, "paired_loss": -0.004, "paired_loss_day_sd": 0.02} | to_metrics(
    Release(
        Expectation(-0.004, 0.008, 30, 900.0),
        Expectation(-0.003, 0.025, 30, 900.0),
        Expectation(-0.002, 0.015, 30, 250.0),
        {"origin=JFK": Expectation(-0.004, 0.012, 30, 300.0)},
    )
)  # by none, too


KNOWN = {"carrier": list(CARRIERS), "origin": ["EWR", "JFK", "LGA"], "dest": ["LAX"]}  # vocabulary of the flights


def bounds(schema: Schema) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest value of each number, float32 [numbers]."""
    low = np.array([f.low for f in schema.numeric], np.float32)
    return low, np.array([f.high for f in schema.numeric], np.float32)


def tiny_model(
    schema: Schema = SCHEMA,
    known: tuple[str, ...] = (*CARRIERS, "JFK", "LGA", "EWR", "LAX"),
    strength: float = 1.0,
) -> bytes:
    """sigmoid(strength * sum of standardised numbers, missing ones left out, and of a code for each known string).

    Row by row and element by element, so that a row's score cannot depend on its neighbours.
    """
    low, high = bounds(schema)
    weight = np.linspace(-strength, strength, len(low), dtype=np.float32) / (high - low)
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
            keys_strings=list(known),
            values_floats=[0.1 * strength * (place + 1) for place in range(len(known))],
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
            helper.make_tensor_value_info(INPUT_NUMERIC, TensorProto.FLOAT, ["n", len(schema.numeric)]),
            helper.make_tensor_value_info(INPUT_CATEGORY, TensorProto.STRING, ["n", len(schema.category)]),
        ],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def tiny_scorer(schema: Schema = SCHEMA) -> bytes:
    """A reference scorer: the model's own ranking, half as sure of it."""
    return tiny_model(schema, strength=0.5)


def tiny_reference(rows: int = 50, schema: Schema = SCHEMA) -> bytes:
    """Rows that walk from each feature's lower bound to its upper one."""
    numeric = np.linspace(*bounds(schema), rows, dtype=np.float32)
    return pack(Reference(numeric, np.tile(np.array([f.example for f in schema.category], object), (rows, 1))))


def tiny_content(model: bytes, schema: Schema = SCHEMA, **more: Any) -> Content:
    """A release of the task with this graph; `more` replaces members."""
    usual = {
        "reference": tiny_reference(schema=schema),
        "scorer": tiny_scorer(schema),
        "released": "student",
        "as_of": "2013-07-01",
        "metrics": {},
    }
    return Content(schema=schema, model=model, **(usual | {"vocabulary": {}} | more))


def write_store(folder: Path, model: bytes | None = None, schema: Schema = SCHEMA, **more: Any) -> str:
    """`folder/store` with one released model, signed by the key in `folder`. Returns its digest."""
    words = {feature.name: KNOWN.get(feature.name, [feature.example]) for feature in schema.category}
    usual = {"metrics": PROMISED | PAIRED, "vocabulary": words}
    content = tiny_content(tiny_model() if model is None else model, schema, **(usual | more))
    artifact = write_artifact(folder / "candidate", content, NOWHERE, signing_keys(folder))
    target = folder / "store" / artifact.digest
    target.parent.mkdir(exist_ok=True)
    (folder / "candidate").rename(target)
    (folder / "store/champion").write_text(artifact.digest)
    return artifact.digest


def forge(folder: Path, digest: str, change: Callable[[dict[str, Any]], None]) -> str:
    """Change the champion's manifest and sign it anew, as somebody with the key could. Returns its digest."""
    artifact = folder / "store" / digest
    manifest = json.loads((artifact / MANIFEST).read_bytes())
    change(manifest)
    content = json.dumps(manifest).encode()
    (artifact / MANIFEST).write_bytes(content)
    provenance = json.loads((artifact / PROVENANCE).read_bytes()) | {"digest": sha256(content)}
    (artifact / PROVENANCE).write_text(json.dumps(provenance))
    (artifact / SIGNATURE).unlink()
    (
        model_signing.signing.Config()
        .use_elliptic_key_signer(private_key=signing_keys(folder).private)
        .set_hashing_config(signing_config())
        .sign(artifact, artifact / SIGNATURE)
    )
    artifact.rename(folder / "store" / sha256(content))
    (folder / "store/champion").write_text(sha256(content))
    return sha256(content)


def write_workspace(folder: Path, days: int) -> Path:
    """`folder` with store, keys and data/features.parquet, from the model's date on."""
    write_store(folder, tiny_model(strength=3.0))
    rng = np.random.default_rng(0)
    count = days * ROWS_A_DAY
    low, high = bounds(SCHEMA)
    numeric = (low + rng.random((count, len(low))) * (high - low)).astype(np.float32)
    category = np.stack(
        [rng.choice(CARRIERS, count), rng.choice(["EWR", "JFK", "LGA"], count), np.full(count, "LAX")], 1
    ).astype(object)
    at = AS_OF_US + np.arange(count) * np.timedelta64(86_400_000_000 // ROWS_A_DAY, "us")
    score = ReferenceScorer(tiny_model(strength=3.0))(numeric, category)
    columns = {
        "row_id": [f"row-{i}" for i in range(count)],
        "month": [str(moment)[:7] for moment in at],
        "predicted_at": at,
        "outcome_at": at + np.timedelta64(1, "h"),
        "label": pa.array(rng.random(count) < score),
        **dict(zip(SCHEMA.numeric_names, numeric.T, strict=True)),
        **dict(zip(SCHEMA.category_names, category.T, strict=True)),
    }
    (folder / "data").mkdir()
    pq.write_table(pa.table(columns), folder / "data/features.parquet")
    return folder
