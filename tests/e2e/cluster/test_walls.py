"""Pod Security and NetworkPolicies: refusals seen from pods.

Each beside what the same pod is allowed, or a broken network would pass for a wall.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from deploy.cluster.cluster import NAMESPACE
from deploy.cluster.images import Images
from deploy.cluster.subprocesses import Kubectl

RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
# Which of the addresses take a TCP connection. A policy drops packets, so a refusal is a time-out.
PROBE = """
import json, socket, sys
def reach(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 3).close()
        return True
    except OSError:
        return False
print(json.dumps({address: reach(address) for address in sys.argv[1:]}))
"""


def pod(name: str, image: str, command: list[str], **security: Any) -> dict[str, Any]:
    container = {"name": "probe", "image": image, "imagePullPolicy": "IfNotPresent", "command": command}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "probe"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container | {"securityContext": RESTRICTED | security}],
        },
    }


@pytest.fixture(scope="module")
def client_namespace(kubectl: Kubectl) -> Iterator[str]:
    """A neighbour that may call the service."""
    name = f"client-{uuid4().hex[:6]}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "windsock.dev/client=true", "pod-security.kubernetes.io/enforce=restricted")
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def probe(kubectl: Kubectl, namespace: str, image: str, addresses: list[str]) -> dict[str, bool]:
    """From a fresh pod of that namespace."""
    name = f"probe-{uuid4().hex[:6]}"
    manifest = json.dumps(pod(name, image, ["python", "-c", PROBE, *addresses])).encode()
    kubectl("create", "--namespace", namespace, "-f", "-", stdin=manifest)
    try:
        kubectl(
            *("wait", f"pod/{name}", "--namespace", namespace),
            *("--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s"),
        )
        told: dict[str, bool] = json.loads(kubectl("logs", name, "--namespace", namespace))
        return told
    finally:
        kubectl("delete", "pod", name, "--namespace", namespace, "--wait=false")


@pytest.fixture(scope="module")
def addresses(kubectl: Kubectl) -> dict[str, str]:
    """Pod addresses with ports: names cannot be looked up where DNS is denied."""
    told = json.loads(kubectl("get", "pods", "--namespace", NAMESPACE, "--output", "json"))["items"]
    ips = {one["metadata"]["labels"].get("app.kubernetes.io/name"): one["status"].get("podIP") for one in told}
    return {
        "rest": f"{ips['serving']}:3000",
        "grpc": f"{ips['serving']}:3001",
        "metrics": f"{ips['serving']}:3002",
        "postgres": f"{ips['postgres']}:5432",
        "prometheus": f"{ips['prometheus']}:9090",
        "alertmanager": f"{ips['alertmanager']}:9093",
        "monitor": f"{ips['monitor']}:3003",
        "api server": "10.96.0.1:443",
    }


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"allowPrivilegeEscalation": True}, "allowPrivilegeEscalation"),
        ({"capabilities": {"drop": []}}, "unrestricted capabilities"),
        ({"runAsUser": 0}, "runAsUser=0"),
        ({"privileged": True, "allowPrivilegeEscalation": True}, "privileged"),
    ],
)
def test_pod_security_refuses_by_name(kubectl: Kubectl, images: Images, change: dict[str, Any], word: str) -> None:
    good = json.dumps(pod("visitor", images.serving, ["true"])).encode()
    bad = json.dumps(pod("intruder", images.serving, ["true"], **change)).encode()
    options = ("create", "--namespace", NAMESPACE, "--dry-run=server", "-f", "-")
    assert kubectl.attempt(*options, stdin=good).returncode == 0
    done = kubectl.attempt(*options, stdin=bad)
    told = done.stderr.decode()
    assert done.returncode != 0
    assert 'pods "intruder" is forbidden: violates PodSecurity "restricted' in told
    assert word in told


def test_a_neighbour_reaches_rest_and_grpc_and_nothing_else(
    kubectl: Kubectl, images: Images, client_namespace: str, addresses: dict[str, str]
) -> None:
    reached = probe(
        kubectl, client_namespace, images.serving, [addresses[name] for name in addresses if name != "api server"]
    )
    assert {name for name, address in addresses.items() if reached.get(address)} == {"rest", "grpc"}


def test_a_pod_in_the_namespace_that_no_policy_names_reaches_nothing(
    kubectl: Kubectl, images: Images, addresses: dict[str, str]
) -> None:
    reached = probe(kubectl, NAMESPACE, images.serving, list(addresses.values()))
    assert not any(reached.values()), reached


def test_the_service_reaches_its_database_and_nothing_else(kubectl: Kubectl, addresses: dict[str, str]) -> None:
    targets = {name: address for name, address in addresses.items() if name not in ("rest", "grpc", "metrics")}
    command = ("exec", "--namespace", NAMESPACE, "deployment/serving", "--", "python", "-c", PROBE)
    reached = json.loads(kubectl(*command, *targets.values()))
    assert {name for name, address in targets.items() if reached[address]} == {"postgres"}


def test_no_pod_has_a_token_of_the_api_server(kubectl: Kubectl) -> None:
    command = ("exec", "--namespace", NAMESPACE, "deployment/serving", "--", "ls", "/var/run/secrets/kubernetes.io")
    assert kubectl.attempt(*command).returncode != 0
