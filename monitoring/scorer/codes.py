"""Categories as the trees see them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.schema import Category, Numeric


def features(numeric: Numeric, category: Category, vocabulary: Mapping[str, Sequence[str]]) -> NDArray[np.float32]:
    """Numbers, then codes, float32 [n, k + c]; a code is 0 for what the vocabulary does not know, as in the graph.

    Args:
        vocabulary: of the manifest, in the order of the schema's categories.
    """
    codes = np.zeros(category.shape, np.float32)
    for column, names in enumerate(vocabulary.values()):
        place = {name: float(i + 1) for i, name in enumerate(names)}
        codes[:, column] = [place.get(name, 0.0) for name in category[:, column].tolist()]
    return np.hstack([numeric, codes])
