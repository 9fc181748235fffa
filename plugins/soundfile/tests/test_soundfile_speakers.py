"""Surround sound: every voice comes out of the speaker that it went into, here and in FFmpeg."""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from wavechain import Audio, OutputOptions
from wavechain_soundfile.loader import SoundFileLoader
from wavechain_soundfile.writer import SoundFileWriter

RATE = 48_000
# One tone a channel; the fourth of six or more is the subwoofer's, which encoders low-pass.
TONES_HZ = (200, 300, 400, 50, 600, 700, 800, 900)


def tones(channels: int) -> Audio:
    time = np.arange(RATE) / RATE
    pitches = TONES_HZ if channels > 5 else (200, 300, 400, 500, 600)
    return Audio.of(np.stack([0.2 * np.sin(2 * np.pi * hz * time) for hz in pitches[:channels]]), RATE)


def heard(waveform) -> list[int]:
    """The pitch of each channel, to 10 Hz."""
    return [round(int(np.argmax(np.abs(np.fft.rfft(channel[:RATE])))), -1) for channel in waveform]


def ffmpeg(*arguments) -> None:
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments], check=True)


def write(audio: Audio, path) -> None:
    writer, options = SoundFileWriter(), OutputOptions()
    encoding = writer.encoding(path.suffix, audio.spec, audio.media, options)
    sink = writer.open(path, audio.spec, encoding)
    samples = (
        audio.waveform if encoding.bits is None else np.ascontiguousarray((audio.waveform.T * 32767).astype("<i2"))
    )
    sink.write(samples)
    sink.close()


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".flac", ".wav"])
@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8])
def test_every_channel_comes_back_where_it_was(tmp_path, channels, suffix):
    audio = tones(channels)
    write(audio, tmp_path / f"s{suffix}")
    with SoundFileLoader().open(tmp_path / f"s{suffix}") as source:
        assert heard(source.read(RATE)) == heard(audio.waveform)


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".flac"])
def test_ffmpeg_plays_what_we_wrote_on_the_same_speakers(tmp_path, suffix):
    audio = tones(6)
    write(audio, tmp_path / f"s{suffix}")
    ffmpeg("-i", tmp_path / f"s{suffix}", tmp_path / "out.wav")
    assert heard(soundfile.read(tmp_path / "out.wav")[0].T) == heard(audio.waveform)


@pytest.mark.parametrize(("suffix", "codec"), [(".ogg", "libvorbis"), (".opus", "libopus"), (".flac", "flac")])
def test_we_play_what_ffmpeg_wrote_on_the_same_speakers(tmp_path, suffix, codec):
    audio = tones(6)
    write(audio, tmp_path / "in.wav")
    ffmpeg("-i", tmp_path / "in.wav", "-c:a", codec, tmp_path / f"s{suffix}")
    with SoundFileLoader().open(tmp_path / f"s{suffix}") as source:
        assert heard(source.read(RATE)) == heard(audio.waveform)


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
def test_opus_of_every_rate_is_read_to_its_end(tmp_path, rate):
    audio = Audio.of(np.zeros((2, rate)), rate)
    write(audio, tmp_path / "s.opus")
    with SoundFileLoader().open(tmp_path / "s.opus") as source:
        assert (source.spec.sample_rate, source.spec.length) == (rate, rate)
        assert source.read(2 * rate).shape[-1] == rate
