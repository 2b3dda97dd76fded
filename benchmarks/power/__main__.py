"""Run the study; see the package's text."""

import argparse
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.power import losses, picture, quiet
from benchmarks.power.scores import Scored, read_scores
from contracts.files import write_json
from contracts.workspace import Workspace
from monitoring.expected import limits
from monitoring.statistics import quality

REPORT: Final = Path("reports/benchmarks/power.json")
PICTURE: Final = Path("docs/benchmarks/power.png")


def study(before: Scored, after: Scored, years: int, slice_years: int) -> dict[str, Any]:
    """The report, as plain JSON data.

    Args:
        before: rows that the release was chosen on, scored by models that did not see them.
        after: rows that came later, in health.
        years: of resampled health.
        slice_years: of these, for the windows of slices.
    """
    release, days = before.release(), after.days()
    if release.loss is None or release.score is None:
        raise ValueError("the month before `as_of` must have at least 14 days with labels; take an earlier `as_of`")
    return {
        "what": "false alarms of the quality instruments in health, coverage of the estimate, power against a loss",
        "rows": {"release": len(before.label), "later": len(after.label)},
        "auc": {
            "model": round(quality.auc(after.label, after.model), 4),
            "reference": round(quality.auc(after.label, after.reference), 4),
        },
        "release": {"loss": asdict(release.loss), "score": asdict(release.score), "slices": len(release.slices)},
        "limits": {name: value for name, value in vars(limits).items() if name.isupper()},
        "half_year": quiet.half_year(days, release),
        "quiet_years": quiet.quiet_years(days, release, years, slice_years).report(),
        "coverage": quiet.coverage(days),
        "power": losses.power(after, days, release),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="False alarms, coverage and power of the instruments of quality")
    parser.add_argument("--workspace", type=Path, default=Path())
    parser.add_argument("--short", action="store_true", help="50 quiet years in place of 1,000; nothing is written")
    given = parser.parse_args()
    workspace = Workspace(given.workspace)
    params = yaml.safe_load(workspace.params.read_text(encoding="utf-8"))
    before, after = read_scores(workspace, params["task"], date.fromisoformat(params["as_of"]))
    found = study(before, after, *((50, 5) if given.short else (1_000, 100)))
    for part in ("half_year", "quiet_years", "coverage", "power"):
        print(part, *(f"  {name}: {value}" for name, value in found[part].items()), sep="\n")
    if not given.short:
        write_json(REPORT, found)
        picture.draw(PICTURE, losses.curve(after, after.days(), before.release()))


if __name__ == "__main__":
    main()
