"""The inference core: when it answers, what stays of an answer, and what it refuses to load."""

import errno
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import onnx
import pytest

from contracts.artifact import Artifact, verify
from contracts.errors import ArtifactInvalid, Conflict, ContractViolation, InvalidInput, Overloaded, Unavailable
from monitoring.metrics.declared import Metrics
from monitoring.spool.frames import Damage, Label, Prediction, frames, record
from monitoring.spool.spool import SpoolFull
from services.core.model import Model
from services.core.predictor import Predictor
from services.core.request import Answer, PredictionRequest, to_us
from services.core.roles import Roles
from services.core.shadow import Shadow
from tasks.flights.schema import SCHEMA
from tests.support.payloads import rows
from tests.support.serving import Store
from tests.support.tiny import tiny_model


class Disk:
    """A spool in memory. `fault` is what a full disk does."""

    failing: str | None = None

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.fault: OSError | None = None

    full = False

    def check_room(self) -> None:
        if self.full:
            raise SpoolFull(errno.EDQUOT, "full")

    def append(self, data: bytes, _: int) -> None:
        if self.fault is not None:
            raise self.fault
        self.writes.append(data)

    def records(self) -> list[Prediction]:
        found = [frame for write in self.writes for frame in frames(write)]
        return [
            one for frame in found if not isinstance(frame, Damage) and isinstance(one := record(frame), Prediction)
        ]


@pytest.fixture
def artifact(artifact_store: Store) -> Artifact:
    return verify(artifact_store.store / artifact_store.digest, artifact_store.public_key)


def predictor(roles: Roles, disk: Disk, metrics: Metrics | None = None) -> Predictor:
    metrics = metrics or Metrics(SCHEMA)
    made = Predictor(roles, disk, metrics, Shadow(disk, metrics, 100), 8_192)  # type: ignore[arg-type] # the spool is played
    made.open = True
    return made


def test_nothing_is_answered_before_it_opens_or_without_a_log(artifact: Artifact) -> None:
    disk = Disk()
    core = predictor(Roles(Model(artifact)), disk)
    request = PredictionRequest("rest", *rows(2))
    assert core.predict(request).scores.shape == (2,)
    assert len(disk.records()) == 1
    disk.fault = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(Unavailable, match="the spool must take writes, got: No space"):
        core.predict(request)
    disk.fault = SpoolFull(errno.EDQUOT, "full")
    with pytest.raises(Overloaded, match="the log must take rows"):
        core.predict(request)
    core.open = False
    with pytest.raises(Unavailable, match="must be ready"):
        core.predict(request)
    with pytest.raises(Unavailable, match="must be ready"):
        core.label([Label("1", "a", 0, True, None, 1, "")], [])
    assert len(disk.records()) == 1


def test_what_would_not_be_logged_is_refused_before_it_is_scored(artifact: Artifact) -> None:
    disk, model = Disk(), Model(artifact)
    core = predictor(Roles(model), disk)
    disk.full = True
    with pytest.raises(Overloaded, match="the log must take rows"):
        core.predict(PredictionRequest("rest", *rows(2)))
    assert (disk.writes, model.usage.requests) == ([], 0)


def test_the_log_has_the_rows_as_they_came_and_what_answered_them(artifact: Artifact) -> None:
    disk = Disk()
    model = Model(artifact)
    numeric, category = rows(3)
    answer = predictor(Roles(model), disk).predict(
        PredictionRequest("grpc", numeric, category, id="mine", event_us=5, caller="ann")
    )
    (found,) = disk.records()
    assert (found.id, found.request_id, answer.id) == (answer.prediction_id, "mine", "mine")
    assert (found.digest, found.role, found.schema_hash) == (artifact.digest, "champion", SCHEMA.hash)
    assert (found.protocol, found.caller, found.event_us, found.rows) == ("grpc", "ann", 5, 3)
    np.testing.assert_array_equal(np.frombuffer(found.numeric, "<f4").reshape(numeric.shape), numeric)
    assert found.category.decode().split("\0") == category.ravel().tolist()
    np.testing.assert_array_equal(np.frombuffer(found.score, "<f4"), answer.scores)


def test_requests_of_one_turn_are_written_at_once_and_a_bad_row_refuses_its_own_alone(artifact: Artifact) -> None:
    disk, metrics = Disk(), Metrics(SCHEMA)
    core = predictor(Roles(Model(artifact)), disk, metrics)
    numeric, category = rows(6)
    parts = [slice(0, 1), slice(1, 4), slice(4, 6)]

    def ask(broken: int | None) -> list[object]:
        changed = numeric.copy()
        if broken is not None:
            changed[broken, 0] = 1e6
        requests = [PredictionRequest("rest", changed[part], category[part]) for part in parts]
        return [*core.predict_many(requests, changed, category)]

    alone = [core.predict(PredictionRequest("rest", numeric[part], category[part])).scores for part in parts]
    disk.writes.clear()
    together = ask(None)
    assert len(disk.writes) == 1
    for outcome, scores in zip(together, alone, strict=True):
        assert isinstance(outcome, Answer)
        np.testing.assert_allclose(outcome.scores, scores, atol=1e-6)
    assert len({outcome.prediction_id for outcome in together if isinstance(outcome, Answer)}) == 3
    first, second, third = ask(2)
    assert isinstance(first, Answer)
    assert isinstance(third, Answer)
    assert isinstance(second, ContractViolation)
    assert "in row 1" in str(second)  # of its own request
    metrics.refresh()
    assert metrics.registry.get_sample_value("windsock_scored_rows_total", {"role": "champion"}) == 6 + 6 + 3


def test_a_repeat_is_the_same_prediction_and_other_rows_under_its_id_are_refused(artifact: Artifact) -> None:
    disk = Disk()
    core = predictor(Roles(Model(artifact)), disk)
    numeric, category = rows(2)
    first = core.predict(PredictionRequest("rest", numeric, category, id="a"))
    again = core.predict(PredictionRequest("rest", numeric, category, id="a"))
    assert again.prediction_id == first.prediction_id
    with pytest.raises(Conflict, match="`id` must stand for one request, got 'a'"):
        core.predict(PredictionRequest("rest", numeric[:1], category[:1], id="a"))
    changed = category.copy()
    changed[0, 0] = "another"
    both = core.predict_many(
        [PredictionRequest("rest", numeric, changed, id="a"), PredictionRequest("rest", numeric, changed, id="b")],
        np.concatenate([numeric, numeric]),
        np.concatenate([changed, changed]),
    )
    assert [type(one) for one in both] == [Conflict, Answer]
    keys = {(one.received_us, one.id, one.digest) for one in disk.records() if one.request_id == "a"}
    assert [ours for _, ours, _ in keys] == [first.prediction_id], "one key of the log, however often it came"


def test_the_contract_is_checked_before_the_log(artifact: Artifact) -> None:
    disk = Disk()
    core = predictor(Roles(Model(artifact)), disk)
    numeric, category = rows(2)
    numeric[1, 0] = 1e6
    with pytest.raises(ContractViolation, match="in row 1"):
        core.predict(PredictionRequest("grpc", numeric, category))
    numeric, category = rows(2)
    for wrong, rule in (("x" * 200, "at most"), ("a\0b", "NUL")):
        category[1, 2] = wrong
        for _ in range(2):  # a string that was seen is not taken as a good one
            with pytest.raises(ContractViolation, match=f"`dest` must .*{rule}"):
                core.predict(PredictionRequest("grpc", numeric, category))
    assert disk.records() == []


def test_ids_are_checked_or_made(artifact: Artifact) -> None:
    core = predictor(Roles(Model(artifact)), Disk())
    assert PredictionRequest("rest", *rows(1), id="x").id == "x"
    ids = {core.predict(PredictionRequest("rest", *rows(1))).id for _ in range(100)}
    assert len(ids) == 100
    for wrong in ("x" * 129, "a\nb", "a\0"):
        with pytest.raises(InvalidInput, match="`id` must be"):
            PredictionRequest("rest", *rows(1), id=wrong)
    with pytest.raises(InvalidInput, match="`key` must have at most"):
        PredictionRequest("rest", *rows(1), key="x" * 257)


def test_instants_become_microseconds_of_utc() -> None:
    noon = datetime(2013, 7, 1, 12)
    expected = int(noon.replace(tzinfo=UTC).timestamp()) * 1_000_000
    assert to_us(noon) == to_us(noon.replace(tzinfo=UTC)) == expected
    assert to_us(noon.replace(tzinfo=timezone(timedelta(hours=-4)))) == expected + 4 * 3_600_000_000
    assert to_us(None) == 0
    with pytest.raises(InvalidInput, match="years 1 to 9999"):
        to_us(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))))


def _unnamed(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "score"


def _acos(model: onnx.ModelProto) -> None:
    model.graph.node[-1].op_type = "Acos"


@pytest.mark.parametrize(("change", "expected"), [(_unnamed, "must have the tensors"), (_acos, "must give 1 prob")])
def test_other_models_are_refused(
    artifact: Artifact, tmp_path: Path, change: Callable[[onnx.ModelProto], None], expected: str
) -> None:
    model = onnx.load_from_string(tiny_model())
    change(model)
    with pytest.raises(ArtifactInvalid, match=expected):
        Model(replace(artifact, model=model.SerializeToString()))
    with pytest.raises(ArtifactInvalid, match="must load in ONNX Runtime"):
        Model(replace(artifact, model=b"no model"))


def test_a_row_scores_the_same_alone_and_among_others(artifact: Artifact) -> None:
    core = predictor(Roles(Model(artifact)), Disk())
    numeric, category = rows(4_096)
    together = core.predict(PredictionRequest("rest", numeric, category)).scores
    for row in (0, 1, 4_095):
        alone = core.predict(PredictionRequest("rest", numeric[row : row + 1], category[row : row + 1])).scores
        np.testing.assert_allclose(alone, together[row : row + 1], atol=1e-6)
