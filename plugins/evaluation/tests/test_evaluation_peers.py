"""The tool that puts other programs into the table: what it leaves out, what it passes on, what it prints."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio
from wavechain.testing import music

TOOL = Path(__file__).parents[1] / "tools" / "peers.py"
RATE = 22_050


def peers(*arguments):
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture
def recordings(tmp_path):
    for folder, seeds in (("clean", (1, 2)), ("noise", (3,))):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            sound = np.random.default_rng(seed).standard_normal((1, RATE)).astype(np.float32) / 10
            sound = sound if folder == "noise" else music(sample_rate=RATE, seconds=1, seed=seed).waveform[:1]
            Audio(sound, RATE).write(tmp_path / folder / f"music_{seed}.wav")
    return tmp_path


def test_a_tuned_program_and_a_chain_are_compared_and_printed_as_markdown(recordings, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    work, report = tmp_path / "work", tmp_path / "report"
    work.mkdir()
    (work / "tuned.json").write_text('{"adeclick": "2"}')
    asked = ("--degradations", "clicks,clean", "--metrics", "si-sdr,change-db", "--no-cpu", "-q", "-c", "half=gain")
    said = peers("bench", work, recordings, "-o", report, "--without", "adeclip", "--", *asked)
    assert said.returncode == 0, said.stderr
    assert "afftdn is left out: not tuned." in said.stderr
    assert "rnnoise is left out: not installed." in said.stderr
    assert list((work / "cache").iterdir())

    found = json.loads((report / "results.json").read_text())
    told = found["faults"]["clicks"]["groups"]["all"]["rows"]["adeclick"]["si-sdr"]
    assert [row["name"] for row in found["rows"]] == ["unprocessed", "half", "adeclick"]
    printed = peers("table", report / "results.json")
    assert printed.returncode == 0, printed.stderr
    lines = printed.stdout.splitlines()
    heads = lines[lines.index("### clicks (2 items)") + 2]
    assert heads == "| row | si-sdr ↑ | [95 %] | gain | [95 %] |  | beside half | CPU s/min |"
    (line,) = [line for line in lines if line.startswith("| adeclick") and f"{told['median']:.2f}" in line]
    assert f"{told['gain']:+.2f}" in line
    assert {line.count("|") for line in lines if line.startswith("|")} == {9}
    assert peers("table", report / "results.json", "--group", "speech").stdout.strip() == ""
    every = peers("table", report / "results.json", "--every-metric").stdout
    assert "| row | si-sdr ↑ | change-db ↓ |" in every
    assert f"| adeclick | {told['median']:.2f} | " in every


def test_a_program_gets_the_time_that_is_passed_on(recordings, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "tuned.json").write_text("{}")
    asked = ("--degradations", "clip", "--metrics", "si-sdr", "--no-cpu", "-q", "--command-seconds", "0.001")
    said = peers("bench", tmp_path / "work", recordings, "-o", tmp_path / "report", "--", *asked)
    assert said.returncode == 1
    printed = peers("table", tmp_path / "report" / "results.json").stdout
    assert "\nadeclip: 2 of 2 did not end within 0.001 s\n" in printed


def test_a_value_that_fails_on_some_recordings_is_not_chosen_however_well_it_does_on_the_others(
    recordings, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("imageio_ffmpeg")
    spec = importlib.util.spec_from_file_location("peers", TOOL)
    tool = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "peers", tool)
    spec.loader.exec_module(tool)
    # "worse" adds a tone, "easy" gives back what it got, and one of the two recordings, which is longer, not at all.
    sound = music(sample_rate=RATE, seconds=2, seed=2).waveform[:1]
    Audio(sound, RATE).write(recordings / "clean" / "music_2.wav", overwrite=True)
    script = (
        "import sys, numpy as np, soundfile; knob, given, made = sys.argv[1:]; x, rate = soundfile.read(given); "
        "knob == 'easy' and len(x) > 1.5 * rate and sys.exit('too hard'); "
        "x = x + (knob == 'worse') * 0.1 * np.cos(np.arange(len(x))); soundfile.write(made, x, rate, subtype='FLOAT')"
    )
    text = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} {{knob}} {{input}} {{output}}"
    knobs = ("easy", "worse")
    monkeypatch.setattr(tool, "PEERS", (tool.Peer("mine", text, "clicks", (), "clicks", knobs),))
    (tmp_path / "work").mkdir()
    assert tool.tune_all(tmp_path / "work", recordings, 2) == 0
    assert json.loads((tmp_path / "work" / "tuned.json").read_text()) == {"mine": "worse"}
    assert "mine, easy: is left out: 0: ended with code 1 (too hard)." in capsys.readouterr().out


def test_nothing_tuned_is_told_in_one_line(tmp_path, recordings):
    said = peers("bench", tmp_path, recordings, "-o", tmp_path / "report")
    assert said.returncode == 2
    assert said.stderr == f"{tmp_path / 'tuned.json'}: no such file; run tune first.\n"
