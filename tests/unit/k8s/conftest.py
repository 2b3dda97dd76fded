"""Every overlay through the real parser: `kubectl kustomize`."""

from pathlib import Path

import pytest
import yaml

from tests.support.manifests import OVERLAYS, ROOT, Manifest, kustomize


@pytest.fixture(scope="session", params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def rendered(overlay: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rendered") / f"{overlay}.yaml"
    path.write_bytes(kustomize(ROOT / "k8s/overlays" / overlay))
    return path


@pytest.fixture(scope="session")
def manifests(rendered: Path) -> list[Manifest]:
    return [one for one in yaml.safe_load_all(rendered.read_text()) if one]
