"""The training loop: AdamW on binary cross-entropy, with an average of the weights as the result.

It trains teacher, student and control alike: a target is a label (0 or 1) or a teacher's probability. It reports by
callback and is handed its score function, so it knows nothing of files, tracking or metrics.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from contracts.schema import Numeric
from models.network import Network
from models.preprocess import UNKNOWN, Codes

_AVERAGE_DECAY: Final = 0.995  # of the weights' moving average: a memory of about 200 steps
_PREDICT_ROWS: Final = 4096
Probability = NDArray[np.float32]  # [n]
Score = Callable[[NDArray[np.float32], Probability], float]  # (target, probability) -> higher is better


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Inputs with what is to be learned from them."""

    numeric: Numeric  # [n, k], NaN is missing
    code: Codes  # [n, c]
    target: NDArray[np.float32]  # [n] in [0, 1]


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How `fit` trains.

    Attributes:
        one_cycle: the learning rate rises and falls (Smith 2018) over a known number of epochs; otherwise it is
            constant, so that every epoch is a fair place to stop.
        unknown_share: of the codes, hidden in training, so that an unknown category gets a sensible score.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int
    one_cycle: bool = False
    unknown_share: float = 0.02


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch reports; validation's values are None when there are no validation rows."""

    number: int  # from 1
    train_loss: float
    validation_loss: float | None
    validation_score: float | None


def fit(
    network: Network,
    rows: TrainingRows,
    settings: TrainingSettings,
    *,
    on_epoch: Callable[[Epoch], None],
    validation: TrainingRows | None = None,
    score: Score | None = None,
) -> Network:
    """Train a copy of `network`.

    Returns:
        The averaged weights after the last epoch; with `score`, after the epoch that scores best on `validation`.
    """
    current = copy.deepcopy(network)
    averaged = best = network
    best_score = -np.inf
    generator = torch.Generator().manual_seed(settings.seed)
    average = torch.optim.swa_utils.AveragedModel(current, multi_avg_fn=_average)
    optimizer = torch.optim.AdamW(
        current.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    scheduler = _scheduler(optimizer, settings, len(rows.target))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)  # dropout draws from the global generator
        for number in range(1, settings.epochs + 1):
            train_loss = _run_epoch(current, average, optimizer, scheduler, _batches(rows, settings, generator))
            averaged = cast(Network, copy.deepcopy(average.module)).eval()
            epoch = Epoch(number, train_loss, *_validate(averaged, validation, score))
            on_epoch(epoch)
            if epoch.validation_score is not None and epoch.validation_score > best_score:
                best, best_score = averaged, epoch.validation_score
    return averaged if score is None else best


def predict(network: Network, numeric: Numeric, code: Codes) -> Probability:
    """Probabilities [n] of the positive outcome."""
    network.eval()
    with torch.inference_mode():
        parts = [
            torch.sigmoid(network(torch.from_numpy(numeric[i:j]), torch.from_numpy(code[i:j])))
            for i, j in _slices(len(numeric))
        ]
    return np.concatenate([part.numpy() for part in parts])


def _run_epoch(
    network: Network,
    average: torch.optim.swa_utils.AveragedModel,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    batches: Iterator[tuple[Tensor, Tensor, Tensor]],
) -> float:
    """Mean loss over the rows."""
    network.train()
    total, count = 0.0, 0
    for numeric, code, target in batches:
        loss = functional.binary_cross_entropy_with_logits(network(numeric, code), target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
        optimizer.step()
        scheduler.step()
        average.update_parameters(network)
        total += loss.item() * len(target)
        count += len(target)
    return total / count


def _batches(
    rows: TrainingRows, settings: TrainingSettings, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    numeric, code, target = (torch.from_numpy(a) for a in (rows.numeric, rows.code, rows.target))
    order = torch.randperm(len(target), generator=generator)
    for start in range(0, len(order), settings.batch_size):
        index = order[start : start + settings.batch_size]
        hidden = torch.rand(len(index), code.shape[1], generator=generator) < settings.unknown_share
        yield numeric[index], code[index].masked_fill(hidden, UNKNOWN), target[index]


def _scheduler(
    optimizer: torch.optim.Optimizer, settings: TrainingSettings, rows: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if not settings.one_cycle:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    steps = settings.epochs * -(-rows // settings.batch_size)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.learning_rate, total_steps=max(steps, 1), cycle_momentum=False
    )


def _average(averaged: Any, current: Any, count: Any) -> None:
    """Moving average in place; short at first, so that the first weights are soon forgotten."""
    steps = float(count)
    weight = 1 - min(_AVERAGE_DECAY, (1 + steps) / (10 + steps))
    for mean, value in zip(averaged, current, strict=True):
        mean.lerp_(value, weight)


def _validate(
    network: Network, validation: TrainingRows | None, score: Score | None
) -> tuple[float | None, float | None]:
    if validation is None:
        return None, None
    probability = predict(network, validation.numeric, validation.code)
    loss = functional.binary_cross_entropy(torch.from_numpy(probability), torch.from_numpy(validation.target))
    return loss.item(), None if score is None else score(validation.target, probability)


def _slices(rows: int) -> Iterator[tuple[int, int]]:
    return ((i, min(i + _PREDICT_ROWS, rows)) for i in range(0, rows, _PREDICT_ROWS))
