"""Reading and writing through FFmpeg: the right samples, at the right time, from whatever container."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from wavechain import Audio, Media, OutputOptions, Picture, Spec, tags
from wavechain.errors import ParameterError, SpecMismatchError, UnwritableError
from wavechain.stream import Block
from wavechain.testing import chirp, impulse, music, noise, tone
from wavechain_av.loader import AvLoader
from wavechain_av.writer import AAC_RATES, AvWriter


def ffmpeg(*arguments: str | Path) -> bytes:
    """An FFmpeg of another version than PyAV's, as the independent second."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def decoded_by_ffmpeg(path: Path, channels: int) -> Block:
    raw = ffmpeg("-i", path, "-map", "0:a:0", "-f", "f32le", "-c:a", "pcm_f32le", "-")
    return np.frombuffer(raw, np.float32).reshape(-1, channels).T


def made_by_ffmpeg(audio: Audio, path: Path, *options: str) -> Path:
    source = path.with_name("source.wav")
    soundfile.write(source, audio.waveform.T, audio.sample_rate, subtype="FLOAT")
    ffmpeg("-i", source, *options, path)
    return path


def written(audio: Audio, path: Path, media: Media | None = None, **wanted: object) -> Path:
    """Through the writer as the core does it, in blocks of 10,000 frames; integers are rounded, not dithered."""
    writer = AvWriter()
    encoding = writer.encoding(path.suffix, audio.spec, media or Media(), OutputOptions.of(**wanted))
    sink = writer.open(path, audio.spec, encoding)
    for start in range(0, audio.frames, 10_000):
        block = audio.waveform[:, start : start + 10_000]
        if encoding.bits == 16:
            sink.write(np.round(block.T.astype(float) * 32767).astype(np.int16))
        elif encoding.bits == 24:
            sink.write(np.round(block.T.astype(float) * 8388607).astype(np.int32) << 8)
        else:
            sink.write(np.ascontiguousarray(block))
    sink.close()
    return path


def read(path: Path, frames: int = 65_536) -> Audio:
    blocks = []
    with AvLoader().open(path) as source:
        while (block := source.read(frames)).shape[-1]:
            assert block.dtype == np.float32
            assert block.flags.c_contiguous
            blocks.append(block)
        audio = Audio(np.concatenate(blocks, axis=-1), source.spec.sample_rate, source.media)
        assert source.spec.length in (None, audio.frames)
        assert not source.read(frames).shape[-1]
    return audio


LOSSLESS = {
    "flac.mka": ("-c:a", "flac"),
    "alac.m4a": ("-c:a", "alac"),
    "s16.mov": ("-c:a", "pcm_s16be"),
    "s24.mov": ("-c:a", "pcm_s24le"),
    "s32.mov": ("-c:a", "pcm_s32le"),
    "f32.mov": ("-c:a", "pcm_f32be"),
    "f64.mov": ("-c:a", "pcm_f64le"),
    "u8.avi": ("-c:a", "pcm_u8"),
    "planar.wv": (),
    "planar.tta": (),
}
LOSSY = {
    "aac.m4a": (),
    "faststart.m4a": ("-movflags", "+faststart"),
    "fragments.mp4": ("-movflags", "frag_keyframe+empty_moov"),
    "vorbis.webm": ("-c:a", "libvorbis"),
    "opus.mka": ("-c:a", "libopus"),
    "raw.aac": (),
    "raw.ac3": (),
    "two.wma": (),
    "three.flv": ("-ar", "44100"),
}


@pytest.mark.parametrize("name", [*LOSSLESS, *LOSSY])
def test_every_sample_is_the_one_that_ffmpeg_decodes(name, tmp_path):
    audio = music(seconds=0.6, channels=2)
    path = made_by_ffmpeg(audio, tmp_path / name, *{**LOSSLESS, **LOSSY}[name])
    found, expected = read(path), decoded_by_ffmpeg(path, 2)
    frames = min(found.frames, expected.shape[-1])
    assert np.array_equal(found.waveform[:, :frames], expected[:, :frames])
    if name != "fragments.mp4":  # FFmpeg forgets there that the last packet is not full
        assert found.frames == expected.shape[-1]


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_are_what_went_in_to_half_a_step(name, tmp_path):
    audio = music(seconds=0.4, channels=2)
    found = read(made_by_ffmpeg(audio, tmp_path / name, *LOSSLESS[name]))
    step = {"s16": 2**-15, "u8": 2**-7}.get(name.split(".")[0], 2**-23)
    assert found.frames == audio.frames
    assert np.abs(found.waveform - audio.waveform).max() <= step
    assert not found.media.lossy
    expected_bits = {"s16": 16, "u8": 8, "s32": 32, "f32": None, "f64": None}
    if not name.startswith("planar"):
        assert found.media.bits == expected_bits.get(name.split(".")[0], 24)
    assert found.media.float_samples == (name in ("f32.mov", "f64.mov", "planar.wv"))


@pytest.mark.parametrize("sizes", [1, 3, 1000, 1024, 100_000])
def test_blocks_of_any_size_are_the_same_sound(sizes, tmp_path):
    path = written(tone(440, seconds=0.1, channels=2), tmp_path / "tone.m4a")
    assert np.array_equal(read(path, sizes).waveform, read(path).waveform)


def test_the_sound_of_a_film_is_read_without_its_pictures(tmp_path):
    audio = tone(440, seconds=1, channels=1)
    path = made_by_ffmpeg(
        audio, tmp_path / "film.mp4", *("-f", "lavfi", "-i", "testsrc=d=1.5:s=64x64", "-map", "0:a", "-map", "1:v")
    )
    found = read(path)
    assert found.frames == audio.frames
    assert (found.media.container, found.media.codec, found.media.lossy) == ("MP4", "AAC", True)


@pytest.mark.parametrize("frames", [1, 3, 1000, 1023, 1024, 1025, 2048, 44_100, 50_001])
@pytest.mark.parametrize("wanted", [{}, {"bit_depth": "16"}], ids=["AAC", "ALAC"])
def test_an_m4a_is_as_long_as_what_was_written_and_a_click_is_where_it_was(frames, wanted, tmp_path):
    click = impulse(at=frames // 2, seconds=frames / 44_100, sample_rate=44_100, level=0.9)
    path = written(click, tmp_path / "click.m4a", **wanted)
    found = read(path)
    assert found.frames == frames
    assert int(np.abs(found.waveform).argmax()) == frames // 2
    by_ffmpeg = decoded_by_ffmpeg(path, 1)
    assert int(np.abs(by_ffmpeg).argmax()) == frames // 2
    assert frames <= by_ffmpeg.shape[-1] < frames + 1024


@pytest.mark.parametrize("rate", AAC_RATES)
def test_aac_of_every_rate_is_exact_in_time(rate, tmp_path):
    click = impulse(at=3001, seconds=7000 / rate, sample_rate=rate, level=0.9)
    found = read(written(click, tmp_path / "click.m4a"))
    assert (found.frames, found.sample_rate) == (7000, rate)
    assert int(np.abs(found.waveform).argmax()) == 3001


@pytest.mark.parametrize("name", ["half-filled.m4a", "full.m4a"])
def test_lengths_of_other_encoders_are_exact_though_their_edit_lists_count_milliseconds(name, tmp_path):
    frames = 44_100 if name == "half-filled.m4a" else 43 * 1024
    audio = noise(seconds=frames / 44_100, sample_rate=44_100)
    path = made_by_ffmpeg(audio, tmp_path / name)
    assert abs(read(path).frames - frames) <= (0 if name == "half-filled.m4a" else 44)


def test_padding_that_only_the_edit_list_knows_is_cut(tmp_path):
    path = written(noise(seconds=20 * 1024 / 44_100, sample_rate=44_100), tmp_path / "padded.m4a")
    content = bytearray(path.read_bytes())
    edit = content.index(b"elst") + 12  # after version, flags and count: the duration of the first edit
    assert int.from_bytes(content[edit : edit + 4]) == 20 * 1024
    content[edit : edit + 4] = (20 * 1024 - 700).to_bytes(4)
    path.write_bytes(content)
    assert read(path).frames == 20 * 1024 - 700


@pytest.mark.parametrize("bits", ["16", "24"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6])
def test_alac_gives_every_bit_back(bits, channels, tmp_path):
    audio = noise(seconds=0.3, channels=channels, rms_dbfs=-12)
    audio = Audio.of(audio.waveform.clip(-1, 1), 48_000)
    found = read(written(audio, tmp_path / "exact.m4a", bit_depth=bits))
    top = 2 ** (int(bits) - 1)
    expected = np.round(audio.waveform.astype(float) * (top - 1)) / top
    assert np.array_equal(found.waveform, expected.astype(np.float32))
    assert (found.media.codec, found.media.bits, found.media.lossy) == ("ALAC", int(bits), False)


@pytest.mark.parametrize("channels", [2, 3, 4, 5, 6, 8])
def test_aac_keeps_channels_apart_and_in_order(channels, tmp_path):
    pitches = [tone(60 + 15 * number, seconds=0.5).waveform for number in range(channels)]
    audio = Audio.of(np.concatenate(pitches) * 0.6, 48_000)
    found = read(written(audio, tmp_path / "order.m4a", bitrate_kbps=640))
    likeness = np.abs(found.waveform @ audio.waveform.T)
    assert [int(row.argmax()) for row in likeness] == list(range(channels))


def test_more_quality_is_more_bytes_and_less_error(tmp_path):
    audio = chirp(seconds=2, channels=2, sample_rate=44_100)
    audio = Audio.of(audio.waveform + noise(seconds=2, channels=2, sample_rate=44_100, rms_dbfs=-30).waveform, 44_100)
    sizes, errors = [], []
    for quality in (0, 5, 10):
        path = written(audio, tmp_path / f"{quality}.m4a", quality=quality)
        sizes.append(path.stat().st_size)
        errors.append(float(((read(path).waveform - audio.waveform) ** 2).mean()))
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)


def test_tags_and_cover_come_back_from_an_m4a(tmp_path):
    path = written(tone(440, seconds=0.2), tmp_path / "tagged.m4a")
    cover = Picture(b"\xff\xd8\xff\xe0" + bytes(100) + b"\xff\xd9", "image/jpeg")
    media = Media(
        tags={"title": ("Eine kleine Weise",), "artist": ("Ada", "Bo"), "tracknumber": ("3",)}, pictures=(cover,)
    )
    encoding = AvWriter().encoding(".m4a", Spec.audio(48_000, 1), Media(), OutputOptions())
    assert not tags.write(path, encoding.container, media)
    found = read(path)
    assert found.media.tags["title"] == ("Eine kleine Weise",)
    assert found.media.tags["artist"] == ("Ada", "Bo")
    assert found.media.tags["tracknumber"][0].split("/")[0] == "3"
    assert [picture.data for picture in found.media.pictures] == [cover.data]
    assert found.frames == 9600


def test_tags_of_containers_that_only_ffmpeg_knows_are_read(tmp_path):
    named = ("-metadata", "title=Wind", "-metadata", "album_artist=Ada", "-metadata", "track=7")
    path = made_by_ffmpeg(tone(440, seconds=0.2), tmp_path / "tagged.mka", "-c:a", "flac", *named)
    assert read(path).media.tags == {"title": ("Wind",), "albumartist": ("Ada",), "tracknumber": ("7",)}


def asked(suffix: str = ".m4a", *, rate: int = 44_100, channels: int = 2, codec: str = "FLAC", **wanted: object):
    options, media = OutputOptions.of(**wanted), Media(codec=codec, bits=24)
    return AvWriter().encoding(suffix, Spec.audio(rate, channels), media, options)


def test_aac_unless_lossless_is_asked_for_or_was_there_before():
    assert (asked().codec, asked().lossy, asked().bits) == ("AAC", True, None)
    assert dict(asked().settings)["bit_rate"] == 192_000
    assert dict(asked(quality=10).settings)["bit_rate"] == 320_000
    assert dict(asked(bitrate_kbps=128).settings)["bit_rate"] == 128_000
    assert (asked(bit_depth="16").codec, asked(bit_depth="16").bits) == ("ALAC_16", 16)
    assert (asked(codec="ALAC").codec, asked(codec="ALAC", quality=5).codec) == ("ALAC_24", "AAC")


@pytest.mark.parametrize(
    ("wanted", "error", "text"),
    [
        (
            {"bit_depth": "32"},
            ParameterError,
            "ALAC holds 16 or 24 bits, not 32. Try: bit_depth=24, or .wav or .flac.",
        ),
        (
            {"bit_depth": "24", "quality": 3},
            ParameterError,
            (
                ".m4a of 24 bits is lossless: it has no quality or bit rate. "
                "Try: leave out bit_depth for AAC, or quality and bitrate_kbps for ALAC."
            ),
        ),
        (
            {"rate": 192_000},
            SpecMismatchError,
            "AAC has no 192000 Hz. Try: resample:sample_rate=96000, or bit_depth=24 for ALAC.",
        ),
        (
            {"channels": 7},
            SpecMismatchError,
            (
                "AAC in .m4a holds 1, 2, 3, 4, 5, 6, 8 channels; the chain ends with 7. "
                "Try: channels:layout=stereo, or .wav or .flac."
            ),
        ),
    ],
)
def test_what_the_format_cannot_hold_is_refused_before_anything_is_written(wanted, error, text):
    with pytest.raises(error) as refused:
        asked(**wanted)
    assert str(refused.value) == text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("wanted", [{}, {"bit_depth": "16"}])
def test_a_full_disk_is_an_error_and_closing_after_it_does_no_harm(wanted):
    spec, writer = Spec.audio(44_100, 1), AvWriter()
    encoding = writer.encoding(".m4a", spec, Media(), OutputOptions.of(**wanted))
    sink = writer.open(Path("/dev/full"), spec, encoding)
    samples = np.zeros((1, 1_000_000), np.float32) if encoding.bits is None else np.ones((1_000_000, 1), np.int16)

    def fill() -> None:
        for _ in range(20):
            sink.write(samples)
        sink.close()

    with pytest.raises((OSError, UnwritableError), match=r"(?i)no space left"):
        fill()
    sink.close()


def test_what_is_open_is_closed(tmp_path):
    path = written(tone(440, seconds=0.1), tmp_path / "tone.m4a")
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(5):
        read(path)
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert after == before
