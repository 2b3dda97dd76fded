"""Stage `compress`: a small int8 student, and whether it may take its teacher's place.

All of it happens twice. On the networks that did not see the last month, that month decides: the student is released
when it loses no more than `max_auc_loss` to its teacher. Then student and control are made anew from the final teacher.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

import msgspec
import numpy as np
import torch
from pydantic import Field

from contracts.artifact import REFERENCE, SCORER, Released
from contracts.files import write_atomic
from contracts.objectives import load_objectives
from contracts.reference import REFERENCE_ROWS, Reference, pack
from contracts.reports import write_report
from contracts.reports.compression import CompressionReport, Limits, ModelReport, StepReport, Steps
from contracts.reports.quality import Interval
from contracts.workspace import Workspace
from models.compress import CompressionSettings, Step, compress
from models.distill import distillation_rows
from models.export import to_onnx
from models.network import count_parameters
from models.score import score
from models.train import Epoch, TrainingRows
from monitoring.statistics import quality
from pipelines import checkpoint
from pipelines.dataset import Dataset, read_dataset, split
from pipelines.params_yaml import Section
from pipelines.reference_scorer import ReferenceScorer, make_reference_scorer
from tasks import load_schema

logger = logging.getLogger(__name__)

_ROUNDS: Final = 2000  # of the bootstrap


class Parameters(Section):
    """The student: distilled, pruned by whole units, quantised to static int8."""

    hidden: list[int] = Field(min_length=1)
    prune: float = Field(ge=0, lt=1, description="share of each hidden layer's units that is cut")
    bins: int = Field(ge=2, le=256)
    epochs: int = Field(ge=1)
    finetune_epochs: int = Field(ge=0)
    learning_rate: float = Field(gt=0)
    noise_copies: int = Field(ge=0)
    calibration_rows: int = Field(ge=1)
    max_auc_loss: float = Field(ge=0, description="AUC on the validation month")

    def settings(self) -> CompressionSettings:
        """For the treatment of student and control."""
        return CompressionSettings(
            hidden=tuple(self.hidden),
            prune=self.prune,
            bins=self.bins,
            epochs=self.epochs,
            finetune_epochs=self.finetune_epochs,
            learning_rate=self.learning_rate,
        )


@dataclass(frozen=True, slots=True)
class Family:
    """One phase's models, each with the steps that it went through; the last step is the file."""

    teacher: tuple[Step, ...]
    student: tuple[Step, ...]
    control: tuple[Step, ...]

    def members(self) -> dict[str, tuple[Step, ...]]:
        """By name."""
        return {"teacher": self.teacher, "student": self.student, "control": self.control}


def main(workspace: Workspace, *, task: str, as_of: date, seed: int, parameters: Parameters) -> None:
    """Write artifacts/compress, and which model is released.

    Raises:
        DataError: an input is missing or damaged.
        ParameterError: `as_of` leaves nothing to learn from, or objectives.yaml sets what it may not.
    """
    torch.set_num_threads(1)  # as in `train`
    schema = load_schema(task)
    parts = split(read_dataset(workspace, schema), as_of, schema)
    chosen = make_family(workspace, "selection", parts.fit, parameters, seed)
    final = make_family(workspace, "final", parts.refit, parameters, seed)
    for name, steps in final.members().items():
        write_atomic(workspace.compressed / f"{name}.onnx", steps[-1].model)
    write_atomic(workspace.compressed / REFERENCE, _reference(parts.refit, seed))
    scorer = make_reference_scorer(parts, schema)
    write_atomic(workspace.compressed / SCORER, scorer.model)
    objectives = load_objectives(workspace.objectives)
    sizes: dict[Released, int] = {"student": objectives.student_bytes, "teacher": objectives.teacher_bytes}
    limits = {name: Limits(parameters.max_auc_loss, size) for name, size in sizes.items()}
    report = _report(as_of, limits, parts.validation, chosen, final, scorer)
    logger.info("Released: the %s. %s", report.released, report.reason)
    write_report(workspace.report("compression"), report)


def decide(loss: Interval, size: int, limits: Limits) -> tuple[Released, str]:
    """Which model is released, and why.

    Args:
        loss: AUC of the teacher less AUC of the student, on the validation month.
        size: bytes of the student.
        limits: of the student.
    """
    found = f"The student loses {loss.difference:.4f} AUC (95 % interval {loss.low:.4f} to {loss.high:.4f})"
    if loss.difference > limits.max_auc_loss:
        return "teacher", f"{found}, more than the {limits.max_auc_loss:g} allowed."
    if size > limits.max_bytes:
        return "teacher", f"{found}, but takes {size} bytes, more than the {limits.max_bytes} allowed."
    return "student", f"{found}, at most the {limits.max_auc_loss:g} allowed, and takes {size} bytes."


def make_family(
    workspace: Workspace, phase: Literal["selection", "final"], rows: Dataset, parameters: Parameters, seed: int
) -> Family:
    """Teacher, student and control of one phase.

    Args:
        rows: the labelled ones that the phase's teacher was trained on.
    """
    teacher, vocabulary = checkpoint.load(workspace.trained, phase)
    labels = rows.training_rows(vocabulary)
    count = min(parameters.calibration_rows, len(rows))
    chosen = np.random.default_rng(seed).choice(len(rows), count, replace=False)
    calibration = rows.numeric[chosen], rows.category[chosen]

    def small(name: str, targets: TrainingRows) -> tuple[Step, ...]:
        return compress(targets, calibration, vocabulary, parameters.settings(), seed, _progress(f"{phase} {name}"))

    soft = distillation_rows(teacher, labels.numeric, labels.code, parameters.noise_copies, seed)
    logger.info("%s: the teacher labelled %d rows, made of %d", phase, len(soft.target), len(rows))
    whole = Step("trained", count_parameters(teacher), to_onnx(teacher, vocabulary))
    return Family((whole,), small("student", soft), small("control", labels))


def _report(
    as_of: date,
    limits: Mapping[Released, Limits],
    validation: Dataset,
    chosen: Family,
    final: Family,
    scorer: ReferenceScorer,
) -> CompressionReport:
    """The decision, on the models of the phase that chooses, and the sizes of the final ones."""
    scores = {name: _score(steps[-1], validation) for name, steps in chosen.members().items()}

    def difference(a: str, b: str) -> Interval:
        return quality.auc_difference_interval(validation.label, scores[a], scores[b], validation.day, _ROUNDS)

    loss = difference("teacher", "student")
    released, reason = decide(loss, len(final.student[-1].model), limits["student"])
    models = {name: _model_report(steps[-1], scores[name], validation) for name, steps in final.members().items()}
    return CompressionReport(
        format=2,
        as_of=as_of.isoformat(),
        released=released,
        reason=reason,
        limits=limits[released],
        auc_loss=loss,
        auc_gain_over_control=difference("student", "control"),
        steps=Steps(_steps(chosen.student, validation), _steps(chosen.control, validation)),
        scorer=scorer.report(validation, scores[released]),
        **models,
    )


def _model_report(step: Step, scores: Any, validation: Dataset) -> ModelReport:
    """Size of a final model, and the quality of its like in the phase that chooses."""
    return ModelReport(
        **msgspec.structs.asdict(quality.measure(validation.label, scores)),
        auc_low=quality.auc_low(validation.label, scores, validation.day, _ROUNDS),
        bytes=len(step.model),
        parameters=step.parameters,
    )


def _steps(steps: tuple[Step, ...], validation: Dataset) -> list[StepReport]:
    return [
        StepReport(s.name, s.parameters, len(s.model), quality.measure(validation.label, _score(s, validation)).auc)
        for s in steps
    ]


def _score(step: Step, rows: Dataset) -> Any:
    return score(step.model, rows.numeric, rows.category)


def _reference(rows: Dataset, seed: int) -> bytes:
    """A fixed sample of what the final models were trained on."""
    count = min(REFERENCE_ROWS, len(rows))
    chosen = np.sort(np.random.default_rng(seed).choice(len(rows), count, replace=False))
    return pack(Reference(rows.numeric[chosen], rows.category[chosen]))


def _progress(name: str) -> Callable[[str, Epoch], None]:
    return lambda step, epoch: logger.info("%s, %s, epoch %d: loss %.4f", name, step, epoch.number, epoch.train_loss)
