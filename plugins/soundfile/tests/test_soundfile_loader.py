"""A loader that believes no header: what is cut off, lies, or is no audio is refused by name, with the next step."""

from __future__ import annotations

import os
import random
import struct
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from wavechain.errors import EmptyAudioError, MediaError, TooLargeError, UnreadableError
from wavechain.testing import music
from wavechain_soundfile.loader import SoundFileLoader

FRAMES = 30_000
AGAIN = "Try: copy the file again from its origin."
SUBTYPES = {"OGG": "VORBIS", "OPUS": "OPUS", "MP3": "MPEG_LAYER_III"}


def make(path, seconds=FRAMES / 48_000, **options):
    sound = music(sample_rate=48_000, seconds=seconds).waveform
    name = path.suffix[1:].upper()
    container = "OGG" if name == "OPUS" else name
    subtype = SUBTYPES.get(name, "PCM_16")
    soundfile.write(path, sound.T, 48_000, format=container, subtype=subtype, **options)
    return path


def ffmpeg(*words):
    """Run ffmpeg; what it wrote to a pipe."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    return subprocess.run([program, "-v", "error", "-y", *words], capture_output=True, check=True).stdout


def read_all(path):
    with SoundFileLoader().open(path) as source:
        blocks = [source.spec.zeros(0)]
        while (block := source.read(7000)).shape[1]:
            blocks.append(block)
        return np.concatenate(blocks, axis=1), source.spec


def refusal(path, kind=UnreadableError):
    with pytest.raises(kind) as caught:
        read_all(path)
    return str(caught.value).replace(str(path), "FILE")


def wav(data_size, data=b"\1\0" * 8, riff_size=None, channels=2, sample_rate=44_100, bits=16):
    align = channels * bits // 8
    fmt = struct.pack("<HHIIHH", 1, channels, sample_rate, min(2**32 - 1, sample_rate * align), align, bits)
    riff = 36 + len(data) if riff_size is None else riff_size
    head = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", 16) + fmt
    return head + b"data" + struct.pack("<I", data_size) + data


def test_a_missing_file_is_named(tmp_path):
    text = refusal(tmp_path / "gone.wav")
    assert text == "FILE: no such file or directory. Try: check the name and its permissions."


def test_a_folder_is_no_sound(tmp_path):
    assert refusal(tmp_path) == "FILE: is a folder. Try: a file in it."


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = make(tmp_path / "secret.wav")
    path.chmod(0)
    assert refusal(path) == "FILE: permission denied. Try: check the name and its permissions."


@pytest.mark.parametrize("content", [b"", b"hello, I am a letter. " * 50, bytes(4000), b"RIFF", b"OggS", b"fLaC"])
def test_what_is_no_audio_says_so(tmp_path, content):
    path = tmp_path / "letter.flac"
    path.write_bytes(content)
    assert refusal(path).startswith(
        ("FILE: is not audio in a format that libsndfile knows.", "FILE: cannot be decoded")
    )


def test_a_text_file_named_raw_is_no_audio(tmp_path):
    path = tmp_path / "noise.raw"
    path.write_bytes(b"hello" * 100)
    text = refusal(path)
    assert text == (
        "FILE: is not audio in a format that libsndfile knows. "
        "Try: pip install 'wavechain[av]' for more formats (M4A, WMA, video)."
    )


def test_no_frames_is_empty(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2)), 48_000)
    assert refusal(tmp_path / "none.wav", EmptyAudioError) == f"FILE: holds no audio (0 frames). {AGAIN}"


@pytest.mark.parametrize("name", ["song.wav", "song.mp3", "song.txt", "song"])
def test_a_wrong_name_does_no_harm(tmp_path, name):
    make(tmp_path / "song.flac").rename(tmp_path / name)
    sound, spec = read_all(tmp_path / name)
    assert sound.shape == (2, FRAMES)
    assert spec.length == FRAMES


@pytest.mark.parametrize("suffix", ["wav", "w64", "rf64", "aiff", "au"])
def test_a_pcm_file_that_was_cut_in_half_is_refused_when_it_is_opened(tmp_path, suffix):
    path = make(tmp_path / f"half.{suffix}")
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(UnreadableError, match=r"the header says 30000 frames, 149\d\d could be decoded") as caught:
        SoundFileLoader().open(path)
    assert str(caught.value).endswith(AGAIN)


@pytest.mark.parametrize("suffix", ["flac", "mp3", "ogg", "opus", "caf"])
def test_a_coded_file_that_was_cut_in_half_is_refused(tmp_path, suffix):
    path = make(tmp_path / f"half.{suffix}", seconds=3)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    text = refusal(path)
    assert text.endswith(AGAIN)
    expected = {
        "flac": "the header says 144000 frames, ",
        "mp3": "the header says 144000 frames, ",
        "ogg": "the stream has no end, ",
        "opus": "the stream has no end, ",
        "caf": "cannot be decoded",
    }
    assert f"FILE: {expected[suffix]}" in text


def test_a_small_file_that_claims_eight_gigabytes_is_refused(tmp_path):
    path = tmp_path / "liar.wav"
    path.write_bytes(wav(0xFFFF_FFF0))
    assert path.stat().st_size == 60
    assert refusal(path) == f"FILE: the header says 1073741820 frames, 4 could be decoded. {AGAIN}"


def test_a_flac_header_that_claims_a_year_is_refused(tmp_path):
    path = make(tmp_path / "liar.flac")
    data = bytearray(path.read_bytes())
    data[21:26] = bytes([data[21] | 0x0F]) + b"\xff\xff\xff\xff"
    path.write_bytes(data)
    text = refusal(path)
    assert text.startswith("FILE: the header says 68719476735 frames, which no file of ")


@pytest.mark.parametrize(
    ("data_size", "riff_size"),
    [(0xFFFF_FFFF, 0xFFFF_FFFF), (0x7FFF_F000, 0x7FFF_F024), (0x8000_0000, 0x8000_0024)],
    ids=["ffmpeg", "sox", "arecord"],
)
def test_placeholders_of_programs_that_write_to_pipes_mean_until_the_end(tmp_path, data_size, riff_size):
    path = tmp_path / "piped.wav"
    path.write_bytes(wav(data_size, riff_size=riff_size))
    assert read_all(path)[0].shape == (2, 4)


def test_a_wav_that_ffmpeg_piped_is_read_to_its_end(tmp_path):
    make(tmp_path / "song.flac")
    (tmp_path / "piped.wav").write_bytes(ffmpeg("-i", str(tmp_path / "song.flac"), "-f", "wav", "-"))
    assert np.array_equal(read_all(tmp_path / "piped.wav")[0], read_all(tmp_path / "song.flac")[0])


def test_a_flac_of_unknown_length_is_read_to_its_end(tmp_path):
    make(tmp_path / "song.wav")
    (tmp_path / "piped.flac").write_bytes(ffmpeg("-i", str(tmp_path / "song.wav"), "-f", "flac", "-"))
    sound, spec = read_all(tmp_path / "piped.flac")
    assert spec.length is None
    assert np.array_equal(sound, read_all(tmp_path / "song.wav")[0])


def test_an_mp3_without_a_tag_is_read_to_its_end(tmp_path):
    sound = music(sample_rate=48_000, seconds=6).waveform.copy()
    sound[:, :48_000] = 0  # starts with small frames, from which libsndfile alone guesses the length
    soundfile.write(tmp_path / "quiet.wav", sound.T, 48_000)
    bare = tmp_path / "bare.mp3"
    ffmpeg("-i", str(tmp_path / "quiet.wav"), "-q:a", "0", "-write_xing", "0", str(bare))
    reference = np.frombuffer(ffmpeg("-i", str(bare), "-f", "f32le", "-"), np.float32).reshape(-1, 2).T
    decoded, spec = read_all(bare)
    assert spec.length is None
    assert decoded.shape == reference.shape
    assert np.abs(decoded - reference).max() < 1e-5


def test_several_files_joined_into_one_are_not_cut_short(tmp_path):
    for suffix in ("mp3", "ogg", "opus"):
        path = make(tmp_path / f"joined.{suffix}")
        once = path.read_bytes()
        other = make(tmp_path / f"other.{suffix}").read_bytes()
        path.write_bytes(once + other)
        text = refusal(path)
        assert "another MP3 stream follows" in text or "holds several streams one after the other" in text
        assert text.endswith(f"Try: ffmpeg -i joined.{suffix} joined.flac, and that file.")


@pytest.mark.parametrize("suffix", ["flac", "mp3", "wav", "ogg"])
def test_bytes_behind_the_end_are_none_of_our_business(tmp_path, suffix):
    path = make(tmp_path / f"tail.{suffix}")
    before, _ = read_all(path)
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert np.array_equal(read_all(path)[0], before)


@pytest.mark.parametrize("suffix", ["flac", "opus", "ogg"])
def test_a_hole_in_the_middle_is_not_skipped(tmp_path, suffix):
    path = make(tmp_path / f"hole.{suffix}", seconds=3)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    assert "FILE: the header says 144000 frames, " in refusal(path)


def test_ninety_six_channels_are_too_many(tmp_path):
    path = tmp_path / "wide.wav"
    path.write_bytes(wav(1920, bytes(1920), channels=96))
    text = refusal(path, TooLargeError)
    assert text == "FILE: has 96 channels; the limit is 64. Try: split it into files of fewer channels."


@pytest.mark.parametrize("sample_rate", [0, 1_000_000, 2**31])
def test_absurd_sample_rates_are_refused(tmp_path, sample_rate):
    path = tmp_path / "rate.wav"
    path.write_bytes(wav(16, sample_rate=sample_rate))
    assert "1000000 Hz; the limit is 768000" in (text := refusal(path, MediaError)) or "cannot be decoded" in text


def test_facts_of_the_source_are_known(tmp_path):
    with SoundFileLoader().open(make(tmp_path / "a.flac")) as source:
        media = source.media
    assert (media.container, media.codec, media.bits, media.lossy) == ("FLAC", "PCM_16", 16, False)
    with SoundFileLoader().open(make(tmp_path / "a.opus")) as source:
        media = source.media
    assert (media.container, media.codec, media.bits, media.lossy) == ("OGG", "OPUS", None, True)


def test_tags_come_with_the_sound(tmp_path):
    path = tmp_path / "song.ogg"
    with soundfile.SoundFile(path, "w", 48_000, 1, "VORBIS", format="OGG") as file:
        file.title, file.artist = "Träumerei", "R. Schumann"
        file.write(np.zeros(1000))
    with SoundFileLoader().open(path) as source:
        assert source.media.tags == {"title": ("Träumerei",), "artist": ("R. Schumann",)}


@pytest.fixture(scope="module")
def samples_of_formats(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    suffixes = ("wav", "w64", "aiff", "au", "caf", "flac", "ogg", "opus", "mp3")
    return folder, [make(folder / f"song.{suffix}", seconds=0.3).read_bytes() for suffix in suffixes]


@settings(max_examples=150)
@given(which=st.integers(0, 8), seed=st.integers(0, 2**32), where=st.sampled_from(["head", "anywhere", "cut"]))
def test_damage_is_refused_in_one_line_or_read_to_the_announced_length(samples_of_formats, which, seed, where):
    folder, originals = samples_of_formats
    data, dice = bytearray(originals[which]), random.Random(seed)
    if where == "cut":
        del data[dice.randrange(len(data)) :]
    else:
        for _ in range(dice.choice((1, 3, 30))):
            data[dice.randrange(min(len(data), 200) if where == "head" else len(data))] = dice.randrange(256)
    path = folder / "damaged"
    path.write_bytes(data)
    try:
        sound, spec = read_all(path)
    except MediaError as error:
        said = str(error)
    else:
        said = str(path)
        assert spec.length in (None, sound.shape[1])
        assert sound.shape[1] > 0
    assert str(path) in said
    assert "\n" not in said
