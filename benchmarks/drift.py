"""How often the description of drift calls a feature's week unusual in health, and how well weeks are told apart.

    python -m benchmarks.drift

The released model's yardstick over every week after its as-of date, nothing injected. Writes
reports/benchmarks/drift.json.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from benchmarks.intervals import wilson
from contracts.files import write_json
from contracts.reports.watching import Shift
from contracts.store import load_champion
from contracts.workspace import Workspace
from monitoring.hours.count import Rows, count
from monitoring.hours.yardstick import Yardstick
from monitoring.scorer.codes import features
from monitoring.watch.apart import DAYS, DAYS_BEFORE, ROWS_A_DAY, apart
from monitoring.watch.drift import WEEK, describe
from pipelines.dataset import Dataset, read_dataset
from tasks import load_schema

REPORT: Final = Path("reports/benchmarks/drift.json")
BY_CHANCE: Final = 0.2  # of five exchangeable weeks the newest is the furthest


def weeks(rows: Dataset, yardstick: Yardstick, first: int) -> Iterator[dict[str, Any]]:
    """What is said at the end of each whole week from the hour `first` on."""
    hour = rows.about.astype("datetime64[h]").astype(np.int64)
    nothing = np.full(len(hour), np.nan)
    some = Rows(
        hour, np.arange(len(hour)), np.arange(len(hour)), rows.numeric, rows.category, np.zeros(len(hour)), nothing,
        np.zeros(len(hour), bool),
    )  # fmt: skip
    hours = count(yardstick, some, yardstick.digest, "champion")
    for end in range(first + WEEK - 1, int(hour.max()) + 1, WEEK):
        drift = describe(hours, yardstick, end)
        told = apart(
            [_draw(rows, hour, end - 24 * back, yardstick) for back in range(DAYS + DAYS_BEFORE)],
            yardstick.schema.names,
        )
        yield {"end": str(np.datetime64(end, "h")), "shifts": drift.shifts, "auc": told.auc, "by": told.by}


def _draw(rows: Dataset, hour: np.ndarray[Any, Any], end: int, yardstick: Yardstick) -> np.ndarray[Any, Any]:
    """Features of a bounded draw of the 24 hours that end with this one."""
    day = np.flatnonzero((hour <= end) & (hour > end - 24))
    chosen = np.random.default_rng(end).permutation(day)[:ROWS_A_DAY]
    return features(rows.numeric[chosen], rows.category[chosen], yardstick.names)


def study(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The report, as plain JSON data."""
    shares = [_unusual(week["shifts"]) for week in found]
    names = Counter(shift.feature for week in found for shift in week["shifts"] if shift.unusual)
    aucs = np.array([week["auc"] for week in found if week["auc"] is not None])
    above = sum(share > BY_CHANCE for share in shares)
    return {
        "what": "weeks in health: features whose newest week is further from the four before than any of these is",
        "weeks": len(found),
        "stated_share": BY_CHANCE,
        "unusual_share": round(float(np.mean(shares)), 3),
        "unusual_share_by_week": {week["end"]: round(share, 3) for week, share in zip(found, shares, strict=True)},
        "weeks_above_stated": {"weeks": above, "wilson": [round(end, 3) for end in wilson(above, len(found))]},
        "most_often": dict(names.most_common(8)),
        "told_apart_auc": {f"p{q}": round(float(np.percentile(aucs, q)), 3) for q in (0, 10, 50, 90, 100)},
        "told_by": dict(Counter(week["by"][0][0] for week in found if week["by"]).most_common(5)),
    }


def _unusual(shifts: tuple[Shift, ...]) -> float:
    known = [shift.unusual for shift in shifts if shift.unusual is not None]
    return float(np.mean(known)) if known else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description="How often drift is called unusual in health")
    parser.add_argument("--workspace", type=Path, default=Path())
    workspace = Workspace(parser.parse_args().workspace)
    params = yaml.safe_load(workspace.params.read_text(encoding="utf-8"))
    yardstick = Yardstick.of(load_champion(workspace.store, workspace.public_key))
    rows = read_dataset(workspace, load_schema(params["task"]))
    begin = int(np.datetime64(date.fromisoformat(params["as_of"]), "h").astype(np.int64))
    near = rows.about >= np.datetime64(begin - 5 * WEEK, "h").astype("datetime64[us]")
    report = study(list(weeks(rows.where(near), yardstick, begin)))
    for name, value in report.items():
        print(f"{name}: {value}")
    write_json(REPORT, report)


if __name__ == "__main__":
    main()
