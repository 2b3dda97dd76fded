"""The service with metrics that count nothing: what the benchmark compares the real one with. Its series exist."""

import os
from collections.abc import Sequence
from typing import get_args

os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)  # BentoML's: prometheus-client would look at it when it is imported

import monitoring.metrics.declared
from contracts.errors import Code
from contracts.reports.monitoring import Protocol
from contracts.schema import Category, Numeric, Schema
from monitoring.metrics.counting import ProtocolMetrics, Scores
from monitoring.metrics.declared import Metrics
from services.process.bento import Windsock

__all__ = ["Windsock"]


class _Uncounted(ProtocolMetrics):
    def __init__(self) -> None:
        self.errors = dict.fromkeys(get_args(Code), self.begin)

    def begin(self, requests: int = 1) -> None:
        pass

    def ok(self, numeric: Numeric, category: Category, scores: Scores, sizes: Sequence[int]) -> None:
        pass

    def end(self, seconds: Sequence[float]) -> None:
        pass


class Silent(Metrics):
    """All series of the service; requests leave them at zero."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        self.of = {protocol: _Uncounted() for protocol in get_args(Protocol)}


monitoring.metrics.declared.Metrics = Silent  # type: ignore[misc] # before the worker asks for it
