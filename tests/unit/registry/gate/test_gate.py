"""The gate's rule: evidence that a candidate is no worse; each of its guards has a candidate that only it refuses."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from contracts.artifact import Artifact
from contracts.reports.gate import Behaviour, GateReport
from contracts.store import load_champion
from monitoring.scorer.reference import ReferenceScorer
from registry.gate import limits
from registry.gate.behaviour import BATCH, behaviour
from registry.gate.judge import ALPHA, judge
from registry.gate.losses import ByDay
from registry.gate.rows import Rows
from tasks.flights.schema import SCHEMA
from tests.support.tiny import bounds, tiny_model, write_store

FIRST = 735_000
Change = Callable[[NDArray[Any], np.random.Generator], NDArray[Any]]


def made(change: Change | None = None, days: int = 60, a_day: int = 800, seed: int = 0) -> Rows:
    """Labels by the champion's own scores, shifted from day to day; the candidate's logits are changed ones."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1.5, 1.2, days * a_day)
    shift = np.repeat(rng.normal(0, 0.3, days), a_day)
    label = rng.random(len(logit)) < sigmoid(logit + shift)
    other = logit if change is None else change(logit, rng)
    origin = rng.choice(["EWR", "JFK", "LGA"], len(logit))
    slices = {f"origin={name}": origin == name for name in ("EWR", "JFK", "LGA")}
    slices["carrier=YV"] = np.arange(len(logit)) % 400 == 0
    return Rows(label, sigmoid(logit), sigmoid(other), FIRST + np.repeat(np.arange(days), a_day), slices)


def sigmoid(logit: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-logit)), np.float64)


def noisy(sd: float) -> Change:
    return lambda logit, rng: logit + rng.normal(0, sd, len(logit))


def verdict(rows: Rows, *said: Behaviour) -> GateReport:
    return judge(rows, said, "c" * 64, "d" * 64)


def test_the_champion_itself_passes_and_so_does_one_as_good() -> None:
    report = verdict(made())
    assert (report.verdict, report.why) == ("pass", ())
    assert {one.loss for one in report.losses} == {0.0}
    as_good = verdict(made(noisy(0.02)))
    assert as_good.verdict == "pass"
    assert all(0 < one.bound <= one.margin for one in as_good.losses if one.measure == "AUC" and not one.slice)


def test_a_worse_one_is_refused_and_told_what_it_loses() -> None:
    report = verdict(made(noisy(0.6)))
    assert report.verdict == "refuse"
    assert any(one.startswith("AUC may be worse by 0.0") for one in report.why)


def test_the_bound_decides_and_not_the_point() -> None:
    """Its loss is inside the margin, and four weeks of few rows do not know it well enough."""
    rows = made(noisy(0.15), days=28, a_day=60, seed=3)
    (auc,) = [one for one in verdict(rows).losses if one.measure == "AUC" and not one.slice]
    assert auc.loss <= auc.margin < auc.bound
    assert auc.power is not None
    assert auc.power < 0.5
    assert verdict(rows).verdict == "refuse"


@pytest.mark.parametrize(("days", "why"), [(20, "20 days with labels after both as-of dates, 28 are needed"), (0, "0")])
def test_too_few_days_are_waited_for(days: int, why: str) -> None:
    report = verdict(made().take(np.arange(days * 800)))
    assert report.verdict == "wait"
    assert report.why[0].startswith(why)
    assert report.losses == ()


def test_too_few_of_a_class_are_waited_for() -> None:
    rows = made()
    report = verdict(replace(rows, label=rows.label & (np.arange(len(rows)) % 400 == 0)))
    assert report.verdict == "wait"
    assert report.why[0].endswith("positive labels, 100 are needed")


def test_a_slice_that_is_guessed_is_named_and_small_ones_are_not_judged() -> None:
    rows = made(noisy(0.02))
    guessed = rows.candidate.copy()
    jfk = rows.slices["origin=JFK"]
    guessed[jfk] = np.random.default_rng(1).permutation(guessed[jfk])
    report = verdict(replace(rows, candidate=guessed))
    assert report.verdict == "refuse"
    assert any("AUC of origin=JFK is worse by at least" in one for one in report.why)
    assert not any("origin=EWR" in one for one in report.why)
    assert report.unjudged == ("carrier=YV",)


def test_one_slice_is_refused_though_all_rows_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = made(noisy(0.02))
    bad = rows.candidate.copy()
    few = rows.slices["origin=JFK"] & (np.arange(len(rows)) % 8 == 0)
    bad[few] = np.random.default_rng(1).permutation(bad[few])
    report = verdict(replace(rows, candidate=bad, slices={"tail=N1": few}))
    whole = [one for one in report.losses if not one.slice]
    assert [one.passed for one in whole if one.measure == "calibration"] == [True]
    assert any("tail=N1" in one for one in report.why)
    monkeypatch.setattr(limits, "SLICE_AUC", 1.0)
    assert not any("tail=N1" in one for one in verdict(replace(rows, candidate=bad, slices={"tail=N1": few})).why)


def test_of_many_slices_at_their_margin_chance_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty slices that lose what they may: each alone at 5 % would refuse two of them."""
    rows = made(noisy(1.0), seed=1)
    part = np.random.default_rng(1).integers(0, 40, len(rows))
    slices = {f"part={i}": part == i for i in range(40)}
    loss = ByDay.of(rows).measured()["AUC"].loss
    alone = [ByDay.of(rows.take(mask)).measured()["AUC"].lower(ALPHA) for mask in slices.values()]
    assert sum(low > loss for low in alone) == 2
    monkeypatch.setattr(limits, "SLICE_AUC", loss)
    judged = [one for one in verdict(replace(rows, slices=slices)).losses if one.slice]
    assert len(judged) == 40
    assert all(one.passed for one in judged)


def test_wrong_odds_are_refused_by_calibration_alone() -> None:
    report = verdict(made(lambda logit, _: logit + 0.5))
    assert report.verdict == "refuse"
    failed = {one.measure for one in report.losses if not one.passed}
    assert "calibration" in failed
    assert "AUC" not in failed


def test_measures_are_those_of_their_rows() -> None:
    rows = made(noisy(0.5), days=30, a_day=200)
    found = ByDay.of(rows).measured()
    exact = roc_auc_score(rows.label, rows.champion) - roc_auc_score(rows.label, rows.candidate)
    assert found["AUC"].loss == pytest.approx(exact, abs=2e-4)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(300):
        drawn.append(ByDay.of(rows).drawn(rng.integers(0, 30, 30)).measured()["AUC"].loss)
    assert found["AUC"].error == pytest.approx(np.std(drawn), rel=0.25)


# What the candidate does.


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("gate")
    write_store(folder, tiny_model())
    return load_champion(folder / "store", folder / "signing.pub")


@pytest.fixture(scope="module")
def some() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    low, high = bounds(SCHEMA)
    numeric = (low + rng.random((BATCH, len(low))) * (high - low)).astype(np.float32)
    return numeric, np.tile(np.array([one.example for one in SCHEMA.category], object), (BATCH, 1))


def said(candidate: Artifact, champion: Artifact, score: Any, some: tuple[Any, Any]) -> dict[str, bool]:
    found = behaviour(candidate, champion, (score, ReferenceScorer(champion.model)), *some)
    return {one.name: one.passed for one in found}


def test_a_sound_candidate_behaves(artifact: Artifact, some: tuple[Any, Any]) -> None:
    assert set(said(artifact, artifact, ReferenceScorer(artifact.model), some).values()) == {True}


def test_a_handful_of_rows_is_enough_to_look_at(artifact: Artifact, some: tuple[Any, Any]) -> None:
    few = tuple(values[:5] for values in some)
    found = behaviour(artifact, artifact, (ReferenceScorer(artifact.model),) * 2, *few)
    assert "a row alone and among others" in {one.name for one in found if one.passed}


def test_odd_rows_neighbours_and_costs_are_looked_at(artifact: Artifact, some: tuple[Any, Any]) -> None:
    good = ReferenceScorer(artifact.model)

    def fragile(numeric: Any, category: Any) -> Any:
        return np.where(category[:, 0] == "~", np.nan, good(numeric, category))

    def holey(numeric: Any, category: Any) -> Any:
        return good(numeric, category) + np.where(np.isnan(numeric).any(axis=1), 1.0, 0.0)

    def social(numeric: Any, category: Any) -> Any:
        scores = good(numeric, category)
        return scores + 1e-3 * (len(scores) > 1) * (0.5 - scores)

    def slow(numeric: Any, category: Any) -> Any:
        for _ in range(8):
            good(numeric, category)
        return good(numeric, category)

    for score, name in (
        (fragile, "unknown categories: answered"),
        (holey, "all that may be missing, missing: answered"),
        (social, "a row alone and among others"),
        (slow, "at most 1.5 times the champion's time for 256 rows"),
    ):
        assert not said(artifact, artifact, score, some)[name]
    big = replace(artifact, model=artifact.model * 3)
    assert not said(big, artifact, good, some)["at most 2 times the champion's size"]


def test_another_task_is_refused_before_anything_is_scored(artifact: Artifact, some: tuple[Any, Any]) -> None:
    schema = structs.replace(SCHEMA, name="other")
    other = replace(artifact, manifest=structs.replace(artifact.manifest, schema=schema))
    assert said(other, artifact, None, some) == {"same task and inputs": False}
    report = verdict(made(), Behaviour("same task and inputs", False, "another task, or other inputs"))
    assert (report.verdict, report.why) == ("refuse", ("same task and inputs: another task, or other inputs",))
