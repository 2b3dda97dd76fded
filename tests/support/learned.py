"""A small made world with known laws, and the models that learned it: for tests of learning, not of flights."""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from contracts.features import CATEGORY, NUMERIC, NUMERIC_NAMES, Category, Numeric
from contracts.params import Compress
from models.compress import Stage, compress
from models.distill import distillation_rows
from models.network import Architecture, Network, build
from models.preprocess import Vocabulary, encode, fit_bins, fit_vocabulary
from models.train import Rows, Settings, fit

CARRIERS = {"AA": -0.8, "B6": 0.8, "DL": -0.4, "UA": 0.4}  # and what each adds to the logit
DELAY = NUMERIC_NAMES.index("origin_dep_delay_1h")  # raises the risk
VISIBILITY = NUMERIC_NAMES.index("visib")  # lowers it
DISTANCE = NUMERIC_NAMES.index("distance")  # does nothing
PARAMS = Compress(
    hidden=[32, 32],
    prune=0.25,
    bins=4,
    epochs=25,
    finetune_epochs=5,
    learning_rate=0.01,
    noise_copies=1,
    calibration_rows=1000,
    max_auc_loss=0.002,
)


@dataclass(frozen=True)
class World:
    numeric: Numeric
    category: Category
    late: NDArray[np.float32]


def world(rows: int, seed: int) -> World:
    """Numbers within their contract, a tenth of the nullable ones missing; labels by the laws above."""
    rng = np.random.default_rng(seed)
    low = np.array([f.low for f in NUMERIC], np.float32)
    high = np.array([min(f.high or 0, 500) if f.unit == "minutes" else f.high for f in NUMERIC], np.float32)
    numeric = (low + (high - low) * rng.beta(2, 3, (rows, len(NUMERIC)))).astype(np.float32)
    logit = 0.012 * (numeric[:, DELAY] - 90) - 0.03 * (numeric[:, VISIBILITY] - 40) - 1
    names = rng.choice(list(CARRIERS), rows)
    logit += np.array([CARRIERS[name] for name in names])
    nullable = np.array([f.nullable for f in NUMERIC])
    numeric[(rng.random(numeric.shape) < 0.1) & nullable] = np.nan
    category = np.empty((rows, len(CATEGORY)), object)
    category[:, 0] = names
    category[:, 1] = rng.choice(["EWR", "JFK", "LGA"], rows)
    category[:, 2] = rng.choice(["ATL", "BOS", "LAX", "ORD", "SJU"], rows)
    return World(numeric, category, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.float32))


@dataclass(frozen=True)
class Learned:
    world: World  # what it learned from
    vocabulary: Vocabulary
    rows: Rows
    teacher: Network
    student: tuple[Stage, ...]


@functools.cache
def learned() -> Learned:
    """A teacher and its student; 3 s, once a session."""
    torch.set_num_threads(1)  # as the stages do
    seen = world(4000, seed=1)
    vocabulary = fit_vocabulary(seen.category)
    rows = Rows(seen.numeric, encode(seen.category, vocabulary), seen.late)
    shape = Architecture(
        features=len(NUMERIC),
        bins=8,
        categories=tuple(len(names) for names in vocabulary),
        hidden=(32, 32),
        bin_width=4,
        embedding_width=4,
        dropout=0.2,
    )
    settings = Settings(epochs=6, batch_size=128, learning_rate=0.003, weight_decay=1e-3, seed=0)
    teacher = fit(build(shape, fit_bins(seen.numeric, 8), 0), rows, settings, on_epoch=lambda _: None)
    targets = distillation_rows(teacher, rows.numeric, rows.code, PARAMS.noise_copies, seed=0)
    calibration = seen.numeric[:1000], seen.category[:1000]
    student = compress(targets, calibration, vocabulary, PARAMS, 0, lambda _step, _epoch: None)
    return Learned(seen, vocabulary, rows, teacher, student)
