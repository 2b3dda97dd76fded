"""What `windsock monitor serve` counts itself: how its runs ended, and how the service answers its probes."""

import math
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

Outcome = Literal["ok", "failed"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


class ProcessMetrics:
    """Metrics of the process, in a registry of its own. Probes have no series before the first one."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        what = "Runs of the monitor's job that this process started, by how they ended."
        runs = Counter("windsock_monitor_runs", what, ["outcome"], registry=self.registry)
        self.runs = {outcome: runs.labels(outcome).inc for outcome in OUTCOMES}
        what = "How long the newest run of the monitor's job took; NaN: none has ended."
        self.run_seconds = Gauge("windsock_monitor_run_seconds", what, registry=self.registry)
        self.run_seconds.set(math.nan)
        what = "Whether the newest probe got a score through the front door; NaN: none could be sent."
        self._success = Gauge("windsock_probe_success", what, ["protocol"], registry=self.registry)
        what = "How long the newest probe took, whatever came of it."
        self._seconds = Gauge("windsock_probe_seconds", what, ["protocol"], registry=self.registry)

    def probed(self, success: float, seconds: float = math.nan) -> None:
        """A probe ended. NaN is unknown."""
        self._success.labels("rest").set(success)
        self._seconds.labels("rest").set(seconds)
