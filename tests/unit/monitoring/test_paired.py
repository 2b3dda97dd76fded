"""The paired difference by days."""

import numpy as np
import pytest

from monitoring.statistics.paired import day_losses, row_losses
from monitoring.statistics.quality import log_loss


def test_a_row_loss_is_the_log_loss_of_that_row() -> None:
    label, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.2, 0.0, 1.0])
    assert row_losses(label, score).mean() == pytest.approx(log_loss(label, score))
    assert np.isfinite(row_losses(label, score)).all()


def test_each_day_counts_once_however_many_rows_it_has() -> None:
    day = np.array(["2013-06-02", "2013-06-01", "2013-06-02", "2013-06-02"], "datetime64[D]")
    label = np.array([1, 1, 0, 1], np.float32)
    sharp, blunt = np.array([0.8, 0.9, 0.3, 0.8], np.float32), np.full(4, 0.5, np.float32)
    first = np.log(0.5) - np.log(np.float64(np.float32(0.9)))
    second = np.log(0.5) - np.mean([np.log(0.8), np.log(0.7), np.log(0.8)])
    np.testing.assert_allclose(day_losses(label, sharp, blunt, day), [first, second], rtol=1e-6)
