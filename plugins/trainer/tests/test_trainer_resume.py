"""A run that was cut anywhere and resumed ends with the same bits as one that was not."""

from __future__ import annotations

import json
import signal

import pytest

from wavechain.errors import UsageError

torch = pytest.importorskip("torch")
safetensors_torch = pytest.importorskip("safetensors.torch")

KILL = "train(sys.argv[1], sys.argv[2], progress=killer(int(sys.argv[3])))"
KILL_WHILE_SAVING = """
from wavechain_trainer import checkpoint

count = []

def half(handle):
    count.append(handle)
    if len(count) == 3:  # at steps 0, 7 and 14
        os.truncate(handle, 1000)
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.os.fsync = half
train(sys.argv[1], sys.argv[2])
"""


def bits(folder):
    """Everything of a run that could differ: the last checkpoint, the model, the tables."""
    from wavechain_trainer import checkpoint

    tensors, facts = checkpoint.read(folder / "train" / "checkpoint.safetensors")
    tables = [(folder / "train" / name).read_text(encoding="utf-8") for name in ("log.csv", "validation.csv")]
    model = (folder / "model.safetensors").read_bytes()
    return {name: value.numpy().tobytes() for name, value in tensors.items()}, facts, tables, model


def steps_of(folder):
    from wavechain_trainer import checkpoint

    return checkpoint.read(folder / "train" / "checkpoint.safetensors")[1]["step"]


def test_the_checkpoint_that_a_gan_is_resumed_from_remembers_both_optimisers_and_the_averages(
    training, recordings, tmp_path
):
    from wavechain_trainer import checkpoint

    def stop(step, steps, losses):
        if step == 8:
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="the power went"):
        training("toy-gan").train([recordings], tmp_path / "run", progress=stop)
    tensors, facts = checkpoint.read(tmp_path / "run" / "train" / "checkpoint.safetensors")
    assert (facts["step"], facts["optimizers"]) == (7, [["net"], ["judge"]])
    assert int(tensors["optimizer/judge/0/step"]) == 2
    assert float(tensors["optimizer/judge/0/exp_avg_sq"].sum()) > 0
    averaged, last = (tensors[f"{kind}/net/leave.weight"] for kind in ("average", "network"))
    assert not torch.equal(averaged, last)


def temporaries(folder):
    return [path.name for path in folder.rglob(".*") if path.is_file()]


@pytest.mark.parametrize(
    ("recipe", "at"),
    [
        ("toy-gan", 8),  # 7 steps and a checkpoint, one step that is lost, then 13 steps
        *(
            pytest.param(recipe, at, marks=pytest.mark.slow)
            for recipe in ("toy-gan", "toy-wgan", "toy-vae")
            for at in (1, 7, 8, 15, 19)
            if (recipe, at) != ("toy-gan", 8)
        ),
    ],
)
def test_a_run_that_was_killed_and_resumed_ends_with_the_same_bits(
    training, recordings, elsewhere, tmp_path, recipe, at
):
    training(recipe).train([recordings], tmp_path / "whole")
    code, _ = elsewhere(KILL, recipe, tmp_path / "killed", at)
    assert code == -signal.SIGKILL
    said = []
    training(recipe).train([recordings], tmp_path / "killed", resume=True, say=said.append)
    assert f"resumed at step {(at - 1) // 7 * 7} of 20" in said
    assert bits(tmp_path / "killed") == bits(tmp_path / "whole")
    assert temporaries(tmp_path / "killed") == []


@pytest.mark.slow
def test_a_run_killed_in_the_middle_of_a_checkpoint_goes_on_from_the_one_before(
    training, recordings, elsewhere, tmp_path
):
    training().train([recordings], tmp_path / "whole")
    code, _ = elsewhere(KILL_WHILE_SAVING, "toy-gan", tmp_path / "killed")
    assert code == -signal.SIGKILL
    assert len(temporaries(tmp_path / "killed")) == 1
    said = []
    training().train([recordings], tmp_path / "killed", resume=True, say=said.append)
    assert "resumed at step 7 of 20" in said
    assert temporaries(tmp_path / "killed") == []
    assert bits(tmp_path / "killed") == bits(tmp_path / "whole")


@pytest.mark.parametrize("recipe", ["toy-gan", "toy-wgan", "toy-vae"])
def test_a_run_in_several_stretches_ends_with_the_same_bits(training, recordings, tmp_path, recipe):
    made = training(recipe, average_last=2)
    made.train([recordings], tmp_path / "whole")
    for number, last in enumerate((3, 9, 16)):

        def ask(step, steps, losses, last=last):
            if step == last:
                signal.raise_signal(signal.SIGTERM)

        with pytest.raises(KeyboardInterrupt, match=f"stopped at step {last} of 20"):
            made.train([recordings], tmp_path / "cut", resume=number > 0, progress=ask)
    made.train([recordings], tmp_path / "cut", resume=True)
    assert bits(tmp_path / "cut") == bits(tmp_path / "whole")


def test_another_seed_gives_other_bits(training, recordings, tmp_path):
    one = training().train([recordings], tmp_path / "one")
    other = training(seed=1).train([recordings], tmp_path / "other")
    assert bits(one)[0] != bits(other)[0]


def test_terminate_saves_where_it_is(training, recordings, elsewhere, tmp_path):
    stop = """
    def progress(step, steps, losses):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
    try:
        train("toy-gan", sys.argv[1], progress=progress)
    except KeyboardInterrupt as stopped:
        sys.exit(str(stopped))
    """
    code, told = elsewhere(stop, tmp_path / "stopped")
    assert code == 1
    assert told.strip().endswith("stopped at step 5 of 20; the same command with --resume goes on")
    assert steps_of(tmp_path / "stopped") == 5
    training().train([recordings], tmp_path / "whole")
    training().train([recordings], tmp_path / "stopped", resume=True)
    assert bits(tmp_path / "stopped") == bits(tmp_path / "whole")


def test_a_run_begun_before_a_setting_existed_can_be_resumed(training, recordings, tmp_path):
    folder = training(minutes=1e-9).train([recordings], tmp_path / "run")
    path = folder / "train" / "training.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    for name in ("average_last", "precision", "licence", "tensorboard", "command"):
        del stored[name]
    path.write_text(json.dumps(stored), encoding="utf-8")
    training().train([recordings], folder, resume=True)
    assert steps_of(folder) == 20


def test_a_run_can_begin_with_the_weights_of_another(training, recordings, tmp_path):
    first = training("toy-gan", steps=3).train([recordings], tmp_path / "first")
    again = training("toy-gan", steps=1, learning_rate=1e-9, average=0, start=str(first))
    second = again.train([recordings], tmp_path / "second")
    other = training("toy-gan", steps=1, learning_rate=1e-9, average=0).train([recordings], tmp_path / "other")
    trained, begun, chance = (
        safetensors_torch.load_file(folder / "model.safetensors")["leave.weight"] for folder in (first, second, other)
    )
    torch.testing.assert_close(begun, trained, atol=1e-6, rtol=0)
    assert (chance - trained).abs().max() > 1e-4


def test_a_run_cannot_begin_with_a_network_of_another_kind_or_size(training, recordings, tmp_path):
    first = training("toy-gan", steps=1).train([recordings], tmp_path / "first")
    with pytest.raises(UsageError, match="is of another size than the recipe's network"):
        training("toy-gan", {"width": 3}, start=str(first)).train([recordings], tmp_path / "wider")
    config = json.loads((first / "config.json").read_text(encoding="utf-8"))
    (first / "config.json").write_text(json.dumps(config | {"part": "other"}), encoding="utf-8")
    with pytest.raises(UsageError, match="holds a other; the recipe trains a"):
        training("toy-gan", start=str(first)).train([recordings], tmp_path / "else")
