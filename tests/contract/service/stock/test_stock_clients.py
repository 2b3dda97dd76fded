"""Stock clients of the Open Inference Protocol, unchanged and with their defaults, talk to the service.

NVIDIA's `tritonclient` and KServe's clients live in an environment of their own: they want an older protobuf, and
their messages bear the names of ours, so each of them has a process of its own, too. `make clients` makes it.
"""

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.core.request import MAX_ROWS
from tasks.flights.schema import SCHEMA
from tests.support.payloads import INFER, json_body, json_numbers, rows
from tests.support.serving import Server, Store

ROOT = Path(__file__).parents[4]
PYTHON = Path(os.environ.get("WINDSOCK_CLIENTS_PYTHON", ROOT / ".venv-clients/bin/python"))
ANALYZER = PYTHON.parents[1] / "perf_analyzer"
needs_clients = pytest.mark.skipif(not PYTHON.exists(), reason="needs .venv-clients, see `make clients`")
NUMERIC, CATEGORY = rows(7, seed=3)
# tritonclient writes a bare NaN into JSON, and so does KServe's.
COMPLETE = np.where(np.isnan(NUMERIC), np.array([f.low for f in SCHEMA.numeric], np.float32), NUMERIC)


def ask(script: str, server: Server) -> Any:
    """What a script of stock/ got, with our rows."""
    sent = {"numeric": json_numbers(NUMERIC), "category": CATEGORY.tolist(), "complete": COMPLETE.tolist()}
    done = subprocess.run(
        [PYTHON, Path(__file__).with_name(script), *addresses(script, server), server.token],
        input=json.dumps(sent),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def addresses(script: str, server: Server) -> tuple[str, str]:
    return (server.rest if script.startswith("kserve") else server.rest.removeprefix("http://")), server.grpc


def scores(server: Server, numeric: Any = NUMERIC) -> Any:
    """What the service says of our rows."""
    answer = json.loads(server.ask(INFER, json_body(numeric, CATEGORY))[1])
    return pytest.approx(answer["outputs"][0]["data"], abs=1e-6)


@needs_clients
def test_tritonclient(server: Server, artifact_store: Store) -> None:
    expected = scores(server)
    found = ask("triton.py", server)
    for protocol in ("http", "grpc"):
        got = found[protocol]
        assert (got["live"], got["ready"], got["model_ready"], got["id"]) == (True, True, True, "stock")
        assert got["version"] == artifact_store.digest[:12]
        assert {"binary_tensor_data", "model_configuration", "statistics"} <= set(got["extensions"])
        assert got["max_rows"] == MAX_ROWS
        assert got["counted"] >= 2 * len(NUMERIC)
        assert got["scores"] == expected
        assert got["by_name"] == expected
        assert [one for (one,) in got["aio"]] == expected
        assert "the model must be `flight-delay`" in got["refusal"]
    assert found["json"] == pytest.approx(found["json_expected"], abs=1e-6)


@needs_clients
def test_kserve(server: Server) -> None:
    found = ask("kserve_clients.py", server)
    assert found["ready"] == [True] * 4
    assert (found["model_ready"], found["grpc_model_ready"]) == (True, True)
    assert found["json"] == scores(server, COMPLETE)
    assert found["binary"] == scores(server)
    assert found["grpc"] == scores(server)


@pytest.mark.skipif(shutil.which("grpcurl") is None, reason="grpcurl is not on PATH")
def test_grpcurl_by_reflection(server: Server) -> None:
    """It has no .proto of ours: it asks the service for its messages."""
    header = ["-H", f"authorization: Bearer {server.token}"]
    strings = [base64.b64encode(value.encode()).decode() for value in CATEGORY.ravel().tolist()]  # as JSON has bytes
    tensors = [
        ("numeric", "FP32", COMPLETE.shape, {"fp32_contents": COMPLETE.ravel().tolist()}),
        ("category", "BYTES", CATEGORY.shape, {"bytes_contents": strings}),
    ]
    inputs = [dict(zip(("name", "datatype", "shape", "contents"), tensor, strict=True)) for tensor in tensors]

    def call(method: str, content: object, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["grpcurl", "-plaintext", *options, "-d", "@", server.grpc, method],
            input=json.dumps(content),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    done = call("inference.GRPCInferenceService/ModelInfer", {"model_name": "flight-delay", "inputs": inputs}, *header)
    assert done.returncode == 0, done.stderr
    (got,) = json.loads(done.stdout)["outputs"][0]["contents"].values()  # whose name depends on its version
    assert got == scores(server, COMPLETE)
    # Health needs no token, but its messages do: grpcurl has them from reflection alone.
    assert json.loads(call("grpc.health.v1.Health/Check", {}, *header).stdout) == {"status": "SERVING"}
    assert "authorization" in call("grpc.health.v1.Health/Check", {}).stderr


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("batch", [1, 16])
def test_perf_analyzer(server: Server, tmp_path: Path, protocol: str, batch: int) -> None:
    if why := analyzer_is_missing():
        pytest.skip(why)
    data = [
        {"numeric": numbers, "category": strings}
        for numbers, strings in zip(COMPLETE.tolist(), CATEGORY.tolist(), strict=True)
    ]
    (tmp_path / "rows.json").write_text(json.dumps({"data": data}))
    address = server.grpc if protocol == "grpc" else server.rest.removeprefix("http://")
    measure = ["--measurement-mode", "count_windows", "--measurement-request-count", "50", "-s", "1000", "-r", "3"]
    done = analyze(
        *("-m", "flight-delay", "-i", protocol, "-u", address, "-b", str(batch), "--concurrency-range", "2"),
        *("-H", f"authorization: Bearer {server.token}", "--input-data", str(tmp_path / "rows.json"), *measure),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = {name: int(number) for name, number in re.findall(r"(\w+ count): (\d+)", done.stdout)}
    assert counted["Inference count"] >= 50 * batch
    # Each window of its own may hold a request that its client counts just before or after the service does.
    assert abs(counted["Inference count"] - batch * counted["request count"]) <= batch * counted["request count"] / 100
    assert "compute infer" in done.stdout


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LD_LIBRARY_PATH": str(ANALYZER)}
    command = [str(ANALYZER / "perf_analyzer"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def analyzer_is_missing() -> str:
    """Why NVIDIA's perf_analyzer cannot run here; "" when it can."""
    if not (ANALYZER / "perf_analyzer").exists():
        return "needs perf_analyzer, see `make clients`"
    done = analyze("--version")
    return "" if done.returncode == 0 else f"perf_analyzer does not start: {done.stderr.strip()}"
