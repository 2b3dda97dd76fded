"""Which cluster: its name, its exposed ports on 127.0.0.1, its files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.settings import ClusterSettings
from contracts.workspace import Workspace

NAMESPACE: Final = "windsock"
# Name of an exposed port -> its NodePort inside, which is also the default port on 127.0.0.1.
EXPOSED_PORTS: Final[dict[str, int]] = {
    name.removesuffix("_port"): told.default
    for name, told in ClusterSettings.model_fields.items()
    if name.endswith("_port")
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """`node_image` is "" where kind chooses; `external_url`: see deploy/local/links.py."""

    root: Path
    name: str
    node_image: str
    ports: dict[str, int]
    external_url: str = ""

    @property
    def folder(self) -> Path:
        return Workspace(self.root).state / "cluster"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def owner(self) -> Path:
        """File that is mounted into the nodes, so that each says which checkout made it."""
        return self.folder / "owner"

    @property
    def complete(self) -> Path:
        """File that exists when the cluster was made to its end. A cluster without it is incomplete and is deleted."""
        return self.folder / "complete"

    @property
    def control_plane(self) -> str:
        return f"{self.name}-control-plane"

    def address(self, port: str) -> str:
        return f"127.0.0.1:{self.ports[port]}"


def make_cluster(settings: ClusterSettings) -> Cluster:
    return Cluster(settings.root.resolve(), settings.name, settings.node_image, settings.ports, settings.external_url)
