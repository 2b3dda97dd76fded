"""How the rows of a model are counted: edges, vocabulary, relations and the reference scorer, all from its artifact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from contracts.artifact import Artifact
from contracts.reference import Reference, unpack
from contracts.schema import Category, Numeric, Schema
from monitoring.hours.hour import VALUE_BINS
from monitoring.hours.relations import Relation, find_relations
from monitoring.scorer.reference import ReferenceScorer

LEAST_KNOWN: Final = 500  # of a sample, to say that a feature has few values
NEW_SHARE: Final = 0.05  # of values in one half of a sample that the other half lacks, at most
RowScorer = Callable[[Numeric, Category], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Of one model; hours that were counted with one belong to it alone.

    Attributes:
        names: category -> the names that the graph knows, in its order; `vocabulary` [c] as sets.
        edges: float32 [k, 31], quantiles of the reference sample, ascending; equal ones leave bins empty.
        values: float32 [k] of arrays: the known values of a feature that has few, ascending; empty: it has many.
        reference: the sample of training rows.
        reference_bins: float64 [k, 32], its shares of known values by bin.
        expected: the manifest's metrics: what the release had on its own validation rows.
        scorer: the artifact's reference scorer.
        challenger: the scorer refitted on the newest labels, for hours that it has not learned from; None: none yet.
    """

    digest: str
    schema: Schema
    names: Mapping[str, Sequence[str]]
    vocabulary: tuple[frozenset[str], ...]
    edges: NDArray[np.float32]
    values: tuple[NDArray[np.float32], ...]
    reference: Reference
    reference_bins: NDArray[np.float64]
    relations: tuple[Relation, ...]
    expected: Mapping[str, float]
    scorer: ReferenceScorer
    challenger: RowScorer | None = None

    @classmethod
    def of(cls, artifact: Artifact) -> Self:
        """Raises ArtifactInvalid: its sample is none of its schema."""
        schema, sample = artifact.schema, unpack(artifact.reference, artifact.schema)
        edges = _edges(sample.numeric)
        return cls(
            digest=artifact.digest,
            schema=schema,
            names=artifact.manifest.vocabulary,
            vocabulary=tuple(frozenset(artifact.manifest.vocabulary.get(name, ())) for name in schema.category_names),
            edges=edges,
            values=tuple(_few_values(column) for column in sample.numeric.T),
            reference=sample,
            reference_bins=_shares(sample.numeric, edges),
            relations=find_relations(sample.numeric),
            expected=artifact.manifest.metrics,
            scorer=ReferenceScorer(artifact.scorer),
        )


def _few_values(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """All values of a column, where its one half has hardly a value that the other has not: readings of an instrument,
    counts, minutes. A mean of many events has always new ones; then none."""
    known = values[~np.isnan(values)]
    if len(known) < LEAST_KNOWN or np.mean(~np.isin(known[1::2], known[::2])) > NEW_SHARE:
        return np.empty(0, np.float32)
    return np.unique(known)


def _edges(numeric: Numeric) -> NDArray[np.float32]:
    """[k, 31]; a feature without a known value has zeros."""
    inner = np.linspace(0, 1, VALUE_BINS + 1)[1:-1]
    found = np.zeros((numeric.shape[1], VALUE_BINS - 1), np.float32)
    for column, values in enumerate(numeric.T):
        known = values[~np.isnan(values)]
        if len(known):
            found[column] = np.quantile(known, inner)
    return found


def _shares(numeric: Numeric, edges: NDArray[np.float32]) -> NDArray[np.float64]:
    shares = np.zeros((numeric.shape[1], VALUE_BINS))
    for column, values in enumerate(numeric.T):
        known = values[~np.isnan(values)]
        if len(known):
            place = np.searchsorted(edges[column], known, side="right")
            shares[column] = np.bincount(place, minlength=VALUE_BINS) / len(known)
    return shares
