"""The Deployment `serving` as the tests of the cluster handle it."""

import json
from typing import Any, Final

from deploy.cluster.cluster import NAMESPACE
from deploy.cluster.pod_trouble import is_ready
from deploy.cluster.subprocesses import Kubectl
from deploy.local import processes
from tests.support.serving import wait_until

MOVED_SECONDS: Final = 60.0  # until the spools are in the database


class Serving:
    """The Deployment under test."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self.template = self._get("deployment/serving")["spec"]["template"]
        self.image = str(self.template["spec"]["containers"][0]["image"])
        (self._hash,) = {pod["metadata"]["labels"]["pod-template-hash"] for pod in self.pods()}

    def __call__(self, *arguments: str) -> str:
        return self.kubectl("--namespace", NAMESPACE, *arguments)

    def pods(self, *, leaving: bool = False) -> list[dict[str, Any]]:
        """Those that stay, or those that are on their way out."""
        told = json.loads(self("get", "pods", "--selector=app.kubernetes.io/name=serving", "--output", "json"))
        return [pod for pod in told["items"] if ("deletionTimestamp" in pod["metadata"]) == leaving]

    def wait(self) -> None:
        """For the rollout to succeed."""
        self("rollout", "status", "deployment/serving", "--timeout=150s")

    def wait_for_the_last_to_leave(self) -> None:
        """What is judged is how pods end, so their end must lie within the load."""
        wait_until(lambda: not self.pods(leaving=True), "the end of pods within their grace period", 90)

    def set_image(self, image: str) -> None:
        self("set", "image", "deployment/serving", f"serving={image}")

    def is_changed(self) -> bool:
        return bool(self._get("deployment/serving")["spec"]["template"] != self.template)

    def restore(self) -> None:
        """Whatever a test left behind."""
        if self.is_changed():
            replicas = self._get(f"replicaset/serving-{self._hash}")
            revision = replicas["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
            self("rollout", "undo", "deployment/serving", f"--to-revision={revision}")
        self.wait()
        self.wait_for_the_last_to_leave()

    def count_ready(self) -> int:
        return sum(is_ready(pod) for pod in self.pods())

    def restarts(self, name: str, container: str) -> int:
        """How often a container of the pod, or a sidecar, has been started anew."""
        (pod,) = (one for one in self.pods() if one["metadata"]["name"] == name)
        told = [*pod["status"]["containerStatuses"], *pod["status"].get("initContainerStatuses", [])]
        return sum(status["restartCount"] for status in told if status["name"] == container)

    def wait_for_ready(self, count: int) -> None:
        wait_until(lambda: self.count_ready() >= count, f"{count} pods that are ready and stay", 60)

    def count_rows(self, run: str, acknowledged: set[str]) -> int:
        """How many of the acknowledged requests have their row in PostgreSQL; waits for the spools to be moved."""
        sql = f"SELECT request_id FROM predictions WHERE request_id LIKE '{run}-%'"  # noqa: S608 - our own id
        command = ("psql", "--username=windsock", "--tuples-only", "--no-align", f"--command={sql}")
        found = set[str]()

        def moved() -> bool:
            found.update(acknowledged & set(self("exec", "postgres-0", "--", *command).split()))
            return found == acknowledged

        processes.wait_until(moved, MOVED_SECONDS, every=0.5)
        return len(found)

    def _get(self, what: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self("get", what, "--output", "json"))
        return told
