"""Takes parts out of a service, to see what they cost. Python runs this first in every process whose PYTHONPATH has
this folder; `BENCHMARK_WITHOUT` names the parts. No setting can do it: a service without log or metrics is not offered.
"""

import os
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

WITHOUT = os.environ.get("BENCHMARK_WITHOUT", "").split(",")


def _without_log(module: Any) -> None:
    module.Spool.append = lambda *_, **__: None


def _without_metrics(module: Any) -> None:
    for name in ("begin", "ok", "end"):
        setattr(module.ProtocolMetrics, name, lambda *_, **__: None)


PATCHES = {
    "log": ("monitoring.spool.spool", _without_log),
    "metrics": ("monitoring.metrics.counting", _without_metrics),
}
WANTED = dict(PATCHES[part] for part in WITHOUT if part in PATCHES)


class _Patched(Loader):
    """Runs a module as usual, and changes it before anybody sees it."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        WANTED[module.__name__](module)


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in WANTED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            spec.loader = _Patched(spec.loader)
        return spec


sys.meta_path.insert(0, _Finder())
