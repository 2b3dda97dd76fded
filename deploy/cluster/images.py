"""Images: built when something that goes into them changed, loaded onto the nodes that run them and no others."""

import hashlib
import logging
import subprocess
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.errors import DataError, Unavailable
from deploy.cluster.cluster import Cluster
from deploy.cluster.subprocesses import attempt, reason, run

logger = logging.getLogger(__name__)

_ALL: Final = ("cli/__init__.py", "cli/__main__.py", "cli/options.py", "contracts", "monitoring/__init__.py")
_LOG: Final = ("requirements/companion.txt", "cli/monitor.py", "monitoring/spool", "monitoring/log")
# Image of ours -> what the Dockerfile copies into it.
CONTENT: Final = {
    "serving": (
        *(*_ALL, "requirements/serving.txt", "cli/service.py", "monitoring/spool", "monitoring/metrics"),
        *("services/__init__.py", "services/core", "services/generated", "services/grpc", "services/process"),
        *("services/rest", "services/wire"),
    ),
    "companion": (*_ALL, *_LOG, "cli/service.py", "services/__init__.py", "services/companion"),
    "monitor": (
        *(*_ALL, *_LOG, "requirements/monitor.txt"),
        *(
            "monitoring/metrics",
            "monitoring/statistics",
            "monitoring/detectors",
            "monitoring/expected",
            "monitoring/hours",
            "monitoring/scorer",
            "monitoring/monitor",
            "monitoring/receiver",
            "docs/runbooks",
            "monitoring/watch",
            "web",
        ),
    ),
}
PUBLIC: Final = ("postgres:15", "prom/prometheus:v2.42.0", "prom/alertmanager:v0.25.0")
GRAFANA: Final = "grafana/grafana:13.2.3"


@dataclass(frozen=True, slots=True)
class Images:
    """Full names, `windsock/serving:0.2.0-3f2a...`."""

    serving: str
    companion: str
    monitor: str


def name_images(root: Path) -> Images:
    """The tag is version and hash of the content: an unchanged tree has its image already, a changed one no old one."""
    return Images(*(f"windsock/{target}:{version(root)}-{_content_hash(root, target)}" for target in CONTENT))


def version(root: Path) -> str:
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except OSError as error:
        raise DataError(
            f"`{root}` must be a checkout of Windsock, got: {error}; change to one or say --root"
        ) from error
    return str(project["version"])


def build(root: Path, target: str, image: str) -> bool:
    """Build unless it is there. Returns whether it was built now.

    Raises:
        Unavailable: the build failed.
    """
    if attempt("docker", "image", "inspect", image).returncode == 0:
        return False
    commit = attempt("git", "-C", str(root), "rev-parse", "HEAD")
    revision = commit.stdout.decode().strip() if commit.returncode == 0 else "unknown"
    done = attempt(
        *("docker", "build", "--target", target, "--tag", image),
        *("--build-arg", f"VERSION={version(root)}", "--build-arg", f"REVISION={revision}", str(root)),
        timeout=1800,
    )
    if done.returncode != 0:
        raise Unavailable(
            f"the image `{image}` must build, got: {reason(done)}; `docker build --target {target} .` shows all"
        )
    return True


def load(cluster: Cluster, image: str, nodes: list[str]) -> bool:
    """Put an image onto the nodes that lack it; one that Docker lacks is left to them. Tells whether it was loaded."""
    lacking = [node for node in nodes if not _has(node, image)]
    if not lacking:
        return False
    if attempt("docker", "image", "inspect", image).returncode != 0:
        logger.info("%s is not in the local Docker: the nodes will pull it", image)
        return False
    run("kind", "load", "docker-image", image, "--name", cluster.name, "--nodes", ",".join(lacking))
    return True


def workers(nodes: list[dict[str, Any]]) -> list[str]:
    """Names, the one that keeps the data first: kind names them in the order of its configuration."""
    names = (node["Name"].removeprefix("/") for node in nodes)
    return sorted((name for name in names if "worker" in name), key=lambda name: (len(name), name))


def _has(node: str, image: str) -> bool:
    done: subprocess.CompletedProcess[bytes] = attempt(
        "docker", "exec", node, "ctr", "--namespace", "k8s.io", "images", "ls", "--quiet", timeout=60
    )
    repository = image if image.split("/")[0] != image.split(":")[0] else f"library/{image}"
    return f"docker.io/{repository}" in done.stdout.decode().split()


def _content_hash(root: Path, target: str) -> str:
    digest = hashlib.sha256()
    for path in sorted(_files(root, ("Dockerfile", ".dockerignore", *CONTENT[target]))):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _files(root: Path, names: Iterable[str]) -> Iterable[Path]:
    """Files and what lies in folders, without what `.dockerignore` leaves out."""
    for name in names:
        path = root / name
        if path.is_file():
            yield path
        for inside in path.rglob("*") if path.is_dir() else ():
            if inside.is_file() and "__pycache__" not in inside.parts:
                yield inside
