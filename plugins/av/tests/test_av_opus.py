"""Writing Opus: where the sound was it stays, in every decoder, and a chain file says what it says to libsndfile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wavechain import Audio, Media, OutputOptions, Picture, Spec, tags
from wavechain.errors import ParameterError, SpecMismatchError, UnwritableError, WavechainError
from wavechain.registry import registry
from wavechain.stream import Block
from wavechain.testing import chirp, impulse, music, tone
from wavechain_av.opus_writer import OPUS_RATES, OpusWriter
from wavechain_av.sink import AvSink, Target
from wavechain_soundfile.loader import SoundFileLoader
from wavechain_soundfile.writer import SoundFileWriter


def written(audio: Audio, path: Path, *, blocks: int = 10_000, **wanted: object) -> Path:
    writer = OpusWriter()
    encoding = writer.encoding(".opus", audio.spec, Media(), OutputOptions.of(**wanted))
    sink = writer.open(path, audio.spec, encoding)
    for start in range(0, audio.frames, blocks):
        sink.write(np.ascontiguousarray(audio.waveform[:, start : start + blocks]))
    sink.close()
    return path


def read(path: Path) -> Block:
    """As wavechain reads it."""
    with SoundFileLoader().open(path) as source:
        found = source.read(10_000_000)
        assert source.spec.length == found.shape[-1]
    return found


def decoded_by_ffmpeg(path: Path, channels: int) -> Block:
    """Always at 48 kHz."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "f32le", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.float32).reshape(-1, channels).T


# What fills a packet of 20 ms, less the 312 samples before the sound; a frame less and a frame more.
AROUND_PACKETS = [960 * packets - early + off for packets in (1, 3) for early in (0, 312) for off in (-1, 0, 1)]


@pytest.mark.parametrize("frames", [1, 2, 100, *AROUND_PACKETS, 48_000, 50_001])
def test_a_click_is_where_it_was_in_a_file_as_long_as_it_was(frames, tmp_path):
    click = impulse(at=frames // 2, seconds=frames / 48_000, sample_rate=48_000, level=0.9)
    path = written(click, tmp_path / "click.opus")
    for found in (read(path), decoded_by_ffmpeg(path, 1)):
        assert found.shape == (1, frames)
        assert int(np.abs(found).argmax()) == frames // 2


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rate=st.sampled_from(OPUS_RATES), frames=st.integers(1, 9000), data=st.data())
def test_time_is_exact_at_every_rate_whatever_the_blocks(rate, frames, data, tmp_path):
    at, blocks = data.draw(st.integers(0, frames - 1)), data.draw(st.integers(100, 3000))
    click = impulse(at=at, seconds=frames / rate, sample_rate=rate, channels=2, level=0.9)
    path = written(click, tmp_path / "click.opus", blocks=blocks, quality=10)
    times = 48_000 // rate
    by_libsndfile = soundfile.read(path, always_2d=True)[0].T
    by_ffmpeg = decoded_by_ffmpeg(path, 2)
    assert by_libsndfile.shape == (2, frames)
    assert by_ffmpeg.shape == (2, frames * times)
    assert int(np.abs(by_libsndfile[0]).argmax()) == at
    assert int(np.abs(by_ffmpeg[0]).argmax()) == at * times


def pages(path: Path) -> list[tuple[int, int]]:
    """Flags and sample number of each Ogg page (RFC 3533 6)."""
    content, position, found = path.read_bytes(), 0, []
    while position < len(content):
        assert content[position : position + 4] == b"OggS"
        found.append((content[position + 5], int.from_bytes(content[position + 6 : position + 14], "little")))
        segments = content[position + 26]
        position += 27 + segments + sum(content[position + 27 : position + 27 + segments])
    return found


@pytest.mark.parametrize("rate", OPUS_RATES)
def test_the_file_declares_what_comes_before_the_sound_and_where_it_ends(rate, tmp_path):
    path = written(chirp(sample_rate=rate, seconds=2.5), tmp_path / "sweep.opus")
    head = path.read_bytes()[28:47]
    assert head[:8] == b"OpusHead"
    skip, said_rate = int.from_bytes(head[10:12], "little"), int.from_bytes(head[12:16], "little")
    assert (skip, said_rate) == (312, rate)
    flags, sample = pages(path)[-1]
    assert flags & 4
    assert sample == skip + 2.5 * 48_000
    assert sum(flag & 4 for flag, _ in pages(path)) == 4


def test_tags_and_cover_are_put_into_the_finished_file_and_the_sound_stays(tmp_path):
    path = written(music(sample_rate=48_000, seconds=1.5), tmp_path / "tagged.opus")
    before = read(path)
    cover = Picture(b"\xff\xd8\xff\xe0" + bytes(200_000) + b"\xff\xd9", "image/jpeg")  # more than one page
    wanted = {"title": ("Eine kleine Weise",), "artist": ("Ada", "Bo"), "tracknumber": ("3",)}
    for _ in range(2):
        assert not tags.write(path, "OGG", Media(tags=wanted, pictures=(cover,)))
        found, pictures = tags.read(path)
        assert found == wanted
        assert [(picture.data, picture.mime) for picture in pictures] == [(cover.data, "image/jpeg")]
    assert np.array_equal(read(path), before)
    assert np.array_equal(decoded_by_ffmpeg(path, 2).shape, before.shape)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 64])
def test_channels_stay_in_their_order(channels, tmp_path):
    tones = [tone(300 + 200 * k, sample_rate=48_000, seconds=0.2, channels=1).waveform for k in range(channels)]
    audio = Audio(np.concatenate(tones), 48_000)
    path = written(audio, tmp_path / "tones.opus")
    for found in (read(path), decoded_by_ffmpeg(path, channels)):
        assert found.shape == audio.waveform.shape
        likeness = np.abs(found @ audio.waveform.T)
        assert likeness.argmax(axis=1).tolist() == list(range(channels))


def test_the_bit_rate_is_held_and_more_quality_is_more_bytes_and_less_error(tmp_path):
    sound = music(seconds=2, sample_rate=48_000)
    path = written(sound, tmp_path / "128.opus", bitrate_kbps=128)
    assert path.stat().st_size * 8 / 2000 == pytest.approx(128, rel=0.06)
    sizes, errors = [], []
    for quality in (0, 3, 5, 8, 10):
        path = written(sound, tmp_path / f"{quality}.opus", quality=quality)
        sizes.append(path.stat().st_size)
        errors.append(float(((read(path) - sound.waveform) ** 2).mean()))
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("wanted", [{}, {"quality": 0}, {"quality": 3.3}, {"quality": 10}, {"bitrate_kbps": 96}])
def test_a_chain_file_asks_for_the_bit_rate_that_libsndfile_is_asked_for(wanted, channels):
    spec, options = Spec.audio(48_000, channels), OutputOptions.of(**wanted)
    ours = OpusWriter().encoding(".opus", spec, Media(), options)
    theirs = SoundFileWriter().encoding(".opus", spec, Media(), options)
    compared = ("container", "codec", "bits", "clips", "lossy")
    assert [getattr(ours, name) for name in compared] == [getattr(theirs, name) for name in compared]
    if channels == 1:  # libsndfile's scale, 6 to 256 kbit/s, is only there what its writer takes it for
        theirs_kbps = 256 - 250 * float(dict(theirs.settings)["compression"])
        assert dict(ours.settings)["bit_rate"] / 1000 == pytest.approx(theirs_kbps, abs=0.001)


@pytest.mark.parametrize(
    ("rate", "channels", "wanted", "error", "text"),
    [
        (
            44_100,
            2,
            {},
            SpecMismatchError,
            (
                "Opus files have 8000, 12000, 16000, 24000 or 48000 Hz; this stream has 44100 Hz. "
                "Try: add resample:sample_rate=48000 before the end."
            ),
        ),
        (
            48_000,
            2,
            {"bit_depth": "16"},
            ParameterError,
            "output: Opus files have no bit depth. Try: quality=8, or a .flac file.",
        ),
        (
            48_000,
            2,
            {"quality": 3, "bitrate_kbps": 96},
            ParameterError,
            "output: Opus takes quality or bitrate_kbps, not both. Try: one of them.",
        ),
        (
            48_000,
            1,
            {"bitrate_kbps": 300},
            ParameterError,
            "output: bitrate_kbps = 300 is out of range for Opus of 1 channels. Try: 6 to 256 kbit/s.",
        ),
    ],
)
def test_refusals_are_those_of_the_soundfile_plugin_word_for_word(rate, channels, wanted, error, text):
    spec, options = Spec.audio(rate, channels), OutputOptions.of(**wanted)
    for writer in (OpusWriter(), SoundFileWriter()):
        with pytest.raises(WavechainError) as refused:
            writer.encoding(".opus", spec, Media(), options)
        assert type(refused.value) is error
        assert str(refused.value) == text


def test_this_writer_is_taken_first_and_the_loader_is_not():
    assert [stage.name for stage in registry().writers_for(".opus")] == ["write-opus", "write-soundfile"]
    assert registry().loaders_for(".opus")[0].name == "read-soundfile"


def test_an_ffmpeg_without_the_codec_says_so_and_leaves_nothing_open(tmp_path):
    path = tmp_path / "song.opus"
    with pytest.raises(UnwritableError) as refused:
        AvSink(path, 48_000, Target("ogg", "libnothing", "mono", "flt", planar=False))
    said = "the FFmpeg in use has no libnothing. Try: PyAV from PyPI, or .flac or .wav."
    assert str(refused.value) == f"{path}: {said}"


FULL_DISK = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from wavechain.audio import Media
from wavechain.output import OutputOptions
from wavechain.stream import Spec
from wavechain_av.opus_writer import OpusWriter

path, short_by = Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spec, writer = Spec.audio(48_000, 2, 60_000), OpusWriter()
encoding = writer.encoding(path.suffix, spec, Media(), OutputOptions.of(quality=10))
noise = np.random.default_rng(0).uniform(-0.3, 0.3, (2, 60_000)).astype(np.float32)

def write():
    sink = writer.open(path, spec, encoding)
    try:
        for start in range(0, 60_000, 10_000):
            sink.write(np.ascontiguousarray(noise[:, start : start + 10_000]))
        sink.close()
    finally:
        sink.close()

write()
limit = max(0, path.stat().st_size - short_by)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write()
except OSError as error:
    print(error.errno, error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("short_by", [1, 200, 8000, 40_000, 1_000_000])
def test_a_full_disk_is_never_a_short_file(tmp_path, short_by):
    code = [sys.executable, "-c", FULL_DISK, str(tmp_path / "song.opus"), str(short_by)]
    # A byte-code cache that does not fit on the disk either would outlive this test.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(code, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "27 File too large"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_device_that_is_full_says_so_and_closing_after_it_does_no_harm():
    spec, writer = Spec.audio(48_000, 1), OpusWriter()
    sink = writer.open(Path("/dev/full"), spec, writer.encoding(".opus", spec, Media(), OutputOptions()))

    def fill() -> None:
        sink.write(np.zeros((1, 100_000), np.float32))
        sink.close()

    with pytest.raises((OSError, UnwritableError), match=r"(?i)no space left"):
        fill()
    sink.close()
