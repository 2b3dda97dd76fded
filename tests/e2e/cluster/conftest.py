"""The cluster of `make cluster-up`, which must be there: they run only when asked for (`-m cluster`)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from contracts.files import write_json
from contracts.settings import ClusterSettings, load
from deploy.cluster.cluster import NAMESPACE, Cluster, make_cluster
from deploy.cluster.images import Images, name_images
from deploy.cluster.subprocesses import Kubectl
from tests.e2e.cluster.deployment import Serving
from tests.support.manifests import ROOT

REPORTED: Final = (
    *("kubernetes", "image_bytes", "start_to_ready_seconds"),
    *("up_seconds", "up_seconds_images_built", "scenarios"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    made = make_cluster(load(ClusterSettings, root=ROOT))
    if not (made.folder / "up.json").exists():
        pytest.exit("these tests need a cluster: `make cluster-up` first", returncode=1)
    return made


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    return Kubectl(cluster.kubeconfig)


@pytest.fixture(scope="session")
def images() -> Images:
    return name_images(ROOT)


@pytest.fixture
def serving(kubectl: Kubectl) -> Iterator[Serving]:
    """Left as it was found."""
    kubectl("rollout", "status", "deployment/serving", "--namespace", NAMESPACE, "--timeout=60s")
    deployment = Serving(kubectl)
    yield deployment
    deployment.restore()


@pytest.fixture(scope="session")
def report(cluster: Cluster, kubectl: Kubectl) -> Iterator[dict[str, Any]]:
    """What is measured here, merged into reports/cluster.json at the end."""
    path = ROOT / "reports/cluster.json"
    earlier: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    told: dict[str, Any] = {name: earlier[name] for name in REPORTED if name in earlier}
    told["kubernetes"] = json.loads(kubectl("version", "--output", "json"))["serverVersion"]["gitVersion"]
    yield told
    write_json(path, told)
