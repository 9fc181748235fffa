"""The constant-Q transform: bins by pitch, against its definition, against librosa, and back again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavechain import Audio
from wavechain.combinators import Inverse
from wavechain.errors import SpecMismatchError
from wavechain.stream import Block
from wavechain.testing import chirp, impulse, in_blocks, music, streamed, tone
from wavechain_transforms.cqt import Cqt

with np.load(Path(__file__).parent / "golden" / "librosa.npz") as _file:
    GOLDEN = dict(_file)
SOUND = Audio.of(GOLDEN["sound"].astype(np.float32) / 32_768, 22_050)
FIVE_OCTAVES = Cqt(low_hz=65.40639, n_bins=60, hop_length=256)


def bins(audio: Audio, stage: Cqt) -> Block:
    processor = stage.open(audio.spec)
    parts = np.concatenate([processor.process(audio.waveform), processor.flush()], axis=-1)
    return parts[:, 0] + 1j * parts[:, 1]


def by_definition(audio: Audio, stage: Cqt, number: int) -> Block:
    """One bin of every column, summed frame by frame in double precision."""
    frequency = stage.low_hz * 2 ** (number / stage.bins_per_octave)
    length = audio.sample_rate / frequency / (2 ** (1 / stage.bins_per_octave) - 1)
    time = np.arange(-int(length / 2), int(length / 2) + 1)
    window = np.cos(np.pi * time / length) ** 2
    listening = window / window.sum() * np.exp(-2j * np.pi * frequency / audio.sample_rate * time)
    padded = np.pad(audio.waveform[0].astype(float), time.size + stage.hop_length)
    centres = np.arange(-(-audio.frames // stage.hop_length) + 1) * stage.hop_length + time.size + stage.hop_length
    return np.array([padded[centre + time] @ listening for centre in centres])


@pytest.mark.parametrize("number", [0, 1, 17, 30, 48, 59])
def test_every_bin_is_what_the_definition_says(number):
    found, expected = bins(SOUND, FIVE_OCTAVES)[0, number], by_definition(SOUND, FIVE_OCTAVES, number)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(SOUND.waveform).max()


def test_bins_are_those_of_librosa_as_far_as_its_resampling_allows():
    found = np.abs(bins(SOUND, FIVE_OCTAVES)[0])
    assert np.abs(found - GOLDEN["cqt"]).max() < 0.03 * GOLDEN["cqt"].max()


def test_a_sine_reads_half_its_amplitude_in_its_bin_and_little_in_others():
    column = np.abs(bins(tone(440, level_dbfs=0, seconds=2), Cqt(low_hz=55, n_bins=72))[0, :, 90])
    assert int(column.argmax()) == 36
    assert column[36] == pytest.approx(0.5, rel=1e-3)
    assert column[[34, 38]].max() < 0.02
    assert column[[24, 48]].max() < 0.001


def test_columns_that_would_pass_over_sound_are_refused():
    with pytest.raises(SpecMismatchError, match="pass over sound"):
        bins(SOUND, Cqt(low_hz=440, n_bins=24, hop_length=8_192))


def test_a_click_stands_in_the_column_of_its_instant_in_every_bin():
    click = np.abs(bins(impulse(at=40 * 512, seconds=1), Cqt())[0])
    assert (click.argmax(axis=1) == 40).all()


@settings(max_examples=6)
@given(sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=5))
def test_streamed_equals_whole_bit_for_bit_there_and_back(sizes):
    audio, stage = chirp(seconds=0.4, channels=2), Cqt(low_hz=110, n_bins=50, hop_length=200)
    processor = stage.open(audio.spec)
    parts = [processor.process(block) for block in in_blocks(audio.waveform, sizes)]
    parts = np.concatenate([*parts, processor.flush()], axis=-1)
    assert np.array_equal(parts[:, 0] + 1j * parts[:, 1], bins(audio, stage))
    chain = stage | Inverse()
    assert np.array_equal(streamed(chain, audio, sizes).waveform, chain(audio).waveform)


def signal_to_error_db(before: Audio, after: Audio) -> float:
    inside = slice(before.sample_rate // 2, -before.sample_rate // 2)  # the lowest bins hear beyond both ends
    error = (after.waveform - before.waveform)[:, inside]
    return float(10 * np.log10(np.square(before.waveform[:, inside]).sum() / np.square(error).sum()))


@pytest.mark.parametrize(("hop_length", "highest_hz"), [(512, 250), (256, 550), (128, 1100), (64, 2700)])
def test_the_shorter_the_hop_the_higher_up_notes_come_back(hop_length, highest_hz):
    pitches = [pitch for pitch in (82.4, 110, 220, 440, 523.25, 1046.5, 1760, 2637) if pitch < highest_hz]
    audio = Audio.of(sum(tone(pitch, seconds=2, level_dbfs=-20).waveform for pitch in pitches), 48_000)
    back = (Cqt(hop_length=hop_length) | Inverse())(audio)
    assert back.waveform.shape == audio.waveform.shape
    assert signal_to_error_db(audio, back) > 30


def test_what_lies_outside_the_bins_does_not_come_back_and_is_not_magnified():
    for pitch, limit in ((12, 0.5), (5000, 0.5), (12_000, 0.001)):
        back = (Cqt(hop_length=64) | Inverse())(tone(pitch, seconds=1.5))
        assert np.abs(back.waveform[:, 24_000:48_000]).max() < limit


def test_a_stereo_image_stays():
    audio = music(seconds=1)
    back = (Cqt(low_hz=110, n_bins=60, hop_length=128) | Inverse())(audio)
    alone = (Cqt(low_hz=110, n_bins=60, hop_length=128) | Inverse())(Audio.of(audio.waveform[1:], 48_000))
    assert np.array_equal(back.waveform[1:], alone.waveform)


def test_bins_beyond_half_the_sample_rate_are_refused_with_the_number_that_fits():
    with pytest.raises(SpecMismatchError) as refused:
        Cqt()(tone(440, sample_rate=8000))
    assert str(refused.value) == (
        "stage 1 (cqt): cqt: the highest of 84 bins reaches up to 4186 Hz; half the rate of audio 8000 Hz, 1 channel, "
        "8000 frames is 4000 Hz. Try: n_bins=83."
    )


def test_a_bin_that_would_listen_for_minutes_is_refused():
    with pytest.raises(SpecMismatchError, match=r"would listen for \d+ frames of .*; 262144 is the limit"):
        Cqt(low_hz=5, bins_per_octave=96)(tone(440))


def test_bins_of_another_recipe_are_refused():
    spec = Cqt().open(tone(440).spec).spec
    with pytest.raises(
        SpecMismatchError, match=r"cqt:low_hz=40\.0 cannot turn cqt .* made by cqt:low_hz=32\.703, back"
    ):
        Cqt(low_hz=40).inverse(spec)
