"""What the images are, by `docker inspect` and from inside."""

import json
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from contracts.settings.tokens import add_token
from deploy.cluster.images import Images, version
from deploy.local.processes import answers, wait_until
from tests.support.manifests import ROOT

MB = 10**6
LIMIT = {"serving": 450 * MB, "companion": 300 * MB, "monitor": 1_100 * MB}
_NOWHERE = ("torch", "dvc", "mlflow", "pip", "setuptools")
_SERVICE = ("bentoml", "grpc")
_SCORING = ("onnxruntime",)  # the monitor runs the reference scorer, and grows the challenger on top of it
_DATABASE = ("sqlalchemy", "psycopg", "alembic")
_LEARNING = ("pandas", "evidently", "scipy", "sklearn")
ABSENT = {
    "serving": (*_NOWHERE, *_DATABASE, *_LEARNING, "lightgbm"),
    "companion": (*_NOWHERE, *_SERVICE, *_SCORING, *_LEARNING, "lightgbm"),
    "monitor": (*_NOWHERE, *_SERVICE),
}
PRESENT = {
    "serving": (*_SERVICE, *_SCORING),
    "companion": _DATABASE,
    "monitor": (*_DATABASE, *_LEARNING, *_SCORING, "lightgbm"),
}
# Files of pip, of compilers and build tools, wherever they lie; names of other things that begin alike do not count.
FORBIDDEN = r"""
find / -xdev \( -path /proc -o -path /sys \) -prune -o \
  \( -type d \( -name pip -o -name ensurepip -o -name 'pip-[0-9]*.dist-info' \) \
  -o -name 'pip-*.whl' -o -path '*/bin/pip*' -o -path '*/bin/uv' \
  -o -path '*/bin/*gcc*' -o -path '*/bin/cc' -o -path '*/bin/c++' -o -path '*/bin/clang*' \
  -o -path '*/bin/ld' -o -path '*/bin/make' \
  -o -perm /6000 -type f \) -print 2>/dev/null
"""


def inside(image: str, command: str) -> subprocess.CompletedProcess[str]:
    """By a shell in the image, with no network and a read-only root."""
    return subprocess.run(
        ["docker", "run", "--rm", "--network=none", "--read-only", "--entrypoint=sh", image, "-c", command],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module", params=["serving", "companion", "monitor"])
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def image(target: str, images: Images) -> str:
    return str(getattr(images, target))


@pytest.fixture(scope="module")
def inspected(image: str) -> dict[str, Any]:
    done = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)[0]
    return told


def test_size(target: str, inspected: dict[str, Any], report: dict[str, Any]) -> None:
    report.setdefault("image_bytes", {})[target] = inspected["Size"]
    assert inspected["Size"] <= LIMIT[target]


def test_user_and_labels(inspected: dict[str, Any]) -> None:
    user, group = inspected["Config"]["User"].split(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000
    labels = inspected["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == version(ROOT)
    assert len(labels["org.opencontainers.image.revision"]) == 40


def test_no_pip_no_compiler_no_set_uid(image: str) -> None:
    assert "No module named pip" in inside(image, "python -m pip --version").stderr
    assert (
        "No module named pip"
        in inside(image, "PYTHONPATH= /usr/bin/env -i $(command -v python3) -m pip --version").stderr
    )
    found = inside(image, FORBIDDEN).stdout.split()
    assert found == []


def test_libraries_that_must_not_be_there(target: str, image: str) -> None:
    script = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
    assert inside(image, f'python -c "{script}" {" ".join(ABSENT[target])}').stdout.split() == []
    assert inside(image, f'python -c "{script}" {" ".join(PRESENT[target])}').stdout.split() == [*PRESENT[target]]


def test_byte_code_is_compiled_and_taken_as_it_is(image: str) -> None:
    """Flags 1: hash-based, unchecked. Of every module of ours, and of a large library."""
    script = (
        "import glob, sys, numpy, os; "
        "files = glob.glob('/opt/windsock/app/**/*.pyc', recursive=True)"
        " + glob.glob(os.path.dirname(numpy.__file__) + '/**/*.pyc', recursive=True); "
        "print(len(files), {open(f, 'rb').read(8)[4] for f in files})"
    )
    count, flags = inside(image, f'python -c "{script}"').stdout.strip().split(" ", 1)
    assert int(count) > 100
    assert flags == "{1}"


def test_serves_on_a_read_only_root_and_starts_quickly(images: Images, tmp_path: Path, report: dict[str, Any]) -> None:
    """Container start to ready, five times; reported, since a busy machine says nothing about the image."""
    shutil.copytree(ROOT / "artifacts/store", tmp_path / "store")
    shutil.copy(ROOT / "secrets/signing.pub", tmp_path / "signing.pub")
    add_token(tmp_path / "tokens.json", "anybody", ("predict",), None)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    seconds = [_start_to_ready(images.serving, tmp_path) for _ in range(5)]
    report["start_to_ready_seconds"] = round(statistics.median(seconds), 2)
    assert max(seconds) < 60


def _start_to_ready(image: str, folder: Path) -> float:
    mounts = {"store": "/models", "signing.pub": "/keys/signing.pub", "tokens.json": "/secrets/tokens.json"}
    started = time.monotonic()
    identity = subprocess.run(
        ["docker", "run", "--detach", "--read-only", "--tmpfs=/tmp", "--tmpfs=/state", "--cap-drop=ALL"]
        + ["--publish=127.0.0.1:0:3000"]
        + [f"--volume={folder / name}:{inside}:ro" for name, inside in mounts.items()]
        + [image],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    try:
        told = subprocess.run(["docker", "port", identity, "3000"], capture_output=True, text=True, check=True)
        url = f"http://{told.stdout.split()[0]}/v2/health/ready"
        if not wait_until(lambda: answers(url), 60, every=0.02):
            log = subprocess.run(["docker", "logs", identity], capture_output=True, text=True, check=False)
            pytest.fail(log.stdout + log.stderr)
        return time.monotonic() - started
    finally:
        subprocess.run(["docker", "rm", "--force", identity], capture_output=True, check=True)
