"""Tags and cover art travel between formats; hostile ones never cost the sound."""

from __future__ import annotations

import errno
import os
import random
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from wavechain import tags
from wavechain.audio import Media, Picture


def png(colour: bytes = b"\xff\x00\x00", noise: bytes = b"") -> bytes:
    """A picture of one pixel, with a comment of *noise*."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"tEXt", b"c\0" + noise), chunk(b"IDAT", zlib.compress(b"\0" + colour)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


COVER = Picture(png(), "image/png", 3, "the front")
BACK = Picture(png(b"\x00\x00\xff"), "image/png", 4, "the back")
SONG = {
    "title": ("Für Elise",),
    "artist": ("L. v. Beethoven", "A. Pianist; B. Pianist"),
    "album": ("Bagatellen",),
    "albumartist": ("L. v. Beethoven",),
    "date": ("1867-04-27",),
    "tracknumber": ("3",),
    "tracktotal": ("12",),
    "discnumber": ("1",),
    "disctotal": ("2",),
    "genre": ("Classical", "Rock"),
    "composer": ("L. v. Beethoven",),
    "comment": ("two\nlines",),
    "copyright": ("public domain",),
    "isrc": ("DEA000000001",),
    "bpm": ("75",),
    "lyrics": ("la la la",),
    "encodedby": ("somebody",),
    "compilation": ("1",),
    "label": ("Own",),
    "performer": ("A. Pianist (piano)",),
    "website": ("https://example.org",),
    "musicbrainz_trackid": ("8f3471b5-7e6a-48da-86a9-c1c07a0f47ae",),
    "musicbrainz_albumid": ("5b11f4ce-a62d-471e-81fc-a69a8278c7da",),
    "mood of the day": ("calm", "bright"),
}
STALE = {
    "replaygain_track_gain": ("-7.1 dB",),
    "replaygain_album_peak": ("0.98",),
    "r128_track_gain": ("-512",),
    "mp3gain_undo": ("+003,+003,N",),
    "itunnorm": ("00000A1B",),
}
MEDIA = Media(tags=SONG | STALE, pictures=(BACK, COVER))
FORMATS = ("flac", "mp3", "ogg", "opus", "wav", "aiff", "m4a")


def make(folder, suffix, frames=4000):
    """A small sound file without tags."""
    path = folder / f"song.{suffix}"
    silence = np.zeros((frames, 1), np.float32)
    if suffix == "m4a":
        return make_m4a(path)
    container, subtype = {"opus": ("OGG", "OPUS"), "ogg": ("OGG", "VORBIS")}.get(suffix, (suffix.upper(), None))
    soundfile.write(path, silence, 48_000, format=container, subtype=subtype)
    return path


def make_m4a(path):
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_everything_a_song_says_comes_back(tmp_path, suffix):
    path = make(tmp_path, suffix)
    assert tags.write(path, suffix.upper(), MEDIA) == []
    found, pictures = tags.read(path)
    assert found == SONG
    assert [picture.data for picture in pictures] == [COVER.data, BACK.data]  # the front cover first
    assert {picture.mime for picture in pictures} == {"image/png"}
    if suffix != "m4a":  # which has no room for what a picture shows
        assert pictures == (COVER, BACK)


@pytest.mark.parametrize("suffix", FORMATS)
def test_writing_twice_is_writing_once(tmp_path, suffix):
    path = make(tmp_path, suffix)
    tags.write(path, suffix.upper(), MEDIA)
    once = path.read_bytes()
    tags.write(path, suffix.upper(), MEDIA)
    assert path.read_bytes() == once


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", ["flac", "mp3", "ogg", "m4a"])
def test_tags_and_cover_survive_from_format_to_format(tmp_path, source, target):
    first = make(tmp_path, source)
    tags.write(first, source.upper(), MEDIA)
    found, pictures = tags.read(first)
    (tmp_path / "to").mkdir()
    second = make(tmp_path / "to", target)
    assert tags.write(second, target.upper(), Media(tags=found, pictures=pictures)) == []
    again, covers = tags.read(second)
    assert again == SONG
    assert [cover.data for cover in covers] == [COVER.data, BACK.data]


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != "m4a"])
def test_the_sound_is_untouched(tmp_path, suffix):
    path = make(tmp_path, suffix)
    before, _ = soundfile.read(path)
    tags.write(path, suffix.upper(), MEDIA)
    after, _ = soundfile.read(path)
    assert np.array_equal(before, after)


def test_loudness_of_the_old_sound_is_dropped_unless_told_otherwise(tmp_path):
    path = make(tmp_path, "flac")
    tags.write(path, "FLAC", MEDIA, drop_loudness=False)
    assert {name: tags.read(path)[0][name] for name in STALE} == STALE
    tags.write(path, "FLAC", MEDIA)
    assert not STALE.keys() & tags.read(path)[0].keys()


def test_formats_without_tags_say_what_they_lose(tmp_path):
    for suffix in ("caf", "w64", "au"):
        path = make(tmp_path, suffix)
        before = path.read_bytes()
        lost = tags.write(path, suffix.upper(), Media(tags={"title": ("A",), "artist": ("B",)}, pictures=(COVER,)))
        assert lost == ["artist", "title", "picture"]
        assert path.read_bytes() == before
        assert tags.read(path) == ({}, ())


def test_names_and_pictures_that_do_not_fit_are_listed(tmp_path):
    path = make(tmp_path, "flac")
    huge = Picture(png(noise=bytes(17 << 20)), "image/png")
    media = Media(tags={"title": ("A",), "größe": ("B",), "a=b": ("C",)}, pictures=(COVER, huge))
    assert tags.write(path, "FLAC", media) == ["a=b", "größe", "picture"]
    assert tags.read(path) == ({"title": ("A",)}, (COVER,))
    webp = Picture(b"RIFF\0\0\0\0WEBPVP8 ", "image/webp")
    assert tags.write(make(tmp_path, "m4a"), "MP4", Media(pictures=(webp,))) == ["picture"]


def test_odd_values_stay_what_they_were(tmp_path):
    odd = {"date": ("circa 1970",), "tracknumber": ("A1",), "bpm": ("128.5",), "compilation": ("maybe",)}
    for suffix in FORMATS:
        path = make(tmp_path, suffix)
        tags.write(path, suffix.upper(), Media(tags=odd))
        assert tags.read(path)[0] == odd, suffix


def test_a_part_file_is_known_by_its_content(tmp_path):
    path = make(tmp_path, "flac").rename(tmp_path / ".song.1234-ab.part.bin")
    assert tags.write(path, "FLAC", Media(tags={"title": ("A",)})) == []
    assert tags.read(path)[0] == {"title": ("A",)}


def test_common_spellings_become_common_names(tmp_path):
    import mutagen.flac

    path = make(tmp_path, "flac")
    file = mutagen.flac.FLAC(path)
    file["TOTALTRACKS"], file["Album Artist"], file["YEAR"], file["TRACKNUMBER"] = "9", "X", "2001", "4/9"
    file["encoder"] = "somebody's encoder"
    file.save()
    assert tags.read(path)[0] == {
        "tracktotal": ("9",),
        "albumartist": ("X",),
        "date": ("2001",),
        "tracknumber": ("4",),
    }


def test_a_wav_speaks_through_its_info_chunk(tmp_path):
    path = make(tmp_path, "wav")
    items = b"".join(
        name + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2)
        for name, text in ((b"INAM", b"A title\0"), (b"IART", "Müller".encode("cp1252")), (b"ICRD", b"1999"))
    )
    chunk = b"LIST" + struct.pack("<I", 4 + len(items)) + b"INFO" + items
    data = bytearray(path.read_bytes() + chunk)
    data[4:8] = struct.pack("<I", len(data) - 8)
    path.write_bytes(data)
    assert tags.read(path)[0] == {"title": ("A title",), "artist": ("Müller",), "date": ("1999",)}


def test_a_picture_of_any_declared_type_is_called_what_it_is(tmp_path):
    path = make(tmp_path, "mp3")
    tags.write(path, "MP3", Media(pictures=(Picture(COVER.data, "image/jpeg"),)))
    assert tags.read(path)[1][0].mime == "image/png"


def test_more_than_any_honest_tag_is_left_out(tmp_path):
    path = make(tmp_path, "mp3")
    big = Picture(png(noise=bytes(tags.MAX_PICTURE_BYTES)), "image/png", 3, "big")
    many = {f"name {number}": tuple(f"{value}" for value in range(20)) for number in range(100)}
    tags.write(path, "MP3", Media(tags={"title": ("A",)} | many, pictures=(big, COVER)))
    found, pictures = tags.read(path)
    assert pictures == (COVER,)
    assert found["title"] == ("A",)
    assert sum(len(values) for values in found.values()) == 1000


def test_a_tag_that_claims_more_than_the_file_holds_is_no_tag(tmp_path):
    path = make(tmp_path, "mp3")
    path.write_bytes(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + path.read_bytes())
    assert tags.read(path) == ({}, ())


def test_what_is_no_sound_has_no_tags(tmp_path):
    (tmp_path / "text").write_text("hello")
    assert tags.read(tmp_path / "text") == ({}, ())
    assert tags.read(tmp_path / "gone") == ({}, ())


def test_a_file_that_is_gone_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        tags.write(tmp_path / "gone.flac", "FLAC", MEDIA)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from wavechain import tags
from wavechain.audio import Media, Picture

path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = path.stat().st_size + 100
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    tags.write(path, path.suffix[1:].upper(), Media(pictures=(Picture(bytes(100_000), "image/png"),)))
except OSError as error:
    print(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_full_disk_is_an_os_error(tmp_path, suffix):
    code = [sys.executable, "-c", FULL_DISK, str(make(tmp_path, suffix))]
    # A byte-code cache that does not fit on the disk either would outlive this test.
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(code, capture_output=True, text=True, check=False, env=environment)
    assert (run.stdout, run.returncode) == (f"{errno.EFBIG}\n", 0), run.stderr


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagged")
    files = []
    for suffix in FORMATS:
        path = make(folder, suffix, frames=100)
        tags.write(path, suffix.upper(), MEDIA)
        files.append(path.read_bytes())
    return folder / "damaged", files


@settings(max_examples=200)
@given(which=st.integers(0, len(FORMATS) - 1), seed=st.integers(0, 2**32), cut=st.booleans())
def test_damage_gives_fewer_tags_and_no_error(tagged, which, seed, cut):
    path, files = tagged
    data, dice = bytearray(files[which]), random.Random(seed)
    for _ in range(dice.choice((1, 5, 50))):
        data[dice.randrange(len(data))] = dice.randrange(256)
    path.write_bytes(data[: dice.randrange(len(data))] if cut else data)
    found, pictures = tags.read(path)
    assert all(name and values for name, values in found.items())
    assert all(picture.mime.startswith("image/") for picture in pictures)
