"""Structured pruning: whole hidden units are removed, so the file and the time shrink without sparse kernels.

A unit's importance is the first-order Taylor estimate of what its removal does to the loss, |activation x gradient|
(Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference").
"""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.network import Network
from models.train import TrainingRows


def prune(network: Network, rows: TrainingRows, share: float) -> Network:
    """A smaller copy without the least important `share` of each hidden layer's units (one at least stays)."""
    keep = [_most_important(scores, share) for scores in importance(network, rows)]
    pruned = Network(replace(network.architecture, hidden=tuple(len(units) for units in keep)))
    weights = dict(network.state_dict())
    names = [f"layers.{i}" for i, layer in enumerate(network.layers) if isinstance(layer, nn.Linear)]
    for name, following, units in zip(names[:-1], names[1:], keep, strict=True):
        weights[f"{name}.weight"] = weights[f"{name}.weight"][units]
        weights[f"{name}.bias"] = weights[f"{name}.bias"][units]
        weights[f"{following}.weight"] = weights[f"{following}.weight"][:, units]
    pruned.load_state_dict(weights)
    return pruned


def importance(network: Network, rows: TrainingRows) -> list[Tensor]:
    """For each hidden layer, [units]: mean over rows of |activation x its gradient of the loss|."""
    activations: list[Tensor] = []

    def remember(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        activations.append(output)

    hooks = [layer.register_forward_hook(remember) for layer in network.layers if isinstance(layer, nn.ReLU)]
    try:
        network.eval()
        logit = network(torch.from_numpy(rows.numeric), torch.from_numpy(rows.code))
        loss = functional.binary_cross_entropy_with_logits(logit, torch.from_numpy(rows.target), reduction="sum")
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships no type for it
    finally:
        for hook in hooks:
            hook.remove()
        network.zero_grad()
    return [(a.detach() * a.grad).abs().mean(0) for a in activations if a.grad is not None]


def _most_important(scores: Tensor, share: float) -> Tensor:
    """Indices of the units that stay, in their old order."""
    count = max(1, len(scores) - round(share * len(scores)))
    return scores.topk(count).indices.sort().values
