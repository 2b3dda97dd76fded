"""`windsock rebuild` on every 40th flight: the same bytes from what the envelope names, or a sentence that says why."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import model_signing
import pytest

from cli.pipeline import STAGES
from contracts.artifact import PROVENANCE, SIGNATURE, signing_config
from tests.e2e.test_pipeline import copy_project, run

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A checkout whose stages ran at its only commit, and the digest of its released model. Look, do not touch."""
    folder = copy_project(tmp_path_factory.mktemp("made") / "windsock")
    for stage in STAGES:
        run(folder, "windsock", "stage", stage)
    return folder, run(folder, "windsock", "release").splitlines()[-1]


@pytest.fixture
def changed(checkout: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    """A copy that a test may change."""
    return Path(shutil.copytree(checkout[0], tmp_path / "windsock", symlinks=True)), checkout[1]


def test_the_same_bytes(checkout: tuple[Path, str]) -> None:
    folder, digest = checkout
    before = files(folder)
    assert f"{digest[:12]}: the same bytes" in run(folder, "windsock", "rebuild", digest[:8])
    assert files(folder) == before


def test_another_recorded_parameter_makes_other_bytes_and_says_where(changed: tuple[Path, str]) -> None:
    folder, digest = changed

    def change(provenance: dict[str, Any]) -> None:
        provenance["parameters"]["train"]["epochs"] = 1
        provenance["versions"]["onnx"] = "1.0"

    record(folder, digest, change)
    output = run(folder, "windsock", "rebuild", digest, status=1)
    assert f"{digest[:12]}: differs in model.onnx" in output
    assert_matches(rf"{digest[:12]}: differs in manifest\.json \([^)]*metrics, files\)", output)
    assert "reference.npz" not in output  # the rows are the same
    assert "Libraries that are not those that made it: onnx" in output


def test_the_sentence_names_what_is_not_at_hand(changed: tuple[Path, str]) -> None:
    folder, digest = changed
    made = run(folder, "git", "rev-parse", "HEAD").strip()
    run(folder, "git", "commit", "--quiet", "--allow-empty", "--message", "Another step")
    (folder / "models/another.py").write_text("")
    output = run(folder, "windsock", "rebuild", digest, status=1)
    assert f"`HEAD` must be {made}, the commit that made {digest[:12]}" in output
    assert f"run `git checkout {made}` in a clone" in output
    assert "the code must be that of its commit, got changes; commit them or put them away" in output


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: p["parameters"].update(typo=1), "recorded parameters must be valid for this code, got: .*`typo`"),
        (
            lambda p: p["data_sha256"].update({"flights.csv.zip": "0" * 64}),
            r"source file `flights\.csv\.zip` must have sha256 0{64}, got [0-9a-f]{64}; install the data",
        ),
        (lambda p: p["git"].update(dirty=True), "must be that of a commit, got changes beside"),
        (lambda p: p["git"].update(commit=None), "must be that of a commit, got no commit"),
    ],
)
def test_an_envelope_that_cannot_be_followed(changed: tuple[Path, str], change: Change, sentence: str) -> None:
    folder, digest = changed
    record(folder, digest, change)
    output = run(folder, "windsock", "rebuild", digest, status=1)
    assert_matches(sentence, output)


def test_a_clone_rebuilds_from_the_store_of_another_checkout(changed: tuple[Path, str], tmp_path: Path) -> None:
    """As the sentence says: the commit in a clone, store and key where they are."""
    folder, digest = changed
    made = run(folder, "git", "rev-parse", "HEAD").strip()
    run(folder, "git", "commit", "--quiet", "--allow-empty", "--message", "Another step")
    clone = tmp_path / "clone"
    run(folder, "git", "clone", "--quiet", str(folder), str(clone))
    run(clone, "git", "checkout", "--quiet", made)
    there = ("--store", f"{folder}/artifacts/store", "--public-key", f"{folder}/secrets/signing.pub")
    record(folder, digest, lambda provenance: provenance["parameters"].update(typo=1))
    output = run(clone, "windsock", "rebuild", digest, *there, status=1)
    assert_matches("recorded parameters must be valid", output)  # commit and code were not refused


def record(folder: Path, digest: str, change: Change) -> None:
    """Change an envelope, and sign it as its owner could."""
    stored = folder / "artifacts/store" / digest
    provenance = json.loads((stored / PROVENANCE).read_bytes())
    change(provenance)
    (stored / PROVENANCE).write_text(json.dumps(provenance))
    (
        model_signing.signing.Config()
        .use_elliptic_key_signer(private_key=folder / "secrets/signing.key")
        .set_hashing_config(signing_config())
        .sign(stored, stored / SIGNATURE)
    )


def files(folder: Path) -> dict[str, bytes]:
    """What a rebuild leaves alone: the workspace's data, models, reports and MLflow."""
    places = ("data", "artifacts", "reports", "secrets")
    found = (path for place in places for path in (folder / place).rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found}


def assert_matches(pattern: str, output: str) -> None:
    assert re.search(pattern, output, re.DOTALL), output
