"""From a teacher to a small int8 file: a student is trained, loses its least important units, and is quantised.

The *student* learns the teacher's probabilities, on real and on perturbed rows. Its *control*, the same network with
the same treatment, learns the labels of the real rows instead (nobody can label a perturbed one): what the control
lacks is what distillation brings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.schema import Category, Numeric
from models.export import to_onnx
from models.network import EMBEDDING_WIDTH, Architecture, build, count_parameters
from models.preprocess import Vocabulary, fit_bins
from models.prune import prune
from models.quantize import quantize
from models.train import Epoch, TrainingRows, TrainingSettings, fit

_BATCH_SIZE: Final = 1024
_WEIGHT_DECAY: Final = 2e-4
_FINETUNE_SPEED: Final = 0.3  # of the learning rate: the net is nearly right
_PRUNING_ROWS: Final = 16_384  # enough to rank a few hundred units

OnEpoch = Callable[[str, Epoch], None]  # ("train" or "fine-tune", epoch)


@dataclass(frozen=True, slots=True)
class CompressionSettings:
    """How student and control are made.

    Attributes:
        hidden: units of each hidden layer, before pruning.
        prune: share of each hidden layer's units that is cut.
        bins: of the piecewise-linear encoding.
        finetune_epochs: after pruning; 0 leaves it out.
    """

    hidden: tuple[int, ...]
    prune: float
    bins: int
    epochs: int
    finetune_epochs: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Step:
    """The net after one step, as ONNX."""

    name: str  # "trained", "pruned", "fine-tuned" or "int8"
    parameters: int
    model: bytes


def compress(
    targets: TrainingRows,
    calibration: tuple[Numeric, Category],
    vocabulary: Vocabulary,
    settings: CompressionSettings,
    seed: int,
    on_epoch: OnEpoch,
) -> tuple[Step, ...]:
    """Train, prune, fine-tune and quantise; the last step is the result.

    Args:
        targets: what it learns: `models.distill.distillation_rows` for a student, labelled rows for a control.
        calibration: training rows as the graph gets them, for the activations' ranges.
        vocabulary: the one that `targets.code` was encoded with.
    """
    whole = fit(
        build(_shape(targets, vocabulary, settings), fit_bins(calibration[0], settings.bins), seed),
        targets,
        _training(settings.epochs, settings.learning_rate, seed),
        on_epoch=lambda epoch: on_epoch("train", epoch),
    )
    smaller = prune(whole, _some(targets, seed), settings.prune)
    tuned = smaller
    if settings.finetune_epochs:
        tuned = fit(
            smaller,
            targets,
            _training(settings.finetune_epochs, settings.learning_rate * _FINETUNE_SPEED, seed + 1),
            on_epoch=lambda epoch: on_epoch("fine-tune", epoch),
        )
    steps = (("trained", whole), ("pruned", smaller), ("fine-tuned", tuned))
    told = [Step(name, count_parameters(net), to_onnx(net, vocabulary)) for name, net in steps]
    return *told, Step("int8", told[-1].parameters, quantize(told[-1].model, *calibration))


def _shape(targets: TrainingRows, vocabulary: Vocabulary, settings: CompressionSettings) -> Architecture:
    return Architecture(
        features=targets.numeric.shape[1],
        bins=settings.bins,
        categories=tuple(len(names) for names in vocabulary),
        hidden=settings.hidden,
        bin_width=None,
        embedding_width=EMBEDDING_WIDTH,
        dropout=0.0,
    )


def _training(epochs: int, learning_rate: float, seed: int) -> TrainingSettings:
    return TrainingSettings(epochs, _BATCH_SIZE, learning_rate, _WEIGHT_DECAY, seed, one_cycle=True)


def _some(rows: TrainingRows, seed: int) -> TrainingRows:
    count = min(_PRUNING_ROWS, len(rows.target))
    chosen = np.random.default_rng(seed).choice(len(rows.target), count, replace=False)
    return TrainingRows(rows.numeric[chosen], rows.code[chosen], rows.target[chosen])
