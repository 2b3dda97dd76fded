"""What log, metrics and auth cost: the service beside itself with parts of it taken out."""

from contextlib import ExitStack
from functools import partial
from typing import Final

from benchmarks.cases.found import Found, Plan
from benchmarks.cases.peers import CONNECTIONS, RECORDS
from benchmarks.load import turn as load
from benchmarks.results.report import Measure, measure
from benchmarks.subjects.running import Run
from benchmarks.subjects.windsock import Part, windsock

PARTS: Final[tuple[Part, ...]] = ("log", "metrics", "auth")


def run(here: Run, found: Found) -> None:
    """Each part's share of the requests a second, and that of all three. Every service gets the same load."""
    if why := load.missing("wrk"):
        found.leave_out("log, metrics, auth", why)
        return
    without: dict[str, tuple[Part, ...]] = {"all": (), "none": PARTS}
    without |= {} if here.short else {f"no-{part}": (part,) for part in PARTS}
    with ExitStack() as stack:
        services = {
            name: stack.enter_context(windsock(here, f"with-{name}", without=taken)) for name, taken in without.items()
        }
        plan: Plan = {
            f"parts/{name}": partial(load.wrk, one, RECORDS, here.bodies.records, CONNECTIONS, here.seconds)
            for name, one in services.items()
        }
        found.take_turns(plan, here.turns)
    for name in list(without)[1:]:
        part = "log_metrics_auth" if name == "none" else name.removeprefix("no-")
        what = f"share of the requests a second that {part.replace('_', ', ')} take"
        found.ratio(f"{part}_cost", what, "parts/all", f"parts/{name}")
        found.ratios[f"{part}_cost"] = _share(found.ratios[f"{part}_cost"])
        what = f"processor time a request with {part.replace('_', ', ')}: to without"
        found.ratio(f"{part}_cpu", what, "parts/all", f"parts/{name}", of="cpu_us")


def _share(ratio: Measure) -> Measure:
    """With / without, as the share that is lost."""
    if ratio.value is None:
        return Measure(ratio.what, "", None, (), ratio.why)
    return measure(ratio.what, "", [1 - value for value in ratio.values])
