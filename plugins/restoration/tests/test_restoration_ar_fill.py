"""Dropouts are filled; pauses and fades are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio, Chain
from wavechain.testing import EffectContract, noise, streamed, tone
from wavechain_restoration.ar_fill import ArFill

RECORDINGS = Path(__file__).parents[3] / "tests" / "data"
RATE = 44_100


class TestArFillContract(EffectContract):
    stage = ArFill()


def guitar() -> Audio:
    whole = Audio.read(RECORDINGS / "guit_em9.flac")
    return Audio.of(whole.waveform[:1, : 4 * RATE], RATE)


def dropped(audio: Audio, ms: float) -> tuple[Audio, np.ndarray]:
    gaps = np.zeros(audio.frames, bool)
    for at in np.random.default_rng(2).integers(RATE // 2, audio.frames - RATE // 2, 5):
        gaps[at : at + round(ms * RATE / 1000)] = True
    return Audio.of(np.where(gaps, 0, audio.waveform).astype(np.float32), RATE), gaps


@pytest.mark.parametrize(("ms", "gain_db"), [(5, 15), (20, 10), (60, 6)])
def test_a_guitar_goes_on_through_dropouts(ms, gain_db):
    clean = guitar()
    damaged, gaps = dropped(clean, ms)
    after = ArFill()(damaged).waveform
    lost = clean.waveform[:, gaps]
    assert 10 * np.log10((lost**2).sum() / ((after[:, gaps] - lost) ** 2).sum()) > gain_db
    # Frames at the edge that are as quiet as the gap belong to it.
    outside = np.convolve(gaps, np.ones(9), "same") == 0
    assert np.array_equal(after[:, outside], damaged.waveform[:, outside])


@pytest.mark.parametrize("left_db", [-np.inf, -50])
@pytest.mark.parametrize("fade_ms", [1, 2])
def test_a_gap_takes_its_short_fades_with_it_and_need_not_be_silent(left_db, fade_ms):
    """Noise: a fade in it is nothing else."""
    clean = noise(seconds=1, sample_rate=RATE, channels=1)
    fade = round(fade_ms * RATE / 1000)
    floor = 10 ** (left_db / 20)
    ramp = floor + (1 - floor) * np.arange(1, fade + 1) / (fade + 1)
    gain = np.ones(RATE, np.float32)
    gain[20_000 : 20_441 + 2 * fade] = np.concatenate([ramp[::-1], np.full(441, floor), ramp])
    stage = ArFill()
    after = stage(Audio.of(clean.waveform * gain, RATE)).waveform[0]
    changed = np.flatnonzero(after != clean.waveform[0] * gain)
    assert changed[0] <= 20_000 + fade // 4
    assert changed[-1] >= 20_440 + 2 * fade - fade // 4
    assert changed[0] >= 20_000 + fade - 100
    assert changed[-1] <= 20_440 + fade + 100


@pytest.mark.parametrize("name", ["guit_em9.flac", "loop_compus.flac"])
def test_whole_recordings_are_untouched(name):
    clean = Audio.read(RECORDINGS / name)
    assert np.array_equal(ArFill()(clean).waveform, clean.waveform)


@pytest.mark.parametrize("seed", [1, 3])
def test_what_is_filled_in_does_not_grow_beyond_what_is_around_it(seed):
    rng, time = np.random.default_rng(seed), np.arange(4 * RATE) / RATE
    hums = sum(0.1 * np.sin(2 * np.pi * hz * time + rng.uniform(0, 6)) for hz in rng.uniform(40, 90, 3))
    sound = (hums + 0.03 * rng.standard_normal(time.size)).astype(np.float32)
    gaps = [slice(start, start + 441) for start in range(13_000, 160_000, 8_820)]
    damaged = sound.copy()
    for gap in gaps:
        damaged[gap] = 0
    filled = ArFill()(Audio.of(damaged[np.newaxis], RATE)).waveform[0]
    share = []
    for gap in gaps:
        beside = sound[gap.start - 882 : gap.start], sound[gap.stop : gap.stop + 882]
        share.append(np.square(filled[gap]).mean() / max(np.square(each).mean() for each in beside))
    assert np.count_nonzero(share) > 10
    assert max(share) < 1.2**2


def test_a_pause_with_soft_edges_stays():
    sound = tone(440, sample_rate=RATE, seconds=1).waveform
    time = np.arange(RATE) / RATE
    fade = np.clip(np.abs(time - 0.5) / 0.1 - 0.2, 0, 1)
    paused = Audio.of((sound * fade).astype(np.float32), RATE)
    assert np.array_equal(ArFill()(paused).waveform, paused.waveform)


def test_a_gap_longer_than_the_longest_stays():
    damaged, _ = dropped(guitar(), 60)
    assert np.array_equal(ArFill(longest_ms=40)(damaged).waveform, damaged.waveform)


def test_blocks_cannot_be_heard():
    damaged, _ = dropped(guitar(), 20)
    whole = ArFill()(damaged).waveform
    assert np.array_equal(streamed(Chain([ArFill()]), damaged, [1, 777, 30_000]).waveform, whole)
