"""What a second `cluster up` keeps, and what the server says of every overlay."""

import base64
import json
import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest

from deploy.cluster.cluster import NAMESPACE, Cluster
from deploy.cluster.subprocesses import APPLY, Kubectl
from tests.support.manifests import OVERLAYS, ROOT, kustomize

DEPLOYMENT = ("get", "deployment/serving", "--namespace", NAMESPACE, "--output", "json")


def secrets(kubectl: Kubectl) -> dict[str, Any]:
    told = json.loads(kubectl("get", "secrets", "--namespace", NAMESPACE, "--output", "json"))["items"]
    return {one["metadata"]["name"]: (one["metadata"]["uid"], one["data"]) for one in told}


def pods(kubectl: Kubectl) -> set[str]:
    told = json.loads(kubectl("get", "pods", "--namespace", NAMESPACE, "--output", "json"))["items"]
    return {one["metadata"]["uid"] for one in told if one["status"]["phase"] == "Running"}


def test_a_second_up_keeps_secrets_and_pods(cluster: Cluster, kubectl: Kubectl, report: dict[str, Any]) -> None:
    first = json.loads((cluster.folder / "made.json").read_text())
    building = sum(seconds for step, seconds in first["seconds"].items() if step.startswith("image "))
    # A change of ours is built in seconds, on layers that are there; from nothing it takes minutes.
    report["up_seconds" if building > 45 else "up_seconds_images_built"] = first["seconds"]["total"]
    before = secrets(kubectl), pods(kubectl)
    assert {"database", "service-token", "service-tokens"} <= set(before[0])
    command = [sys.executable, "-m", "cli", "cluster", "up", "--root", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert (secrets(kubectl), pods(kubectl)) == before
    assert read_seconds(cluster) < 30


def read_seconds(cluster: Cluster) -> float:
    return float(json.loads((cluster.folder / "up.json").read_text())["seconds"]["total"])


def test_the_password_is_nowhere_but_in_its_secret(kubectl: Kubectl) -> None:
    password = base64.b64decode(secrets(kubectl)["database"][1]["password"]).decode()
    assert len(password) >= 32
    everything = kubectl(
        "get", "pods,deployments,statefulsets,configmaps,jobs", "--namespace", NAMESPACE, "--output", "yaml"
    )
    assert password not in everything
    assert password not in kubectl("logs", "--namespace", NAMESPACE, "deployment/serving", "--all-pods=true")


def test_the_autoscaler_owns_the_replicas(cluster: Cluster, kubectl: Kubectl) -> None:
    """It brought them to its minimum, and an apply neither claims them nor takes them back to the default of one."""
    live = json.loads(kubectl(*DEPLOYMENT, "--show-managed-fields"))
    ours = [field for field in live["metadata"]["managedFields"] if field["manager"] == "windsock"]
    assert ours
    assert all("f:replicas" not in field["fieldsV1"]["f:spec"] for field in ours)
    assert live["spec"]["replicas"] >= 2
    applied = kubectl.apply(kustomize(cluster.folder / "overlay"), "--dry-run=server", "--output", "json")
    after = next(
        one
        for one in json.loads(applied)["items"]
        if one["metadata"]["name"] == "serving" and one["kind"] == "Deployment"
    )
    assert after["spec"]["replicas"] >= 2


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_server_takes_every_overlay_without_a_warning(kubectl: Kubectl, overlay: str) -> None:
    manifests = kustomize(ROOT / "k8s/overlays" / overlay)
    elsewhere = f"dry-run-{uuid4().hex[:6]}"
    if overlay == "production":  # beside the running one: a claim's size cannot be changed in place
        manifests = manifests.replace(b"namespace: windsock\n", f"namespace: {elsewhere}\n".encode())
        kubectl("create", "namespace", elsewhere)
    try:
        done = kubectl.attempt(*APPLY, "--dry-run=server", stdin=manifests)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stderr == b""
    finally:
        kubectl("delete", "namespace", elsewhere, "--ignore-not-found", "--wait=false")
