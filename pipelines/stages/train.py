"""Stage `train`: the teacher, twice.

First on the rows known before the last month; that month chooses the number of epochs. Then anew, on all rows known
before `as_of`, for that many epochs. `compress` needs both: it chooses on the first and releases the second.
"""

import logging
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from pydantic import Field

from contracts.reports import write_report
from contracts.reports.training import EpochPoint, PartSizes, RefitPoint, TrainingReport
from contracts.workspace import Workspace
from models.network import EMBEDDING_WIDTH, Architecture, Network, build, count_parameters
from models.preprocess import Vocabulary, fit_bins, fit_vocabulary
from models.train import Epoch, TrainingSettings, fit, predict
from monitoring.statistics import quality
from pipelines import checkpoint
from pipelines.dataset import Dataset, Split, read_dataset, split
from pipelines.params_yaml import Section
from registry import tracking
from tasks import load_schema

logger = logging.getLogger(__name__)


class Parameters(Section):
    """The teacher: an MLP over piecewise-linear encodings (Gorishniy et al. 2022, section 3.2)."""

    hidden: list[int] = Field(min_length=1, description="units of each hidden layer")
    bins: int = Field(ge=2, le=256, description="quantile bins a feature")
    bin_width: int = Field(ge=1, description="numbers that a feature's encoding is projected to")
    dropout: float = Field(ge=0, lt=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    batch_size: int = Field(ge=1)
    epochs: int = Field(ge=1, description="at most; the best one on the validation month is used")

    def settings(self, epochs: int, seed: int) -> TrainingSettings:
        """For the training loop."""
        return TrainingSettings(epochs, self.batch_size, self.learning_rate, self.weight_decay, seed)


def main(
    workspace: Workspace, *, task: str, as_of: date, seed: int, parameters: Parameters, params: Mapping[str, Any]
) -> None:
    """Write artifacts/train, and the run's record in MLflow.

    Args:
        params: the whole of params.yaml, for MLflow's record.

    Raises:
        DataError: data/features.parquet is missing or damaged.
        ParameterError: `as_of` leaves nothing to learn from.
        Unavailable: MLflow cannot be reached.
    """
    torch.set_num_threads(1)  # more would be slower on so small a network, and change the last bits
    schema = load_schema(task)
    parts = split(read_dataset(workspace, schema), as_of, schema)
    with tracking.training_run(workspace, schema, params) as run:
        network, vocabulary, history = _select(workspace.trained, parts, parameters, seed, run)
        # The first of equals, as `fit` keeps it.
        chosen = max(history, key=lambda epoch: (epoch.validation_score or 0.0, -epoch.number)).number
        probability = predict(network, parts.validation.numeric, parts.validation.codes(vocabulary))
        validation = quality.measure(parts.validation.label, probability)
        refit_losses = _refit(workspace.trained, parts, parameters, seed, chosen)
        points = [_point(epoch) for epoch in history]
        write_report(workspace.plots / "training.json", points)
        report = TrainingReport(
            format=1,
            as_of=as_of.isoformat(),
            epochs=chosen,
            parameters=count_parameters(network),
            validation=validation,
            rows=_sizes(parts),
            history=points,
            refit_history=[RefitPoint(number, loss) for number, loss in enumerate(refit_losses, 1)],
        )
        write_report(workspace.report("training"), report)
        run.finish()


def _select(
    folder: Path, parts: Split, parameters: Parameters, seed: int, run: tracking.TrainingRun
) -> tuple[Network, Vocabulary, list[Epoch]]:
    """Write the weights of the epoch that is best on the validation month; tell every epoch."""
    history: list[Epoch] = []

    def on_epoch(epoch: Epoch) -> None:
        history.append(epoch)
        values = msgspec.structs.asdict(_point(epoch))
        run.log_epoch(values.pop("epoch"), values)
        logger.info(
            "epoch %d of %d: train loss %.4f, validation loss %.4f, AUC %.4f",
            *(epoch.number, parameters.epochs, epoch.train_loss, epoch.validation_loss, epoch.validation_score),
        )

    network, vocabulary = _new_network(parts.fit, parameters, seed)
    logger.info("Training on %d rows, choosing on %d", len(parts.fit), len(parts.validation))
    network = fit(
        network,
        parts.fit.training_rows(vocabulary),
        parameters.settings(parameters.epochs, seed),
        on_epoch=on_epoch,
        validation=parts.validation.training_rows(vocabulary),
        score=quality.auc,
    )
    checkpoint.save(folder, "selection", network, vocabulary)
    return network, vocabulary, history


def _refit(folder: Path, parts: Split, parameters: Parameters, seed: int, epochs: int) -> list[float]:
    """Write the final weights; return the loss of each epoch."""
    losses: list[float] = []

    def on_epoch(epoch: Epoch) -> None:
        losses.append(epoch.train_loss)
        logger.info("refit, epoch %d of %d: train loss %.4f", epoch.number, epochs, epoch.train_loss)

    network, vocabulary = _new_network(parts.refit, parameters, seed)
    logger.info("Training anew on all %d rows", len(parts.refit))
    settings = parameters.settings(epochs, seed)
    final = fit(network, parts.refit.training_rows(vocabulary), settings, on_epoch=on_epoch)
    checkpoint.save(folder, "final", final, vocabulary)
    return losses


def _new_network(rows: Dataset, parameters: Parameters, seed: int) -> tuple[Network, Vocabulary]:
    vocabulary = fit_vocabulary(rows.category)
    shape = Architecture(
        features=rows.numeric.shape[1],
        bins=parameters.bins,
        categories=tuple(len(names) for names in vocabulary),
        hidden=tuple(parameters.hidden),
        bin_width=parameters.bin_width,
        embedding_width=EMBEDDING_WIDTH,
        dropout=parameters.dropout,
    )
    return build(shape, fit_bins(rows.numeric, parameters.bins), seed), vocabulary


def _point(epoch: Epoch) -> EpochPoint:
    return EpochPoint(epoch.number, epoch.train_loss, epoch.validation_loss, epoch.validation_score)


def _sizes(parts: Split) -> PartSizes:
    return PartSizes(
        fit=len(parts.fit),
        validation=len(parts.validation),
        refit=len(parts.refit),
        later=len(parts.later),
        later_unlabelled=int(np.isnan(parts.later.label).sum()),
    )
