"""Schemathesis reads the OpenAPI document, makes up requests, and holds the answers against it.

No answer may be an error of ours, have a status, type or form that the document does not name, or fail to come; what
the document excludes is refused, and what it allows is answered. `make fuzz-env` makes its environment; a few hundred
requests are made here, and 3,000 by `make fuzz`.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import Server, Store, start

ROOT = Path(__file__).parents[4]
PROGRAM = ROOT / ".venv-fuzz/bin/schemathesis"
CASES = int(os.environ.get("FUZZ_CASES", "300"))
SEED = os.environ.get("FUZZ_SEED", "1")


@pytest.fixture
def alone(tmp_path: Path, artifact_store: Store) -> Iterator[Server]:
    """A service whose log nobody else looks at."""
    running = start(tmp_path, artifact_store)
    yield running
    assert running.stop() == 0
    assert "internal error" not in running.log()


@pytest.mark.skipif(not PROGRAM.exists(), reason="`make fuzz-env` installs schemathesis")
@pytest.mark.timeout(1800)
def test_a_fuzzer_of_the_document_finds_nothing(alone: Server, tmp_path: Path) -> None:
    server = alone
    for name in ("schemathesis.toml", "hooks.py"):  # read where it runs, and there it leaves files of its own
        shutil.copy(Path(__file__).with_name(name), tmp_path)
    report = tmp_path / "report.json"
    document = json.loads(server.ask("/openapi.json", token=None)[1])
    operations = sum(len({"get", "post"} & set(item)) for item in document["paths"].values())
    options = {
        "--header": f"Authorization: Bearer {server.token}",
        "--max-examples": str(CASES // operations + 1),
        "--seed": SEED,
        "--generation-database": "none",
        "--request-timeout": "10",
        "--report": "json",
        "--report-json-path": str(report),
    }
    words = [*(word for option in options.items() for word in option), "--continue-on-failure"]
    done = subprocess.run(
        [PROGRAM, "run", *words, f"{server.rest}/openapi.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    assert (found["complete"], found["operations"]["tested"], found["errors"]) == (True, operations, [])
    assert found["test_cases"]["generated"] >= CASES
    # Requests came through to what is behind the token: it is not refusals alone that were looked at.
    assert found["valid_rates"]["POST /v1/predict"]["fuzzing"]["accepted"] > 0
    print(f"\n{found['test_cases']['generated']} requests, seed {SEED}: nothing found")  # noqa: T201 - what `make fuzz` tells
    assert server.is_ready()
