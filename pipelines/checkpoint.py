"""A trained network on disk: weights as safetensors, its shape and vocabulary as JSON. No pickle."""

import json
from dataclasses import asdict
from pathlib import Path

import safetensors.torch

from contracts.errors import DataError
from contracts.files import write_atomic, write_json
from models.network import Architecture, Network
from models.preprocess import Vocabulary


def save(folder: Path, name: str, network: Network, vocabulary: Vocabulary) -> None:
    """Write `<name>.safetensors` and `<name>.json`."""
    write_atomic(folder / f"{name}.safetensors", safetensors.torch.save(network.state_dict()))
    write_json(folder / f"{name}.json", {"architecture": asdict(network.architecture), "vocabulary": vocabulary})


def load(folder: Path, name: str) -> tuple[Network, Vocabulary]:
    """A network in evaluation mode, and the vocabulary that its codes follow.

    Raises:
        DataError: a file is missing or damaged.
    """
    try:
        about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        shape = about["architecture"]
        listed = {key: tuple(shape[key]) for key in ("categories", "hidden")}
        network = Network(Architecture(**(shape | listed)))
        network.load_state_dict(safetensors.torch.load((folder / f"{name}.safetensors").read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        raise DataError(f"`{folder / name}` must be a trained network, got: {error}; run `dvc repro`") from error
    return network.eval(), tuple(tuple(names) for names in about["vocabulary"])


def load_vocabulary(folder: Path, name: str) -> Vocabulary:
    """The names of each category, without the network.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return tuple(tuple(names) for names in about["vocabulary"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"`{folder / name}.json` must have a vocabulary, got: {error}; run `dvc repro`") from error
