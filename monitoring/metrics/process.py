"""What `windsock monitor serve` counts of itself: how its runs ended. It lasts as long as the process does."""

import math
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge

Outcome = Literal["ok", "failed"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


class ProcessMetrics:
    """Metrics of the process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        what = "Runs of the monitor's job that this process started, by how they ended."
        runs = Counter("windsock_monitor_runs", what, ["outcome"], registry=self.registry)
        self.runs = {outcome: runs.labels(outcome).inc for outcome in OUTCOMES}
        what = "How long the newest run of the monitor's job took; NaN: none has ended."
        self.run_seconds = Gauge("windsock_monitor_run_seconds", what, registry=self.registry)
        self.run_seconds.set(math.nan)
