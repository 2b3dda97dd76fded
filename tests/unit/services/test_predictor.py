"""The inference core: when it answers, and what it refuses to load."""

import errno
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import onnx
import pytest

from contracts.artifact import Artifact, verify
from contracts.errors import ArtifactInvalid, ContractViolation, InvalidInput, Unavailable
from monitoring.log.spool import Record, Spool
from monitoring.metrics.declared import Metrics
from services.core.predictor import PredictionRequest, Predictor, as_utc
from tasks.flights.schema import SCHEMA
from tests.support.payloads import rows
from tests.support.serving import Store
from tests.support.tiny import tiny_model


class Disk:
    """A spool in memory. `full` is what a full disk does."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.full = False

    def append(self, records: list[Record], _: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.records += records


@pytest.fixture
def artifact(artifact_store: Store) -> Artifact:
    return verify(artifact_store.store / artifact_store.digest, artifact_store.public_key)


def predictor(artifact: Artifact, spool: object) -> Predictor:
    made = Predictor(artifact, spool, Metrics(SCHEMA))  # type: ignore[arg-type] # the spool is played
    made.open = True
    return made


def test_nothing_is_answered_before_it_opens_or_without_a_log(artifact: Artifact) -> None:
    disk = Disk()
    core = predictor(artifact, disk)
    request = PredictionRequest("rest", *rows(2))
    assert core.predict(request).shape == (2,)
    assert len(disk.records) == 1
    disk.full = True
    with pytest.raises(Unavailable, match="the spool must take writes, got: No space"):
        core.predict(request)
    core.open = False
    with pytest.raises(Unavailable, match="must be ready"):
        core.predict(request)
    assert len(disk.records) == 1


def test_the_contract_is_checked_before_the_log(artifact: Artifact) -> None:
    disk = Disk()
    numeric, category = rows(2)
    numeric[1, 0] = 1e6
    with pytest.raises(ContractViolation, match="in row 1"):
        predictor(artifact, disk).predict(PredictionRequest("grpc", numeric, category))
    assert disk.records == []


def test_ids_are_checked_or_made() -> None:
    assert PredictionRequest("rest", *rows(1), id="x").id == "x"
    assert PredictionRequest("rest", *rows(1)).id != PredictionRequest("rest", *rows(1)).id
    for wrong in ("x" * 129, "a\nb", "a\0"):
        with pytest.raises(InvalidInput, match="`id` must be"):
            PredictionRequest("rest", *rows(1), id=wrong)


def test_instants_become_utc() -> None:
    noon = datetime(2013, 7, 1, 12)
    assert as_utc(noon) == noon
    assert as_utc(noon.replace(tzinfo=UTC)) == noon
    assert as_utc(noon.replace(tzinfo=timezone(timedelta(hours=-4)))) == datetime(2013, 7, 1, 16)


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
        Predictor(replace(artifact, model=model.SerializeToString()), Spool(tmp_path), Metrics(SCHEMA))
    with pytest.raises(ArtifactInvalid, match="must load in ONNX Runtime"):
        Predictor(replace(artifact, model=b"no model"), Spool(tmp_path), Metrics(SCHEMA))


def test_a_row_scores_the_same_alone_and_among_others(artifact: Artifact) -> None:
    core = predictor(artifact, Disk())
    numeric, category = rows(4_096)
    together = core.predict(PredictionRequest("rest", numeric, category))
    for row in (0, 1, 4_095):
        alone = core.predict(PredictionRequest("rest", numeric[row : row + 1], category[row : row + 1]))
        np.testing.assert_allclose(alone, together[row : row + 1], atol=1e-6)
