"""Which cluster: its name, its doors on 127.0.0.1, its files. All of it from a handful of CLUSTER_ variables."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.errors import ParameterError

NAMESPACE: Final = "windsock"
# Door -> NodePort inside, which is also the default port on 127.0.0.1; CLUSTER_<DOOR>_PORT changes the latter.
DOORS: Final = {
    "rest": 30300,
    "grpc": 30301,
    "monitor": 30303,
    "grafana": 30330,
    "prometheus": 30390,
    "alertmanager": 30393,
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """`node_image` is "" where kind chooses."""

    root: Path
    name: str
    node_image: str
    ports: dict[str, int]

    @property
    def folder(self) -> Path:
        return self.root / "state" / "cluster"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def owner(self) -> Path:
        """Mounted into the nodes: so a node says itself which checkout made it."""
        return self.folder / "owner"

    @property
    def complete(self) -> Path:
        """Exists when the cluster was once made to its end. Without it, what is there is a torso and may go."""
        return self.folder / "complete"

    @property
    def control_plane(self) -> str:
        return f"{self.name}-control-plane"

    def address(self, door: str) -> str:
        return f"127.0.0.1:{self.ports[door]}"


def load_cluster(root: Path) -> Cluster:
    """From CLUSTER_NAME, CLUSTER_<DOOR>_PORT and KIND_NODE_IMAGE.

    Raises:
        ParameterError: a port that is none, two doors at one port, or a name that kind refuses.
    """
    ports = {door: _port(f"CLUSTER_{door.upper()}_PORT", default) for door, default in DOORS.items()}
    if len(set(ports.values())) != len(ports):
        raise ParameterError(
            f"the ports of the cluster must differ, got {ports}; correct the CLUSTER_..._PORT variables"
        )
    name = os.environ.get("CLUSTER_NAME", NAMESPACE)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,49}", name):
        raise ParameterError(
            f"`CLUSTER_NAME` must be small letters, digits, `.` and `-`, 50 at most, got {name!r}; correct or unset it"
        )
    return Cluster(root.resolve(), name, os.environ.get("KIND_NODE_IMAGE", ""), ports)


def _port(variable: str, default: int) -> int:
    value = os.environ.get(variable, str(default))
    if not value.isdecimal() or not 1 <= int(value) <= 65_535:
        raise ParameterError(f"`{variable}` must be a port, 1 to 65535, got {value!r}; correct or unset it")
    return int(value)
