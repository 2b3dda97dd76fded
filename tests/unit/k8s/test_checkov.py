"""checkov, all of its checks for Kubernetes, on every overlay; k8s/checkov.yaml says which cannot hold and why."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.manifests import ROOT

CHECKOV = ROOT / ".venv-checkov/bin/checkov"


@pytest.mark.skipif(not CHECKOV.exists(), reason="`make checkov` installs it")
def test_every_failed_check_has_a_reason_and_every_reason_a_failed_check(overlay: str, rendered: Path) -> None:
    done = subprocess.run(
        [str(CHECKOV), "--file", str(rendered), "--framework", "kubernetes", "--compact", "--output", "json"],
        capture_output=True,
        check=False,
    )
    told = json.loads(done.stdout)
    assert told["summary"]["parsing_errors"] == 0
    assert told["summary"]["passed"] > 300
    failed = {(one["check_id"], one["resource"]) for one in told["results"]["failed_checks"]}
    entries = yaml.safe_load((ROOT / "k8s/checkov.yaml").read_text())[overlay]
    excused = {(check, resource) for check, entry in entries.items() for resource in entry["resources"]}
    assert all(len(entry["reason"]) > 20 for entry in entries.values())
    assert failed - excused == set()
    assert excused - failed == set()  # a skip that nothing needs
