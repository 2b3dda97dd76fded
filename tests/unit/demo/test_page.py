import re
from base64 import b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from msgspec import structs

from contracts.reports.demo import Check, DemoReport
from contracts.schema import Subject, Target
from contracts.workspace import Workspace
from demo.evidence import Evidence
from demo.verdict import page as demo_page
from demo.verdict.checks import judge


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/evaluation.json").write_text("{}")
    models = tmp_path / "artifacts/compress"
    models.mkdir(parents=True)
    (models / "teacher.onnx").write_bytes(b"x" * 412_000)
    (models / "student.onnx").write_bytes(b"x" * 41_000)
    return tmp_path


def draw(root: Path, checks: list[Check], evidence: Evidence | None) -> str:
    verdict: Literal["pass", "fail"] = "pass" if all(check.passed for check in checks) else "fail"
    return demo_page.draw(Workspace(root), DemoReport(1, verdict, 511.2, tuple(checks)), evidence)


def test_page_shows_verdict_identity_and_links_to_what_is_there(root: Path, good: Evidence) -> None:
    page = draw(root, judge(good), good)
    assert "Pass." in page
    assert "8 min 31 s" in page
    for shown in (good.damaged.named, "17e5556c0ffee, with changes", "0b7e4a1f", "412 kB", "41 kB"):
        assert shown in page
    links = set(re.findall(r'href="([^"]+)"', page))
    assert links == {"evaluation.json", "monitoring/2013-07.html", "monitoring/2013-08.html"}


def test_words_of_the_page_are_the_schema_s(root: Path, good: Evidence) -> None:
    words = {
        "subject": Subject("station", "stations"),
        "target": Target("rain", "Will it rain here?", "gets rain", "wet", "dry", "three hours have passed"),
    }
    features = {
        name: tuple(structs.replace(one, description="seen there") for one in getattr(good.schema, name))
        for name in ("numeric", "category")
    }
    other = replace(good, schema=structs.replace(good.schema, **words, **features))
    page = draw(root, judge(other), other)
    for word in (
        "Will it rain here?",
        "every station of",
        ">wet</th>",
        "once three hours have passed",
        "2,400 stations",
    ):
        assert word in page
    text = re.sub(r"<[^>]*>", " ", page)  # names of features are the task's own
    assert not re.search(r"\b(flights?|late|aircraft|landed)\b", text)


def test_page_needs_no_network(root: Path, good: Evidence) -> None:
    page = draw(root, judge(good), good)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", page)
    assert "@import" not in page
    assert "<script" not in page


def test_failed_check_is_seen(root: Path, good: Evidence) -> None:
    page = draw(root, judge(replace(good, model_bytes=999_000)), good)
    assert "Fail." in page
    assert "12 of 13 checks" in page
    assert page.count("✗") == 1


def test_demo_that_broke_off_says_why(root: Path) -> None:
    why = "Unavailable: the service must be ready within 60 s, got: <nothing>"
    page = draw(root, [Check("the line runs to its end", False, "no error", why)], None)
    assert "Fail." in page
    assert "got: &lt;nothing&gt;" in page
    assert "Quality, month by month" not in page


def test_unknown_quality_is_never_a_number(root: Path, good: Evidence) -> None:
    unknown: dict[str, Any] = {"quality": None, "quality_unknown": "no label has arrived"}
    months = tuple(msgspec.structs.replace(month, **unknown) for month in good.monitoring.months)
    monitoring = msgspec.structs.replace(good.monitoring, months=months)
    page = draw(root, judge(good), replace(good, monitoring=monitoring))
    assert page.count("unknown: no label has arrived") == 2


@pytest.mark.parametrize(
    ("picture", "command"), [("benchmarks/serving.svg", "make bench"), ("incidents.svg", "windsock incidents")]
)
def test_a_studys_picture_is_in_the_page_where_there_is_one(
    root: Path, good: Evidence, picture: str, command: str
) -> None:
    assert command not in draw(root, judge(good), good)
    (root / "reports" / picture).parent.mkdir(exist_ok=True)
    (root / "reports" / picture).write_bytes(b"<svg>bars</svg>")
    page = draw(root, judge(good), good)
    (inside,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert b64decode(inside) == b"<svg>bars</svg>"
    assert command in page
