"""Asks a Prometheus what Grafana would ask it: the dashboards' own queries, with their variables filled in."""

import json
import math
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from contracts.errors import DataError, Unavailable
from contracts.files import write_json
from contracts.workspace import Workspace

OBSERVABILITY: Final = Path(__file__).parents[2] / "deploy/observability"
DASHBOARDS: Final = ("service", "model", "data", "budgets")
_SELECTOR: Final = re.compile(r"\b(?:windsock_\w+|[a-z_]+:windsock_\w+:\w+|up)\b(?:\{[^}]*\})?")


@dataclass(frozen=True, slots=True)
class Series:
    """`time` in seconds since 1970, `value` with NaN where Prometheus says NaN; both float64 [points]."""

    labels: dict[str, str]
    time: NDArray[np.float64]
    value: NDArray[np.float64]


class Prometheus:
    """The HTTP API of a Prometheus. Raises Unavailable where it does not answer, DataError where it refuses a query."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def get(self, path: str, **parameters: Any) -> Any:
        """The data of an answer, decoded. `path` is below /api/v1/."""
        address = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        if not address.startswith(("http://", "https://")):
            raise Unavailable(
                f"`prometheus` must be an http address, got {self.url}; give one like http://127.0.0.1:9090"
            )
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - the scheme was looked at
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise DataError(f"`{parameters}` must be a query, got: {error.read().decode(errors='replace')}") from error
        except (OSError, ValueError, KeyError) as error:
            raise Unavailable(
                f"`prometheus` must answer at {self.url}, got: {error}; `make stack` starts one"
            ) from error

    def range(self, expr: str, start: float, end: float, step: float) -> list[Series]:
        """What a query gives from `start` to `end` (seconds since 1970), every `step` seconds."""
        answer = self.get("query_range", query=expr, start=start, end=end, step=step)
        found = []
        for series in answer["result"]:
            points = np.array(series["values"], dtype=np.float64)
            found.append(Series(series["metric"], points[:, 0], points[:, 1]))
        return found

    def scrape_interval(self) -> float:
        """Seconds."""
        written = yaml.safe_load(self.get("status/config")["yaml"])["global"]["scrape_interval"]
        parts = re.findall(r"(\d+)(ms|s|m)", written)
        return sum(int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit] for number, unit in parts)

    def version(self) -> str:
        return str(self.get("status/buildinfo")["version"])


def boards() -> dict[str, dict[str, Any]]:
    """Name -> the committed dashboard."""
    return {
        name: json.loads((OBSERVABILITY / f"dashboards/{name}.json").read_text(encoding="utf-8")) for name in DASHBOARDS
    }


def marks(board: dict[str, Any]) -> list[dict[str, Any]]:
    """What is marked on every panel: Grafana calls it annotations."""
    found: list[dict[str, Any]] = board["annotations"]["list"]
    return found


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Without the rows that are their headlines."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def filled(expr: str, step: float, scrape: float) -> str:
    """The expression with its variables as Grafana fills them, "All" chosen. `step` and `scrape` in seconds.

    https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables: the rate interval spans at least
    four scrapes, so that a missed one leaves a rate.
    """
    rate = max(step + scrape, 4 * scrape)
    values = {
        "job": ".+",
        "instance": ".+",
        "__rate_interval": f"{math.ceil(rate)}s",
        "__interval": f"{math.ceil(step)}s",
    }
    return re.sub(r"\$(\w+)", lambda name: values[name[1]], expr)


def rule_queries() -> Iterator[tuple[str, str]]:
    """(rule, expression that must return data): a recording rule's own, and each selector of an alert, as a healthy
    system makes no alert true. Alertmanager's heartbeat needs no data."""
    for name in ("recording", "slo", "alerts"):
        for group in yaml.safe_load((OBSERVABILITY / f"rules/{name}.yml").read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    yield rule["record"], rule["expr"]
                else:
                    for selector in dict.fromkeys(_SELECTOR.findall(rule["expr"])):
                        yield rule["alert"], selector


def run_queries(url: str, minutes: float) -> dict[str, Any]:
    """Run every query of every panel, variable and rule over the last `minutes`.

    Returns:
        {"prometheus": version, "queries": [{"dashboard", "panel", "expr", "series", "points"}]}; `points` are those
        that are numbers. Zero is data; absent and NaN are not.
    """
    prometheus = Prometheus(url)
    scrape, end = prometheus.scrape_interval(), time.time()
    asked = [
        (name, panel["title"], target["expr"])
        for name, board in boards().items()
        for panel in panels(board)
        for target in panel["targets"]
    ]
    asked += [
        (name, f"marks of {mark['name']}", mark["expr"])
        for name, board in boards().items()
        for mark in marks(board)
        if "ALERTS" not in mark["expr"]  # in health there are none
    ]
    asked += [("rules", rule, expr) for rule, expr in rule_queries()]
    queries = []
    for dashboard, panel, expr in asked:
        found = prometheus.range(filled(expr, scrape, scrape), end - minutes * 60, end, scrape)
        points = sum(int(np.isfinite(series.value).sum()) for series in found)
        queries.append({"dashboard": dashboard, "panel": panel, "expr": expr, "series": len(found), "points": points})
    queries += [_variable(prometheus, name, variable) for name, variable in _variables()]
    return {"prometheus": prometheus.version(), "queries": queries}


def _variables() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, board in boards().items():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                yield name, variable


def _variable(prometheus: Prometheus, dashboard: str, variable: dict[str, Any]) -> dict[str, Any]:
    expr = variable["query"]
    matched = re.fullmatch(r"label_values\((.+), (\w+)\)", expr)
    if matched is None:
        raise DataError(f"`{dashboard}/{variable['name']}` must be label_values(selector, label), got {expr}")
    values = prometheus.get(f"label/{matched[2]}/values", **{"match[]": filled(matched[1], 1, 1)})
    panel = f"variable {variable['name']}"
    return {"dashboard": dashboard, "panel": panel, "expr": expr, "series": len(values), "points": len(values)}


def report(root: Path, url: str, minutes: float) -> None:
    """Write reports/dashboards.json.

    Raises:
        DataError: a query returned no data; names each. The report is written all the same.
    """
    result = run_queries(url, minutes)
    write_json(Workspace(root).report("dashboards"), result)
    empty = [f"  {q['dashboard']} / {q['panel']}: {q['expr']}" for q in result["queries"] if not q["points"]]
    if empty:
        raise DataError(
            "each query must return data, got none from:\n"
            + "\n".join(empty)
            + "\nReplay some traffic, run the monitor, wait for two scrapes, and check again."
        )
