"""Dips are raised; pauses, gates and silence are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio, Chain
from wavechain.errors import ParameterError
from wavechain.testing import EffectContract, noise, streamed, tone
from wavechain_restoration.ar_fill import ArFill
from wavechain_restoration.dip_edges import DipEdge
from wavechain_restoration.raise_dips import RaiseDips

RECORDINGS = Path(__file__).parents[3] / "tests" / "data"
RATE = 44_100
PLACES = (30_000, 62_000, 95_000, 128_000)


class TestRaiseDipsContract(EffectContract):
    stage = RaiseDips()


def guitar(channels: int = 1) -> Audio:
    whole = Audio.read(RECORDINGS / "guit_em9.flac")
    return Audio.of(whole.waveform[:channels, : 4 * RATE], RATE)


def curve(frames: int, ms: float, depth_db: float, fade_ms: float) -> np.ndarray:
    """The gain of a sound whose level falls at each of the PLACES."""
    length, fade, floor = round(ms * RATE / 1000), round(fade_ms * RATE / 1000), 10 ** (-depth_db / 20)
    ramp = floor + (1 - floor) * np.arange(1, fade + 1) / (fade + 1)
    gain = np.ones(frames, np.float32)
    for place in PLACES:
        gain[place : place + length + 2 * fade] = np.concatenate([ramp[::-1], np.full(length, floor), ramp])
    return gain


def error_db(after: np.ndarray, clean: np.ndarray, where: np.ndarray) -> float:
    lost = clean[:, where]
    return float(10 * np.log10(((after[:, where] - lost) ** 2).sum() / (lost**2).sum()))


def raised(after: np.ndarray, clean: np.ndarray, gain: np.ndarray) -> list[bool]:
    """Whether each dip came back, to an error of 18 dB less."""
    beginnings = [place - 200 for place in PLACES]
    ends = [place + 5000 for place in PLACES]
    frames = np.arange(gain.size)
    return [
        error_db(after, clean, (gain < 1) & (frames >= first) & (frames < last)) < -18
        for first, last in zip(beginnings, ends, strict=True)
    ]


@pytest.mark.parametrize(
    ("depth_db", "ms", "fade_ms", "least"), [(20, 10, 0, 3), (30, 40, 1, 3), (50, 20, 2, 2), (45, 20, 0.5, 3)]
)
def test_a_guitar_is_raised_from_most_dips_and_left_as_it_was_elsewhere(depth_db, ms, fade_ms, least):
    clean = guitar()
    gain = curve(clean.frames, ms, depth_db, fade_ms)
    damaged = Audio.of(clean.waveform * gain, RATE)
    assert not any(raised(damaged.waveform, clean.waveform, gain))
    after = RaiseDips()(damaged).waveform
    assert sum(raised(after, clean.waveform, gain)) >= least
    far = np.convolve(gain < 1, np.ones(221), "same") == 0
    assert np.array_equal(after[:, far], damaged.waveform[:, far])


def test_both_channels_are_raised():
    clean = guitar(channels=2)
    gain = curve(clean.frames, 20, 30, 0.5)
    after = RaiseDips()(Audio.of(clean.waveform * gain, RATE)).waveform
    for only in (slice(0, 1), slice(1, 2)):
        assert sum(raised(after[only], clean.waveform[only], gain)) >= 3


def test_sixteen_bits_are_enough():
    clean = guitar()
    gain = curve(clean.frames, 20, 25, 0.5)
    damaged = np.round(clean.waveform * gain * 32768).astype(np.float32) / 32768
    after = RaiseDips()(Audio.of(damaged, RATE)).waveform
    assert sum(raised(after, clean.waveform, gain)) >= 3


def test_what_was_raised_is_not_filled_and_silence_is_left_to_ar_fill():
    clean = guitar()
    gain = curve(clean.frames, 20, 45, 0.5)
    gap, around = slice(PLACES[1], PLACES[1] + 882), slice(PLACES[1] - 1000, PLACES[1] + 4000)
    gain[around] = 1
    gain[gap] = 0
    damaged = Audio.of(clean.waveform * gain, RATE)
    after = RaiseDips()(damaged)
    assert np.array_equal(after.waveform[:, around], damaged.waveform[:, around])
    filled = ArFill()(after).waveform
    changed = after.waveform != damaged.waveform
    assert np.any(changed)
    assert np.array_equal(filled[changed], after.waveform[changed])
    assert np.any(filled[:, gap])


@pytest.mark.parametrize("name", ["guit_em9.flac", "loop_compus.flac"])
def test_whole_recordings_are_untouched(name):
    clean = Audio.read(RECORDINGS / name)
    assert np.array_equal(RaiseDips()(clean).waveform, clean.waveform)


def test_a_pause_with_soft_edges_stays():
    sound = tone(440, sample_rate=RATE, seconds=1).waveform
    fade = np.clip(np.abs(np.arange(RATE) / RATE - 0.5) / 0.1 - 0.2, 0.05, 1)
    paused = Audio.of((sound * fade).astype(np.float32), RATE)
    assert np.array_equal(RaiseDips()(paused).waveform, paused.waveform)


def test_noise_behind_a_gated_sound_is_not_the_sound():
    """Each gate is as steep as a dip, and what is left is as quiet as one."""
    clean = guitar()
    gate = (curve(clean.frames, 20, 120, 0.5) > 1e-3).astype(np.float32)
    hiss = 0.003 * np.random.default_rng(3).standard_normal(clean.frames)
    gated = Audio.of((clean.waveform * gate + hiss).astype(np.float32), RATE)
    assert np.array_equal(RaiseDips()(gated).waveform, gated.waveform)


def test_another_sound_that_goes_on_below_a_gated_one_is_not_raised():
    clean = guitar()
    gate = curve(clean.frames, 20, 120, 0.5)
    below = 0.02 * tone(523.25, sample_rate=RATE, seconds=4, channels=1).waveform[:, : clean.frames]
    gated = Audio.of((clean.waveform * gate + below).astype(np.float32), RATE)
    assert np.array_equal(RaiseDips()(gated).waveform, gated.waveform)


def test_where_hum_came_after_the_dip_it_is_not_raised_above_all_that_is_beside_it():
    clean = guitar()
    hum = 0.01 * np.sin(2 * np.pi * 50 * np.arange(clean.frames) / RATE)
    damaged = (clean.waveform * curve(clean.frames, 20, 30, 1) + hum).astype(np.float32)
    after = RaiseDips()(Audio.of(damaged, RATE)).waveform
    np.testing.assert_array_equal(after, damaged)


@pytest.mark.parametrize("settings", [{"longest_ms": 15}, {"shortest_ms": 30}, {"depth_db": 40}, {"deepest_db": 25}])
def test_what_lies_outside_the_bounds_stays(settings):
    clean = guitar()
    damaged = Audio.of(clean.waveform * curve(clean.frames, 20, 30, 0), RATE)
    assert not np.array_equal(RaiseDips()(damaged).waveform, damaged.waveform)
    assert np.array_equal(RaiseDips(**settings)(damaged).waveform, damaged.waveform)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"shortest_ms": 50, "longest_ms": 2},
            r"shortest_ms is 50 ms and longest_ms is 2 ms: .* Try: a longest_ms of 50",
        ),
        ({"depth_db": 40, "deepest_db": 30}, r"depth_db is 40 dB and deepest_db is 30 dB: .* Try: a deepest_db of 40"),
    ],
)
def test_bounds_with_nothing_between_them_are_refused(settings, said):
    with pytest.raises(ParameterError, match=said):
        RaiseDips(**settings)


@pytest.mark.parametrize("sample_rate", [1, 5, 60, 100])
def test_what_has_no_room_for_a_model_is_untouched(sample_rate):
    clean = noise(sample_rate=sample_rate, seconds=20)
    dips = np.where(np.arange(clean.frames) // max(1, sample_rate // 20) % 10, 1, 0.03).astype(np.float32)
    damaged = Audio.of(clean.waveform * dips, sample_rate)
    assert np.array_equal(RaiseDips(shortest_ms=1)(damaged).waveform, damaged.waveform)


def test_the_report_counts_dips():
    clean = guitar()
    damaged = Audio.of(clean.waveform * curve(clean.frames, 20, 30, 0), RATE)
    run = RaiseDips().open(damaged.spec)
    run.process(damaged.waveform)
    run.flush()
    assert run.report["raised_dips"] >= 2
    assert run.report["raised_seconds"] == pytest.approx(0.02 * run.report["raised_dips"], abs=0.002)
    run = RaiseDips().open(clean.spec)
    run.process(clean.waveform)
    run.flush()
    assert run.report == {"left_alone": "no dips were found"}


@pytest.mark.parametrize(("fade", "gain"), [(0, 0.03), (20, 0.1), (70, 0.01)])
def test_the_edge_of_a_dip_is_found_to_the_frame(fade, gain):
    edge = DipEdge(fallen(fade, gain), outside=5010, order=66, context=1764, inside=88, fade=110, deepest=1e-3)
    place, ramp, depth = edge.likeliest
    assert abs(place - 5000) <= 2
    assert abs(ramp - fade) <= 4
    assert depth == pytest.approx(gain, rel=0.1)
    assert edge.gained(edge.likeliest) > 100


def test_a_join_costs_the_same_among_others_and_alone():
    edge = DipEdge(fallen(20, 0.1), outside=5010, order=66, context=1764, inside=88, fade=110, deepest=1e-3)
    rng = np.random.default_rng(5)
    joins = np.stack([rng.integers(4950, 5080, 150), rng.integers(0, 110, 150), rng.uniform(0.01, 0.9, 150)], 1)
    np.testing.assert_allclose(edge.costs(joins), [edge.costs(join[np.newaxis])[0] for join in joins], rtol=1e-9)


def fallen(fade: int, gain: float) -> np.ndarray:
    """Guitar that is at full depth from frame 5000 on, after a ramp of *fade* frames."""
    frames = np.arange(5200)
    curve = np.clip(1 - (1 - gain) * (frames - (5000 - fade) + 1) / (fade + 1), gain, 1)
    return guitar().waveform[0, 60_000:65_200] * curve


def test_blocks_cannot_be_heard():
    clean = guitar()
    damaged = Audio.of(clean.waveform * curve(clean.frames, 20, 30, 1), RATE)
    whole = RaiseDips()(damaged).waveform
    assert np.array_equal(streamed(Chain([RaiseDips()]), damaged, [1, 777, 30_000]).waveform, whole)
