"""Clicks go, music stays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio, Chain
from wavechain.testing import EffectContract, music, silence, streamed
from wavechain_restoration.ar_declick import ArDeclick

RECORDINGS = Path(__file__).parents[3] / "tests" / "data"


class TestArDeclickContract(EffectContract):
    stage = ArDeclick()


def guitar() -> Audio:
    whole = Audio.read(RECORDINGS / "guit_em9.flac")
    return Audio.of(whole.waveform[:1, : 4 * whole.sample_rate], whole.sample_rate)


def clicked(audio: Audio, per_second: float, *, seed: int = 1) -> tuple[Audio, int]:
    """Decaying clicks of 1 to 40 frames, 6 to 30 dB above the music."""
    generator = np.random.default_rng(seed)
    damaged = audio.waveform.copy()
    count = round(per_second * audio.seconds)
    for at in generator.integers(100, audio.frames - 100, count):
        size = generator.integers(1, 41)
        shape = generator.choice([-1, 1]) * np.exp(-4 * np.arange(size) / size)
        damaged[:, at : at + size] += shape * audio.waveform.std() * 10 ** (generator.uniform(6, 30) / 20)
    return Audio.of(damaged, audio.sample_rate), count


def error_db(clean: Audio, found: Audio) -> float:
    return float(10 * np.log10(((found.waveform - clean.waveform) ** 2).sum() / (clean.waveform**2).sum()))


@pytest.mark.parametrize("per_second", [1, 4])
def test_a_guitar_loses_its_clicks(per_second):
    clean = guitar()
    damaged, _ = clicked(clean, per_second)
    assert error_db(clean, ArDeclick()(damaged)) < error_db(clean, damaged) - 10


@pytest.mark.parametrize("name", ["guit_em9.flac", "loop_compus.flac"])
def test_attacks_and_drums_are_no_clicks(name):
    clean = Audio.read(RECORDINGS / name)
    assert np.array_equal(ArDeclick()(clean).waveform, clean.waveform)


def test_sound_that_begins_or_ends_at_once_is_no_click():
    whole = guitar().waveform[:, 30_000:60_000]
    clean = Audio.of(np.pad(whole, ((0, 0), (5000, 5000))), 44_100)
    assert np.array_equal(ArDeclick()(clean).waveform, clean.waveform)


def test_quiet_crackle_is_not_made_worse():
    """Interpolation errs too: where clicks lie below its error, they are the lesser evil."""
    clean = guitar()
    generator = np.random.default_rng(3)
    crackle = np.zeros_like(clean.waveform)
    at = generator.integers(0, clean.frames, round(800 * clean.seconds))
    crackle[0, at] = generator.laplace(0, 0.1, at.size) * clean.waveform.std()
    damaged = Audio.of(clean.waveform + crackle, 44_100)
    assert error_db(clean, ArDeclick()(damaged)) < error_db(clean, damaged)


def test_a_single_wrong_sample_is_set_right():
    clean = music(seconds=1, sample_rate=44_100, channels=1)
    damaged = clean.waveform.copy()
    damaged[0, 20_000] += 0.3
    after = ArDeclick()(Audio.of(damaged, 44_100)).waveform
    assert abs(after[0, 20_000] - clean.waveform[0, 20_000]) < 0.02
    around = slice(19_000, 21_000)
    assert np.count_nonzero(after[0, around] != damaged[0, around]) < 10


def click(size: int, height: float) -> np.ndarray:
    return (height * np.exp(-3 * np.arange(size) / size)).astype(np.float32)


def test_a_loud_click_does_not_hide_a_quieter_one_beside_it():
    clean = guitar()
    damaged = clean.waveform.copy()
    loud = float(clean.waveform[0].std())
    for at in range(20_000, clean.frames - 5000, 20_000):
        damaged[0, at : at + 40] += click(40, 15 * loud)
        damaged[0, at - 110 : at - 85] += click(25, 4 * loud)
        damaged[0, at + 75 : at + 90] -= click(15, 6 * loud)
    assert error_db(clean, ArDeclick()(Audio.of(damaged, 44_100))) < -30


@pytest.mark.parametrize("size", [12, 27, 60])
def test_flat_pulses_far_above_the_sound_are_taken_out(size):
    """Within them all is as the model expects; only their edges are not."""
    clean = guitar()
    damaged = clean.waveform.copy()
    for at in range(20_000, clean.frames - 5000, 20_000):
        damaged[0, at : at + size] -= 20 * float(clean.waveform[0].std())
    assert error_db(clean, ArDeclick()(Audio.of(damaged, 44_100))) < -25


def test_of_two_flat_pulses_close_together_neither_hides_the_other():
    clean = guitar()
    damaged = clean.waveform.copy()
    loud = float(clean.waveform[0].std())
    for at in range(20_000, clean.frames - 5000, 20_000):
        damaged[0, at : at + 21] += 30 * loud
        damaged[0, at + 56 : at + 91] += 15 * loud
    assert error_db(clean, ArDeclick()(Audio.of(damaged, 44_100))) < -30


def test_a_second_pass_finds_what_the_first_had_hidden():
    clean = guitar()
    damaged, _ = clicked(clean, 80)
    once, twice = (error_db(clean, ArDeclick(passes=count)(damaged)) for count in (1, 2))
    assert twice < once - 1


def test_a_second_pass_finds_nothing_new_where_there_are_no_clicks():
    clean = guitar()
    assert np.array_equal(ArDeclick(passes=3)(clean).waveform, ArDeclick()(clean).waveform)


def test_most_pulses_that_come_again_and_again_stay():
    """As those of a synthesiser or a voice: short, far above the noise between them, and all alike."""
    sound = 0.003 * np.random.default_rng(4).standard_normal(88_200).astype(np.float32)
    for at in range(300, 87_000, 150):
        sound[at : at + 24] += click(24, 0.3)
    after = ArDeclick()(Audio.of(sound[None], 44_100)).waveform[0]
    assert error_db(Audio.of(sound[None], 44_100), Audio.of(after[None], 44_100)) < -10


def test_a_square_wave_whose_every_edge_is_suspect_is_not_made_much_louder():
    """What was expected in place of one edge does not vouch for what is set in at the next."""
    square = np.where(np.arange(88_200) % 37 < 18, 1, -1).astype(np.float32)[np.newaxis]
    after = ArDeclick()(Audio.of(square, 44_100)).waveform
    assert 1 < np.abs(after).max() < 2


def test_what_lasts_longer_than_a_click_stays():
    damaged = guitar().waveform.copy()
    damaged[0, 60_000:60_400] += 0.4
    after = ArDeclick(longest_ms=2)(Audio.of(damaged, 44_100)).waveform
    assert np.array_equal(after[0, 60_040:60_360], damaged[0, 60_040:60_360])


def test_each_channel_is_mended_by_itself():
    damaged, _ = clicked(guitar(), 4)
    quiet = silence(seconds=damaged.seconds, sample_rate=damaged.sample_rate)
    both = Audio.of(np.concatenate([damaged.waveform, quiet.waveform]), damaged.sample_rate)
    after = ArDeclick()(both).waveform
    assert np.array_equal(after[0], ArDeclick()(damaged).waveform[0])
    assert not after[1].any()


def test_blocks_cannot_be_heard():
    damaged, _ = clicked(guitar(), 4)
    whole = ArDeclick()(damaged).waveform
    assert np.array_equal(streamed(Chain([ArDeclick()]), damaged, [1, 777, 30_000]).waveform, whole)


def test_the_report_counts_clicks_per_minute():
    damaged, count = clicked(guitar(), 3)
    worker = ArDeclick().open(damaged.spec)
    worker.process(damaged.waveform)
    worker.flush()
    assert 0.6 * count <= worker.report["clicks"] <= count + 2
    assert worker.report["clicks_per_minute"] == pytest.approx(15 * worker.report["clicks"], rel=0.01)
