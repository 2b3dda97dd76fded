"""Stage `compress`: a small int8 student, and whether it may take its teacher's place.

All of it happens twice. On the networks that did not see the last month, that month decides: the student is released
when it loses no more than `max_auc_loss` to its teacher. Then student and twin are made anew from the final teacher.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch

from contracts.files import write_atomic, write_json
from contracts.params import Params
from contracts.reference import REFERENCE_ROWS, Reference, pack
from models.compress import Stage, compress
from models.distill import distillation_rows
from models.export import to_onnx
from models.network import count_parameters
from models.score import score
from models.train import Epoch, Rows
from monitoring.statistics import quality
from monitoring.statistics.quality import Interval, Quality
from pipelines import checkpoint
from pipelines.dataset import Flights, read_flights, split

logger = logging.getLogger(__name__)

Released = Literal["student", "teacher"]
MAX_BYTES: Final[dict[Released, int]] = {"student": 100_000, "teacher": 1_000_000}
_ROUNDS: Final = 2000  # of the bootstrap


@dataclass(frozen=True, slots=True)
class Family:
    """One phase's models, each with what it went through; the last stage is the file."""

    teacher: tuple[Stage, ...]
    student: tuple[Stage, ...]
    twin: tuple[Stage, ...]


def main(root: Path, params: Params) -> None:
    """
    Raises:
        DataError: an input is missing or damaged.
        ParameterError: `as_of` leaves nothing to learn from.
    """
    torch.set_num_threads(1)  # as in `train`
    parts = split(read_flights(root), params.as_of)
    chosen = make_family(root / "artifacts/train", "selection", parts.fit, params)
    scores = {name: _score(stages[-1], parts.validation) for name, stages in _members(chosen).items()}
    final = make_family(root / "artifacts/train", "final", parts.refit, params)
    for name, stages in _members(final).items():
        write_atomic(root / f"artifacts/compress/{name}.onnx", stages[-1].model)

    write_atomic(root / "artifacts/compress/reference.npz", _reference(parts.refit, params.train.seed))

    loss = _difference(parts.validation, scores["teacher"], scores["student"])
    size = len(final.student[-1].model)
    released, reason = decide(loss, size, params.compress.max_auc_loss)
    logger.info("Released: the %s. %s", released, reason)
    models = {name: _told(stages[-1], scores[name], parts.validation) for name, stages in _members(final).items()}
    write_json(
        root / "reports/compression.json",
        models
        | {
            "as_of": params.as_of.isoformat(),
            "released": released,
            "reason": reason,
            "limits": {"max_auc_loss": params.compress.max_auc_loss, "max_bytes": MAX_BYTES[released]},
            "auc_loss": asdict(loss),
            "auc_gain_over_twin": asdict(_difference(parts.validation, scores["student"], scores["twin"])),
            "steps": {
                name: _steps(stages, parts.validation)
                for name, stages in (("student", chosen.student), ("twin", chosen.twin))
            },
        },
    )


def decide(loss: Interval, size: int, max_auc_loss: float) -> tuple[Released, str]:
    """Which model is released, and why.

    Args:
        loss: AUC of the teacher less AUC of the student, on the validation month.
        size: bytes of the student.
    """
    found = f"The student loses {loss.difference:.4f} AUC (95 % interval {loss.low:.4f} to {loss.high:.4f})"
    if loss.difference > max_auc_loss:
        return "teacher", f"{found}, more than the {max_auc_loss:g} allowed."
    if size > MAX_BYTES["student"]:
        return "teacher", f"{found}, but takes {size} bytes, more than the {MAX_BYTES['student']} allowed."
    return "student", f"{found}, at most the {max_auc_loss:g} allowed, and takes {size} bytes."


def make_family(folder: Path, phase: Literal["selection", "final"], flights: Flights, params: Params) -> Family:
    """Teacher, student and twin of one phase.

    Args:
        folder: of the trained teachers.
        flights: the labelled ones that the phase's teacher was trained on.
    """
    teacher, vocabulary = checkpoint.load(folder, phase)
    seed = params.train.seed
    labels = flights.rows(vocabulary)
    count = min(params.compress.calibration_rows, len(flights))
    chosen = np.random.default_rng(seed).choice(len(flights), count, replace=False)
    calibration = flights.numeric[chosen], flights.category[chosen]

    def small(name: str, targets: Rows) -> tuple[Stage, ...]:
        return compress(targets, calibration, vocabulary, params.compress, seed, _report(f"{phase} {name}"))

    soft = distillation_rows(teacher, labels.numeric, labels.code, params.compress.noise_copies, seed)
    logger.info("%s: the teacher labelled %d rows of %d flights", phase, len(soft.target), len(flights))
    whole = Stage("trained", count_parameters(teacher), to_onnx(teacher, vocabulary))
    return Family((whole,), small("student", soft), small("twin", labels))


def _told(stage: Stage, scores: Any, flights: Flights) -> dict[str, Any]:
    """Size of a final model, and the quality of its like in the phase that chooses."""
    return asdict(quality.measure(flights.late, scores)) | {
        "auc_low": quality.auc_low(flights.late, scores, flights.day, _ROUNDS),
        "bytes": len(stage.model),
        "parameters": stage.parameters,
    }


def _reference(flights: Flights, seed: int) -> bytes:
    """A fixed sample of what the final models were trained on."""
    count = min(REFERENCE_ROWS, len(flights))
    chosen = np.sort(np.random.default_rng(seed).choice(len(flights), count, replace=False))
    return pack(Reference(flights.numeric[chosen], flights.category[chosen]))


def _members(family: Family) -> dict[str, tuple[Stage, ...]]:
    return {"teacher": family.teacher, "student": family.student, "twin": family.twin}


def _report(name: str) -> Callable[[str, Epoch], None]:
    return lambda step, epoch: logger.info("%s, %s, epoch %d: loss %.4f", name, step, epoch.number, epoch.train_loss)


def _score(stage: Stage, flights: Flights) -> Any:
    return score(stage.model, flights.numeric, flights.category)


def _difference(flights: Flights, a: Any, b: Any) -> Interval:
    return quality.auc_difference_interval(flights.late, a, b, flights.day, _ROUNDS)


def _steps(stages: tuple[Stage, ...], flights: Flights) -> list[dict[str, Any]]:
    def measured(stage: Stage) -> Quality:
        return quality.measure(flights.late, _score(stage, flights))

    return [{"step": s.step, "parameters": s.parameters, "bytes": len(s.model), "auc": measured(s).auc} for s in stages]
