"""``wavechain features``: arrays, pictures and tables, and what is never overwritten or left behind."""

from __future__ import annotations

import json
import shutil
import tracemalloc

import numpy as np
import pytest

from wavechain import Audio
from wavechain.chain import stage_from
from wavechain.features import PICTURE_COLUMNS, extract, transform_of
from wavechain.stages import FeatureTransform
from wavechain.stream import Block
from wavechain.testing import chirp, music, tone


def expected(audio: Audio, transform: FeatureTransform) -> Block:
    processor = transform.open(audio.spec)
    return np.concatenate([processor.process(audio.waveform), processor.flush()], axis=-1)


def test_a_table_says_what_the_features_are(wavechain, song, tmp_path):
    said = wavechain("features", song, "-t", "log-mel", "-p", "n_mels=40", "--set", "hop_length=441")
    assert (said.code, said.err) == (0, "")
    head, row = said.out.splitlines()[:2]
    assert head.split() == ["file", "kind", "shape", "steps/s", "seconds", "lowest", "mean", "highest"]
    assert "log_mel  2 × 40 × 401      100    4.010" in row
    assert list(tmp_path.iterdir()) == []


def test_the_array_is_what_the_transform_makes_with_its_recipe_and_source(wavechain, song, tmp_path, read):
    out = tmp_path / "song.npz"
    said = wavechain("features", song, "-t", "log-mel:n_mels=40", "-p", "log=ln", "-o", out)
    assert (said.code, said.out) == (0, "")
    assert said.err == f"{song} -> {out}\n"
    with np.load(out, allow_pickle=False) as kept:
        transform = stage_from(json.loads(str(kept["recipe"])))
        assert transform == transform_of("log-mel:n_mels=40,log=ln")
        assert kept["features"].dtype == np.float32
        np.testing.assert_array_equal(kept["features"], expected(read(song), transform))
        assert float(kept["rate"]) == 44_100 / 512
        assert str(kept["kind"]) == "log_mel"
        source = json.loads(str(kept["source"]))
        assert (source["file"], source["sample_rate"], source["channels"], source["frames"]) == (
            "song.wav",
            44_100,
            2,
            176_400,
        )
        assert kept["rows_hz"].shape == (40,)
        assert (np.diff(kept["rows_hz"]) > 0).all()


def test_the_same_sound_makes_the_same_bytes(wavechain, song, tmp_path):
    for name in ("a", "b"):
        wavechain("features", song, "-t", "mfcc", "-o", tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("name", ["stft", "mel", "log-mel", "mfcc", "cqt:low_hz=110", "spectral-contrast"])
def test_every_transform_can_be_kept_and_drawn(wavechain, song, tmp_path, name):
    pytest.importorskip("matplotlib")
    said = wavechain("features", song, "-t", name, "-o", tmp_path / "f.npz", "--plot", tmp_path / "f.png")
    assert said.code == 0
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    with np.load(tmp_path / "f.npz") as kept:
        assert np.isfinite(kept["features"]).all()


def test_stages_before_the_transform_are_applied_and_remembered(wavechain, song, tmp_path, read):
    out = tmp_path / "mono.npz"
    assert wavechain("features", song, "-s", "channels:layout=mono", "-t", "mel", "-o", out).code == 0
    with np.load(out) as kept:
        assert kept["features"].shape[0] == 1
        assert json.loads(str(kept["source"]))["stages"] == [{"use": "channels", "layout": "mono"}]


def test_nothing_that_exists_is_replaced_unless_one_says_so(wavechain, song, tmp_path):
    for name, option in (("f.npz", "-o"), ("f.png", "--plot")):
        path = tmp_path / name
        path.write_bytes(b"precious")
        said = wavechain("features", song, "-t", "mel", option, path)
        assert (said.code, path.read_bytes()) == (2, b"precious")
        assert said.err == f"error: {path}: exists already. Try: --overwrite, or another name.\n"
        assert wavechain("features", song, "-t", "mel", option, path, "--overwrite").code == 0
        assert path.read_bytes() != b"precious"


def test_the_audio_itself_is_never_replaced(wavechain, song, tmp_path):
    audio = shutil.copy(song, tmp_path / "song.npz")
    said = wavechain("features", audio, "-t", "mel", "-o", audio, "--overwrite")
    assert said.code == 2
    assert "is one of the audio files" in said.err
    assert audio.read_bytes() == song.read_bytes()


def test_a_file_that_breaks_off_leaves_no_array(wavechain, song, tmp_path):
    broken = tmp_path / "in" / "broken.wav"
    broken.parent.mkdir()
    broken.write_bytes(song.read_bytes()[:200_000])
    shutil.copy(song, tmp_path / "in" / "whole.wav")
    said = wavechain("features", tmp_path / "in", "-t", "mel", "-o", f"{tmp_path}/out/")
    assert said.code == 1
    assert "broken.wav" in said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole.npz"]


def test_a_full_or_missing_folder_is_said_before_the_work(wavechain, song, tmp_path):
    said = wavechain("features", song, "-t", "mel", "-o", tmp_path / "no" / "f.npz")
    assert said.code == 1
    assert "Try: mkdir -p" in said.err


def test_several_files_make_several_pictures_and_one_table(wavechain, song, tmp_path):
    pytest.importorskip("matplotlib")
    other = tone(440, seconds=1).write(tmp_path / "tone.wav")
    said = wavechain("features", song, other, "-t", "mel", "--plot", tmp_path / "one.png")
    assert said.code == 2
    assert "is one picture, and there are several files. Try: --plot FOLDER." in said.err
    assert wavechain("features", song, other, "-t", "mel", "--plot", tmp_path / "pictures").code == 0
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["song.wav.png", "tone.wav.png"]
    assert len(wavechain("features", song, other, "-t", "mel").out.splitlines()) == 3


def test_pictures_lie_in_their_folder_as_the_files_do_in_theirs(wavechain, song, tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        shutil.copy(song, tmp_path / "in" / name / "take.wav")
    assert wavechain("features", tmp_path / "in", "-t", "mel", "--plot", tmp_path / "{pictures}").code == 0
    found = sorted(str(path.relative_to(tmp_path / "{pictures}")) for path in tmp_path.rglob("*.png"))
    assert found == ["a/take.wav.png", "b/take.wav.png"]


def test_json_is_one_object_a_file(wavechain, song):
    said = wavechain("features", song, "-t", "mfcc", "--json")
    data = json.loads(said.out)
    assert (data["kind"], data["shape"]) == ("mfcc", [2, 20, 346])
    assert data["recipe"]["n_mfcc"] == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-t", "gain"), "error: gain turns no sound into features. Try: one of"),
        (("-t", "log-mel", "-p", "n_mel=3"), "error: log-mel has no parameter 'n_mel'. Try: n_mels."),
        (("-t", "mel", "-p", "n_mels"), "is not key=value"),
        (("-t", "mel", "-o", "f.wav"), "error: -o f.wav: features are kept in .npz files. Try: -o f.npz."),
    ],
)
def test_wrong_usage_is_one_line(wavechain, song, arguments, message):
    said = wavechain("features", song, *arguments)
    assert said.code == 2
    assert message in said.err


def test_a_picture_of_a_long_file_pools_columns_and_keeps_their_mean(tmp_path):
    path = chirp(sample_rate=8000, seconds=3).write(tmp_path / "long.wav")
    transform = transform_of("mel:n_fft=64,hop_length=8,n_mels=4,norm=none")
    found = extract(path, transform, picture=True)
    values = expected(Audio.read(path), transform)[0]
    assert found.picture is not None
    assert PICTURE_COLUMNS // 2 < found.picture.shape[1] <= PICTURE_COLUMNS < values.shape[1]
    np.testing.assert_allclose(found.picture[:, 0], values[:, :2].mean(axis=1), rtol=1e-5)
    assert (found.low, found.high) == (values.min(), values.max())
    assert found.mean == pytest.approx(values.mean(dtype=float))


@pytest.mark.slow
def test_memory_does_not_follow_length(tmp_path):
    peaks = []
    for seconds in (20, 80):
        path = music(sample_rate=22_050, seconds=seconds, channels=1).write(tmp_path / f"{seconds}.wav")
        tracemalloc.start()
        extract(path, transform_of("stft"), tmp_path / f"{seconds}.npz")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (1 << 20)
