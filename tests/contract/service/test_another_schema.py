"""The service has no task of its own: a model of another schema, made here, is served in its own words."""

import json
import re
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import grpc
import numpy as np
import pytest

from contracts.schema import (
    Calendar,
    CategoricalFeature,
    NumericFeature,
    QueryColumn,
    Schema,
    Subject,
    Target,
    Window,
)
from monitoring.log.reader import read_predictions
from services.generated import open_inference_pb2 as pb
from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.support.payloads import binary_body, json_body, proto, records, rows
from tests.support.serving import Server, Store, start, wait_until
from tests.support.tiny import tiny_model, write_store

PLANTS = Schema(
    name="plant-thirst",
    title="Pot plants of a window sill",
    subject=Subject("pot plant", "pot plants"),
    target=Target(
        name="thirsty",
        question="Will this pot plant need water tomorrow?",
        event="needs water on the next day",
        positive="thirsty",
        negative="content",
        outcome="somebody has felt its soil",
    ),
    calendar=Calendar("Europe/Berlin", 90, 24 * 60),
    numeric=(
        NumericFeature("moisture", "%", "of the soil", 0, 100, QueryColumn("moisture"), nullable=False, example=31),
        NumericFeature("warmth", "°C", "of the room", -5, 45, Window("rooms", "warmth", "last", 60)),
        NumericFeature("leaves", "leaves", "that are green", 0, 5_000, QueryColumn("leaves"), example=12),
    ),
    category=(
        CategoricalFeature("species", "name", "of the plant", QueryColumn("species"), example="ficus", max_length=9),
    ),
)
KNOWN = ["ficus", "fern"]
INFER = "/v2/models/plant-thirst/infer"


@pytest.fixture(scope="module")
def plants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("plants")
    digest = write_store(folder, tiny_model(PLANTS, tuple(KNOWN)), PLANTS, vocabulary={"species": KNOWN})
    running = start(folder, Store(folder / "store", folder / "signing.pub", digest))
    yield running
    assert running.stop() == 0, running.log()


def some(count: int) -> tuple[Any, Any]:
    numeric, category = rows(count, seed=4, schema=PLANTS)
    category[:] = np.array([*KNOWN, "moss", ""], object)[np.arange(count) % 4].reshape(-1, 1)
    return numeric, category


def test_every_endpoint_gives_a_row_the_same_score_and_the_log_has_it(plants: Server) -> None:
    numeric, category = some(6)
    named = json.loads(plants.ask("/v1/predict", records(numeric, category, schema=PLANTS, id="plants"))[1])
    scores = named["probabilities"]
    assert len(set(scores)) == 6
    tensors = json.loads(plants.ask(INFER, json_body(numeric, category))[1])
    body, headers = binary_body(numeric, category)
    binary = json.loads(plants.ask(INFER, body, headers=headers)[1])
    assert tensors["outputs"][0]["data"] == pytest.approx(scores, abs=1e-6)
    assert binary["outputs"][0]["data"] == pytest.approx(scores, abs=1e-6)
    token = [("authorization", f"Bearer {plants.token}")]
    with grpc.insecure_channel(plants.grpc) as channel:
        stub: Any = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        answer = stub.ModelInfer(proto(numeric, category, name=PLANTS.name), metadata=token)
        about = stub.ModelMetadata(pb.ModelMetadataRequest(name=PLANTS.name), metadata=token)
    assert np.frombuffer(answer.raw_output_contents[0], "<f4").tolist() == pytest.approx(scores, abs=1e-6)
    assert [list(tensor.shape) for tensor in about.inputs] == [[-1, 3], [-1, 1]]
    assert json.loads(plants.ask("/v2/models/plant-thirst")[1])["inputs"][0]["shape"] == [-1, 3]
    labels = [{"id": "plants", "row": 2, "value": True, "outcome_at": "2026-01-05T10:00:00Z"}]
    assert json.loads(plants.ask("/v1/labels", {"labels": labels})[1]) == {"accepted": 1}

    def log() -> Any:
        found = read_predictions(plants.database_url, datetime(2000, 1, 1), datetime(2100, 1, 1), PLANTS)
        return found.label[found.request_id == "plants"], found.numeric[found.request_id == "plants"]

    wait_until(lambda: np.nansum(log()[0]) == 1, "the label")
    np.testing.assert_array_equal(log()[0], [np.nan, np.nan, 1, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(log()[1], numeric)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"moisture": 101}, "`moisture` must be between 0 and 100 (%)"),
        ({"moisture": None}, "`rows[0].moisture` must be float, got null"),
        ({"species": "x" * 10}, "`species` must have at most 9 characters"),
        ({"carrier": "UA"}, "`carrier` must be a field of rows[0], got an unknown name"),
    ],
)
def test_its_rules_are_the_schema_s(plants: Server, change: dict[str, Any], expected: str) -> None:
    status, content, _ = plants.ask("/v1/predict", {"rows": [PLANTS.example() | change]})
    assert (status, expected in json.loads(content)["error"]) == (400, True), content
    assert plants.ask("/v1/predict", {"rows": [PLANTS.example()]})[0] == 200
    assert "the model must be `plant-thirst`" in plants.ask("/v2/models/flight-delay/infer", {})[1].decode()


def test_its_documents_and_metrics_speak_of_it_and_of_nothing_else(plants: Server) -> None:
    document = json.loads(plants.ask("/openapi.json", token=None)[1])
    fields = document["components"]["schemas"]["Row"]
    assert list(fields["properties"]) == fields["required"] == list(PLANTS.names)
    assert fields["properties"]["warmth"]["maximum"] == 45
    assert INFER in document["paths"]
    assert PLANTS.target.question in document["info"]["description"]
    assert f"as a rule {PLANTS.calendar.label_delay_minutes // 60} h after" in document["info"]["description"]
    page = plants.ask("/docs", token=None)[1].decode()
    for word in (PLANTS.title, PLANTS.target.question, "Fields of a row: one pot plant", "moisture", "that are green"):
        assert word in page, word
    with urllib.request.urlopen(plants.metrics, timeout=10) as reply:
        metrics = reply.read().decode()
    named = set(re.findall(r'feature="(\w+)"', metrics))
    assert named == set(PLANTS.names)
    for text in (json.dumps(document), page, metrics):
        assert not re.findall(r"\b(flights?|late|carrier|airport)\b", text, re.IGNORECASE)
