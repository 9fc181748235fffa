"""What the recipe teaches beside the repair itself: when a repair is worth it, and what others mend before it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from wavechain.errors import ParameterError  # noqa: E402
from wavechain.recipes import Surroundings  # noqa: E402
from wavechain.testing import music  # noqa: E402
from wavechain_gan_repair.faults import FAULTS  # noqa: E402
from wavechain_gan_repair.recipe import RepairRecipe  # noqa: E402

RATE = 44_100


def worth_it(before, after, wanted):
    recipe = RepairRecipe()
    batch = {name: torch.tensor(each)[None, None] for name, each in (("damaged", before), ("wanted", wanted))}
    return recipe._worth_it(batch, torch.tensor(after)[None, None])[0].numpy()


def test_a_repair_is_worth_it_where_it_leaves_less_error_than_it_found():
    wanted = music(sample_rate=RATE, channels=1, seconds=4).waveform[0]
    damaged = wanted + 0.1 * np.random.default_rng(0).standard_normal(wanted.size).astype(np.float32)
    assert worth_it(damaged, wanted, wanted).all()
    assert not worth_it(damaged, damaged, wanted).any()
    assert not worth_it(wanted, damaged, wanted).any()
    half = np.concatenate([wanted[: 2 * RATE], 2 * damaged[2 * RATE :]])
    worth = worth_it(damaged, half, wanted)
    assert worth.size == wanted.size // 512 + 1
    assert worth[:140].all()
    assert not worth[-140:].any()


def test_what_leaves_clean_sound_as_it_was_is_not_worth_it():
    wanted = music(sample_rate=RATE, channels=1, seconds=1).waveform[0]
    assert not worth_it(wanted, wanted, wanted).any()


def prepared(**settings):
    clips = [music(sample_rate=RATE, channels=1, seconds=3, seed=seed).waveform for seed in range(3)]
    rngs = [np.random.default_rng(seed) for seed in range(3)]
    recipe = RepairRecipe(untouched=0, most=1, **{"told": 0, **settings})
    return recipe.prepare(clips, rngs, Surroundings())


def test_a_network_that_cannot_be_built_is_refused():
    with pytest.raises(ParameterError, match=r"network: settings: .*do not all lie between 0 and n_fft / 2 = 256"):
        RepairRecipe(network={"n_fft": 512})
    RepairRecipe(network={"n_fft": 512, "copies": [48, 96]})


@pytest.mark.parametrize(
    "faults",
    [{}, {"clicks": {"weight": 0}}, {"clicks": {"weight": -1}}, {"hum": {"weight": np.inf}}, {"add-noise": {}}],
)
def test_faults_that_cannot_be_drawn_are_refused(faults):
    with pytest.raises(ParameterError, match="no fault 'add-noise'" if "add-noise" in faults else "weights of faults"):
        RepairRecipe(faults=faults)


def test_a_fault_with_a_classical_repair_is_mended_before_the_network_hears_it():
    pytest.importorskip("wavechain_restoration")
    as_it_came = prepared(faults={"clicks": {}})
    mended = prepared(faults={"clicks": {}}, mended=1.0)
    index = FAULTS.index("clicks")
    assert (as_it_came["faults"][:, index] == 1).all()
    assert not mended["faults"].any()
    np.testing.assert_array_equal(mended["wanted"], as_it_came["wanted"])
    np.testing.assert_allclose(mended["mended"], mended["damaged"] - as_it_came["damaged"])
    assert not as_it_came["mended"].any()
    error = [np.square(each["damaged"] - each["wanted"]).sum() for each in (as_it_came, mended)]
    assert error[1] < error[0] / 4


def test_what_is_told_is_not_mended():
    pytest.importorskip("wavechain_restoration")
    told = prepared(faults={"clicks": {}}, mended=1.0, told=1)
    np.testing.assert_array_equal(told["damaged"], prepared(faults={"clicks": {}})["damaged"])
    np.testing.assert_array_equal(told["hint"], told["faults"])
    assert told["hint"].any()


def test_a_fault_that_its_stage_does_not_find_is_still_there(monkeypatch):
    pytest.importorskip("wavechain_restoration")
    monkeypatch.setattr("wavechain_gan_repair.recipe.MENDS", {"declip-consistent": "clip"})
    soft = {"clip": {"soft": 1.0, "by_damage": 0.0, "threshold": (0.9, 0.95)}}
    left = prepared(faults=soft, mended=1.0)
    assert not left["mended"].any()
    assert (left["faults"][:, FAULTS.index("clip")] == 1).all()


def test_a_varied_clip_is_of_its_length_and_keeps_its_highs():
    wanted = prepared(clip_seconds=2.0, varied=1.0)["wanted"]
    assert wanted.shape == (3, 1, 2 * RATE)
    plain = prepared(clip_seconds=2.0)["wanted"][:, :, : 2 * RATE]
    above = [np.abs(np.fft.rfft(each[0, 0]))[2 * 15_000 :].mean() for each in (plain, wanted)]
    assert above[1] > above[0] / 3
    assert not np.allclose(plain, wanted, atol=1e-2)


def test_a_fault_without_one_is_left_to_the_network():
    as_it_came, mended = prepared(faults={"noise": {}}), prepared(faults={"noise": {}}, mended=1.0)
    np.testing.assert_array_equal(mended["damaged"], as_it_came["damaged"])
    assert (mended["faults"][:, FAULTS.index("noise")] == 1).all()
