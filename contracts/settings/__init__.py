"""Settings. A command reads the section that it needs with `load`."""

from contracts.settings.reading import clean_environment, known_variables, load, to_environment, variable
from contracts.settings.sections import (
    PREFIX,
    ClusterSettings,
    LogSettings,
    MonitorSettings,
    Section,
    ServiceSettings,
    StackSettings,
    StoreSettings,
)

__all__ = [
    "PREFIX",
    "ClusterSettings",
    "LogSettings",
    "MonitorSettings",
    "Section",
    "ServiceSettings",
    "StackSettings",
    "StoreSettings",
    "clean_environment",
    "known_variables",
    "load",
    "to_environment",
    "variable",
]
