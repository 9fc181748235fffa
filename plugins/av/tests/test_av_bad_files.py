"""Files that are damaged, mislabelled or malicious: one line that says so, and nothing else happens."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wavechain import Audio, Media, OutputOptions
from wavechain.errors import EmptyAudioError, MediaError, TooLargeError, UnreadableError
from wavechain.testing import music, tone
from wavechain_av import loader
from wavechain_av.loader import AvLoader
from wavechain_av.writer import AvWriter


def ffmpeg(*arguments: str | Path) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *map(str, arguments)]
    subprocess.run(command, capture_output=True, check=True)


def made_by_ffmpeg(audio: Audio, path: Path, *options: str) -> Path:
    source = path.with_name("source.wav")
    soundfile.write(source, audio.waveform.T, audio.sample_rate, subtype="FLOAT")
    ffmpeg("-i", source, *options, path)
    return path


def m4a(path: Path, audio: Audio) -> Path:
    writer = AvWriter()
    sink = writer.open(path, audio.spec, writer.encoding(".m4a", audio.spec, Media(), OutputOptions()))
    sink.write(audio.waveform)
    sink.close()
    return path


def frames_in(path: Path) -> int:
    with AvLoader().open(path) as source:
        frames = 0
        while steps := source.read(65_536).shape[-1]:
            frames += steps
        assert source.spec.length in (None, frames)
    return frames


def outcome_of(path: Path) -> int | MediaError:
    try:
        return frames_in(path)
    except MediaError as error:
        return error


def refusal(path: Path, kind: type[MediaError] = UnreadableError) -> str:
    """What is said about *path*, without its name."""
    with pytest.raises(kind) as refused:
        frames_in(path)
    said = str(refused.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    return said.removeprefix(f"{path}: ")


NOT_MEDIA = "is not a media file that FFmpeg reads, or its header is damaged. Try: copy the file again from its origin."


@pytest.mark.parametrize("content", [b"", b"hello, world. " * 500, bytes(10_000), b"RIFF\xff\xff\xff\xffWAVE"])
def test_what_is_no_media_file_is_refused(content, tmp_path):
    path = tmp_path / "song.m4a"
    path.write_bytes(content)
    assert refusal(path) == NOT_MEDIA


def test_a_missing_file_is_named(tmp_path):
    said = refusal(tmp_path / "nowhere.m4a")
    assert said == "no such file or directory. Try: check the name and its permissions."


@pytest.mark.parametrize(
    "content",
    [
        "ffconcat version 1.0\nfile '{other}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{other}\n#EXT-X-ENDLIST\n",
    ],
)
def test_a_list_of_other_files_in_disguise_opens_none_of_them(content, tmp_path):
    other = m4a(tmp_path / "secret.m4a", tone(440, seconds=0.2))
    path = tmp_path / "song.m4a"
    path.write_text(content.format(other=other))
    assert refusal(path) == NOT_MEDIA


def test_a_name_like_an_address_is_a_name(tmp_path, monkeypatch):
    m4a(tmp_path / "http:song.m4a", tone(440, seconds=0.2))
    monkeypatch.chdir(tmp_path)
    assert frames_in(Path("http:song.m4a")) == 9600


def test_pictures_alone_are_no_sound(tmp_path):
    path = tmp_path / "silent.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=0.2:s=64x64", path)
    assert refusal(path) == "has no sound that FFmpeg decodes, only video. Try: another file."


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty.m4a", "is a media file with nothing in it. Try: another file."),
        ("empty.wav", "its audio stream is empty. Try: another file."),
    ],
)
def test_a_file_without_any_sound_is_empty(name, said, tmp_path):
    path = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", "anullsrc=d=0.5", "-frames:a", "0", path)
    assert refusal(path, EmptyAudioError) == said


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cut.m4a", ("-movflags", "+faststart")),
        ("cut.mka", ("-c:a", "flac")),
        ("cut.webm", ("-c:a", "libopus")),
        ("cut.wma", ()),
        ("cut.wv", ()),
        ("cut.avi", ("-c:a", "pcm_s16le")),
    ],
)
def test_a_file_cut_short_is_never_taken_for_a_short_file(name, options, tmp_path):
    path = made_by_ffmpeg(music(seconds=3), tmp_path / name, *options)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    said = refusal(path)
    assert said.startswith(("its sound is damaged after ", "ends after "))
    assert said.endswith(" Try: copy the file again from its origin.")


def test_damage_in_the_middle_is_said_with_its_place_and_ffmpeg_keeps_quiet(tmp_path, capfd):
    path = m4a(tmp_path / "damaged.m4a", music(seconds=3))
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + 20_000
    content[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path.write_bytes(content)
    said = refusal(path)
    assert said.startswith("its sound is damaged after ")
    assert float(said.split()[5]) == pytest.approx(20_000 / 24_000, abs=0.4)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("second", "change"),
    [
        (tone(440, sample_rate=48_000, seconds=1, channels=2), "from 2 channels at 44100 Hz to 2 at 48000 Hz"),
        (tone(440, sample_rate=44_100, seconds=1, channels=1), "from 2 channels at 44100 Hz to 1 at 44100 Hz"),
    ],
)
def test_a_stream_that_changes_on_the_way_is_refused(second, change, tmp_path):
    first = made_by_ffmpeg(tone(440, sample_rate=44_100, seconds=1, channels=2), tmp_path / "first.aac")
    second = made_by_ffmpeg(second, tmp_path / "second.aac")
    path = tmp_path / "both.aac"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    said = refusal(path)
    assert said.startswith(f"changes {change} after 1.0")
    assert said.endswith("Try: cut it there, and process the parts.")


def test_limits_are_stated(tmp_path, monkeypatch):
    monkeypatch.setattr(loader, "MAX_CHANNELS", 1)
    path = m4a(tmp_path / "stereo.m4a", tone(440, seconds=0.1, channels=2))
    assert refusal(path, TooLargeError).startswith("2 channels at 48000 Hz; the limits are 1 and 768000.")


def test_channels_in_an_order_of_their_own_do_not_end_the_process(tmp_path):
    path = tmp_path / "swapped.mov"
    swapped = ("-filter_complex", "[0:a]pan=FR+FL|c0=c0|c1=c0[o]", "-map", "[o]", "-c:a", "pcm_s16le")
    made_by_ffmpeg(tone(440, seconds=0.2), path, *swapped)
    outcome = outcome_of(path)
    assert outcome == 9600 or "cannot decode channels in an order of their own: 2 channels (FR+FL)." in str(outcome)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    audio = music(seconds=0.3)
    made = [
        made_by_ffmpeg(audio, folder / name, *options)
        for name, options in {
            "a.m4a": (),
            "b.mka": ("-c:a", "flac"),
            "c.webm": ("-c:a", "libvorbis"),
            "d.wma": (),
            "e.aac": (),
        }.items()
    ]
    return [(path.suffix, path.read_bytes()) for path in made]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, 4),
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=8),
    keep=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_whatever_is_changed_in_a_file_it_is_read_or_refused_in_one_line(
    originals, tmp_path, capfd, which, edits, keep
):
    suffix, content = originals[which]
    changed = bytearray(content)
    for place, junk in edits:
        start = int(place * len(changed))
        changed[start : start + len(junk)] = junk
    path = tmp_path / f"changed{suffix}"
    path.write_bytes(changed[: int(keep * len(changed))])
    assert "\n" not in str(outcome_of(path))
    assert capfd.readouterr() == ("", "")
