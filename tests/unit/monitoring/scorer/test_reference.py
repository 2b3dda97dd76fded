"""The artifact's scorer as the monitor runs it."""

import subprocess
import sys

import numpy as np
import pytest

from models.score import score
from monitoring.scorer import reference
from monitoring.scorer.reference import ReferenceScorer
from tests.support.learned import world
from tests.support.tiny import tiny_scorer


def test_it_scores_as_the_graph_does_over_the_bounds_of_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "_BATCH", 7)
    rows, model = world(20, seed=1), tiny_scorer()
    found = ReferenceScorer(model)(rows.numeric, rows.category)
    np.testing.assert_allclose(found, score(model, rows.numeric, rows.category), rtol=1e-6)
    assert found.dtype == np.float32
    assert len(np.unique(found)) == 20
    assert ReferenceScorer(model)(rows.numeric[:0], rows.category[:0]).shape == (0,)


def test_a_scorer_that_is_not_asked_loads_no_runtime() -> None:
    code = (
        "import sys; from monitoring.scorer.reference import ReferenceScorer; ReferenceScorer(b''); "
        "assert not {'onnxruntime', 'lightgbm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
