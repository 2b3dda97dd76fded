"""An incident from its beginning to its end: the service dies, whoever is on call is woken, and is told of its return
(`pytest -m live`)."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.live.local_prometheus import fetch, missing, ports, prometheus_running
from tests.support.serving import Store, start, wait_until

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(missing()), reason=f"no alert fires for real: {missing()}"),
]
FIRES = 150.0  # seconds: a minute of `for`, ten seconds of grouping, and time for a busy machine
ENDS = 240.0  # Alertmanager tells of changes in a group once a minute


def test_a_service_that_dies_wakes_somebody_and_its_return_is_told(tmp_path: Path, artifact_store: Store) -> None:
    at = ports()
    settings: dict[str, Any] = {"rest_port": at.rest, "grpc_port": at.grpc, "metrics_port": at.metrics}
    server, heard = start(tmp_path, artifact_store, **settings), tmp_path / "alerts.log"
    prometheus = f"http://127.0.0.1:{at.prometheus}/api/v1"

    def is_up() -> bool:
        targets = fetch(f"{prometheus}/targets")["data"]["activeTargets"]
        return any(one["labels"]["job"] == "windsock-service" and one["health"] == "up" for one in targets)

    def alarms() -> set[str]:
        return {one["labels"]["alertname"] for one in fetch(f"{prometheus}/alerts")["data"]["alerts"]}

    with prometheus_running(tmp_path, at, ("alerts", "alertmanager", "prometheus")):
        wait_until(is_up, "Prometheus must see the service")
        wait_until(lambda: "ServiceDown" not in alarms(), "a service that answers must be no alarm")
        server.kill()
        wait_until(lambda: "FIRING  critical  ServiceDown" in heard.read_text(), "its death must be told", FIRES)
        assert "docs/runbooks/ServiceDown.md" in heard.read_text()
        server = start(tmp_path, artifact_store, **settings)
        wait_until(lambda: "RESOLVED  critical  ServiceDown" in heard.read_text(), "its return must be told", ENDS)
        assert server.stop() == 0
