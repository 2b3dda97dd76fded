"""The exported graphs: parity with PyTorch, static int8, and scores that do not depend on neighbours."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
from onnxruntime.quantization import quantize_dynamic

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC, OUTPUT
from models.export import to_onnx
from models.preprocess import encode
from models.score import score
from models.train import predict
from monitoring.statistics import quality
from tests.support.learned import learned, world

ROOT = Path(__file__).parents[3]


def _models() -> dict[str, bytes]:
    made = learned()
    return {"teacher": to_onnx(made.teacher, made.vocabulary), "student": made.student[-1].model}


def _alone_and_together(model: bytes) -> float:
    """Largest difference of a row's score between a call of its own and a batch of 4,096."""
    seen = world(4096, seed=7)
    together = score(model, seen.numeric, seen.category)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    rows = range(0, 4096, 13)
    alone = [
        session.run([OUTPUT], {INPUT_NUMERIC: seen.numeric[i : i + 1], INPUT_CATEGORY: seen.category[i : i + 1]})[0][0]
        for i in rows
    ]
    return float(np.abs(together[list(rows)] - alone).max())


def test_onnx_scores_as_pytorch_does() -> None:
    made = learned()
    seen = world(2000, seed=5)
    seen.category[0] = ["ZZ", "", "AA"]
    expected = predict(made.teacher, seen.numeric, encode(seen.category, made.vocabulary))
    np.testing.assert_allclose(score(_models()["teacher"], seen.numeric, seen.category), expected, atol=2e-6)


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_the_graph_keeps_its_contract(name: str) -> None:
    graph = onnx.load_from_string(_models()[name]).graph
    told = {}
    for value in [*graph.input, *graph.output]:
        tensor = value.type.tensor_type
        told[value.name] = (tensor.elem_type, [d.dim_value or d.dim_param for d in tensor.shape.dim])
    assert told == {
        INPUT_NUMERIC: (onnx.TensorProto.FLOAT, ["n", 31]),
        INPUT_CATEGORY: (onnx.TensorProto.STRING, ["n", 3]),
        OUTPUT: (onnx.TensorProto.FLOAT, ["n"]),
    }


@pytest.mark.parametrize("name", ["teacher", "student"])
def test_a_row_scores_the_same_alone_and_among_4096(name: str) -> None:
    assert _alone_and_together(_models()[name]) <= 1e-6


def test_dynamic_int8_would_not(tmp_path: Path) -> None:
    """Why the student is quantised statically, and proof that the test above can fail."""
    source = tmp_path / "float.onnx"
    source.write_bytes(learned().student[-2].model)
    quantize_dynamic(source, tmp_path / "dynamic.onnx")
    assert _alone_and_together((tmp_path / "dynamic.onnx").read_bytes()) > 1e-6


def test_the_student_is_static_int8_and_close_to_its_float_form() -> None:
    floats, int8 = learned().student[-2].model, learned().student[-1].model
    graph = onnx.load_from_string(int8).graph
    kinds = [node.op_type for node in graph.node]
    assert "DynamicQuantizeLinear" not in kinds
    assert "MatMulInteger" not in kinds
    weights = {t.name: t for t in graph.initializer if t.name.endswith("weight_quantized")}
    assert [t.data_type for t in weights.values()] == [onnx.TensorProto.INT8] * 2
    # Two products of 255 and 64 fit into the 16 bits in which CPUs without VNNI add them.
    assert max(int(np.abs(onnx.numpy_helper.to_array(t).astype(int)).max()) for t in weights.values()) <= 64
    scales = {t.name: list(t.dims) for t in graph.initializer if t.name.endswith("weight_scale")}
    assert sorted(scales.values()) == [[24], [24]]  # a scale a unit
    assert len(int8) < len(floats)
    seen = world(2000, seed=5)
    scores = [score(model, seen.numeric, seen.category) for model in (floats, int8)]
    assert np.abs(scores[0] - scores[1]).max() < 0.05
    auc = [quality.auc(seen.label, values) for values in scores]
    assert auc[1] == pytest.approx(auc[0], abs=0.005)


def test_each_step_of_the_student_is_told() -> None:
    steps = learned().student
    assert [step.name for step in steps] == ["trained", "pruned", "fine-tuned", "int8"]
    assert steps[0].parameters > steps[1].parameters == steps[-1].parameters


def test_the_student_keeps_what_its_teacher_knows() -> None:
    made, seen = learned(), world(4000, seed=8)
    auc = [quality.auc(seen.label, score(model, seen.numeric, seen.category)) for model in _models().values()]
    assert auc[1] > auc[0] - 0.01
    assert made.student[-1].parameters < 10_000


def test_two_processes_in_two_folders_make_the_same_bytes(tmp_path: Path) -> None:
    program = (
        "import hashlib; from tests.support.learned import learned; from models.export import to_onnx;"
        "made = learned();"
        "models = [to_onnx(made.teacher, made.vocabulary), *(step.model for step in made.student)];"
        "print(*(hashlib.sha256(model).hexdigest() for model in models))"
    )
    made = learned()
    models = [to_onnx(made.teacher, made.vocabulary), *(step.model for step in made.student)]
    here = [hashlib.sha256(model).hexdigest() for model in models]
    there = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == here
    for model in models:
        assert str(ROOT).encode() not in model
        assert b"2026" not in model
