"""Why a workload is not ready, in half a sentence; and pods that only their deletion mends."""

import json
import re
from typing import Any

from deploy.cluster.cluster import NAMESPACE
from deploy.cluster.subprocesses import Kubectl


def explain(kubectl: Kubectl, workload: str) -> str:
    """The youngest pod that is not ready: what Kubernetes says of it, and the line it wrote that tells most."""
    selector = f"app.kubernetes.io/name={workload.split('/')[1]}"
    told = json.loads(kubectl("get", "pods", "--namespace", NAMESPACE, "--selector", selector, "--output", "json"))
    troubled = [pod for pod in told["items"] if not is_ready(pod)]
    if not troubled:
        return "no pod that is not ready"
    pod = max(troubled, key=lambda one: str(one["metadata"]["creationTimestamp"]))
    name, container = pod["metadata"]["name"], _troubled_container(pod)
    said = f"{name} is {_state(pod)}"
    for which in (("--previous",), ()):
        log = kubectl.attempt("logs", name, "--namespace", NAMESPACE, "--container", container, "--tail=40", *which)
        if log.returncode == 0 and log.stdout.strip():
            return f"{said}, and wrote: {_telling(log.stdout.decode(errors='replace').strip().splitlines())}"
    return said


def _telling(lines: list[str]) -> str:
    """The last line that names an error, else the last one: what ends a process writes after its cause."""
    errors = [line for line in lines if re.match(r"(\w+\.)*\w*(Error|Exception)\b", line)]
    return (errors or lines)[-1].strip()


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _troubled_container(pod: dict[str, Any]) -> str:
    told = [status["name"] for status in pod["status"].get("containerStatuses", []) if not status["ready"]]
    return str(told[0] if told else pod["spec"]["containers"][0]["name"])


def _state(pod: dict[str, Any]) -> str:
    for container in pod["status"].get("containerStatuses", []):
        for state in ("waiting", "terminated"):
            if state in container["state"]:
                return str(container["state"][state].get("reason", state))
    for condition in pod["status"].get("conditions", []):
        if condition["status"] != "True" and condition.get("message"):
            return str(condition["message"])
    return str(pod["status"].get("phase", "unknown"))


def replace_stuck(kubectl: Kubectl) -> None:
    """Delete pods of an older revision that are not ready: their StatefulSet would wait for them for ever."""
    told = json.loads(kubectl("get", "statefulsets,pods", "--namespace", NAMESPACE, "--output", "json"))["items"]
    wanted = {
        one["metadata"]["name"]: one["status"].get("updateRevision") for one in told if one["kind"] == "StatefulSet"
    }
    for pod in (one for one in told if one["kind"] == "Pod"):
        owner = pod["metadata"].get("ownerReferences", [{}])[0]
        revision = pod["metadata"]["labels"].get("controller-revision-hash")
        if owner.get("kind") == "StatefulSet" and revision != wanted.get(owner["name"]) and not is_ready(pod):
            kubectl("delete", "pod", pod["metadata"]["name"], "--namespace", NAMESPACE, "--wait=false")
