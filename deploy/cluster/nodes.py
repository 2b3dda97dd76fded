"""The kind cluster itself: made, continued, deleted."""

import json
import logging
from typing import Any, Final

import yaml

from contracts.errors import Unavailable
from contracts.files import write_atomic
from deploy.cluster.cluster import EXPOSED_PORTS, Cluster
from deploy.cluster.preflight import find_nodes, is_ours
from deploy.cluster.subprocesses import Kubectl, attempt, run

logger = logging.getLogger(__name__)

READY: Final = "180s"


def ensure_nodes(cluster: Cluster) -> list[dict[str, Any]]:
    """Make the nodes, or start those that are stopped. Returns `docker inspect` of each."""
    nodes = find_nodes(cluster)
    if nodes and not cluster.complete.exists():
        logger.info("an incomplete cluster of an earlier start is deleted")
        delete(cluster)
        nodes = []
    if not nodes:
        _create(cluster)
        nodes = find_nodes(cluster)
    stopped = sorted(node["Name"].removeprefix("/") for node in nodes if not node["State"]["Running"])
    if stopped:  # the control plane first, in the order of their addresses
        run("docker", "start", *stopped, timeout=120)
        nodes = find_nodes(cluster)
    _write_kubeconfig(cluster)
    ready = Kubectl(cluster.kubeconfig).attempt("wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={READY}")
    if ready.returncode != 0:
        raise Unavailable(
            f"the nodes of `{cluster.name}` must become ready in {READY}, got none; "
            "`make cluster-down cluster-up` makes them anew (the prediction log in it goes)"
        )
    return nodes


def delete(cluster: Cluster) -> None:
    """Delete the cluster with its volumes and secrets, and our files on it. Images stay."""
    nodes = find_nodes(cluster)
    if nodes and not is_ours(cluster, nodes):
        raise Unavailable(
            f"the kind cluster `{cluster.name}` must be ours to be deleted, got one that another checkout made"
        )
    run("kind", "delete", "cluster", "--name", cluster.name, "--kubeconfig", str(cluster.kubeconfig), timeout=900)
    cluster.complete.unlink(missing_ok=True)
    cluster.kubeconfig.unlink(missing_ok=True)


def _create(cluster: Cluster) -> None:
    cluster.complete.unlink(missing_ok=True)  # of a cluster that was deleted by other means
    write_atomic(cluster.owner, f"made by {cluster.root}\n".encode())
    config = cluster.folder / "kind.yaml"
    write_atomic(config, json.dumps(configuration(cluster), indent=1).encode())
    image = ("--image", cluster.node_image) if cluster.node_image else ()
    done = attempt(
        *("kind", "create", "cluster", "--name", cluster.name, "--config", str(config), *image),
        *("--kubeconfig", str(cluster.kubeconfig), "--wait", READY),
        timeout=600,
    )
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines()]
        told = [line for line in lines if line.startswith(("ERROR:", "Command Output:"))] or lines[-1:]
        raise Unavailable(
            f"`kind create cluster` must make `{cluster.name}`, got: {' '.join(told)}; mend it and run this again "
            "(KIND_NODE_IMAGE names another node image)"
        )
    write_atomic(cluster.complete, b"")


def configuration(cluster: Cluster) -> dict[str, Any]:
    """k8s/kind.yaml with our ports, and the owner file in every node."""
    config: dict[str, Any] = yaml.safe_load((cluster.root / "k8s/kind.yaml").read_text(encoding="utf-8"))
    ports = {EXPOSED_PORTS[name]: port for name, port in cluster.ports.items()}
    mount = {"hostPath": str(cluster.owner), "containerPath": "/windsock-owner", "readOnly": True}
    for node in config["nodes"]:
        node["extraMounts"] = [mount]
        for mapping in node.get("extraPortMappings", ()):
            mapping["hostPort"] = ports[mapping["containerPort"]]
    return config


def address(node: dict[str, Any]) -> str:
    """IPv4 of a node on kind's network."""
    return str(node["NetworkSettings"]["Networks"]["kind"]["IPAddress"])


def _write_kubeconfig(cluster: Cluster) -> None:
    told = attempt("kind", "get", "kubeconfig", "--name", cluster.name, timeout=60)
    if told.returncode != 0:
        raise Unavailable(
            f"`{cluster.name}` must have a control plane, got none; `make cluster-down cluster-up` makes it anew"
        )
    write_atomic(cluster.kubeconfig, told.stdout, mode=0o600)
