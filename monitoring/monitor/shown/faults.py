"""Faults of the data by detector: what is wrong first, what cannot be judged folded away."""

from dataclasses import dataclass

from contracts.reports.watching import Fault, WatchedModel
from monitoring.monitor.shown.remedy import DETECTORS, Remedy, remedy


@dataclass(frozen=True, slots=True)
class FaultGroup:
    """What one detector found wrong."""

    detector: str
    faults: tuple[Fault, ...]
    todo: Remedy | None


@dataclass(frozen=True, slots=True)
class FaultTable:
    """All that the detectors say of a model.

    Attributes:
        wrong: pages before tickets.
        unknown: (detector, subjects) that could not be judged.
        sound: how many subjects were judged and are.
    """

    wrong: tuple[FaultGroup, ...]
    unknown: tuple[tuple[str, tuple[str, ...]], ...]
    sound: int


def fault_table(model: WatchedModel) -> FaultTable:
    """Grouped by detector, in the order of their worst fault."""
    wrong: dict[str, list[Fault]] = {}
    unknown: dict[str, list[str]] = {}
    for fault in sorted(model.faults, key=lambda one: one.state != "page"):
        if fault.state in ("page", "ticket"):
            wrong.setdefault(fault.detector, []).append(fault)
        elif fault.state == "unknown":
            unknown.setdefault(fault.detector, []).append(fault.subject or "all rows")
    groups = (FaultGroup(name, tuple(found), remedy(DETECTORS.get(name))) for name, found in wrong.items())
    folded = tuple((name, tuple(subjects)) for name, subjects in unknown.items())
    return FaultTable(tuple(groups), folded, sum(one.state == "ok" for one in model.faults))
