"""The bundled chains: they load, they keep what they promise, and they stream."""

from __future__ import annotations

import importlib.util
import tomllib

import numpy as np
import pytest
from pytest import approx

import wavechain_essentials
from wavechain import Audio, Chain
from wavechain.dsp.loudness import LoudnessMeter
from wavechain.dsp.true_peak import TruePeakMeter
from wavechain.registry import registry
from wavechain.testing import music, noise, silence, streamed

NEEDS_PEDALBOARD = {"podcast", "lo-fi"}
LOUDNESS = {"podcast": -16, "master-streaming": -14, "broadcast": -23, "telephone": -16}


def preset(name: str) -> Chain:
    if name in NEEDS_PEDALBOARD and importlib.util.find_spec("pedalboard") is None:
        pytest.skip("needs the effects extra")
    return Chain.preset(name)


@pytest.fixture(scope="module")
def record() -> Audio:
    """Lead-in, music with rumble and offset, run-out."""
    played = music(seconds=5, sample_rate=44_100)
    time = np.arange(played.frames) / played.sample_rate
    played = Audio((0.7 * played.waveform + 0.05 * np.sin(2 * np.pi * 8 * time) + 0.01).astype(np.float32), 44_100)
    quiet = silence(seconds=3, sample_rate=44_100, channels=2).waveform
    return Audio(np.concatenate([quiet, played.waveform, quiet], axis=1), 44_100)


@pytest.mark.parametrize("name", wavechain_essentials.PRESETS)
def test_a_preset_says_what_it_is(name: str):
    with registry().preset(name).file.open("rb") as file:
        data = tomllib.load(file)
    assert data["name"] == name
    assert data["description"]
    # The first line of the file says it to the person who opens it.
    assert registry().preset(name).file.read_text("utf-8").startswith("# ")


@pytest.mark.parametrize("name", wavechain_essentials.PRESETS)
def test_a_preset_survives_being_written_and_read(name: str):
    chain = preset(name)
    assert Chain.from_dict(tomllib.loads(chain.to_toml())) == chain


@pytest.mark.parametrize("name", wavechain_essentials.PRESETS)
def test_every_preset_streams_to_the_last_bit(name: str, record: Audio):
    chain = preset(name)
    whole = streamed(chain, record, [record.frames])
    np.testing.assert_array_equal(streamed(chain, record, [30_011, 1, 2, 3, 90_000]).waveform, whole.waveform)


@pytest.mark.parametrize("name", LOUDNESS)
def test_presets_with_a_loudness_reach_it_under_their_ceiling(name: str, record: Audio):
    after = preset(name)(record)
    loudness, peak = LoudnessMeter(44_100, after.channels), TruePeakMeter(44_100, after.channels)
    loudness.feed(after.waveform)
    peak.feed(after.waveform)
    peak.finish()
    assert loudness.integrated_lufs() == approx(LOUDNESS[name], abs=0.04)
    assert peak.true_peak_dbtp < -1


def test_archive_changes_no_sample(record: Audio):
    chain = preset("archive")
    assert chain.stages == ()
    assert (chain.output.format, chain.output.verify) == ("flac", True)
    np.testing.assert_array_equal(chain(record).waveform, record.waveform)


def rumble_share_db(audio: Audio) -> float:
    power = np.abs(np.fft.rfft(audio.waveform[0])) ** 2
    hz = np.fft.rfftfreq(audio.frames, 1 / audio.sample_rate)
    return float(10 * np.log10(power[hz < 12].sum() / power[hz > 30].sum()))


def test_vinyl_transfer_takes_the_rumble_and_leaves_the_music(record: Audio):
    after = preset("vinyl-transfer")(record)
    assert 5.5 < after.seconds < 8  # at most a second of silence stays on each side, and the filter's ringing
    assert rumble_share_db(after) < rumble_share_db(record) - 25


def test_telephone_is_mono_and_narrow():
    after = preset("telephone")(noise(channels=2, seconds=3))
    assert after.channels == 1
    power = np.abs(np.fft.rfft(after.waveform[0])) ** 2
    hz = np.fft.rfftfreq(after.frames, 1 / 48_000)
    assert power[(hz > 250) & (hz < 3_800)].sum() > 0.98 * power.sum()


def test_lo_fi_is_dull_and_coarse(record: Audio):
    after = preset("lo-fi")(record)
    power = np.abs(np.fft.rfft(after.waveform[0])) ** 2
    hz = np.fft.rfftfreq(after.frames, 1 / 44_100)
    assert power[hz > 12_000].sum() < 1e-4 * power.sum()
