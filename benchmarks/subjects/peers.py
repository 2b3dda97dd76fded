"""What people would pick instead, with the same ONNX file on the same core, each as fast as its manual allows."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.subjects.environments import environment
from benchmarks.subjects.running import ROOT, Run, Subject, on_cores, python
from contracts.settings import clean_environment
from deploy.local.processes import free_ports

PROGRAMS = ROOT / "benchmarks/peers"


@contextmanager
def fastapi(run: Run) -> Iterator[Subject]:
    """FastAPI on uvicorn with uvloop and httptools: a pydantic model of named fields, and nothing else."""
    (port,) = free_ports(1)
    interpreter = str(environment("fastapi") / "bin/python")
    yield from _files_and_port(run, "fastapi", [interpreter, str(PROGRAMS / "fastapi_app.py")], port)


@contextmanager
def bare(run: Run) -> Iterator[Subject]:
    """An ASGI function on uvicorn: what a Python service cannot be much faster than, one request at a time."""
    (port,) = free_ports(1)
    yield from _files_and_port(run, "bare", python(str(PROGRAMS / "bare.py")), port)


@contextmanager
def mlserver(run: Run) -> Iterator[Subject]:
    """MLServer with a runtime for the ONNX file, one process, without metrics, access log and compression."""
    folder = run.folder / "mlserver"
    folder.mkdir()
    rest, grpc, metrics = free_ports(3)
    settings = {
        "host": "127.0.0.1",
        "http_port": rest,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "metrics_endpoint": None,
        "metrics_dir": str(folder),
        "debug": False,
        "gzip_enabled": False,
        "parallel_workers": 0,
    }
    model = {
        "name": run.artifact.manifest.name,
        "implementation": "mlserver_runtime.OnnxModel",
        "parameters": {"uri": str(run.bodies.model)},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    programs = environment("mlserver") / "bin"
    variables = clean_environment() | {"PYTHONPATH": str(PROGRAMS), "PATH": f"{programs}:{os.environ['PATH']}"}
    command = [str(programs / "mlserver"), "start", str(folder)]
    with on_cores("mlserver", command, rest, run.folder, environment=variables) as pid:
        yield Subject("mlserver", pid, rest, grpc)


def _files_and_port(run: Run, name: str, command: list[str], port: int) -> Iterator[Subject]:
    arguments = [*command, str(run.bodies.model), str(run.bodies.names), str(port)]
    with on_cores(name, arguments, port, run.folder, ready="/", environment=clean_environment()) as pid:
        yield Subject(name, pid, port)
