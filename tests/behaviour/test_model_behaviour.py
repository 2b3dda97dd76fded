"""What the models must do whatever their score: directions, invariances, and answers to what they never saw."""

from itertools import pairwise

import numpy as np
import pytest

from contracts.schema import Category, Numeric
from models.export import to_onnx
from models.score import score
from tasks.flights.schema import SCHEMA
from tests.support.learned import CARRIERS, DELAY, DISTANCE, VISIBILITY, learned, world

SEEN = world(1000, seed=9)


@pytest.fixture(params=["teacher", "student"])
def model(request: pytest.FixtureRequest) -> bytes:
    made = learned()
    return made.student[-1].model if request.param == "student" else to_onnx(made.teacher, made.vocabulary)


def _with_number(column: int, value: float) -> tuple[Numeric, Category]:
    numeric = SEEN.numeric.copy()
    numeric[:, column] = value
    return numeric, SEEN.category


def _with_carrier(name: str) -> tuple[Numeric, Category]:
    category = SEEN.category.copy()
    category[:, 0] = name
    return SEEN.numeric, category


def test_more_delay_at_the_airport_is_more_risk(model: bytes) -> None:
    risks = [score(model, *_with_number(DELAY, minutes)) for minutes in (-50, 50, 150, 250)]
    assert all(np.mean(b - a) > 0.02 for a, b in pairwise(risks))
    assert np.mean(risks[-1] > risks[0]) > 0.98


def test_better_sight_is_less_risk(model: bytes) -> None:
    risks = [score(model, *_with_number(VISIBILITY, miles)) for miles in (15, 40, 70)]
    assert np.mean(risks[2] < risks[0]) > 0.95


def test_what_has_no_influence_moves_little(model: bytes) -> None:
    near, far = (score(model, *_with_number(DISTANCE, miles)) for miles in (2500, 7000))
    low, high = (score(model, *_with_number(DELAY, minutes)) for minutes in (-50, 250))
    assert abs(np.mean(far - near)) < 0.25 * np.mean(high - low)


def test_the_order_of_rows_does_not_matter(model: bytes) -> None:
    order = np.random.default_rng(0).permutation(len(SEEN.label))
    shuffled = score(model, SEEN.numeric[order], SEEN.category[order])
    np.testing.assert_allclose(shuffled, score(model, SEEN.numeric, SEEN.category)[order], atol=1e-6)


def test_an_unknown_carrier_scores_among_the_known_ones(model: bytes) -> None:
    known = [score(model, *_with_carrier(name)).mean() for name in CARRIERS]
    unknown = score(model, *_with_carrier("ZZ"))
    assert min(known) < unknown.mean() < max(known)
    assert np.array_equal(unknown, score(model, *_with_carrier("")))
    assert np.array_equal(unknown, score(model, *_with_carrier("EWR")))  # a name of another column


def test_anything_missing_or_far_outside_gets_a_probability(model: bytes) -> None:
    for value in (np.nan, -1e30, 1e30, 0.0):
        numeric = np.full((4, len(SCHEMA.numeric)), value, np.float32)
        answer = score(model, numeric, np.full((4, 3), "nowhere", object))
        assert np.isfinite(answer).all()
        assert ((answer >= 0) & (answer <= 1)).all()


def test_one_missing_number_moves_a_score_less_than_the_label_does(model: bytes) -> None:
    """Whatever is missing, the score stays between the extremes of that feature, give or take."""
    plain = score(model, SEEN.numeric, SEEN.category)
    for column, feature in enumerate(SCHEMA.numeric):
        if feature.nullable:
            gone = score(model, *_with_number(column, np.nan))
            assert np.abs(gone - plain).mean() < 0.25, feature.name
