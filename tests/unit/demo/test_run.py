import json
import threading
import time
from pathlib import Path

import pytest

from contracts.reports.demo import Check
from demo import run as demo_run
from demo.evidence import Evidence

DVC_YAML = "stages: {only: {cmd: windsock --version && env > seen}}"


@pytest.fixture
def no_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_run, "reproduce", lambda _: None)


def repository(root: Path) -> Path:
    (root / ".dvc").mkdir()
    (root / ".dvc/config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    (root / "dvc.yaml").write_text(DVC_YAML)
    return root


def test_the_pipeline_runs_with_our_windsock_and_without_the_caller_s_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDSOCK_STORE", "/elsewhere")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    demo_run.reproduce(repository(tmp_path))
    seen = (tmp_path / "seen").read_text()
    assert "WINDSOCK_" not in seen
    assert "DVC_NO_ANALYTICS=1" in seen


def test_a_broken_pipeline_is_a_failed_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.DVC_YAML", "stages: {only: {cmd: exit 3}}")
    assert demo_run.run(repository(tmp_path)) is False
    assert "`dvc repro` must succeed" in (tmp_path / "reports/demo.json").read_text()


def test_the_pipeline_runs_inside_the_memory_sampler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampling: list[bool] = []
    monkeypatch.setattr(
        demo_run, "reproduce", lambda _: sampling.append("memory" in {thread.name for thread in threading.enumerate()})
    )
    demo_run.run(tmp_path)
    assert sampling == [True]


@pytest.mark.usefixtures("no_pipeline")
def test_whatever_breaks_is_a_verdict_that_says_why(tmp_path: Path) -> None:
    assert demo_run.run(tmp_path) is False
    report = json.loads((tmp_path / "reports/demo.json").read_text())
    assert report["verdict"] == "fail"
    (check,) = report["checks"]
    assert check["passed"] is False
    assert "evaluation.json" in check["measured"]
    assert "dvc repro" in check["measured"]
    assert "Fail." in (tmp_path / "reports/demo.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("second", "verdict"), [(True, "pass"), (False, "fail")])
def test_one_failed_check_is_a_failed_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: Evidence, second: bool, verdict: str
) -> None:
    monkeypatch.setattr(demo_run, "gather", lambda _: good)
    monkeypatch.setattr(demo_run, "judge", lambda _: [Check("a", True, "b", "c"), Check("d", second, "e", "f")])
    monkeypatch.setattr(demo_run, "draw", lambda *_: "")
    assert demo_run.run(tmp_path) is second
    assert json.loads((tmp_path / "reports/demo.json").read_text())["verdict"] == verdict


@pytest.mark.usefixtures("no_pipeline")
def test_seconds_count_from_the_start_of_make_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(demo_run.STARTED, str(int(time.time()) - 300))
    demo_run.run(tmp_path)
    assert 299 <= json.loads((tmp_path / "reports/demo.json").read_text())["seconds"] < 360
