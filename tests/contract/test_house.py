"""The house itself: locks, imports, the command line, what README and Makefile promise."""

import ast
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.flights.schema import SCHEMA
from tests.support.serving import Server

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("cli", "contracts", "models", "tasks", "pipelines", "registry"),
    *("services", "monitoring", "web", "deploy", "demo"),
)
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
# Modules that unpickle, and calls that may: none is needed by ONNX, safetensors, JSON and .npz.
PICKLING = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
LOADERS = {"torch.load", "torch.save", "mlflow.pytorch.log_model", "mlflow.pyfunc.load_model", "pandas.read_pickle"}


def pinned(name: str) -> dict[str, set[str]]:
    """Package -> versions; a lock for every Python may hold two."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / f"requirements/{name}.txt").read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", line):
            found.setdefault(match[1].lower(), set()).add(match[2])
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_lock_names_no_index_path_or_local_version(lock: Path) -> None:
    for line in lock.read_text().splitlines():
        requirement = line.partition("#")[0]
        assert not re.search(r"https?:|file:|--(extra-)?index|--find-links|@ |==\S*\+", requirement), line


def test_locks_agree_and_the_services_have_no_training_stack() -> None:
    train = pinned("train")
    assert {"torch", "mlflow", "dvc", "pandas"} <= set(train)
    for name in ("serving", "monitor"):
        lock = pinned(name)
        assert {"torch", "dvc", "mlflow"}.isdisjoint(lock)
        assert all(versions <= train[package] for package, versions in lock.items() if package in train)
    assert "pandas" not in pinned("serving")


@pytest.mark.parametrize("name", ["serving", "monitor"])
def test_every_package_of_an_image_has_its_hashes(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.partition("\n")[2])
    assert len(blocks) > 30
    assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def _sources() -> Iterator[Path]:
    for room in (*ROOMS, "benchmarks"):
        yield from (ROOT / room).rglob("*.py")


def _pickling(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in PICKLING)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PICKLING:
            yield node.module or ""
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in LOADERS:
                yield called
            if any(k.arg == "allow_pickle" and getattr(k.value, "value", None) is not False for k in node.keywords):
                yield ast.unparse(node)


def test_no_pickle_is_read_or_written() -> None:
    found = {path.name: list(_pickling(ast.parse(path.read_text()))) for path in _sources()}
    assert not {name: uses for name, uses in found.items() if uses}


@pytest.mark.parametrize(
    "code", ["import joblib", "from pickle import loads", "torch.load(path)", "np.load(file, allow_pickle=True)"]
)
def test_pickle_would_be_noticed(code: str) -> None:
    assert list(_pickling(ast.parse(code)))


def test_importing_our_modules_does_nothing(tmp_path: Path) -> None:
    """No folder, no file, no environment variable, no log handler."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in _sources()
        if path.relative_to(ROOT).parts[0] != "benchmarks"  # scripts
        # BentoML's decorator sets some of the environment: it belongs to the worker's process.
        and path.name != "__init__.py"
        and "generated" not in path.parts
        and path.name != "bento.py"
    ]
    code = f"""
import importlib, logging, os
before = dict(os.environ)
for name in {modules!r}:
    importlib.import_module(name)
changed = {{k for k in os.environ if os.environ.get(k) != before.get(k) and (k.startswith(("WINDSOCK", "BENTOML")))}}
handlers = [name for name, logger in logging.Logger.manager.loggerDict.items()
            if name.partition(".")[0] in {ROOMS!r} and getattr(logger, "handlers", [])]
assert not changed and not handlers, (changed, handlers)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def _windsock(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_help_loads_nothing_heavy() -> None:
    heavy = {"torch", "mlflow", "bentoml", "pandas", "numpy", "rich", "grpc"}
    code = f"import sys, cli; assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command", ["serve", "release", "replay", "monitor", "demo", "stack", "cluster", "stage", "new-task"]
)
def test_every_command_explains_itself(command: str) -> None:
    done = _windsock(command, "--help")
    assert done.returncode == 0
    assert len(done.stdout.split("\n\n")[1].strip()) > 20


def test_wrong_parameters_are_one_message_without_escape_codes(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("  epochs:", "  epochz:", 1))
    done = _windsock("stage", "train", "--root", str(tmp_path))
    assert done.returncode == 1
    assert "`train.epochs`: Field required" in done.stderr
    assert "`train.epochz`: Extra inputs are not permitted" in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr + done.stdout


def test_make_help_lists_every_task() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    for task in phony[1].replace("\\\n", " ").split():
        assert re.search(rf"^  {task} ", listed, re.MULTILINE), task


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "ARCHITECTURE.md",
        "docs/kubernetes.md",
        "docs/own-data.md",
        "docs/clients.md",
        "docs/access.md",
    ],
)
def test_documents_name_only_what_exists(document: str) -> None:
    """Tasks, commands and relative links."""
    text = (ROOT / document).read_text()
    makefile = (ROOT / "Makefile").read_text()
    for tasks in re.findall(r"(?:^|`)make ((?:[a-z-]+ ?)+)", text, re.MULTILINE):
        for task in tasks.split():
            assert re.search(rf"^{task}:", makefile, re.MULTILINE), f"make {task}"
    for command in set(re.findall(r"(?:^|`)windsock ([a-z-]+)", text, re.MULTILINE)):
        assert _windsock(command, "--help").returncode == 0, command
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert ((ROOT / document).parent / link).exists(), link


def test_row_of_the_readme_is_the_schema_s_and_is_answered(server: Server) -> None:
    text = (ROOT / "docs/examples/row.json").read_text()
    assert json.loads(text) == {"rows": [SCHEMA.example()]}, "run `make examples`"
    request = urllib.request.Request(
        f"{server.rest}/v1/predict",
        text.encode(),
        {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert len(json.load(answer)["probabilities"]) == 1


def test_telemetry_is_off_in_every_task() -> None:
    names = ("BENTOML_DO_NOT_TRACK", "DO_NOT_TRACK", "DVC_NO_ANALYTICS", "MLFLOW_DISABLE_TELEMETRY")
    code = f"import os; print([os.environ.get(name) for name in {names}])"
    task = f'include Makefile\nprobe:\n\t@{sys.executable} -c "{code}"\n'
    done = subprocess.run(
        ["make", "--no-print-directory", "-f", "-", "probe"],
        input=task,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['True', '1', '1', 'true']"
    assert "analytics = false" in (ROOT / ".dvc/config").read_text()
