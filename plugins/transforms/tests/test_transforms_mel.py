"""Mel bands, their levels and their cepstra: the numbers of librosa and torchaudio, and the way back to sound."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
from hypothesis import assume, given
from hypothesis import strategies as st

from wavechain import Audio, Chain, FeatureTransform
from wavechain.combinators import Inverse
from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.stream import Block
from wavechain.testing import chirp, impulse, in_blocks, music, noise, silence, tone
from wavechain_transforms.log_mel import LogMel
from wavechain_transforms.mel import Mel
from wavechain_transforms.mel_bands import Triangles, band_edges, hz_to_mel, mel_to_hz, triangles
from wavechain_transforms.mfcc import Mfcc

with np.load(Path(__file__).parent / "golden" / "librosa.npz") as _file:
    GOLDEN = dict(_file)
SOUND = Audio.of(GOLDEN["sound"].astype(np.float32) / 32_768, 22_050)
ALL = [Mel(), LogMel(), Mfcc()]


def features(audio: Audio, stage: FeatureTransform) -> Block:
    processor = stage.open(audio.spec)
    return np.concatenate([processor.process(audio.waveform), processor.flush()], axis=-1)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("mel", Mel(n_mels=40, n_fft=1024, hop_length=256)),
        (
            "mel_htk",
            Mel(
                n_mels=40,
                n_fft=1024,
                hop_length=256,
                low_hz=100,
                high_hz=8000,
                scale="htk",
                norm="none",
                spectrum="magnitude",
            ),
        ),
        ("log_mel", LogMel(n_mels=40, n_fft=1024, hop_length=256)),
        ("mfcc", Mfcc(n_mels=40, n_mfcc=13, n_fft=1024, hop_length=256)),
    ],
)
def test_the_numbers_are_those_of_librosa(name, stage):
    found = features(SOUND, stage)[0]
    np.testing.assert_allclose(found, GOLDEN[name], atol=1e-6 * np.abs(GOLDEN[name]).max())


@pytest.mark.parametrize(("scale", "norm"), [("htk", "none"), ("slaney", "slaney"), ("htk", "slaney")])
def test_the_bands_are_those_of_torchaudio(scale, norm):
    functional = pytest.importorskip("torchaudio").functional
    stage = Mel(n_mels=64, n_fft=2048, low_hz=40, high_hz=20_000, scale=scale, norm=norm)
    theirs = functional.melscale_fbanks(
        1025, 40, 20_000, 64, 48_000, None if norm == "none" else norm, mel_scale=scale
    ).numpy()
    np.testing.assert_allclose(stage.filters(tone(440).spec), theirs.T, atol=2e-4 * theirs.max())


def test_cepstra_are_the_orthonormal_cosine_transform_of_the_levels():
    levels = features(SOUND, LogMel(n_mels=40))
    expected = scipy.fft.dct(levels, axis=1, norm="ortho")
    np.testing.assert_allclose(features(SOUND, Mfcc(n_mels=40, n_mfcc=40)), expected, atol=1e-3)
    np.testing.assert_allclose(features(SOUND, Mfcc(n_mels=40, n_mfcc=7)), expected[:, :7], atol=1e-3)


@given(
    n_mels=st.integers(1, 60), low_hz=st.floats(0, 2000), high_hz=st.floats(3000, 24_000), n_fft=st.integers(200, 1000)
)
def test_products_with_triangles_are_matrix_products(n_mels, low_hz, high_hz, n_fft):
    weights = triangles(band_edges(n_mels, low_hz, high_hz, "slaney"), 2 * n_fft, 24_000).astype(np.float32)
    assume((weights.max(axis=1) > 0).all())
    generator = np.random.default_rng(n_fft)
    spectra = generator.random((2, n_fft + 1, 3), np.float32)
    bands = generator.random((2, n_mels, 3), np.float32)
    np.testing.assert_allclose(Triangles(weights).gather(spectra), weights @ spectra, rtol=1e-5)
    np.testing.assert_allclose(Triangles(weights).scatter(bands), weights.T @ bands, rtol=1e-5, atol=1e-6)


@given(hz=st.floats(0, 96_000), scale=st.sampled_from(["slaney", "htk"]))
def test_mels_are_hertz_and_back(hz, scale):
    assert mel_to_hz(hz_to_mel(np.array(hz), scale), scale) == pytest.approx(hz, rel=1e-9, abs=1e-9)


def test_mel_scales_meet_their_definitions():
    assert hz_to_mel(np.array([1000.0]), "htk")[0] == pytest.approx(999.99, abs=0.01)
    np.testing.assert_allclose(hz_to_mel(np.array([200.0, 1000.0, 6400.0]), "slaney"), [3, 15, 42])


def test_neighbouring_bands_of_equal_height_add_up_to_one():
    edges = band_edges(40, 0, 24_000, "slaney")
    total = triangles(edges, 2048, 24_000).sum(axis=0)
    bins_hz = np.linspace(0, 24_000, 1025)
    np.testing.assert_allclose(total[(bins_hz >= edges[1]) & (bins_hz <= edges[-2])], 1)


def test_a_tone_is_loudest_in_the_band_of_its_pitch_and_20_db_less_is_20_db_less():
    loud, soft = (features(tone(1000, level_dbfs=level), LogMel())[0, :, 40] for level in (-6, -26))
    centres = np.array(LogMel().rows(tone(1000).spec).hz)
    assert int(loud.argmax()) == int(np.abs(centres - 1000).argmin())
    assert loud.max() - soft.max() == pytest.approx(20, abs=0.01)


def test_silence_is_the_floor_in_every_unit():
    for stage, floor in [
        (LogMel(), -100),
        (LogMel(spectrum="magnitude"), -100),
        (LogMel(log="ln", spectrum="magnitude"), np.log(1e-5)),
        (LogMel(log="log10", floor_db=-70), -7),
    ]:
        np.testing.assert_allclose(features(silence(seconds=0.2), stage), floor, rtol=1e-6)


@pytest.mark.parametrize("stage", ALL, ids=lambda stage: stage.stage_name())
def test_an_impulse_is_loudest_in_the_column_of_its_instant(stage):
    click = features(impulse(at=20 * 512, seconds=0.5), stage)[0]
    quiet = features(silence(seconds=0.5), stage)[0]
    # From the floor up: what a click adds to silence, which is the largest number in features with a floor.
    assert int(np.abs(click - quiet).max(axis=0).argmax()) == 20
    assert np.flatnonzero(np.abs(click - quiet).max(axis=0) > 0).tolist() == [19, 20, 21]


@pytest.mark.parametrize("stage", ALL, ids=lambda stage: stage.stage_name())
@given(sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=5))
def test_streamed_equals_whole_bit_for_bit(stage, sizes):
    audio = chirp(seconds=0.4, channels=2)
    processor = stage.open(audio.spec)
    blocks = [processor.process(block) for block in in_blocks(audio.waveform, sizes)]
    assert np.array_equal(np.concatenate([*blocks, processor.flush()], axis=-1), features(audio, stage))


def spectral_convergence_db(before: Block, after: Block) -> float:
    return float(20 * np.log10(np.linalg.norm(after - before) / np.linalg.norm(before)))


@pytest.mark.parametrize(
    ("stage", "limit_db"),
    [
        (Mel(), -12),
        (Mel(spectrum="magnitude"), -14),
        (LogMel(), -12),
        (LogMel(log="ln", spectrum="magnitude"), -14),
        (Mfcc(n_mfcc=80), -12),
    ],
    ids=str,
)
def test_what_comes_back_has_the_bands_it_was_made_from(stage, limit_db):
    audio = music(seconds=2)
    back = (stage | Inverse())(audio)
    assert back.waveform.shape == audio.waveform.shape
    same = Mel(spectrum="magnitude")
    assert spectral_convergence_db(features(audio, same), features(back, same)) < limit_db


def test_few_cepstra_come_back_as_the_right_sound_with_blurred_bands():
    audio = noise(seconds=1)
    back = (Mfcc(n_mfcc=13) | Inverse())(audio)
    before, after = (features(each, LogMel()).mean(axis=(0, 2)) for each in (audio, back))
    assert np.abs(after - before).max() < 6


def test_an_onset_comes_back_where_it_was():
    audio = Audio.of(np.concatenate([np.zeros((1, 20_480)), noise(seconds=0.5).waveform], axis=-1), 48_000)
    back = (LogMel() | Inverse())(audio)
    power = np.square(back.waveform[0]).reshape(-1, 64).mean(axis=1)
    assert abs(int((power > 0.25 * power.max()).argmax()) * 64 - 20_480) < 1024


def test_recipes_travel_and_pickle():
    for stage in ALL:
        spec = stage.open(tone(440).spec).spec
        assert (spec.recipe, spec.source) == (stage, tone(440).spec)
        assert pickle.loads(pickle.dumps(spec)) == spec


def test_features_of_one_recipe_are_refused_by_the_inverse_of_another():
    spec = Mel(low_hz=50).open(tone(440).spec).spec
    with pytest.raises(SpecMismatchError) as refused:
        Mel(low_hz=60, hop_length=512).inverse(spec)
    assert str(refused.value) == (
        "mel:low_hz=60.0 cannot turn mel 93.75 steps/s, shape (1, 80), 95 steps, made by mel:low_hz=50.0, back into "
        "audio. Try: inverse instead, and between mel and it only stages that keep rows and hops."
    )
    with pytest.raises(SpecMismatchError, match=r"log-mel cannot turn mel .* made by mel:low_hz=50\.0, back"):
        LogMel().inverse(spec)


def test_a_stage_for_other_features_is_refused_before_any_sound():
    with pytest.raises(SpecMismatchError) as refused:
        Chain.of("log-mel", "spectral-gate", "inverse")(tone(440))
    assert str(refused.value) == (
        "stage 2 (spectral-gate) takes stft; it is given log_mel 93.75 steps/s, shape (1, 80), 95 steps. "
        "Try: add stft before it."
    )


def test_features_that_no_inverse_knows_are_refused():
    with pytest.raises(SpecMismatchError, match="spectral-contrast has no inverse"):
        Chain.of("spectral-contrast", "inverse")(tone(440))


def test_bands_that_would_hear_nothing_are_refused():
    with pytest.raises(SpecMismatchError) as refused:
        Mel(n_mels=128, n_fft=256, hop_length=64)(tone(440))
    assert str(refused.value) == (
        "stage 1 (mel): mel: 34 of 128 bands lie between two bins of n_fft = 256 (187.5 Hz apart) and would hear "
        "nothing of audio 48000 Hz, 1 channel, 48000 frames. Try: n_fft=512, or fewer bands."
    )


def test_bands_beyond_half_the_sample_rate_are_refused():
    with pytest.raises(SpecMismatchError, match=r"bands from 0 Hz to 8000 Hz do not fit audio 8000 Hz"):
        LogMel(high_hz=8000)(tone(440, sample_rate=8000))


def test_parameters_that_contradict_each_other_are_refused():
    with pytest.raises(ParameterError, match=r"mfcc: 20 bands have no more than 20 coefficients, not 30"):
        Mfcc(n_mels=20, n_mfcc=30)
    with pytest.raises(ParameterError, match=r"log-mel: hop_length = 800 leaves gaps between columns of n_fft = 1024"):
        LogMel(n_fft=1024, hop_length=800)
