"""Speed, latency and calm under load of the service, beside what people would pick instead.

    python -m benchmarks.serving            # 15 minutes at most -> reports/benchmarks/serving.json
    python -m benchmarks.serving --short    # 2 minutes, fewer cases -> reports/benchmarks/short.json

Servers have core 0, clients core 1. All subjects of a case are up at once and are loaded one after the other, again
and again, forwards and backwards, so that a noisy machine disturbs all alike; a ratio is taken within each turn, and
the median counts. Requests are real rows that differ. An error or an answer other than 2xx makes a number invalid.

Absolute numbers belong to the machine; ratios to a peer travel better, and processor time a request best of all.
"""

import argparse
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.cases import alone, costs, peers, scaling
from benchmarks.cases.found import Found
from benchmarks.load.bodies import write_bodies
from benchmarks.load.turn import missing
from benchmarks.results.goals import judge
from benchmarks.results.report import REPORT, SHORT_REPORT, Machine, ServingReport
from benchmarks.subjects import environments
from benchmarks.subjects.running import Run, take_the_client_core
from contracts.errors import Unavailable
from contracts.reports import write_report
from contracts.settings import StoreSettings, load
from contracts.store import load_champion

OURS: Final = ("bentoml", "uvicorn", "onnxruntime", "grpcio", "msgspec", "numpy")
CASES: Final = {
    "peers": peers.run,
    "parts": costs.run,
    "workers": scaling.workers,
    "batching": scaling.batching,
    "alone": alone.run,
}


def measure(
    store: Path, public_key: Path, *, turns: int, seconds: float, short: bool, cases: list[str]
) -> ServingReport:
    """Run the cases. `seconds` are of each subject in each turn.

    Raises:
        WindsockError: no model, not two cores, or a subject that does not start or answers wrongly.
    """
    if why := missing("taskset"):
        raise Unavailable(why)
    take_the_client_core()
    begin, machine_load = time.monotonic(), os.getloadavg()[0]
    artifact, found = load_champion(store, public_key), Found()
    with tempfile.TemporaryDirectory(prefix="windsock-bench-") as name:
        bodies = write_bodies(artifact, Path(name))
        here = Run(store, public_key, artifact, Path(name), bodies, turns, seconds, short)
        for case in cases:
            print(f"-- {case}", flush=True)
            CASES[case](here, found)
    return ServingReport(
        format=1,
        mode="short" if short else "full",
        ratios=found.ratios,
        targets=judge(found.ratios | found.figures),
        figures=found.figures,
        left_out=found.left_out,
        machine=Machine(
            cores=os.cpu_count() or 1,
            load=round(machine_load, 2),
            python=platform.python_version(),
            versions=_versions(),
            model_digest=artifact.digest,
            model_bytes=len(artifact.model),
        ),
        others=median(turn.others for turns in found.turns.values() for turn in turns) if found.turns else 0.0,
        seconds_a_turn=seconds,
        seconds=round(time.monotonic() - begin, 1),
        turns={label: tuple(turns) for label, turns in found.turns.items()},
    )


def _versions() -> dict[str, str]:
    """ "windsock onnxruntime" -> version."""
    found = {f"windsock {name}": version(name) for name in OURS}
    for peer in ("fastapi", "mlserver"):
        found |= {f"{peer} {name}": number for name, number in environments.versions(peer).items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--short", action="store_true", help="fewer cases, one turn of 2 seconds each")
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=list(CASES), help="all of them")
    parser.add_argument("--turns", type=int)
    parser.add_argument("--seconds", type=float, help="of each subject in each turn")
    parser.add_argument("--report", type=Path, help="where to write it")
    options = parser.parse_args()
    usual = (1, 2.0) if options.short else (5, 3.0)
    settings = load(StoreSettings)
    report = measure(
        settings.store,
        settings.public_key,
        turns=options.turns or usual[0],
        seconds=options.seconds or usual[1],
        short=options.short,
        cases=options.cases,
    )
    write_report(options.report or (SHORT_REPORT if options.short else REPORT), report)
    print()
    for target in report.targets:
        print(f"{target.name:32} {target.said}")


if __name__ == "__main__":
    main()
