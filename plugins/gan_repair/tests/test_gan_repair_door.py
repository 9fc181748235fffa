"""The door: what it hears, and that it tells noise from what is made of noise and belongs so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavechain import Audio
from wavechain.stream import Spec
from wavechain.testing import music
from wavechain_gan_repair import door
from wavechain_gan_repair.around import Around
from wavechain_gan_repair.door import Door, cleared, traits
from wavechain_gan_repair.network_session import HOPS
from wavechain_gan_repair.repair import Repair

RATE = 44_100
BINS = 1024


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 20))
def test_each_item_is_told_with_those_around_it(before, after, count):
    around = Around(before, after)
    told = [(item, *each) for item in range(count) for each in around.push(item)]
    told += [(count, *each) for each in around.rest()]
    assert [index for _, index, _, _ in told] == list(range(count))
    for when, index, items, place in told:
        assert items == list(range(max(0, index - before), min(count, index + after + 1)))
        assert items[place] == index
        assert when == min(count, index + after)


def facts_of(random, columns=HOPS, gain=1.0):
    """A stretch as the door notes it: noise, of which a tenth would go."""
    spectra = gain * random.normal(size=(2, 2, HOPS, BINS)).astype(np.float32)
    told = []
    heard = Door(BINS, RATE / 2048, HOPS)
    heard._opening = told.append
    list(heard.push(spectra, 0.1 * spectra, np.full((2, columns, 9), 0.3), np.zeros(HOPS, np.float32)))
    list(heard.rest())
    return told[0][1][0]


def test_the_level_does_not_matter_to_the_door():
    quiet, loud = ([facts_of(np.random.default_rng(0), gain=gain)] * 20 for gain in (1e-3, 1.0))
    np.testing.assert_allclose(traits(quiet, 3), traits(loud, 3), atol=1e-3)
    assert np.isfinite(traits(loud, 3)).all()


def test_silence_is_heard_without_a_warning():
    silent = facts_of(np.random.default_rng(0), gain=0.0)
    assert np.isfinite(traits([silent] * 20, 0)).all()


def test_a_little_is_nothing_and_nearly_all_is_all():
    np.testing.assert_allclose(cleared(np.array([0.0, 0.1, 0.5, 0.9, 1.0])), [0, 0, 0.5, 1, 1], atol=1e-9)


def test_a_model_of_a_lower_rate_has_bands_without_sound():
    heard = Door(BINS, 8_000 / 2048, HOPS)
    assert heard._powers(np.ones((1, 2, HOPS, BINS), np.float32)).shape == (door.BANDS, HOPS)


def drums(seconds=8.0):
    """Bursts of noise that die away, one each eighth of a second and a louder one each half."""
    random = np.random.default_rng(3)
    frames = int(seconds * RATE)
    since = np.arange(frames) % (RATE // 8) / RATE
    since_beat = np.arange(frames) % (RATE // 2) / RATE
    hits = 0.1 * np.exp(-since / 0.012) + 0.5 * np.exp(-since_beat / 0.05)
    return (hits * random.normal(size=frames) / 3).astype(np.float32)[None]


@pytest.mark.parametrize("kind", ["drums", "noisy music"])
def test_drums_stay_and_noise_goes(kind):
    pytest.importorskip("onnxruntime")
    if kind == "drums":
        wanted = sound = drums()
    else:
        wanted = music(sample_rate=RATE, channels=1, seconds=8.0).waveform
        hiss = np.random.default_rng(0).normal(size=wanted.shape).astype(np.float32)
        sound = wanted + hiss * np.float32(np.sqrt(np.mean(wanted**2) / 10))
    repair = Repair(classical=False).open(Spec.audio(RATE, 1))
    after = np.concatenate([repair.process(sound), repair.flush()], axis=1)
    if kind == "drums":
        assert np.square(after - sound).sum() < 1e-3 * np.square(sound).sum()
    else:
        assert np.square(after - wanted).sum() < 0.3 * np.square(sound - wanted).sum()
    assert Audio.of(after, RATE).frames == wanted.shape[1]
