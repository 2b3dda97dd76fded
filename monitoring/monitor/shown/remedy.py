"""What to do first: the runbook of the alert that a finding raises, and the first thing it says to mend."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.reports.watching import Question

RUNBOOKS: Final = Path(__file__).parents[3] / "docs/runbooks"
QUESTIONS: Final[dict[Question, str]] = {
    "paired": "ModelWorseThanReference",
    "gap": "QualityGap",
    "calibration": "Miscalibrated",
    "challenger": "RetrainingWouldHelp",
}
DETECTORS: Final[dict[str, str]] = {
    "missing": "ValuesMissing",
    "stale": "StreamEnded",
    "stuck": "ValueStuck",
    "range": "ValueOutOfRange",
    "unit": "UnitChanged",
    "swap": "ColumnsSwapped",
    "clock": "ClockShifted",
    "category": "UnknownNames",
    "volume": "VolumeUnusual",
    "duplicate": "RowsRepeated",
    "labels_missing": "LabelsMissing",
    "labels_late": "LabelsLate",
    "labels_flipped": "LabelsFlipped",
}
UNKNOWN: Final = "QualityUnknown"
SILENT: Final = "MonitorSilent"
DATABASE: Final = "DatabaseDown"
_FIRST: Final = re.compile(r"^## Mend\n+(?:1\.|-) (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Remedy:
    """An alert's name, and the first step of its runbook in plain text."""

    alert: str
    first: str


def runbook(name: str) -> str | None:
    """What to do about an alert, as Markdown; None: there is no such alert."""
    found = RUNBOOKS / f"{name}.md"
    return found.read_text(encoding="utf-8") if name.isalpha() and found.is_file() else None


def remedy(alert: str | None) -> Remedy | None:
    """None: no alert, or one without a runbook here."""
    text = runbook(alert) if alert else None
    step = _FIRST.search(text) if text else None
    if alert is None or step is None:
        return None
    unlinked = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", step[1])
    return Remedy(alert, re.sub(r"[*`]", "", unlinked))
