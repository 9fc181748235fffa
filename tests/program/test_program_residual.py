"""`--residual` writes what was taken away: it and the output add up to the input."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio, Chain
from wavechain.errors import OutputExistsError
from wavechain.run import RunOptions
from wavechain.testing import music
from wavechain_cli.running import Request, run_request


def test_output_and_residual_add_up_to_the_input(wavechain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    music(sample_rate=48_000, channels=2, seconds=2).write(tmp_path / "in.wav")
    said = wavechain("run", "in.wav", "out.wav", "-s", "highpass:cutoff_hz=500", "--residual", "gone.wav")
    assert said.code == 0, said.err
    before, after, gone = (Audio.read(tmp_path / name).waveform for name in ("in.wav", "out.wav", "gone.wav"))
    assert np.abs(gone).max() > 0.01
    np.testing.assert_allclose(after + gone, before, atol=2**-22)


def test_many_residuals_go_into_a_folder(wavechain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.wav", "b.wav"):
        music(sample_rate=48_000, channels=1, seconds=1).write(tmp_path / name)
    refused = wavechain("run", "a.wav", "b.wav", "-o", "out/", "-s", "gain", "--residual", "gone")
    assert refused.code == 2
    assert "is no folder, and there are 2 inputs" in refused.err
    assert not (tmp_path / "out").exists()
    (tmp_path / "gone").mkdir()
    said = wavechain("run", "a.wav", "b.wav", "-o", "out/", "-s", "gain", "--residual", "gone")
    assert said.code == 0, said.err
    assert sorted(path.name for path in (tmp_path / "gone").iterdir()) == ["a.wav", "b.wav"]


def test_what_cannot_be_subtracted_is_refused_before_anything_is_written(wavechain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    music(sample_rate=48_000, channels=2, seconds=1).write(tmp_path / "in.wav")
    chain = ("-s", "resample:sample_rate=44100")
    said = wavechain("run", "in.wav", "out.wav", *chain, "--residual", "gone.wav")
    assert said.code != 0
    assert "they cannot be subtracted" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav"]


def test_an_existing_residual_is_not_replaced_unasked(wavechain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    music(sample_rate=48_000, channels=2, seconds=1).write(tmp_path / "in.wav")
    (tmp_path / "gone.wav").write_bytes(b"mine")
    said = wavechain("run", "in.wav", "out.wav", "-s", "gain", "--residual", "gone.wav")
    assert said.code == 2
    assert (tmp_path / "gone.wav").read_bytes() == b"mine"
    assert not (tmp_path / "out.wav").exists()


def below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "name", ["t/out.wav", "t/../t/out.wav", "linked/out.wav", "t/in.wav", "linked/in.wav", "hard.wav"]
)
@pytest.mark.parametrize("there", [False, True])
def test_the_residual_never_takes_the_place_of_input_or_output(wavechain, tmp_path, monkeypatch, name, there):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t").mkdir()
    (tmp_path / "linked").symlink_to("t")
    music(sample_rate=48_000, channels=1, seconds=1).write("t/in.wav")
    (tmp_path / "hard.wav").hardlink_to("t/in.wav")
    if there:
        (tmp_path / "t" / "out.wav").write_bytes(b"mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.wav")}
    said = wavechain("run", "t/in.wav", "t/out.wav", "-s", "gain", "--residual", name, "--overwrite")
    assert said.code == 2
    assert said.err == f"error: --residual {name}: is an input or an output of this run. Try: another name.\n"
    with pytest.raises(OutputExistsError, match="is an input or an output of this run"):
        Chain.of("gain").run("t/in.wav", "t/out.wav", RunOptions(overwrite=True, residual=tmp_path / name))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.wav")} == before


@pytest.mark.parametrize("folder", ["out", "in"])
def test_residuals_in_the_folder_of_the_audio_are_refused_before_any_work(wavechain, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a", "in/b", "out"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("in/a/take.wav", "in/b/take.wav"):
        music(sample_rate=48_000, channels=1, seconds=1).write(name)
    said = wavechain("run", "in", "-o", "out/", "-s", "gain", "--residual", f"{folder}/")
    assert said.code == 2
    assert said.err == (
        f"error: --residual {folder}/a/take.wav: is an input or an output of this run. Try: another name.\n"
    )
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("output", "made"),
    [
        ("out/", ["a/take.wav", "b/take.wav"]),
        ("out/{folder}/{index}.flac", ["a/1.flac", "b/2.flac"]),
        ("out/{index}-{stem}.wav", ["1-take.wav", "2-take.wav"]),
    ],
)
def test_residuals_lie_in_their_folder_as_outputs_do_in_theirs(wavechain, tmp_path, monkeypatch, output, made):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a", "in/b", "gone"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("in/a/take.wav", "in/b/take.wav"):
        music(sample_rate=48_000, channels=1, seconds=1).write(name)
    said = wavechain("run", "in", "-o", output, "-s", "gain", "--residual", "gone/")
    assert said.code == 0, said.err
    assert below(tmp_path / "out") == below(tmp_path / "gone") == made


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.xyz", "--residual: no writer for '.xyz' files"),
        ("gone", "--residual: the output name has no suffix"),
        ("-", "--residual -: the residual is a file of its own"),
        ("gone.mp3", "--residual gone.mp3: "),
    ],
)
def test_a_residual_that_no_file_can_hold_is_refused_before_any_work(wavechain, tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    music(sample_rate=96_000, channels=1, seconds=1).write("in.wav")
    said = wavechain("run", "in.wav", "out.wav", "-s", "gain", "--residual", name)
    assert said.code == 2
    assert message in said.err
    assert said.err.count("\n") == 1
    assert below(tmp_path) == ["in.wav"]


def test_a_dry_run_refuses_what_the_run_would_refuse(wavechain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gone").mkdir()
    music(sample_rate=48_000, channels=1, seconds=1).write("in.wav")
    chain = ("-s", "gain", "--dry-run", "--residual")
    said = wavechain("run", "in.wav", "out.wav", *chain, "gone.xyz")
    assert said.code == 2
    assert "--residual: no writer for '.xyz' files" in said.err
    assert wavechain("run", "in.wav", "-o", "out/{stem}/{index}.wav", *chain, "gone").code == 0
    assert below(tmp_path) == ["in.wav"]


def test_sixteen_bits_less_sixteen_bits_are_sixteen_bits(wavechain, song, tmp_path, read):
    said = wavechain("run", song, tmp_path / "o.wav", "-s", "highpass", "--residual", tmp_path / "gone.wav")
    assert said.code == 0, said.err
    before, after, gone = (read(path).waveform for path in (song, tmp_path / "o.wav", tmp_path / "gone.wav"))
    assert np.abs(gone).max() > 0.001
    np.testing.assert_array_equal(after + gone, before)


@pytest.mark.parametrize("source", ["-", "pipe"])
def test_a_stream_has_the_residual_of_the_same_file(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    music(sample_rate=48_000, channels=1, seconds=1).write("in.wav")
    sound = (tmp_path / "in.wav").read_bytes()
    if source == "pipe":
        os.mkfifo(source)
        threading.Thread(target=(tmp_path / source).write_bytes, args=(sound,), daemon=True).start()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sound)))
    request = Request([source, "out.wav"], stages=["highpass"], residual=Path("gone.wav"))
    assert run_request(request, dry_run=False) == 0
    before, after, gone = (Audio.read(tmp_path / name).waveform for name in ("in.wav", "out.wav", "gone.wav"))
    np.testing.assert_allclose(after + gone, before, atol=2**-22)


@pytest.mark.parametrize(("stage", "frames"), [("trim:start_seconds=0.25", 36_000), ("pad:start_seconds=1", 96_000)])
def test_lengths_that_differ_are_told(wavechain, tmp_path, monkeypatch, stage, frames):
    monkeypatch.chdir(tmp_path)
    music(sample_rate=48_000, channels=1, seconds=1).write("in.wav")
    said = wavechain("run", "in.wav", "out.wav", "-s", stage, "--residual", "gone.wav")
    assert said.code == 0
    assert f"warning: gone.wav: in.wav has 48000 frames, out.wav has {frames}; " in said.err
    assert Audio.read("gone.wav").frames == min(48_000, frames)
    assert "frames" not in wavechain("run", "in.wav", "same.wav", "-s", "gain", "--residual", "nothing.wav").err
