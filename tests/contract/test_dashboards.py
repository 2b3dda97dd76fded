"""Dashboards: what the code builds, by Grafana's own types and linter's rules, with PromQL that Prometheus parses."""

import copy
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.errors import DataError
from contracts.objectives import Objectives
from monitoring.boards import build
from monitoring.boards.query import boards, filled, marks, panels
from tests.support import dashboard_rules as rules
from tests.support.node import installed

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "tests/contract/schemas"
BOARDS = boards()
each_board = pytest.mark.parametrize("name", BOARDS)


def test_the_committed_files_are_what_the_code_builds(tmp_path: Path) -> None:
    limits = Objectives()
    build.check(ROOT, limits)
    assert build.texts(limits) == build.texts(limits), "the same each time"
    build.write(tmp_path, limits)
    build.check(tmp_path, limits)
    board = tmp_path / "deploy/observability/dashboards/model.json"
    board.write_text(board.read_text().replace("AUC", "ACU"))
    with pytest.raises(DataError, match=r"`model\.json` must be what the code builds"):
        build.check(tmp_path, limits)


@each_board
@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_a_dashboard_keeps_the_linters_rules(name: str, rule: rules.Rule) -> None:
    assert list(rule(BOARDS[name])) == []


def _first(board: dict[str, Any]) -> dict[str, Any]:
    return panels(board)[1]


def _variable(board: dict[str, Any], name: str, **changes: Any) -> None:
    rules.variables(board)[name].update(changes)


def _expr(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(board: dict[str, Any]) -> None:
        target = _first(board)["targets"][0]
        assert old in target["expr"]
        target["expr"] = target["expr"].replace(old, new, 1)

    return change


BREAKS: dict[rules.Rule, Callable[[dict[str, Any]], None]] = {
    rules.template_datasource: lambda board: _variable(board, "datasource", label="DS"),
    rules.template_job: lambda board: _variable(board, "job", allValue=None),
    rules.template_instance: lambda board: _variable(board, "instance", multi=False),
    rules.template_on_time_change_reload: lambda board: _variable(board, "job", refresh=1),
    rules.template_label_promql: lambda board: _variable(board, "job", query="label_values(job)"),
    rules.panel_datasource: lambda board: _first(board)["datasource"].update(uid="prometheus"),
    rules.panel_title_description: lambda board: _first(board).pop("description"),
    rules.panel_units: lambda board: _first(board)["fieldConfig"]["defaults"].update(unit="parsecs"),
    rules.panel_no_targets: lambda board: _first(board).update(targets=[]),
    rules.target_rate_interval: _expr("$__rate_interval", "5m"),
    rules.target_job: _expr('job=~"$job"', 'job="windsock-service"'),
    rules.target_instance: _expr(', instance=~"$instance"', ""),
    rules.target_counter_agg: _expr("rate(", "avg("),
    rules.uneditable: lambda board: board.update(editable=True),
}


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_a_rule_notices_what_breaks_it(rule: rules.Rule) -> None:
    board = copy.deepcopy(BOARDS["service"])
    BREAKS[rule](board)
    assert list(rule(board))


def test_dashboards_lead_to_each_other_and_have_names_of_their_own() -> None:
    assert len({board["uid"] for board in BOARDS.values()}) == len({b["title"] for b in BOARDS.values()}) == 4
    for board in BOARDS.values():
        assert board["tags"] == ["windsock"]
        (link,) = board["links"]
        assert (link["type"], link["tags"], link["includeVars"], link["keepTime"]) == (
            "dashboards",
            ["windsock"],
            True,
            True,
        )


@each_board
def test_releases_and_alerts_are_marked(name: str) -> None:
    found = {mark["name"]: mark for mark in marks(BOARDS[name])}
    assert set(found) == {"Releases", "Alerts"}
    assert all(mark["enable"] and mark["datasource"]["uid"] == "${datasource}" for mark in found.values())


@each_board
def test_panels_have_numbers_of_their_own_and_do_not_overlap(name: str) -> None:
    found = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for panel in found:
        grid = panel["gridPos"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert grid["x"] + grid["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_every_query_is_promql(tmp_path: Path) -> None:
    exprs = [filled(target["expr"], 5, 5) for board in BOARDS.values() for _, target in rules.targets(board)]
    exprs += [filled(mark["expr"], 5, 5) for board in BOARDS.values() for mark in marks(board)]
    assert not [expr for expr in exprs if "$" in expr]
    for extra, status in (([], 0), (["sum by (rate("], 1)):
        asked = [{"record": f"q{i}", "expr": expr} for i, expr in enumerate([*exprs, *extra])]
        file = tmp_path / "rules.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": asked}]}))
        run = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
        assert bool(run.returncode) == bool(status), run.stderr


# Grafana's types leave to a data source what it adds to an annotation: here are the fields that Prometheus's reads.
HEAD = """import { type AnnotationQuery, type Dashboard, ThresholdsMode } from "@grafana/schema";
interface Marks extends AnnotationQuery {
  expr: string; step: string; titleFormat: string; textFormat: string; tagKeys: string; useValueForTime: boolean;
}
export const used = ThresholdsMode;
"""


def _check_types(folder: Path, texts: dict[str, str]) -> str:
    """tsc's complaints about dashboards as literals typed `Dashboard`."""
    for name, text in texts.items():
        # An enum's values are no strings to TypeScript: the one that occurs is named.
        board = json.loads(text.replace('"mode": "absolute"', '"mode": "ABSOLUTE"'))
        marks, board["annotations"]["list"] = board["annotations"]["list"], "MARKS"
        typed = json.dumps(board).replace('"ABSOLUTE"', "ThresholdsMode.Absolute")
        typed = typed.replace('"MARKS"', f"{json.dumps(marks)} satisfies Marks[] as Marks[]")
        (folder / f"{name}.ts").write_text(f"{HEAD}export const board: Dashboard = {typed};\n")
    options = ["--strict", "--noEmit", "--skipLibCheck", "--module", "esnext", "--moduleResolution", "bundler"]
    command = ["node_modules/.bin/tsc", *options]
    run = subprocess.run(
        [*command, *(f"{name}.ts" for name in texts)], cwd=folder, capture_output=True, text=True, check=False
    )
    return run.stdout + run.stderr


@pytest.fixture(scope="module")
def grafana_types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory, "the dashboards are not checked against Grafana's types")


def test_grafanas_own_types_accept_the_dashboards(grafana_types: Path) -> None:
    texts = {name: json.dumps(board) for name, board in BOARDS.items()}
    assert _check_types(grafana_types, texts) == ""


def test_grafanas_own_types_refuse_what_the_sdk_writes_uncleaned(grafana_types: Path) -> None:
    board = copy.deepcopy(BOARDS["model"])
    rules.variables(board)["job"]["options"] = None
    board["graphTooltip"] = "crosshair"
    marks(board)[0].update(enable="yes")
    said = _check_types(grafana_types, {"bad": json.dumps(board)})
    assert said.count("error TS") >= 3, said


def test_the_lock_of_the_types_names_no_registry() -> None:
    lock = (SCHEMAS / "package-lock.json").read_text()
    assert "resolved" not in lock


def test_grafanas_image_is_of_the_version_whose_types_were_checked() -> None:
    version = json.loads((SCHEMAS / "package.json").read_text())["dependencies"]["@grafana/schema"]
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert services["grafana"]["image"] == f"grafana/grafana:{version}"
