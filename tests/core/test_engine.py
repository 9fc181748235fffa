"""What the engine promises of any stage: time, length, tails, alignment, errors with names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavechain import (
    Analysis,
    Audio,
    Bands,
    Branch,
    Chain,
    Effect,
    FeatureTransform,
    FixedBlocks,
    MeasuredEffect,
    MidSide,
    Mix,
    Parallel,
    Processor,
    Spec,
    WholeEffect,
    Window,
    param,
    pointwise,
)
from wavechain import engine as engine_module
from wavechain.engine import Opening, prepare
from wavechain.errors import NonFiniteError, SpecMismatchError, StageError, TooLargeError
from wavechain.origins import AudioOrigin
from wavechain.stream import Block
from wavechain.testing import impulse, music, noise, silence, streamed, tone

SIZES = st.lists(st.integers(1, 5000), min_size=1, max_size=5)


class Louder(Effect):
    factor: float = param(2.0, help="Factor.")

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block * np.float32(self.factor))


class Late(Effect):
    """Delays everything, and says so."""

    frames: int = param(100, help="By how much.")

    def open(self, spec: Spec) -> Processor:
        return _Late(spec, self.frames)


class _Late(Processor):
    def __init__(self, spec: Spec, frames: int) -> None:
        super().__init__(spec)
        self.latency = frames
        self._held = spec.zeros(frames)

    def process(self, block: Block) -> Block:
        joined = np.concatenate([self._held, block], axis=-1)
        self._held = joined[..., block.shape[-1] :]
        return joined[..., : block.shape[-1]]


class Echo(Effect):
    """One echo after a second: a finite tail."""

    def open(self, spec: Spec) -> Processor:
        return _Echo(spec, spec.sample_rate)


class _Echo(_Late):
    def __init__(self, spec: Spec, frames: int) -> None:
        super().__init__(spec, frames)
        self.latency, self.tail = 0, frames

    def process(self, block: Block) -> Block:
        return block + super().process(block) * np.float32(0.5)


class Ring(Effect):
    """Every sample rings on, losing 60 dB in the given time: a tail without end."""

    seconds: float = param(0.5, help="Until -60 dB.")

    def open(self, spec: Spec) -> Processor:
        return _Ring(spec, round(self.seconds * spec.sample_rate))


class _Ring(FixedBlocks):
    tail = math.inf

    def __init__(self, spec: Spec, frames: int) -> None:
        super().__init__(spec, 256)
        self._decay = (10 ** (-3 * np.arange(1, 257) / frames)).astype(np.float32)
        self._state = np.zeros((spec.channels, 1), np.float32)

    def step(self, chunk: Block) -> Block:
        if chunk.any():
            self._state = np.float32(1.0) + 0 * self._state
        out = chunk + self._state * self._decay
        self._state = self._state * self._decay[-1]
        return out


class Peak(MeasuredEffect):
    """Brings the highest sample to full scale."""

    cost: ClassVar[float] = 1.0

    def analyse(self, spec: Spec, results: Sequence[Any]) -> Analysis | None:
        return None if results else _Highest()

    def open_measured(self, spec: Spec, results: Sequence[Any]) -> Processor:
        return pointwise(spec, lambda block: block * np.float32(1 / results[0]))


class _Highest(Analysis):
    def __init__(self) -> None:
        self._peak = 0.0

    def feed(self, block: Block) -> None:
        self._peak = max(self._peak, float(np.abs(block).max()))

    def result(self) -> float:
        return self._peak


class Backwards(WholeEffect):
    def apply(self, waveform: Block, spec: Spec) -> Block:
        return waveform[..., ::-1]


class Smooth(Effect):
    """A weighted average over 31 frames, centred."""

    def open(self, spec: Spec) -> Processor:
        return _Smooth(spec, 15, 15, core=512)


class _Smooth(Window):
    def compute(self, window: Block) -> Block:
        weights = np.hanning(33)[1:-1].astype(np.float32) / 16
        return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(window, 31, axis=-1) @ weights)


ALL = [
    Louder(),
    Late(frames=777),
    Echo(),
    Ring(),
    Peak(),
    Backwards(),
    Smooth(),
    Parallel([Branch([Late(frames=500)], 0.5), Branch([Smooth()]), [Peak()], Branch(weight=-0.5)]),
    Mix([Echo(), Louder()], wet=0.3),
    MidSide(mid=[Late(frames=40)], side=[Louder()]),
    Bands([[], [Late(frames=64)], [Louder()]], crossovers_hz=[300.0, 3000.0]),
]


@pytest.mark.parametrize("stage", ALL, ids=lambda stage: type(stage).__name__)
@given(sizes=SIZES)
def test_streamed_is_whole_for_any_block_sizes(stage, sizes):
    audio = noise(sample_rate=8000, seconds=1.3, channels=2)
    whole = Chain([stage])(audio)
    assert np.array_equal(streamed(stage, audio, sizes).waveform, whole.waveform)


@pytest.mark.parametrize(
    "stage",
    [Late(frames=1), Late(frames=4801), Smooth(), Mix([Late(frames=333)], wet=1.0), Parallel([[Late()], [Smooth()]])],
    ids=str,
)
def test_an_impulse_stays_where_it_was(stage):
    audio = impulse(at=1234)
    after = Chain([stage])(audio)
    assert after.frames == audio.frames
    assert int(np.argmax(np.abs(after.waveform[0]))) == 1234


def test_a_finite_tail_rings_out_to_its_last_frame():
    after = Chain([Echo()])(impulse(at=47_999))
    assert after.frames == 96_000
    assert after.waveform[0, 95_999] == 0.5


def test_an_endless_tail_is_kept_to_minus_60_dbfs_and_no_further():
    after = Chain([Ring(seconds=0.5)])(impulse(seconds=0.25))
    assert after.frames == pytest.approx(24_000, abs=1)
    assert np.abs(after.waveform[0, -1]) >= 0.001


def test_an_endless_tail_ends_after_ten_seconds_and_earlier_when_told():
    stage, audio = Ring(seconds=100), impulse(seconds=0.1)
    assert Chain([stage])(audio).frames == 4800 + 480_000
    assert streamed(stage, audio, [4096], tail_seconds=0.5).frames == 4800 + 24_000
    assert streamed(stage, audio, [4096], tail_seconds=0).frames == 4800


def test_a_quiet_gap_shorter_than_a_second_does_not_end_a_tail():
    class GapThenEcho(Effect):
        def open(self, spec: Spec) -> Processor:
            processor = _Echo(spec, 24_000)
            processor.tail = math.inf
            return processor

    assert Chain([GapThenEcho()])(impulse(at=0, seconds=0.1)).frames == 24_001


def test_branches_are_aligned_so_that_opposite_ones_cancel():
    audio = music(seconds=1)
    nulled = Parallel([Branch([Late(frames=3000)]), Branch(weight=-1.0)])(audio)
    assert not nulled.waveform.any()


def test_empty_bands_sum_to_a_flat_spectrum():
    audio = impulse(at=2000, sample_rate=44_100)
    summed = Chain([Bands([[], [], []], crossovers_hz=[200.0, 4000.0])])(audio)
    level = np.abs(np.fft.rfft(summed.waveform[0]))
    assert 20 * np.log10(level[5:-5]) == pytest.approx(0, abs=0.05)


def test_mid_side_takes_apart_and_puts_together():
    audio = music(seconds=1)
    assert Chain([MidSide()])(audio).waveform == pytest.approx(audio.waveform, abs=1e-6)
    mono = Chain([MidSide(side=[Louder(factor=0.0)])])(audio)
    assert np.array_equal(mono.waveform[0], mono.waveform[1])


def test_measured_stages_hear_what_the_stages_before_them_did():
    audio = tone(440, level_dbfs=-20)
    chain = Chain([Louder(factor=3.0), Peak(), Louder(factor=0.5), Peak(), Echo()])
    assert np.abs(chain(audio).waveform[:, :48_000]).max() == pytest.approx(1.0, abs=1e-6)


def test_costly_stages_before_a_measurement_run_once_and_cheap_ones_again(monkeypatch):
    opened = []

    class Counted(Louder):
        def open(self, spec: Spec) -> Processor:
            opened.append(self.factor)
            return super().open(spec)

    audio = noise(seconds=0.1)
    Chain([Counted(factor=2.0), Peak()])(audio)
    assert opened == [2.0, 2.0]
    opened.clear()
    monkeypatch.setattr(Counted, "cost", 20.0)
    Chain([Counted(factor=2.0), Peak(), Counted(factor=3.0), Peak()])(audio)
    assert opened == [2.0, 3.0]


def test_a_stage_that_makes_nan_is_named():
    with pytest.raises(NonFiniteError, match=r"^stage 3 \(louder\) made NaN or infinite samples\."):
        Chain([Smooth(), Louder(factor=1e38), Louder(factor=1e38)])(tone(100))


def test_non_finite_input_is_refused_before_any_stage():
    with pytest.raises(NonFiniteError, match="the waveform holds NaN"):
        Chain([Louder()])(Audio.of(np.array([0.0, np.nan]), 48_000))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda block: block.astype(np.float64), "returned float64"),
        (lambda block: np.repeat(block, 2, axis=0), r"announced float32 blocks of shape \(1,\)"),
        (lambda block: block[:, 1:], r"announced 48000 steps and gave 479"),
        (lambda block: 1 / 0, "failed: ZeroDivisionError: division by zero"),
        (lambda block: block.__imul__(2), "read-only"),
    ],
)
def test_a_stage_that_breaks_its_promise_is_named(fault, message):
    class Faulty(Effect):
        def open(self, spec: Spec) -> Processor:
            return pointwise(spec, fault)

    with pytest.raises(StageError, match=rf"stage 1 \(faulty\).*{message}"):
        streamed(Faulty(), tone(440), [4096])


def test_a_stage_is_refused_a_stream_it_does_not_take():
    class OnlySpectra(Effect):
        accepts: ClassVar[tuple[str, ...]] = ("stft",)

        def open(self, spec: Spec) -> Processor:
            return pointwise(spec, lambda block: block)

    with pytest.raises(SpecMismatchError, match=r"stage 1 \(only-spectra\) takes stft; it is given audio 48000 Hz"):
        Chain([OnlySpectra()])(silence())


def test_branches_that_end_differently_are_refused():
    class Mono(Effect):
        def open(self, spec: Spec) -> Processor:
            return pointwise(spec.with_channels(1), lambda block: block[:1])

    with pytest.raises(SpecMismatchError, match="different shapes"):
        Chain([Mix([Mono()])])(silence(channels=2))


class Columns(FeatureTransform):
    """Every second frame, scaled: features whose spec alone does not say by how much."""

    scale: float = 1.0

    def open(self, spec: Spec) -> Processor:
        made = Spec("columns", spec.rate, spec.shape, spec.length, recipe=self, source=spec)
        return pointwise(made, lambda block: block * np.float32(self.scale))

    def inverse(self, spec: Spec) -> Processor:
        raise NotImplementedError


def test_features_of_different_recipes_cannot_be_mixed():
    said = r"branches end in columns made by .*scale=1\.0.* and by .*scale=2\.0.*the same transform in each branch"
    with pytest.raises(SpecMismatchError, match=said):
        Parallel([[Columns(scale=1.0)], [Columns(scale=2.0)]])(silence())


def test_features_of_one_recipe_can_be_mixed():
    prepared = prepare([Parallel([[Columns()], [Columns()]])], AudioOrigin(tone(440)), Opening())
    mixed = np.concatenate(list(prepared.blocks), axis=-1)
    assert prepared.spec.recipe == Columns()
    assert mixed == pytest.approx(2 * tone(440).waveform)


def test_whole_stages_are_refused_beyond_their_limit(monkeypatch):
    monkeypatch.setattr(engine_module, "WHOLE_LIMIT_BYTES", 1000)
    with pytest.raises(TooLargeError, match=r"stage 1 \(backwards\) needs the whole signal at once"):
        Chain([Backwards()])(silence())


def test_no_signal_hears_the_one_before_it():
    stage = Ring(seconds=5)
    Chain([stage])(noise())
    assert not Chain([stage])(silence()).waveform.any()


def test_an_origin_can_be_read_again():
    origin = AudioOrigin(noise(seconds=3))
    assert sum(block.shape[-1] for block in origin.blocks()) == sum(block.shape[-1] for block in origin.blocks())
