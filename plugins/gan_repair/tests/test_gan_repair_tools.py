"""The corpus tools: what they hear in a file, what they may take, and that nothing leaks between the splits."""

from __future__ import annotations

import hashlib
import importlib
import json
import struct
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

TOOLS = Path(__file__).parents[1] / "tools"
sys.path.insert(0, str(TOOLS))

import build_corpus  # noqa: E402
import build_test_set  # noqa: E402
import debian_packages  # noqa: E402
import render_band  # noqa: E402
import sound_measures  # noqa: E402

RATE = 44_100


def hiss(seconds=2.0, *, seed=1, level=0.1, channels=1):
    random = np.random.default_rng(seed)
    return (level * random.standard_normal((channels, round(seconds * RATE)))).astype(np.float32)


def low_passed(waveform, cutoff_hz):
    spectrum = np.fft.rfft(waveform, axis=-1)
    spectrum[:, round(cutoff_hz * waveform.shape[-1] / RATE) :] = 0
    return np.fft.irfft(spectrum, waveform.shape[-1], axis=-1).astype(np.float32)


def tone(hz=440.0, seconds=1.0, level=0.5):
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)[None]


def phrase(seconds=1.0, *, seed=1):
    """Three bursts of hiss with silence between: loud parts and quiet pauses, as in a clean voice."""
    sound = hiss(seconds, seed=seed)
    sound *= np.sin(2 * np.pi * 1.5 / seconds * np.arange(sound.shape[-1]) / RATE) > 0.3
    return sound


def measured(path="a.ogg", **fields):
    base = {"package": "p", "file": "", "licence": "GPL-2+", "kind": "speech", "voice": "p/v"}
    sound = {"seconds": 2.0, "sample_rate": RATE, "bandwidth_hz": 18_000, "snr_db": 50.0}
    return build_corpus.Measured(
        path=path, **{**base, **sound, "sha1": hashlib.sha1(path.encode()).hexdigest(), **fields}
    )


# What is heard


@pytest.mark.parametrize("cutoff_hz", [4_000, 8_000, 11_025, 16_000, 19_000])
def test_the_bandwidth_is_where_the_sound_ends(cutoff_hz):
    assert sound_measures.bandwidth_hz(low_passed(hiss(), cutoff_hz), RATE) == pytest.approx(cutoff_hz, abs=400)


def test_hiss_up_to_the_top_is_full_band_and_silence_has_no_band():
    assert sound_measures.bandwidth_hz(hiss(), RATE) > 21_500
    assert sound_measures.bandwidth_hz(np.zeros((1, RATE), np.float32), RATE) == 0


def test_a_voice_that_fades_towards_the_top_keeps_its_band():
    spectrum = np.fft.rfft(hiss(4.0), axis=-1)
    octaves = np.log2(np.maximum(1, np.arange(spectrum.shape[-1]) / 4 / 500))
    fading = np.fft.irfft(spectrum * 10 ** (-9 * octaves / 20), axis=-1).astype(np.float32)
    assert sound_measures.bandwidth_hz(fading, RATE) > 20_000


def test_clipping_is_told_from_a_loud_tone():
    clean, clipped = tone(level=0.9), np.clip(tone(level=1.8), -0.9, 0.9)
    assert sound_measures.clipped_share(clean) < 0.05 < 0.4 < sound_measures.clipped_share(clipped)
    assert sound_measures.clipped_share(tone(level=0.3)) == 0


def test_a_hiss_in_the_pauses_is_noticed():
    clean = phrase()
    assert sound_measures.snr_db(clean, RATE) > 60 > 30 > sound_measures.snr_db(clean + hiss(1.0, level=0.01), RATE)


def test_the_same_sound_has_one_hash_whatever_silence_lies_around_it():
    sound = phrase()
    padded = np.pad(sound, ((0, 0), (1000, 500)))
    assert sound_measures.content_hash(sound) == sound_measures.content_hash(padded)
    assert sound_measures.content_hash(sound) != sound_measures.content_hash(phrase(seed=2))


def test_trimming_takes_the_silence_and_leaves_the_sound():
    sound = np.pad(tone(seconds=1.0), ((0, 0), (RATE, 2 * RATE)))
    assert sound_measures.trimmed(sound, RATE).shape[-1] == pytest.approx(1.1 * RATE, abs=0.05 * RATE)


@pytest.mark.parametrize(("frames", "longest"), [(1, 30), (30, 30), (31, 30), (1000, 30), (999, 250)])
def test_pieces_cover_everything_once_and_none_is_too_long(frames, longest):
    pieces = sound_measures.cuts(frames, longest, 1)
    assert [at for start, stop in pieces for at in range(start, stop)] == list(range(frames))
    assert max(stop - start for start, stop in pieces) <= longest


def test_joined_sounds_keep_their_order_and_their_pauses():
    whole = sound_measures.joined([tone(), tone(level=0.2)], RATE, [0.5])
    assert whole.shape == (1, round(2.5 * RATE))
    assert not whole[:, RATE + 10 : RATE + RATE // 2 - 10].any()
    assert np.abs(whole[:, :RATE]).max() > 2 * np.abs(whole[:, -RATE:]).max()


def test_a_loop_has_no_hole_at_its_seam():
    loop = sound_measures.looped(hiss(1.0), RATE, 6.0)
    assert loop.shape == (1, 6 * RATE)
    levels = sound_measures.frame_levels_dbfs(loop, RATE)
    assert levels.max() - levels.min() < 3


# What may be taken

DEP5 = """Format: copyright-format/1.0

Files: *
Copyright: someone
License: GPL-2+

Files: ./data/music/*
 data/noise/rain.ogg
License: CC-BY-SA-3.0

Files: data/music/sold.ogg
License: CC-BY-NC-3.0

License: GPL-2+
 the text
"""


@pytest.mark.parametrize(
    ("path", "licence"),
    [
        ("usr/share/game/data/wind.ogg", "GPL-2+"),
        ("usr/share/game/data/music/calm.ogg", "CC-BY-SA-3.0"),
        ("usr/share/game/noise/rain.ogg", "CC-BY-SA-3.0"),
        ("usr/share/game/data/music/sold.ogg", "CC-BY-NC-3.0"),
    ],
)
def test_the_last_paragraph_that_names_a_file_gives_its_licence(path, licence):
    assert debian_packages.licence_of(path, DEP5) == licence


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("under the terms of the GNU General Public License version 2\n or at your option any later version", "GPL-2+"),
        ("see http://creativecommons.org/licenses/by-sa/3.0 for it", "CC-BY-SA-3.0"),
        ("the Creative Commons Attribution-NonCommercial license", "CC-BY-NC"),
        ("all rights reserved", "unknown"),
    ],
)
def test_free_text_is_read_for_the_licence_it_names(text, licence):
    assert debian_packages.licence_of("a.ogg", text) == licence


@pytest.mark.parametrize(
    "licence",
    ["GPL-2", "GPL-3+", "LGPL-2.1+", "CC-BY-3", "CC-BY-SA-4.0", "CC0", "MIT", "Expat", "GFDL-1.3", "BSD-like"],
)
def test_free_licences_are_let_in(licence):
    assert debian_packages.is_allowed(licence)


@pytest.mark.parametrize(
    "licence", ["CC-BY-NC-3.0", "CC-BY-ND-4.0", "CC-BY-NC-SA-3.0", "unknown", "", "Drascula-License", "GPL-2+ and NC"]
)
def test_other_licences_are_refused(licence):
    assert not debian_packages.is_allowed(licence)


@pytest.mark.parametrize("package", sorted(build_corpus.TEST_PACKAGES))
def test_no_test_package_can_be_trained_on(package, tmp_path):
    assert package not in build_corpus.SOURCES
    with pytest.raises(debian_packages.PackageError, match="belongs to the public test set"):
        build_corpus.measured_package(package, tmp_path, 1)


def test_no_training_package_can_be_tested_on(tmp_path):
    with pytest.raises(debian_packages.PackageError, match="may be trained on"):
        build_test_set.usable("hedgewars-data", tmp_path)
    named = {package for package, _ in build_test_set.VOICES + build_test_set.NOISES}
    assert named <= build_corpus.TEST_PACKAGES


def test_the_second_edition_has_none_of_the_joined_recordings_of_the_first(monkeypatch, tmp_path):
    source = debian_packages.PackagedFile
    there = {"gcin-voice": "/x/5.ogg", "klettres-data": "/klettres/en/a.ogg"}
    monkeypatch.setattr(
        build_test_set,
        "usable",
        lambda package, work: [source(package, there[package], tmp_path, "CC0")] if package in there else [],
    )
    monkeypatch.setattr(
        build_test_set, "voice_items", lambda voice, sources, work: iter([(voice, n) for n in range(4)])
    )
    assert list(build_test_set.speech_items(tmp_path)) == [("gcin-voice/5", 2), ("gcin-voice/5", 3)]


@pytest.mark.parametrize(
    ("package", "path", "kind"),
    [
        ("hedgewars-data", "usr/share/Data/Sounds/voices/Pirate/Hello.ogg", "speech"),
        ("hedgewars-data", "usr/share/Data/Sounds/voices/Robot/Hello.ogg", None),
        ("hedgewars-data", "usr/share/Data/Music/hell.ogg", "music"),
        ("tuxpaint-stamps-default", "usr/share/tuxpaint/stamps/animals/dog_desc_es.ogg", "speech"),
        ("tuxpaint-stamps-default", "usr/share/tuxpaint/stamps/animals/dog.ogg", "noise"),
        ("0ad-data", "usr/audio/ambient/weather/rain_11.ogg", "noise"),
        ("0ad-data", "usr/audio/actor/human/death/death_01.ogg", None),
    ],
)
def test_files_are_sorted_by_their_path(package, path, kind):
    found = build_corpus.ruled(package, path)
    assert (found[0] if found else None) == kind


# What is refused


@pytest.mark.parametrize(
    ("sound", "rate", "kind", "refusal"),
    [
        (np.zeros((1, 2 * RATE), np.float32), RATE, "speech", "silent"),
        (np.full((1, RATE), np.nan, np.float32), RATE, "noise", "empty or not finite"),
        (phrase(0.15), RATE, "speech", "too short"),
        (np.clip(8 * phrase(2.0), -0.5, 0.5), RATE, "speech", "clipped"),
        (hiss(2.0), RATE, "speech", "noisy"),
        (phrase(2.0), 8_000, "speech", "sample rate"),
    ],
)
def test_useless_files_are_refused_with_the_reason(sound, rate, kind, refusal):
    assert str(build_corpus.measures(sound, rate, kind)["refusal"]).startswith(refusal)


def test_a_clean_phrase_is_taken_and_hiss_is_a_noise():
    assert "refusal" not in build_corpus.measures(phrase(2.0), RATE, "speech")
    assert "refusal" not in build_corpus.measures(hiss(2.0), RATE, "noise")


def test_a_damaged_file_is_listed_not_skipped(tmp_path):
    file = tmp_path / "usr/share/hedgewars/voices/Pirate/a.ogg"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"OggS but no more")
    source = debian_packages.PackagedFile("hedgewars-data", "usr/share/voices/Pirate/a.ogg", file, "GPL-2")
    found = build_corpus.measured_file(source)
    assert found is not None
    assert found.refusal.startswith("cannot be decoded")


def test_rain_is_sustained_and_a_bang_is_not():
    noise = np.random.default_rng(0).standard_normal((1, 5 * RATE)).astype(np.float32) * np.float32(0.1)
    bang = noise * np.exp(-np.arange(noise.shape[1]) / (0.2 * RATE)).astype(np.float32)
    assert sound_measures.is_sustained(noise, RATE)
    assert not sound_measures.is_sustained(bang, RATE)


# Choosing and splitting


def test_of_two_equal_sounds_one_stays_and_the_other_is_listed():
    first, twin, other = measured("a.ogg"), measured("b.ogg", sha1=measured("a.ogg").sha1), measured("c.ogg")
    usable, refused = build_corpus.without_duplicates([first, twin, other])
    assert usable == [first, other]
    assert [one.refusal for one in refused] == ["duplicate of p:a.ogg"]


def test_full_band_files_come_first_and_the_hours_are_kept():
    narrow = [measured(f"n{at}.ogg", bandwidth_hz=8_000, seconds=60.0) for at in range(60)]
    wide = [measured(f"w{at}.ogg", seconds=60.0) for at in range(30)]
    chosen = build_corpus.chosen_within(narrow + wide, {"speech": 1.0, "music": 1.0, "noise": 1.0})
    assert set(wide) <= set(chosen)
    assert sum(one.seconds for one in chosen) == 3600


def test_every_file_lies_in_one_batch_of_one_voice_and_one_rate():
    files = [
        measured(f"{at:03d}.ogg", voice=f"p/{at % 3}", seconds=1.0 + at % 5, sample_rate=(44_100, 48_000)[at % 2])
        for at in range(200)
    ] + [measured("long.ogg", seconds=200.0)]
    batches = build_corpus.batches(files)
    assert sorted(one.path for batch in batches for one in batch) == sorted(one.path for one in files)
    for batch in batches:
        assert len({(one.voice, one.sample_rate) for one in batch}) == 1
        assert len(batch) == 1 or sum(one.seconds for one in batch) <= build_corpus.LONGEST_SECONDS


@pytest.fixture
def corpus(tmp_path):
    """A corpus of forty short phrases of two voices, two long pieces of music and four noises."""
    voices = [(f"v{at:02d}.wav", phrase(3.0, seed=at), "speech", f"p/{at % 2}") for at in range(40)]
    music = [(f"m{at}.wav", hiss(70.0, seed=100 + at, channels=2), "music", "p/m") for at in range(2)]
    noises = [(f"n{at}.wav", hiss(1.0, seed=200 + at), "noise", "p/n") for at in range(4)]
    files = [recorded(tmp_path, *each) for each in voices + music + noises]
    out = tmp_path / "corpus"
    return out, build_corpus.write_corpus(files, out, 1, mono_music=False)["files"]


def recorded(folder, name, sound, kind, voice):
    file = folder / name
    soundfile.write(file, sound.T, RATE)
    fields = build_corpus.measures(build_corpus.decoded(file)[0], RATE, kind)
    return measured(name, file=str(file), kind=kind, voice=voice, **fields)


def test_a_corpus_says_where_each_of_its_files_came_from(corpus):
    out, entries = corpus
    assert {file.relative_to(out).as_posix() for file in out.rglob("*.flac")} == {entry["file"] for entry in entries}
    for entry in entries:
        info = soundfile.info(out / entry["file"])
        assert (info.samplerate, info.channels) == (entry["sample_rate"], entry["channels"])
        assert info.frames / info.samplerate == pytest.approx(entry["seconds"], abs=0.001)
        assert info.frames <= build_corpus.LONGEST_SECONDS * info.samplerate
        assert info.subtype == "PCM_16"
        assert entry["sha1"] == hashlib.sha1((out / entry["file"]).read_bytes()).hexdigest()
    assert {entry["channels"] for entry in entries if entry["kind"] == "music"} == {2}


def test_no_recording_lies_on_both_sides_of_the_split(corpus):
    _, entries = corpus
    groups, splits = {}, {}
    for entry in entries:
        for path in entry["paths"]:
            groups.setdefault(path, set()).add(entry["group"])
        splits.setdefault(entry["group"], set()).add(entry["split"])
    assert len(groups) == 46
    assert all(len(found) == 1 for found in groups.values())
    assert all(len(found) == 1 for found in splits.values())


def test_about_six_groups_in_a_hundred_are_held_out():
    held = [build_corpus.split_of(f"group {at}") for at in range(5000)].count("dev")
    assert held / 5000 == pytest.approx(build_corpus.DEV_PERCENT / 100, abs=0.01)


def test_two_builds_are_equal(corpus, tmp_path):
    _, entries = corpus
    files = [recorded(tmp_path, f"n{at}.wav", hiss(1.0, seed=200 + at), "noise", "p/n") for at in range(4)]
    again = build_corpus.write_corpus(files, tmp_path / "again", 1, mono_music=False)["files"]
    assert again == [entry for entry in entries if entry["kind"] == "noise"]


def test_packs_hold_everything_once_and_stay_under_their_limit(corpus):
    out, entries = corpus
    build_corpus.write_packs(out, entries, max_mib=8)
    packs = sorted(out.glob("pack-*.tar"))
    assert len(packs) > 1
    names = []
    for pack in packs:
        assert pack.stat().st_size <= 8 * 2**20
        with tarfile.open(pack) as tar:
            listed = [entry["file"] for entry in json.load(tar.extractfile("manifest.json"))["files"]]
            assert sorted(listed) == sorted(set(tar.getnames()) - {"manifest.json"})
        names += listed
    assert sorted(names) == sorted(entry["file"] for entry in entries)


def test_a_development_set_takes_only_held_out_groups(corpus, tmp_path):
    out, entries = corpus
    for entry in entries:
        entry["split"] = "dev" if entry["group"][0] in "01234567" else "train"
    (out / "manifest.json").write_text(json.dumps({"files": entries}))
    manifest = build_test_set.write_items(build_test_set.dev_items(out), tmp_path / "dev", split="dev")
    held = {entry["group"] for entry in entries if entry["split"] == "dev" and entry["seconds"] >= 4}
    found = {entry["group"] for entry in manifest["files"]}
    assert found
    assert found <= held
    assert all((tmp_path / "dev" / entry["file"]).is_file() for entry in manifest["files"])


def test_a_noise_bed_lasts_ten_seconds_at_a_usual_rate():
    for seconds in (0.3, 2.0, 15.0):
        for sound in (hiss(seconds), phrase(seconds)):
            bed, rate = build_test_set.noise_bed(sound, 22_050)
            assert (bed.shape, rate) == ((1, 10 * RATE), RATE)


def test_an_existing_folder_is_never_written_over(tmp_path, capsys):
    for program in (build_corpus.main, build_test_set.main):
        assert program(["--out", str(tmp_path), "--work", str(tmp_path / "work")]) == 1
        assert "exists already" in capsys.readouterr().err


def played(song):
    """{channel: notes that begin} of a MIDI file of one track."""
    assert song[:4] == b"MThd"
    track = song[22:]
    assert len(track) == int.from_bytes(song[18:22], "big")
    at, notes, sounding = 0, {}, set()
    while at < len(track):
        while track[at] & 0x80:
            at += 1
        at += 1
        status, length = track[at], 3
        if status == 0xFF:
            length = 3 + track[at + 2]
        elif status & 0xF0 == 0xC0:
            length = 2
        elif status & 0xF0 == 0x90:
            sounding.add((status & 0xF, track[at + 1]))
            notes[status & 0xF] = notes.get(status & 0xF, 0) + 1
        elif status & 0xF0 == 0x80:
            sounding.discard((status & 0xF, track[at + 1]))
        at += length
    assert not sounding  # every note ends
    return notes


def test_a_band_plays_the_same_notes_again_and_ends_them():
    songs = [render_band.band(np.random.default_rng([0, index])) for index in range(20)]
    assert songs == [render_band.band(np.random.default_rng([0, index])) for index in range(20)]
    assert len(set(songs)) == 20
    parts = [played(song) for song in songs]
    assert all(sum(part.values()) > 20 for part in parts)
    assert any(set(part) == {9} for part in parts)  # drums alone
    assert any(set(part) <= {0, 1} for part in parts)  # guitars alone


# Songs in disguise


@pytest.fixture
def songs():
    pytest.importorskip("mido")
    pytest.importorskip("pedalboard")
    return importlib.import_module("render_songs")


def small_song(mido):
    """Thirty seconds of eighth notes: a piano, a bass and a drum; the piano's last note is never ended."""
    track = mido.MidiTrack()
    track += [mido.Message("program_change", channel=channel, program=33 * channel) for channel in (0, 1)]
    for _ in range(120):
        notes = [(0, 60), (1, 36), (9, 38)]
        track += [mido.Message("note_on", channel=channel, note=note) for channel, note in notes]
        track.append(mido.Message("note_off", channel=0, note=60, time=120))
        track += [mido.Message("note_off", channel=channel, note=note) for channel, note in notes[1:]]
    track.append(mido.Message("note_on", channel=0, note=60))
    return mido.MidiFile(type=0, ticks_per_beat=240, tracks=[track])


def test_only_the_midi_lumps_of_a_game_file_are_songs(songs):
    lumps = [(b"MAP01", b"no song"), (b"D_RUNNIN", b"MThd and more"), (b"D_OLD", b"MUS\x1a")]
    data, directory = b"", b""
    for name, lump in lumps:
        directory += struct.pack("<ii8s", 12 + len(data), len(lump), name)
        data += lump
    wad = struct.pack("<4sii", b"PWAD", len(lumps), 12 + len(data)) + data + directory
    assert list(songs.midi_lumps(wad)) == [("D_RUNNIN", b"MThd and more")]


def test_a_song_in_disguise_keeps_its_drums_its_families_and_its_length(songs):
    mido = pytest.importorskip("mido")
    tunes, kept, programs = set(), set(), set()
    for seed in range(30):
        varied = songs.variation(small_song(mido), np.random.default_rng(seed))
        again = songs.variation(small_song(mido), np.random.default_rng(seed))
        assert list(varied.tracks[0]) == list(again.tracks[0])
        assert varied.length == pytest.approx(songs.SECONDS, abs=0.01)
        parts = {}
        for message in varied.tracks[0]:
            if message.type == "note_on":
                parts.setdefault(message.channel, set()).add(message.note)
            elif message.type == "program_change":
                programs.add((message.channel, message.program))
        assert parts.get(9, {38}) == {38}
        assert all(
            len(notes) == 1 and -5 <= min(notes) - {0: 60, 1: 36, 9: 38}[part] <= 5 for part, notes in parts.items()
        )
        tunes.add(min(parts.get(0, {60})))
        kept.add(tuple(sorted(parts)))
        ends = [message.channel for message in varied.tracks[0] if message.is_cc(120)]
        assert ends == sorted(parts)  # nothing is held for ever
    assert len(tunes) > 3
    assert {(0,), (1,), (9,), (0, 1, 9)} <= kept
    assert {program // 8 for channel, program in programs if channel == 1} <= {0, 4} | {
        bold // 8 for bold in songs.BOLD
    }
    assert all(program in range(8) or program in songs.BOLD for channel, program in programs if channel == 0)
    assert len(programs) > 10


def test_a_produced_song_never_clips_and_silence_is_refused(songs):
    for seed in range(10):
        loud, _ = songs.produced(3 * hiss(channels=2).T, np.random.default_rng(seed))
        assert -12.1 < 20 * np.log10(np.abs(loud).max()) < -0.4
    with pytest.raises(songs.SongError, match="silent"):
        songs.produced(np.zeros((RATE, 2), np.float32), np.random.default_rng(0))


# Synthesisers


@pytest.fixture
def synths():
    pytest.importorskip("pedalboard")
    return importlib.import_module("render_synths")


def test_a_piece_is_the_same_again_and_never_clips(synths):
    names, waveform = synths.piece(np.random.default_rng(3))
    again = synths.piece(np.random.default_rng(3))
    assert names == again[0]
    np.testing.assert_array_equal(waveform, again[1])
    assert waveform.shape == (2, synths.FRAMES)
    assert -13 < 20 * np.log10(np.abs(waveform).max()) < -0.9


@pytest.mark.parametrize("part", ["lead", "pad", "sweep", "machine", "guitar"])
def test_a_part_sounds_from_begin_to_end_and_noise_is_never_steady(synths, part):
    for seed in range(4):
        waveform = synths.PARTS[part](np.random.default_rng(seed), 0.5, [40, 43, 45, 40])
        levels = sound_measures.frame_levels_dbfs(waveform.astype(np.float32), RATE)
        assert np.isfinite(waveform).all()
        thirds = np.array_split(levels, 3)
        assert all(third.max() > levels.max() - 30 for third in thirds)
        if part in ("sweep", "machine"):
            assert not sound_measures.is_steady(waveform.astype(np.float32), RATE)


@pytest.mark.parametrize("hz", [110, 1_237])
def test_a_saw_has_its_harmonics_and_little_else(synths, hz):
    tone = synths.saw(RATE, hz) * np.hanning(RATE)
    spectrum = np.square(np.abs(np.fft.rfft(tone)))
    bins = np.arange(len(spectrum))
    harmonic = np.abs((bins / hz + 0.5) % 1 - 0.5) * hz <= 3  # one bin is one hertz
    first, second = (spectrum[round(hz * number) - 3 : round(hz * number) + 4].sum() for number in (1, 2))
    assert 10 * np.log10(first / second) == pytest.approx(6.0, abs=0.2)
    assert 10 * np.log10(spectrum[~harmonic].sum() / spectrum.sum()) < -25


def test_a_string_is_in_tune_and_dies_away(synths):
    tone = synths.string(np.random.default_rng(0), RATE, 220.5, 0.99)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(RATE)))
    assert np.argmax(spectrum[150:300]) + 150 == pytest.approx(220, abs=2)
    assert np.std(tone[:4_410]) > 3 * np.std(tone[-8_820:-4_410])


# Percussion


def test_a_loop_of_percussion_is_the_same_again_and_never_clips():
    drums = importlib.import_module("render_drums")
    sounds = [
        hiss(0.2, seed=seed)[0] * np.exp(-np.arange(round(0.2 * RATE)) / 2_000).astype(np.float32) for seed in range(5)
    ]
    for seed in range(6):
        loop = drums.drummed(sounds, np.random.default_rng(seed))
        np.testing.assert_array_equal(loop, drums.drummed(sounds, np.random.default_rng(seed)))
        assert loop.shape == (8 * RATE,)
        assert -13 < 20 * np.log10(np.abs(loop).max()) < -0.9


# The door


@pytest.fixture
def fit_door():
    pytest.importorskip("torch")
    return importlib.import_module("fit_door")


def test_what_is_drawn_to_fit_the_door_is_the_same_again_and_of_every_package(fit_door, tmp_path):
    for name in ("many-1-00", "many-1-01", "many-2-00", "few-1-00"):
        soundfile.write(tmp_path / f"{name}.flac", hiss()[0], RATE)
    drawn = list(fit_door.examples([f"{tmp_path}=60"]))
    assert drawn == list(fit_door.examples([f"{tmp_path}=60"]))
    assert {example.package for example in drawn} == {"many", "few"}
    assert [example.faults for example in drawn[: len(fit_door.WORSENED)]] == fit_door.WORSENED


def places_of(fit_door, kinds):
    """One trait that says it all: where it is 1 the change takes noise away, where it is -1 it spoils what is clean."""
    random = np.random.default_rng(0)
    heard = []
    for kind in kinds:
        count = int(random.integers(3, 6))
        traits = np.concatenate([np.full((count, 1), kind), random.normal(size=(count, 3))], axis=1)
        error = 1.0 if kind > 0 else 0.0
        errors = np.tile([error, error, 1.0, 100.0], (count, 1))
        heard.append(fit_door.Heard(traits.astype(np.float32), errors))
    about = [fit_door.Example(Path(f"package{at % 3}-0-{at}.flac"), (), at) for at in range(len(kinds))]
    return fit_door.Places.of(heard, about)


def test_the_error_that_is_left_is_that_of_the_share(fit_door):
    places = places_of(fit_door, [1, -1])
    shut, half, wide = (places.left_db(np.full(places.there.shape, share)) for share in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(shut, 0, atol=1e-9)
    assert half[0] == pytest.approx(10 * np.log10((0.25 + 0.01) / 1.01))
    assert wide == pytest.approx([10 * np.log10(0.01 / 1.01), 10 * np.log10((1 + 0.01) / 0.01)])


def test_the_door_learns_what_there_is_to_learn(fit_door, monkeypatch):
    monkeypatch.setattr(fit_door, "STEPS", 400)
    places = places_of(fit_door, [1, -1] * 20)
    weights = fit_door.fit(places, 2)
    shares = fit_door.sigmoid(fit_door.ear.perceive(places.traits, weights, fit_door.door.WITHIN)[..., 0])
    noisy = np.arange(40) % 2 == 0
    assert shares[noisy][places.there[noisy]].min() > 2 * shares[~noisy][places.there[~noisy]].max()
