"""Pad, trim, trim-silence: which frames stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavechain import Audio, Spec
from wavechain.engine import Opening, prepare
from wavechain.errors import EmptyAudioError, ParameterError
from wavechain.origins import AudioOrigin
from wavechain.testing import music, silence
from wavechain_essentials.pad import Pad
from wavechain_essentials.timing import frames_of
from wavechain_essentials.trim import Trim
from wavechain_essentials.trim_silence import TrimSilence


def report_of(stage: TrimSilence, audio: Audio) -> dict[str, object]:
    prepared = prepare([stage], AudioOrigin(audio), Opening())
    list(prepared.blocks)
    (leaf,) = prepared.series.leaves()
    return leaf.processor.report


def a_second_of_sound_between(before: float, after: float, level: float = 0.5) -> Audio:
    counted = level * (1 + np.arange(1000) / 1000)
    return Audio.of(np.concatenate([np.zeros(int(before * 1000)), counted, np.zeros(int(after * 1000))]), 1000)


def test_padding_is_silence_around_the_same_samples():
    before = music(seconds=0.5)
    after = Pad(start_seconds=0.1, end_seconds=0.25)(before)
    assert after.frames == 4_800 + 24_000 + 12_000
    np.testing.assert_array_equal(after.waveform[:, 4_800:28_800], before.waveform)
    assert not after.waveform[:, :4_800].any()
    assert not after.waveform[:, 28_800:].any()


@given(start=st.floats(0, 0.4), end=st.floats(0.41, 2))
def test_trim_keeps_from_its_start_up_to_its_end(start: float, end: float):
    before = Audio.of(np.arange(1, 8001) / 8000, 8000)
    after = Trim(start_seconds=start, end_seconds=end)(before)
    first, last = frames_of(start, 8000), min(frames_of(end, 8000), 8000)
    np.testing.assert_array_equal(after.waveform, before.waveform[:, first:last])


def test_a_duration_says_the_same_as_an_end():
    before = music(seconds=1)
    one, other = Trim(start_seconds=0.2, end_seconds=0.5), Trim(start_seconds=0.2, duration_seconds=0.3)
    np.testing.assert_array_equal(one(before).waveform, other(before).waveform)


def test_trim_and_pad_undo_each_other():
    before = music(seconds=0.5)
    after = (Pad(start_seconds=0.3, end_seconds=1) | Trim(start_seconds=0.3, duration_seconds=0.5))(before)
    np.testing.assert_array_equal(after.waveform, before.waveform)


def test_trim_refuses_two_ends_and_an_end_before_the_start():
    with pytest.raises(ParameterError, match=r"two ways to say one thing\. Try: only one of them"):
        Trim(end_seconds=3, duration_seconds=2)
    with pytest.raises(ParameterError, match=r"it would end at 3 s and begin at 5 s"):
        Trim(start_seconds=5, end_seconds=3)


def test_trim_refuses_to_leave_nothing():
    with pytest.raises(
        EmptyAudioError,
        match=r"stage 1 \(trim\): the part to keep begins at 5 s, the audio has 1 s: nothing would be left",
    ):
        Trim(start_seconds=5)(music(seconds=1))


def test_trim_finds_out_at_the_end_when_the_length_was_not_known():
    processor = Trim(start_seconds=9).open(Spec.audio(1000, 1, None))
    assert processor.process(np.ones((1, 1000), np.float32)).shape == (1, 0)
    with pytest.raises(EmptyAudioError, match=r"begins at 9 s, the audio has 1 s"):
        processor.flush()


def test_silence_goes_at_both_ends_and_a_margin_stays():
    after = TrimSilence(keep_seconds=0.1)(a_second_of_sound_between(2, 3))
    np.testing.assert_array_equal(after.waveform, a_second_of_sound_between(0.1, 0.1).waveform)


def test_one_end_can_be_left_alone():
    before = a_second_of_sound_between(2, 3)
    after = TrimSilence(keep_seconds=0, start=False)(before)
    np.testing.assert_array_equal(after.waveform, a_second_of_sound_between(2, 0).waveform)


def test_a_short_silence_is_left():
    before = a_second_of_sound_between(0.5, 3)
    after = TrimSilence(minimum_silence_seconds=1, keep_seconds=0)(before)
    np.testing.assert_array_equal(after.waveform, a_second_of_sound_between(0.5, 0).waveform)


def test_silence_between_sounds_stays():
    both = np.concatenate([a_second_of_sound_between(1, 1).waveform] * 2, axis=1)
    after = TrimSilence(keep_seconds=0)(Audio(both, 1000))
    assert after.frames == 4000


def test_what_lies_under_the_threshold_is_silence():
    before = Audio(a_second_of_sound_between(1, 1).waveform + np.float32(0.0005), 1000)
    assert TrimSilence(threshold_dbfs=-60, keep_seconds=0)(before).frames == 1000
    assert TrimSilence(threshold_dbfs=-70, keep_seconds=0)(before).frames == 3000


def test_the_report_says_what_was_removed():
    report = report_of(TrimSilence(keep_seconds=0.5), a_second_of_sound_between(2, 3))
    assert report == {"removed_start_seconds": 1.5, "removed_end_seconds": 2.5}


def test_a_silent_file_is_left_alone_and_the_report_says_so():
    before = silence(seconds=3)
    assert TrimSilence()(before).frames == before.frames
    assert report_of(TrimSilence(), before)["left_alone"] == "silent throughout"
