"""Linear prediction against an independent solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz

from wavechain.testing import music
from wavechain_restoration.ar import autocorrelation, predicting


@pytest.mark.parametrize("order", [1, 2, 32, 48, 49, 128, 129])
def test_prediction_is_what_levinsons_recursion_finds(order):
    sound = music(sample_rate=44_100, channels=1, seconds=1.0).waveform[0, 10_000:14_096].astype(np.float64)
    lags = autocorrelation(sound * np.hanning(sound.size), order)
    lags[0] *= 1.001
    found = predicting(lags)
    assert found[0] == 1.0
    np.testing.assert_allclose(found[1:], -solve_toeplitz(lags[:-1], lags[1:]), atol=1e-7)
