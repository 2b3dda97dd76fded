"""A small made world with known laws, and the models that learned it: for tests of learning, not of flights."""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contracts.schema import Category, Numeric
from models.compress import CompressionSettings, Step, compress
from models.distill import distillation_rows
from models.network import Architecture, Network, build
from models.preprocess import Vocabulary, encode, fit_bins, fit_vocabulary
from models.train import TrainingRows, TrainingSettings, fit
from tasks.flights.schema import SCHEMA

CARRIERS = {"AA": -0.8, "B6": 0.8, "DL": -0.4, "UA": 0.4}  # and what each adds to the logit
DELAY = SCHEMA.numeric_names.index("origin_dep_delay_1h")  # raises the risk
VISIBILITY = SCHEMA.numeric_names.index("visib")  # lowers it
DISTANCE = SCHEMA.numeric_names.index("distance")  # does nothing
COPIES = 1  # perturbed ones of each row that the teacher labels
SETTINGS = CompressionSettings(
    hidden=(32, 32),
    prune=0.25,
    bins=4,
    epochs=25,
    finetune_epochs=5,
    learning_rate=0.01,
)


@dataclass(frozen=True)
class World:
    numeric: Numeric
    category: Category
    label: NDArray[np.float32]


def world(rows: int, seed: int) -> World:
    """Numbers within their contract, a tenth of the nullable ones missing; labels by the laws above."""
    rng = np.random.default_rng(seed)
    low = np.array([f.low for f in SCHEMA.numeric], np.float32)
    high = np.array([min(f.high, 500) if f.unit == "minutes" else f.high for f in SCHEMA.numeric], np.float32)
    numeric = (low + (high - low) * rng.beta(2, 3, (rows, len(SCHEMA.numeric)))).astype(np.float32)
    logit = 0.012 * (numeric[:, DELAY] - 90) - 0.03 * (numeric[:, VISIBILITY] - 40) - 1
    names = rng.choice(list(CARRIERS), rows)
    logit += np.array([CARRIERS[name] for name in names])
    nullable = np.array([f.nullable for f in SCHEMA.numeric])
    numeric[(rng.random(numeric.shape) < 0.1) & nullable] = np.nan
    category = np.empty((rows, len(SCHEMA.category)), object)
    category[:, 0] = names
    category[:, 1] = rng.choice(["EWR", "JFK", "LGA"], rows)
    category[:, 2] = rng.choice(["ATL", "BOS", "LAX", "ORD", "SJU"], rows)
    return World(numeric, category, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.float32))


@dataclass(frozen=True)
class Learned:
    world: World  # what it learned from
    vocabulary: Vocabulary
    rows: TrainingRows
    teacher: Network
    student: tuple[Step, ...]


@functools.cache
def learned() -> Learned:
    """A teacher and its student; 3 s, once a session."""
    torch.set_num_threads(1)  # as the stages do
    seen = world(4000, seed=1)
    vocabulary = fit_vocabulary(seen.category)
    rows = TrainingRows(seen.numeric, encode(seen.category, vocabulary), seen.label)
    shape = Architecture(
        features=len(SCHEMA.numeric),
        bins=8,
        categories=tuple(len(names) for names in vocabulary),
        hidden=(32, 32),
        bin_width=4,
        embedding_width=4,
        dropout=0.2,
    )
    settings = TrainingSettings(epochs=6, batch_size=128, learning_rate=0.003, weight_decay=1e-3, seed=0)
    teacher = fit(build(shape, fit_bins(seen.numeric, 8), 0), rows, settings, on_epoch=lambda _: None)
    targets = distillation_rows(teacher, rows.numeric, rows.code, COPIES, seed=0)
    calibration = seen.numeric[:1000], seen.category[:1000]
    student = compress(targets, calibration, vocabulary, SETTINGS, 0, lambda _step, _epoch: None)
    return Learned(seen, vocabulary, rows, teacher, student)
