"""What `make bench` found, as it stands in reports/benchmarks/serving.json."""

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

from contracts.reports import Part

REPORT: Final = Path("reports/benchmarks/serving.json")
SHORT_REPORT: Final = Path("reports/benchmarks/short.json")


class Turn(Part, frozen=True):
    """One run of one subject.

    Attributes:
        requests_per_second: answered with 2xx; over gRPC, OK.
        p50_ms: of those, from `wrk` of every answer. In open loop a request's time begins at its arrival. None: no
            request was answered.
        refused: requests answered with 429, 503 or RESOURCE_EXHAUSTED; `wrk` counts them as errors.
        errors: every other answer, and broken connections. One of them makes the turn invalid.
        cpu_us: processor time of all processes of the subject, a request, until the last row is in the database.
        others: share of the machine that programs beside subject and client took meanwhile.
        unmoved_rows: rows that waited for the database when the last answer had come; 0 of one that keeps none.
        p99_sent_ms: in open loop, from when a request was sent: without its wait for a connection in the client.
        offered: arrivals a second, in open loop; None in closed loop, where each answer brings the next request.
    """

    requests_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    refused: int
    errors: int
    cpu_us: float
    others: float
    offered: float | None = None
    p99_sent_ms: float | None = None
    unmoved_rows: int = 0


class Measure(Part, frozen=True):
    """A number and what it was taken from.

    Attributes:
        value: median of `values`; None: not measured, or not valid.
        values: one a turn, in order.
        why: there is no value; empty when there is one.
    """

    what: str
    unit: str
    value: float | None
    values: tuple[float, ...]
    why: str = ""


class Target(Part, frozen=True):
    """`said` is the sentence for people. `reached` is None when there is nothing to judge."""

    name: str
    what: str
    rule: Literal["at least", "at most"]
    goal: float
    unit: str
    measured: float | None
    reached: bool | None
    said: str


class Machine(Part, frozen=True):
    """`load`: of the last minute, as it was before the first turn. `model_bytes`: of the ONNX file."""

    cores: int
    load: float
    python: str
    versions: dict[str, str]
    model_digest: str
    model_bytes: int


class ServingReport(Part, frozen=True):
    """Attributes:
    ratios: to a peer, or to the service itself in another form, each taken in the same turn.
    figures: what is no ratio.
    left_out: what was not measured, and why.
    others: share of the machine that other programs took, in the median turn.
    turns: "case/subject" -> its turns, in order.
    """

    format: Literal[1]
    mode: Literal["full", "short"]
    ratios: dict[str, Measure]
    targets: tuple[Target, ...]
    figures: dict[str, Measure]
    left_out: dict[str, str]
    machine: Machine
    others: float
    seconds_a_turn: float
    seconds: float
    turns: dict[str, tuple[Turn, ...]]


Turns = Mapping[str, Iterable[Turn]]
Quantity = Literal["requests_per_second", "p99_ms", "cpu_us"]


def measure(what: str, unit: str, values: Iterable[float]) -> Measure:
    """The median of values that are all good."""
    kept = tuple(round(value, 4) for value in values)
    return Measure(what, unit, round(statistics.median(kept), 4), kept)


def unknown(what: str, unit: str, why: str) -> Measure:
    return Measure(what, unit, None, (), why)


def ratio(what: str, turns: Turns, over: str, under: str, of: Quantity = "requests_per_second") -> Measure:
    """`over` divided by `under`, turn by turn: what disturbs one turn of both disturbs the ratio least.

    Args:
        over: "case/subject", as `under`.
    """
    pair = [tuple(turns.get(name, ())) for name in (over, under)]
    if trouble := "; ".join(filter(None, map(fault, (over, under), pair))):
        return unknown(what, "x", trouble)
    values = [(getattr(a, of), getattr(b, of)) for a, b in zip(*pair, strict=False)]
    if any(a is None or not b for a, b in values):
        return unknown(what, "x", f"`{of}` is not known of every turn")
    return measure(what, "x", [a / b for a, b in values])


def fault(name: str, turns: Iterable[Turn]) -> str:
    """Why these turns count for nothing; empty when they do."""
    kept = tuple(turns)
    if not kept:
        return f"{name} was not measured"
    errors, refused = sum(turn.errors for turn in kept), sum(turn.refused for turn in kept)
    return f"{name} had {errors} errors and {refused} refusals" if errors or refused else ""
