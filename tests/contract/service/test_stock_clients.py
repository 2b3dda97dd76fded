"""NVIDIA's `tritonclient`, unchanged and with its defaults, talks to the service over HTTP and gRPC.

It lives in an environment of its own: it wants an older protobuf, and its messages bear the names of ours.
Make it with `python -m venv .venv-clients && .venv-clients/bin/pip install -r requirements/clients.txt`.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tasks.flights.schema import SCHEMA
from tests.support.payloads import INFER, json_body, json_numbers, rows
from tests.support.serving import Server, Store

ROOT = Path(__file__).parents[3]
PYTHON = Path(os.environ.get("WINDSOCK_CLIENTS_PYTHON", ROOT / ".venv-clients/bin/python"))


@pytest.mark.skipif(not PYTHON.exists(), reason="needs .venv-clients, or WINDSOCK_CLIENTS_PYTHON: see this file")
def test_tritonclient(server: Server, artifact_store: Store) -> None:
    numeric, category = rows(7, seed=3)
    expected = json.loads(server.ask(INFER, json_body(numeric, category))[1])["outputs"][0]["data"]
    complete = np.where(np.isnan(numeric), np.array([f.low for f in SCHEMA.numeric], np.float32), numeric)
    sent = {"numeric": json_numbers(numeric), "category": category.tolist(), "complete": complete.tolist()}
    script = Path(__file__).with_name("stock_client.py")
    done = subprocess.run(
        [PYTHON, script, server.rest.removeprefix("http://"), server.grpc, server.token],
        input=json.dumps(sent),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for protocol in ("http", "grpc"):
        got = found[protocol]
        assert (got["live"], got["ready"], got["model_ready"], got["id"]) == (True, True, True, "stock")
        assert got["version"] == artifact_store.digest[:12]
        assert "binary_tensor_data" in got["extensions"]
        assert got["scores"] == pytest.approx(expected, abs=1e-6)
        assert got["by_name"] == pytest.approx(expected, abs=1e-6)
        assert "the model must be `flight-delay`" in got["refusal"]
    assert found["json"] == pytest.approx(found["json_expected"], abs=1e-6)
