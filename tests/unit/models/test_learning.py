"""The training loop, distillation and pruning, on a small made world."""

import copy

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from models.distill import distillation_rows, perturb
from models.network import Architecture, Network, build, count_parameters
from models.preprocess import UNKNOWN, encode, fit_bins
from models.prune import importance, prune
from models.train import Epoch, TrainingRows, TrainingSettings, fit, predict
from monitoring.statistics import quality
from tests.support.learned import learned, world


def _network(rows: TrainingRows, seed: int = 0) -> Network:
    shape = Architecture(rows.numeric.shape[1], 4, (4, 3, 5), (16, 16), None, 4, 0.0)
    return build(shape, fit_bins(rows.numeric, 4), seed)


def _fresh(rows: int, seed: int) -> TrainingRows:
    new = world(rows, seed)
    return TrainingRows(new.numeric, encode(new.category, learned().vocabulary), new.label)


def test_it_learns_what_can_be_learned() -> None:
    unseen = _fresh(4000, seed=2)
    scored = roc_auc_score(unseen.target, predict(learned().teacher, unseen.numeric, unseen.code))
    assert scored > 0.75  # the laws themselves reach .80


def test_the_best_epoch_is_returned_and_every_epoch_reported() -> None:
    rows, validation = learned().rows, _fresh(500, seed=3)
    epochs: list[Epoch] = []
    wanted = iter([0.5, 0.9, 0.7])  # whatever the weights: the second epoch is said to be best

    def score(_target: object, _probability: object) -> float:
        return next(wanted)

    settings = TrainingSettings(3, 256, 0.01, 0.0, seed=0)
    start = _network(rows)
    best = fit(start, rows, settings, on_epoch=epochs.append, validation=validation, score=score)
    two = fit(start, rows, TrainingSettings(2, 256, 0.01, 0.0, seed=0), on_epoch=lambda _: None)
    three = fit(start, rows, settings, on_epoch=lambda _: None)
    scores = [predict(network, validation.numeric, validation.code) for network in (best, two, three)]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])
    assert [(epoch.number, epoch.validation_score) for epoch in epochs] == [(1, 0.5), (2, 0.9), (3, 0.7)]
    assert all(epoch.validation_loss is not None and np.isfinite(epoch.validation_loss) for epoch in epochs)


@pytest.mark.parametrize("one_cycle", [False, True])
def test_training_repeats_by_seed_and_leaves_the_global_generator_alone(one_cycle: bool) -> None:
    rows = learned().rows
    torch.manual_seed(11)
    before = torch.random.get_rng_state()

    def trained(seed: int) -> np.ndarray:
        settings = TrainingSettings(1, 256, 0.01, 0.0, seed, one_cycle)
        network = fit(_network(rows), rows, settings, on_epoch=lambda _: None)
        return predict(network, rows.numeric[:50], rows.code[:50])

    assert np.array_equal(trained(3), trained(3))
    assert not np.array_equal(trained(3), trained(4))
    assert torch.equal(before, torch.random.get_rng_state())


def test_unknown_categories_are_trained() -> None:
    """Hidden codes teach the unknown row of the table; without them it stays as it was drawn."""
    rows = learned().rows

    def unknown_moved(share: float) -> float:
        settings = TrainingSettings(2, 256, 0.01, 0.0, seed=0, unknown_share=share)
        start = _network(rows)
        after = fit(start, rows, settings, on_epoch=lambda _: None)
        row = start.offset[0] + UNKNOWN
        return float((after.embedding.weight[row] - start.embedding.weight[row]).detach().abs().max())

    assert unknown_moved(0.0) == 0
    assert unknown_moved(0.05) > 1e-3


def test_perturbed_rows_are_labelled_by_the_teacher() -> None:
    made = learned()
    rows = distillation_rows(made.teacher, made.rows.numeric, made.rows.code, copies=2, seed=0)
    n = len(made.rows.target)
    assert len(rows.target) == 3 * n
    assert np.array_equal(rows.numeric[:n], made.rows.numeric, equal_nan=True)
    assert np.array_equal(rows.target, predict(made.teacher, rows.numeric, rows.code))
    assert np.abs(rows.target[:n] - rows.target[n : 2 * n]).mean() > 0.01


def test_perturbation_takes_a_share_from_other_rows_and_adds_the_noise() -> None:
    made = learned().rows
    numeric, code = perturb(made.numeric, made.code, 0.3, 0.0, np.random.default_rng(0))
    changed = (numeric != made.numeric) & ~(np.isnan(numeric) & np.isnan(made.numeric))
    assert 0.2 < changed.mean() < 0.3
    assert np.isnan(numeric).mean() == pytest.approx(np.isnan(made.numeric).mean(), abs=0.01)
    for column in range(code.shape[1]):
        assert set(code[:, column]) <= set(made.code[:, column])
    noisy, _ = perturb(made.numeric, made.code, 0.0, 0.2, np.random.default_rng(0))
    assert np.array_equal(np.isnan(noisy), np.isnan(made.numeric))
    added = np.nanstd(noisy - made.numeric, axis=0) / np.nanstd(made.numeric, axis=0)
    np.testing.assert_allclose(added, 0.2, atol=0.02)
    all_missing = np.full((5, 1), np.nan, np.float32)
    assert np.isnan(perturb(all_missing, code[:5, :1], 0.5, 0.1, np.random.default_rng(0))[0]).all()


def test_pruned_units_are_gone_and_the_rest_scores_as_if_they_were_masked() -> None:
    made = learned()
    pruned = prune(made.teacher, made.rows, 0.25)
    assert pruned.architecture.hidden == (24, 24)
    assert count_parameters(pruned) < count_parameters(made.teacher)
    masked = copy.deepcopy(made.teacher)
    layers = [layer for layer in masked.layers if isinstance(layer, nn.Linear)]
    for layer, scores in zip(layers[:-1], importance(made.teacher, made.rows), strict=True):
        weakest = scores.argsort()[:8]
        with torch.no_grad():
            layer.weight[weakest] = 0
            layer.bias[weakest] = 0
    expected, got = (predict(net, made.rows.numeric, made.rows.code) for net in (masked, pruned))
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_taylor_prunes_the_unit_that_matters_least() -> None:
    """A unit with huge weights in and none out does nothing: its size does not save it."""
    made = learned()
    network = copy.deepcopy(made.teacher)
    first, second = (layer for layer in network.layers if isinstance(layer, nn.Linear) and layer.out_features > 1)
    with torch.no_grad():
        first.weight[5] *= 100
        second.weight[:, 5] = 0
    assert importance(network, made.rows)[0][5] == 0
    before = predict(network, made.rows.numeric, made.rows.code)
    pruned = prune(network, made.rows, 1 / 32)
    auc = [quality.auc(made.rows.target, p) for p in (before, predict(pruned, made.rows.numeric, made.rows.code))]
    assert auc[1] == pytest.approx(auc[0], abs=0.01)


def test_one_unit_a_layer_survives_any_share() -> None:
    assert prune(learned().teacher, learned().rows, 0.999).architecture.hidden == (1, 1)
