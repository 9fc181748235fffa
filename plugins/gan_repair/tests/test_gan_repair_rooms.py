"""A voice in a room loses some of the room; a dry voice, and music anywhere, lose nothing."""

from __future__ import annotations

import numpy as np
import pytest

from wavechain import Audio
from wavechain.processors import Processor, pointwise
from wavechain.recipes import Surroundings, part
from wavechain.stream import Block, Spec
from wavechain.testing import music, speech
from wavechain_gan_repair.classical import installed
from wavechain_gan_repair.columns import Columns
from wavechain_gan_repair.ear import AFTER, BEFORE, EVERY, FEWEST, Chances, Ear, Hearing
from wavechain_gan_repair.in_room import InRoom
from wavechain_gan_repair.repair import Dereverb, Repair

pytest.importorskip("wavechain_transforms")
pytest.importorskip("wavechain_trainer")

RATE = 44_100


def in_a_room(dry: Block, sample_rate: int = RATE, decay_seconds: float = 0.5) -> tuple[Block, Block]:
    """(heard in a room, wanted)"""
    room = part("degradation", "room", {"decay_seconds": [decay_seconds] * 2, "direct_db": [0.0, 0.0]})
    heard, wanted = room.apply(dry, sample_rate, np.random.default_rng(0), Surroundings())
    return heard, wanted


def voice(sample_rate: int = RATE, seconds: float = 9.0) -> Block:
    return speech(sample_rate=sample_rate, channels=1, seconds=seconds).waveform


def lowering(
    sample_rate: int = RATE, channels: int = 1, amount: float = 1.0, band: tuple[float, float] | None = None
) -> InRoom:
    wire = pointwise(Spec.audio(sample_rate, channels), lambda block: block)
    return InRoom(wire, installed(["late-reverb"])["late-reverb"], amount, band)


def run(processor: Processor, waveform: Block, sizes: tuple[int, ...] = (4_096,)) -> Block:
    done, at = [], 0
    while at < waveform.shape[1]:
        size = sizes[len(done) % len(sizes)]
        done.append(processor.process(waveform[:, at : at + size]))
        at += size
    return np.concatenate([*done, processor.flush()], axis=1)


def error_db(sound: Block, wanted: Block) -> float:
    """Of what is no scaled copy of *wanted*, relative to that."""
    image = (sound * wanted).sum() / np.square(wanted).sum() * wanted
    return float(10 * np.log10(np.square(sound - image).sum() / np.square(image).sum()))


@pytest.mark.parametrize("sample_rate", [16_000, 44_100, 48_000])
def test_a_voice_in_a_room_comes_closer_to_what_it_was(sample_rate):
    heard, wanted = in_a_room(voice(sample_rate), sample_rate)
    processor = lowering(sample_rate)
    lowered = run(processor, heard)
    assert lowered.shape == heard.shape
    assert error_db(lowered, wanted) < error_db(heard, wanted) - 1.5
    assert processor.report["room"] > 0.85
    assert -30 < processor.report["room_db"] < -6


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_a_dry_voice_is_left_alone_to_the_bit(sample_rate):
    dry = voice(sample_rate)
    processor = lowering(sample_rate)
    np.testing.assert_array_equal(run(processor, dry), dry)
    assert processor.report["room"] < 0.2
    assert "room_db" not in processor.report


def test_music_in_a_room_is_left_alone_to_the_bit():
    heard, _ = in_a_room(music(sample_rate=RATE, channels=2, seconds=9.0).waveform)
    np.testing.assert_array_equal(run(lowering(channels=2), heard), heard)


def test_too_little_to_tell_is_left_alone_to_the_bit():
    short = in_a_room(voice())[0][:, : int(FEWEST * 512 * 0.9)]
    np.testing.assert_array_equal(run(lowering(), short), short)


def test_nothing_and_silence_come_out_as_they_are():
    assert run(lowering(), np.zeros((1, 0), np.float32)).shape == (1, 0)
    silence = np.zeros((1, 5 * RATE), np.float32)
    np.testing.assert_array_equal(run(lowering(), silence), silence)


@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_do_not_matter(channels):
    heard = np.repeat(in_a_room(voice())[0], channels, axis=0)
    whole = run(lowering(channels=channels), heard, (heard.shape[1],))
    assert np.abs(whole - heard).max() > 0.01
    for sizes in ((1000,), (1, 7, 50_000, 333)):
        np.testing.assert_array_equal(run(lowering(channels=channels), heard, sizes), whole)


def test_half_the_amount_is_half_the_change_and_none_is_none():
    heard, _ = in_a_room(voice())
    full, half, none = (run(lowering(amount=amount), heard) - heard for amount in (1.0, 0.5, 0.0))
    np.testing.assert_allclose(half, full / 2, atol=1e-6)
    assert not none.any()


def test_preserved_bands_stay():
    heard, _ = in_a_room(voice())
    change = (run(lowering(band=(500.0, 2_000.0)), heard) - heard)[0]
    power = np.abs(np.fft.rfft(change * np.hanning(change.size))) ** 2
    hertz = np.fft.rfftfreq(change.size, 1 / RATE)
    inside = power[(hertz > 600) & (hertz < 1_900)].mean()
    assert inside > 0
    assert power[(hertz < 400) | (hertz > 2_100)].mean() < inside / 1e4


def test_the_image_stays():
    mono, _ = in_a_room(voice())
    lowered = run(lowering(channels=2), np.concatenate([mono, mono / 4]))
    np.testing.assert_allclose(lowered[1], lowered[0] / 4, atol=1e-6)


@pytest.mark.parametrize("hops", [16, 64])
def test_what_is_heard_is_told_once_the_two_seconds_after_it_have_come(hops):
    class Counting(Ear):
        def levels(self, spectra):
            return spectra[0, 0].T

        def chances(self, levels):
            return Chances(float(levels.min()), float(levels.max()))

    hearing = Hearing(Counting(1024, RATE / 2048), hops)
    columns = np.arange(1_600, dtype=np.float32)
    told = []
    for start in range(0, columns.size, hops):
        stretch = np.broadcast_to(columns[start : start + hops, None], (1, 2, hops, 1024))
        told += [(start, heard) for heard in hearing.push(stretch, hops)]
    told += [(columns.size, heard) for heard in hearing.rest()]
    assert len(told) == columns.size // hops
    for index, (when, heard) in enumerate(told):
        judged = index * hops // EVERY * EVERY  # every `EVERY` columns, and meanwhile as before
        assert when - index * hops <= AFTER + hops
        assert heard.voice == pytest.approx(max(0, judged - BEFORE), abs=hops)
        assert heard.voice_in_room == pytest.approx(min(columns.size, judged + AFTER), abs=hops + 1)


def test_a_voice_that_walks_into_a_room_is_touched_only_there():
    dry = voice(seconds=12.0)
    heard, _ = in_a_room(voice(seconds=12.0))
    walked = np.concatenate([dry, heard], axis=1)
    changed = np.abs(run(lowering(), walked) - walked)[0]
    before = changed[: 8 * RATE]
    assert not before.any()
    assert changed[16 * RATE :].max() > 0.01


def test_the_level_does_not_matter_to_the_ear():
    heard, _ = in_a_room(voice())
    chances = []
    for gain in (1.0, 0.01):
        columns = Columns(Spec.audio(RATE, 1), 2048, 512, EVERY, 0)
        spectra = np.concatenate([*columns.push(heard * np.float32(gain)), *columns.rest()], axis=2)
        ear = Ear(1024, RATE / 2048)
        chances.append(ear.chances(ear.levels(spectra)).voice_in_room)
    assert chances[0] == pytest.approx(chances[1], abs=0.05)


def test_repair_lowers_rooms_unless_told_to_do_without_the_classical():
    pytest.importorskip("onnxruntime")
    heard, wanted = in_a_room(voice())
    with_it, without = (Repair(classical=classical)(Audio.of(heard, RATE)).waveform for classical in (True, False))
    assert error_db(with_it, wanted) < error_db(without, wanted) - 0.5


def test_who_knows_of_the_room_does_not_ask_the_ear():
    """Too short for the ear to tell anything, and music, which is no voice."""
    heard, wanted = in_a_room(voice())
    short = np.s_[:, : int(FEWEST * 512 * 0.9)]
    for sound in (heard[short], in_a_room(music(sample_rate=RATE, channels=1, seconds=3.0).waveform)[0]):
        run_of_it = Dereverb().open(Spec.audio(RATE, 1))
        assert np.abs(run(run_of_it, sound) - sound).max() > 0.01
        assert run_of_it.report["room_db"] < 0
    assert error_db(Dereverb()(Audio.of(heard, RATE)).waveform, wanted) < error_db(heard, wanted) - 1.5
