"""Roles through a real service: said with `windsock models`, followed by its workers, seen in answers and log."""

import http.client
import json
import logging
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from onnx import helper, numpy_helper

from cli import main
from contracts.settings import clean_environment
from contracts.store.state import State
from monitoring.log.database import opened
from monitoring.log.desired import history
from monitoring.log.schema import ROLES
from tasks.rain.schema import SCHEMA as RAIN
from tests.support.payloads import records, rows
from tests.support.serving import Server, Store, start, wait_until
from tests.support.tiny import tiny_model, write_store

logger = logging.getLogger(__name__)
FOLLOW_SECONDS = 2.0
ROLLBACK_SECONDS = 1.0
RATE = 200  # requests a second
CLIENTS = 4


@dataclass
class Service:
    """A running service, and models of its store: the champion, another one, one that answers NaN, another task's."""

    folder: Path
    server: Server
    first: str
    second: str
    nan: str
    rain: str

    def models(self, *arguments: str) -> Result:
        """`windsock models`, as somebody beside the service says it."""
        return CliRunner().invoke(main, ["models", *arguments, *self.place()])

    def place(self) -> list[str]:
        where = {"store": "store", "public-key": "signing.pub", "state": "state"}
        return [word for name, path in where.items() for word in (f"--{name}", str(self.folder / path))]

    def ask(self, name: str = "") -> tuple[str, str]:
        """Version and role of the model that answered."""
        body = records(*rows(1)) | ({"id": name} if name else {})
        status, content, _ = self.server.ask("/v1/predict", body)
        assert status == 200, content
        answer = json.loads(content)
        return answer["model_version"], answer["role"]

    def answered(self, requests: int) -> Counter[str]:
        """How many of so many keys each role answered."""
        return Counter(self.ask(f"key-{number}")[1] for number in range(requests))

    def metric(self, line: str) -> bool:
        """Whether the metrics have this line."""
        with closing(http.client.HTTPConnection(self.server.metrics.split("/")[2])) as connection:
            connection.request("GET", "/metrics")
            return line in connection.getresponse().read().decode()


def nan_model() -> bytes:
    """The tiny model, whose answers are no numbers."""
    model = onnx.load_model_from_string(tiny_model(known=("N",)))
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(np.float32("nan")), "nan"))
    (last,) = (node for node in model.graph.node if node.op_type == "Sigmoid")
    model.graph.node.remove(last)
    model.graph.node.append(helper.make_node("Mul", ["logit", "nan"], ["probability"]))
    content: bytes = model.SerializeToString()
    return content


def new_service(folder: Path, workers: int = 1) -> Service:
    nan, second = (write_store(folder, model) for model in (nan_model(), tiny_model(known=("AA", "X"))))
    rain = write_store(folder, tiny_model(RAIN), RAIN)
    first = write_store(folder)
    store = Store(folder / "store", folder / "signing.pub", first)
    service = Service(folder, start(folder, store, workers=workers), first, second, nan, rain)
    wait_until(lambda: service.models().output.count("champion: ") == workers, "the workers must be reported", 20)
    return service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = new_service(tmp_path_factory.mktemp("roles"), workers=2)
    yield running
    assert running.server.stop() == 0, running.server.log()


def test_every_worker_follows_within_two_seconds(service: Service) -> None:
    shown = service.models().output
    assert shown.count(f"champion: {service.first[:12]}") == 2
    began = time.monotonic()
    result = service.models("set", "--challenger", service.second, "--weight", "0.5", "--reason", "a try")
    seconds = time.monotonic() - began
    logger.info("%.2f s until both workers had loaded it and said so", seconds)
    assert result.exit_code == 0, result.output
    assert result.output.count(": loaded") == 2
    assert seconds < FOLLOW_SECONDS
    by_role = service.answered(200)
    assert set(by_role) == {"champion", "challenger"}
    assert 70 < by_role["challenger"] < 130
    assert [service.ask("one-key") for _ in range(20)] == [service.ask("one-key")] * 20  # whichever worker answers
    shown = service.models().output
    assert shown.count(f"champion: {service.first[:12]}, challenger 0.5: {service.second[:12]}  (row ") == 2
    assert service.models("set", "--no-challenger").exit_code == 0
    assert set(service.answered(50)) == {"champion"}


def test_a_shadow_is_in_the_log_and_in_no_answer(service: Service) -> None:
    assert service.models("set", "--shadow", service.second).exit_code == 0
    assert service.server.ask(f"/v2/models/flight-delay/versions/{service.second[:12]}/ready")[0] == 404
    version, role = service.ask("seen-by-both")
    assert (version, role) == (service.first[:12], "champion")

    def logged() -> set[tuple[str, str]]:
        with closing(sqlite3.connect(service.server.state / "predictions.db")) as database:
            found = "SELECT role, digest FROM predictions WHERE request_id = 'seen-by-both'"
            return set(database.execute(found))

    wait_until(lambda: len(logged()) == 2, "both models' rows must be in the log", 5)
    assert logged() == {("champion", service.first), ("shadow", service.second)}
    assert service.models("set", "--no-shadow").exit_code == 0


def test_a_model_that_answers_nan_is_refused_and_the_old_one_serves_on(service: Service) -> None:
    result = service.models("set", "--champion", service.nan)
    assert result.exit_code == 1
    assert result.output.count(f"refused champion {service.nan[:12]}: ") == 2
    assert service.ask()[0] == service.first[:12]
    shown = service.models().output
    assert shown.count(f"  refused champion {service.nan[:12]}: ") == 2
    wait_until(lambda: service.metric('windsock_model_refused{role="champion"} 1.0'), "the metric must tell", 3)
    assert f"champion {service.nan[:12]} is refused" in service.server.log()
    for path in ("/v2", "/v2/models/flight-delay", "/v2/models/flight-delay/stats"):
        (refused,) = json.loads(service.server.ask(path)[1])["refused"]
        assert (refused["role"], refused["version"]) == ("champion", service.nan[:12])
        assert refused["why"] in shown
    assert service.models("rollback").exit_code == 0
    assert "refused" not in service.models().output
    assert "refused" not in json.loads(service.server.ask("/v2/models/flight-delay")[1])


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ({"weight": 7.0}, "is refused: Expected `float` <= 1.0"),
        ({"champion": "no digest"}, "is refused: Expected `str` matching regex"),
        ({"champion": "ab" * 32}, "champion abababababab is refused: "),
        ({"challenger": "rain", "weight": 1.0}, "must be of the task flight-delay, got rain"),
        ({"shadow": "cd" * 32}, "shadow cdcdcdcdcdcd is refused: "),
    ],
    ids=["weight", "digest", "champion", "task", "shadow"],
)
def test_what_somebody_writes_into_the_database_without_a_check_changes_no_answer(
    service: Service, word: dict[str, object], told: str
) -> None:
    if word.get("challenger") == "rain":
        word = word | {"challenger": service.rain}
    row: dict[str, object] = {
        "base": service.first,
        "champion": service.first,
        "challenger": None,
        "weight": 0.0,
        "shadow": None,
    }
    row |= {"changed_us": time.time_ns() // 1000, "changed_by": "somebody", "reason": ""} | word
    try:
        with opened(service.server.database_url) as engine, engine.begin() as connection:
            connection.execute(sa.insert(ROLES).values(row))
        wait_until(lambda: told in service.server.log(), "the refusal must be in the log", 5)
        assert service.answered(20) == {"champion": 20}
        assert service.ask() == (service.first[:12], "champion")
        assert service.models().exit_code == 0
    finally:
        service.models("set", "--champion", service.first, "--no-challenger", "--no-shadow")
    assert "refused" not in service.models().output


def test_a_damaged_file_of_desired_state_changes_nothing(service: Service) -> None:
    """Its companion writes it again; until then it is not as if nobody had said anything."""
    assert service.models("set", "--champion", service.second).exit_code == 0
    answers = set()
    for content in ('{"champion": 3}', "", "{"):
        (service.server.state / "desired.json").write_text(content)
        answers |= {service.ask()[0] for _ in range(100)}
    assert answers == {service.second[:12]}
    assert service.models("rollback").exit_code == 0


def test_a_model_that_only_the_database_has_reaches_the_workers(service: Service) -> None:
    """As in a cluster, where a pod's store holds one model."""
    other = service.folder / "other"
    shutil.copytree(service.folder / "store", other / "store")
    shutil.copyfile(service.folder / "signing.pub", other / "signing.pub")
    shutil.rmtree(service.folder / "store" / service.second)
    arguments = ["--store", str(other / "store"), "--public-key", str(other / "signing.pub")]
    state = ["--state", str(service.server.state)]
    result = CliRunner().invoke(main, ["models", "set", "--champion", service.second, *arguments, *state])
    assert result.exit_code == 0, result.output
    assert service.ask()[0] == service.second[:12]
    assert (service.server.state / "models" / service.second / "model.onnx").is_file()
    assert CliRunner().invoke(main, ["models", "rollback", *arguments, *state]).exit_code == 0
    shutil.copytree(other / "store" / service.second, service.folder / "store" / service.second)
    assert service.ask()[0] == service.first[:12]


@dataclass
class Load:
    """Clients that ask at a steady rate. `answers`: when each came (monotonic), its status, and the model's version."""

    server: Server
    answers: list[tuple[float, int, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        body = json.dumps(records(*rows(1)))
        headers = {"Authorization": f"Bearer {self.server.token}"}
        connection = http.client.HTTPConnection(self.server.rest.removeprefix("http://"), timeout=10)
        due = time.monotonic()
        while not self._over.is_set():
            due += CLIENTS / RATE
            try:
                connection.request("POST", "/v1/predict", body, headers)
                reply = connection.getresponse()
                answer = json.loads(reply.read())
                self.answers.append((time.monotonic(), reply.status, answer.get("model_version", "")))
            except (OSError, http.client.HTTPException) as error:
                self.faults.append(repr(error))
            self._over.wait(max(due - time.monotonic(), 0))
        connection.close()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def test_rollback_under_load_takes_less_than_a_second_and_fails_no_request(service: Service) -> None:
    assert service.models("set", "--champion", service.second).exit_code == 0
    load = Load(service.server)
    try:
        time.sleep(2.0)
        clock = time.monotonic() - time.time()  # from the wall's to the monotonic one
        result = service.models("rollback")
        assert result.exit_code == 0, result.output
        time.sleep(1.0)
    finally:
        load.stop()
    with opened(service.server.database_url) as engine:
        said = history(engine, limit=1)[0]
    assert said.desired.champion == service.first
    assert load.faults == []
    assert {status for _, status, _ in load.answers} == {200}
    assert len(load.answers) > 0.8 * RATE * 3
    last_bad = max(moment for moment, _, version in load.answers if version == service.second[:12])
    seconds = last_bad - (said.changed_us / 1e6 + clock)
    logger.info("%.2f s to the last answer of the bad one, %d requests", seconds, len(load.answers))
    assert seconds < ROLLBACK_SECONDS
    assert load.answers[-1][2] == service.first[:12]


def test_what_is_loaded_serves_on_through_a_restart_without_the_database(tmp_path: Path) -> None:
    service = new_service(tmp_path)
    assert service.models("set", "--champion", service.second).exit_code == 0
    wait_until(lambda: State(service.server.state).read_desired() is not None, "the row must come", 2)
    assert service.server.stop() == 0
    store = Store(tmp_path / "store", tmp_path / "signing.pub", service.first)
    service.server = start(tmp_path, store, database_url="postgresql+psycopg://u@127.0.0.1:9/d", flush_seconds=0)
    assert service.ask()[0] == service.second[:12]
    assert service.server.stop() == 0, service.server.log()


def test_another_pointer_makes_the_row_stale(tmp_path: Path) -> None:
    """A release is followed without a restart, and so is the way back to the pointer for which the row was said."""
    service = new_service(tmp_path)
    assert service.models("set", "--champion", service.second).exit_code == 0
    assert service.ask()[0] == service.second[:12]
    third = write_store(tmp_path, tiny_model(known=("AA", "Y")))  # points at it, as a release does
    wait_until(lambda: service.ask()[0] == third[:12], "the new pointer must be followed", FOLLOW_SECONDS)
    (tmp_path / "store/champion").write_text(service.first)
    wait_until(lambda: service.ask()[0] == service.second[:12], "the row must count again", FOLLOW_SECONDS)
    assert service.server.stop() == 0, service.server.log()


def test_the_command_as_a_process(service: Service) -> None:
    """What a shell sees: lines, and the status."""
    for arguments, status, said in (
        (["set", "--shadow", service.second], 0, ": loaded"),
        (["set", "--shadow", service.first], 1, "must be another model than the champion"),
        (["set", "--no-shadow"], 0, ": loaded"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "cli", "models", *arguments, *service.place()],
            env=clean_environment() | {"PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert said in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
