"""Fake files go through the whole program as files do, and what the writer was given can be looked at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio, Chain, Media, OutputOptions, RunOptions
from wavechain.chain import with_output
from wavechain.errors import DamagedError, EmptyAudioError, MediaError, UnreadableError, WavechainError
from wavechain.registry import registry
from wavechain.testing import FakeFiles, music, silence, speech
from wavechain.testing.checks import LOADER_CHECKS, WRITER_CHECKS, examine
from wavechain.testing.fakes import FakeLoader, FakeWriter
from wavechain.testing.subject import FileSubject, WriterSubject


@pytest.fixture
def files():
    with FakeFiles() as files:
        yield files


def test_a_chain_runs_from_one_fake_file_to_another(files, tmp_path):
    talking = speech(seconds=0.5)
    source = files.make(tmp_path / "take.fake", talking)
    report = Chain.of("polarity").run(source, tmp_path / "out.fake")
    written = files.at(tmp_path / "out.fake")
    np.testing.assert_array_equal(written.audio.waveform, -talking.waveform)
    assert written.encoding.bits is None
    assert sum(written.sizes) == talking.frames
    assert (report.facts["result"]["container"], report.warnings) == ("FAKE", [])


def test_the_writer_is_given_integers_where_a_depth_is_asked_for(files, tmp_path):
    source = files.make(tmp_path / "take.fake", speech(seconds=0.2, channels=2))
    chain = with_output(Chain.of("gain:gain_db=-1"), bit_depth="16", verify=True)
    assert chain.run(source, tmp_path / "out.fake").facts["verified"]
    steps = files.at(tmp_path / "out.fake").audio.waveform * 2**15
    assert np.array_equal(steps, np.round(steps))
    assert len(np.unique(steps)) > 100


def test_real_and_fake_files_meet(files, tmp_path):
    music(seconds=0.3).write(tmp_path / "real.wav", OutputOptions(bit_depth="float"))
    Chain.of("polarity").run(tmp_path / "real.wav", tmp_path / "out.fake")
    back = Audio.read(tmp_path / "out.fake").write(tmp_path / "back.wav", OutputOptions(bit_depth="float"))
    np.testing.assert_array_equal(Audio.read(back).waveform, -music(seconds=0.3).waveform)


def test_tags_travel_with_the_sound(files, tmp_path):
    tagged = Audio(music(seconds=0.1).waveform, 48_000, Media(tags={"title": ("Evening",)}))
    assert Audio.read(files.make(tmp_path / "song.fake", tagged)).media.tags == {"title": ("Evening",)}


def test_a_file_breaks_off_where_it_was_told_to(files, tmp_path):
    source = files.make(tmp_path / "take.fake", speech(seconds=4), ends_at=150_000)
    with pytest.raises(DamagedError, match=r"take\.fake: breaks off at frame 150000"):
        Chain.of("polarity").run(source, tmp_path / "out.fake")
    assert [path.name for path in tmp_path.iterdir()] == ["take.fake"]


def test_what_is_no_fake_file_is_refused_by_name(files, tmp_path):
    (tmp_path / "letter.fake").write_text("Dear reader")
    with pytest.raises(MediaError, match=r"letter\.fake: no sound is kept for it"):
        Audio.read(tmp_path / "letter.fake")
    with pytest.raises(UnreadableError, match=r"gone\.fake: no such file"):
        files.at(tmp_path / "gone.fake")
    with pytest.raises(EmptyAudioError):
        Audio.read(files.make(tmp_path / "empty.fake", silence(seconds=0)))


def test_the_format_is_gone_when_it_is_closed(tmp_path):
    before = [*sys.path]
    with FakeFiles() as files:
        path = files.make(tmp_path / "take.fake", speech(seconds=0.1))
        with FakeFiles() as inner:
            assert inner.at(path).audio.frames == 4_800
        assert ".fake" in registry().suffixes("loader")
        assert files.at(path).audio.frames == 4_800
    assert ".fake" not in registry().suffixes("loader")
    assert sys.path == before
    with pytest.raises(WavechainError):
        Audio.read(path)


def test_the_fake_loader_keeps_the_contract(files, tmp_path):
    subject = FileSubject(FakeLoader(), lambda folder, audio: files.make(folder / "a.fake", audio), tmp_path)
    outcomes = {each.promise: each.text for each in examine(subject, LOADER_CHECKS) if each.state == "broken"}
    assert outcomes == {}


def test_the_fake_writer_keeps_the_contract_but_that_it_keeps_everything(files, tmp_path):
    outcomes = examine(WriterSubject(FakeWriter(), ".fake", tmp_path), WRITER_CHECKS)
    broken = {each.promise: each.text for each in outcomes if each.state == "broken"}
    assert set(broken) == {"bounded-memory"}, "\n".join(broken.values())


def test_another_process_finds_no_sound(files, tmp_path):
    path = files.make(tmp_path / "take.fake", speech(seconds=0.1))
    code = f"from wavechain.testing import FakeFiles\nwith FakeFiles() as files:\n    files.at({str(path)!r})"
    core = str(Path(sys.modules["wavechain"].__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={"PYTHONPATH": core}
    )
    assert "no sound is kept for it" in done.stderr


def test_a_run_on_fake_files_is_measured(files, tmp_path):
    source = files.make(tmp_path / "take.fake", speech(seconds=1))
    report = Chain.of("normalize:target_db=-1").run(source, tmp_path / "out.fake", RunOptions(measure=True))
    assert report.facts["after"]["true_peak_dbtp"] > report.facts["before"]["true_peak_dbtp"]
