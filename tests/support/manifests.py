"""Manifests as `kubectl kustomize` makes them of k8s/."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OVERLAYS = ("kind", "kind-grafana", "production")
Manifest = dict[str, Any]


def kustomize(folder: Path) -> bytes:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert not done.stderr, done.stderr.decode()  # a warning of kustomize is an error
    return done.stdout


def pod_specs(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Workload -> the specification of its pods."""
    found = {}
    for one in manifests:
        spec = one.get("spec", {})
        if one["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            found[f"{one['kind']}/{one['metadata']['name']}"] = json.loads(json.dumps(spec["template"]["spec"]))
    return found


def pins(name: str) -> dict[str, set[str]]:
    """Library -> its versions (more than one where Python versions or platforms differ)."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for library, exact in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE):
        found.setdefault(library, set()).add(exact)
    return found
