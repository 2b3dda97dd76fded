"""The generated code is what `make proto` makes, and its wire format is the official one's."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from services.generated import open_inference_pb2 as pb

ROOT = Path(__file__).parents[2]
PROTO = "services/generated/open_inference.proto"
# From the official open_inference_grpc.proto: field numbers by message, and the calls.
FIELDS = {
    "ServerLiveResponse": {"live": 1},
    "ServerReadyResponse": {"ready": 1},
    "ModelReadyRequest": {"name": 1, "version": 2},
    "ModelReadyResponse": {"ready": 1},
    "ServerMetadataResponse": {"name": 1, "version": 2, "extensions": 3},
    "ModelMetadataRequest": {"name": 1, "version": 2},
    "ModelMetadataResponse": {"name": 1, "versions": 2, "platform": 3, "inputs": 4, "outputs": 5, "properties": 6},
    "ModelInferRequest": {
        "model_name": 1, "model_version": 2, "id": 3, "parameters": 4, "inputs": 5, "outputs": 6,
        "raw_input_contents": 7,
    },
    "ModelInferResponse": {
        "model_name": 1, "model_version": 2, "id": 3, "parameters": 4, "outputs": 5, "raw_output_contents": 6,
    },
    "InferParameter": {"bool_param": 1, "int64_param": 2, "string_param": 3, "double_param": 4, "uint64_param": 5},
    "InferTensorContents": {
        "bool_contents": 1, "int_contents": 2, "int64_contents": 3, "uint_contents": 4, "uint64_contents": 5,
        "fp32_contents": 6, "fp64_contents": 7, "bytes_contents": 8,
    },
    # From Triton's grpc_service.proto and model_config.proto, as far as they are used here.
    "ModelConfigRequest": {"name": 1, "version": 2},
    "ModelConfigResponse": {"config": 1},
    "ModelConfig": {"name": 1, "platform": 2, "backend": 17, "max_batch_size": 4, "input": 5, "output": 6},
    "ModelInput": {"name": 1, "data_type": 2, "dims": 4},
    "ModelOutput": {"name": 1, "data_type": 2, "dims": 3, "reshape": 5},
    "ModelTensorReshape": {"shape": 1},
    "ModelStatisticsRequest": {"name": 1, "version": 2},
    "ModelStatisticsResponse": {"model_stats": 1},
    "ModelStatistics": {
        "name": 1, "version": 2, "last_inference": 3, "inference_count": 4, "execution_count": 5, "inference_stats": 6,
    },
    "InferStatistics": {
        "success": 1, "fail": 2, "queue": 3, "compute_input": 4, "compute_infer": 5, "compute_output": 6,
        "cache_hit": 7, "cache_miss": 8,
    },
    "StatisticDuration": {"count": 1, "ns": 2},
}  # fmt: skip
TENSOR = {"name": 1, "datatype": 2, "shape": 3}
NESTED = {
    "ModelMetadataResponse.TensorMetadata": TENSOR,
    "ModelInferRequest.InferInputTensor": TENSOR | {"parameters": 4, "contents": 5},
    "ModelInferRequest.InferRequestedOutputTensor": {"name": 1, "parameters": 2},
    "ModelInferResponse.InferOutputTensor": TENSOR | {"parameters": 4, "contents": 5},
}
CALLS = ["ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer"]
CALLS += ["ModelConfig", "ModelStatistics"]


def test_regenerating_changes_nothing(tmp_path: Path) -> None:
    assert version("grpcio-tools") == version("grpcio")
    out = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I.", *out, PROTO], cwd=ROOT, check=True)
    made = sorted((tmp_path / "services/generated").iterdir())
    assert len(made) == 3
    for path in made:
        assert path.read_bytes() == (ROOT / "services/generated" / path.name).read_bytes(), path.name


def test_numbers_are_the_protocols() -> None:
    assert pb.DESCRIPTOR.package == "inference"
    for name, fields in (FIELDS | NESTED).items():
        message: Any = pb
        for part in name.split("."):
            message = getattr(message, part)
        assert {f.name: f.number for f in message.DESCRIPTOR.fields} == fields, name
    service = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert [method.name for method in service.methods] == CALLS
    assert dict(pb.DataType.items()) == {"TYPE_INVALID": 0, "TYPE_FP32": 11, "TYPE_STRING": 13}
    kinds = pb.InferTensorContents.DESCRIPTOR.fields_by_name
    assert kinds["fp32_contents"].type == FieldDescriptor.TYPE_FLOAT
    assert kinds["uint_contents"].type == FieldDescriptor.TYPE_UINT32
    assert kinds["bytes_contents"].type == FieldDescriptor.TYPE_BYTES
