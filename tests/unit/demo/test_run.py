import json
import time
from pathlib import Path

import pytest

from demo import run as demo_run
from demo.checks import Check
from demo.evidence import Evidence


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
    monkeypatch.setattr(demo_run, "write_page", lambda *_: None)
    assert demo_run.run(tmp_path) is second
    assert json.loads((tmp_path / "reports/demo.json").read_text())["verdict"] == verdict


def test_seconds_count_from_the_start_of_make_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(demo_run.STARTED, str(int(time.time()) - 300))
    demo_run.run(tmp_path)
    assert 299 <= json.loads((tmp_path / "reports/demo.json").read_text())["seconds"] < 360
