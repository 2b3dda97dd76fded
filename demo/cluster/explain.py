"""Why a workload is not ready, in half a sentence."""

import json
from typing import Any

from demo.cluster.settings import NAMESPACE
from demo.cluster.tools import Kubectl


def explain(kubectl: Kubectl, workload: str) -> str:
    """The youngest pod that is not ready: what Kubernetes says of it, and the last line that it wrote."""
    name = workload.split("/")[1]
    selector = f"app.kubernetes.io/name={name}"
    told = json.loads(kubectl("get", "pods", "--namespace", NAMESPACE, "--selector", selector, "--output", "json"))
    troubled = [pod for pod in told["items"] if not _is_ready(pod)]
    if not troubled:
        return "no pod that is not ready"
    pod = max(troubled, key=lambda one: str(one["metadata"]["creationTimestamp"]))
    pod_name = pod["metadata"]["name"]
    said = f"{pod_name} is {_state(pod)}"
    for previous in ((), ("--previous",)):
        log = kubectl.attempt("logs", pod_name, "--namespace", NAMESPACE, "--tail=1", *previous)
        if log.returncode == 0 and log.stdout.strip():
            return f"{said}, and wrote: {log.stdout.decode(errors='replace').strip()}"
    return said


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _state(pod: dict[str, Any]) -> str:
    for container in pod["status"].get("containerStatuses", []):
        for state in ("waiting", "terminated"):
            if state in container["state"]:
                detail = container["state"][state]
                return f"{detail.get('reason', state)} {detail.get('message', '')}".strip()
    for condition in pod["status"].get("conditions", []):
        if condition["status"] != "True" and condition.get("message"):
            return str(condition["message"])
    return str(pod["status"].get("phase", "unknown"))
