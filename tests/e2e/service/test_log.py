"""What was answered is in the prediction log: always, once, and as it was."""

import http.client
import itertools
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from contracts.schema import Category, Numeric
from monitoring.log.reader import Predictions, read_predictions
from monitoring.log.upkeep.retention import count_orphans
from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.support.payloads import INFER, binary_body, json_body, proto, records, rows
from tests.support.serving import Server, Store, start, wait_until

LONG_AGO, FAR = datetime(2000, 1, 1), datetime(2100, 1, 1)


class Load:
    """Clients that send single rows one after the other, until the service goes away or asks to be left.

    `answered` is what they got: id -> score. `lost` is what they sent on a connection that had been accepted, and got
    no answer for.
    """

    def __init__(self, server: Server, clients: int = 8) -> None:
        self._server = server
        self._header = {"Authorization": f"Bearer {server.token}"}
        self._numeric, self._category = rows(64)
        self._stop = threading.Event()
        self.answered: dict[str, float] = {}
        self.lost: list[str] = []
        kinds = itertools.cycle([self._rest, self._rest, self._grpc])
        self._threads = [threading.Thread(target=next(kinds), args=(i,)) for i in range(clients)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
            assert not thread.is_alive()

    def _requests(self, client: int) -> Iterator[tuple[str, Numeric, Category]]:
        for number in itertools.count():
            if self._stop.is_set():
                return
            i = number % 64
            yield f"{client}-{number}", self._numeric[i : i + 1], self._category[i : i + 1]

    def _rest(self, client: int) -> None:
        connection = http.client.HTTPConnection(self._server.rest.removeprefix("http://"), timeout=30)
        for request_id, numeric, category in self._requests(client):
            try:
                connection.request("POST", INFER, json.dumps(json_body(numeric, category, id=request_id)), self._header)
                reply = connection.getresponse()
                content = reply.read()
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{request_id}: {error!r}")
                break
            assert reply.status == 200, content
            self.answered[request_id] = json.loads(content)["outputs"][0]["data"][0]
            if reply.getheader("connection") == "close":
                break
        connection.close()

    def _grpc(self, client: int) -> None:
        metadata = [(name.lower(), value) for name, value in self._header.items()]
        with grpc.insecure_channel(self._server.grpc) as channel:
            stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
            for request_id, numeric, category in self._requests(client):
                try:
                    answer = stub.ModelInfer(proto(numeric, category, id=request_id), metadata=metadata, timeout=30)
                except grpc.RpcError as error:
                    call: Any = error  # a `grpc.Call`, too
                    if call.code() != grpc.StatusCode.UNAVAILABLE:  # which is said before a call is taken in
                        self.lost.append(f"{request_id}: {error}")
                    return
                self.answered[request_id] = float(np.frombuffer(answer.raw_output_contents[0], "<f4")[0])


def logged(server: Server) -> Predictions:
    return read_predictions(server.database_url, LONG_AGO, FAR)


def segments(server: Server) -> list[Path]:
    return [path for path in (server.state / "spool").iterdir() if path.stat().st_size]


def test_kill_loses_no_answered_row(tmp_path: Path, artifact_store: Store) -> None:
    """SIGKILL to every process under load, with rows in the spool; after a restart each answered id is there once."""
    server = start(tmp_path, artifact_store)
    load = Load(server)
    try:
        wait_until(lambda: len(load.answered) > 600 and bool(segments(server)), "rows in the spool")
    finally:
        server.kill()
        load.end()
    assert segments(server)  # the kill came before all was moved: there was something to lose
    answered = dict(load.answered)
    again = start(tmp_path, artifact_store)
    assert again.stop() == 0, again.log()
    found = logged(again)
    scores = dict(zip(found.request_id, found.score, strict=True))
    assert len(scores) == len(found.request_id)
    assert set(answered) - set(scores) == set()
    assert {name: scores[name] for name in answered} == pytest.approx(answered, abs=1e-7)
    assert not segments(again)


def test_sigterm_loses_nothing(tmp_path: Path, artifact_store: Store) -> None:
    """Whoever was let in is answered, the log is flushed, the exit status is 0."""
    server = start(tmp_path, artifact_store, drain_seconds=1)
    load = Load(server)
    try:
        wait_until(lambda: len(load.answered) > 300, "load")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=60) == 0, server.log()
    finally:
        server.process.kill()
        load.end()
    assert load.lost == []
    assert set(load.answered) - set(logged(server).request_id) == set()
    assert not list((server.state / "spool").iterdir())


def settled(server: Server, *ids: str) -> Predictions:
    """The log, once it has these ids."""
    wait_until(lambda: set(ids) <= set(logged(server).request_id), "rows in the log")
    found = logged(server)
    keep = np.isin(found.request_id, ids)
    columns = [name for name in Predictions.__slots__ if name not in ("other_inputs", "repeated_ids")]
    return replace(found, **{name: getattr(found, name)[keep] for name in columns})


def test_rows_are_logged_as_they_were(server: Server, artifact_store: Store) -> None:
    numeric, category = rows(3, seed=5)
    names = [f"{uuid.uuid4()}" for _ in range(3)]
    clock: dict[str, Any] = {"event_time": "2013-07-04T12:30:00.5+02:00"}
    body, headers = binary_body(numeric, category, id=names[0], parameters=clock)
    assert server.ask(INFER, body, headers=headers)[0] == 200
    assert server.ask("/v1/predict", records(numeric, category, id=names[1], **clock))[0] == 200
    with grpc.insecure_channel(server.grpc) as channel:
        message = proto(numeric, category, id=names[2])
        message.parameters["event_time"].string_param = clock["event_time"]
        stub: Any = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        stub.ModelInfer(message, metadata=[("authorization", f"Bearer {server.token}")])
    found = settled(server, *names)
    assert len(found.score) == 9
    assert set(found.digest) == {artifact_store.digest}
    assert set(found.event_time) == {np.datetime64("2013-07-04T10:30:00.5")}
    for name, protocol in zip(names, ("rest", "rest", "grpc"), strict=True):
        mine = found.request_id == name
        assert set(found.protocol[mine]) == {protocol}
        np.testing.assert_array_equal(found.numeric[mine], numeric)
        assert found.category[mine].tolist() == category.tolist()
        assert (found.duration_us[mine] > 0).all()
        assert found.score[mine] == pytest.approx(found.score[:3], abs=1e-6)
    between = read_predictions(server.database_url, datetime(2013, 7, 4, 10, 30), datetime(2013, 7, 4, 10, 31))
    assert set(names) <= set(between.request_id)
    assert names[0] not in read_predictions(server.database_url, LONG_AGO, datetime(2013, 7, 4, 10, 30)).request_id


def test_same_id_twice_is_logged_once_and_other_rows_under_it_are_refused(server: Server) -> None:
    name = str(uuid.uuid4())
    numeric, category = rows(2, seed=6)
    first, again = (json.loads(server.ask("/v1/predict", records(numeric[:1], category[:1], id=name))[1]) for _ in "12")
    assert first == again
    assert server.ask("/v1/predict", records(numeric[1:], category[1:], id=name))[0] == 409
    other = str(uuid.uuid4())
    server.ask("/v1/predict", records(numeric, category, id=other))
    found = settled(server, name, other)
    assert found.score[found.request_id == name] == pytest.approx(first["probabilities"])


def test_labels_find_their_rows(server: Server) -> None:
    name = str(uuid.uuid4())
    server.ask("/v1/predict", records(*rows(3), id=name))
    labels = [
        {"id": name, "row": 1, "value": True, "outcome_at": "2013-07-04T12:00:00Z"},
        {"id": name, "value": False},
        {"id": name, "row": 1, "value": False},  # a later one for the same row corrects the first
        {"id": name, "row": 3, "value": True},  # there is no such row
    ]
    assert json.loads(server.ask("/v1/labels", {"labels": labels})[1]) == {"accepted": 4}
    wait_until(lambda: np.isfinite(settled(server, name).label).sum() == 2, "labels")
    np.testing.assert_array_equal(settled(server, name).label, [0, 0, np.nan])
    assert count_orphans(server.database_url, LONG_AGO, FAR) >= 1


def test_a_label_may_come_before_its_prediction(server: Server) -> None:
    name = str(uuid.uuid4())
    assert server.ask("/v1/labels", {"labels": [{"id": name, "value": True}]})[0] == 200
    wait_until(lambda: count_orphans(server.database_url, LONG_AGO, FAR) > 0, "an orphan")
    server.ask("/v1/predict", records(*rows(1), id=name))
    assert settled(server, name).label.tolist() == [1.0]


def test_requests_are_forgotten_while_the_service_goes_on(server: Server) -> None:
    names = [str(uuid.uuid4()) for _ in range(3)]
    for name in names:
        server.ask("/v1/predict", records(*rows(2), id=name))
    settled(server, *names)
    command = [
        sys.executable,
        "-m",
        "cli",
        "log",
        "delete",
        "--state",
        str(server.state),
        "--id",
        names[0],
        "--id",
        names[1],
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "rows deleted: 2\n"  # a row a request
    assert set(names) & set(logged(server).request_id) == {names[2]}
    assert server.ask("/v1/predict", records(*rows(1), id=str(uuid.uuid4())))[0] == 200


def test_refused_requests_are_not_logged(server: Server) -> None:
    name, good = str(uuid.uuid4()), str(uuid.uuid4())
    numeric, category = rows(1)
    numeric[0, 2] = -1
    assert server.ask("/v1/predict", records(numeric, category, id=name))[0] == 400
    assert server.ask("/v1/predict", records(*rows(1), id=good))[0] == 200
    settled(server, good)
    assert name not in logged(server).request_id


def test_a_locked_database_delays_rows_and_loses_none(tmp_path: Path, artifact_store: Store) -> None:
    """Somebody else holds the database; requests are answered all the same, and their rows arrive later."""
    server = start(tmp_path, artifact_store)
    lock = sqlite3.connect(server.state / "predictions.db", isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        assert server.ask("/v1/predict", records(*rows(1), id="waits"))[0] == 200
        with_pending = b"windsock_spool_unmoved_rows 1.0"
        wait_until(lambda: with_pending in metrics(server), "a row that waits")
        assert 0 < oldest_seconds(server) < 60
        lock.execute("ROLLBACK")
        assert "waits" in settled(server, "waits").request_id
        wait_until(lambda: b"windsock_spool_unmoved_rows 0.0" in metrics(server), "nothing that waits")
        assert oldest_seconds(server) == 0
    finally:
        lock.close()
        status = server.stop()
    assert status == 0, server.log()


def metrics(server: Server) -> bytes:
    with urllib.request.urlopen(server.metrics, timeout=10) as reply:
        content: bytes = reply.read()
    return content


def oldest_seconds(server: Server) -> float:
    (line,) = [line for line in metrics(server).splitlines() if line.startswith(b"windsock_spool_oldest_seconds ")]
    return float(line.split()[1])
