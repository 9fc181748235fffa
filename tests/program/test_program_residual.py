"""`--residual` writes what was taken away: it and the output add up to the input."""

from __future__ import annotations

import numpy as np

from wavechain import Audio
from wavechain.testing import music


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
