"""Stage `train`: the teacher, twice.

First on the flights known before the last month; that month chooses the number of epochs. Then anew, on all flights
known before `as_of`, for that many epochs. `compress` needs both: it chooses on the first and releases the second.
"""

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from contracts.files import write_json
from contracts.params import Params, Train
from contracts.workspace import Workspace
from models.network import EMBEDDING_WIDTH, Architecture, Network, build, count_parameters
from models.preprocess import Vocabulary, fit_bins, fit_vocabulary
from models.train import Epoch, Settings, fit, predict
from monitoring.statistics import quality
from pipelines import checkpoint
from pipelines.dataset import Flights, Split, read_flights, split
from registry import tracking
from tasks.flights.schema import SCHEMA

logger = logging.getLogger(__name__)


def main(root: Path, params: Params) -> None:
    """
    Raises:
        DataError: data/features.parquet is missing or damaged.
        ParameterError: `as_of` leaves nothing to learn from.
        Unavailable: MLflow cannot be reached.
    """
    torch.set_num_threads(1)  # more would be slower on so small a network, and change the last bits
    parts = split(read_flights(root), params.as_of)
    with tracking.training_run(Workspace(root), SCHEMA, params.model_dump(mode="json")) as run:
        network, vocabulary, history = _select(root, parts, params.train, run)
        # The first of equals, as `fit` keeps it.
        chosen = max(history, key=lambda epoch: (epoch.validation_score or 0.0, -epoch.number)).number
        probability = predict(network, parts.validation.numeric, parts.validation.codes(vocabulary))
        validation = quality.measure(parts.validation.late, probability)
        refit_losses = _refit(root, parts, params.train, chosen)
        points = [{"epoch": epoch.number, **_point(epoch)} for epoch in history]
        write_json(root / "reports/plots/training.json", points)
        write_json(
            root / "reports/training.json",
            {
                "as_of": params.as_of.isoformat(),
                "epochs": chosen,
                "parameters": count_parameters(network),
                "validation": asdict(validation),
                "flights": _counts(parts),
                "history": points,
                "refit_history": [{"epoch": i, "train_loss": loss} for i, loss in enumerate(refit_losses, 1)],
            },
        )
        run.finish()


def _select(
    root: Path, parts: Split, params: Train, run: tracking.TrainingRun
) -> tuple[Network, Vocabulary, list[Epoch]]:
    """Write the weights of the epoch that is best on the validation month; tell every epoch."""
    history: list[Epoch] = []

    def on_epoch(epoch: Epoch) -> None:
        history.append(epoch)
        run.log_epoch(epoch.number, _point(epoch))
        logger.info(
            "epoch %d of %d: train loss %.4f, validation loss %.4f, AUC %.4f",
            *(epoch.number, params.epochs, epoch.train_loss, epoch.validation_loss, epoch.validation_score),
        )

    network, vocabulary = _new_network(parts.fit, params)
    logger.info("Training on %d flights, choosing on %d", len(parts.fit), len(parts.validation))
    network = fit(
        network,
        parts.fit.rows(vocabulary),
        _settings(params, params.epochs),
        on_epoch=on_epoch,
        validation=parts.validation.rows(vocabulary),
        score=quality.auc,
    )
    checkpoint.save(root / "artifacts/train", "selection", network, vocabulary)
    return network, vocabulary, history


def _refit(root: Path, parts: Split, params: Train, epochs: int) -> list[float]:
    """Write the final weights; return the loss of each epoch."""
    losses: list[float] = []

    def on_epoch(epoch: Epoch) -> None:
        losses.append(epoch.train_loss)
        logger.info("refit, epoch %d of %d: train loss %.4f", epoch.number, epochs, epoch.train_loss)

    network, vocabulary = _new_network(parts.refit, params)
    logger.info("Training anew on all %d flights", len(parts.refit))
    final = fit(network, parts.refit.rows(vocabulary), _settings(params, epochs), on_epoch=on_epoch)
    checkpoint.save(root / "artifacts/train", "final", final, vocabulary)
    return losses


def _new_network(flights: Flights, params: Train) -> tuple[Network, Vocabulary]:
    vocabulary = fit_vocabulary(flights.category)
    shape = Architecture(
        features=flights.numeric.shape[1],
        bins=params.bins,
        categories=tuple(len(names) for names in vocabulary),
        hidden=tuple(params.hidden),
        bin_width=params.bin_width,
        embedding_width=EMBEDDING_WIDTH,
        dropout=params.dropout,
    )
    return build(shape, fit_bins(flights.numeric, params.bins), params.seed), vocabulary


def _settings(params: Train, epochs: int) -> Settings:
    return Settings(epochs, params.batch_size, params.learning_rate, params.weight_decay, params.seed)


def _point(epoch: Epoch) -> dict[str, float | None]:
    return {
        "train_loss": epoch.train_loss,
        "validation_log_loss": epoch.validation_loss,
        "validation_auc": epoch.validation_score,
    }


def _counts(parts: Split) -> dict[str, int]:
    return {
        "fit": len(parts.fit),
        "validation": len(parts.validation),
        "refit": len(parts.refit),
        "later": len(parts.later),
        "later_unlabelled": int(np.isnan(parts.later.late).sum()),
    }
