"""A tiny real model: the contract's graph with some fixed arithmetic inside, packed and signed like a real one."""

import json
from datetime import UTC, datetime
from pathlib import Path

import model_signing
import numpy as np
import onnx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from onnx import TensorProto, helper, numpy_helper

from contracts.artifact import (
    INPUT_CATEGORY,
    INPUT_NUMERIC,
    MANIFEST,
    MODEL,
    OUTPUT,
    SIGNATURE,
    File,
    Git,
    Manifest,
    sha256,
    signing_config,
)
from contracts.features import CATEGORY, NUMERIC, SCHEMA_HASH, schema

CARRIERS = ("AA", "B6", "DL", "UA")


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


def write_keys(folder: Path) -> tuple[Path, Path]:
    """A fresh signing key and its public half: `signing.key`, `signing.pub`."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / "signing.key", folder / "signing.pub"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def write_store(folder: Path, model: bytes | None = None) -> str:
    """`folder/store` with one released model, signed by the key in `folder`. Returns its digest."""
    private, _ = write_keys(folder)
    content = tiny_model() if model is None else model
    manifest = Manifest(
        released="student",
        as_of="2013-07-01",
        created_at=datetime(2013, 7, 1, tzinfo=UTC).isoformat(),
        feature_schema=schema(),
        schema_hash=SCHEMA_HASH,
        data_sha256={},
        git=Git(commit=None, dirty=False),
        mlflow_run_id="none",
        metrics={},
        versions={},
        files={MODEL: File(sha256=sha256(content), bytes=len(content))},
    )
    text = json.dumps(manifest.model_dump(), indent=1, sort_keys=True).encode()
    digest = sha256(text)
    target = folder / "store" / digest
    target.mkdir(parents=True)
    (target / MANIFEST).write_bytes(text)
    (target / MODEL).write_bytes(content)
    signer = model_signing.signing.Config().use_elliptic_key_signer(private_key=private)
    signer.set_hashing_config(signing_config()).sign(target, target / SIGNATURE)
    (folder / "store/champion").write_text(digest)
    return digest
