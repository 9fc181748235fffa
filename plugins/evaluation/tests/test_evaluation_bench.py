"""What the bench is built of: intervals, alignment, rows, pairs, the cache."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import wavechain_evaluation.cache
from wavechain import Audio
from wavechain.errors import SpecMismatchError, StageError, UsageError
from wavechain.registry import registry
from wavechain.testing import music
from wavechain_evaluation.alignment import delay_frames, moved
from wavechain_evaluation.bench import _Session
from wavechain_evaluation.cache import Cache, data_key
from wavechain_evaluation.faults import (
    SEVERITIES,
    Item,
    chosen,
    clean_items,
    fault_names,
    given_items,
    make_pair,
)
from wavechain_evaluation.results import Asked, compared, results
from wavechain_evaluation.rows import CommandTimeoutError, chain_row, command_row, restore, unprocessed
from wavechain_evaluation.statistics import median_interval
from wavechain_evaluation.tables import markdown, notes, tables
from wavechain_evaluation.work import Outcome, Plan

RATE = 22_050


@pytest.fixture
def folder(tmp_path):
    """Three mono recordings of two contents."""
    (tmp_path / "clean").mkdir()
    for index, name in enumerate(("music_a", "music_b", "speech_a")):
        sound = music(sample_rate=RATE, seconds=1.5 + index / 4)
        Audio(sound.waveform[:1], RATE).write(tmp_path / "clean" / f"{name}.wav")
    return tmp_path / "clean"


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).normal(3, 1, 30)
    assert median_interval(values, 7) == median_interval(values, 7)
    assert len({median_interval(values, seed) for seed in range(10)}) > 1


def test_an_interval_holds_the_median_and_narrows_with_more_items():
    few, many = (median_interval(np.random.default_rng(0).normal(3, 1, count), 1) for count in (10, 1000))
    for found in (few, many):
        assert found.low <= found.median <= found.high
    assert many.high - many.low < (few.high - few.low) / 3
    assert many.certain


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    found = [median_interval(rng.normal(0, 1, 41), seed) for seed in range(200)]
    assert 0.90 <= np.mean([interval.low <= 0 <= interval.high for interval in found]) <= 0.99


def test_nothing_measured_has_no_interval():
    assert median_interval([], 0) is None
    assert median_interval([float("nan")], 0) is None


def test_a_gain_is_taken_item_by_item_and_lower_can_be_better():
    values = {
        "unprocessed": {"a": 10.0, "b": 20.0, "c": 30.0},
        "good": {"a": 8.0, "b": 18.0, "c": 28.0},
        "bad": {"a": 11.0, "b": 21.0, "c": 31.0},
    }
    told = compared(values, -1.0, 0)
    assert told["good"]["gain"] == 2
    assert told["good"]["gain_interval"] == [2, 2]
    assert [told[name]["standing"] for name in values] == ["behind", "best", "behind"]
    told = compared({**values, "same": dict(values["good"])}, -1.0, 0)
    assert told["same"]["standing"] == "tied"


def test_a_row_without_the_hard_recordings_is_not_the_best():
    values = {
        "unprocessed": {"a": 9.0, "b": 3.0, "c": 1.0},
        "whole": {"a": 9.5, "b": 4.0, "c": 2.0},
        "easy": {"a": 9.9},
    }
    told = compared(values, 1.0, 0, {"a", "b", "c"})
    assert [told[name]["standing"] for name in values] == ["behind", "best", "incomplete"]
    assert [(told[name]["n"], told[name]["of"]) for name in values] == [(3, 3), (3, 3), (1, 3)]
    assert compared(values, 1.0, 0)["easy"]["standing"] == "best"


def test_a_row_that_leaves_silence_where_it_is_hard_is_not_the_best():
    def outcomes(row, scores):
        return [Outcome(row, "clip", name, {"loudness-change": score}) for name, score in scores.items()]

    items = [Item(name, Path(name), "any") for name in ("a", "b", "silent")]
    rows = [unprocessed(), chain_row("whole=gain"), chain_row("silencing=polarity")]
    found = results(
        Asked(items, ["clip"], rows, ["loudness-change"], 0, {}),
        [
            *outcomes(0, {"a": 1.0, "b": 9.0, "silent": None}),
            *outcomes(1, {"a": 0.5, "b": 8.0, "silent": None}),
            *outcomes(2, {"a": 0.1, "b": None, "silent": None}),
        ],
        {},
    )
    told = found["faults"]["clip"]["groups"]["all"]["rows"]
    counted = {name: (row["loudness-change"]["n"], row["loudness-change"]["of"]) for name, row in told.items()}
    assert counted == {"unprocessed": (2, 2), "whole": (2, 2), "silencing": (1, 2)}
    assert [row["loudness-change"]["standing"] for row in told.values()] == ["behind", "best", "incomplete"]
    found["faults"]["clip"]["main"] = ["loudness-change"]
    assert "| silencing | 0.10 (1 of 2) |" in markdown(found)
    alone = "loudness-change on those 1 items of silencing alone: unprocessed 1.00, whole 0.50, silencing 0.10"
    assert f"\n{alone}\n" in markdown(found)


def test_rows_are_compared_with_the_first_recording_by_recording():
    def outcomes(row, scores):
        return [Outcome(row, "clip", name, {"lsd": score}) for name, score in zip("abcd", scores, strict=True)]

    items = [Item(name, Path(name), "any") for name in "abcd"]
    rows = [unprocessed(), chain_row("first=gain"), chain_row("other=polarity")]
    scores = (9.0, 9.0, 9.0, 9.0), (1.0, 2.0, 3.0, 4.0), (0.9, 2.001, 3.1, None)
    asked = Asked(items, ["clip"], rows, ["lsd"], 0, {})
    found = results(asked, [one for row, told in enumerate(scores) for one in outcomes(row, told)], {})
    found["faults"]["clip"]["main"] = ["lsd"]  # lower is better
    (table,) = tables(found)
    assert [row[table.columns.index("beside first>")] for row in table.rows] == ["0 : 4", "", "1 : 1"]
    assert not any(column.startswith("beside") for table in tables(found, "speech") for column in table.columns)


@pytest.mark.parametrize("lag", [-441, 0, 7, 2000])
def test_a_delay_is_found_and_undone_to_the_frame(lag):
    sound = music(sample_rate=RATE, seconds=2).waveform
    late = moved(sound, -lag, sound.shape[-1] + 3000)
    assert delay_frames(sound, late * np.float32(-0.4), RATE // 2) == lag
    back = moved(late, lag, sound.shape[-1])
    inside = slice(3000, -3000)
    assert np.array_equal(back[:, inside], sound[:, inside])


@pytest.mark.parametrize("frames", [1, 2, 2205])
@pytest.mark.parametrize("more", [0, 441])
def test_the_shortest_recordings_can_be_aligned(frames, more):
    sound = np.random.default_rng(frames).standard_normal((1, frames)).astype(np.float32)
    found = np.pad(sound, ((0, 0), (0, more)))
    assert delay_frames(sound, found, RATE // 2) == 0
    for other in (found[:, ::-1], np.roll(found, more)):
        assert moved(other, delay_frames(sound, other, RATE // 2), frames).shape == sound.shape


def test_rows_are_read_as_people_write_them(tmp_path):
    row = chain_row("soft@clip,clicks=gain:gain_db=-3 | polarity")
    assert (row.name, row.faults, len(row.chain.stages)) == ("soft", ("clip", "clicks"), 2)
    assert chain_row("gain:gain_db=-3").name == "gain:gain_db=-3"
    assert (chain_row("denoise-classical").name, len(chain_row("x=denoise-classical").chain.stages)) == (
        "denoise-classical",
        3,
    )
    (tmp_path / "mine.toml").write_text('[[stage]]\nuse = "gain"\n')
    assert chain_row(str(tmp_path / "mine.toml")).name == "mine"
    assert command_row("x=prog -i {input} 'a b' {output}").command == ("prog", "-i", "{input}", "a b", "{output}")


@pytest.mark.parametrize("text", ["prog {input} {output}", "x=prog {input}", "x=prog", "x=prog '{input} {output}"])
def test_a_command_that_cannot_work_is_refused(text):
    with pytest.raises(UsageError, match="--command"):
        command_row(text)


def test_a_program_gets_its_level_and_time_back():
    script = (
        "import sys, soundfile, numpy as np; x, r = soundfile.read(sys.argv[1], always_2d=True); "
        "assert abs(x).max() < 1; y = np.concatenate([np.zeros((300, x.shape[1])), x]); "
        "soundfile.write(sys.argv[2], y, r, subtype='FLOAT')"
    )
    sound = 3 * music(sample_rate=RATE, seconds=2).waveform
    row = command_row(f"late={shlex.quote(sys.executable)} -c {shlex.quote(script)} {{input}} {{output}}")
    (found,) = restore(row, [(sound, RATE)], [sound])
    assert found.delay == 300
    assert found.waveform == pytest.approx(sound, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x=no-such-program-here {input} {output}", "x: no-such-program-here: no such file"),
        ("x={python} -c raise(SystemExit(3)) {input} {output}", "x: ended with code 3"),
        ("x={python} -c pass {input} {output}", "x: the program wrote no 0000.wav"),
    ],
)
def test_a_program_that_fails_is_named(text, said):
    sound = music(sample_rate=RATE, seconds=0.2).waveform
    with pytest.raises(StageError, match=said):
        restore(command_row(text.replace("{python}", sys.executable)), [(sound, RATE)], [sound])


@pytest.mark.parametrize("text", ["stft", "stft:hop_length=245"])  # 43.1 columns a second, and 90
def test_a_chain_that_ends_in_features_is_told_so(text):
    sound = music(sample_rate=RATE, seconds=0.2).waveform
    with pytest.raises(SpecMismatchError, match=r"the chain ends with stft .* not with sound"):
        restore(chain_row(text), [(sound, RATE)], [sound])


def test_a_program_that_does_not_end_is_told_with_the_seconds_it_had():
    sound = music(sample_rate=RATE, seconds=0.2).waveform
    row = command_row(f"x={shlex.quote(sys.executable)} -c 'import time; time.sleep(30)' {{input}} {{output}}")
    with pytest.raises(
        CommandTimeoutError, match=r"^x: did not end within 0\.25 s\. Try: a higher --command-seconds\.$"
    ):
        restore(row, [(sound, RATE)], [sound], command_seconds=0.25)


def test_a_program_that_takes_a_folder_has_the_time_of_all_its_recordings():
    sound = music(sample_rate=RATE, seconds=0.2).waveform
    slow = "import time; time.sleep(30)"
    row = command_row(f"x={shlex.quote(sys.executable)} -c {shlex.quote(slow)} {{input_folder}} {{output_folder}}")
    with pytest.raises(CommandTimeoutError, match=r"x: did not end within 0\.75 s"):
        restore(row, [(sound, RATE)] * 3, [sound] * 3, command_seconds=0.25)


def test_what_a_program_started_ends_with_it(tmp_path):
    sound = music(sample_rate=RATE, seconds=0.2).waveform
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    script = f"(sleep 10; echo alive) > {shlex.quote(str(tmp_path / 'pipe'))} & wait"
    row = command_row(f"x=sh -c {shlex.quote(script)} {{input}} {{output}}")
    with pytest.raises(CommandTimeoutError):
        restore(row, [(sound, RATE)], [sound], command_seconds=0.5)
    os.set_blocking(reader, True)
    assert os.read(reader, 100) == b""  # nobody can write any more
    os.close(reader)


def test_faults_are_named_short_or_in_full_and_a_misspelt_one_is_corrected():
    assert fault_names("noise,clean") == ("add-noise", "clean")
    assert {"clean", "mixed", "clip"} <= set(fault_names("all"))
    with pytest.raises(UsageError, match="no fault is called 'clik'"):
        fault_names("clik")


def test_severities_are_settings_that_the_degradations_take():
    for name, listed in SEVERITIES.items():
        for settings in listed.values():
            registry().load_part("degradation", name)(**settings)
        assert 2 <= len(listed) <= 3


def test_a_pair_depends_on_seed_fault_and_name_alone(folder):
    item = clean_items(folder)[0]
    first, again = (make_pair("clip", item, 3, ()) for _ in range(2))
    assert np.array_equal(first.degraded, again.degraded)
    assert first.severity == again.severity
    assert not np.array_equal(first.degraded, first.wanted)
    others = [make_pair("clip", item, seed, ()).degraded for seed in range(4, 8)]
    assert any(not np.array_equal(first.degraded, other) for other in others)


def test_mixed_is_two_or_three_faults_at_once(folder):
    counts = {len(make_pair("mixed", item, seed, ()).severity) for seed in range(4) for item in clean_items(folder)}
    assert counts == {2, 3}


def test_clean_is_left_as_it_is(folder):
    pair = make_pair("clean", clean_items(folder)[0], 0, ())
    assert np.array_equal(pair.degraded, pair.wanted)


def test_items_are_chosen_evenly_from_each_content(folder):
    items = clean_items(folder)
    assert [item.content for item in items] == ["music", "music", "speech"]
    assert {item.content for item in chosen(items, 2, 0)} == {"music", "speech"}
    assert chosen(items, 2, 0) == chosen(items, 2, 0)


def test_pairs_without_a_partner_are_named(folder, tmp_path):
    (tmp_path / "one").mkdir()
    music(sample_rate=RATE, seconds=1).write(tmp_path / "one" / "music_a.wav")
    with pytest.raises(UsageError, match=r"music_b\.wav: has no partner"):
        given_items(clean_items(folder), tmp_path / "one")
    (tmp_path / "bad").mkdir()
    for name in ("music_a.wav", "music_b.wav", "speech_a.wav", "extra.wav"):
        music(sample_rate=RATE, seconds=1).write(tmp_path / "bad" / name)
    with pytest.raises(UsageError, match=r"extra\.wav: has no clean partner"):
        given_items(clean_items(folder), tmp_path / "bad")


@pytest.mark.parametrize(("rate", "seconds", "said"), [(44_100, 1, "44100 Hz"), (RATE, 1, f"{RATE} frames")])
def test_pairs_of_different_rate_or_length_are_refused_in_one_line(tmp_path, rate, seconds, said):
    Audio(music(sample_rate=RATE, seconds=2).waveform[:1], RATE).write(tmp_path / "a.wav")
    Audio(music(sample_rate=rate, seconds=seconds).waveform[:1], rate).write(tmp_path / "b.wav")
    with pytest.raises(SpecMismatchError, match=said):
        make_pair("given", Item("a.wav", tmp_path / "a.wav", "any", tmp_path / "b.wav"), 0, ())


def test_the_cache_gives_back_what_was_measured_until_row_or_metric_changes(folder, tmp_path, monkeypatch):
    item, key = clean_items(folder)[0], data_key(0, None)
    rows = [chain_row("soft=gain:gain_db=-3")]
    cache = Cache(tmp_path / "cache", rows, key)
    assert cache.outcome(0, "clip", item, ["lsd"]) is None
    cache.add(Outcome(0, "clip", item.name, {"lsd": 2.5}, {"clip": "5 dB"}), item, ["lsd"])
    cache.save()
    again = Cache(tmp_path / "cache", rows, key)
    assert again.outcome(0, "clip", item, ["lsd"]).scores == {"lsd": 2.5}
    assert again.outcome(0, "clip", item, ["lsd", "si-sdr"]) is None
    assert again.outcome(0, "hum", item, ["lsd"]) is None
    other = Cache(tmp_path / "cache", [chain_row("soft=gain:gain_db=-4")], key)
    assert other.outcome(0, "clip", item, ["lsd"]) is None
    assert Cache(tmp_path / "cache", rows, data_key(1, None)).outcome(0, "clip", item, ["lsd"]) is None
    monkeypatch.setattr(wavechain_evaluation.cache, "_part_key", lambda kind, name: f"another {kind}")
    assert again.outcome(0, "clip", item, ["lsd"]) is None
    monkeypatch.undo()
    assert again.outcome(0, "clip", item, ["lsd"]) is not None
    again.forget(0)
    assert again.outcome(0, "clip", item, ["lsd"]) is None


def test_a_sound_is_in_the_cache_whole_or_not_at_all(folder, tmp_path, monkeypatch):
    item = clean_items(folder)[0]
    cache = Cache(tmp_path / "cache", [chain_row("gain")], data_key(0, None))

    def torn(source, target):
        target.write_bytes(source.read_bytes()[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(wavechain_evaluation.cache.shutil, "copyfile", torn)
    with pytest.raises(KeyboardInterrupt):
        cache.keep_sound(0, "clip", item, "gain", item.path)
    monkeypatch.undo()
    assert not cache.sound_from(0, "clip", item, "gain", tmp_path / "heard.wav")
    cache.keep_sound(0, "clip", item, "gain", item.path)
    assert cache.sound_from(0, "clip", item, "gain", tmp_path / "heard.wav")
    assert (tmp_path / "heard.wav").read_bytes() == item.path.read_bytes()


def test_the_cache_remembers_a_time_out_until_more_time_is_given_and_no_other_failure(folder, tmp_path):
    item, key = clean_items(folder)[0], data_key(0, None)
    rows = [chain_row("soft=gain:gain_db=-3")]

    def cache(seconds):
        return Cache(tmp_path / "cache", rows, key, seconds)

    first = cache(40)
    first.add(Outcome(0, "clip", item.name, error="x: did not end within 40 s.", timed_out=40.0), item, ["lsd"])
    first.add(Outcome(0, "hum", item.name, error="x: ended with code 3."), item, ["lsd"])
    first.add_cost(0, {"error": "x: ended with code 3."})
    assert first.cost(0) is None
    first.add_cost(0, {"error": "x: did not end within 40 s.", "timed_out": 40.0})
    first.save()
    for seconds in (20, 40):
        late = cache(seconds).outcome(0, "clip", item, ["lsd", "si-sdr"])
        assert (late.timed_out, late.error) == (40.0, "x: did not end within 40 s.")
        assert cache(seconds).cost(0)["timed_out"] == 40
    assert cache(41).outcome(0, "clip", item, ["lsd"]) is None
    assert cache(41).cost(0) is None
    assert cache(40).outcome(0, "hum", item, ["lsd"]) is None

    longer = cache(41)
    longer.add(Outcome(0, "clip", item.name, {"lsd": 2.5}), item, ["lsd"])
    longer.save()
    assert cache(20).outcome(0, "clip", item, ["lsd"]).scores == {"lsd": 2.5}


def test_figures_are_not_lost_when_another_metric_is_asked_with_less_time(folder, tmp_path):
    item, rows = clean_items(folder)[0], [chain_row("soft=gain:gain_db=-3")]
    cache = Cache(tmp_path / "cache", rows, data_key(0, None), 10)
    cache.add(Outcome(0, "clip", item.name, {"lsd": 2.5}), item, ["lsd"])
    cache.add(Outcome(0, "clip", item.name, error="x: too long", timed_out=10.0), item, ["lsd", "si-sdr"])
    assert cache.outcome(0, "clip", item, ["lsd"]).scores == {"lsd": 2.5}
    assert cache.outcome(0, "clip", item, ["lsd", "si-sdr"]).timed_out == 10


def test_figures_of_some_recordings_say_so_in_tables_and_page_and_a_time_out_is_not_waited_for_again(folder, tmp_path):
    # Recordings get 0.2 s more, their end mirrored. It repairs the first at once; on the others it fails, later hangs.
    script = (
        "import os, shutil, sys, time, soundfile; short = soundfile.info(sys.argv[1]).duration < 1.8; "
        "short or (time.sleep(60) if os.path.exists(sys.argv[3]) else sys.exit(3)); shutil.copy(*sys.argv[1:3])"
    )
    hangs = tmp_path / "hangs"
    program = (
        f"slow={shlex.quote(sys.executable)} -c {shlex.quote(script)} {{input}} {{output}} {shlex.quote(str(hangs))}"
    )

    def measured(seconds):
        bench = registry().load_part("bench", "restoration")(
            clean=folder,
            degradations="clip",
            commands=(program,),
            metrics="si-sdr,lsd",
            output=tmp_path / "report",
            overwrite=True,
            cache=tmp_path / "cache",
            command_seconds=seconds,
            cpu=False,
        )
        return bench.run()

    failed = measured(3600)
    hangs.touch()
    found = measured(0.25)
    told = found["faults"]["clip"]["groups"]
    assert failed["faults"]["clip"]["groups"]["all"]["timed_out"] == {}
    assert told["all"]["timed_out"] == {"slow": {"items": 2, "seconds": 0.25}}
    assert told["music"]["timed_out"] == {"slow": {"items": 1, "seconds": 0.25}}

    figure = f"{told['all']['rows']['slow']['si-sdr']['median']:.2f}"
    for text in (markdown(failed), markdown(found)):
        assert f"| slow | {figure} (1 of 3) |" in text
        assert "(3 of 3)" not in text
        assert f"\nsi-sdr on those 1 items of slow alone: unprocessed {figure}, slow {figure}\n" in text
    assert "slow failed 2 times, first: slow: ended with code 3" in markdown(failed)
    assert "\nslow: 2 of 3 did not end within 0.25 s\n" in markdown(found)
    assert "\nslow: 1 of 2 did not end within 0.25 s\n" in markdown(found, "music")
    page = (tmp_path / "report" / "report.html").read_text()
    assert f'<td>slow</td><td class="n">{figure} (1 of 3)</td>' in page
    assert '<p class="note">slow: 2 of 3 did not end within 0.25 s</p>' in page

    assert measured(0.125)["faults"] == found["faults"]  # run again, it would be 0.125 s that were not enough


def test_cpu_time_of_a_program_that_takes_too_long_for_it_is_not_known_and_ends_nothing(folder, tmp_path):
    # It hangs on the second of sound (and 0.2 s more) that CPU time is measured with, and repairs the recordings.
    script = (
        "import shutil, sys, time, soundfile; soundfile.info(sys.argv[1]).duration > 1.3 or time.sleep(60); "
        "shutil.copy(*sys.argv[1:3])"
    )
    program = f"slow={shlex.quote(sys.executable)} -c {shlex.quote(script)} {{input}} {{output}}"

    def measured(seconds, *, cpu):
        asked = {"clean": folder, "degradations": "clip", "commands": (program,), "metrics": "si-sdr"}
        asked |= {"cache": tmp_path / "cache", "command_seconds": seconds, "cpu": cpu}
        return registry().load_part("bench", "restoration")(**asked).run()

    quick, found = measured(3600, cpu=False), measured(0.25, cpu=True)
    assert found["faults"] == quick["faults"]
    assert found["rows"][1]["cpu_seconds_per_minute"] is None
    assert found["rows"][1]["failed"] == 0
    assert "slow has no CPU time: slow: did not end within 0.25 s. Try: a higher --command-seconds." in notes(found)


def test_a_program_that_fails_on_the_sound_for_cpu_time_keeps_its_figures(folder, tmp_path):
    script = (
        "import shutil, sys, soundfile; soundfile.info(sys.argv[1]).duration > 5 and sys.exit('too long for me'); "
        "shutil.copy(*sys.argv[1:3])"
    )
    bench = registry().load_part("bench", "restoration")(
        clean=folder,
        degradations="clip",
        commands=(f"short={shlex.quote(sys.executable)} -c {shlex.quote(script)} {{input}} {{output}}",),
        chains=("half=gain:gain_db=-6",),
        metrics="si-sdr",
        output=tmp_path / "report",
    )
    found = bench.run()
    _, half, short = found["rows"]
    assert half["cpu_seconds_per_minute"] is not None
    assert (short["cpu_seconds_per_minute"], short["failed"], bench.exit_code(found)) == (None, 0, 0)
    assert found["faults"]["clip"]["groups"]["all"]["rows"]["short"]["si-sdr"]["n"] == 3
    (said,) = notes(found)
    assert said.startswith("short has no CPU time: short: ended with code 1 (too long for me).")
    assert said.split(". Try")[0] in (tmp_path / "report" / "report.html").read_text()


def test_a_recording_that_cannot_be_read_is_left_out_and_no_row_is_blamed(folder, tmp_path):
    (folder / "broken.wav").write_bytes(b"no sound")  # the first by name: also CPU time must do without it
    script = "import shutil, sys; shutil.copytree(*sys.argv[1:], dirs_exist_ok=True)"
    bench = registry().load_part("bench", "restoration")(
        clean=folder,
        degradations="clip,clean",
        chains=("half=gain:gain_db=-6",),
        commands=(f"all={shlex.quote(sys.executable)} -c {shlex.quote(script)} {{input_folder}} {{output_folder}}",),
        metrics="si-sdr,change-db",
        cache=tmp_path / "cache",
    )
    found = bench.run()
    assert [row["failed"] for row in found["rows"]] == [0, 0, 0]
    assert all(row["cpu_seconds_per_minute"] is not None for row in found["rows"][1:])
    for told in found["faults"].values():
        assert {name: group["items"] for name, group in told["groups"].items()} == {"all": 3, "music": 2, "speech": 1}
    assert "### clip (3 items)" in markdown(found)
    (said,) = notes(found)
    assert said.startswith(f"1 items could not be read or worsened, first: {folder / 'broken.wav'}: is not audio")
    assert {item["item"] for item in found["items"] if item["failure"]} == {"broken.wav"}
    assert bench.exit_code(found) == 1
    assert bench.run() == found


def test_when_nothing_can_be_read_that_is_what_is_said(folder):
    for path in folder.iterdir():
        path.write_bytes(b"no sound")
    found = registry().load_part("bench", "restoration")(clean=folder, degradations="clip", chains=("gain",)).run()
    (said,) = notes({**found, "missing": {}})
    assert said.startswith("3 items could not be read or worsened")
    assert found["faults"]["clip"]["groups"] == {"all": {"items": 0, "rows": {}, "timed_out": {}}}


def test_cpu_time_is_not_taken_of_a_row_that_serves_no_fault_asked_for(folder):
    bench = registry().load_part("bench", "restoration")
    found = bench(clean=folder, degradations="clip", chains=("x@hum=gain", "y@clip=gain"), metrics="si-sdr").run()
    assert [row["cpu_seconds_per_minute"] is None for row in found["rows"]] == [True, True, False]


def test_cpu_time_is_taken_with_the_channels_that_the_recordings_have(tmp_path):
    Audio(music(sample_rate=RATE, seconds=1, channels=2).waveform, RATE).write(tmp_path / "music.wav")
    bench = registry().load_part("bench", "restoration")
    found = bench(clean=tmp_path, degradations="clip", chains=("x=mid-side:side=gain",), metrics="si-sdr").run()
    assert found["rows"][1]["cpu_failure"] == ""
    assert found["rows"][1]["cpu_seconds_per_minute"] is not None


def test_metrics_of_speech_are_asked_about_speech_and_costly_ones_about_some(folder, monkeypatch):
    facts = {"si-sdr": ("any", False), "estoi": ("speech", False), "visqol": ("any", True)}  # some are not installed
    metrics = {name: SimpleNamespace(content=content, costly=costly) for name, (content, costly) in facts.items()}
    monkeypatch.setattr(registry(), "load_part", lambda kind, name: metrics[name])
    asked = Asked(clean_items(folder), ["clip"], [unprocessed()], ["si-sdr", "estoi", "visqol"], 0, {})
    cache = Cache(None, asked.rows, "")
    tasks = list(_Session(Plan((), {}), asked, {"music_b.wav"}, cache, None).tasks())
    assert {name: list(asks) for task in tasks for name, asks in task.items.items()} == {
        "music_a.wav": ["si-sdr"],
        "music_b.wav": ["si-sdr", "visqol"],
        "speech_a.wav": ["si-sdr", "estoi"],
    }
