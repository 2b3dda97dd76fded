"""What is said when something is missing: programs of our own stand in for docker, kind and kubectl on PATH."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import cli
from contracts.errors import DataError, ParameterError, Unavailable
from contracts.settings import ClusterSettings, load
from deploy.cluster import preflight
from deploy.cluster.cluster import EXPOSED_PORTS, Cluster, make_cluster
from deploy.cluster.images import name_images
from deploy.cluster.nodes import configuration, ensure_nodes
from deploy.cluster.pod_trouble import explain
from deploy.cluster.subprocesses import Kubectl
from deploy.local.processes import free_ports
from tests.support.manifests import ROOT


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An only folder on PATH, with good tools and no cluster."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    write(folder, "docker", 'case "$1" in info) echo /var/lib/none ;; esac')
    write(folder, "kind", "echo kind v0.33.0 go1.24 linux/amd64")
    write(folder, "kubectl", "echo Client Version: v1.34.4")
    return folder


def write(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def load_cluster(root: Path) -> Cluster:
    """As the commands do, from the environment."""
    return make_cluster(load(ClusterSettings, root=root))


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    for name, port in zip(EXPOSED_PORTS, free_ports(len(EXPOSED_PORTS)), strict=True):
        monkeypatch.setenv(f"CLUSTER_{name.upper()}_PORT", str(port))
    return load_cluster(tmp_path)


def node(cluster: Cluster, owner: Path) -> dict[str, Any]:
    return {
        "Name": f"/{cluster.control_plane}",
        "Mounts": [{"Source": f"/host_mnt{owner}", "Destination": "/windsock-owner"}],
        "HostConfig": {
            "PortBindings": {
                f"{inside}/tcp": [{"HostPort": str(cluster.ports[name])}] for name, inside in EXPOSED_PORTS.items()
            }
        },
    }


def write_docker(folder: Path, nodes: list[dict[str, Any]]) -> None:
    write(folder, "docker", f"case \"$1\" in ps) echo a1 ;; inspect) echo '{json.dumps(nodes)}' ;; esac")


def test_all_is_well(programs: Path, cluster: Cluster) -> None:
    preflight.check(cluster)
    write_docker(programs, [node(cluster, cluster.owner)])
    preflight.check(cluster)


@pytest.mark.parametrize(
    ("name", "script", "told"),
    [
        ("docker", None, "`docker` must be installed, got none on PATH; install it: https"),
        ("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1", "daemon must answer, got: Cannot connect"),
        ("kind", None, "`kind` must be installed, 0.24 or newer"),
        ("kind", "echo kind v0.20.0 go1.20", "`kind` must be 0.24 or newer, got 'kind v0.20.0"),
        ("kubectl", None, "`kubectl` must be installed, 1.30 or newer"),
        ("kubectl", "echo Client Version: v1.27.1", "`kubectl` must be 1.30 or newer"),
        ("docker", 'case "$1" in info) echo / ;; esac', "must have 999999 GB free"),
    ],
)
def test_a_tool_that_is_missing_or_old(
    programs: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, name: str, script: str | None, told: str
) -> None:
    (programs / name).unlink()
    if script is not None:
        write(programs, name, script)
    if "999999" in told:
        monkeypatch.setattr(preflight, "FREE_BYTES", 999_999 * 10**9)
    with pytest.raises(Unavailable, match=told):
        preflight.check(cluster)


def test_a_port_in_use_names_its_variable(programs: Path, cluster: Cluster) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", cluster.ports["prometheus"]))
        with pytest.raises(Unavailable, match="`CLUSTER_PROMETHEUS_PORT` must be a free port"):
            preflight.check(cluster)


def test_a_cluster_of_another_checkout_is_refused(programs: Path, cluster: Cluster) -> None:
    write_docker(programs, [node(cluster, Path("/elsewhere/state/cluster/owner"))])
    with pytest.raises(Unavailable, match="this checkout made, got that of `/host_mnt/elsewhere`; it is left alone"):
        preflight.check(cluster)
    write_docker(programs, [node(cluster, cluster.owner) | {"Mounts": []}])
    with pytest.raises(Unavailable, match=f"none of ours; .* `kind delete cluster --name {cluster.name}`"):
        preflight.check(cluster)


def test_why_kind_makes_no_cluster(programs: Path, cluster: Cluster) -> None:
    (cluster.root / "k8s").mkdir()
    shutil.copy(ROOT / "k8s/kind.yaml", cluster.root / "k8s")
    said = "Creating ...\nERROR: failed to pull image\nCommand Output: no such host\nStack Trace:\nmain.go"
    write(programs, "kind", f"printf '{said}' >&2; exit 1")
    with pytest.raises(Unavailable, match=r"failed to pull image Command Output: no such host; .*KIND_NODE_IMAGE"):
        ensure_nodes(cluster)


def test_the_line_that_tells_why_a_pod_is_not_ready(programs: Path, tmp_path: Path) -> None:
    pod = {
        "metadata": {"name": "serving-1", "creationTimestamp": "2026-01-01"},
        "spec": {"containers": [{"name": "serving"}]},
        "status": {
            "containerStatuses": [
                {"name": "serving", "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
            ]
        },
    }
    log = "Traceback\nRuntimeError: the cause\n12:00:00 the service must run until it is told to stop"
    write(programs, "kubectl", f"case $1 in get) echo '{json.dumps({'items': [pod]})}' ;; logs) printf '{log}' ;; esac")
    told = explain(Kubectl(tmp_path / "kubeconfig"), "deployment/serving")
    assert told == "serving-1 is CrashLoopBackOff, and wrote: RuntimeError: the cause"


def test_other_ports_than_the_cluster_was_made_with(
    programs: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_docker(programs, [node(cluster, cluster.owner)])
    monkeypatch.setenv("CLUSTER_REST_PORT", "1")
    with pytest.raises(Unavailable, match=f"`CLUSTER_REST_PORT` must be {cluster.ports['rest']}"):
        preflight.check(load_cluster(cluster.root))


@pytest.mark.parametrize(("value", "told"), [("x", "must be a port"), ("70000", "must be a port"), ("30301", "differ")])
def test_variables_are_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str, told: str) -> None:
    monkeypatch.setenv("CLUSTER_REST_PORT", value)
    with pytest.raises(ParameterError, match=told):
        load_cluster(tmp_path)


def test_check_changes_nothing_and_says_what_is_missing(programs: Path, cluster: Cluster) -> None:
    command = ["cluster", "check", "--root", str(cluster.root)]
    before = sorted(cluster.root.rglob("*"))
    assert CliRunner().invoke(cli.main, command).exit_code == 0
    (programs / "kind").unlink()
    done = CliRunner().invoke(cli.main, command)
    assert (done.exit_code, "`kind` must be installed" in done.output) == (1, True)
    assert sorted(cluster.root.rglob("*")) == [path for path in before if path.name != "kind"]


def test_broken_off_it_says_how_to_go_on(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deploy.cluster.up.up", interrupted)
    done = CliRunner().invoke(cli.main, ["cluster", "up", "--root", str(cluster.root)])
    assert (done.exit_code, "`make cluster-up` goes on from it" in done.output) == (1, True)


def test_a_folder_that_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a checkout of Windsock"):
        name_images(tmp_path)


@pytest.mark.parametrize("name", ["Foo Bar", "", "-x", "a" * 51])
def test_a_name_that_kind_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv("CLUSTER_NAME", name)
    with pytest.raises(ParameterError, match="`CLUSTER_NAME` must be small letters"):
        load_cluster(tmp_path)


def test_kind_gets_our_ports_and_the_owner_in_every_node(cluster: Cluster) -> None:
    config = configuration(Cluster(ROOT, cluster.name, "", cluster.ports))
    assert {m["hostPort"] for m in config["nodes"][0]["extraPortMappings"]} == set(cluster.ports.values())
    assert all(one["extraMounts"][0]["containerPath"] == "/windsock-owner" for one in config["nodes"])
