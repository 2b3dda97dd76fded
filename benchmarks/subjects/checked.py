"""A subject is measured when its answers are right: some rows of each kind against ONNX Runtime itself."""

import json
import urllib.request
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort

from benchmarks.subjects.running import Run, Subject
from contracts.errors import DataError
from contracts.reference import unpack

CHECKED: Final = 64
TOLERANCE: Final = 1e-5  # of a probability; batches of other sizes may round otherwise


def check_answers(run: Run, subject: Subject, path: str, bodies: Path) -> None:
    """Send the first rows, one by one.

    Raises:
        DataError: a score differs from that of the model.
    """
    wanted = _scores(run)
    with bodies.open("rb") as lines:
        for index, (line, score) in enumerate(zip(lines, wanted, strict=False)):
            got = _score(_post(subject, path, line))
            if not abs(got - score) <= TOLERANCE:
                raise DataError(
                    f"{subject.name} must answer row {index} with {score:.6f}, got {got:.6f}; "
                    "a peer that does other work cannot be compared"
                )


def _scores(run: Run) -> list[float]:
    sample = unpack(run.artifact.reference, run.artifact.schema)
    session = ort.InferenceSession(run.artifact.model, providers=["CPUExecutionProvider"])
    inputs = {"numeric": sample.numeric[:CHECKED], "category": sample.category[:CHECKED]}
    return [float(score) for score in np.ravel(session.run(["probability"], inputs)[0])]


def _post(subject: Subject, path: str, body: bytes) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{subject.rest_port}{path}", body)
    request.add_header("Content-Type", "application/json")
    if subject.token:
        request.add_header("Authorization", f"Bearer {subject.token}")
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - as above
        return json.load(reply)


def _score(answer: Any) -> float:
    return float(answer["probabilities"][0] if "probabilities" in answer else answer["outputs"][0]["data"][0])
