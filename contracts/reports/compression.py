"""reports/compression.json: what the student lost on its way, and which model is released."""

from typing import Literal

from contracts.artifact import Released
from contracts.reports import Part
from contracts.reports.quality import Interval, Quality


class StepReport(Part, frozen=True):
    """A network after one step, measured on the validation month."""

    step: str
    parameters: int
    bytes: int
    auc: float | None


class ModelReport(Quality, frozen=True):
    """Size of a final file, and the quality of its like that did not see the validation month, on that month.

    Attributes:
        auc_low: 2.5th percentile of the AUC's bootstrap distribution.
    """

    auc_low: float
    bytes: int
    parameters: int


class Limits(Part, frozen=True):
    """Of the released model: AUC that it may lose to its teacher, and size of its file."""

    max_auc_loss: float
    max_bytes: int


class Steps(Part, frozen=True):
    """What each small network went through, in order."""

    student: list[StepReport]
    control: list[StepReport]


class CompressionReport(Part, frozen=True):
    """The decision, and what it rests on.

    Attributes:
        auc_loss: AUC of the teacher less that of the student.
        auc_gain_over_control: AUC of the student less that of the control, the same net trained on labels.
    """

    format: Literal[1]
    as_of: str
    released: Released
    reason: str
    limits: Limits
    auc_loss: Interval
    auc_gain_over_control: Interval
    teacher: ModelReport
    student: ModelReport
    control: ModelReport
    steps: Steps

    def of(self, name: Released) -> ModelReport:
        """The model of this name."""
        return self.student if name == "student" else self.teacher
