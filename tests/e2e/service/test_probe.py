"""A probe asks the service as a caller does, and leaves no trace: not in the log, and not in the counts of rows."""

import json
import sqlite3
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from contracts.settings.tokens import add_token, ensure_probe_token
from contracts.store import load_champion
from monitoring.metrics.process import ProcessMetrics
from monitoring.monitor.prober import Prober
from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.support.payloads import INFER, json_body, proto, records, rows
from tests.support.serving import Server, Store, start, wait_until

ONE = rows(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, artifact_store: Store) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("probed"), artifact_store)
    yield running
    assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def token_file(server: Server) -> Path:
    made = server.token_file.with_name("probe-token")
    ensure_probe_token(made, server.token_file.with_name("tokens.json"))
    token = made.read_text().strip()
    wait_until(lambda: server.ask("/v1/predict", records(*ONE), token=token)[0] == 200, "the new token", 5)
    return made


def counted(server: Server) -> dict[str, float]:
    with urllib.request.urlopen(server.metrics, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    names = ("windsock_rows_total", "windsock_scored_rows_total", "windsock_prediction_score_count")
    samples = [sample for family in families for sample in family.samples]
    found = {name: sum(one.value for one in samples if one.name == name) for name in names}
    found["answered"] = sum(
        one.value for one in samples if one.name == "windsock_requests_total" and one.labels["code"] == "ok"
    )
    return found


def logged(server: Server) -> list[str]:
    path = server.database_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        return [caller for (caller,) in connection.execute("SELECT caller FROM predictions ORDER BY received_us")]


def test_a_probe_gets_the_score_that_a_caller_gets_and_leaves_no_trace(server: Server, token_file: Path) -> None:
    token = token_file.read_text().strip()
    before, rows_before = counted(server), len(logged(server))
    answers = [
        server.ask("/v1/predict", records(*ONE), token=token)[1],
        server.ask(INFER, json_body(*ONE), token=token)[1],
    ]
    with grpc.insecure_channel(server.grpc) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        over_grpc = stub.ModelInfer(proto(*ONE), metadata=[("authorization", f"Bearer {token}")])
    assert counted(server) == before, "nothing was counted"
    status, body, _ = server.ask("/v1/predict", records(*ONE))  # a caller's
    assert status == 200
    score = json.loads(body)["probabilities"][0]
    assert json.loads(answers[0])["probabilities"] == [score]
    assert json.loads(answers[1])["outputs"][0]["data"] == [score]
    assert np.frombuffer(over_grpc.raw_output_contents[0], "<f4").tolist() == pytest.approx([score])
    wait_until(lambda: len(logged(server)) > rows_before, "the caller's row must be logged", 10)
    time.sleep(0.3)
    assert logged(server)[rows_before:] == ["default"], "the caller's, and no other"
    assert counted(server)["windsock_rows_total"] == before["windsock_rows_total"] + 1


def test_the_scope_lets_nobody_do_more(server: Server, token_file: Path) -> None:
    token = token_file.read_text().strip()
    assert server.ask("/v1/labels", {"labels": [{"id": "a", "value": True}]}, token=token)[0] == 403
    assert server.ask("/v2", token=token)[0] == 403
    assert server.ask("/v1/predict", records(*rows(64)), token=token)[0] == 200
    assert server.ask("/v1/predict", records(*ONE), token=token)[0] == 429, "what is not logged must not be much"


def test_whose_rows_are_logged_may_not_leave_them_out(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="the scope probe must stand alone, got predict and probe"):
        add_token(tmp_path / "tokens.json", "sly", ("predict", "probe"), None)


def test_the_prober_says_what_a_caller_would(
    server: Server, token_file: Path, artifact_store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def told(url: str, token: Path = token_file, store: Path = artifact_store.store) -> tuple[float, float]:
        metrics = ProcessMetrics()
        prober = Prober(url, token, lambda: load_champion(store, artifact_store.public_key).schema, metrics)
        prober.probe()
        values = {
            name: metrics.registry.get_sample_value(f"windsock_probe_{name}", {"protocol": "rest"})
            for name in ("success", "seconds")
        }
        return values["success"] or 0.0, values["seconds"] or 0.0

    wait_until(lambda: told(server.rest)[0] == 1, "the quota of the test before", 20)
    assert 0 < told(server.rest)[1] < 5
    before = len(logged(server))
    assert told("http://127.0.0.1:9")[0] == 0
    wrong = tmp_path / "wrong"
    wrong.write_text("no-token-of-this-service\n")
    assert told(server.rest, wrong)[0] == 0
    assert "got: HTTP Error 401" in caplog.text
    success, _ = told(server.rest, store=tmp_path)
    assert success != success, "without a champion nothing can be sent, and that says nothing about the service"
    assert len(logged(server)) == before


def test_without_a_prober_there_is_no_series() -> None:
    samples = [sample.name for family in ProcessMetrics().registry.collect() for sample in family.samples]
    assert not [name for name in samples if name.startswith("windsock_probe")]
