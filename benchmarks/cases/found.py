"""What the cases have found so far, and the order in which their subjects take turns."""

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.results.report import Measure, Quantity, Turn, measure, ratio, unknown

Plan = dict[str, Callable[[], Turn]]  # "case/subject" -> one turn of it


@dataclass(slots=True)
class Found:
    """Grows case by case; becomes the report."""

    turns: dict[str, list[Turn]] = field(default_factory=dict)
    ratios: dict[str, Measure] = field(default_factory=dict)
    figures: dict[str, Measure] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def take_turns(self, plan: Plan, turns: int) -> None:
        """Forwards and backwards, so that no subject always has the same one before it."""
        for turn in range(turns):
            for label in reversed(plan) if turn % 2 else plan:
                found = plan[label]()
                self.turns.setdefault(label, []).append(found)
                say(label, found)

    def ratio(self, name: str, what: str, over: str, under: str, of: Quantity = "requests_per_second") -> None:
        self.ratios[name] = ratio(what, self.turns, over, under, of)

    def leave_out(self, case: str, why: str, *ratios: str) -> None:
        """A case that cannot run here; what would have come of it is unknown for this reason."""
        self.left_out[case] = why
        for name in ratios:
            self.ratios[name] = unknown(case, "x", why)
        print(f"{case}: left out, {why}", flush=True)

    def median(self, label: str) -> float:
        """Requests a second of a subject's median turn; 0 when it had none."""
        rates = [turn.requests_per_second for turn in self.turns.get(label, ())]
        return measure(label, "/s", rates).value or 0.0 if rates else 0.0


def say(label: str, turn: Turn) -> None:
    times = "no answer" if turn.p99_ms is None else f"p50 {turn.p50_ms:8.2f} ms  p99 {turn.p99_ms:8.2f} ms"
    trouble = f"  refused {turn.refused}  errors {turn.errors}" if turn.refused or turn.errors else ""
    print(
        f"{label:34} {turn.requests_per_second:9,.0f}/s  {times}  cpu {turn.cpu_us:8.1f} us  "
        f"others {turn.others:4.0%}{trouble}",
        flush=True,
    )
