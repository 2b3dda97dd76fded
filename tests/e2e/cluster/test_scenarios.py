"""Nothing lost: rollouts, good and bad, and pods that are deleted, while requests arrive at a constant rate.

What is judged: no first try fails where the change was planned, no request fails after one retry where it was not,
and every acknowledged row stands in PostgreSQL. What each scenario did goes to reports/cluster.json.
"""

import base64
import json
import logging
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import uuid4

import pytest

from deploy.cluster.cluster import NAMESPACE, Cluster
from deploy.cluster.images import load, workers
from deploy.cluster.pod_trouble import explain
from deploy.cluster.preflight import find_nodes
from deploy.cluster.subprocesses import Kubectl, run
from tests.e2e.cluster.deployment import Serving
from tests.e2e.cluster.load import Load, Outcome, steady_load
from tests.support.serving import wait_until

logger = logging.getLogger(__name__)

ROLLOUTS: Final = 6  # to the other image and back, three times
DELETIONS: Final = 3
WATCH_SECONDS: Final = 3.0  # of load after the last change
# From the node: the first process of a container is deaf to a SIGKILL from inside. One pod of the service is on a node.
KILL: Final = """for p in /proc/[0-9]*; do
  if tr '\\0' ' ' < $p/cmdline | grep -q "bin/windsock $1 *$"; then kill -9 "${p#/proc/}" && exit 0; fi
done 2>/dev/null; exit 1"""
NOT_DRAINED: Final = ("WINDSOCK_DRAIN_SECONDS=0", "WINDSOCK_GRPC_CONNECTION_SECONDS=0")

Record = Callable[..., Outcome]


@pytest.fixture
def other_image(cluster: Cluster, serving: Serving) -> str:
    """A really different one: what runs now and one more label, so of another content, id and tag."""
    image = f"{serving.image.split(':')[0]}:other-{uuid4().hex[:8]}"
    dockerfile = f"FROM {serving.image}\nLABEL windsock.dev/made-for={image}\n"
    subprocess.run(["docker", "build", "--tag", image, "-"], input=dockerfile.encode(), check=True, capture_output=True)
    try:
        load(cluster, image, workers(find_nodes(cluster)))
    finally:
        subprocess.run(["docker", "image", "rm", image], check=True, capture_output=True)
    return image


@pytest.fixture
def record(serving: Serving, report: dict[str, Any]) -> Record:
    """Ends the load, looks its rows up, and writes the scenario down before anything is judged."""

    def finish(load: Load, name: str, recovered: float, *, planned: bool) -> Outcome:
        load.wait_for(WATCH_SECONDS)
        outcome = load.stop()
        told = {
            "name": name,
            "planned": planned,
            "requests": len(outcome.sent),
            "failed_first_try": outcome.failed_first_try,
            "failed_after_retry": outcome.failed_after_retry,
            "acknowledged": len(outcome.acknowledged),
            "rows_found": serving.count_rows(load.run, outcome.acknowledged),
            "p99_ms": outcome.p99_ms,
            "recovered_seconds": round(recovered, 1),
        }
        others = [one for one in report.get("scenarios", []) if one["name"] != name]
        report["scenarios"] = [*others, told]
        assert told["rows_found"] == told["acknowledged"]
        return outcome

    return finish


def test_a_rolling_update_fails_no_request(
    cluster: Cluster, serving: Serving, other_image: str, record: Record
) -> None:
    slowest = 0.0
    with steady_load(cluster) as load:
        for number in range(ROLLOUTS):
            started, image = time.monotonic(), (other_image, serving.image)[number % 2]
            serving.set_image(image)
            serving.wait()
            slowest = max(slowest, time.monotonic() - started)
            assert {pod["spec"]["containers"][0]["image"] for pod in serving.pods()} == {image}
        serving.wait_for_the_last_to_leave()
        outcome = record(load, f"rolling update to a new image, {ROLLOUTS} rollouts", slowest, planned=True)
    assert set(outcome.by_protocol()) == {"rest", "grpc"}
    assert outcome.failed_first_try == 0, outcome.failures()


def test_without_the_drain_a_rolling_update_does_fail_requests(cluster: Cluster, serving: Serving) -> None:
    """The test above can fail: this is what the drain is for."""
    serving("set", "env", "deployment/serving", *NOT_DRAINED)
    serving.wait()
    serving.wait_for_the_last_to_leave()
    with steady_load(cluster) as load:
        serving("rollout", "restart", "deployment/serving")
        serving.wait()
        serving.wait_for_the_last_to_leave()
        outcome = load.stop()
    logger.info("without the drain: %d of %d lost: %s", outcome.failed_first_try, len(outcome.sent), outcome.failures())
    assert outcome.failed_first_try > 0


def test_deleted_pods_fail_no_request_after_one_retry(cluster: Cluster, serving: Serving, record: Record) -> None:
    slowest = 0.0
    with steady_load(cluster) as load:
        for _ in range(DELETIONS):
            before = serving.pods()
            started = time.monotonic()
            serving("delete", "pod", before[0]["metadata"]["name"], "--wait=false")
            serving.wait_for_ready(len(before))
            slowest = max(slowest, time.monotonic() - started)
            serving.wait_for_the_last_to_leave()
        outcome = record(load, f"kubectl delete pod, {DELETIONS} times", slowest, planned=False)
    assert outcome.failed_after_retry == 0, outcome.failures()


def test_the_death_of_a_container_loses_no_acknowledged_row(cluster: Cluster, serving: Serving) -> None:
    """SIGKILL to the service's container, then to the companion's. Callers may fail meanwhile."""
    with steady_load(cluster) as load:
        pod = serving.pods()[0]
        kill(serving, pod, "serving", "serve")
        kill(serving, pod, "companion", "companion")
        serving.wait_for_ready(2)
        load.wait_for(WATCH_SECONDS)
        outcome = load.stop()
    logger.info("a container killed: of %d requests %s", len(outcome.sent), outcome.failures())
    assert serving.count_rows(load.run, outcome.acknowledged) == len(outcome.acknowledged)


def kill(serving: Serving, pod: dict[str, Any], container: str, command: str) -> None:
    """SIGKILL to a container's first process, and with it to all of it; returns when there is another one."""
    name = pod["metadata"]["name"]
    before = serving.restarts(name, container)
    run("docker", "exec", pod["spec"]["nodeName"], "sh", "-c", KILL, "kill", command)
    wait_until(lambda: serving.restarts(name, container) > before, f"another {container} in the pod", 60)


def test_a_bad_image_is_given_up_and_the_old_pods_serve_on(cluster: Cluster, serving: Serving, record: Record) -> None:
    with steady_load(cluster) as load:
        serving.set_image("windsock/serving:there-is-none")
        assert "ImagePull" in wait_for_failure(serving)
        outcome = record(load, "a bad image", undo(serving), planned=True)
    assert outcome.failed_first_try == 0, outcome.failures()


@pytest.fixture
def bad_model(kubectl: Kubectl, serving: Serving) -> Iterator[str]:
    """Name of a ConfigMap like the one that is served, but for one bit of the network."""
    name = serving.template["spec"]["volumes"][0]["configMap"]["name"]
    model = json.loads(serving("get", "configmap", name, "--output", "json"))
    content = bytearray(base64.b64decode(model["binaryData"]["model.onnx"]))
    content[len(content) // 2] ^= 1
    model["binaryData"]["model.onnx"] = base64.b64encode(content).decode()
    model["metadata"] = {"name": f"{name}-bad", "namespace": NAMESPACE}
    kubectl("create", "-f", "-", stdin=json.dumps(model).encode())
    yield f"{name}-bad"
    serving("delete", "configmap", f"{name}-bad")


def test_a_bad_artifact_is_given_up_and_the_old_pods_serve_on(
    cluster: Cluster, serving: Serving, bad_model: str, record: Record
) -> None:
    patch = [
        {"op": "test", "path": "/spec/template/spec/volumes/0/name", "value": "models"},
        {"op": "replace", "path": "/spec/template/spec/volumes/0/configMap/name", "value": bad_model},
    ]
    with steady_load(cluster) as load:
        serving("patch", "deployment", "serving", "--type=json", f"--patch={json.dumps(patch)}")
        assert "model.onnx" in wait_for_failure(serving)  # what the container wrote before it ended
        # Old pods may have a container that an earlier scenario killed; these are of the bad model alone.
        bad = [pod for pod in serving.pods() if bad_model in json.dumps(pod["spec"]["volumes"])]
        assert {end["exitCode"] for pod in bad for end in last_ends(pod)} == {1}
        outcome = record(load, "a bad artifact", undo(serving), planned=True)
    assert outcome.failed_first_try == 0, outcome.failures()


def wait_for_failure(serving: Serving) -> str:
    """Until the rollout is reported as failed, with the old pods ready. Returns what the new one says."""
    command = ("rollout", "status", "deployment/serving", "--namespace", NAMESPACE, "--timeout=150s")
    done = serving.kubectl.attempt(*command)
    assert done.returncode != 0
    assert b"exceeded its progress deadline" in done.stderr
    assert serving.count_ready() >= 2
    return explain(serving.kubectl, "deployment/serving")


def undo(serving: Serving) -> float:
    """Take the last change back, as the page says. Returns the seconds until all is as it was."""
    started = time.monotonic()
    serving("rollout", "undo", "deployment/serving")
    serving.wait()
    assert not serving.is_changed()
    return time.monotonic() - started


def last_ends(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """How containers of the pod ended, where they did."""
    states = [status[name] for status in pod["status"]["containerStatuses"] for name in ("state", "lastState")]
    return [state["terminated"] for state in states if "terminated" in state]
