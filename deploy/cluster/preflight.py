"""What must be there before anything is made, and whose a cluster of our name is."""

import json
import re
import shutil
from pathlib import Path
from typing import Any, Final

from contracts.errors import Unavailable
from contracts.settings import ClusterSettings, variable
from contracts.settings.ports import check_free
from deploy.cluster.cluster import EXPOSED_PORTS, Cluster
from deploy.cluster.subprocesses import attempt, reason, run

OLDEST: Final = {
    "kind": ((0, 24), "https://kind.sigs.k8s.io"),  # the first whose network enforces NetworkPolicies
    "kubectl": ((1, 30), "https://kubernetes.io/docs/tasks/tools"),
}
FREE_BYTES: Final = 12 * 10**9  # images 3 GB, twice (Docker's and the nodes'), and room for what they write


def check(cluster: Cluster) -> None:
    """Refuse to start before all that a cluster needs is there. Changes nothing.

    Raises:
        Unavailable: one sentence on the first thing that is missing, and what to do.
    """
    check_tools()
    nodes = find_nodes(cluster)
    if nodes:
        _check_ours(cluster, nodes)
        _check_exposed_ports(cluster, nodes)
        return
    _check_disk()
    for name, port in cluster.ports.items():
        setting = variable(ClusterSettings, f"{name}_port")
        check_free(setting, "127.0.0.1", port, setting)


def check_tools() -> None:
    """Refuse to go on unless docker answers, and kind and kubectl are there and new enough."""
    if shutil.which("docker") is None:
        raise Unavailable(
            "`docker` must be installed, got none on PATH; install it: https://docs.docker.com/get-docker"
        )
    done = attempt("docker", "info", "--format", "{{.ServerVersion}}", timeout=30)
    if done.returncode != 0:
        raise Unavailable(f"Docker's daemon must answer, got: {reason(done)}; start it, or let your user reach it")
    for tool, (oldest, home) in OLDEST.items():
        wanted = ".".join(map(str, oldest))
        if shutil.which(tool) is None:
            raise Unavailable(f"`{tool}` must be installed, {wanted} or newer, got none on PATH; install it: {home}")
        told = run(tool, "version", *(("--client",) if tool == "kubectl" else ()), timeout=30)
        found = re.search(r"v(\d+)\.(\d+)", told)
        if found is None or (int(found[1]), int(found[2])) < oldest:
            raise Unavailable(f"`{tool}` must be {wanted} or newer, got {told.splitlines()[0]!r}; update it: {home}")


def find_nodes(cluster: Cluster) -> list[dict[str, Any]]:
    """`docker inspect` of every node of a kind cluster of our name, running or not."""
    label = f"label=io.x-k8s.kind.cluster={cluster.name}"
    identities = run("docker", "ps", "--all", "--quiet", "--filter", label, timeout=60).split()
    return json.loads(run("docker", "inspect", *identities, timeout=60)) if identities else []


def is_ours(cluster: Cluster, nodes: list[dict[str, Any]]) -> bool:
    """Whether this checkout made them: each of our nodes mounts our owner file. (Docker Desktop prefixes its path.)"""
    sources = _owners(nodes)
    return len(sources) == len(nodes) and all(source.endswith(str(cluster.owner)) for source in sources)


def _owners(nodes: list[dict[str, Any]]) -> list[str]:
    """Paths of the owner files that the nodes mount."""
    mounts = [mount for node in nodes for mount in node["Mounts"]]
    return [mount["Source"] for mount in mounts if mount["Destination"] == "/windsock-owner"]


def _maker(nodes: list[dict[str, Any]]) -> str:
    owners = _owners(nodes)
    return f"that of `{Path(owners[0]).parents[2]}`" if owners else "one that is none of ours"


def _check_ours(cluster: Cluster, nodes: list[dict[str, Any]]) -> None:
    if not is_ours(cluster, nodes):
        raise Unavailable(
            f"the kind cluster `{cluster.name}` must be one that this checkout made, got {_maker(nodes)}; it is left "
            "alone: choose another CLUSTER_NAME and other ports (docs/kubernetes.md), or "
            f"`kind delete cluster --name {cluster.name}`"
        )


def _check_exposed_ports(cluster: Cluster, nodes: list[dict[str, Any]]) -> None:
    """Refuse other ports than those that the cluster was made with: it keeps them."""
    bindings = {
        int(inside.split("/")[0]): int(bound[0]["HostPort"])
        for node in nodes
        for inside, bound in (node["HostConfig"]["PortBindings"] or {}).items()
        if bound
    }
    for name, inside in EXPOSED_PORTS.items():
        if bindings.get(inside) not in (cluster.ports[name], None):
            setting = variable(ClusterSettings, f"{name}_port")
            raise Unavailable(
                f"`{setting}` must be {bindings[inside]}, as the cluster was made with it, got "
                f"{cluster.ports[name]}; unset it, or `make cluster-down` first"
            )


def _check_disk() -> None:
    folder = Path(run("docker", "info", "--format", "{{.DockerRootDir}}", timeout=30).strip())
    if not folder.is_dir():
        return  # Docker runs in a machine of its own, and has a disk of its own
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise Unavailable(
            f"`{folder}` must have {FREE_BYTES / 1e9:.0f} GB free for images and nodes, got {free / 1e9:.1f}; "
            "make room (`docker system df` tells what Docker holds)"
        )
