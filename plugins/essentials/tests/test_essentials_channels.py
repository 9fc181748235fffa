"""Channels: who is heard where, and how loud."""

from __future__ import annotations

import numpy as np
import pytest
from pytest import approx

from wavechain import Audio
from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.testing import music
from wavechain_essentials.channels import Channels

HALF_POWER = 0.5**0.5


def numbered(channels: int) -> Audio:
    """Channel k is 2^k, so that every sum says what is in it."""
    return Audio.of(np.repeat(2.0 ** np.arange(channels)[:, None], 4, axis=1), 1000)


def levels(audio: Audio) -> list[float]:
    return audio.waveform[:, 0].tolist()


def test_a_voice_in_the_middle_keeps_its_level_in_mono():
    voice = music(channels=1)
    both = Audio(np.repeat(voice.waveform, 2, axis=0), voice.sample_rate)
    np.testing.assert_array_equal(Channels(layout="mono")(both).waveform, voice.waveform)


def test_mid_and_side_add_up_to_left_and_right():
    before = music()
    mid, side = Channels(layout="mid")(before).waveform, Channels(layout="side")(before).waveform
    assert np.abs(np.concatenate([mid + side, mid - side]) - before.waveform).max() < 1e-7


@pytest.mark.parametrize(
    ("layout", "expected"), [("left", [1]), ("right", [2]), ("swap", [2, 1]), ("mono", [1.5]), ("side", [-0.5])]
)
def test_stereo_layouts(layout: str, expected: list[float]):
    assert levels(Channels(layout=layout)(numbered(2))) == expected


def test_mono_becomes_stereo_at_full_level():
    assert levels(Channels(layout="stereo")(numbered(1))) == [1, 1]


def test_surround_to_stereo_is_bs_775():
    left, right, centre, _, left_surround, right_surround = 2.0 ** np.arange(6)
    assert levels(Channels(layout="stereo")(numbered(6))) == approx(
        [
            left + HALF_POWER * (centre + left_surround),
            right + HALF_POWER * (centre + right_surround),
        ]
    )


@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8])
def test_a_surround_downmix_is_symmetrical_and_leaves_out_only_the_lfe(channels: int):
    for heard in range(channels):
        alone = np.zeros((channels, 4), np.float32)
        alone[heard] = 1
        left, right = levels(Channels(layout="stereo")(Audio(alone, 1000)))
        is_lfe = channels >= 6 and heard == 3
        # Every channel but the front pair arrives with half its power (the back centre with a quarter on each side).
        power = 0 if is_lfe else 1 if heard in (0, 1) or (left == right == approx(HALF_POWER)) else 0.5
        assert left**2 + right**2 == approx(power, abs=1e-6)


def test_a_map_takes_channels_by_number():
    assert levels(Channels(map=[2, 0, -1, 2])(numbered(3))) == [4, 1, 0, 4]


def test_picking_needs_no_dither_and_mixing_does():
    assert Channels(map=[0, 0]).keeps_samples
    assert Channels(layout="left").keeps_samples
    assert not Channels(layout="mono").keeps_samples


def test_layout_or_map_must_be_said():
    with pytest.raises(ParameterError, match=r"channels needs layout or map, one of them"):
        Channels()
    with pytest.raises(ParameterError, match=r"channels needs layout or map, one of them"):
        Channels(layout="mono", map=[0])
    with pytest.raises(ParameterError, match=r"is not a list of channels counted from 0"):
        Channels(map=[-2])


def test_what_does_not_fit_is_refused():
    with pytest.raises(SpecMismatchError, match=r"there is no channel 5; the stream has 2, counted from 0"):
        Channels(map=[5])(numbered(2))
    with pytest.raises(SpecMismatchError, match=r"layout = side takes stereo, the stream has 1 channel\. Try"):
        Channels(layout="side")(numbered(1))
    with pytest.raises(SpecMismatchError, match=r"there is no standard down-mix of 12 channels"):
        Channels(layout="mono")(numbered(12))
