"""The reference scorer's graph: LightGBM's own scores, on every float32 and with every kind of gap."""

import functools
from typing import Any

import numpy as np
import onnx
import pytest

from contracts.schema import Category, Numeric
from models.preprocess import encode, fit_vocabulary
from models.score import score
from models.tree_graph import trees_to_onnx
from monitoring.scorer.trees import Rows, Trees, grow, probabilities
from registry.onnx_check import check_graph
from tasks.flights.schema import SCHEMA
from tests.support.learned import world

NUMBERS = len(SCHEMA.numeric)
MADE = world(4000, seed=3)
WORDS = fit_vocabulary(MADE.category)


@functools.cache
def grown() -> Trees:
    return grow(Rows(MADE.numeric, encode(MADE.category, WORDS), MADE.label), 60)


@functools.cache
def graph() -> bytes:
    return trees_to_onnx(grown().dump_model(), NUMBERS, WORDS)


def differences(numeric: Numeric, category: Category) -> float:
    """Largest one between graph and LightGBM."""
    expected = probabilities(grown(), numeric, encode(category, WORDS))
    return float(np.abs(score(graph(), numeric, category) - expected).max())


def splits() -> list[tuple[int, float, str]]:
    """Feature, threshold and kind of missing values of each split of a number."""
    found: list[tuple[int, float, str]] = []

    def visit(node: dict[str, Any]) -> None:
        if "split_feature" in node:
            found.append((node["split_feature"], node["threshold"], node["missing_type"]))
            visit(node["left_child"])
            visit(node["right_child"])

    for tree in grown().dump_model()["tree_info"]:
        visit(tree["tree_structure"])
    return [split for split in found if split[0] < NUMBERS]


def test_rows_score_as_in_lightgbm_missing_and_unknown_ones_included() -> None:
    seen = world(3000, seed=4)
    seen.category[:300] = ["ZZ", "", "AA"]
    seen.numeric[300:600] = np.nan  # in features, too, of which training saw every value
    assert {kind for *_, kind in splits()} == {"NaN", "None"}
    assert differences(seen.numeric, seen.category) < 1e-6


def test_a_value_on_a_threshold_or_one_float_beside_it_goes_the_same_way() -> None:
    """Rounded to the nearest float32, half of LightGBM's thresholds would send it to the other side."""
    rows = []
    for feature, threshold, _ in splits():
        for value in (
            np.float32(threshold),
            *(np.nextafter(np.float32(threshold), np.float32(s)) for s in (-9e9, 9e9)),
        ):
            row = MADE.numeric[0].copy()
            row[feature] = value
            rows.append(row)
    assert any(float(np.float32(threshold)) > threshold for _, threshold, _ in splits())
    numeric = np.array(rows)
    assert differences(numeric, np.repeat(MADE.category[:1], len(numeric), axis=0)) < 1e-6


def test_the_graph_has_the_models_tensors_and_equal_trees_give_equal_bytes() -> None:
    check_graph(graph(), SCHEMA)
    again = grow(Rows(MADE.numeric, encode(MADE.category, WORDS), MADE.label), 60)
    assert trees_to_onnx(again.dump_model(), NUMBERS, WORDS) == graph()
    assert not onnx.load_from_string(graph()).graph.doc_string


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "regression"}, "must be of a binary objective"),
        ({"max_feature_idx": 3}, "on 34 features, got .* on 4"),
        (
            {"tree_info": [{"tree_structure": {"decision_type": "==", "missing_type": "NaN", "threshold": "1||2",
                                               "split_feature": 0, "left_child": {}, "right_child": {}}}]},
            "a split must be `<=`",
        ),
    ],
)  # fmt: skip
def test_what_the_graph_cannot_say_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trees_to_onnx(grown().dump_model() | change, NUMBERS, WORDS)
