"""One trainer for every family: GAN, vocoder, VAE, WaveNet, diffusion; it never knows which it trains."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from wavechain.models import find_model
from wavechain.registry import registry

torch = pytest.importorskip("torch")

FAMILIES = ("wavegan", "spectrogram-gan", "vocoder", "vae", "wavenet", "diffusion")
# How often each network moved in three steps.
MOVES = {
    "wavegan": {"critic": 15, "net": 3},
    "spectrogram-gan": {"judge": 3, "net": 3},
    "vocoder": {"judge": 3, "net": 3},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_three_steps_of_any_family_leave_a_model_that_makes_sound_from_a_seed(training, recordings, tmp_path, family):
    from wavechain_trainer import checkpoint

    torch.manual_seed(0)  # as the run does
    before = registry().load_part("recipe", family)().networks()["net"].state_dict()
    folder = training(family, steps=3, validate_every=3, average=0.0).train([recordings], tmp_path / "run")
    tensors, facts = checkpoint.read(folder / "train" / "checkpoint.safetensors")
    assert facts["step"] == 3
    moved = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/") and name.endswith("/step"):
            moved[name.split("/")[1]] = int(tensor)
    assert moved == MOVES.get(family, {"net": 3})
    assert any(not torch.equal(tensors[f"network/net/{name}"], value) for name, value in before.items())
    with (folder / "train" / "log.csv").open(newline="", encoding="utf-8") as file:
        values = [float(row["value"]) for row in csv.DictReader(file)]
    assert values
    assert np.isfinite(values).all()
    dream = registry().load("toy-dream")(model=str(folder))
    assert find_model(folder).config["capabilities"] == ["sample"]
    one, again, other = (dream.sample(0.13, seed=seed) for seed in (1, 1, 2))
    assert one.waveform.shape == (1, 1040)
    assert np.isfinite(one.waveform).all()
    np.testing.assert_array_equal(one.waveform, again.waveform)
    assert not np.array_equal(one.waveform, other.waveform)
    assert np.ptp(one.waveform) > 0


def test_a_diffusion_model_learns_what_noise_is(training, recordings, tmp_path):
    folder = training("diffusion", steps=150, validate_every=150, learning_rate=1e-2).train(
        [recordings], tmp_path / "run"
    )
    with (folder / "train" / "log.csv").open(newline="", encoding="utf-8") as file:
        losses = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "learn/noise"]
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:5])
