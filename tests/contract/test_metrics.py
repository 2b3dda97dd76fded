"""Metrics: declared once, bounded, all label sets from the start, clean under Prometheus' own linter."""

import math
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from contracts.reports.watching import Fault, Instrument, WatchedModel, WindowQuality
from contracts.store.state import State
from monitoring.boards.query import boards, panels, rule_queries
from monitoring.metrics.declared import Metrics, MonitorMetrics
from monitoring.metrics.log import LogMetrics
from monitoring.metrics.process import ProcessMetrics
from monitoring.spool.segments import used_bytes
from monitoring.spool.spool import Spool
from tasks.flights.schema import SCHEMA
from tests.support.payloads import rows
from tests.support.serving import Server

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed"
)
MAX_SERIES = 600  # of both registries, whatever is sent


def _series(registry: CollectorRegistry) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            yield sample.name, tuple(sorted(sample.labels.items())), sample.value


@dataclass
class Model:
    """What metrics tell of a model."""

    digest: str
    released: str
    as_of: str
    created_at: float
    vocabulary: dict[str, list[str]]
    version: str = "1"


@pytest.fixture
def service(tmp_path: Path) -> Metrics:
    metrics = Metrics(SCHEMA)
    metrics.registry.register(LogMetrics(State(tmp_path), tmp_path / "spool", 2**20))
    metrics.set_models({"champion": Model("d" * 64, "student", "2013-07-01", 1.0, {"carrier": ["AA"]})})
    return metrics


def test_every_label_set_exists_before_anything_happens(service: Metrics) -> None:
    """An error that has not happened is 0, not absent."""
    found = {(name, labels): value for name, labels, value in _series(service.registry)}
    for protocol in ("rest", "grpc"):
        for code in ("ok", "internal", "invalid_input", "unauthenticated", "not_found", "too_large", "unavailable"):
            assert found["windsock_requests_total", (("code", code), ("protocol", protocol))] == 0
        assert found["windsock_request_seconds_bucket", (("le", "0.02"), ("protocol", protocol))] == 0
    for feature in (*SCHEMA.numeric_names, *SCHEMA.category_names):
        assert found["windsock_missing_inputs_total", (("feature", feature),)] == 0
    assert found["windsock_labels_total", (("value", "true"),)] == 0


def test_the_spool_s_room_is_what_its_limit_leaves(tmp_path: Path) -> None:
    """And unknown while there is no spool to ask about."""
    log = LogMetrics(State(tmp_path), tmp_path / "spool", 2**20)

    def room() -> float:
        (family,) = [one for one in log.collect() if one.name == "windsock_spool_room_bytes"]
        return float(family.samples[0].value)

    assert math.isnan(room())
    spool = Spool(tmp_path / "spool", 2**20)
    spool.append(b"x" * 1_000, 1)
    assert 2**20 - 2_000 < room() == 2**20 - used_bytes(tmp_path / "spool") <= 2**20 - 1_000
    spool.close()


def test_a_request_is_counted_once_by_how_it_ended(service: Metrics) -> None:
    rest = service.of["rest"]
    rest.ok(*rows(3), np.zeros(3, np.float32), [3])
    rest.errors["invalid_input"]()
    found = {(name, labels): value for name, labels, value in _series(service.registry)}
    ended = {
        dict(labels)["code"]: value
        for (name, labels), value in found.items()
        if name == "windsock_requests_total" and dict(labels)["protocol"] == "rest" and value
    }
    assert ended == {"ok": 1, "invalid_input": 1}
    assert found["windsock_rows_total", (("protocol", "rest"),)] == 3


def test_cardinality_is_bounded_whatever_is_sent(service: Metrics) -> None:
    """No label takes a value from a request; another model replaces the first."""
    before = sum(1 for _ in _series(service.registry)) + sum(1 for _ in _series(MonitorMetrics(SCHEMA.names).registry))
    for i in range(50):
        service.of["grpc"].errors["internal"]()
        numeric, category = rows(20, seed=i)
        category[:, 0] = f"new {i}"
        service.of["rest"].ok(numeric, category, numeric[:, 0], [20])
        service.label_delay.observe(10.0**i)
        service.set_models({"champion": Model(f"{i:064d}", "teacher", f"2013-{i % 12 + 1:02d}-01", i, {"carrier": []})})
    after = sum(1 for _ in _series(service.registry)) + sum(1 for _ in _series(MonitorMetrics(SCHEMA.names).registry))
    assert before == after < MAX_SERIES


def test_the_monitor_knows_nothing_before_its_first_run() -> None:
    """Unknown is NaN, never a number that looks good."""
    for name, _, value in _series(MonitorMetrics(SCHEMA.names).registry):
        if name in ("windsock_quality", "windsock_release_quality", "windsock_drift", "windsock_data_age_seconds"):
            assert math.isnan(value), name
        if name == "windsock_monitor_last_run_timestamp_seconds":
            assert math.isnan(value), "never is no instant that a rule could be late with"
        if name == "windsock_quality_known":
            assert value == 0, name


def _watched() -> MonitorMetrics:
    """The monitor's, with a model that is watched: before its first run these have no series."""
    window = WindowQuality(28, "", 9, 9, 9, 0.7, 0.5, 0.2, 0.2, 0.7, 0.6, 0.8)
    instrument = Instrument("paired", "", 0, "nats", 0.0, None, None, 1.0, 100.0, "ok", "")
    fault = Fault("unit", "temp", "ok", 0.0, 1.0, 9)
    metrics = MonitorMetrics(SCHEMA.names)
    metrics.set_watched([WatchedModel("d" * 64, "champion", 9, None, None, (window,), (instrument,), (fault,))])
    return metrics


def _process() -> ProcessMetrics:
    """The long process's, with a prober."""
    metrics = ProcessMetrics()
    metrics.probed(1.0, 0.01)
    return metrics


@needs_promtool
def test_promtool_finds_nothing_to_say(service: Metrics) -> None:
    registries = service.registry, _watched().registry, _process().registry
    text = b"".join(map(generate_latest, registries))
    run = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (run.returncode, run.stdout + run.stderr) == (0, b"")


@needs_promtool
def test_promtool_finds_nothing_to_say_about_the_real_service(server: Server) -> None:
    assert server.ask("/v1/predict", b"{")[0] == 400
    with urllib.request.urlopen(server.metrics, timeout=10) as answer:
        text = answer.read()
    assert b'windsock_requests_total{code="invalid_input",protocol="rest"}' in text
    run = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (run.returncode, run.stdout + run.stderr) == (0, b"")


def test_dashboards_and_rules_name_only_metrics_that_are_declared(service: Metrics) -> None:
    declared = {
        name
        for registry in (service.registry, _watched().registry, _process().registry)
        for name, _, _ in _series(registry)
    }
    recorded = {name for name, _ in rule_queries() if ":" in name}
    asked = [target["expr"] for board in boards().values() for panel in panels(board) for target in panel["targets"]]
    asked += [expr for _, expr in rule_queries()]
    for expr in asked:
        for name in re.findall(r"\b(?:\w+:)?windsock_\w+(?::\w+)?", re.sub(r'"[^"]*"', "", expr)):
            assert name in declared | recorded, f"{name} in {expr}"


def test_the_objective_is_an_edge_of_the_histogram_that_rules_and_dashboards_name() -> None:
    folder = Path(__file__).parents[2] / "deploy/observability/rules"
    rules = [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yml"))]
    edges = set(re.findall(r'(\w+)_bucket\{[^}]*le="([^"]+)"', str(rules)))
    assert edges == {("windsock_request_seconds", "0.02"), ("windsock_label_delay_seconds", "21600.0")}
    found = {(name, dict(labels).get("le")) for name, labels, _ in _series(Metrics(SCHEMA).registry)}
    for name, edge in edges:
        assert (f"{name}_bucket", edge) in found
