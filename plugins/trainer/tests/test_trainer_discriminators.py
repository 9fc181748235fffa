"""Discriminators give scores and feature maps of any batch, cost what they say, and can be told from one another."""

from __future__ import annotations

import pytest
from pytest import approx

from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.recipes import part

torch = pytest.importorskip("torch")

SMALL = {
    "multi-period": {"periods": [2, 3], "widths": [8, 16]},
    "multi-resolution": {"sizes": [128, 256], "widths": [4, 4]},
    "complex-multi-band": {"sizes": [128, 256], "width": 4},
    "spectrogram-patch": {"size": 128, "hop": 32, "widths": [4, 8]},
}
PARTS = {"multi-period": 2, "multi-resolution": 2, "complex-multi-band": 2, "spectrogram-patch": 1}


def small(name, **settings):
    torch.manual_seed(0)
    return part("discriminator", name, {**SMALL[name], **settings})


def sound(*shape):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", SMALL)
def test_scores_and_feature_maps_of_each_part_come_out(name):
    scores, features = small(name)(sound(3, 1, 2000))
    assert len(scores) == len(features) == PARTS[name]
    for part_scores, part_features in zip(scores, features, strict=True):
        assert part_scores.ndim == 4
        assert len(part_scores) == 3
        assert len(part_features) >= 2
        assert all(len(layer) == 3 for layer in part_features)


@pytest.mark.parametrize("name", SMALL)
def test_one_channel_judges_each_on_its_own(name):
    judge = small(name)
    stereo = sound(2, 2, 1500)
    scores, _ = judge(stereo)
    left, _ = judge(stereo[:, :1])
    for both, one in zip(scores, left, strict=True):
        torch.testing.assert_close(both[::2], one)


@pytest.mark.parametrize("name", SMALL)
def test_two_channels_are_judged_together(name):
    judge = small(name, channels=2)
    stereo = sound(1, 2, 1500)
    scores, _ = judge(stereo)
    assert all(len(one) == 1 for one in scores)
    narrow, _ = judge(stereo.mean(1, keepdim=True).expand(1, 2, 1500))
    assert not torch.allclose(scores[0], narrow[0])
    with pytest.raises(SpecMismatchError, match=rf"{name} judges .* of 2 channels; this one is \(1, 1, 1500\)"):
        judge(stereo[:, :1])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("norm", ["weight", "spectral", "none"])
def test_gradients_reach_every_weight_and_stay_finite_at_silence(name, norm):
    judge = small(name, norm=norm)
    silence = torch.zeros(1, 1, 1500, requires_grad=True)
    scores, features = judge(silence)
    sum(x.square().mean() for x in [*scores, *(layer for maps in features for layer in maps)]).backward()
    assert torch.isfinite(silence.grad).all()
    assert all(torch.isfinite(weights.grad).all() for weights in judge.parameters())
    scores, _ = judge(sound(1, 1, 1500))
    judge.zero_grad()
    sum(x.square().mean() for x in scores).backward()
    assert all(weights.grad.abs().sum() > 0 for weights in judge.parameters())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("objective", ["wgan-gp", "relativistic"])
def test_penalties_can_be_taken_of_it(name, objective):
    judge = small(name)
    part("loss", objective).penalty(judge, sound(2, 1, 1000), sound(2, 1, 1000) / 2).backward()
    assert any(weights.grad is not None and weights.grad.abs().sum() > 0 for weights in judge.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_a_clip_is_judged_alike_whatever_stands_beside_it(name):
    judge = small(name)
    clips = sound(3, 1, 1500)
    torch.testing.assert_close(judge(clips)[0][0][:1], judge(clips[:1])[0][0])


@pytest.mark.parametrize("name", SMALL)
def test_it_learns_to_tell_noise_from_a_tone(name):
    judge = small(name)
    tone = (0.3 * torch.sin(torch.arange(1500) / 10)).expand(4, 1, 1500)
    objective = part("loss", "lsgan")
    optimiser = torch.optim.Adam(judge.parameters(), 0.01)
    costs = []
    for _ in range(30):
        cost = objective.discriminator(judge(tone)[0], judge(sound(4, 1, 1500))[0])
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
        costs.append(float(cost.detach()))
    assert costs[-1] < 0.4 < 0.5 < costs[0], "0.5 is the cost of knowing nothing"


@pytest.mark.parametrize("name", SMALL)
def test_spectra_stay_in_full_precision_under_autocast(name):
    judge = small(name)
    clips = sound(1, 1, 1500)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert all(view.dtype == torch.float32 for view in judge.views(clips))
        scores, _ = judge(clips)
    torch.testing.assert_close(scores[0].float(), judge(clips)[0][0], atol=0.03, rtol=0.1)


def test_costs_are_counted_by_hand():
    # 1000 frames in rows of 2: 500 rows. Planes 1 -> 4 with stride 3: 167 rows, then 4 -> 8 and 8 -> 1 over 167 rows.
    judge = small("multi-period", periods=[2], widths=[4, 8], norm="none")
    cost = judge.describe(1000)
    assert cost.macs_per_second == 167 * 2 * (5 * 1 * 4 + 5 * 4 * 8 + 3 * 8 * 1)
    assert cost.parameters == (5 * 1 * 4 + 4) + (5 * 4 * 8 + 8) + (3 * 8 * 1 + 1)


@pytest.mark.parametrize(
    ("name", "settings", "gmac"),
    [
        ("multi-period", {}, 1.1),
        ("multi-period", {"widths": [32, 128, 512, 1024, 1024]}, 24.7),
        ("complex-multi-band", {}, 1.9),
    ],
)
def test_the_slim_ones_are_slim(name, settings, gmac):
    with torch.device("meta"):
        cost = part("discriminator", name, settings).describe(44_100)
    assert cost.macs_per_second / 1e9 == approx(gmac, abs=0.06)
    assert str(cost).startswith(f"{name}: ")
    assert f"{cost.macs_per_second / 1e9:.3g} GMAC per second of audio" in str(cost)


def test_describing_changes_nothing():
    judge = small("complex-multi-band")
    before = {name: weights.clone() for name, weights in judge.state_dict().items()}
    judge.describe(8000)
    after = judge.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module._forward_hooks for module in judge.modules())


def test_the_same_seed_makes_the_same_discriminator_and_its_weights_can_be_saved():
    first, second = small("multi-period"), small("multi-period")
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    torch.manual_seed(5)
    third = part("discriminator", "multi-period", SMALL["multi-period"])
    assert not torch.equal(first(sound(1, 1, 500))[0][0], third(sound(1, 1, 500))[0][0])
    third.load_state_dict(first.state_dict())
    assert torch.equal(first(sound(1, 1, 500))[0][0], third(sound(1, 1, 500))[0][0])


def test_wrong_settings_are_refused():
    for name, settings, said in [
        ("multi-period", {"period": [2]}, r"multi-period has no parameter 'period'.* Try: periods"),
        ("multi-period", {"periods": []}, r"multi-period: periods = \[\]: at least one"),
        ("multi-period", {"widths": [0]}, r"multi-period: widths = \[0\]: at least one, each from 1"),
        ("multi-period", {"kernel": 4}, r"multi-period: kernel = 4: an even kernel has no middle"),
        ("multi-period", {"norm": "batch"}, r"norm = 'batch' is not a choice.* Try: one of weight, spectral, none"),
        ("multi-resolution", {"sizes": [8]}, r"multi-resolution: sizes = \[8\]"),
        ("complex-multi-band", {"edges": [0.5, 0.2]}, r"edges = \[0.5, 0.2\] do not rise"),
        ("complex-multi-band", {"sizes": [16], "edges": [0.01]}, r"a window of 16 frames has too few bins"),
    ]:
        with pytest.raises(ParameterError, match=said):
            part("discriminator", name, settings)


def test_a_clip_shorter_than_the_window_is_refused():
    with pytest.raises(SpecMismatchError, match="window of 256 frames needs more than 128"):
        small("multi-resolution")(sound(1, 1, 128))
