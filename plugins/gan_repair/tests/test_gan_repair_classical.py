"""What is mended before the network: found by name, weighed, kept in its band, in time."""

from __future__ import annotations

import numpy as np
import pytest

from wavechain.errors import StageError
from wavechain.processors import Processor
from wavechain.stream import Block, Spec
from wavechain.testing import noise
from wavechain_gan_repair.classical import Classical, Mended, Removed, installed

RATE = 44_100
SPEC = Spec.audio(RATE, 2)


def run(processor: Processor, waveform: Block, size: int = 4_096) -> Block:
    done = [processor.process(waveform[:, at : at + size]) for at in range(0, waveform.shape[1], size)]
    return np.concatenate([*done, processor.flush()], axis=1)


def quieter() -> dict[str, object]:
    """Stage `gain` as it comes, but turned down: a change of everything."""
    found = installed(["gain"])
    return {"gain": type(found["gain"])(gain_db=-6.0)}


@pytest.fixture
def sound() -> Block:
    return noise(sample_rate=RATE, channels=2, seconds=1.0).waveform


def test_stages_are_found_by_name_in_the_order_asked_for():
    assert list(installed(["highpass", "no-such-stage", "gain"])) == ["highpass", "gain"]


def test_a_stage_gets_the_settings_there_are_for_it_and_no_other_does():
    found = installed(["highpass", "gain"], {"gain": {"gain_db": -3.0}})
    assert found["gain"].gain_db == -3.0
    assert found["highpass"] == installed(["highpass"])["highpass"]


def test_half_the_amount_is_half_the_change(sound):
    full, half = (run(Classical(SPEC, quieter(), amount, None), sound) - sound for amount in (1.0, 0.5))
    np.testing.assert_allclose(half, full / 2, atol=1e-6)
    assert np.abs(full).max() > 0.01


def test_the_whole_change_is_that_of_the_stages_to_the_bit(sound):
    stage = quieter()
    np.testing.assert_array_equal(run(Classical(SPEC, stage, 1.0, None), sound), run(stage["gain"].open(SPEC), sound))


def test_a_change_stays_in_its_band(sound):
    change = run(Classical(SPEC, quieter(), 1.0, (1_000, 8_000)), sound)[0] - sound[0]
    power = np.abs(np.fft.rfft(change * np.hanning(change.size))) ** 2
    hertz = np.fft.rfftfreq(change.size, 1 / RATE)
    inside = power[(hertz > 1_100) & (hertz < 7_900)].mean()
    assert inside > 0
    assert power[(hertz < 900) | (hertz > 8_100)].mean() < inside / 1e5


@pytest.mark.parametrize("band", [None, (200.0, 6_000.0)])
def test_blocks_do_not_matter(sound, band):
    whole = run(Classical(SPEC, quieter(), 0.7, band), sound, sound.shape[1])
    assert whole.shape == sound.shape
    for size in (1_000, 44_099):
        np.testing.assert_array_equal(run(Classical(SPEC, quieter(), 0.7, band), sound, size), whole)


class Second(Processor):
    """Keeps the blocks it is given, and lets their first two channels pass."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.heard: list[Block] = []

    def process(self, block: Block) -> Block:
        self.heard.append(block)
        return block[:2]


@pytest.mark.parametrize("size", [1, 4_096, 50_000])
def test_a_repair_hears_beside_the_sound_what_was_mended_of_it(sound, size):
    second, band = Second(), (1_000, 8_000)  # the band makes the mended sound come late
    sound = sound[:, :9_000]
    after = run(Mended(SPEC, Classical(SPEC, quieter(), 1.0, band), second), sound, size)
    np.testing.assert_array_equal(after, run(Classical(SPEC, quieter(), 1.0, band), sound))
    heard = np.concatenate(second.heard, axis=1)
    np.testing.assert_array_equal(heard[:2], after)
    np.testing.assert_array_equal(heard[2:], after - sound)


class Hoards(Processor):
    """Gives nothing before the end, and then everything at once."""

    def __init__(self) -> None:
        super().__init__(SPEC)
        self.kept = [SPEC.zeros(0)]

    def process(self, block: Block) -> Block:
        self.kept.append(block)
        return SPEC.zeros(0)

    def flush(self) -> Block:
        return np.concatenate(self.kept, axis=1)


def test_what_comes_all_at_once_is_repaired_in_small_pieces(sound):
    second = Second()
    np.testing.assert_array_equal(run(Mended(SPEC, Hoards(), second), sound), sound)
    assert sound.shape[1] > SPEC.block_steps()
    assert max(block.shape[1] for block in second.heard) == SPEC.block_steps()


def test_what_is_left_and_what_is_removed_add_up(sound):
    def both() -> Mended:
        return Mended(SPEC, Classical(SPEC, quieter(), 1.0, None), Second())

    left, removed = run(both(), sound), run(Removed(both()), sound)
    np.testing.assert_allclose(left + removed, sound, atol=1e-6)
    assert np.abs(removed).max() > 0.01


def test_a_stage_that_does_not_keep_time_is_refused():
    class Late(Processor):
        latency = 10

        def process(self, block: Block) -> Block:
            return block

    class LateStage:
        def open(self, spec: Spec) -> Processor:
            return Late(spec)

    with pytest.raises(StageError, match="late does not keep time"):
        Classical(SPEC, {"late": LateStage()}, 1.0, None)


class Marking(Processor):
    """Sets every *every*-th frame to *value*, from the first on; keeps a block back, as stages that look ahead do."""

    def __init__(self, spec: Spec, every: int, value: float) -> None:
        super().__init__(spec)
        self.every, self.value, self.at = every, value, 0
        self.kept = spec.zeros(0)

    def process(self, block: Block) -> Block:
        marked = block.copy()
        marked[:, -self.at % self.every :: self.every] = self.value
        self.at += block.shape[-1]
        self.kept, done = marked, self.kept
        return done

    def flush(self) -> Block:
        return self.kept


class Stage:
    def __init__(self, *settings: float) -> None:
        self.settings = settings

    def open(self, spec: Spec) -> Marking:
        return Marking(spec, *self.settings)


@pytest.mark.parametrize("size", [10, 997, 44_100])
def test_clicks_beside_a_peak_that_was_put_back_are_none(sound, size):
    stages = {"declip-consistent": Stage(5_000, 2.0), "ar-declick": Stage(1_000, 3.0)}
    mended = run(Classical(SPEC, stages, 1.0, None), sound, size)
    expected = sound.copy()
    expected[:, ::1_000] = 3.0
    expected[:, ::5_000] = 2.0
    np.testing.assert_array_equal(mended, expected)
    alone = run(Classical(SPEC, {"ar-declick": Stage(1_000, 3.0)}, 1.0, None), sound, size)
    assert (alone[:, ::1_000] == 3.0).all()


def test_what_was_spared_is_told(sound):
    near = round(0.0006 * RATE)
    stages = {"declip-consistent": Stage(5_000, 2.0), "ar-declick": Stage(5_000 + near, 3.0)}
    processor = Classical(SPEC, stages, 1.0, None)
    run(processor, sound)
    assert processor.report["ar-declick"] == {"spared": 2 * 2}  # two channels, at 0 and where both steps meet closely
