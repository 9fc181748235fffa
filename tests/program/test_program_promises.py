"""Streamed = whole, time is exact, lengths add up: every bundled stage and every preset, through the real engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wavechain import Audio, Chain
from wavechain.errors import WavechainError
from wavechain.registry import registry
from wavechain.testing import impulse, music, streamed

# What a stage needs to be heard at work; the others run with their defaults.
WITH = {
    "essentials.resample": "essentials.resample:sample_rate=48000",
    "essentials.trim": "essentials.trim:start_seconds=0.1,end_seconds=0.9",
    "essentials.pad": "essentials.pad:start_seconds=0.1,end_seconds=0.2",
    "essentials.fade": "essentials.fade:fade_in_seconds=0.2,fade_out_seconds=0.3",
    "essentials.channels": "essentials.channels:layout=mono",
    "pedalboard.pitch-shift": "pitch-shift:semitones=3",
    "core.mix": "mix:wet=0.4,stages=[delay:delay_seconds=0.1]",
    "core.parallel": "parallel:branches=[reverb,limiter,gain:gain_db=-3]",
    "core.bands": "bands:crossovers_hz=[300,3000],bands=[gain,compressor,delay]",
    "core.mid-side": "mid-side:mid=[compressor],side=[reverb]",
}
# These change when things happen, by design; or spread an impulse so far that it has no place.
MOVES_TIME = {
    *("essentials.trim", "essentials.pad", "essentials.trim-silence", "essentials.resample", "pedalboard.pitch-shift"),
}
SPREADS = {
    *("reverb", "phaser", "chorus", "gsm-compressor", "mp3-compressor", "bands"),
    *("lowpass", "band-pass", "ladder-filter", "lowpass-filter"),
}

SIZES = st.lists(st.one_of(st.integers(1, 3), st.integers(1, 30_000)), min_size=1, max_size=6).filter(
    lambda sizes: sum(sizes) > 300 * len(sizes)
)
FEW = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


def chain_of(name: str) -> Chain:
    short = name.partition(".")[2]
    text = WITH.get(name, name)
    if short in ("stft", "istft", "inverse"):
        return Chain.of("stft", "istft" if short == "istft" else "inverse")
    if short.startswith("spectral"):
        return Chain.of("stft", text, "inverse")
    return Chain.of(text)


STAGES = [
    spec.full_name
    for spec in registry().stages()
    if spec.bundled
    and spec.kind in ("effect", "transform", "combinator")
    and spec.name not in ("convolution", "plugin-host")
]
PRESETS = [preset.name for preset in registry().presets()]
AUDIO = music(sample_rate=44_100, seconds=1.2)


def difference(chain: Chain, audio: Audio, sizes: list[int]) -> float:
    whole = chain(audio)
    cut = streamed(chain, audio, sizes)
    assert cut.waveform.shape == whole.waveform.shape
    return float(np.abs(cut.waveform - whole.waveform).max())


@pytest.mark.parametrize("name", STAGES)
def test_streamed_is_whole_for_every_stage(name):
    chain = chain_of(name)
    tolerance = max(getattr(stage, "tolerance", 0.0) for stage in chain.stages)

    @FEW
    @given(SIZES)
    def any_blocks(sizes: list[int]) -> None:
        assert difference(chain, AUDIO, sizes) <= tolerance

    any_blocks()


@pytest.mark.parametrize("name", PRESETS)
def test_streamed_is_whole_for_every_preset(name):
    chain = Chain.preset(name)

    @FEW
    @given(SIZES)
    def any_blocks(sizes: list[int]) -> None:
        assert difference(chain, AUDIO, sizes) == 0.0

    any_blocks()


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("frames", [1, 2, 3, 1000])
def test_the_shortest_signals_go_through(name, frames):
    audio = Audio.of(np.full((2, frames), 0.25, np.float32), 44_100)
    chain = chain_of(name)
    if name == "essentials.trim":  # which starts after the end here, and says so
        with pytest.raises(WavechainError, match="nothing would be left"):
            streamed(chain, audio, [1])
    else:
        assert np.isfinite(streamed(chain, audio, [1]).waveform).all()


@pytest.mark.parametrize("name", [name for name in STAGES if name not in MOVES_TIME])
def test_no_stage_moves_an_impulse_or_loses_a_frame(name):
    audio = impulse(at=20_000, sample_rate=44_100, seconds=1, channels=2, level=0.5)
    after = chain_of(name)(audio)
    assert after.frames >= audio.frames
    if name.partition(".")[2] in SPREADS:
        loud = np.flatnonzero(np.abs(after.waveform).max(axis=0) > 0.1 * np.abs(after.waveform).max())
        assert abs(int(loud[0]) - 20_000) <= 3000
    else:
        assert int(np.argmax(np.abs(after.waveform).max(axis=0))) == 20_000


@pytest.mark.parametrize("name", STAGES)
def test_what_went_in_is_not_written_to(name):
    before = AUDIO.waveform.copy()
    chain_of(name)(AUDIO)
    assert np.array_equal(AUDIO.waveform, before)


@pytest.mark.parametrize("name", ["essentials.fade", "essentials.gain", "pedalboard.limiter", "core.parallel"])
def test_seconds_of_silence_stay_silent(name):
    silent = Audio.of(np.zeros((2, 44_100), np.float32), 44_100)
    assert not np.abs(chain_of(name)(silent).waveform).max() > 1e-4
