"""Dashboards and rules as code: JSON and YAML under deploy/observability/, where Grafana and Prometheus load them."""

import json
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from contracts.errors import DataError
from contracts.files import write_atomic
from contracts.objectives import Objectives
from monitoring.boards import budgets as board_budgets
from monitoring.boards import data as board_data
from monitoring.boards import model as board_model
from monitoring.boards import rules
from monitoring.boards import service as board_service
from monitoring.boards.panels import BLUE, FILTER, RED, SOURCE, Panel

Rows = tuple[tuple[str, list[Panel]], ...]  # title of a row, its panels; "" has no title
OBSERVABILITY: Final = Path("deploy/observability")
# A release is a version that no instance had in the hour before; what alerts is ours, without the heartbeat.
_VERSIONS: Final = f'count by (version) (last_over_time(windsock_model_info{{{FILTER}, role="champion"}}'
MARKS: Final = (  # name, query, colour, title
    ("Releases", f"{_VERSIONS}[1m])) unless {_VERSIONS}[1h] offset 1m))", BLUE, "{{version}} champion"),
    (
        "Alerts",
        'max by (alertname, severity) (ALERTS{alertstate="firing", severity=~"critical|warning"})',
        RED,
        "{{alertname}} ({{severity}})",
    ),
)
_MONITORED: Final = "windsock_quality_known|windsock_requests_total"


def build(objectives: Objectives) -> dict[str, dict[str, Any]]:
    """Name -> dashboard, as plain JSON data. The same each time."""
    return {
        "service": _board(
            "service",
            "windsock_requests_total",
            "Rate, errors, latency and saturation of the service, by protocol and version.",
            (
                ("", board_service.overview(objectives)),
                ("Rate and errors", board_service.traffic()),
                ("Latency", board_service.latency(objectives)),
                ("Saturation", board_service.saturation(objectives)),
            ),
        ),
        "model": _board(
            "model",
            _MONITORED,
            "Measured quality beside the release's own, calibration, and what is predicted.",
            (
                ("", board_model.overview()),
                ("Quality, in the monitor's window", board_model.quality()),
                ("What is predicted", board_model.mix()),
            ),
        ),
        "data": _board(
            "data",
            _MONITORED,
            "Drift by feature against its threshold, freshness, missing and unknown inputs, labels and their delay.",
            (
                ("", board_data.overview(objectives)),
                ("Drift, in the monitor's window", board_data.drift()),
                ("Inputs", board_data.inputs()),
                ("Labels and freshness", board_data.labels(objectives)),
            ),
        ),
        "budgets": _board(
            "budgets",
            "windsock_requests_total",
            "Service level objectives: what was promised, what was kept, what is left, and how fast it goes.",
            board_budgets.rows(objectives),
        ),
    }


def texts(objectives: Objectives) -> dict[Path, str]:
    """File, relative to a checkout or a workspace -> content, as it stands in git."""
    boards = {
        OBSERVABILITY / f"dashboards/{name}.json": json.dumps(board, indent=2, ensure_ascii=False) + "\n"
        for name, board in build(objectives).items()
    }
    return boards | {OBSERVABILITY / "rules" / name: text for name, text in rules.texts(objectives).items()}


def write(root: Path, objectives: Objectives) -> None:
    """Write dashboards and rules below `root`."""
    for path, text in texts(objectives).items():
        write_atomic(root / path, text.encode())


def check(root: Path, objectives: Objectives) -> None:
    """The files below `root` are what the code builds.

    Raises:
        DataError: a file is missing or differs.
    """
    for path, text in texts(objectives).items():
        file = root / path
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            raise DataError(f"`{path.name}` must be what the code builds, got another; run `windsock dashboards build`")


def _board(name: str, metrics: str, description: str, rows: Rows) -> dict[str, Any]:
    """One dashboard as plain JSON data.

    Args:
        metrics: regular expression of the metrics whose jobs and instances can be chosen.
    """
    board = (
        dashboard.Dashboard(f"Windsock / {name.capitalize()}")
        .uid(f"windsock-{name}")
        .description(description)
        .tags(["windsock"])
        .readonly()
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("10s")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_links())
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_variable("job", f'label_values({{__name__=~"{metrics}"}}, job)'))
        .with_variable(_variable("instance", f'label_values({{__name__=~"{metrics}", job=~"$job"}}, instance)'))
    )
    number = 0
    for title, panels in rows:
        if title:
            number += 1
            board.with_row(dashboard.Row(title).id(number))
        for panel in panels:
            number += 1
            board.with_panel(panel.id(number))
    plain: dict[str, Any] = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    cleaned: dict[str, Any] = _cleaned(plain)
    return cleaned | {"annotations": {"list": [_marks(*one) for one in MARKS]}}


def _marks(name: str, expr: str, color: str, title: str) -> dict[str, Any]:
    """Marks on every panel, from each moment at which a query has a value to the last one.

    Plain JSON: the SDK knows nothing of what Prometheus's source adds (docs: "Annotations", Prometheus data source).
    """
    source = {"type": SOURCE.type_val, "uid": SOURCE.uid}
    form = {"step": "30s", "titleFormat": title, "textFormat": "", "tagKeys": "", "useValueForTime": False}
    return {"name": name, "datasource": source, "enable": True, "iconColor": color, "expr": expr, **form}


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    everything = model.VariableOption(text="All", value="$__all", selected=True)
    return (
        dashboard.QueryVariable(name)
        .label(name.capitalize())
        .datasource(SOURCE)
        .query(query)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(everything)
    )


def _links() -> dashboard.DashboardLink:
    """To the other dashboards, with the same variables and time."""
    return (
        dashboard.DashboardLink("Windsock")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags(["windsock"])
        .include_vars(True)
        .keep_time(True)
        .as_dropdown(False)
    )


def _cleaned(value: Any) -> Any:
    """Without what the SDK writes and Grafana's own types (@grafana/schema) refuse: `null` where they want a value or
    nothing, and an interval variable's fields in all variables. A threshold's lowest step has, and needs, a null."""
    if isinstance(value, dict):
        return {
            key: _cleaned(item)
            for key, item in value.items()
            if not key.startswith("auto") and (item is not None or (key == "value" and "color" in value))
        }
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
