"""What goes wrong in a run is one line that names the place, or is mended; what was there before stays."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import pickle
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wavechain import Audio
from wavechain.errors import (
    ChainError,
    OutputExistsError,
    ParameterError,
    StageError,
    UnreadableError,
    UnwritableError,
    UsageError,
    WavechainError,
)
from wavechain.recipes import Recipe, part
from wavechain.testing import music, silence

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")


def checkpoint_of(folder):
    return folder / "train" / "checkpoint.safetensors"


def rewritten(path, change):
    """The checkpoint at *path* after *change* of (tensors, facts)."""
    from wavechain_trainer import checkpoint

    tensors, facts = checkpoint.read(path)
    change(tensors, facts)
    checkpoint.write(path, tensors, facts)


@pytest.fixture
def begun(training, recordings, tmp_path):
    """A run with 7 of 20 steps done, and one that is lost."""

    def stop(step, steps, losses):
        if step == 8:
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        training().train([recordings], tmp_path / "run", progress=stop)
    return tmp_path / "run"


def resume(training, recordings, folder, **settings):
    return training(**settings).train([recordings], folder, resume=True)


def said_by(error):
    text = str(error.value)
    assert "\n" not in text
    assert "Try: " in text
    return text


# A loss that is not a number.


def test_a_batch_that_gives_nan_is_gone_round_and_the_run_ends(training, recordings, tmp_path):
    said = []
    made = training("toy-nan", recipe={"threshold": -1.4}, steps=30, validate_every=5)
    folder = made.train([recordings], tmp_path / "run", say=said.append)
    assert [line for line in said if "distance is not finite at step" in line and "with other batches" in line]
    from wavechain_trainer import checkpoint

    tensors, facts = checkpoint.read(checkpoint_of(folder))
    assert facts["step"] == 30
    assert facts["detour"] >= 1
    assert all(bool(value.isfinite().all()) for name, value in tensors.items() if value.is_floating_point())
    rows = (folder / "train" / "log.csv").read_text(encoding="utf-8").splitlines()
    steps = [int(row.split(",")[0]) for row in rows if ",learn/distance," in row]
    assert steps == list(range(1, 31)), "what was undone is not in the table twice"


def test_a_loss_that_is_never_a_number_is_refused_before_the_first_step(training, recordings, tmp_path):
    with pytest.raises(StageError) as error:
        training("toy-nan", recipe={"threshold": 99.0}).train([recordings], tmp_path / "run")
    assert "the self-test failed: turn learn: distance is not finite" in said_by(error)
    assert not checkpoint_of(tmp_path / "run").exists()


def test_a_loss_that_stays_bad_ends_the_run_and_keeps_the_last_checkpoint(training, recordings, tmp_path, toys):
    import toy_recipes

    made, good = training("toy-nan"), toy_recipes.Nan.loss
    calls = []

    def soured(self, turn, batch, networks):
        calls.append(turn)
        parts = good(self, turn, batch, networks)
        return parts if len(calls) <= 20 else {"distance": parts["distance"] * float("nan")}

    toy_recipes.Nan.loss = soured
    with pytest.raises(StageError) as error:
        made.train([recordings], tmp_path / "run")
    assert "distance is not finite at step" in said_by(error)
    assert "for the 6th time" in str(error.value)
    from wavechain_trainer import checkpoint

    assert checkpoint.read(checkpoint_of(tmp_path / "run"))[1]["step"] == 7


# Checkpoints that cannot be used.


def test_a_truncated_checkpoint_is_refused(training, recordings, begun):
    path = checkpoint_of(begun)
    whole = path.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UnreadableError) as error:
            resume(training, recordings, begun)
        assert "checkpoint.safetensors: the checkpoint cannot be read" in said_by(error)
    path.write_bytes(whole)
    resume(training, recordings, begun)


def test_a_checkpoint_with_unknown_keys_is_refused(training, recordings, begun):
    rewritten(checkpoint_of(begun), lambda tensors, facts: tensors.update({"network/net/extra": torch.zeros(3)}))
    with pytest.raises(UnreadableError) as error:
        resume(training, recordings, begun)
    assert "holds network/net/extra, which is not of this recipe" in said_by(error)


def test_a_checkpoint_of_another_rate_is_refused(training, recordings, begun):
    rewritten(checkpoint_of(begun), lambda tensors, facts: facts.update(sample_rate=48_000))
    with pytest.raises(UnreadableError) as error:
        resume(training, recordings, begun)
    assert "is of 48000 Hz, the recipe of 8000 Hz" in said_by(error)


def test_a_checkpoint_without_its_step_is_refused(training, recordings, begun):
    rewritten(checkpoint_of(begun), lambda tensors, facts: facts.pop("step"))
    with pytest.raises(UnreadableError) as error:
        resume(training, recordings, begun)
    assert "does not say its step" in said_by(error)


CHANGES = [
    (lambda tensors, facts: facts.update(step="7"), "does not say its step"),
    (lambda tensors, facts: facts.update(step=True), "does not say its step"),
    (lambda tensors, facts: facts.update(best=None), "does not say its best"),
    (lambda tensors, facts: facts.update(optimizers="net"), "does not say its optimizers"),
    (lambda tensors, facts: facts.update(optimizers=[["ghost"]]), "optimizers = ['ghost'] is not of this recipe"),
    (lambda tensors, facts: facts.update(optimizers=[[["net"]]]), "is not of this recipe"),
    (lambda tensors, facts: facts.update(optimizers=[]), "which is not of this recipe"),
    (lambda tensors, facts: tensors.pop("optimizer/net/0/exp_avg"), "has no optimizer/net/0/exp_avg"),
    (lambda tensors, facts: tensors.update({"optimizer/net/99/exp_avg": torch.zeros(1)}), "optimizer/net/99/exp_avg"),
    (lambda tensors, facts: tensors.update({"optimizer/net/0/exp_avg": torch.zeros(1)}), "has the shape [1], here"),
    (lambda tensors, facts: tensors.update({"recent/0/net/ghost": torch.zeros(1)}), "which is not of this recipe"),
    (lambda tensors, facts: tensors.update({"average/net/leave.bias": torch.zeros(1).double()}), "is torch.float64"),
    (lambda tensors, facts: tensors.pop("random/torch"), "has no random/torch"),
    (lambda tensors, facts: tensors["random/torch"].fill_(255), "cannot be gone on from"),
]


def test_a_checkpoint_that_was_tampered_with_is_refused(training, recordings, begun):
    path = checkpoint_of(begun)
    whole = path.read_bytes()
    for change, told in CHANGES:
        path.write_bytes(whole)
        rewritten(path, change)
        before = path.read_bytes()
        assert before != whole
        with pytest.raises(UnreadableError) as error:
            resume(training, recordings, begun)
        assert told in said_by(error)
        assert path.read_bytes() == before


def test_a_checkpoint_of_another_recipe_is_refused(training, recordings, begun, tmp_path):
    other = training("toy-vae").train([recordings], tmp_path / "other")
    checkpoint_of(begun).write_bytes(checkpoint_of(other).read_bytes())
    with pytest.raises(UnreadableError) as error:
        resume(training, recordings, begun)
    assert "has no network/judge/0.weight: it is of another recipe" in said_by(error)


def test_other_settings_than_the_run_was_begun_with_are_refused_by_name(training, recordings, begun):
    with pytest.raises(UsageError) as error:
        training(recipe={"width": 6}).train([recordings], begun, resume=True)
    assert "this run was begun with recipe.width = None, not 6" in said_by(error)
    with pytest.raises(UsageError, match="begun with steps = 20, not 30"):
        resume(training, recordings, begun, steps=30)


def test_other_recordings_are_refused(training, recordings, begun):
    music(sample_rate=8_000, seconds=1, channels=1, seed=9).write(recordings / "new.wav")
    with pytest.raises(UsageError) as error:
        resume(training, recordings, begun)
    assert "was made on other recordings than these" in said_by(error)


def test_a_folder_with_a_run_is_not_written_over(training, recordings, begun):
    before = checkpoint_of(begun).read_bytes()
    with pytest.raises(OutputExistsError, match="holds a run already"):
        training().train([recordings], begun)
    assert checkpoint_of(begun).read_bytes() == before


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_with_a_model_is_not_written_over(training, recordings, tmp_path, name):
    model = tmp_path / "model"
    model.mkdir()
    (model / name).write_text("mine", encoding="utf-8")
    with pytest.raises(OutputExistsError) as error:
        training().train([recordings], model)
    assert "holds a model already" in said_by(error)
    assert [(path.name, path.read_text(encoding="utf-8")) for path in model.iterdir()] == [(name, "mine")]


def test_a_run_among_its_recordings_is_resumed(training, recordings):
    for folder in (recordings / "run", recordings):
        training(minutes=1e-9, steps=14).train([recordings], folder)
        previews = folder / "train" / "previews"
        previews.mkdir(exist_ok=True)
        music(sample_rate=8_000, seconds=1, seed=8).write(previews / "0000000-mended.flac")
        training(steps=14).train([recordings], folder, resume=True)
        assert len(list(previews.glob("*.flac"))) == 3


def test_recordings_in_a_folder_named_like_that_of_a_run_are_trained_on(recordings, tmp_path):
    from wavechain_trainer.clips import gather

    own = recordings / "train" / "previews"
    own.mkdir(parents=True)
    music(sample_rate=8_000, seconds=1, seed=8).write(own / "take.wav")

    def found(folder):
        data = gather([folder], 8_000, tmp_path / "cache", validation=0.0)
        return sum(len(pool.recordings) for pool in data.training)

    assert found(recordings) == 5
    (own.parent / "training.json").write_text("{}", encoding="utf-8")
    assert found(recordings) == 4
    assert found(own) == 1, "it was asked for by name"


def test_a_run_that_lacks_its_start_is_told_so(training, recordings, tmp_path):
    first = training(steps=1).train([recordings], tmp_path / "first")
    second = training(minutes=1e-9, start=str(first)).train([recordings], tmp_path / "second")
    with pytest.raises(UsageError) as error:
        resume(training, recordings, second)
    assert f"this run was begun with start = {first}, not without." in said_by(error)
    with pytest.raises(UsageError, match=r"this run was begun without start, not with start = "):
        resume(training, recordings, first, steps=1, start=str(second))


def test_nothing_to_resume_is_said(training, recordings, tmp_path):
    with pytest.raises(UnreadableError, match="there is no run to resume"):
        resume(training, recordings, tmp_path / "none")


def test_a_lost_recording_of_the_cache_is_decoded_again(training, recordings, begun):
    for path in (begun / "train" / "clips").glob("*.npy"):
        path.unlink()
    resume(training, recordings, begun)


# A full disk. That of a real limit is in tests/program: it would hold for the output of the tests as well.


def test_a_full_disk_at_a_checkpoint_leaves_the_one_before(training, recordings, begun, monkeypatch):
    before = checkpoint_of(begun).read_bytes()

    def full(handle):  # many systems find out no sooner than this
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnwritableError) as error:
        resume(training, recordings, begun)
    assert "the checkpoint cannot be written (No space left on device); the one before is still there" in said_by(error)
    monkeypatch.undo()
    assert checkpoint_of(begun).read_bytes() == before
    assert list(begun.rglob(".*.tmp")) == []


def test_a_full_disk_while_decoding_is_one_line(training, recordings, tmp_path, monkeypatch):
    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "open_memmap", full)
    with pytest.raises(UnwritableError, match="no space left on device"):
        training().train([recordings], tmp_path / "run")


def test_an_output_that_is_a_file_is_one_line(training, recordings, tmp_path):
    (tmp_path / "run").write_text("mine", encoding="utf-8")
    with pytest.raises(WavechainError) as error:
        training().train([recordings], tmp_path / "run")
    said_by(error)
    assert (tmp_path / "run").read_text(encoding="utf-8") == "mine"


# Recordings that are too few.


def test_a_folder_without_audio_and_one_with_a_single_file_are_refused(training, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "notes.txt").write_text("no sound", encoding="utf-8")
    with pytest.raises(UsageError) as error:
        training().train([folder], tmp_path / "run")
    assert "0 of 0 audio files can be trained on, and training needs two at least" in said_by(error)
    music(sample_rate=8_000, seconds=1).write(folder / "one.wav")
    with pytest.raises(UsageError, match="1 of 1 audio files can be trained on"):
        training().train([folder], tmp_path / "run")
    with pytest.raises(UsageError, match="there is no such file or folder"):
        training().train([tmp_path / "nowhere"], tmp_path / "run")


def test_a_validation_that_takes_every_recording_is_named(training, recordings, tmp_path):
    with pytest.raises(UsageError) as error:
        training(validation_share=0.99).train([recordings], tmp_path / "run")
    assert "validation_share = 0.99 keeps all of 4 recordings to validate on" in said_by(error)


def test_recordings_that_come_one_by_one_cannot_be_split(training, recordings, tmp_path):
    with pytest.raises(UsageError) as error:
        training().train([recordings / "take-0.wav", recordings / "take-1.wav"], tmp_path / "run")
    assert "each of 2 inputs has only one recording that can be trained on" in said_by(error)


@pytest.mark.parametrize("betas", [(1.0, 1.0), (0.8, 1.0), (-0.1, 0.9)])
def test_memories_that_no_optimiser_takes_are_refused_by_name(training, betas):
    with pytest.raises(ParameterError) as error:
        training(betas=betas)
    assert "betas" in said_by(error)
    assert str(error.value).endswith("both must be at least 0 and below 1. Try: wavechain stages describe training.")


def test_a_wrong_setting_of_a_part_is_explained_where_no_command_does():
    with pytest.raises(ParameterError) as error:
        part("degradation", "hum", {"drift": "much"})
    meaning = "How far off the frequency may be, as a share of it."
    assert said_by(error) == f"hum: drift = 'much' is not a number. Try: drift: {meaning}"
    with pytest.raises(ParameterError, match=r"sizes = 'all' is not a list of whole numbers\. Try: sizes: "):
        part("loss", "multi-resolution-stft", {"sizes": "all"})


def test_a_recipe_that_keeps_no_network_has_none_to_begin_with(training, recordings, tmp_path, monkeypatch):
    import toy_recipes

    first = training(steps=1).train([recordings], tmp_path / "first")
    monkeypatch.setattr(toy_recipes.Toy, "describe", Recipe.describe)
    with pytest.raises(UsageError, match="holds a toy-net; the recipe keeps no network"):
        training(start=str(first)).train([recordings], tmp_path / "second")


def test_noise_that_holds_no_sound_is_refused(training, recordings, tmp_path):
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    silence(sample_rate=8_000).write(quiet / "silence.wav")
    with pytest.raises(UsageError, match=r"none of 1 audio files can be mixed in: silence.wav \(silence\)"):
        training(noise=(quiet,)).train([recordings], tmp_path / "run")


def test_other_noise_is_refused_at_resume(training, recordings, tmp_path):
    for name in ("rain", "street"):
        (tmp_path / name).mkdir()
        music(sample_rate=8_000, seconds=1, seed=len(name)).write(tmp_path / name / "noise.wav")
    run = training(noise=(tmp_path / "rain",), minutes=1e-9).train([recordings], tmp_path / "run")
    with pytest.raises(UsageError, match="was made with other noise"):
        resume(training, recordings, run, noise=(tmp_path / "street",))
    resume(training, recordings, run, noise=(tmp_path / "rain",))


# Models.


def test_a_model_folder_is_checked_before_it_is_used(training, recordings, tmp_path):
    from wavechain.models import find_model, load_network, open_model

    folder = training().train([recordings], tmp_path / "run")
    model = find_model(folder)
    assert model.part == "toy-net"
    assert model.sample_rate == 8_000
    assert model.parameters == sum(value.numel() for value in load_network(model).state_dict().values())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))

    def refused(**changes):
        (folder / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
        with pytest.raises(WavechainError) as error:
            load_network(open_model(folder))
        return said_by(error)

    assert "a config never names code" in refused(part="os:system")
    assert "no network is called 'nonsense'" in refused(part="nonsense")
    assert "sample_rate = '8000' is not a int" in refused(sample_rate="8000")
    assert "its format is 'other/9'" in refused(format="other/9")
    assert "layers.0.weight is (4, 1, 9), not (9, 1, 9), in toy-net" in refused(settings={"width": 9})
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    weights = folder / "model.safetensors"
    tensors = safetensors_torch.load_file(weights)
    safetensors_torch.save_file(tensors | {"extra": torch.zeros(2)}, weights)
    with pytest.raises(UnreadableError, match="extra is unknown to toy-net"):
        load_network(open_model(folder))
    whole = weights.read_bytes()
    for size in (0, 7, 60, len(whole) - 1):
        weights.write_bytes(whole[:size])
        with pytest.raises(UnreadableError, match="is truncated"):
            open_model(folder)
    weights.unlink()
    with pytest.raises(UnreadableError, match=r"is not a model: it has no model\.safetensors"):
        open_model(folder)
    with pytest.raises(UnreadableError, match=r"is not a model: it has no config\.json"):
        find_model(tmp_path)
    with pytest.raises(ChainError, match="no model is called 'repiar'"):
        find_model("repiar")


def test_a_model_that_cannot_be_written_leaves_the_old_one(training, recordings, tmp_path, monkeypatch):
    from wavechain.models import write_model

    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = training().train([recordings], tmp_path / "run")
    before = (folder / "model.safetensors").read_bytes()
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UnwritableError, match="the model cannot be written \\(No space left on device\\)"):
        write_model(folder, {"a": torch.zeros(1_000)}, {"part": "toy-net"})
    assert (folder / "model.safetensors").read_bytes() == before
    assert list(folder.glob(".*.tmp")) == []


def test_others_may_read_what_a_run_leaves(training, recordings, tmp_path):
    before = os.umask(0o022)
    try:
        folder = training().train([recordings], tmp_path / "run")
    finally:
        os.umask(before)
    for path in (folder / "config.json", folder / "model.safetensors", checkpoint_of(folder)):
        assert path.stat().st_mode & 0o777 == 0o644


class Bomb:
    """What a pickle can do to who loads it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def pickles(path):
    yield pickle.dumps(Bomb(path))
    yield pickle.dumps(Bomb(path), protocol=0)
    buffer = io.BytesIO()
    torch.save({"network/net/leave.bias": Bomb(path)}, buffer)
    yield buffer.getvalue()


def test_nothing_that_a_pickle_says_is_done(training, recordings, begun, tmp_path):
    from wavechain.models import load_network, open_model

    config = (begun / "config.json").read_text(encoding="utf-8")
    for content in pickles(tmp_path / "went off"):
        for path in (checkpoint_of(begun), begun / "model.safetensors"):
            path.write_bytes(content)
        with pytest.raises(UnreadableError) as error:
            resume(training, recordings, begun)
        assert "checkpoint.safetensors: the checkpoint cannot be read" in said_by(error)
        with pytest.raises(UnreadableError) as error:
            open_model(begun)
        assert "truncated" in said_by(error)
        (begun / "config.json").write_bytes(content)
        with pytest.raises(UnreadableError) as error:
            open_model(begun)
        said_by(error)
        (begun / "config.json").write_text(config, encoding="utf-8")
    assert not (tmp_path / "went off").exists()
    for name in ("toy_recipes:Net", "toy_recipes.Net", "os.system", "torch.nn.Linear", "../toy-net", "toy-net\n"):
        (begun / "config.json").write_text(json.dumps({**json.loads(config), "part": name}), encoding="utf-8")
        with pytest.raises((UnreadableError, ChainError)) as error:
            load_network(open_model(begun))
        said_by(error)


def header(path, change):
    """The file at *path* after *change* of its header."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    told = json.loads(content[8 : 8 + length])
    text = json.dumps(change(told)).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


BIAS = "leave.bias"
HEADERS = [
    lambda told: [],
    lambda told: told | {BIAS: []},
    lambda told: told | {BIAS: told[BIAS] | {"dtype": "F99"}},
    lambda told: told | {BIAS: told[BIAS] | {"dtype": "I8"}},
    lambda told: told | {BIAS: told[BIAS] | {"shape": [-1]}},
    lambda told: told | {BIAS: told[BIAS] | {"shape": ["x"]}},
    lambda told: told | {BIAS: told[BIAS] | {"shape": [float("inf")]}},
    lambda told: told | {BIAS: told[BIAS] | {"data_offsets": []}},
    lambda told: told | {BIAS: told[BIAS] | {"data_offsets": ["0", "x"]}},
    lambda told: told | {BIAS: told[BIAS] | {"data_offsets": [4, 0]}},
    lambda told: told | {BIAS: told["layers.0.bias"]},
    lambda told: {name: value for name, value in told.items() if name != BIAS},
]


def test_weights_whose_header_lies_are_refused(begun):
    from wavechain.models import load_network, open_model

    path = begun / "model.safetensors"
    whole = path.read_bytes()
    for change in HEADERS:
        path.write_bytes(whole)
        header(path, change)
        with pytest.raises(UnreadableError) as error:
            load_network(open_model(begun))
        assert "model.safetensors" in said_by(error)


def test_json_without_end_is_refused(begun):
    from wavechain.models import open_model

    deep = b"[" * 200_000
    (begun / "model.safetensors").write_bytes(struct.pack("<Q", len(deep)) + deep)
    with pytest.raises(UnreadableError):
        open_model(begun)
    (begun / "config.json").write_bytes(deep)
    with pytest.raises(UnreadableError):
        open_model(begun)


def test_weights_that_are_not_numbers_and_settings_that_make_nothing_are_refused(training, recordings, begun):
    from wavechain.models import load_network, open_model

    config = json.loads((begun / "config.json").read_text(encoding="utf-8"))

    def refused(**changes):
        (begun / "config.json").write_text(json.dumps(config | changes), encoding="utf-8")
        with pytest.raises(WavechainError) as error:
            load_network(open_model(begun))
        return said_by(error)

    assert "its settings make no toy-net" in refused(settings={"widht": 4})
    assert "its settings make no toy-net" in refused(settings={"width": "four"})
    assert "its settings make no toy-net" in refused(settings={"width": 10**13})
    assert "sample_rate = -8000 is not a rate" in refused(sample_rate=-8_000)
    (begun / "config.json").write_text(json.dumps(config), encoding="utf-8")
    weights = safetensors_torch.load_file(begun / "model.safetensors")
    weights[BIAS] *= float("nan")
    safetensors_torch.save_file(weights, begun / "model.safetensors")
    with pytest.raises(UnreadableError) as error:
        load_network(open_model(begun))
    assert f"{BIAS} holds what is not a number" in said_by(error)


# Recordings, one by one.


def test_what_cannot_be_trained_on_is_listed_with_its_reason(training, recordings, tmp_path):
    take = Audio.read(recordings / "take-0.wav")
    shutil.copyfile(recordings / "take-0.wav", recordings / "copy.wav")
    (recordings / "corrupt.flac").write_bytes(b"fLaC" + bytes(50))
    silence(sample_rate=8_000).write(recordings / "quiet.wav")
    Audio.of(np.clip(8 * take.waveform, -1, 1), 8_000).write(recordings / "squared.wav")
    Audio.of(take.waveform[:, :400], 8_000).write(recordings / "blip.wav")
    soundfile.write(recordings / "nan.wav", np.full(8_000, np.nan, np.float32), 8_000, subtype="FLOAT")
    said = []
    folder = training().train([recordings], tmp_path / "run", say=said.append)
    with (folder / "train" / "left-out.csv").open(newline="", encoding="utf-8") as file:
        told = {Path(row["file"]).name: row["reason"] for row in csv.DictReader(file)}
    assert sorted(told) == ["blip.wav", "corrupt.flac", "nan.wav", "quiet.wav", "squared.wav", "take-0.wav"]
    assert told["take-0.wav"] == "the same sound as copy.wav"
    assert told["quiet.wav"] == "silence"
    assert told["squared.wav"].startswith("clipped (")
    assert told["blip.wav"] == "0.05 s: too short"
    assert "not" in told["nan.wav"]
    assert len([line for line in said if line.startswith("left out: ")]) == 6
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "6 files left out" in page
    assert "the same sound as copy.wav" in page


def test_links_to_one_file_are_one_recording(recordings, tmp_path):
    from wavechain_trainer.clips import gather

    for number in range(8):
        (recordings / f"z{number}.wav").symlink_to(recordings / "take-0.wav")
    data = gather([recordings], 8_000, tmp_path / "cache")
    reasons = [left.reason for left in data.left]
    assert reasons == ["the same file as take-0.wav"] * 8


def test_folders_of_one_name_are_told_apart(tmp_path):
    from wavechain_trainer.clips import gather
    from wavechain_trainer.pages import data_rows

    for seed, (folder, count) in enumerate((("a", 3), ("b", 2))):
        (tmp_path / folder / "speech").mkdir(parents=True)
        for number in range(count):
            take = music(sample_rate=8_000, seconds=1.0 + seed + number / 4)
            take.write(tmp_path / folder / "speech" / f"{number}.wav")
    data = gather([tmp_path / "a" / "speech", tmp_path / "b" / "speech"], 8_000, tmp_path / "cache", validation=0.5)
    held = [pool.recordings for pool in data.validation]
    assert [row[2].split(" ")[0] for row in data_rows(data)] == [str(len(each)) for each in held] == ["2", "1"]


def test_the_same_sound_is_never_on_both_sides(tmp_path):
    from wavechain_trainer.clips import gather

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for seed in range(6):
            sound = (music(sample_rate=8_000, seconds=1, seed=seed).waveform.T * 32_767).astype(np.int16)
            suffix = "flac" if folder == "b" else "wav"
            soundfile.write(tmp_path / folder / f"{5 - seed if folder == 'a' else seed}.{suffix}", sound, 8_000)
    music(sample_rate=8_000, seconds=1, seed=7).write(tmp_path / "b" / "own.flac")
    music(sample_rate=8_000, seconds=1, seed=8).write(tmp_path / "b" / "own-too.flac")
    data = gather([tmp_path / "a", tmp_path / "b"], 8_000, tmp_path / "cache", validation=0.3)
    sides = [{r.digest for pool in pools for r in pool.recordings} for pools in (data.training, data.validation)]
    assert sides[0] & sides[1] == set()
    assert len(sides[0] | sides[1]) == 8
    assert len(data.left) == 6


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (22_050, 2), (48_000, 2), (96_000, 6)])
def test_any_rate_and_layout_arrives_as_it_sounds(tmp_path, rate, channels):
    from wavechain_trainer.clips import gather

    for seed in range(2):
        music(sample_rate=rate, seconds=1.5, channels=channels, seed=seed).write(tmp_path / f"{seed}.wav")
    (pool,) = gather([tmp_path], 44_100, tmp_path / "cache").training
    recording = pool.recordings[0]
    heard, original = recording.read(0, 10**9), Audio.read(recording.path).waveform[:2]
    assert heard.shape[0] == min(channels, 2)
    assert abs(heard.shape[1] - original.shape[1] * 44_100 / rate) <= 1
    assert float(np.abs(heard).max()) == pytest.approx(float(np.abs(original).max()), rel=0.05)
    assert pool.below(44_100) == (1 if rate < 44_100 else 0)


def test_a_recording_longer_than_a_chunk_is_decoded_as_a_whole(tmp_path, monkeypatch):
    from wavechain_trainer import clips

    for seed in range(2):
        music(sample_rate=48_000, seconds=3, seed=seed).write(tmp_path / f"{seed}.wav")
    whole = clips.gather([tmp_path], 44_100, tmp_path / "one")
    monkeypatch.setattr(clips, "CHUNK", 441 * 10)
    pieces = clips.gather([tmp_path], 44_100, tmp_path / "other")
    assert whole.digest == pieces.digest
    for one, other in zip(whole.training[0].recordings, pieces.training[0].recordings, strict=True):
        assert (one.frames, one.scale, one.level) == (other.frames, other.scale, other.level)


def test_mono_and_stereo_are_strung_together_as_mono(tmp_path):
    from wavechain_trainer.clips import gather, generator

    for seed, channels in enumerate((1, 2, 1, 2)):
        music(sample_rate=8_000, seconds=0.3, channels=channels, seed=seed).write(tmp_path / f"{seed}.wav")
    data = gather([tmp_path], 8_000, tmp_path / "cache")
    shapes = {data.clip(data.training, 16_000, generator(seed)).shape for seed in range(5)}
    assert shapes == {(1, 16_000)}


def test_many_threads_that_load_parts_leave_standard_output_where_it_was():
    import sys
    from concurrent.futures import ThreadPoolExecutor

    from wavechain.registry import registry

    before = sys.stdout
    parts = registry().parts("degradation")
    with ThreadPoolExecutor(8) as workers:
        list(workers.map(lambda part: registry().load_part(part.kind, part.name), parts * 50))
    assert sys.stdout is before
