"""What the manifests promise, read from what `kubectl kustomize` makes of them."""

import re
from typing import Any

import pytest
import yaml

from deploy.cluster.cluster import EXPOSED_PORTS
from deploy.cluster.images import GRAFANA, PUBLIC
from tests.support.manifests import ROOT, Manifest, kustomize, pod_specs


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    return next(one for one in manifests if one["kind"] == kind and one["metadata"]["name"] == name)


def test_everything_is_in_the_namespace(manifests: list[Manifest]) -> None:
    assert {one["metadata"].get("namespace") for one in manifests if one["kind"] != "Namespace"} == {"windsock"}
    labels = named(manifests, "Namespace", "windsock")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_pods_are_restricted(manifests: list[Manifest]) -> None:
    specs = pod_specs(manifests)
    assert len(specs) >= 6
    for name, spec in specs.items():
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert spec["serviceAccountName"] != "default", name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in (*spec["containers"], *spec.get("initContainers", [])):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert set(container["resources"]) == {"requests", "limits"}, name
            assert set(container["resources"]["requests"]) == set(container["resources"]["limits"]) == {"cpu", "memory"}


def test_images_are_pinned(manifests: list[Manifest]) -> None:
    images = {
        container["image"]
        for spec in pod_specs(manifests).values()
        for container in (*spec["containers"], *spec.get("initContainers", []))
    }
    for image in images:
        assert re.fullmatch(r".+:[^:/]+", image), image
        assert not image.endswith(":latest"), image
    public = {image for image in images if "windsock/" not in image}
    assert public <= {*PUBLIC, GRAFANA}  # what `cluster up` loads
    assert set(PUBLIC) <= public


def test_probes_ask_over_http_never_tcp(manifests: list[Manifest]) -> None:
    """By exec where the program speaks no HTTP: PostgreSQL."""
    for name, spec in pod_specs(manifests).items():
        for container in spec["containers"] if not name.startswith("CronJob") else ():
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                wanted = "exec" if container["name"] == "postgres" else "httpGet"
                assert wanted in container[probe], (name, container["name"], probe)
                assert "tcpSocket" not in container[probe]


def test_serving_rolls_without_a_gap(manifests: list[Manifest]) -> None:
    spec = named(manifests, "Deployment", "serving")["spec"]
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    env = {one["name"]: one["value"] for one in container["env"]}
    assert "replicas" not in spec  # the autoscaler's
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["progressDeadlineSeconds"] == 60
    (companion,) = pod["initContainers"]
    assert companion["restartPolicy"] == "Always"  # a sidecar: it ends after the service
    told = {one["name"]: one["value"] for one in companion["env"]}
    drain, flush = float(env["WINDSOCK_DRAIN_SECONDS"]), float(told["WINDSOCK_FLUSH_SECONDS"])
    # drain, the longest request, gRPC's grace, the spool
    assert pod["terminationGracePeriodSeconds"] > drain + 10 + 10 + flush
    assert 0 < 1.1 * float(env["WINDSOCK_GRPC_CONNECTION_SECONDS"]) < drain
    readiness = container["readinessProbe"]
    # a pod that drains must be seen as not ready before it closes
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < drain
    spread = pod["topologySpreadConstraints"][0]
    assert (spread["topologyKey"], spread["maxSkew"]) == ("kubernetes.io/hostname", 1)
    scaler = named(manifests, "HorizontalPodAutoscaler", "serving")["spec"]
    budget = named(manifests, "PodDisruptionBudget", "serving")["spec"]
    assert 1 <= budget["minAvailable"] < scaler["minReplicas"]


def test_the_service_knows_no_database_and_its_spool_ends_before_its_volume(manifests: list[Manifest]) -> None:
    pod = named(manifests, "Deployment", "serving")["spec"]["template"]["spec"]
    container, (companion,) = pod["containers"][0], pod["initContainers"]
    env = {one["name"]: one["value"] for one in container["env"]}
    assert not [name for name in env if "DATABASE" in name or name.startswith("PG")]
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert "database" not in mounted
    assert {"database", "state"} <= {one["name"] for one in companion["volumeMounts"]}
    limit = next(one["emptyDir"]["sizeLimit"] for one in pod["volumes"] if one["name"] == "state")
    assert limit == "1Gi"
    assert int(env["WINDSOCK_SPOOL_BYTES"]) <= 0.75 * 2**30


def test_each_process_has_the_database_user_that_it_needs(manifests: list[Manifest]) -> None:
    """Only what makes tables and deletes rows is their owner."""
    specs = pod_specs(manifests)
    for name, file in (("Deployment/serving", "writer.conf"), ("Deployment/monitor", "reader.conf")):
        volumes = str(specs[name]["volumes"])
        assert file in volumes, name
        assert "owner.conf" not in volumes, name
    owners = [name for name, spec in specs.items() if "owner.conf" in str(spec)]
    assert owners == ["CronJob/log"]


def test_no_secret_is_in_git_or_in_a_variable(manifests: list[Manifest]) -> None:
    assert not [one for one in manifests if one["kind"] == "Secret"]
    for name, spec in pod_specs(manifests).items():
        for container in spec["containers"]:
            for variable in container.get("env", []):
                assert "valueFrom" not in variable, name
                hidden = re.search(r"password|token|secret", variable["name"], re.IGNORECASE)
                assert hidden is None or str(variable["value"]).startswith("/"), variable  # a path to a file


def test_configmaps_are_immutable(manifests: list[Manifest]) -> None:
    assert all(one["immutable"] is True for one in manifests if one["kind"] == "ConfigMap")


def test_everything_is_denied_and_each_pod_has_an_opening(manifests: list[Manifest]) -> None:
    deny = named(manifests, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for one in manifests:
        if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] != "default-deny":
            for rule in [*one["spec"].get("ingress", []), *one["spec"].get("egress", [])]:
                assert rule.get("from") or rule.get("to"), one["metadata"]["name"]  # `- {}` lets everybody in
                assert rule["ports"], one["metadata"]["name"]
            assert one["spec"]["podSelector"], one["metadata"]["name"]


def test_grpc_has_a_headless_service_and_exposed_ports_only_in_kind(overlay: str, manifests: list[Manifest]) -> None:
    assert named(manifests, "Service", "serving-grpc")["spec"]["clusterIP"] == "None"
    exposed = [one for one in manifests if one["kind"] == "Service" and one["spec"].get("type") == "NodePort"]
    assert bool(exposed) == overlay.startswith("kind")


def test_selectors_find_pods(manifests: list[Manifest]) -> None:
    """A Service whose selector or port fits no pod is a typing error that Kubernetes accepts."""
    pods = [
        (one["spec"]["template"]["metadata"]["labels"], one["spec"]["template"]["spec"])
        for one in manifests
        if one["kind"] in ("Deployment", "StatefulSet")
    ]
    for service in (one for one in manifests if one["kind"] == "Service"):
        wanted = service["spec"]["selector"].items()
        found = [spec for labels, spec in pods if wanted <= labels.items()]
        assert len(found) == 1, service["metadata"]["name"]
        ports = {port["name"] for container in found[0]["containers"] for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports, service["metadata"]["name"]


def test_rules_routes_and_dashboards_are_the_files_of_monitoring(manifests: list[Manifest]) -> None:
    held: dict[str, str] = {}
    for one in manifests:
        if one["kind"] == "ConfigMap":
            held |= one.get("data", {})
    files = [
        *(ROOT / "deploy/observability/rules").glob("*.yml"),
        *(ROOT / "deploy/observability/dashboards").glob("*.json"),
    ]
    assert len(files) >= 5
    for path in (*files, ROOT / "deploy/observability/alertmanager.yml"):
        assert held[path.name] == path.read_text(), path


def test_kind_has_a_way_in_for_every_exposed_port() -> None:
    kind = yaml.safe_load((ROOT / "k8s/kind.yaml").read_text())
    mappings = kind["nodes"][0]["extraPortMappings"]
    assert {one["listenAddress"] for one in mappings} == {"127.0.0.1"}
    assert {one["containerPort"] for one in mappings} == set(EXPOSED_PORTS.values())
    overlay = list(yaml.safe_load_all(kustomize(ROOT / "k8s/overlays/kind-grafana")))
    nodeports = {port["nodePort"] for one in overlay for port in _ports(one) if "nodePort" in port}
    assert nodeports == set(EXPOSED_PORTS.values())


def _ports(manifest: Manifest) -> list[dict[str, Any]]:
    return manifest["spec"]["ports"] if manifest["kind"] == "Service" else []


@pytest.mark.parametrize("folder", ["metrics-server", "metrics-server/apiservice"])
def test_metrics_server_is_pinned_and_its_api_service_comes_alone(folder: str) -> None:
    """An APIService that is applied before its pod answers can tie the API server to a dead connection."""
    told = [one for one in yaml.safe_load_all(kustomize(ROOT / "k8s/components/autoscaling" / folder)) if one]
    kinds = {one["kind"] for one in told}
    if folder.endswith("apiservice"):
        assert kinds == {"APIService"}
    else:
        assert "APIService" not in kinds
        image = pod_specs(told)["Deployment/metrics-server"]["containers"][0]["image"]
        assert image == "registry.k8s.io/metrics-server/metrics-server:v0.9.0"
