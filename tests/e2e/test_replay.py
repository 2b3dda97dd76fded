"""The replay and the probes against the real service: what is asked is answered, logged once, and labelled in time."""

import asyncio
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.errors import DataError, Unauthenticated, Unavailable
from contracts.workspace import Workspace
from demo import clients, probes
from demo.clients import RestClient
from demo.evidence import Replay
from demo.messages import ClientRequest
from demo.replay import replay, replay_workspace
from demo.replayed_rows import ID, LABEL, MONTH, OUTCOME_AT, PREDICTED_AT, later_months, read_rows
from monitoring.log.reader import Predictions, read_predictions
from tasks.flights.schema import SCHEMA
from tests.support.payloads import rows as honest_rows
from tests.support.serving import Server, Store, free_ports, start, wait_until

ROWS = 300
START = datetime(2013, 7, 1, 6)


def table(rows: int, prefix: str) -> pa.Table:
    """Flights of July 1st to 13th, one an hour, written out of order; every tenth never lands."""
    numeric, category = honest_rows(rows)
    predicted = [START + timedelta(hours=i) for i in range(rows)]
    columns: dict[str, Any] = {
        ID: [f"{prefix}{i}" for i in range(rows)],
        MONTH: ["2013-07"] * rows,
        PREDICTED_AT: pa.array(predicted, pa.timestamp("us")),
        OUTCOME_AT: pa.array(
            [None if i % 10 == 0 else t + timedelta(hours=5) for i, t in enumerate(predicted)], pa.timestamp("us")
        ),
        LABEL: pa.array([None if i % 10 == 0 else i % 3 == 0 for i in range(rows)], pa.bool_()),
    }
    columns |= {name: pa.array(numeric[:, i], from_pandas=True) for i, name in enumerate(SCHEMA.numeric_names)}
    columns |= {name: category[:, i] for i, name in enumerate(SCHEMA.category_names)}
    return pa.table(columns).take(np.random.default_rng(0).permutation(rows))


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay") / "features.parquet"
    pq.write_table(table(ROWS, "replay-"), path)
    return path


def send(server: Server, features: Path, evidence: Path, **changes: Any) -> Replay:
    return replay(
        features, SCHEMA, "2013-07", "2013-07", evidence=evidence,
        **{"rest": server.rest, "grpc": server.grpc, "token_file": server.token_file, **changes},
    )  # fmt: skip


def logged(server: Server, prefix: str) -> Predictions:
    log = read_predictions(server.database_url, START - timedelta(days=1), START + timedelta(days=30), SCHEMA)
    mine = np.char.startswith(log.request_id.astype(str), prefix)
    counts = ("other_inputs", "repeated_ids")
    arrays = {name: getattr(log, name)[mine] for name in Predictions.__slots__ if name not in counts}
    return Predictions(**arrays, **{name: getattr(log, name) for name in counts})


@pytest.fixture(scope="module")
def sent(server: Server, features: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Replay, Predictions, Path]:
    evidence = tmp_path_factory.mktemp("evidence") / "replay.json"
    result = send(server, features, evidence)
    wait_until(lambda: len(logged(server, "replay-").score) >= ROWS, "the log must hold every row", 20)
    wait_until(lambda: int((~np.isnan(logged(server, "replay-").label)).sum()) >= result.labels, "labels", 20)
    return result, logged(server, "replay-"), evidence


def test_every_flight_is_answered_and_logged_once_with_its_own_clock(
    sent: tuple[Replay, Predictions, Path], features: Path
) -> None:
    result, log, _ = sent
    rows = read_rows(features, SCHEMA, "2013-07", "2013-07")
    assert not np.isnan(result.scores).any()
    assert log.request_id.tolist() == rows.ids.tolist() == result.ids.tolist()
    assert log.event_time.tolist() == rows.predicted_at.tolist()
    assert np.abs(log.score - result.scores).max() < 1e-6
    assert log.numeric.tobytes() == rows.numeric.tobytes(), "what was sent is what was scored, missing values too"


def test_protocols_take_turns_and_agree(sent: tuple[Replay, Predictions, Path]) -> None:
    result, log, _ = sent
    assert result.protocols[:4].tolist() == ["rest", "grpc", "rest", "grpc"]
    assert result.statuses == {"rest 200": ROWS, "grpc OK": ROWS}, "so few rows all go over both"
    assert len(result.compared) == ROWS
    assert result.compared.max() < 1e-6
    # The second asking of an id is answered and not counted.
    assert log.protocol.tolist() == result.protocols.tolist()


def test_only_what_landed_is_labelled(sent: tuple[Replay, Predictions, Path], features: Path) -> None:
    result, log, _ = sent
    label = read_rows(features, SCHEMA, "2013-07", "2013-07").label
    assert result.labels == ROWS - ROWS // 10
    assert np.where(np.isnan(log.label), -1, log.label).astype(int).tolist() == label.tolist()


def test_evidence_can_be_read_without_pickle(sent: tuple[Replay, Predictions, Path]) -> None:
    result, _, path = sent
    summary = json.loads(path.read_text())
    assert (summary["rows"], summary["answered"], summary["labels"]) == (ROWS, ROWS, result.labels)
    assert sum(summary["latency"]["rest"]["2013-07"]["counts"]) == ROWS // 2
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        assert arrays["ids"].tolist() == result.ids.tolist()
        assert arrays["scores"].tolist() == result.scores.tolist()


def test_replay_again_changes_nothing(
    server: Server, features: Path, tmp_path: Path, sent: tuple[Replay, Predictions, Path]
) -> None:
    again = send(server, features, tmp_path / "again.json")
    assert again.scores.tolist() == sent[0].scores.tolist()
    marker = tmp_path / "marker.parquet"
    pq.write_table(table(1, "marker-"), marker)
    send(server, marker, tmp_path / "marker.json")
    wait_until(lambda: len(logged(server, "marker-").score) == 1, "the log must be up to date", 20)
    assert logged(server, "replay-").request_id.tolist() == sent[1].request_id.tolist()


class Recorder:
    """Stands in for the wire: what would be sent, in its order, and when each label would be delivered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, str]] = []
        self.in_flight = self.most = 0

        async def infer(_: Any, request: ClientRequest) -> list[float]:
            self.events.append(("flight", request.id))
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
            await asyncio.sleep(0.001)
            self.in_flight -= 1
            return [0.5]

        async def labels(_: Any, labels: list[dict[str, Any]]) -> int:
            self.events += [("label", label["id"]) for label in labels]
            return len(labels)

        monkeypatch.setattr(clients.RestClient, "infer", infer)
        monkeypatch.setattr(clients.GrpcClient, "infer", infer)
        monkeypatch.setattr(clients.RestClient, "labels", labels)


def test_labels_come_when_the_clock_has_passed_the_landing(
    features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(monkeypatch)
    replay(
        features, SCHEMA, "2013-07", "2013-07", rest="http://none", grpc="none", token_file=tmp_path / "none",
        evidence=tmp_path / "replay.json",
    )  # fmt: skip
    order = {event: i for i, event in reversed(list(enumerate(recorder.events)))}
    flights = [id_ for kind, id_ in recorder.events if kind == "flight"]
    assert list(dict.fromkeys(flights)) == [f"replay-{i}" for i in range(ROWS)], "in order of predicted_at"
    # One flight an hour, landed 5 hours after: its label stands right before the flight that is sent then.
    for i in (1, 2, 99, 201):
        assert (
            order[("flight", f"replay-{i + 4}")]
            < order[("label", f"replay-{i}")]
            < order[("flight", f"replay-{i + 5}")]
        )
    assert order[("label", f"replay-{ROWS - 1}")] == len(recorder.events) - 1
    assert 2 <= recorder.most <= 2 * 16 + 2


def test_lost_connection_is_tried_again_with_the_same_id(
    features: Path, tmp_path: Path, artifact_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service comes up while the replay is already asking."""
    rest, grpc, metrics = free_ports(3)
    monkeypatch.setattr(clients, "RETRY_SECONDS", (0.1,) * 200)
    one = tmp_path / "one.parquet"
    pq.write_table(table(2, "retried-"), one)
    late = start(tmp_path, artifact_store, wait=False, rest_port=rest, grpc_port=grpc, metrics_port=metrics)
    try:
        result = send(late, one, tmp_path / "replay.json", token_file=_Later(late.token_file))
        assert not np.isnan(result.scores).any()
    finally:
        late.stop()


class _Later:
    """A token file that the service has yet to write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_file(self) -> bool:
        wait_until(self._path.is_file, "the token must be written")
        return True

    def read_text(self, encoding: str) -> str:
        return self._path.read_text(encoding)


def test_service_that_is_away_ends_the_replay_with_what_to_do(
    features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest, grpc, _ = free_ports(3)
    monkeypatch.setattr(clients, "RETRY_SECONDS", (0.01, 0.01))
    with pytest.raises(Unavailable, match=r"must answer, got: .*3 times; start `windsock serve`"):
        replay(
            features, SCHEMA, "2013-07", "2013-07", rest=f"http://127.0.0.1:{rest}", grpc=f"127.0.0.1:{grpc}",
            token_file=tmp_path / "none", evidence=tmp_path / "replay.json",
        )  # fmt: skip


def test_wrong_token_ends_the_replay_at_once(server: Server, features: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong")
    with pytest.raises(Unauthenticated, match="name the service's token file"):
        send(server, features, tmp_path / "replay.json", token_file=tmp_path / "token")


def test_months_without_flights_are_refused(features: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2014-01 to 2014-02, got none"):
        read_rows(features, SCHEMA, "2014-01", "2014-02")
    with pytest.raises(DataError, match="dvc repro"):
        read_rows(tmp_path / "features.parquet", SCHEMA, "2013-07", "2013-07")


def months(path: Path, *names: str) -> Path:
    """The same row in each month."""
    rows = [table(1, f"{name}-").set_column(1, MONTH, pa.array([name])) for name in names]
    pq.write_table(pa.concat_tables(rows), path)
    return path


@pytest.mark.parametrize(
    ("as_of", "expected"), [("2013-07-01", ("2013-07", "2013-09")), ("2013-07-02", ("2013-08", "2013-09"))]
)
def test_months_after_the_model_s_date_are_replayed(tmp_path: Path, as_of: str, expected: tuple[str, str]) -> None:
    features = months(tmp_path / "features.parquet", "2013-06", "2013-07", "2013-08", "2013-09")
    assert later_months(features, as_of) == expected
    with pytest.raises(DataError, match="must hold a month that begins at 2014-01-01 or after"):
        later_months(features, "2014-01-01")


def test_replay_of_a_workspace_needs_no_months(
    server: Server, artifact_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Champion, table, and evidence are the workspace's, wherever the command is run."""
    workspace = Workspace(tmp_path / "workspace")
    workspace.features.parent.mkdir(parents=True)
    months(workspace.features, "2013-06", "2013-07", "2013-08")
    shutil.copytree(artifact_store.store, workspace.store)
    workspace.secrets.mkdir()
    shutil.copy(artifact_store.public_key, workspace.public_key)
    monkeypatch.chdir(tmp_path)
    result = replay_workspace(workspace, None, None, rest=server.rest, grpc=server.grpc, token_file=server.token_file)
    assert result.months.tolist() == ["2013-07", "2013-08"]
    assert json.loads((workspace.state / "replay.json").read_text())["rows"] == 2
    assert not (tmp_path / "state").exists()


@pytest.fixture(scope="module")
def probed(server: Server, features: Path) -> probes.Probes:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"REQUESTS_A_ROUND": 20, "WARM_UP": 5, "BATCH_ROWS": ROWS, "ALONE_ROWS": 9}.items():
            patch.setattr(probes, name, value)
        rows = read_rows(features, SCHEMA, "2013-07", "2013-07")
        return asyncio.run(probes.probe(rows, SCHEMA, server.rest, server.grpc, server.token))


def test_probes_see_a_service_that_keeps_its_promises(probed: probes.Probes) -> None:
    assert probed.batch_rows == ROWS
    assert len(probed.alone) == 9
    assert np.abs(probed.alone - probed.together).max() < 1e-6
    assert {name: len(rounds) for name, rounds in probed.latency_rounds_ms.items()} == {"rest": 3, "grpc": 3}
    assert {(a.case, a.status) for a in probed.tolerated} == {("an unknown category", "200"), ("missing values", "200")}
    assert {a.status for a in probed.malformed} == {"400", "INVALID_ARGUMENT"}
    assert len(probed.malformed) >= 6
    assert probed.after_malformed.status == "200"
    assert {(a.case, a.status) for a in probed.without_token} == {
        ("REST no token", "401"),
        ("gRPC no token", "UNAUTHENTICATED"),
        ("REST a wrong token", "401"),
        ("gRPC a wrong token", "UNAUTHENTICATED"),
    }


def test_probes_stay_out_of_the_replayed_months(server: Server, probed: probes.Probes) -> None:
    assert len(logged(server, "probe-").score) == 0


async def _refused(server: Server) -> str:
    async with RestClient(server.rest, server.token, SCHEMA.name) as client:
        with pytest.raises(clients.Refused) as refused:
            await client.infer(
                ClientRequest("x", np.zeros((1, 3), np.float32), np.array([["UA", "EWR", "IAH"]], object))
            )
    return f"{refused.value.status} {refused.value.message}"


def test_refusal_keeps_the_service_s_own_words(server: Server) -> None:
    told = asyncio.run(_refused(server))
    assert told.startswith("400 ")
    assert "numeric" in told
