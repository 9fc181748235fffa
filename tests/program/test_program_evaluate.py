"""``wavechain evaluate`` from end to end, on sound made here, with two chains and a program."""

from __future__ import annotations

import json
import re
import shlex
import sys

import pytest

from wavechain import Audio
from wavechain.testing import music

RATE = 22_050
COPY = f"{shlex.quote(sys.executable)} -c 'import sys, shutil; shutil.copy(*sys.argv[1:])' {{input}} {{output}}"
QUICK = ("--metrics", "si-sdr,lsd,change-db", "-q")


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    for index, name in enumerate(("music_1", "music_2", "speech_1")):
        Audio(music(sample_rate=RATE, seconds=1 + index / 5).waveform[:1], RATE).write(folder / f"{name}.wav")
    return folder


def test_two_chains_and_a_program_are_compared_and_reported(wavechain, clean, tmp_path):
    report = tmp_path / "report"
    said = wavechain(
        *("evaluate", clean, "--degradations", "clip,clean", "-o", report, "--examples", 1, *QUICK),
        *("-c", "quiet=gain:gain_db=-6", "-c", "dull@clip=lowpass:cutoff_hz=500", "--command", f"copy={COPY}"),
    )
    assert said.code == 0, said.err
    assert re.search(r"clip \(3 items\)", said.out)
    found = json.loads((report / "results.json").read_text())

    rows = found["faults"]["clip"]["groups"]["all"]["rows"]
    assert list(rows) == ["unprocessed", "quiet", "dull", "copy"]
    assert rows["quiet"]["si-sdr"]["gain"] == pytest.approx(0, abs=1e-3)
    assert rows["copy"]["si-sdr"]["gain"] == pytest.approx(0, abs=1e-3)
    assert rows["dull"]["si-sdr"]["gain"] < -1
    assert rows["dull"]["si-sdr"]["standing"] == "behind"
    clean_rows = found["faults"]["clean"]["groups"]["all"]["rows"]
    assert list(clean_rows) == ["quiet", "copy"]
    assert clean_rows["quiet"]["change-db"]["median"] == pytest.approx(-6.04, abs=0.01)
    assert clean_rows["copy"]["change-db"]["median"] < -120
    assert set(found["faults"]["clip"]["groups"]) == {"all", "music", "speech"}
    assert all(row["cpu_seconds_per_minute"] is not None for row in found["rows"][1:])

    page = (report / "report.html").read_text()
    sounds = re.findall(r'src="([^"]+)"', page)
    assert len(sounds) == 5 + 4  # what is wanted, and the rows: all of them for clip, without dull for clean
    assert all((report / sound).is_file() for sound in sounds)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_results_keep_their_shape_and_are_the_same_for_the_same_seed(wavechain, clean):
    command = ("evaluate", clean, "--degradations", "clicks", "--no-cpu", "--json", "-c", "gain", *QUICK)
    first, again, other = (json.loads(wavechain(*command, *more).out) for more in ((), ("-j", 2), ("--seed", 1)))
    assert first == again
    assert first["items"] != other["items"]
    assert list(first) == ["version", "seed", "versions", "metrics", "missing", "rows", "faults", "items"]
    assert first["version"] == 1
    assert list(first["metrics"]["lsd"]) == ["unit", "higher_is_better", "content"]
    assert list(first["rows"][0]) == [
        *("name", "kind", "text", "faults", "cpu_seconds_per_minute", "start_cpu_seconds", "cpu_failure"),
        *("failed", "first_failure"),
    ]
    fault = first["faults"]["clicks"]
    assert list(fault) == ["main", "groups"]
    assert list(fault["groups"]["all"]) == ["items", "rows", "timed_out"]
    assert list(fault["groups"]["all"]["rows"]["gain"]["lsd"]) == [
        *("n", "of", "median", "interval", "gain", "gain_interval", "standing")
    ]
    assert list(first["items"][0]) == ["fault", "item", "content", "severity", "scores", "delays", "failure"]


def test_what_the_cache_holds_is_not_run_again(wavechain, clean, tmp_path):
    mark = tmp_path / "ran"
    script = "import sys, shutil; open(sys.argv[3], chr(97)).write(chr(120)); shutil.copy(*sys.argv[1:3])"
    program = f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} {{input}} {{output}} {mark}"
    command = ("evaluate", clean, "--degradations", "clip", "--no-cpu", "--json", "--cache", tmp_path / "c", *QUICK)
    first = wavechain(*command, "--command", f"copy={program}")
    assert mark.read_text() == "xxx"
    second = wavechain(*command, "--command", f"copy={program}", "-c", "gain")
    assert mark.read_text() == "xxx"
    rows = [json.loads(said.out)["faults"]["clip"]["groups"]["all"]["rows"]["copy"] for said in (first, second)]
    assert rows[0]["lsd"]["median"] == rows[1]["lsd"]["median"]
    wavechain(*command, "--command", f"copy={program}", "--fresh", "copy")
    assert mark.read_text() == "xxxxxx"


def test_given_pairs_are_measured_as_they_are(wavechain, clean, tmp_path):
    for path in clean.iterdir():
        Audio(Audio.read(path).waveform[:1] * 0.5, RATE).write(tmp_path / path.name)
    said = wavechain(
        "evaluate", clean, "--pairs", tmp_path, "-c", "up=gain:gain_db=6.0206", "--no-cpu", "--json", *QUICK
    )
    rows = json.loads(said.out)["faults"]["given"]["groups"]["all"]["rows"]
    assert rows["unprocessed"]["change-db"]["median"] == pytest.approx(-6.02, abs=0.01)
    assert rows["up"]["change-db"]["median"] < -60


def test_a_row_that_fails_is_told_and_the_others_go_on(wavechain, clean):
    said = wavechain(
        *("evaluate", clean, "--degradations", "clip", "--no-cpu", "--items", 1, "-c", "gain", *QUICK),
        *("--command", f"bad={shlex.quote(sys.executable)} -c 'raise SystemExit(7)' {{input}} {{output}}"),
    )
    assert said.code == 1
    assert "bad failed 1 times, first: bad: ended with code 7" in said.err
    assert re.search(r"^gain ", said.out, flags=re.M)


def test_a_program_that_takes_too_long_is_ended_and_told_below_the_table(wavechain, clean, tmp_path):
    slow = f"slow={shlex.quote(sys.executable)} -c 'import time; time.sleep(30)' {{input}} {{output}}"
    said = wavechain(
        *("evaluate", clean, "--degradations", "clip", "--no-cpu", "-c", "gain", "-o", tmp_path / "report", *QUICK),
        *("--command", slow, "--command-seconds", 0.25, "-j", 2),
    )
    assert said.code == 1
    assert "\nslow: 3 of 3 did not end within 0.25 s\n" in said.out
    assert "slow failed 3 times, first: slow: did not end within 0.25 s. Try: a higher --command-seconds." in said.err
    assert re.search(r"^gain ", said.out, flags=re.M)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--degradations", "clik"], "no fault is called 'clik'"),
        (["-c", "x=no-such-stage"], "no stage is called 'no-such-stage'"),
        (["-c", "x=gain", "-c", "x=polarity"], "two rows are called 'x'"),
        (["--command", "prog {input}"], "is not NAME=PROGRAM"),
        (["--metrics", "lsdd"], "no metric is called 'lsdd'"),
        (["--noise", "nowhere"], "nowhere: is no folder"),
        (["--command-seconds", "0"], "command_seconds"),
        (["--fresh", "y"], "--fresh y: no row is called that"),
    ],
)
def test_a_request_that_cannot_work_is_one_line_and_no_report(wavechain, clean, tmp_path, arguments, said):
    answer = wavechain("evaluate", clean, *arguments, "-o", tmp_path / "report")
    assert answer.code in (2, 3)
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_is_there_is_not_replaced_unasked(wavechain, clean, tmp_path):
    answer = wavechain("evaluate", clean, "-o", tmp_path)
    assert answer.code == 2
    assert "exists already" in answer.err
