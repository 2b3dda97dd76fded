"""Hours hold what their rows add up to, whatever else is counted with them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import DataError
from contracts.store import load_champion
from monitoring.hours.count import Rows, count
from monitoring.hours.hour import SCORE_BINS, VALUE_BINS, Hour, Scores, decode, encode
from monitoring.hours.relations import find_relations
from monitoring.hours.yardstick import Yardstick
from monitoring.statistics.paired import row_losses
from tasks.flights.schema import SCHEMA
from tests.support.tiny import write_store

ORIGIN = SCHEMA.category_names.index("origin")
TEMP = SCHEMA.numeric_names.index("temp")


@pytest.fixture(scope="module")
def yardstick(tmp_path_factory: pytest.TempPathFactory) -> Yardstick:
    folder: Path = tmp_path_factory.mktemp("store")
    write_store(folder)
    return Yardstick.of(load_champion(folder / "store", folder / "signing.pub"))


def some_rows(n: int = 300, hours: int = 3) -> Rows:
    rng = np.random.default_rng(0)
    low, high = (np.array([getattr(f, name) for f in SCHEMA.numeric], np.float32) for name in ("low", "high"))
    numeric = (low + (high - low) * rng.random((n, len(low)), np.float32)).astype(np.float32)
    numeric[rng.random(n) < 0.2, TEMP] = np.nan
    category = np.tile(np.array([f.example for f in SCHEMA.category], object), (n, 1))
    category[:, ORIGIN] = rng.choice(np.array(["JFK", "LGA", ""], object), n)
    label = rng.choice([0.0, 1.0, np.nan], n)
    return Rows(
        hour=np.sort(rng.integers(0, hours, n)) + 400_000,
        row_id=np.array([f"r{i}" for i in range(n)], object),
        request=np.arange(n) // 2,
        numeric=numeric,
        category=category,
        score=rng.random(n),
        label=label,
        late=rng.random(n) < 0.1,
    )


def only(yardstick: Yardstick, rows: Rows) -> Hour:
    (hour,) = count(yardstick, rows, "d" * 64, "champion")
    return hour


def test_an_hour_holds_its_rows_alone(yardstick: Yardstick) -> None:
    rows = some_rows()
    for hour in count(yardstick, rows, "d" * 64, "champion"):
        mine = rows.take(rows.hour == hour.hour)
        _same(hour, only(yardstick, mine))
        assert hour.rows == len(mine)
        assert hour.requests == len(set(mine.request.tolist()))
        assert hour.missing[TEMP] == np.isnan(mine.numeric[:, TEMP]).sum()
        assert hour.bins[TEMP].sum() == hour.rows - hour.missing[TEMP]
        known = mine.numeric[:, TEMP][~np.isnan(mine.numeric[:, TEMP])]
        assert hour.distinct[TEMP] == len(set(known.tolist()))
        assert (hour.low[TEMP], hour.high[TEMP]) == (known.min(), known.max())
        assert hour.sums[TEMP] == pytest.approx([known.sum(), (known.astype(float) ** 2).sum()], rel=1e-5)
        assert hour.labels_late == (mine.late & ~np.isnan(mine.label)).sum()


def test_order_is_no_matter_and_many_hours_are_counted_in_parts(yardstick: Yardstick) -> None:
    rows = some_rows(2_000, hours=400)
    shuffled = rows.take(np.random.default_rng(1).permutation(len(rows)))
    found = count(yardstick, shuffled, "d" * 64, "champion")
    assert [hour.hour for hour in found] == sorted(set(rows.hour.tolist()))
    for one, other in zip(found, count(yardstick, rows, "d" * 64, "champion"), strict=True):
        _same(one, other)


def test_scores_by_label_slice_and_scorer(yardstick: Yardstick) -> None:
    rows = some_rows(hours=1)
    hour = only(yardstick, rows)
    assert yardstick.scorer is not None
    for name, scores in (("", hour.scores), *hour.slices.items()):
        mine = rows.take(np.full(len(rows), True) if not name else rows.category[:, ORIGIN] == name.split("=")[1])
        if name and not name.startswith("origin="):
            continue
        known = ~np.isnan(mine.label)
        assert scores.counts.sum(axis=1).tolist() == [int(np.sum(~known)), *np.bincount(mine.label[known].astype(int))]
        assert scores.counts.shape == (3, SCORE_BINS)
        model = row_losses(mine.label[known], mine.score[known])
        reference = row_losses(mine.label[known], yardstick.scorer(mine.numeric, mine.category)[known])
        assert scores.loss[:2] == pytest.approx([model.sum(), reference.sum()])
        assert np.isnan(scores.loss[2])
        assert scores.paired[0] == pytest.approx([(model - reference).sum(), ((model - reference) ** 2).sum()])
        assert scores.reference_counts.sum() == len(mine)
    assert {"origin=JFK", "origin=LGA", "origin="} <= set(hour.slices)


def test_numbers_are_sliced_by_their_ranges(yardstick: Yardstick) -> None:
    rows = some_rows(hours=1)
    distance = rows.numeric[:, yardstick.schema.numeric_names.index("distance")]
    distance[:4] = [np.nan, 499, 500, 2_000]
    slices = only(yardstick, rows).slices
    counted = {
        name.removeprefix("distance="): int(scores.counts.sum())
        for name, scores in slices.items()
        if name.startswith("distance=")
    }
    assert counted.pop("") == np.isnan(distance).sum() >= 1
    assert counted["..500"] == (distance < 500).sum() >= 1
    assert counted["500..1000"] == ((distance >= 500) & (distance < 1_000)).sum() >= 1
    assert counted["2000.."] == (distance >= 2_000).sum() >= 1


def test_what_repeats_is_counted(yardstick: Yardstick) -> None:
    rows = some_rows(100, hours=1)
    twice = rows.take(np.r_[0:100, 0:7])
    assert (only(yardstick, rows).repeated_rows, only(yardstick, rows).repeated_ids) == (0, 0)
    assert (only(yardstick, twice).repeated_rows, only(yardstick, twice).repeated_ids) == (7, 7)


def test_names_outside_the_vocabulary_are_unknown(yardstick: Yardstick) -> None:
    rows = some_rows(100, hours=1)
    rows.category[:3, ORIGIN] = "XYZ"
    hour = only(yardstick, rows)
    assert hour.categories[ORIGIN]["XYZ"] == 3
    assert hour.unknown[ORIGIN] == sum(
        rows
        for name, rows in hour.categories[ORIGIN].items()
        if name and name not in yardstick.vocabulary[ORIGIN]
    )  # fmt: skip
    assert hour.unknown[ORIGIN] >= 3


def test_a_relation_is_found_and_a_broken_value_is_off() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(50, 10, (2_000, 3)).astype(np.float32)
    x[:, 2] = x[:, 0] - 0.5 * x[:, 1] + rng.normal(0, 0.5, 2_000)
    x[::7, 2] = np.nan
    found = {relation.target: relation for relation in find_relations(x)}
    relation = found[2]
    assert set(relation.using) == {0, 1}
    healthy = relation.residual(x)
    assert np.isnan(healthy[::7]).all()
    assert np.nanmean(np.abs(healthy) > relation.limit) < 0.01
    broken = x.copy()
    broken[:, 2] *= 1.8
    assert np.nanmean(np.abs(relation.residual(broken)) > relation.limit) > 0.7


def test_independent_numbers_are_no_relation() -> None:
    assert find_relations(np.random.default_rng(0).normal(size=(2_000, 5)).astype(np.float32)) == ()


def test_bytes_bring_the_hour_back(yardstick: Yardstick) -> None:
    for hour in count(yardstick, some_rows(), "d" * 64, "champion"):
        _same(hour, decode(encode(hour)))
    with pytest.raises(DataError, match="counted again"):
        decode(b"no hour")


def test_edges_part_the_reference_evenly(yardstick: Yardstick) -> None:
    assert yardstick.edges.shape == (len(SCHEMA.numeric), VALUE_BINS - 1)
    assert yardstick.reference_bins.sum(axis=1) == pytest.approx(1)
    assert yardstick.expected["auc"] > 0


def _same(one: Hour | Scores, other: Hour | Scores) -> None:
    for field in dataclasses.fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, Scores):
            _same(a, b)
        elif field.name == "slices":
            assert a.keys() == b.keys()
            for name in a:
                _same(a[name], b[name])
        elif isinstance(a, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=field.name)
        else:
            assert a == b, field.name
