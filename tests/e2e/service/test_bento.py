"""BentoML's own commands: `bentoml build` makes a Bento that `bentoml serve` serves and `containerize` can build."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import yaml
from click.testing import CliRunner

import cli
from contracts.settings import clean_environment
from deploy.local import processes
from deploy.local.processes import Program, answers
from services.generated import open_inference_pb2_grpc as pb_grpc
from tasks.flights.schema import SCHEMA
from tests.support.payloads import proto, rows
from tests.support.serving import Store, free_ports, wait_until

ROOT = Path(__file__).parents[3]
BENTOML = [sys.executable, "-m", "bentoml"]
# What stands for docker: it keeps the Dockerfile that it is given, and builds nothing.
DOCKER = """#!/bin/sh
case $1 in
  version) echo '"28.0.0"' ;;
  build) while [ $# -gt 1 ]; do [ "$1" = --file ] && cp "$2" "$KEEP"; shift; done; cp -r "$1" "$KEEP.context" ;;
esac
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BENTOML_HOME with the Bento in it."""
    folder = tmp_path_factory.mktemp("bento")
    done = bentoml(folder, ROOT, "build")
    assert "Successfully built" in done.stdout
    assert "WARNING" not in done.stdout + done.stderr
    return folder


def bentoml(home: Path, where: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    known = clean_environment() | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"} | environment
    done = subprocess.run([*BENTOML, *words], cwd=where, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def bento(home: Path) -> Path:
    (manifest,) = home.glob("bentos/windsock/*/bento.yaml")
    return manifest.parent


def pinned(lock: Path) -> set[str]:
    """Packages with versions and hashes; BentoML writes markers and lines in its own way."""
    return set(re.findall(r"^[\w.-]+(?:\[\w+\])?==[^\s;\\]+|sha256:\w+", lock.read_text(), re.MULTILINE))


def test_it_holds_the_service_and_neither_model_nor_key(bento: Path) -> None:
    held = {path.relative_to(bento / "src").as_posix() for path in (bento / "src").rglob("*") if path.is_file()}
    assert {"services/process/worker.py", "services/rest/static/swagger-ui/swagger-ui-bundle.js"} <= held
    assert {name.partition("/")[0] for name in held} <= {"contracts", "monitoring", "services", "bentofile.yaml"}
    assert not [name for name in held if re.search(r"\.onnx|\.key|token$|companion/|launch|__pycache__", name)]
    assert pinned(bento / "env/python/requirements.txt") == pinned(ROOT / "requirements/serving.txt")


@pytest.fixture
def token(artifact_store: Store, tmp_path: Path) -> str:
    options = ["--scope", "predict", "--tokens-file", str(tmp_path / "tokens.json")]
    return CliRunner().invoke(cli.main, ["tokens", "add", "visitor", *options]).output.strip()


@pytest.fixture
def served(home: Path, token: str, artifact_store: Store, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """REST and gRPC port of the Bento, served as docs/bento.md says."""
    rest, grpc_port, metrics = free_ports(3)
    settings = {
        "STORE": artifact_store.store,
        "PUBLIC_KEY": artifact_store.public_key,
        "STATE": tmp_path / "state",
        "TOKENS_FILE": tmp_path / "tokens.json",
        "GRPC_PORT": grpc_port,
        "METRICS_PORT": metrics,
        "DRAIN_SECONDS": 0.1,
    }
    environment = clean_environment() | {f"WINDSOCK_{name}": str(value) for name, value in settings.items()}
    environment |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    environment.pop("PYTHONPATH", None)
    command = [*BENTOML, "serve", "windsock:latest", "--host", "127.0.0.1", "--port", str(rest)]
    program, log = Program("bento", command, rest, "/v2/health/ready", environment), tmp_path / "bento.log"
    process = processes.start(program, tmp_path, log)
    try:
        wait_until(lambda: process.poll() is not None or answers(f"http://127.0.0.1:{rest}/readyz"), "the Bento")
        assert process.poll() is None, log.read_text()
        yield rest, grpc_port
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM), log.read_text()


def test_it_is_served_over_both_protocols(served: tuple[int, int], token: str, tmp_path: Path, bento: Path) -> None:
    rest, grpc_port = served
    from windsock_client import Client

    with Client(f"http://127.0.0.1:{rest}", token) as client:
        prediction = client.predict([SCHEMA.example()])
    assert 0 < prediction.probabilities[0] < 1
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # written by protoc
        answer = stub.ModelInfer(proto(*rows(3)), metadata=[("authorization", f"Bearer {token}")])
    assert answer.model_version == prediction.model_version
    # Nobody moves the rows: they wait in the spool for `windsock companion`.
    spooled = b"".join(path.read_bytes() for path in (tmp_path / "state/spool").glob("*.spool"))
    assert prediction.prediction_id.encode() in spooled
    assert not (tmp_path / "state/predictions.db").exists()
    # It runs what is in the Bento, not the checkout that it was built from.
    (bento / "src/services/rest/static/page.css").write_text("/* of the Bento */")
    with Client(f"http://127.0.0.1:{rest}") as client:
        assert client._http.get("/docs/page.css").text == "/* of the Bento */"


def test_containerize_has_all_that_an_image_needs(home: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(DOCKER)
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = bentoml(home, home, "containerize", "windsock:latest", PATH=path, KEEP=str(tmp_path / "Dockerfile"))
    assert "Successfully built Bento container" in done.stdout
    dockerfile, context = (tmp_path / "Dockerfile").read_text(), tmp_path / "Dockerfile.context"
    assert re.search(r"^FROM python:3\.11", dockerfile, re.MULTILINE)
    assert "ENTRYPOINT" in dockerfile
    for copied in re.findall(r"^COPY (?:--\S+ )*(\S+) \S+$", dockerfile, re.MULTILINE):
        assert (context / copied).exists(), copied
    assert "numpy==" in (context / "env/python/requirements.txt").read_text()
    about = yaml.safe_load((context / "bento.yaml").read_text())
    assert about["service"] == "services.process.bento:Windsock"


def test_the_document_names_variables_that_there_are() -> None:
    from contracts.settings import known_variables

    text = (ROOT / "docs/bento.md").read_text()
    assert set(re.findall(r"WINDSOCK_[A-Z_]+[A-Z]", text)) <= known_variables()
    assert "The companion is not started" in text
