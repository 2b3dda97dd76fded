"""`dvc repro` as its users know it, on every 40th flight: same bits, nothing done twice, killed and finished.

Two copies of the project run side by side in two folders, one of them in another time zone and killed twice on its
way. The other tests look at the first copy, or change a copy of it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from contracts.artifact import ENVELOPE, verify
from contracts.workspace import Workspace
from deploy.local.processes import wait_until
from models.score import score
from registry.connection import connected, experiment
from tests.support.runs import children, curve

ROOT = Path(__file__).parents[2]
DEADLINE = 240  # s
SMALL: dict[str, dict[str, Any]] = {
    "ingest": {"keep_every": 40},
    "train": {"hidden": [16], "bins": 4, "bin_width": 4, "epochs": 2},
    "compress": {"hidden": [16], "bins": 4, "epochs": 1, "finetune_epochs": 1, "calibration_rows": 256},
}


def copy_project(folder: Path) -> Path:
    """What git would clone, as the first commit of a repository of its own, with parameters for a small slice."""
    listed = subprocess.check_output(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], text=True
    )
    for name in filter(None, listed.split("\0")):
        # Other tasks' workspaces stay behind: DVC shows all that lie in a repository.
        if (ROOT / name).is_file() and not name.startswith(("reports/", "workspaces/")) and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    for section, values in SMALL.items():
        params[section].update(values)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    run(folder, "git", "init", "--quiet")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    run(folder, "git", "add", "--all")
    run(folder, "git", "commit", "--quiet", "--message", "A step")


def environment(folder: Path, **more: str) -> dict[str, str]:
    """The copy's own code comes first; nothing of the outside leads to another MLflow or DVC."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "DVC_", "WINDSOCK_"))}
    people = {f"GIT_{who}_{what}": "tests@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | people | {"PATH": path, "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"} | more


def run(folder: Path, *words: str, status: int = 0) -> str:
    """Standard output and error of a command that must end with `status`."""
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def start(folder: Path, **more: str) -> subprocess.Popen[bytes]:
    """`dvc repro` in a process group of its own, its output in repro.log beside the folder."""
    with folder.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            ["dvc", "repro"],
            cwd=folder,
            env=environment(folder, **more),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def finish(process: subprocess.Popen[bytes], folder: Path) -> None:
    try:
        status = process.wait(DEADLINE)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert status == 0, folder.with_suffix(".log").read_text()


def kill_within(stage: str, folder: Path, **more: str) -> None:
    """Start `dvc repro` and kill all its processes as soon as the stage has begun to speak."""
    process = start(folder, **more)
    path = folder.with_suffix(".log")
    spoken = f"> windsock stage {stage}\n"
    wait_until(lambda: path.read_text().partition(spoken)[2] or process.poll() is not None, DEADLINE, every=0.02)
    log = path.read_text()
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, log
    assert log.rstrip().rpartition("> windsock stage ")[2].startswith(stage), log


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two finished runs: a straight one, whose results are committed, and one that was killed twice."""
    one = copy_project(tmp_path_factory.mktemp("one") / "windsock")
    two = copy_project(tmp_path_factory.mktemp("another") / "a longer path" / "windsock")
    straight = start(one, TZ="UTC")
    try:
        elsewhere = {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
        kill_within("ingest", two, **elsewhere)
        kill_within("train", two, **elsewhere)
        finish(start(two, **elsewhere), two)
    finally:
        finish(straight, one)
    commit(one)
    return one, two


@pytest.fixture(scope="module")
def project(projects: tuple[Path, Path]) -> Path:
    """The straight run. Look, do not touch."""
    return projects[0]


@pytest.fixture
def changed(project: Path, tmp_path: Path) -> Path:
    """A copy of the straight run that a test may change."""
    return Path(shutil.copytree(project, tmp_path / "windsock", symlinks=True))


@pytest.fixture(scope="module")
def released(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy of the straight run whose candidate is released, and what `windsock release` said."""
    copy = Path(shutil.copytree(project, tmp_path_factory.mktemp("released") / "windsock", symlinks=True))
    return copy, run(copy, "windsock", "release")


def test_two_folders_have_the_same_bits(projects: tuple[Path, Path]) -> None:
    contents = [
        {
            str(path.relative_to(folder)): path.read_bytes()
            for place in ("data", "artifacts/train", "artifacts/compress", "artifacts/candidate", "reports")
            for path in sorted((folder / place).rglob("*"))
            if path.is_file() and path.name not in ENVELOPE
        }
        for folder in projects
    ]
    assert contents[0].keys() == contents[1].keys()
    assert {name for name in contents[0] if contents[0][name] != contents[1][name]} == set()
    locks = [yaml.safe_load((folder / "dvc.lock").read_text())["stages"] for folder in projects]
    assert locks[0] == locks[1], "the candidate's content, too: its digest knows no clock and no folder"


def test_nothing_changed_runs_nothing(project: Path) -> None:
    output = run(project, "dvc", "repro")
    assert "Data and pipelines are up to date." in output
    assert "windsock stage" not in output


def test_only_git_s_own_files_changed(project: Path) -> None:
    """DVC adds no .gitignore of its own, and everything that a run writes is either committed or ignored."""
    assert run(project, "git", "status", "--porcelain") == ""
    added = run(project, "git", "diff", "--name-only", "HEAD~1").split()
    assert {name for name in added if not name.startswith("reports/")} == {"dvc.lock"}


def test_packaging_again_leaves_git_clean(changed: Path) -> None:
    """Provenance and signature are new each time, and no output; what the digest speaks for is the same."""
    before = (changed / "artifacts/candidate/provenance.json").read_bytes()
    assert "windsock stage package" in run(changed, "dvc", "repro", "--force", "--single-item", "package")
    assert (changed / "artifacts/candidate/provenance.json").read_bytes() != before
    assert run(changed, "git", "status", "--porcelain") == ""
    verify(changed / "artifacts/candidate", changed / "secrets/signing.pub")


def stale(project: Path) -> set[str]:
    """Stages that `dvc repro` would run for changes of their own dependencies."""
    return set(json.loads(run(project, "dvc", "status", "--json", "dvc.yaml")))


def test_a_new_error_and_other_words_in_it_re_run_nothing(changed: Path) -> None:
    for name, old, new in (
        ("errors", "class ParameterError(", 'class Missing(NotFound):\n    """New."""\n\n\nclass ParameterError('),
        ("files", '"""Writes that', '"""These are writes that'),
        ("workspace", '"""Where one task', '"""This is where one task'),
    ):
        path = changed / f"contracts/{name}.py"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))
    assert stale(changed) == set()
    assert "windsock stage" not in run(changed, "dvc", "repro")


def test_a_new_parameter_re_runs_its_own_stage(changed: Path) -> None:
    """And `package`, whose provenance records all of them."""
    path = changed / "pipelines/stages/compress.py"
    path.write_text(path.read_text().replace("    prune: float =", "    patience: int\n    prune: float =", 1))
    set_param(changed, "compress", "patience", 3)
    assert stale(changed) == {"parameters", "compress", "package"}
    output = run(changed, "dvc", "repro")
    started = {line.removeprefix("> windsock stage ") for line in output.splitlines() if line.startswith("> ")}
    assert started == {"parameters", "compress", "package"}


def test_a_threshold_re_runs_the_stage_that_reads_it(changed: Path) -> None:
    path = changed / "contracts/objectives.py"
    edited = path.read_text().replace("    )] = 0.02  # fmt: skip", "    )] = 0.05  # fmt: skip", 1)
    path.write_text(edited)
    assert stale(changed) == set()
    path.write_text(edited.replace("    )] = 1_000_000  # fmt: skip", "    )] = 1_000_001  # fmt: skip", 1))
    assert stale(changed) == {"compress"}


def test_the_candidate_knows_its_commit(project: Path) -> None:
    provenance = verify(project / "artifacts/candidate", project / "secrets/signing.pub").provenance
    assert provenance.git.commit == run(project, "git", "rev-parse", "HEAD~1").strip()
    assert provenance.git.dirty is False


def test_the_live_run_is_the_one_that_the_candidate_names(project: Path) -> None:
    provenance = verify(project / "artifacts/candidate", project / "secrets/signing.pub").provenance
    with connected(Workspace(project)) as client:
        place = experiment(client, Workspace(project), "flight-delay")
        runs = [run for run in client.search_runs([place]) if "mlflow.parentRunId" not in run.data.tags]
        assert [run.info.run_id for run in runs] == [provenance.mlflow_run_id]
        models = children(client, runs[0])
        history = curve(client, models["teacher"], "train_loss")
        evaluation = json.loads((project / "reports/evaluation.json").read_bytes())
        months = [(int(month["month"].replace("-", "")), month["auc"]) for month in evaluation["student"]["months"]]
        assert curve(client, models["student"], "auc") == months
    assert set(models) == {"teacher", "student", "control", "lightgbm", "logistic_regression", "reference_scorer"}
    points = json.loads((project / "reports/plots/training.json").read_bytes())
    assert dict(history) == {point["epoch"]: point["train_loss"] for point in points}
    assert runs[0].data.params["ingest.keep_every"] == "40"


def test_packaged_anew_the_digest_stays_and_git_is_clean(changed: Path) -> None:
    """Clock, commit and run are in the envelope, which is no output of DVC."""
    before = verify(changed / "artifacts/candidate", changed / "secrets/signing.pub")
    run(changed, "dvc", "repro", "--force", "--single-item", "package")
    after = verify(changed / "artifacts/candidate", changed / "secrets/signing.pub")
    assert after.provenance != before.provenance
    assert after.digest == before.digest
    assert run(changed, "git", "status", "--porcelain") == ""


def test_an_unknown_key_fails_although_no_stage_reads_it(changed: Path) -> None:
    params = (changed / "params.yaml").read_text()
    (changed / "params.yaml").write_text(params + "typo: 1\n")
    output = run(changed, "dvc", "repro", status=255)
    assert "`typo`: Extra inputs are not permitted, got 1" in output
    assert "windsock stage ingest" not in output
    (changed / "params.yaml").write_text(params)
    assert "windsock stage ingest" not in run(changed, "dvc", "repro")


def test_params_diff_shows_what_changed(changed: Path) -> None:
    set_param(changed, "compress", "prune", 0.5)
    assert json.loads(run(changed, "dvc", "params", "diff", "--json")) == {
        "params.yaml": {"compress.prune": {"old": 0.25, "new": 0.5, "diff": 0.25}}
    }


def test_metrics_show_has_the_reports(project: Path) -> None:
    shown = json.loads(run(project, "dvc", "metrics", "show", "--json"))[""]["data"]
    assert set(shown) == {"reports/training.json", "reports/compression.json", "reports/evaluation.json"}
    released = json.loads((project / "reports/compression.json").read_bytes())["released"]
    assert shown["reports/evaluation.json"]["data"]["released"] == released


def test_plots_show_has_epochs_months_and_pictures(changed: Path) -> None:
    run(changed, "dvc", "plots", "show", "--out", "shown")
    page = (changed / "shown/index.html").read_text()
    for point in json.loads((changed / "reports/plots/training.json").read_bytes()):
        assert json.dumps(point["train_loss"]) in page
    for point in json.loads((changed / "reports/plots/months.json").read_bytes()):
        assert json.dumps(point["auc"]) in page
        assert point["model"] in page
    assert len(list((changed / "shown").rglob("*.png"))) == 2


def test_release_says_what_it_did_in_a_few_lines(released: tuple[Path, str]) -> None:
    project, output = released
    *told, digest = output.splitlines()
    assert len(told) <= 2
    assert "champion" in told[-1]  # before it, that the copy moved MLflow's files
    assert (project / "artifacts/store/champion").read_text() == digest
    verify(project / "artifacts/store" / digest, project / "secrets/signing.pub", digest)


def test_mlflow_loads_the_champion_and_gives_its_scores(released: tuple[Path, str]) -> None:
    """On the first 500 rows, as users of MLflow load it."""
    project, digest = released[0], released[1].splitlines()[-1]
    artifact = verify(project / "artifacts/store" / digest, project / "secrets/signing.pub", digest)
    rows = pd.read_parquet(project / "data/features.parquet").head(500)
    code = """
import mlflow.pyfunc, pandas
rows = pandas.read_parquet("data/features.parquet").head(500)
scores = mlflow.pyfunc.load_model("models:/flight-delay@champion").predict(rows)
pandas.DataFrame({"score": scores}).to_parquet("scores.parquet")
"""
    uri = f"sqlite:///{project}/artifacts/mlflow.db"
    kept = environment(project, MLFLOW_TRACKING_URI=uri, MLFLOW_REGISTRY_URI=uri)
    subprocess.run([sys.executable, "-c", code], cwd=project, env=kept, check=True, timeout=DEADLINE)
    found = pd.read_parquet(project / "scores.parquet")["score"].to_numpy()
    (project / "scores.parquet").unlink()
    numeric = rows[list(artifact.schema.numeric_names)].to_numpy(np.float32)
    category = rows[list(artifact.schema.category_names)].fillna("").to_numpy(object)
    np.testing.assert_array_equal(found, score(artifact.model, numeric, category))


def test_an_experiment_is_one_run_more_and_never_releases(released: tuple[Path, str]) -> None:
    project, digest = released[0], released[1].splitlines()[-1]
    before = store(project)
    output = run(project, "dvc", "exp", "run", "--name", "three", "--set-param", "train.epochs=3")
    assert "windsock stage featurize" not in output
    assert "windsock stage package" in output
    assert "three" in run(project, "dvc", "exp", "list", "--name-only")
    assert len(json.loads((project / "reports/plots/training.json").read_bytes())) == 3

    assert store(project) == before
    candidate = verify(project / "artifacts/candidate", project / "secrets/signing.pub")
    assert candidate.digest != digest
    with connected(Workspace(project)) as client:
        assert client.get_run(candidate.provenance.mlflow_run_id).data.params["train.epochs"] == "3"
        assert client.get_model_version_by_alias("flight-delay", "champion").tags["digest"] == digest
        assert len(client.search_model_versions("name = 'flight-delay'")) == 1


def store(project: Path) -> dict[str, bytes]:
    files = (path for path in (project / "artifacts/store").rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}


def set_param(project: Path, section: str, name: str, value: object) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params[section][name] = value
    (project / "params.yaml").write_text(yaml.safe_dump(params))
