"""Every fault is measured from outside: by level, spectrum, gap and lag, not by the numbers it drew."""

from __future__ import annotations

import numpy as np
import pytest
from pytest import approx

from wavechain.errors import ParameterError
from wavechain.recipes import Degradation, Surroundings, part
from wavechain.stream import Block
from wavechain.testing import impulse, music, noise, silence, tone
from wavechain_trainer.degradations.band_limit import BandLimit
from wavechain_trainer.degradations.clicks import Clicks
from wavechain_trainer.degradations.clip import Clip
from wavechain_trainer.degradations.codec import Codec
from wavechain_trainer.degradations.dropouts import Dropouts
from wavechain_trainer.degradations.hum import Hum
from wavechain_trainer.degradations.noise import Noise
from wavechain_trainer.degradations.room import Room

RATE = 48_000
NAMES = ("add-noise", "room", "clip", "codec", "band-limit", "clicks", "dropouts", "hum")
ALONE = Surroundings()
STREET = Surroundings(noises=[noise(seconds=0.7, seed=5).waveform[0], noise(seconds=3, seed=6).waveform[0]])


def song(channels: int = 1, sample_rate: int = RATE) -> Block:
    return music(sample_rate=sample_rate, seconds=2, channels=channels).waveform


def worsened(degradation: Degradation, waveform: Block, seed: int = 0, surroundings: Surroundings = ALONE) -> Block:
    return degradation.apply(waveform, RATE, np.random.default_rng(seed), surroundings)[0]


def level_db(waveform: Block) -> float:
    return float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)) + 1e-30))


def power_db(waveform: Block, low_hz: float, high_hz: float) -> float:
    """Power in a band, of one channel through a Hann window."""
    spectrum = np.fft.rfft(waveform[0].astype(np.float64) * np.hanning(waveform.shape[1]))
    frequencies = np.fft.rfftfreq(waveform.shape[1], 1 / RATE)
    inside = (frequencies >= low_hz) & (frequencies < high_hz)
    return float(10 * np.log10(np.sum(np.abs(spectrum[inside]) ** 2) + 1e-30))


def lag_of(before: Block, after: Block) -> int:
    """By how many frames *after* is late: the highest point of the cross-correlation."""
    size = 2 * before.shape[1]
    crossed = np.fft.irfft(np.fft.rfft(after[0], size) * np.conj(np.fft.rfft(before[0], size)), size)
    top = int(np.argmax(crossed))
    return top if top < size // 2 else top - size


# What holds for all of them


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("sample_rate", "channels"), [(44_100, 1), (48_000, 2), (48_000, 3)])
@pytest.mark.parametrize("name", NAMES)
def test_the_same_chance_gives_the_same_finite_clip_of_the_same_length_and_the_input_stays(
    name: str, sample_rate: int, channels: int, seed: int
):
    clip = np.ascontiguousarray(song(channels, sample_rate)[:, : 2 * sample_rate - 137])
    kept = clip.copy()
    clip.flags.writeable = False
    first = part("degradation", name).apply(clip, sample_rate, np.random.default_rng(seed), STREET)
    again = part("degradation", name).apply(clip, sample_rate, np.random.default_rng(seed), STREET)
    other = part("degradation", name).apply(clip, sample_rate, np.random.default_rng(seed + 100), STREET)
    for waveform in first:
        assert waveform.shape == clip.shape
        assert waveform.dtype == np.float32
        assert waveform.flags.c_contiguous
        assert np.isfinite(waveform).all()
    assert np.array_equal(clip, kept)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], clip)


@pytest.mark.parametrize("name", NAMES)
def test_silence_and_clips_too_short_for_words_come_back_finite(name: str):
    for frames in (1, 2, 30, 700):
        for clip in (np.zeros((2, frames), np.float32), np.full((1, frames), 0.3, np.float32)):
            for seed in range(8):
                for waveform in part("degradation", name).apply(clip, RATE, np.random.default_rng(seed), STREET):
                    assert waveform.shape == clip.shape
                    assert np.isfinite(waveform).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "codec"])
def test_silence_stays_silent(name: str):
    clip = silence(seconds=2, channels=2).waveform
    assert not part("degradation", name).apply(clip, RATE, np.random.default_rng(1), STREET)[0].any()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "room"])
def test_what_is_wanted_is_the_clip_itself(name: str):
    clip = song(2)
    assert part("degradation", name).apply(clip, RATE, np.random.default_rng(1), STREET)[1] is clip


@pytest.mark.parametrize("name", ["room", "codec", "band-limit"])
@pytest.mark.parametrize("seed", range(5))
def test_what_went_through_something_comes_back_where_it_lay(name: str, seed: int):
    clip = noise(seconds=2, seed=seed).waveform
    assert lag_of(clip, worsened(part("degradation", name), clip, seed)) == 0


def test_a_range_has_two_rising_numbers_that_make_sense():
    with pytest.raises(ParameterError, match="two rising numbers between -60 and 120"):
        Noise(snr_db=(20, -5))
    with pytest.raises(ParameterError, match="two rising numbers between 100 and 96000"):
        BandLimit(cutoff_hz=(10, 2000))
    with pytest.raises(ParameterError, match="two rising numbers between 1 and 10000"):
        Clicks(length=(40, 1))
    with pytest.raises(ParameterError, match="formats"):
        Codec(formats=())
    with pytest.raises(ParameterError, match="mains_hz"):
        Hum(mains_hz=())


# Noise


@pytest.mark.parametrize("surroundings", [ALONE, STREET], ids=["made", "recorded"])
@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 40.0])
def test_noise_lies_as_far_below_the_clip_as_it_is_told(snr_db: float, surroundings: Surroundings):
    clip = tone(440, seconds=2, channels=2, level_dbfs=-6).waveform
    for seed in range(8):
        degradation = Noise(snr_db=(snr_db, snr_db), generated=0)
        added = worsened(degradation, clip, seed, surroundings) - clip
        assert level_db(clip) - level_db(added) == approx(snr_db, abs=0.5)


def test_pauses_do_not_make_the_noise_quieter():
    spoken = tone(440, seconds=2).waveform.copy()
    level = level_db(spoken)
    spoken[:, RATE:] = 0
    added = worsened(Noise(snr_db=(10, 10)), spoken) - spoken
    assert level - level_db(added) == approx(10, abs=0.5)


def test_recorded_noise_is_the_recording():
    hiss = noise(seconds=5, seed=9).waveform[0]
    clip = song()
    added = worsened(Noise(generated=0, tilt=0), clip, 3, Surroundings(noises=[hiss])) - clip
    size = 2**19
    crossed = np.fft.irfft(np.fft.rfft(added[0], size) * np.conj(np.fft.rfft(hiss, size)), size)
    assert np.abs(crossed).max() / (np.linalg.norm(added) * np.linalg.norm(hiss[: 2 * RATE])) > 0.95


def test_a_silent_recording_is_replaced_by_made_noise():
    clip = song()
    quiet = Surroundings(noises=[np.zeros(3 * RATE, np.float32)])
    assert level_db(worsened(Noise(generated=0), clip, 0, quiet) - clip) > -60


def test_made_noise_has_many_colours():
    clip = tone(440, seconds=2).waveform
    slopes = []
    for seed in range(20):
        added = worsened(Noise(snr_db=(0, 0)), clip, seed) - clip
        slopes.append(power_db(added, 4000, 8000) - power_db(added, 250, 500))
    assert min(slopes) < -10
    assert max(slopes) > 10


# Clipping


def test_hard_clipping_cuts_at_the_share_of_the_peak_and_touches_nothing_below():
    clip = song(2)
    limit = 0.25 * np.abs(clip).max()
    cut = worsened(Clip(threshold=(0.25, 0.25), by_damage=0, soft=0), clip)
    over = np.abs(clip) > limit
    assert over.any()
    assert np.abs(cut[over]) == approx(limit, rel=1e-6)
    assert np.array_equal(np.sign(cut[over]), np.sign(clip[over]))
    assert np.array_equal(cut[~over], clip[~over])


@pytest.mark.parametrize("snr_db", [1.0, 8.0, 20.0])
def test_clipping_by_damage_does_that_much(snr_db: float):
    clip = song(2)
    cut = worsened(Clip(snr_db=(snr_db, snr_db), by_damage=1, soft=0), clip)
    assert level_db(clip) - level_db(clip - cut) == approx(snr_db, abs=0.2)


def test_soft_clipping_bends_without_a_corner_and_stays_below_the_threshold():
    ramp = np.linspace(-1, 1, 20_001, dtype=np.float32)[None]
    bent = worsened(Clip(threshold=(0.5, 0.5), by_damage=0, soft=1), ramp)
    assert 0.4 < np.abs(bent).max() <= 0.5
    assert np.all(np.diff(bent[0]) >= 0)
    assert np.abs(np.diff(bent[0], 2)).max() < 1e-6  # hard clipping has a corner of 1e-4 here


# Clicks


def without_crackle(**settings: object) -> Clicks:
    return Clicks.model_validate({"crackle": 0, **settings})


def test_clicks_come_as_often_and_last_as_long_as_they_are_told():
    clip = tone(440, seconds=20).waveform
    added = worsened(without_crackle(per_second=(5, 5), length=(10, 10)), clip) - clip
    touched = np.flatnonzero(np.abs(added[0]) > 1e-9)
    runs = np.split(touched, np.flatnonzero(np.diff(touched) > 10) + 1)
    assert 70 <= len(runs) <= 130  # 100 expected, one in ten thousand times outside
    lengths = [run[-1] - run[0] + 1 for run in runs]
    assert np.mean([length <= 10 for length in lengths]) > 0.95  # now and then two fall together
    assert max(lengths) <= 30


@pytest.mark.parametrize("level_db_", [6.0, 30.0])
def test_a_click_stands_above_what_sounds_around_it(level_db_: float):
    clip = tone(1000, seconds=2).waveform
    added = worsened(without_crackle(per_second=(0.5, 0.5), level_db=(level_db_, level_db_)), clip, 4) - clip
    assert 20 * np.log10(np.abs(added).max()) - level_db(clip) == approx(level_db_, abs=0.5)


def test_clicks_in_a_quiet_half_are_quieter():
    clip = tone(1000, seconds=2).waveform * np.repeat(np.float32([1, 0.05]), RATE)
    added = np.abs(worsened(without_crackle(per_second=(30, 30), level_db=(20, 20)), clip) - clip)
    assert 20 * np.log10(added[:, RATE + 1000 :].max() / added[:, : RATE - 1000].max()) == approx(-26, abs=1)


def test_crackle_is_dense_and_low():
    clip = tone(1000, seconds=2).waveform
    quiet = Clicks(per_second=(0.01, 0.01), level_db=(-60, -60), crackle=1)
    added = worsened(quiet, clip) - clip
    assert np.count_nonzero(np.abs(added) > 1e-5) > 150
    assert level_db(added) < level_db(clip) - 10


# Hum


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_hum_is_lines_at_multiples_of_the_mains_and_nothing_else(mains_hz: float):
    clip = tone(10_000, seconds=2).waveform
    degradation = Hum(level_db=(-10, -10), mains_hz=(mains_hz,), drift=0)
    for seed in range(5):
        added = worsened(degradation, clip, seed) - clip
        total = power_db(added, 0, RATE / 2)
        lines = [power_db(added, k * mains_hz - 2, k * mains_hz + 2) for k in range(1, 21)]
        assert 10 * np.log10(np.sum(10 ** (np.array(lines) / 10))) == approx(total, abs=0.01)
        assert level_db(clip) - level_db(added) == approx(10, abs=0.5)


def test_hum_has_up_to_twenty_lines_and_the_mains_drifts():
    clip = tone(10_000, seconds=2).waveform
    counts, mains = [], []
    for seed in range(40):
        added = worsened(Hum(level_db=(-10, -10), mains_hz=(50,)), clip, seed) - clip
        top = power_db(added, 0, RATE / 2)
        counts.append(sum(power_db(added, 50 * k - 14, 50 * k + 14) > top - 50 for k in range(1, 21)))
        spectrum = np.abs(np.fft.rfft(added[0], 2**18))
        near = slice(int(45 / RATE * 2**18), int(55 / RATE * 2**18))
        mains.append((near.start + np.argmax(spectrum[near])) * RATE / 2**18)
    assert min(counts) <= 3
    assert max(counts) >= 16
    assert 49.4 < min(mains) < 49.8
    assert 50.2 < max(mains) < 50.6


# Dropouts


def test_gaps_are_as_long_as_they_are_told_and_as_many():
    clip = noise(seconds=10).waveform
    gapped = worsened(Dropouts(per_second=(2, 2), length_ms=(20, 20), silent=1, fade_ms=(0, 0)), clip)
    silent = np.flatnonzero(gapped[0] == 0)
    gaps = np.split(silent, np.flatnonzero(np.diff(silent) > 1) + 1)
    assert [len(gap) for gap in gaps] == [960] * 20
    assert np.array_equal(np.delete(gapped, silent, axis=1), np.delete(clip, silent, axis=1))


def test_gaps_last_from_5_to_80_milliseconds_and_their_edges_fade():
    ones = np.ones((2, 2 * RATE), np.float32)
    lengths = []
    for seed in range(60):
        gapped = worsened(Dropouts(silent=1, fade_ms=(1, 1)), ones, seed)
        assert np.array_equal(gapped[0], gapped[1])
        assert np.abs(np.diff(gapped[0])).max() == approx(1 / 49, rel=1e-4)
        silent = np.flatnonzero(gapped[0] == 0)
        lengths += [len(gap) for gap in np.split(silent, np.flatnonzero(np.diff(silent) > 1) + 1)]
    assert 240 <= min(lengths) < 320
    assert 3000 < max(lengths) <= 3840


def test_a_gap_may_be_quiet_instead_of_silent():
    ones = np.ones((1, 2 * RATE), np.float32)
    assert worsened(Dropouts(silent=0, depth_db=(40, 40)), ones).min() == approx(0.01, rel=1e-4)


# Band limits


def test_a_brick_wall_leaves_what_is_below_and_nothing_above():
    clip = noise(seconds=2).waveform
    limited = worsened(BandLimit(cutoff_hz=(4000, 4000), brick_wall=1, holes=0), clip)
    assert power_db(limited, 0, 3600) == approx(power_db(clip, 0, 3600), abs=0.01)
    assert power_db(limited, 4100, 24_000) < power_db(clip, 4100, 24_000) - 60


@pytest.mark.parametrize("order", [2, 8, 16])
def test_a_slope_is_that_of_a_butterworth_filter(order: int):
    spike = impulse(at=RATE, seconds=2).waveform
    limited = worsened(BandLimit(cutoff_hz=(4000, 4000), brick_wall=0, holes=0, order=(order, order)), spike)
    response = np.abs(np.fft.rfft(limited[0].astype(np.float64)))
    assert 20 * np.log10(response[8000]) == approx(-3.01, abs=0.05)  # two seconds: two bins a hertz
    assert 20 * np.log10(response[12_000]) == approx(-10 * np.log10(1 + 1.5 ** (2 * order)), abs=0.1)
    assert np.allclose(limited[0, RATE - 500 : RATE], limited[0, RATE + 500 : RATE : -1], atol=1e-6)  # no phase


def test_holes_are_zero_cells_above_the_frequency_and_nothing_below_it():
    clip = noise(seconds=2).waveform
    lost = []
    for seed in range(10):
        holed = worsened(BandLimit(cutoff_hz=(6000, 6000), holes=1), clip, seed)
        assert power_db(holed - clip, 0, 5500) < power_db(clip, 0, 5500) - 60
        lost.append(power_db(clip, 6500, 24_000) - power_db(holed, 6500, 24_000))
    assert min(lost) > 0.2
    assert max(lost) > 4
    assert max(lost) < 30


def test_holes_open_and_close_in_time():
    clip = noise(seconds=2).waveform
    holed = worsened(BandLimit(cutoff_hz=(6000, 6000), holes=1), clip, 2)
    pieces = holed[0, : 187 * 512].reshape(187, 512) * np.hanning(512)
    strip = 20 * np.log10(np.abs(np.fft.rfft(pieces))[:, 100:104].mean(axis=1) + 1e-9)
    assert np.ptp(strip) > 20


# Codec


@pytest.mark.parametrize("squeeze", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("codec", ["mp3", "vorbis"])
@pytest.mark.parametrize(("sample_rate", "channels"), [(16_000, 1), (32_000, 1), (44_100, 2), (48_000, 1), (48_000, 2)])
def test_no_codec_at_any_rate_shifts_the_sound_or_changes_its_level(
    codec: str, squeeze: float, sample_rate: int, channels: int
):
    clip = song(channels, sample_rate)
    degradation = Codec.model_validate({"formats": (codec,), "squeeze": (squeeze, squeeze)})
    coded = degradation.apply(clip, sample_rate, np.random.default_rng(0), ALONE)[0]
    assert lag_of(clip, coded) == 0
    assert np.vdot(clip, coded) / np.vdot(clip, clip) == approx(1, abs=0.02)
    assert level_db(clip - coded) < level_db(clip) - 15


def test_squeezing_harder_damages_more():
    clip = noise(seconds=2).waveform
    damage = [level_db(worsened(Codec(squeeze=(at, at), formats=("mp3",)), clip) - clip) for at in (0.0, 0.5, 1.0)]
    assert damage == sorted(damage)
    assert damage[2] > damage[0] + 3


def test_a_clip_beyond_full_scale_keeps_its_level():
    clip = song(1) * np.float32(4)
    assert np.abs(clip).max() > 2
    for codec in ("mp3", "vorbis"):
        coded = worsened(Codec.model_validate({"formats": (codec,)}), clip)
        assert level_db(coded) == approx(level_db(clip), abs=0.5)


# Room


def room_of_an_impulse(**settings: tuple[float, float]) -> tuple[Block, Block]:
    spike = impulse(seconds=2).waveform
    return Room.model_validate(settings).apply(spike, RATE, np.random.default_rng(3), ALONE)


def test_the_direct_sound_comes_first_and_the_wanted_part_ends_after_the_early_reflections():
    heard, wanted = room_of_an_impulse(early_ms=(30, 30))
    assert np.argmax(np.abs(heard[0])) == 0
    assert 3 <= np.count_nonzero(wanted[0, 1:]) <= 8
    assert not wanted[0, 1440:].any()
    assert np.array_equal(heard[0, :1440], wanted[0, :1440])


@pytest.mark.parametrize("decay", [0.2, 0.8])
def test_the_tail_falls_by_60_db_in_its_time(decay: float):
    heard, _ = room_of_an_impulse(decay_seconds=(decay, decay), early_ms=(20, 20))
    start = 960
    left = np.cumsum(np.square(heard[0, start:], dtype=np.float64)[::-1])[::-1]  # Schroeder's backward integration
    curve = 10 * np.log10(left / left[0] + 1e-30)
    at_20, at_30 = np.argmax(curve < -20), np.argmax(curve < -30)
    assert 6 * (at_30 - at_20) / RATE == approx(decay, rel=0.25)


def test_the_tail_lies_as_far_below_as_it_is_told_and_the_room_is_as_loud_as_the_clip():
    clip = song(2)
    heard, wanted = Room(direct_db=(6, 6)).apply(clip, RATE, np.random.default_rng(1), ALONE)
    assert level_db(heard) == approx(level_db(clip), abs=0.01)
    heard, wanted = room_of_an_impulse(direct_db=(6, 6))
    assert level_db(wanted) - level_db(heard - wanted) == approx(6, abs=0.1)


def test_a_sound_is_worsened_to_try_a_repair_on():
    whole = music(sample_rate=RATE, seconds=2, channels=2)
    press = part("degradation", "clip", {"by_damage": 1.0, "snr_db": (12, 12), "soft": 1.0})
    worse = press(whole, seed=3)
    assert level_db(worse.waveform - whole.waveform) - level_db(whole.waveform) == approx(-12, abs=1)
    np.testing.assert_array_equal(worse.waveform, press(whole, seed=3).waveform)
    assert (worse.sample_rate, worse.media) == (RATE, whole.media)
    assert not np.array_equal(worse.waveform, press(whole, seed=4).waveform)
