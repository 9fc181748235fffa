"""What a list names is heard in its order, to the frame, and what cannot be right is refused with its line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from wavechain_playlist.cue import CueLoader
from wavechain_playlist.cue_track import CueTrack
from wavechain_playlist.m3u import M3uLoader

from wavechain import Audio, Media, WavechainError
from wavechain.testing import EffectContract, LoaderContract, PluginContract, music, noise

SHEET = """PERFORMER "Someone"
TITLE "All of it"
FILE "album.flac" WAVE
  TRACK 01 AUDIO
    TITLE "First"
    INDEX 01 00:00:00
  TRACK 02 AUDIO
    TITLE "Second"
    INDEX 00 00:00:20
    INDEX 01 00:00:25
  TRACK 03 AUDIO
    INDEX 01 00:01:00
"""


CUT = {"truncation-refused": "A list does not say where it ends: cut off after a line, it is a shorter list."}


class TestM3uLoader(LoaderContract):
    stage = M3uLoader()
    exceptions = CUT
    examples = 6

    def make_file(self, folder: Path, audio: Audio) -> Path:
        return playlist(folder, in_three(audio, folder))


class TestCueLoader(LoaderContract):
    stage = CueLoader(track=1)
    examples = 6

    def make_file(self, folder: Path, audio: Audio) -> Path:
        audio.write(folder / "all.wav", overwrite=True)
        sheet = folder / "all.cue"
        sheet.write_text('FILE "all.wav" WAVE\n TRACK 01 AUDIO\n  INDEX 01 00:00:00\n')
        return sheet


TWO_TRACKS = Path(__file__).with_name("second.cue")


class TestCueTrack(EffectContract):
    stage = CueTrack(sheet=TWO_TRACKS, track=2)
    exceptions: ClassVar = {
        "latency-by-impulse": "What comes out begins at the track: that is what it is for.",
    }
    examples = 6


class TestPlugin(PluginContract):
    module = "wavechain_playlist"


def in_three(audio: Audio, folder: Path, suffix: str = ".wav") -> list[str]:
    """*audio* cut into up to three files of different lengths; their names."""
    names = []
    cuts = sorted({0, audio.frames // 5, audio.frames // 2, audio.frames})  # none of them empty
    for number, (start, stop) in enumerate(pairwise(cuts), 1):
        piece = Audio(np.ascontiguousarray(audio.waveform[:, start:stop]), audio.sample_rate, audio.media)
        piece.write(folder / f"{number}{suffix}", overwrite=True)
        names.append(f"{number}{suffix}")
    return names


def playlist(folder: Path, lines: list[str], name: str = "list.m3u8") -> Path:
    path = folder / name
    path.write_text("\n".join(["#EXTM3U", *lines]) + "\n", encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(WavechainError) as caught:
        Audio.read(path)
    return str(caught.value).replace(f"{path.parent}/", "")


def test_the_tracks_follow_one_another_without_a_gap(tmp_path):
    song = Audio(music(seconds=1).waveform, 48_000, Media(bits=16))
    names = in_three(song, tmp_path, ".flac")
    listed = Audio.read(playlist(tmp_path, names))
    alone = [Audio.read(tmp_path / name).waveform for name in names]
    assert np.array_equal(listed.waveform, np.concatenate(alone, axis=1))
    assert listed.media.bits == 16
    assert listed.media.container == "M3U"


def test_one_file_at_a_time_is_open(tmp_path):
    path = playlist(tmp_path, in_three(noise(seconds=1), tmp_path))
    with M3uLoader().open(path) as source:
        assert source.spec.length == 48_000
        assert [source.read(20_000).shape[-1] for _ in range(4)] == [20_000, 20_000, 8_000, 0]
        assert source.read(1).shape == (1, 0)


def test_remarks_titles_and_names_from_other_systems(tmp_path):
    (tmp_path / "Café").mkdir()
    noise(seconds=0.1).write(tmp_path / "Café" / "a.wav")
    path = playlist(tmp_path, ["#PLAYLIST: Side A", "#EXTINF:1,Someone - It", "", "Café\\a.wav"])
    assert Audio.read(path).media.tags == {"title": ("Side A",)}
    path.write_bytes("#EXTM3U\r\nCafé/a.wav\r\n".encode("latin-1"))
    assert Audio.read(path).frames == 4_800


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["1.wav", "gone.wav"], "list.m3u8:3: gone.wav: no such file or directory. Try: check the name"),
        (["1.wav", "https://example.org/radio.mp3"], "list.m3u8:3: https://example.org/radio.mp3 is an address"),
        (["list.m3u8"], "list.m3u8:2: list.m3u8 is a list itself."),
        (["1.wav", "low.wav"], "list.m3u8:3: low.wav is 44100 Hz, 2 channels; the tracks before it are 48000 Hz, 2 ch"),
        (["1.wav", "mono.wav"], "list.m3u8:3: mono.wav is 48000 Hz, 1 channel; the tracks before it are 48000 Hz, 2 "),
        (["1.wav", "text.wav"], "list.m3u8:3: text.wav: "),
        (["#EXT-X-TARGETDURATION:6", "1.wav"], "list.m3u8:2: a list of the pieces of a stream (HLS)."),
        (["# nothing"], "list.m3u8: lists no files."),
    ],
    ids=["missing", "address", "itself", "rate", "channels", "no audio", "stream", "empty"],
)
def test_what_cannot_be_right_is_refused_with_its_line(tmp_path, lines, said):
    noise(seconds=0.1, channels=2).write(tmp_path / "1.wav")
    noise(seconds=0.1, channels=2, sample_rate=44_100).write(tmp_path / "low.wav")
    noise(seconds=0.1).write(tmp_path / "mono.wav")
    (tmp_path / "text.wav").write_text("not audio")
    assert refusal(playlist(tmp_path, lines)).startswith(said)


@pytest.fixture
def album(tmp_path):
    (tmp_path / "album.cue").write_text(SHEET)
    song = Audio(noise(seconds=2, sample_rate=44_100, channels=2).waveform, 44_100, Media(bits=16))
    return Audio.read(song.write(tmp_path / "album.flac"))


@pytest.mark.parametrize(("track", "start", "stop"), [(1, 0, 25), (2, 25, 75), (3, 75, 150)])
def test_a_track_is_cut_at_its_index_to_the_sample(tmp_path, album, track, start, stop):
    expected = album.waveform[:, start * 588 : stop * 588]
    with CueLoader(track=track).open(tmp_path / "album.cue") as source:
        assert source.spec.length == expected.shape[-1]
        assert np.array_equal(source.read(1 << 20), expected)
    assert np.array_equal(CueTrack(sheet=tmp_path / "album.cue", track=track)(album).waveform, expected)


def test_the_sheet_says_what_the_track_is_called(tmp_path, album):
    tags = {"album": ("All of it",), "artist": ("Someone",)}
    with CueLoader(track=2).open(tmp_path / "album.cue") as source:
        assert source.media.tags == {**tags, "title": ("Second",), "tracknumber": ("2",)}
    whole = Audio.read(tmp_path / "album.cue")
    assert whole.media.tags == tags
    assert np.array_equal(whole.waveform, album.waveform)


def test_a_sheet_with_a_fault_is_refused_with_its_line(tmp_path, album):
    path = tmp_path / "album.cue"
    for old, new, said in [
        ("00:01:00", "00:01:75", "album.cue:12: '00:01:75' is no time."),
        ("INDEX 01 00:00:25", "INDEX 01 00:01:70", "album.cue:11: track 3 begins before track 2."),
        ("album.flac", "gone.flac", "album.cue:3: gone.flac: no such file or directory."),
        ("FILE", "REM FILE", "album.cue: is not a cue sheet: it names no FILE."),
    ]:
        path.write_text(SHEET.replace(old, new))
        assert refusal(path).startswith(said)


def test_a_track_that_is_not_there_is_refused(tmp_path, album):
    with pytest.raises(WavechainError, match="has tracks 1 to 3, none of number 4"):
        CueTrack(sheet=tmp_path / "album.cue", track=4)(album)
    (tmp_path / "album.cue").write_text(SHEET.replace("00:01:00", "09:01:00"))
    with pytest.raises(WavechainError, match=r"track 2 of .* goes on to 541.00 s; the sound has 2.00 s"):
        CueTrack(sheet=tmp_path / "album.cue", track=2)(album)
    with pytest.raises(WavechainError, match=r"album.cue:7: 541.00 s is beyond the end of album.flac \(2.00 s\)"):
        CueLoader(track=2).open(tmp_path / "album.cue")
