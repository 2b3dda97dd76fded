"""An overlay of k8s/ with what git cannot know filled in: image tags, the model, the verifying key, the source of
requests through NodePorts.

It is written as a kustomization of its own beside the kubeconfig, `state/cluster/overlay`: what is applied can be read.
"""

import ipaddress
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from contracts.artifact import FILES
from contracts.errors import DataError, ParameterError
from contracts.files import write_atomic
from contracts.store import load_champion
from contracts.workspace import Workspace
from deploy.cluster.images import Images
from deploy.cluster.subprocesses import run
from deploy.local.links import link_flags, with_links

MAX_MODEL_BYTES: Final = 1 << 20  # of a ConfigMap
OVERLAYS: Final = ("kind", "kind-grafana", "production")


def render(
    root: Path,
    overlay: str,
    images: Images,
    folder: Path,
    source: str | None = None,
    registry: str | None = None,
    external_url: str = "",
) -> bytes:
    """YAML of everything in the overlay, with the champion of `artifacts/store`.

    Args:
        folder: is replaced by the generated kustomization.
        source: address that requests through NodePorts come from; None where there are none.
        registry: prefix of our images, "registry.example.com/team"; None leaves the overlay's.
        external_url: see deploy/local/links.py.

    Raises:
        DataError: the champion is a model that no ConfigMap can hold.
        ArtifactInvalid: no champion, or one that does not verify.
    """
    if overlay not in OVERLAYS:
        raise ParameterError(f"`overlay` must be one of {', '.join(OVERLAYS)}, got {overlay!r}")
    digest, files = find_model(root)
    shutil.rmtree(folder, ignore_errors=True)
    for path in files:
        write_atomic(folder / "model" / path.name, path.read_bytes())
    write_atomic(folder / "model" / "champion", f"{digest}\n".encode())
    write_atomic(folder / "signing.pub", Workspace(root).public_key.read_bytes())
    kustomization = _kustomization(
        root, overlay, images, folder, digest, [path.name for path in files], source, registry
    )
    if external_url:
        _link(kustomization, root, folder, external_url)
    write_atomic(folder / "kustomization.yaml", (json.dumps(kustomization, indent=1) + "\n").encode())
    return run("kubectl", "kustomize", str(folder)).encode()


def find_model(root: Path) -> tuple[str, list[Path]]:
    """Digest and files of the champion, verified and small enough.

    Raises:
        DataError: a model that no ConfigMap can hold.
        ArtifactInvalid: no champion, or one that does not verify.
    """
    workspace = Workspace(root)
    digest = load_champion(workspace.store, workspace.public_key).digest
    files = [workspace.store / digest / name for name in sorted(FILES)]
    size = sum(path.stat().st_size for path in files)
    if size > MAX_MODEL_BYTES - 4096:
        raise DataError(
            f"the model must have at most {MAX_MODEL_BYTES} bytes to travel as a ConfigMap, got {size}; "
            "docs/adr/0015-model-as-configmap.md names other ways"
        )
    return digest, files


def _kustomization(
    root: Path,
    overlay: str,
    images: Images,
    folder: Path,
    digest: str,
    files: list[str],
    source: str | None,
    registry: str | None,
) -> dict[str, Any]:
    """Content of the generated kustomization.yaml, as plain data."""
    name = f"model-{digest[:12]}"
    patches = _mount(name, digest, files)
    cause = {"kubernetes.io/change-cause": f"{images.serving}, model {digest[:12]}"}
    annotate = {"op": "add", "path": "/metadata/annotations", "value": cause}
    patches.append(_patch("Deployment", "serving", annotate))
    if source is not None:
        cidr = f"{ipaddress.ip_address(source)}/32"
        allowed = {"op": "replace", "path": "/spec/ingress/0/from/0/ipBlock/cidr", "value": cidr}
        patches.append(_patch("NetworkPolicy", "(grafana-)?exposed-ports", allowed))
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "windsock",
        "resources": [os.path.relpath(root / "k8s/overlays" / overlay, folder)],
        "configMapGenerator": [
            {
                "name": name,  # names its content already: no hash is appended
                "files": [f"model/{file}" for file in ("champion", *files)],
                "options": {"disableNameSuffixHash": True, "immutable": True},
            },
            {"name": "model-public-key", "files": ["signing.pub"], "options": {"immutable": True}},
        ],
        "images": [_image(image, registry) for image in asdict(images).values()],
        "patches": patches,
    }


def _link(kustomization: dict[str, Any], root: Path, folder: Path, external_url: str) -> None:
    """Add rules whose links open from outside in the place of the overlay's, and the flags that go with them."""
    kept = root / "deploy/observability/rules"
    files = sorted(path.name for path in kept.glob("*.yml"))
    for name in files:
        write_atomic(folder / "rules" / name, with_links((kept / name).read_text("utf-8"), external_url).encode())
    kustomization["configMapGenerator"].append(
        {
            "name": "prometheus-rules",
            "namespace": "windsock",
            "behavior": "replace",
            "files": [f"rules/{name}" for name in files],
            "options": {"immutable": True},
        }
    )
    for part in ("prometheus", "alertmanager"):
        flags = [
            {"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": flag}
            for flag in link_flags(external_url, part)
        ]
        kustomization["patches"].append(_patch("StatefulSet", part, *flags))


def _mount(name: str, digest: str, files: list[str]) -> list[dict[str, Any]]:
    """Patches that give the ConfigMap with the model to everything that reads it, as a store."""
    items = [
        {"key": "champion", "path": "store/champion"},
        *({"key": file, "path": f"store/{digest}/{file}"} for file in files),
    ]
    volume = {"name": "models", "configMap": {"name": name, "items": items}}
    path = "/spec/template/spec/volumes/0"
    return [
        _patch(
            *("Deployment", workload),
            {"op": "test", "path": f"{path}/name", "value": "models"},
            {"op": "replace", "path": path, "value": volume},
        )
        for workload in ("serving", "monitor")
    ]


def _patch(kind: str, name: str, *operations: dict[str, Any]) -> dict[str, Any]:
    """JSON Patch (RFC 6902) of the objects of that kind and name, a regular expression."""
    return {"target": {"kind": kind, "name": name}, "patch": json.dumps(operations)}


def _image(image: str, registry: str | None) -> dict[str, str]:
    name, tag = image.rsplit(":", 1)
    short = name.rsplit("/", 1)[1]
    return {"name": name, "newTag": tag} | ({"newName": f"{registry}/{short}"} if registry else {})
