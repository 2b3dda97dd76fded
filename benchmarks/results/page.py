"""Writes the picture and the tables of docs/benchmarks/README.md from the report.

python -m benchmarks.results.page
"""

import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.results.picture import draw
from benchmarks.results.report import REPORT, ServingReport
from contracts.files import write_atomic
from contracts.reports import read_report

PICTURE: Final = REPORT.with_suffix(".svg")
DOCUMENT: Final = Path("docs/benchmarks/README.md")
BEGIN, END = "<!-- written by `python -m benchmarks.results.page` -->\n", "<!-- end of what is written -->"
QUIET: Final = 0.1  # share of the machine that other programs may take before absolute numbers say little


def fill(document: str, report: ServingReport) -> str:
    """The document with the report's tables between its marks.

    Raises:
        ValueError: the marks are not there.
    """
    marks = f"(?s)({re.escape(BEGIN)}).*({re.escape(END)})"
    text, count = re.subn(marks, lambda found: found[1] + tables(report) + found[2], document)
    if count != 1:
        raise ValueError(f"{DOCUMENT} must hold {BEGIN.strip()!r} and {END!r} once, got {count} such places")
    return text


def tables(report: ServingReport) -> str:
    """Markdown: what was reached, every ratio, every subject."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: ServingReport) -> Iterator[str]:
    reached = sum(target.reached is True for target in report.targets)
    yield f"\n**{reached} of {len(report.targets)} targets reached.** {_circumstances(report)}\n"
    yield "| target | measured | wanted | |\n|---|---|---|---|"
    for target in report.targets:
        mark = {True: "reached", False: "**missed**", None: "not known"}[target.reached]
        measured = "-" if target.measured is None else f"{target.measured:,.4g} {target.unit}"
        yield f"| {target.what or target.name} | {measured} | {target.rule} {target.goal:,g} | {mark} |"
    yield "\n| ratio | median | of the turns |\n|---|---|---|"
    for found in report.ratios.values():
        if found.value is not None:
            yield f"| {found.what} | {found.value:.3g} | {', '.join(f'{value:.3g}' for value in found.values)} |"
    if lost := [found for name, found in report.ratios.items() if _is_lost(name, found.value)]:
        yield "\n**Where a peer is ahead:** " + "; ".join(f"{found.what} ({found.value:.3g})" for found in lost) + "."
    yield "\n| case/subject, median turn | requests/s | p50, ms | p99, ms | CPU a request, us | errors |"
    yield "|---|---|---|---|---|---|"
    for label, turns in report.turns.items():
        middle = statistics.median_low(turn.requests_per_second for turn in turns)
        turn = next(one for one in turns if one.requests_per_second == middle)
        times = " | ".join("-" if value is None else f"{value:,.2f}" for value in (turn.p50_ms, turn.p99_ms))
        yield f"| {label} | {turn.requests_per_second:,.0f} | {times} | {turn.cpu_us:,.0f} | {turn.errors} |"
    if report.left_out:
        yield "\nLeft out: " + "; ".join(f"{case}, {why}" for case, why in report.left_out.items()) + "."
    yield ""


def _circumstances(report: ServingReport) -> str:
    machine = report.machine
    told = (
        f"A {report.mode} run of {report.seconds / 60:.0f} minutes on {machine.cores} cores; "
        f"ONNX file of {machine.model_bytes / 1000:.0f} kB; turns of {report.seconds_a_turn:g} s."
    )
    if report.others > QUIET:
        told += f" Other programs took {report.others:.0%} of the machine meanwhile: only ratios say something."
    return told


def _is_lost(name: str, value: float | None) -> bool:
    """Whether a peer is ahead in this ratio. Bare uvicorn and ONNX Runtime alone are limits, no peers."""
    if value is None or not name.endswith(("_to_fastapi", "_to_mlserver")):
        return False
    return value > 1 if "p99" in name or "cpu" in name else value < 1


def main() -> None:
    report = read_report(REPORT, ServingReport)
    write_atomic(PICTURE, draw(report))
    write_atomic(DOCUMENT, fill(DOCUMENT.read_text(), report).encode())


if __name__ == "__main__":
    main()
