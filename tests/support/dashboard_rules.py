"""The rules of grafana/dashboard-linter that matter here: each takes a dashboard's JSON and names what breaks it.

https://github.com/grafana/dashboard-linter/tree/main/docs/rules. Left out: its two rules for Loki.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from monitoring.boards.preview.units import SUFFIX, UNITS
from monitoring.boards.query import panels

Board = dict[str, Any]
SELECTOR: Final = re.compile(r"\b((?:\w+:)?windsock_\w+(?::\w+)?|up)\b(\{[^}]*\})?(\[[^\]]*\])?")
COUNTER: Final = re.compile(r"_(total|bucket|sum|count)$")


def variables(board: Board) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def targets(board: Board) -> Iterator[tuple[str, dict[str, Any]]]:
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target


def template_datasource(board: Board) -> Iterator[str]:
    variable = variables(board).get("datasource", {})
    if (variable.get("type"), variable.get("query"), variable.get("label")) != (
        "datasource",
        "prometheus",
        "Data source",
    ):
        yield "no variable `datasource` for Prometheus, labelled `Data source`"


def _matcher(board: Board, name: str) -> Iterator[str]:
    variable = variables(board).get(name, {})
    wanted = {"type": "query", "label": name.capitalize(), "multi": True, "includeAll": True, "allValue": ".+"}
    for key, value in wanted.items():
        if variable.get(key) != value:
            yield f"variable {name}: {key} must be {value}, got {variable.get(key)}"
    if variable.get("datasource", {}).get("uid") != "${datasource}":
        yield f"variable {name}: its data source must be the variable's"


def template_job(board: Board) -> Iterator[str]:
    yield from _matcher(board, "job")


def template_instance(board: Board) -> Iterator[str]:
    yield from _matcher(board, "instance")


def template_on_time_change_reload(board: Board) -> Iterator[str]:
    for name, variable in variables(board).items():
        if variable["type"] == "query" and variable.get("refresh") != 2:
            yield f"variable {name}: must be asked again when the time range changes"


def template_label_promql(board: Board) -> Iterator[str]:
    for name, variable in variables(board).items():
        if variable["type"] == "query" and not re.fullmatch(r"label_values\(.+, \w+\)", variable["query"]):
            yield f"variable {name}: must be label_values(selector, label)"


def panel_datasource(board: Board) -> Iterator[str]:
    for panel in panels(board):
        for part in (panel, *panel["targets"]):
            if part.get("datasource", {}).get("uid") != "${datasource}":
                yield f"{panel['title']}: its data source must be the variable's"


def panel_title_description(board: Board) -> Iterator[str]:
    for panel in panels(board):
        if not panel.get("title") or not panel.get("description"):
            yield f"panel {panel['id']}: must have title and description"


def panel_units(board: Board) -> Iterator[str]:
    for panel in panels(board):
        unit = panel["fieldConfig"]["defaults"].get("unit", "")
        if unit not in UNITS and not unit.startswith(SUFFIX):
            yield f"{panel['title']}: must have a unit"


def panel_no_targets(board: Board) -> Iterator[str]:
    for panel in panels(board):
        if not panel.get("targets"):
            yield f"{panel['title']}: must ask something"


def target_rate_interval(board: Board) -> Iterator[str]:
    for title, target in targets(board):
        for _, _, window in SELECTOR.findall(target["expr"]):
            if window not in ("", "[$__rate_interval]"):
                yield f"{title}: must use $__rate_interval, got {window}"


def _filtered(board: Board, name: str) -> Iterator[str]:
    for title, target in targets(board):
        for metric, matchers, _ in SELECTOR.findall(target["expr"]):
            if name == "instance" and metric.startswith("job") and ":" in metric:
                continue  # recorded of a whole job
            if f'{name}=~"${name}"' not in matchers:
                yield f'{title}: {metric} must be filtered by {name}=~"${name}"'


def target_job(board: Board) -> Iterator[str]:
    yield from _filtered(board, "job")


def target_instance(board: Board) -> Iterator[str]:
    yield from _filtered(board, "instance")


def target_counter_agg(board: Board) -> Iterator[str]:
    for title, target in targets(board):
        for match in SELECTOR.finditer(target["expr"]):
            if COUNTER.search(match[1]) and not target["expr"][: match.start()].endswith(("rate(", "increase(")):
                yield f"{title}: {match[1]} is a counter and must be inside rate() or increase()"


def uneditable(board: Board) -> Iterator[str]:
    if board.get("editable") is not False:
        yield "must not be editable: what is changed by hand is lost"


Rule = Callable[[Board], Iterator[str]]
RULES: Final[tuple[Rule, ...]] = (
    template_datasource,
    template_job,
    template_instance,
    template_on_time_change_reload,
    template_label_promql,
    panel_datasource,
    panel_title_description,
    panel_units,
    panel_no_targets,
    target_rate_interval,
    target_job,
    target_instance,
    target_counter_agg,
    uneditable,
)
