"""From a teacher to a small int8 file: a student is trained, loses its least important units, and is quantised.

The *student* learns the teacher's probabilities, on real and on perturbed rows. Its *twin*, the same network with the
same treatment, learns the labels of the real rows instead (nobody can label a perturbed one): what the twin lacks is
what distillation brings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.features import Category, Numeric
from contracts.params import Compress
from models.export import to_onnx
from models.network import EMBEDDING_WIDTH, Architecture, build, count_parameters
from models.preprocess import Vocabulary, fit_bins
from models.prune import prune
from models.quantize import quantize
from models.train import Epoch, Rows, Settings, fit

_BATCH_SIZE: Final = 1024
_WEIGHT_DECAY: Final = 2e-4
_FINETUNE_SPEED: Final = 0.3  # of the learning rate: the net is nearly right
_PRUNING_ROWS: Final = 16_384  # enough to rank a few hundred units

OnEpoch = Callable[[str, Epoch], None]  # ("train" or "fine-tune", epoch)


@dataclass(frozen=True, slots=True)
class Stage:
    """The net after one step, as ONNX."""

    step: str
    parameters: int
    model: bytes


def compress(
    targets: Rows,
    calibration: tuple[Numeric, Category],
    vocabulary: Vocabulary,
    params: Compress,
    seed: int,
    on_epoch: OnEpoch,
) -> tuple[Stage, ...]:
    """Train, prune, fine-tune and quantise; the last stage is the result.

    Args:
        targets: what it learns: `models.distill.distillation_rows` for a student, labelled rows for a twin.
        calibration: training rows as the graph gets them, for the activations' ranges.
        vocabulary: the one that `targets.code` was encoded with.
    """
    whole = fit(
        build(_shape(targets, vocabulary, params), fit_bins(calibration[0], params.bins), seed),
        targets,
        _settings(params.epochs, params.learning_rate, seed),
        on_epoch=lambda epoch: on_epoch("train", epoch),
    )
    smaller = prune(whole, _some(targets, seed), params.prune)
    tuned = smaller
    if params.finetune_epochs:
        tuned = fit(
            smaller,
            targets,
            _settings(params.finetune_epochs, params.learning_rate * _FINETUNE_SPEED, seed + 1),
            on_epoch=lambda epoch: on_epoch("fine-tune", epoch),
        )
    steps = (("trained", whole), ("pruned", smaller), ("fine-tuned", tuned))
    stages = [Stage(step, count_parameters(net), to_onnx(net, vocabulary)) for step, net in steps]
    return *stages, Stage("int8", stages[-1].parameters, quantize(stages[-1].model, *calibration))


def _shape(targets: Rows, vocabulary: Vocabulary, params: Compress) -> Architecture:
    return Architecture(
        features=targets.numeric.shape[1],
        bins=params.bins,
        categories=tuple(len(names) for names in vocabulary),
        hidden=tuple(params.hidden),
        bin_width=None,
        embedding_width=EMBEDDING_WIDTH,
        dropout=0.0,
    )


def _settings(epochs: int, learning_rate: float, seed: int) -> Settings:
    return Settings(epochs, _BATCH_SIZE, learning_rate, _WEIGHT_DECAY, seed, one_cycle=True)


def _some(rows: Rows, seed: int) -> Rows:
    count = min(_PRUNING_ROWS, len(rows.target))
    chosen = np.random.default_rng(seed).choice(len(rows.target), count, replace=False)
    return Rows(rows.numeric[chosen], rows.code[chosen], rows.target[chosen])
