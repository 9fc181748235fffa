"""``wavechain run``: one file, many files, chains from everywhere, and what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wavechain.testing import music

PROGRAM = Path(sys.executable).with_name("wavechain")


def test_one_file_through_stages_of_the_command_line(wavechain, song, tmp_path, read):
    said = wavechain("run", song, tmp_path / "out.flac", "-s", "gain:gain_db=-6")
    assert (said.code, said.out) == (0, "")
    before, after = read(song), read(tmp_path / "out.flac")
    assert after.frames == before.frames
    assert np.abs(after.waveform).max() == pytest.approx(np.abs(before.waveform).max() / 2, rel=0.01)


def test_preset_chain_file_and_stages_add_up_in_that_order(wavechain, song, tmp_path):
    chain = tmp_path / "mine.toml"
    chain.write_text('[[stage]]\nuse = "trim"\nstart_seconds = 1\n')
    said = wavechain(
        "plan", song, tmp_path / "o.flac", "--preset", "broadcast", "--chain", chain, "-s", "gain:gain_db=1", "--json"
    )
    places = [step["place"].split()[-1] for step in json.loads(said.out)["steps"]]
    assert places[-2:] == ["(trim)", "(gain)"]
    assert "(loudness)" in places[:-2]


def test_a_folder_is_mirrored_and_failures_are_rows_not_the_end(wavechain, song, tmp_path):
    (tmp_path / "in/deep").mkdir(parents=True)
    shutil.copy(song, tmp_path / "in/a.wav")
    shutil.copy(song, tmp_path / "in/deep/b.wav")
    (tmp_path / "in/c.wav").write_bytes(b"not audio at all")
    said = wavechain("run", tmp_path / "in", "-o", f"{tmp_path}/out/", "-s", "gain", "--format", "flac", "--jobs", "2")
    assert said.code == 1
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")) == [
        "a.flac",
        "deep/b.flac",
    ]
    assert "c.wav" in said.err
    assert "2 finished, 1 failed, 0 skipped" in said.err


def test_two_jobs_make_what_one_makes(wavechain, tmp_path):
    (tmp_path / "in").mkdir()
    for seed in range(3):
        music(seconds=1, seed=seed).write(tmp_path / f"in/{seed}.wav")
    for jobs in (1, 2):
        assert wavechain("run", tmp_path / "in", "-o", f"{tmp_path}/{jobs}/", "-s", "loudness", "-j", jobs).code == 0
    for seed in range(3):
        assert (tmp_path / f"1/{seed}.wav").read_bytes() == (tmp_path / f"2/{seed}.wav").read_bytes()


def test_the_same_seed_makes_the_same_file_and_another_another(wavechain, song, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        wavechain("run", song, tmp_path / f"{name}.wav", "-s", "gain:gain_db=-3.3", "--seed", seed)
    a, b, c = ((tmp_path / f"{name}.wav").read_bytes() for name in "abc")
    assert a == b != c


def test_existing_outputs_are_refused_skipped_or_replaced(wavechain, song, tmp_path):
    output = tmp_path / "out.wav"
    output.write_bytes(b"precious")
    said = wavechain("run", song, output)
    assert (said.code, output.read_bytes()) == (2, b"precious")
    assert "exists already. Try: --overwrite" in said.err
    assert wavechain("run", song, output, "--skip").code == 0
    assert output.read_bytes() == b"precious"
    assert wavechain("run", song, output, "--overwrite").code == 0
    assert output.stat().st_size > 1000


def test_json_events_and_the_report_hold_the_figures(wavechain, song, tmp_path):
    said = wavechain(
        "run", song, tmp_path / "o.flac", "-s", "loudness:target_lufs=-20", "--json", "--report", tmp_path / "r.jsonl"
    )
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [event["event"] for event in events] == ["start", "finished", "summary"]
    report = json.loads((tmp_path / "r.jsonl").read_text())
    assert report == events[1]["report"]
    assert report["after"]["integrated_lufs"] == pytest.approx(-20, abs=0.1)
    assert report["stages"][0]["gain_db"] < 0
    assert report["versions"]["wavechain"]


def test_a_dry_run_writes_nothing(wavechain, song, tmp_path):
    said = wavechain("run", song, tmp_path / "o.flac", "-s", "resample:sample_rate=48000", "--dry-run")
    assert said.code == 0
    assert "48000 Hz" in said.out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_needs_no_folder_that_the_run_would_make(wavechain, song, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    takes = [shutil.copy(song, tmp_path / name) for name in ("a.wav", "b.wav")]
    for names in (["a.wav"], ["a.wav", "b.wav"]):
        said = wavechain("run", *names, "-o", "new/folder/", "--dry-run", "--json")
        assert said.code == 0, said.err
        plans = [json.loads(line) for line in said.out.splitlines()]
        assert [plan["output"] for plan in plans] == [f"new/folder/{name}" for name in names]
    assert sorted(tmp_path.iterdir()) == takes


def test_pictures_of_files_of_one_name_do_not_replace_one_another(wavechain, song, tmp_path):
    pytest.importorskip("matplotlib")
    names = [tmp_path / name / "take.wav" for name in ("a", "b")]
    for name in names:
        name.parent.mkdir()
        shutil.copy(song, name)
    said = wavechain("inspect", *names, "--plot", tmp_path / "pictures")
    assert (said.code, said.out) == (2, "")
    assert "would both become" in said.err
    assert wavechain("inspect", names[0], song, "--plot", tmp_path / "pictures").code == 0
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["song.wav.png", "take.wav.png"]


def test_an_untouched_file_is_copied_sample_by_sample(wavechain, song, tmp_path, read):
    assert wavechain("run", song, tmp_path / "o.flac", "-s", "pad:end_seconds=1", "--verify").code == 0
    before, after = read(song).waveform, read(tmp_path / "o.flac").waveform
    assert np.array_equal(after[:, : before.shape[1]], before)


def test_overs_are_never_silent(wavechain, song, tmp_path, read):
    said = wavechain("run", song, tmp_path / "clip.wav", "-s", "gain:gain_db=12")
    assert said.code == 0
    assert "samples beyond full scale were clipped" in said.err
    said = wavechain("run", song, tmp_path / "refuse.wav", "-s", "gain:gain_db=12", "--overs", "refuse")
    assert said.code == 1
    assert not (tmp_path / "refuse.wav").exists()
    said = wavechain("run", song, tmp_path / "limit.wav", "-s", "gain:gain_db=12", "--overs", "limit")
    assert (said.code, "clipped" in said.err) == (0, False)
    assert np.abs(read(tmp_path / "limit.wav").waveform).max() < 1.0
    assert wavechain("run", song, tmp_path / "float.wav", "-s", "gain:gain_db=12", "--bit-depth", "float").code == 0
    assert np.abs(read(tmp_path / "float.wav").waveform).max() > 2.0


def test_standard_input_and_output_carry_audio(song, tmp_path):
    with song.open("rb") as file:
        done = subprocess.run(
            [PROGRAM, "run", "-", "-", "-s", "gain", "--format", "flac"], stdin=file, capture_output=True, check=True
        )
    assert done.stdout[:4] == b"fLaC"


def test_the_middle_of_a_pipe_may_end(song):
    done = subprocess.run(f"{PROGRAM} stages list --json | head -c 10", shell=True, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr


def listen_to_interrupts() -> None:
    """A shell starts what it runs in the background deaf to SIGINT, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_a_killed_run_leaves_nothing_under_the_final_name(tmp_path, signum, delay):
    source = music(seconds=120).write(tmp_path / "long.wav")
    output = tmp_path / "out/long.flac"
    output.parent.mkdir()
    stages = [part for _ in range(12) for part in ("-s", "highpass:cutoff_hz=30,order=16")]
    process = subprocess.Popen(
        [PROGRAM, "run", source, output, *stages],
        stderr=subprocess.PIPE,
        preexec_fn=listen_to_interrupts,  # noqa: PLW1509
    )
    while process.poll() is None and not any(output.parent.iterdir()):
        time.sleep(0.01)  # until the temporary file is there: how soon depends on the machine
    time.sleep(delay)
    process.send_signal(signum)
    assert process.wait(30) in (130, -signum)
    assert not output.exists()
    if signum != signal.SIGKILL:
        assert list(output.parent.iterdir()) == []
        assert b"interrupted" in process.stderr.read()
    process.stderr.close()


def test_an_interrupted_batch_leaves_no_partial_file(tmp_path):
    (tmp_path / "in").mkdir()
    source = music(seconds=60).write(tmp_path / "in/0.wav")
    for number in range(1, 6):
        os.link(source, tmp_path / f"in/{number}.wav")
    stages = [part for _ in range(12) for part in ("-s", "highpass:cutoff_hz=30,order=16")]
    process = subprocess.Popen(
        [PROGRAM, "run", tmp_path / "in", "-o", f"{tmp_path}/out/", "--jobs", "2", *stages],
        stderr=subprocess.DEVNULL,
        preexec_fn=listen_to_interrupts,  # noqa: PLW1509
    )
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert not [path for path in (tmp_path / "out").rglob("*") if "part" in path.name]


def test_names_of_any_bytes_are_read_and_written(wavechain, song, tmp_path):
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/strange-\xff.wav"))
    shutil.copy(song, strange)
    assert wavechain("run", strange, strange.with_suffix(".flac")).code == 0
    assert strange.with_suffix(".flac").stat().st_size > 1000


def test_a_report_never_falls_on_audio(wavechain, song, tmp_path):
    copy = Path(shutil.copy(song, tmp_path / "copy.wav"))
    for report in (copy, tmp_path / "o.wav"):
        said = wavechain("run", copy, tmp_path / "o.wav", "--report", report)
        assert said.code == 2
        assert "is one of the audio files" in said.err
    assert copy.read_bytes() == song.read_bytes()
    assert wavechain("inspect", copy, "--plot", copy).code == 2
    assert copy.read_bytes() == song.read_bytes()


def test_an_empty_name_is_refused(wavechain, song):
    said = wavechain("run", song, "")
    assert (said.code, "empty name" in said.err) == (2, True)
