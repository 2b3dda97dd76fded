"""`make cluster-up`: from nothing, or from wherever an earlier run ended, to a cluster that answers."""

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from contracts.errors import Unavailable
from contracts.files import write_json
from contracts.store import load_champion
from contracts.workspace import Workspace
from deploy.cluster.cluster import NAMESPACE, Cluster
from deploy.cluster.images import GRAFANA, PUBLIC, Images, build, load, name_images, workers
from deploy.cluster.manifests import find_model, render
from deploy.cluster.nodes import address, ensure_nodes
from deploy.cluster.pod_trouble import explain, replace_stuck
from deploy.cluster.preflight import check, find_nodes
from deploy.cluster.secrets import ensure_secrets
from deploy.cluster.subprocesses import APPLY, Kubectl, reason, step
from deploy.local.processes import answers, wait_until

logger = logging.getLogger(__name__)

METRICS_SERVER: Final = "k8s/components/autoscaling/metrics-server"
ANSWER_SECONDS: Final = 60.0
ROLLOUTS: Final = (
    "statefulset/postgres",
    "deployment/serving",
    "statefulset/prometheus",
    "statefulset/alertmanager",
    "deployment/alerts",
    "deployment/monitor",
)


def up(cluster: Cluster, grafana: bool = False) -> dict[str, float]:
    """Bring the cluster to what the checkout describes. Returns the seconds of each step; `total` is all of it.

    Raises:
        WindsockError: one sentence on what is missing or was refused. Nothing is deleted: run it again when mended.
    """
    started, seconds = time.monotonic(), dict[str, float]()
    with step("checks: model, docker, kind, kubectl, disk, ports", seconds):
        find_model(cluster.root)
        check(cluster)
        made_now = not (cluster.complete.exists() and find_nodes(cluster))
    images = name_images(cluster.root)
    with ThreadPoolExecutor(max_workers=1) as builder:  # builds wait for the network, the cluster for itself
        built = builder.submit(_build, cluster.root, images, seconds)
        with step("three nodes", seconds):
            nodes = ensure_nodes(cluster)
        kubectl = Kubectl(cluster.kubeconfig)
        with step("metrics-server, namespace, secrets", seconds):
            _lay_foundations(cluster, kubectl, grafana)
        with step("manifests: the server takes them", seconds):
            manifests = _render(cluster, images, nodes, grafana)
            _judge(kubectl, manifests)
        _load_public(cluster, workers(nodes), grafana, seconds)
        # The database is applied first: its image is there already, and no spool need wait for it.
        kubectl.apply(manifests, "--selector=app.kubernetes.io/name=postgres")
        built_now = built.result()
    _load_ours(cluster, images, workers(nodes), seconds)
    with step("manifests applied", seconds):
        kubectl.apply(manifests)
    with step("the log's users, tables and partitions", seconds):
        _prepare_log(kubectl, images)
    with step("all pods ready", seconds):
        _wait(kubectl, (*ROLLOUTS, "deployment/grafana") if grafana else ROLLOUTS)
        _finish_metrics(cluster, kubectl)
    with step("an answer over REST", seconds):
        _wait_for_answer(cluster)
    seconds["total"] = round(time.monotonic() - started, 1)
    _remember(cluster, {"seconds": seconds, "made_now": made_now, "built_now": built_now})
    logger.info("%-58s %6.1f s", "cluster is up", seconds["total"])
    return seconds


def _remember(cluster: Cluster, told: dict[str, Any]) -> None:
    """Write what this run took, what the making of the cluster took, and a request to try."""
    workspace = Workspace(cluster.root)
    schema = load_champion(workspace.store, workspace.public_key).schema
    write_json(cluster.folder / "row.json", {"rows": [schema.example()]})
    write_json(cluster.folder / "up.json", told)
    if told["made_now"]:
        write_json(cluster.folder / "made.json", told)


def _build(root: Path, images: Images, seconds: dict[str, float]) -> bool:
    """Build our images where needed. Returns whether any was built now."""
    built_now = False
    for target, image in asdict(images).items():
        with step(f"image {image}", seconds):
            built_now |= build(root, target, image)
    return built_now


def _load_public(cluster: Cluster, names: list[str], grafana: bool, seconds: dict[str, float]) -> None:
    with step("public images onto the data worker", seconds):
        for image in (*PUBLIC, GRAFANA) if grafana else PUBLIC:
            load(cluster, image, names[:1])


def _load_ours(cluster: Cluster, images: Images, names: list[str], seconds: dict[str, float]) -> None:
    with step("images of service and companion onto both workers", seconds):
        load(cluster, images.serving, names)
        load(cluster, images.companion, names)
    with step("monitor image onto the data worker", seconds):
        load(cluster, images.monitor, names[:1])


def _lay_foundations(cluster: Cluster, kubectl: Kubectl, grafana: bool) -> None:
    """Apply what needs no image of ours. The APIService comes later, when its pod answers."""
    kubectl.apply(kubectl("kustomize", str(cluster.root / METRICS_SERVER)).encode())
    kubectl.apply((cluster.root / "k8s/base/namespace.yaml").read_bytes())
    ensure_secrets(kubectl, Workspace(cluster.root), grafana)


def _prepare_log(kubectl: Kubectl, images: Images) -> None:
    """Have the CronJob `log` work now. The services need not wait for it: their rows wait in the spools."""
    kubectl("rollout", "status", "statefulset/postgres", "--namespace", NAMESPACE, "--timeout=120s")
    name = f"log-{images.companion.rsplit('-', 1)[1]}"
    place = ("--namespace", NAMESPACE)
    kubectl("delete", "job", name, *place, "--ignore-not-found")
    kubectl("create", "job", name, "--from=cronjob/log", *place)
    done = kubectl.attempt("wait", "--for=condition=complete", f"job/{name}", *place, "--timeout=180s")
    if done.returncode != 0:
        told = kubectl.attempt("logs", f"job/{name}", "--all-containers", "--tail=3", *place).stdout.decode().strip()
        raise Unavailable(
            f"the log's database must take users, tables and partitions, got: {told or reason(done)}; "
            "mend it and run this again"
        )


def _finish_metrics(cluster: Cluster, kubectl: Kubectl) -> None:
    kubectl("rollout", "status", "deployment/metrics-server", "--namespace", "kube-system", "--timeout=120s")
    kubectl.apply(kubectl("kustomize", str(cluster.root / METRICS_SERVER / "apiservice")).encode())


def _render(cluster: Cluster, images: Images, nodes: list[dict[str, Any]], grafana: bool) -> bytes:
    source = next(address(node) for node in nodes if node["Name"] == f"/{cluster.control_plane}")
    overlay = "kind-grafana" if grafana else "kind"
    folder, linked = cluster.folder / "overlay", cluster.external_url
    return render(cluster.root, overlay, images, folder, source, external_url=linked)


def _judge(kubectl: Kubectl, manifests: bytes) -> None:
    """Have the server check all manifests without effect, so that either all are applied or none."""
    told = kubectl.attempt(*APPLY, "--dry-run=server", stdin=manifests)
    if told.returncode != 0:
        line = next(iter(told.stderr.decode().splitlines()), "no reason")
        raise Unavailable(
            f"the manifests must suit the server, got: {line}; nothing was changed: correct k8s/ and run this again"
        )


def _wait(kubectl: Kubectl, rollouts: tuple[str, ...]) -> None:
    replace_stuck(kubectl)
    for rollout in rollouts:
        done = kubectl.attempt("rollout", "status", rollout, "--namespace", NAMESPACE, "--timeout=120s")
        if done.returncode != 0:
            raise Unavailable(
                f"`{rollout}` must become ready, got: {explain(kubectl, rollout)}; mend it and run this again"
                f"{_way_back(kubectl) if rollout == 'deployment/serving' else ''}"
            )
    if not wait_until(lambda: _has_all_replicas(kubectl), ANSWER_SECONDS, every=0.5):
        raise Unavailable(
            f"the autoscaler must bring `serving` to its minimum, got: {explain(kubectl, 'deployment/serving')}"
        )


def _way_back(kubectl: Kubectl) -> str:
    """What to know of a rollout that failed; "" where nothing was served before it."""
    told = json.loads(kubectl("get", "deployment/serving", "--namespace", NAMESPACE, "--output", "json"))
    if not told["status"].get("availableReplicas"):
        return ""
    undo = f"kubectl rollout undo deployment/serving --namespace {NAMESPACE}"
    return f". The pods of before serve on; `{undo}` takes the change back"


def _has_all_replicas(kubectl: Kubectl) -> bool:
    told = json.loads(kubectl("get", "hpa/serving", "deployment/serving", "--namespace", NAMESPACE, "--output", "json"))
    scaler, deployment = told["items"]
    return int(deployment["status"].get("availableReplicas", 0)) >= int(scaler["spec"]["minReplicas"])


def _wait_for_answer(cluster: Cluster) -> None:
    """Wait for an answer through the exposed port on 127.0.0.1, as a user gets it."""
    url = f"http://{cluster.address('rest')}/v2/health/ready"
    if not wait_until(lambda: answers(url), ANSWER_SECONDS, every=0.5):
        raise Unavailable(
            f"`{url}` must answer, got nothing; the pods are ready, so look at the NetworkPolicy `exposed-ports`"
        )


def guide(cluster: Cluster, grafana: bool = False) -> str:
    """Where everything is, and a request that works."""
    lines = [
        f"REST          http://{cluster.address('rest')}/docs",
        f"gRPC          {cluster.address('grpc')}",
        f"Monitor       http://{cluster.address('monitor')}/",
        f"Prometheus    http://{cluster.address('prometheus')}/",
        f"Alertmanager  http://{cluster.address('alertmanager')}/",
        *(
            [f"Grafana       http://{cluster.address('grafana')}/  (admin; password in the Secret `grafana`)"]
            if grafana
            else []
        ),
        f"kubectl       export KUBECONFIG={cluster.kubeconfig}",
        "",
        f'curl -H "Authorization: Bearer $(cat {Workspace(cluster.root).token})" \\',
        f"  --data @{cluster.folder / 'row.json'} http://{cluster.address('rest')}/v1/predict",
    ]
    return "\n".join(lines)
