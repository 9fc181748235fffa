"""Which files a run takes, and where each result goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wavechain import tags
from wavechain.errors import OutputExistsError, UnreadableError, UsageError
from wavechain.naming import Input, collect, jobs_for


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.wav", "in/b/c.flac", "in/b/notes.txt", "in/.hidden.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")
    return tmp_path


def outputs(arguments, target, extension=None):
    return [str(job.output) for job in jobs_for(collect(arguments), target, extension)]


def test_a_folder_is_mirrored_below_the_target(library):
    assert outputs(["in"], "out/") == ["out/a.wav", "out/b/c.flac"]


def test_another_format_changes_the_suffix_only(library):
    assert outputs(["in"], "out/", "mp3") == ["out/a.mp3", "out/b/c.mp3"]


def test_patterns_reach_below(library):
    assert outputs(["in/**/*.flac"], "out/") == ["out/b/c.flac"]


def test_a_file_named_twice_is_done_once(library):
    assert outputs(["in/a.wav", "in", "in/*.wav"], "out/") == ["out/a.wav", "out/b/c.flac"]


def test_templates_name_parts_and_numbers(library):
    assert outputs(["in"], "out/{index:03}-{stem}.{ext}") == ["out/001-a.wav", "out/002-c.flac"]


def test_templates_take_tags_and_disarm_them(library, monkeypatch):
    monkeypatch.setattr(tags, "read", lambda path: ({"artist": ("../../etc",), "title": ("AC/DC: con",)}, ()))
    assert outputs(["in/a.wav"], "out/{artist}/{title}.{ext}") == ["out/_.._etc/AC_DC_ con.wav"]


@given(st.text(max_size=300))
def test_no_tag_leaves_the_folder(text):
    original = tags.read
    tags.read = lambda path: ({"title": (text,)}, ())
    try:
        (job,) = jobs_for([Input(Path("in/a.wav"), Path("in"))], "out/{title}/x.wav", None)
    finally:
        tags.read = original
    inside = os.path.normpath(job.output)
    assert inside.startswith("out" + os.sep)
    assert inside.count(os.sep) == 2
    assert "\0" not in inside


def test_two_inputs_never_share_an_output(library):
    Path("in/b/A.wav").write_bytes(b"x")
    with pytest.raises(OutputExistsError, match=r"in/a\.wav and in/b/A\.wav would both become out/A\.wav"):
        outputs(["in"], "out/{stem}.wav")


@pytest.mark.parametrize(
    ("arguments", "target", "error", "message"),
    [
        (["in"], "out.wav", UsageError, r"2 inputs cannot all become 'out\.wav'\. Try: -o out\.wav/ for a folder\."),
        (["in"], "{stm}.wav", UsageError, r"no field \{stm\}\. Try: \{stem\}\."),
        (["in"], "{stem.__class__}.wav", UsageError, "no field"),
        (["in"], "{stem!r}.wav", UsageError, "no field"),
        (["in"], "{stem", UsageError, "output template"),
        (["-"], "out/", UsageError, "standard input has no name"),
        (["in/b/*.mp3"], "out/", UnreadableError, "no file matches"),
    ],
)
def test_a_wrong_target_is_refused_before_anything_runs(library, arguments, target, error, message):
    with pytest.raises(error, match=message):
        outputs(arguments, target)


def test_a_folder_without_audio_is_named(library):
    Path("empty").mkdir()
    with pytest.raises(UnreadableError, match="empty: holds no audio files"):
        collect(["empty"])
