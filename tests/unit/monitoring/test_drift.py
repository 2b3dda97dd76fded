"""Drift, judged on samples whose shift is known."""

import subprocess
import sys

import numpy as np
import pytest

from contracts.reports.monitoring import FeatureDrift
from monitoring.monitor.drift import MIN_ROWS, Sample, compare, methods
from tasks.flights.schema import SCHEMA

ROWS = 400
THRESHOLD = 0.1


def sample(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    numeric = rng.normal(size=(ROWS, len(SCHEMA.numeric_names))).astype(np.float32)
    return Sample(numeric, rng.choice(np.array(["AA", "UA"], object), (ROWS, len(SCHEMA.category_names))))


@pytest.fixture(scope="module")
def compared() -> tuple[dict[str, FeatureDrift], bytes]:
    reference, current = sample(0), sample(1)
    temp, gust = SCHEMA.numeric_names.index("temp"), SCHEMA.numeric_names.index("wind_gust")
    current.numeric[:, temp] = reference.numeric[:, temp] + 1.5
    current.numeric[MIN_ROWS - 1 :, gust] = np.nan
    current.category[:, 0] = "ZZ"
    current.category[:100, 1] = ""
    drifts, page = compare(reference, current, SCHEMA, THRESHOLD)
    assert page is not None
    return {drift.feature: drift for drift in drifts}, page


def test_every_feature_of_the_contract_has_its_method_and_threshold(
    compared: tuple[dict[str, FeatureDrift], bytes],
) -> None:
    assert tuple(compared[0]) == SCHEMA.names
    for name, drift in compared[0].items():
        assert (drift.method, drift.threshold) == (methods(SCHEMA)[name], THRESHOLD)


def test_distance_is_wasserstein_in_standard_deviations(compared: tuple[dict[str, FeatureDrift], bytes]) -> None:
    temp = compared[0]["temp"]
    spread = sample(0).numeric[:, SCHEMA.numeric_names.index("temp")].std()
    assert temp.value == pytest.approx(1.5 / spread, rel=1e-3)
    assert temp.drifted is True


def test_new_category_is_as_far_as_can_be(compared: tuple[dict[str, FeatureDrift], bytes]) -> None:
    carrier, dest = compared[0]["carrier"], compared[0]["dest"]
    assert carrier.value == pytest.approx(np.sqrt(np.log(2)), abs=1e-3)
    assert carrier.drifted is True
    assert dest.value is not None
    assert dest.value < 0.1
    assert dest.drifted is False


def test_missing_values_are_told_apart_from_distance(compared: tuple[dict[str, FeatureDrift], bytes]) -> None:
    origin = compared[0]["origin"]
    assert (origin.missing_share, origin.reference_missing_share) == (0.25, 0.0)
    assert origin.value is not None


def test_too_little_to_compare_is_unknown_with_a_reason(compared: tuple[dict[str, FeatureDrift], bytes]) -> None:
    gust = compared[0]["wind_gust"]
    assert (gust.value, gust.drifted) == (None, None)
    assert gust.reason == f"fewer than {MIN_ROWS} known values to compare"


def test_page_is_evidently_s_whole_report(compared: tuple[dict[str, FeatureDrift], bytes]) -> None:
    page = compared[1].decode()
    assert page.lstrip().startswith(("<html", "<!doctype", "<!DOCTYPE"))
    assert "Drift" in page


def test_nothing_to_compare_makes_no_page() -> None:
    few = Sample(sample(0).numeric[:3], sample(0).category[:3])
    drifts, page = compare(sample(0), few, SCHEMA, THRESHOLD)
    assert {drift.value for drift in drifts} == {None}
    assert page is None


def test_draw_is_seeded_and_keeps_order() -> None:
    ordered = Sample(np.arange(ROWS, dtype=np.float32)[:, None], np.full((ROWS, 3), "", object))
    drawn = ordered.draw(50, seed=0)
    assert drawn.numeric[:, 0].tolist() == ordered.draw(50, seed=0).numeric[:, 0].tolist()
    assert (np.diff(drawn.numeric[:, 0]) > 0).all()
    assert ordered.draw(ROWS, seed=0) is ordered


def test_importing_drift_imports_no_evidently() -> None:
    code = "import sys, monitoring.monitor.drift; sys.exit('evidently' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
