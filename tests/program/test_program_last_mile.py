"""The last mile through the whole program: dither, depth, tags and art, verification."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import soundfile

from wavechain import Audio, Media, Picture
from wavechain.testing import music, tone

TAGS = {
    "title": ("Stück Nº 1",),
    "artist": ("One", "Two"),
    "album": ("Album",),
    "date": ("2024",),
    "tracknumber": ("3",),
    "genre": ("Ambient",),
    "comment": ("a comment",),
}
# The smallest valid PNG: one transparent pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001e221bc330000"
    "000049454e44ae426082"
)


@pytest.fixture
def tagged(tmp_path):
    audio = music(sample_rate=44_100, seconds=1)
    media = Media(
        tags=TAGS | {"replaygain_track_gain": ("-3.2 dB",)}, pictures=(Picture(PNG, "image/png", 3, "front"),)
    )
    return Audio(audio.waveform, audio.sample_rate, media).write(tmp_path / "tagged.flac")


@pytest.mark.parametrize(
    "way", [("flac",), ("mp3",), ("mp3", "ogg"), ("opus",), ("m4a",), ("m4a", "flac"), ("wav",), ("aiff",)]
)
def test_tags_and_cover_art_survive(wavechain, read, tagged, tmp_path, way):
    path = tagged
    for step, suffix in enumerate(way):
        output = tmp_path / f"{step}.{suffix}"
        said = wavechain("run", path, output, "-s", "resample:sample_rate=48000")
        assert said.code == 0, said.err
        path = output
    media = read(path).media
    for name, values in TAGS.items():
        assert media.tags[name] == values, name
    assert [(picture.data, picture.mime) for picture in media.pictures] == [(PNG, "image/png")]


def test_loudness_tags_of_the_source_are_not_carried_on(wavechain, read, tagged, tmp_path):
    assert "replaygain_track_gain" not in read(tagged).media.tags
    import mutagen.flac

    file = mutagen.flac.FLAC(tagged)
    file["replaygain_track_gain"] = "-3.2 dB"
    file.save()
    wavechain("run", tagged, tmp_path / "o.flac", "-s", "gain:gain_db=-6")
    assert not [tag for tag in mutagen.flac.FLAC(tmp_path / "o.flac") if "replaygain" in tag[0].lower()]


def test_no_tags_leaves_them_out(wavechain, read, tagged, tmp_path):
    wavechain("run", tagged, tmp_path / "o.flac", "--no-tags")
    assert "title" not in read(tmp_path / "o.flac").media.tags


def test_24_to_16_bits_adds_triangular_noise_and_nothing_else(wavechain, tmp_path):
    before = tone(997, sample_rate=48_000, seconds=10, level_dbfs=-60).waveform[0] + np.float32(1e-6)
    soundfile.write(tmp_path / "24.wav", before, 48_000, "PCM_24")
    before, _ = soundfile.read(tmp_path / "24.wav", dtype="float64")
    assert wavechain("run", tmp_path / "24.wav", tmp_path / "16.wav", "--bit-depth", "16").code == 0
    after, _ = soundfile.read(tmp_path / "16.wav", dtype="float64")
    error = (after - before) * 32768
    assert abs(error.mean()) < 0.01
    assert error.var() == pytest.approx(0.25, rel=0.02)  # TPDF of 2 LSB (1/6) and rounding (1/12)
    assert abs(np.corrcoef(error, before)[0, 1]) < 0.01
    spectrum = np.abs(np.fft.rfft(error * np.hanning(error.size))) ** 2
    harmonics = [round(997 * k * error.size / 48_000) for k in range(1, 12)]
    assert max(spectrum[at - 2 : at + 3].max() for at in harmonics) < 25 * spectrum.mean()


@pytest.mark.parametrize(
    ("subtype", "suffix"), [("PCM_16", "flac"), ("PCM_24", "flac"), ("PCM_24", "wav"), ("FLOAT", "wav")]
)
def test_rate_and_depth_are_kept_unless_asked_otherwise(wavechain, tmp_path, subtype, suffix):
    soundfile.write(tmp_path / "in.wav", music(sample_rate=96_000, seconds=0.5).waveform.T, 96_000, subtype)
    assert wavechain("run", tmp_path / "in.wav", tmp_path / f"o.{suffix}", "-s", "gain:gain_db=-1").code == 0
    info = soundfile.info(tmp_path / f"o.{suffix}")
    assert (info.samplerate, info.subtype) == (96_000, subtype)


@pytest.mark.parametrize("suffix", ["flac", "wav", "aiff", "caf", "w64", "ogg", "mp3", "opus", "m4a"])
def test_every_format_can_be_verified_and_keeps_time(wavechain, read, tmp_path, suffix):
    source = music(sample_rate=48_000, seconds=1.5).write(tmp_path / "in.wav")
    said = wavechain("run", source, tmp_path / f"o.{suffix}", "--verify")
    assert said.code == 0, said.err
    before, after = read(source), read(tmp_path / f"o.{suffix}")
    assert after.frames == before.frames
    assert np.corrcoef(before.waveform[0], after.waveform[0])[0, 1] > 0.97  # one frame late would show


def test_the_archive_preset_returns_every_bit(wavechain, read, tagged, tmp_path):
    said = wavechain("run", tagged, tmp_path / "o.flac", "--preset", "archive")
    assert said.code == 0, said.err
    assert np.array_equal(read(tagged).waveform, read(tmp_path / "o.flac").waveform)


def test_a_file_that_does_not_read_back_is_not_kept(wavechain, song, tmp_path, monkeypatch):
    from wavechain import lastmile

    counter = itertools.count()
    monkeypatch.setattr(lastmile.zlib, "crc32", lambda data, start=0: next(counter))
    said = wavechain("run", song, tmp_path / "o.flac", "--verify")
    assert said.code == 1
    assert "differs from what was written: not kept" in said.err
    assert list(tmp_path.iterdir()) == []
