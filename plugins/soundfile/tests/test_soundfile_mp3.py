"""MP3 through LAME: the sound that comes back starts and ends where it should, at every rate."""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from wavechain.audio import Media
from wavechain.errors import EmptyAudioError
from wavechain.output import OutputOptions
from wavechain.stream import Spec
from wavechain.testing import chirp, music
from wavechain_soundfile.loader import SoundFileLoader
from wavechain_soundfile.mp3_writer import Mp3Writer
from wavechain_soundfile.mpeg import SAMPLE_RATES, FrameHeader, bit_rates, read_tag


def write(path, sound, piece=5000, **options):
    samples = np.round(sound.waveform.T * 32767).astype(np.int16)
    writer = Mp3Writer()
    encoding = writer.encoding(".mp3", sound.spec, Media(), OutputOptions.of(**options))
    assert (encoding.bits, encoding.lossy, encoding.container) == (16, True, "MP3")
    sink = writer.open(path, sound.spec, encoding)
    for start in range(0, len(samples), piece):
        sink.write(samples[start : start + piece])
    sink.close()
    return path


def delay(heard, played):
    """By how many frames *heard* is late."""
    size = 2 * played.shape[1]
    product = np.fft.rfft(heard[0], size) * np.conj(np.fft.rfft(played[0], size))
    late = int(np.argmax(np.fft.irfft(product)))
    return late if late < size // 2 else late - size


@pytest.mark.parametrize("sample_rate", SAMPLE_RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_no_frame_is_added_lost_or_moved(tmp_path, sample_rate, channels):
    sound = chirp(sample_rate=sample_rate, seconds=12_345 / sample_rate, channels=channels)
    lowest, *_, highest = bit_rates(sample_rate)
    for options in ({}, {"quality": 0}, {"quality": 10}, {"bitrate_kbps": lowest}, {"bitrate_kbps": highest}):
        path = write(tmp_path / "sweep.mp3", sound, **options)
        with SoundFileLoader().open(path) as source:
            assert source.spec == sound.spec
            heard = source.read(20_000)
        assert heard.shape == sound.waveform.shape
        # At 8 kbit/s little is left of the sweep to measure by; a decoder without the tag would be 1105 frames late.
        assert abs(delay(heard, sound.waveform)) <= (4 if options.get("bitrate_kbps") == lowest else 0), options


def test_ffmpeg_agrees_about_start_and_end(tmp_path):
    sound = music(sample_rate=44_100, seconds=1.37)
    path = write(tmp_path / "song.mp3", sound)
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "f32le", "-"]
    run = subprocess.run(words, capture_output=True, check=True)
    decoded = np.frombuffer(run.stdout, np.float32).reshape(-1, 2).T
    ours, _ = soundfile.read(path, dtype="float32")
    assert not run.stderr
    assert decoded.shape == sound.waveform.shape
    assert np.abs(decoded - ours.T).max() < 1e-4


@pytest.mark.parametrize("frames", [1, 2, 575, 1152, 1153])
def test_the_shortest_sounds_keep_their_length(tmp_path, frames):
    sound = music(sample_rate=44_100, seconds=0.1)
    short = type(sound).of(sound.waveform[:, :frames], 44_100)
    assert soundfile.info(write(tmp_path / "blip.mp3", short)).frames == frames


def test_blocks_of_any_size_make_the_same_file(tmp_path):
    sound = music(sample_rate=44_100, seconds=0.4)
    whole = write(tmp_path / "whole.mp3", sound, piece=10**9).read_bytes()
    assert write(tmp_path / "bits.mp3", sound, piece=7).read_bytes() == whole


def test_the_tag_counts_every_frame_and_byte(tmp_path):
    path = write(tmp_path / "song.mp3", music(sample_rate=44_100, seconds=12, channels=1))
    data = path.read_bytes()
    with path.open("rb") as file:
        tag = read_tag(file)
    assert tag.gapless
    assert tag.start == 0
    assert tag.size == len(data)
    at, starts = tag.header.size, []
    while at < len(data):
        starts.append(at)
        at += FrameHeader.parse(data[at : at + 4]).size
    assert at == len(data)
    assert tag.frames == len(starts)
    contents = data[4 + 17 + 16 :][:100]
    for percent in range(0, 100, 7):
        place = (starts[percent * len(starts) // 100] - tag.header.size) * 256 // (len(data) - tag.header.size)
        assert abs(contents[percent] - place) <= 1


@pytest.mark.parametrize("kbps", [32, 128, 320])
def test_the_bit_rate_is_the_one_asked_for(tmp_path, kbps):
    sound = music(sample_rate=44_100, seconds=2)
    path = write(tmp_path / "song.mp3", sound, bitrate_kbps=kbps)
    with path.open("rb") as file:
        tag = read_tag(file)
        file.seek(tag.header.size)
        assert FrameHeader.parse(file.read(4)).kbps == kbps


def test_quality_eight_is_v2_and_the_default(tmp_path):
    sound = music(sample_rate=44_100, seconds=1)
    default = write(tmp_path / "default.mp3", sound).read_bytes()
    assert write(tmp_path / "eight.mp3", sound, quality=8).read_bytes() == default
    assert b"Xing" in default[:100]


def test_nothing_cannot_be_an_mp3(tmp_path):
    writer, spec = Mp3Writer(), Spec.audio(44_100, 2)
    sink = writer.open(tmp_path / "none.mp3", spec, writer.encoding(".mp3", spec, Media(), OutputOptions()))
    with pytest.raises(EmptyAudioError, match="cannot hold 0 frames"):
        sink.close()
