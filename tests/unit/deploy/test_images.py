"""What goes into an image: what its process needs, and its tag changes with that and with nothing else."""

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from deploy.cluster.images import CONTENT, name_images
from tests.support.manifests import pins

ROOT = Path(__file__).parents[3]
ROOMS = ("cli", "contracts", "services", "monitoring", "web", "deploy", "tasks", "models", "demo")
_STAGES = {
    "serving": ("serving-packages", "app", "serving-app"),
    "companion": ("companion-packages", "app", "companion-app"),
    "monitor": ("companion-packages", "monitor-packages", "app", "monitor-app"),
}
# `-S`: no .pth file of site-packages, so no editable installation that would find the rest of the checkout.
_IMPORT_ALL = """
import importlib, os, pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.py")):
    if path.name == "env.py":  # Alembic's: it runs within a migration
        continue
    importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
rooms = sys.argv[3].split(",")
ours = [m.__file__ for name, m in sys.modules.items() if name.partition(".")[0] in rooms and m.__file__]
assert ours and all(pathlib.Path(file).is_relative_to(os.getcwd()) for file in ours), ours
assert not set(sys.argv[2].split(",")) & set(sys.modules), sorted(sys.modules)
"""


def _copy(names: tuple[str, ...], folder: Path) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    _copy(("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "requirements", "docs", *ROOMS), tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("README.md", ()),
        ("docs/dashboards/service.json", ()),
        ("deploy/observability/rules/service.yml", ()),
        ("monitoring/boards/panels.py", ()),
        ("monitoring/boards/preview/colours.py", ()),
        ("demo/verdict/templates/demo.html.j2", ()),
        ("cli/boards.py", ()),
        ("tasks/flights/schema.py", ()),
        ("monitoring/monitor/page.py", ("monitor",)),
        ("monitoring/monitor/templates/page.html.j2", ("monitor",)),
        ("monitoring/statistics/quality.py", ("monitor",)),
        ("monitoring/scorer/reference.py", ("monitor",)),
        ("web/charts.py", ("monitor",)),
        ("web/templates/base.html.j2", ("monitor",)),
        ("requirements/monitor.txt", ("monitor",)),
        ("services/core/auth.py", ("serving",)),
        ("services/companion/mover.py", ("companion",)),
        ("cli/service.py", ("serving", "companion")),
        ("contracts/schema/task.py", ("serving", "companion", "monitor")),
        ("monitoring/spool/frames.py", ("serving", "companion", "monitor")),
        ("monitoring/log/database.py", ("companion", "monitor")),
        ("monitoring/metrics/new.py", ("serving", "monitor")),
        ("requirements/serving.txt", ("serving",)),
        ("requirements/companion.txt", ("companion", "monitor")),
        ("Dockerfile", ("serving", "companion", "monitor")),
    ],
)
def test_a_tag_changes_with_what_goes_into_the_image(checkout: Path, file: str, changed: tuple[str, ...]) -> None:
    before = asdict(name_images(checkout))
    (checkout / file).parent.mkdir(parents=True, exist_ok=True)
    (checkout / file).write_text("changed = True\n")
    after = asdict(name_images(checkout))
    assert [name for name in before if after[name] != before[name]] == [*changed]


@pytest.mark.parametrize("target", CONTENT)
def test_the_dockerfile_copies_what_the_tag_is_made_of(target: str) -> None:
    text = (ROOT / "Dockerfile").read_text()
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL))
    copied = {
        source
        for stage in _STAGES[target]
        for line in re.findall(r"^COPY (?!--from)(.+)$", stages[stage], re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert copied == set(CONTENT[target])
    sent = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    assert all(any(name == one or name.startswith(f"{one}/") for one in sent) for name in copied)


@pytest.mark.parametrize(
    ("target", "folder", "command", "absent"),
    [
        ("serving", "services", ("serve",), "torch,pandas,mlflow,dvc,sklearn,evidently,sqlalchemy,psycopg,alembic"),
        ("companion", "services", ("companion",), "torch,pandas,mlflow,dvc,sklearn,evidently,onnxruntime,bentoml,grpc"),
        ("monitor", "monitoring", ("monitor", "serve"), "torch,mlflow,dvc,bentoml,onnxruntime"),
    ],
)
def test_what_is_copied_runs_alone(
    target: str, folder: str, command: tuple[str, ...], absent: str, tmp_path: Path
) -> None:
    """Every module of it is imported and its command explains itself, with nothing else of ours on the path."""
    _copy(CONTENT[target], tmp_path)
    path = f"{tmp_path}:{sysconfig.get_path('purelib')}:{sysconfig.get_path('platlib')}"
    ours = ",".join(sorted({*ROOMS, "pipelines", "registry"}))
    for arguments in (("-c", _IMPORT_ALL, folder, absent, ours), ("-m", "cli", *command, "--help")):
        done = subprocess.run(
            [sys.executable, "-S", *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "DO_NOT_TRACK": "1", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


@pytest.mark.parametrize("target", CONTENT)
def test_the_lock_has_every_library_that_is_imported(target: str) -> None:
    """The environment of the tests has all libraries; an image has those of its lock."""
    homes = packages_distributions()
    # Options that an image does without: traces, and in the companion's the export, which the monitor's image can make.
    known = {*ROOMS, "registry", "pipelines", "opentelemetry", *(("pyarrow",) if target == "companion" else ())}
    locked = pins(f"{target}.txt")
    for name in CONTENT[target]:
        path = ROOT / name
        for file in path.rglob("*.py") if path.is_dir() else [path] if path.suffix == ".py" else []:
            for module in _imported(ast.parse(file.read_text(encoding="utf-8"))):
                if module in sys.stdlib_module_names or module in known:
                    continue
                assert _alike(homes[module]) & _alike(locked), f"{file}: {module}"


def _alike(names: Iterable[str]) -> set[str]:
    """Names of distributions as PEP 503 has them."""
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def _imported(tree: ast.AST) -> set[str]:
    """First names of all modules that are imported, wherever in the file."""
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.partition(".")[0] for name in found}
