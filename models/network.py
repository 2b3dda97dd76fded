"""The networks: numbers as piecewise-linear codes, categories as embeddings, then a multilayer perceptron.

                       teacher                                    student
    numeric [n, k]  -> codes [n, k, b], missing [n, k]         -> the same, with fewer bins
                    -> a linear map a feature [n, k * w]       -> as they are [n, k * (b + 1)]
    code    [n, c]  -> embeddings [n, c * e]                   -> the same
                    -> concatenated -> hidden layers -> logit [n]

The piecewise-linear encoding is that of Gorishniy et al. 2022, "On Embeddings for Numerical Features in Tabular
Deep Learning", section 3.2. The maps help in training, but in an exported graph k small matrix products cost several
times what the rest does: the student takes the codes straight into its first layer, which int8 makes cheap.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from models.preprocess import Bins

EMBEDDING_WIDTH: Final = 8  # numbers a category becomes
_FAR_BELOW: Final = -1e9  # a missing value is put below every bin, so its code is zero


@dataclass(frozen=True, slots=True)
class Architecture:
    """What rebuilds a network's shape; its weights and bins come from a state dict.

    `categories` counts the names of each category, without the unknown one. `bin_width` is what a feature's code
    is mapped to; None takes the code as it is.
    """

    features: int
    bins: int
    categories: tuple[int, ...]
    hidden: tuple[int, ...]
    bin_width: int | None
    embedding_width: int
    dropout: float


class PiecewiseLinearEncoding(nn.Module):
    """Where a value stands in each bin: 0 below it, 1 above it, linear inside."""

    lower: Tensor  # [k, b]
    scale: Tensor  # [k, b]

    def __init__(self, features: int, bins: int) -> None:
        super().__init__()
        self.register_buffer("lower", torch.zeros(features, bins))
        self.register_buffer("scale", torch.zeros(features, bins))

    def forward(self, numeric: Tensor) -> tuple[Tensor, Tensor]:
        """[n, k], NaN is missing -> codes [n, k, b] in [0, 1], all 0 when missing; missing [n, k], 0 or 1."""
        missing = torch.isnan(numeric)
        known = torch.where(missing, _FAR_BELOW, numeric)
        codes = torch.clamp((known.unsqueeze(-1) - self.lower) * self.scale, 0.0, 1.0)
        return codes, missing.to(numeric.dtype)


class Projection(nn.Module):
    """A linear map of its own for each feature's code and missing flag: [n, k, b], [n, k] -> [n, k * w]."""

    def __init__(self, features: int, bins: int, width: int) -> None:
        super().__init__()
        bound = (bins + 1) ** -0.5
        self.weight = nn.Parameter(torch.empty(features, bins + 1, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(features, 1, width).uniform_(-bound, bound))

    def forward(self, codes: Tensor, missing: Tensor) -> Tensor:
        inputs = torch.cat([codes, missing.unsqueeze(-1)], dim=-1)
        # Feature first, so that it is one batched product: [k, n, b + 1] @ [k, b + 1, w].
        outputs = torch.baddbmm(self.bias, inputs.transpose(0, 1), self.weight)
        return outputs.transpose(0, 1).flatten(1)


class Flat(nn.Module):
    """Codes and missing flags as they are: [n, k, b], [n, k] -> [n, k * (b + 1)]."""

    def forward(self, codes: Tensor, missing: Tensor) -> Tensor:
        return torch.cat([codes.flatten(1), missing], dim=1)


class Network(nn.Module):
    """Raw numbers and category codes -> the logit of the positive outcome."""

    offset: Tensor  # [c], where each category's rows begin in the one embedding table

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = shape = architecture
        self.encoding = PiecewiseLinearEncoding(shape.features, shape.bins)
        self.numbers: Projection | Flat
        if shape.bin_width is None:
            self.numbers, width = Flat(), shape.features * (shape.bins + 1)
        else:
            self.numbers = Projection(shape.features, shape.bins, shape.bin_width)
            width = shape.features * shape.bin_width
        sizes = torch.tensor([0, *(names + 1 for names in shape.categories)])
        self.register_buffer("offset", sizes.cumsum(0)[:-1])
        self.embedding = nn.Embedding(int(sizes.sum()), shape.embedding_width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        width += len(shape.categories) * shape.embedding_width
        layers: list[nn.Module] = []
        for units in shape.hidden:
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(shape.dropout)]
            width = units
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def set_bins(self, bins: Bins) -> None:
        """Take over fitted bins, in place."""
        self.encoding.lower.copy_(torch.from_numpy(bins.lower))
        self.encoding.scale.copy_(torch.from_numpy(bins.scale))

    def forward(self, numeric: Tensor, code: Tensor) -> Tensor:
        """Logits [n] of float32 [n, k] (NaN is missing) and int64 [n, c] (0 is unknown)."""
        return self.from_rows(numeric, code + self.offset)

    def from_rows(self, numeric: Tensor, row: Tensor) -> Tensor:
        """The same with `row`, int64 [n, c], the rows of the embedding table: what the exported graph looks up."""
        inputs = [self.numbers(*self.encoding(numeric)), self.embedding(row).flatten(1)]
        logit: Tensor = self.layers(torch.cat(inputs, dim=1)).squeeze(1)
        return logit


def build(architecture: Architecture, bins: Bins, seed: int) -> Network:
    """A new network with weights drawn from `seed`; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(architecture)
    network.set_bins(bins)
    return network


def count_parameters(network: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(parameter.numel() for parameter in network.parameters())
