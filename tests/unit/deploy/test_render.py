"""The generated kustomization: the champion as a ConfigMap by its digest, our tags, who reaches NodePorts, a limit."""

import base64
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.errors import ArtifactInvalid, DataError
from deploy.cluster import manifests
from deploy.cluster.images import Images
from deploy.cluster.manifests import render
from tests.support.manifests import ROOT, pod_specs
from tests.support.serving import Store

IMAGES = Images("windsock/serving:1-abc", "windsock/companion:1-bcd", "windsock/monitor:1-def")


@pytest.fixture
def root(tmp_path: Path, artifact_store: Store) -> Path:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    shutil.copytree(ROOT / "deploy/observability", tmp_path / "deploy/observability")
    shutil.copytree(artifact_store.store, tmp_path / "artifacts/store")
    (tmp_path / "secrets").mkdir()
    shutil.copy(artifact_store.public_key, tmp_path / "secrets/signing.pub")
    return tmp_path


def rendered(root: Path, overlay: str = "kind", **options: Any) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(render(root, overlay, IMAGES, root / "state/cluster/overlay", **options)))


def test_the_model_travels_byte_for_byte(root: Path, artifact_store: Store) -> None:
    told = rendered(root)
    name = f"model-{artifact_store.digest[:12]}"
    model = next(one for one in told if one["metadata"]["name"] == name)
    assert model["immutable"] is True
    held = {key: base64.b64decode(value) for key, value in model.get("binaryData", {}).items()}
    held |= {key: value.encode() for key, value in model.get("data", {}).items()}
    folder = root / "artifacts/store" / artifact_store.digest
    assert held == {"champion": f"{artifact_store.digest}\n".encode()} | {
        p.name: p.read_bytes() for p in folder.iterdir()
    }
    for workload in ("Deployment/serving", "Deployment/monitor"):
        volume = pod_specs(told)[workload]["volumes"][0]["configMap"]
        assert volume["name"] == name
        paths = {item["key"]: item["path"] for item in volume["items"]}
        assert paths["champion"] == "store/champion"
        assert paths["manifest.json"] == f"store/{artifact_store.digest}/manifest.json"


def test_the_history_of_rollouts_names_image_and_model(root: Path, artifact_store: Store) -> None:
    (serving,) = (o for o in rendered(root) if (o["kind"], o["metadata"]["name"]) == ("Deployment", "serving"))
    cause = serving["metadata"]["annotations"]["kubernetes.io/change-cause"]
    assert cause == f"{IMAGES.serving}, model {artifact_store.digest[:12]}"


def test_tags_and_the_source_of_exposed_ports_are_filled_in(root: Path) -> None:
    told = rendered(root, source="172.18.0.9")
    images = {c["image"] for spec in pod_specs(told).values() for c in spec["containers"]}
    assert {IMAGES.serving, IMAGES.monitor} <= images
    assert not [image for image in images if "unset" in image]
    policy = next(one for one in told if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "exposed-ports")
    assert policy["spec"]["ingress"][0]["from"] == [{"ipBlock": {"cidr": "172.18.0.9/32"}}]


def test_production_takes_a_registry(root: Path) -> None:
    told = rendered(root, "production", registry="registry.example.org/team")
    images = {c["image"] for spec in pod_specs(told).values() for c in spec["containers"]}
    assert {"registry.example.org/team/serving:1-abc", "registry.example.org/team/monitor:1-def"} <= images


def test_a_model_that_does_not_verify_goes_nowhere(root: Path, artifact_store: Store) -> None:
    model = root / "artifacts/store" / artifact_store.digest / "model.onnx"
    model.write_bytes(model.read_bytes() + b"x")
    with pytest.raises(ArtifactInvalid, match="must be signed"):
        rendered(root)


def test_a_model_beyond_the_limit_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_MODEL_BYTES", 5_000)
    with pytest.raises(DataError, match="to travel as a ConfigMap"):
        rendered(root)


def test_no_model_names_the_task_that_makes_one(root: Path) -> None:
    shutil.rmtree(root / "artifacts/store")
    with pytest.raises(ArtifactInvalid, match="must name the released model"):
        rendered(root)


def test_links_of_alerts_open_from_outside(root: Path) -> None:
    """One setting: the runbooks that the monitor serves, its page, and the links that the two write to themselves."""
    base = "https://ops.example.org/windsock"
    plain, told = rendered(root), rendered(root, external_url=base)

    def rules(manifests: list[dict[str, Any]]) -> tuple[str, str]:
        (found,) = (m for m in manifests if m["kind"] == "ConfigMap" and "alerts.yml" in m.get("data", {}))
        assert found["immutable"] is True
        return found["metadata"]["name"], found["data"]["alerts.yml"]

    name, text = rules(told)
    assert f"runbook_url: {base}/monitor/runbooks/ServiceDown\n" in text
    assert text.count(f"page_url: {base}/monitor/\n") == text.count("runbook_url: ") > 20
    assert "runbook_url: docs/" not in text
    assert rules(plain)[1].count("runbook_url: docs/runbooks/") == text.count("runbook_url: ")
    for part in ("prometheus", "alertmanager"):
        spec = pod_specs(told)[f"StatefulSet/{part}"]
        assert spec["containers"][0]["args"][-2:] == [f"--web.external-url={base}/{part}", "--web.route-prefix=/"]
        assert not [
            one for one in pod_specs(plain)[f"StatefulSet/{part}"]["containers"][0]["args"] if "external" in one
        ]
    mounted = pod_specs(told)["StatefulSet/prometheus"]["volumes"]
    assert name in {one["configMap"]["name"] for one in mounted}, "the hash of the changed rules"
