"""reports/compression.json: what the student lost on its way, and which model is released."""

from typing import Literal

import msgspec

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


class ScorerReport(Part, frozen=True):
    """The reference scorer: size of the final file, and its like of the selection on the validation month.

    Attributes:
        paired_loss: mean over days of the released model's log-loss less the scorer's, on the same rows, in nats;
            negative: the model is better.
        paired_loss_day_sd: standard deviation over the days; None of a single one.
        days: of the validation month.
        release: what later days are held against, by the names of `monitoring.statistics.expectation.to_metrics`;
            nothing where the month has too few days with labels.
    """

    bytes: int
    trees: int
    auc: float | None
    log_loss: float
    paired_loss: float
    paired_loss_day_sd: float | None
    days: int
    release: dict[str, float] = msgspec.field(default_factory=dict)

    def expected(self) -> dict[str, float]:
        """For the manifest: what a sound release is to its reference scorer."""
        values = {
            "reference_auc": self.auc,
            "paired_loss": self.paired_loss,
            "paired_loss_day_sd": self.paired_loss_day_sd,
        }
        return {name: value for name, value in values.items() if value is not None} | self.release


class CompressionReport(Part, frozen=True):
    """The decision, and what it rests on.

    Attributes:
        auc_loss: AUC of the teacher less that of the student.
        auc_gain_over_control: AUC of the student less that of the control, the same net trained on labels.
    """

    format: Literal[2]
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
    scorer: ScorerReport

    def of(self, name: Released) -> ModelReport:
        """The model of this name."""
        return self.student if name == "student" else self.teacher
