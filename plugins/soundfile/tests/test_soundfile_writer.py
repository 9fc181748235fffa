"""What a writer settles before it writes, what it refuses, and what it does when the disk is full."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from wavechain.audio import Media
from wavechain.errors import ParameterError, SpecMismatchError, UnwritableError, UsageError
from wavechain.output import OutputOptions
from wavechain.stream import Spec
from wavechain_soundfile.writer import SoundFileWriter

SPEC = Spec.audio(48_000, 2, 48_000)
FLAC_24 = Media(container="FLAC", codec="PCM_24", bits=24)
FLAC_16 = Media(container="FLAC", codec="PCM_16", bits=16)
FLOAT_WAV = Media(container="WAV", codec="FLOAT", float_samples=True)
MP3 = Media(container="MP3", codec="MPEG_LAYER_III", lossy=True)


def settle(suffix, spec=SPEC, media=FLAC_16, **options):
    return SoundFileWriter().encoding(suffix, spec, media, OutputOptions.of(**options))


def refusal(kind, suffix, spec=SPEC, media=FLAC_16, **options):
    with pytest.raises(kind) as caught:
        settle(suffix, spec, media, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "media", "codec", "bits"),
    [
        (".flac", FLAC_16, "PCM_16", 16),
        (".flac", FLAC_24, "PCM_24", 24),
        (".flac", FLOAT_WAV, "PCM_24", 24),
        (".flac", MP3, "PCM_24", 24),
        (".flac", Media(bits=32), "PCM_24", 24),
        (".flac", Media(bits=20), "PCM_24", 24),
        (".wav", FLAC_16, "PCM_16", 16),
        (".wav", FLOAT_WAV, "FLOAT", None),
        (".wav", MP3, "PCM_24", 24),
        (".wav", Media(bits=8), "PCM_U8", 8),
        (".aiff", Media(bits=8), "PCM_S8", 8),
        (".caf", Media(bits=32), "PCM_32", 32),
        (".wav", Media(), "PCM_24", 24),
    ],
)
def test_the_depth_of_the_source_is_kept(suffix, media, codec, bits):
    encoding = settle(suffix, media=media)
    assert (encoding.codec, encoding.bits, encoding.lossy) == (codec, bits, False)


@pytest.mark.parametrize(
    ("suffix", "depth", "codec"),
    [(".flac", "16", "PCM_16"), (".wav", "float", "FLOAT"), (".wav", "32", "PCM_32"), (".aif", "24", "PCM_24")],
)
def test_the_depth_that_is_asked_for_wins(suffix, depth, codec):
    assert settle(suffix, bit_depth=depth).codec == codec


def test_a_suffix_may_be_written_in_any_way():
    assert settle("WAVE").container == settle(".wav").container == "WAV"
    assert settle(".AIFC").container == "AIFF"
    assert settle("opus", Spec.audio(48_000, 1)).codec == "OPUS"


def test_flac_says_what_it_cannot_hold():
    assert refusal(ParameterError, ".flac", bit_depth="32") == (
        "output: FLAC files cannot hold 32-bit samples. Try: bit_depth=24, or a .wav file."
    )
    assert refusal(ParameterError, ".flac", bit_depth="float") == (
        "output: FLAC files cannot hold float samples. Try: bit_depth=24, or a .wav file."
    )
    assert refusal(SpecMismatchError, ".flac", Spec.audio(48_000, 12)) == (
        "FLAC files hold up to 8 channels, this stream has 12. "
        "Try: add channels:layout=stereo before the end, or a .wav file."
    )
    assert refusal(SpecMismatchError, ".flac", Spec.audio(768_000, 2)) == (
        "FLAC files have up to 655350 Hz, above 65535 Hz multiples of 10; this stream has 768000 Hz. "
        "Try: add resample:sample_rate=192000 before the end."
    )
    assert "96001 Hz" in refusal(SpecMismatchError, ".flac", Spec.audio(96_001, 2))


def test_lossy_formats_name_the_rates_that_they_have():
    assert refusal(SpecMismatchError, ".opus", Spec.audio(44_100, 2)) == (
        "Opus files have 8000, 12000, 16000, 24000 or 48000 Hz; this stream has 44100 Hz. "
        "Try: add resample:sample_rate=48000 before the end."
    )
    assert refusal(SpecMismatchError, ".mp3", Spec.audio(88_200, 2)).endswith(
        "this stream has 88200 Hz. Try: add resample:sample_rate=44100 before the end."
    )
    assert refusal(SpecMismatchError, ".mp3", Spec.audio(96_000, 2)).endswith(
        "resample:sample_rate=48000 before the end."
    )
    assert refusal(SpecMismatchError, ".mp3", Spec.audio(48_000, 6)).startswith("MP3 files hold up to 2 channels")
    assert refusal(SpecMismatchError, ".ogg", Spec.audio(384_000, 2)) == (
        "Vorbis files have up to 200000 Hz; this stream has 384000 Hz. "
        "Try: add resample:sample_rate=192000 before the end."
    )


@pytest.mark.parametrize(
    ("suffix", "options", "text"),
    [
        (".mp3", {"bit_depth": "24"}, "output: MP3 files have no bit depth. Try: quality=8, or a .flac file."),
        (".wav", {"quality": 5}, "output: WAV files have no quality to choose. Try: bit_depth, or a .flac file."),
        (
            ".flac",
            {"bitrate_kbps": 320},
            "output: FLAC files have no bit rate to choose. Try: bit_depth, or an .mp3 file.",
        ),
        (".flac", {"quality": 9}, "output: quality = 9 is out of range for FLAC. Try: 0 to 8."),
        (
            ".ogg",
            {"bitrate_kbps": 192},
            "output: Vorbis files have no constant bit rate. Try: quality=6, or an .opus file.",
        ),
        (
            ".mp3",
            {"bitrate_kbps": 192, "quality": 3},
            "output: MP3 takes quality or bitrate_kbps, not both. Try: one of them.",
        ),
        (
            ".mp3",
            {"bitrate_kbps": 100},
            (
                "output: MP3 at 48000 Hz has no bit rate of 100 kbit/s. Try: one of "
                "32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256 or 320."
            ),
        ),
        (
            ".mp3",
            {"bitrate_kbps": 32},
            (
                "output: libsndfile's MP3 at 32 kbit/s comes back 1105 frames late. "
                "Try: pip install lameenc, quality=4, or bitrate_kbps=64."
            ),
        ),
        (
            ".opus",
            {"bitrate_kbps": 600},
            "output: bitrate_kbps = 600 is out of range for Opus of 2 channels. Try: 6 to 506 kbit/s.",
        ),
    ],
)
def test_options_that_a_format_does_not_have_are_refused(suffix, options, text):
    assert refusal(ParameterError, suffix, **options) == text


def test_an_unknown_suffix_is_answered_with_the_nearest():
    assert refusal(UsageError, ".flca") == "libsndfile writes no '.flca' files. Try: .flac."


def test_long_files_get_a_header_that_can_count_them():
    hours = Spec.audio(96_000, 2, 96_000 * 3600 * 3)
    assert settle(".wav", hours, FLAC_24).container == "RF64"
    assert settle(".wav", hours.with_length(96_000 * 3600), FLAC_24).container == "WAV"
    assert refusal(SpecMismatchError, ".aiff", hours, FLAC_24) == (
        "AIFF files end at 4 GiB, this stream needs 5.8 GiB. Try: a .wav or .caf file."
    )


def test_a_stream_of_unknown_length_is_stopped_where_the_format_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("wavechain_soundfile.formats.ROOM_FOR_TAGS", 2**32 - 4000)
    writer, spec = SoundFileWriter(), Spec.audio(48_000, 2, None)
    sink = writer.open(tmp_path / "long.aiff", spec, writer.encoding(".aiff", spec, FLAC_16, OutputOptions()))
    sink.write(np.zeros((1000, 2), np.int16))
    with pytest.raises(UnwritableError, match="files of this format end at 4 GiB"):
        sink.write(np.zeros((1, 2), np.int16))
    sink.close()


def test_the_constant_bit_rate_of_libsndfile_is_the_one_asked_for(tmp_path):
    from wavechain_soundfile.mpeg import FrameHeader, read_tag

    for sample_rate, kbps in ((44_100, 128), (44_100, 320), (22_050, 96), (8_000, 64)):
        spec, path = Spec.audio(sample_rate, 1, 9000), tmp_path / f"{sample_rate}-{kbps}.mp3"
        encoding = settle(".mp3", spec, bitrate_kbps=kbps)
        sink = SoundFileWriter().open(path, spec, encoding)
        sink.write(np.random.default_rng(0).standard_normal((1, 9000)).astype(np.float32) / 9)
        sink.close()
        data = path.read_bytes()
        with path.open("rb") as file:
            tag = read_tag(file)
        assert FrameHeader.parse(data[tag.start + tag.header.size :][:4]).kbps == kbps


def test_closing_twice_is_closing_once(tmp_path):
    writer = SoundFileWriter()
    sink = writer.open(tmp_path / "a.wav", SPEC, settle(".wav"))
    sink.write(np.zeros((10, 2), np.int16))
    sink.close()
    sink.close()
    assert soundfile.info(tmp_path / "a.wav").frames == 10


FULL_DISK = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from wavechain.audio import Media
from wavechain.output import OutputOptions
from wavechain.stream import Spec
from wavechain_soundfile.mp3_writer import Mp3Writer
from wavechain_soundfile.writer import SoundFileWriter

path, short_by = Path(sys.argv[1]), int(sys.argv[2])
writer = Mp3Writer() if sys.argv[3] == "lame" else SoundFileWriter()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spec = Spec.audio(48_000, 2, 30_000)
encoding = writer.encoding(path.suffix, spec, Media(bits=16), OutputOptions())
noise = np.random.default_rng(0).integers(-9000, 9000, (30_000, 2)).astype(np.int16)

def write():
    sink = writer.open(path, spec, encoding)
    try:
        for start in range(0, 30_000, 10_000):
            piece = noise[start : start + 10_000]
            sink.write(piece if encoding.bits else np.ascontiguousarray(piece.T / np.float32(32768), np.float32))
    finally:
        sink.close()

write()
limit = path.stat().st_size - short_by
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write()
except OSError as error:
    print(error.errno, error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".caf", ".ogg", ".opus", ".mp3", "lame"])
@pytest.mark.parametrize("short_by", [1, 200, 8000])
def test_a_full_disk_is_never_a_short_file(tmp_path, suffix, short_by):
    path = tmp_path / ("song.mp3" if suffix == "lame" else f"song{suffix}")
    code = [sys.executable, "-c", FULL_DISK, str(path), str(short_by), suffix]
    # A byte-code cache that does not fit on the disk either would outlive this test.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(code, capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() in ("27 File too large", "5 the encoder could not write all of it; is the disk full?")
