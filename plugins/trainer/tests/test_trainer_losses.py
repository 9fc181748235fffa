"""Losses are what their formulas say, stay finite at silence, and pull a generator towards the data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pytest import approx

from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.recipes import part
from wavechain.registry import registry

torch = pytest.importorskip("torch")

SIGNAL_LOSSES = {
    "multi-resolution-stft": {"sizes": [64, 256]},
    "mel": {"sample_rate": 16_000, "sizes": [64, 256], "mels": [10, 40]},
    "complex-stft": {"size": 256, "hop": 64},
    "waveform": {},
    "si-sdr": {},
    "sdr": {},
}
BEST = {"si-sdr": -30.0, "sdr": -40.0}
OBJECTIVES = {
    "lsgan": {},
    "hinge": {},
    "non-saturating": {},
    "wgan-gp": {"gradient_penalty": 0.25},  # in one dimension a heavy one holds a slope of the wrong sign at -1
    "relativistic": {},
}
REAL, FAKE = [torch.tensor([[2.0, 0.5]]), torch.tensor([[-1.0]])], [torch.tensor([[-2.0, 0.0]]), torch.tensor([[3.0]])]


def loss(name, **settings):
    return part("loss", name, settings)


def noise(*shape, seed=0, rms=0.1):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, rms, shape)).float()


def number(scalar):
    return float(scalar.detach())


def numpy_magnitudes(waveform, size, hop):
    """Frame by frame, with no transform but the definition of the DFT."""
    mirrored = np.pad(waveform, size // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    wave = np.exp(-2j * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(size)) / size)
    frames = [mirrored[at : at + size] * window for at in range(0, len(waveform) + 1, hop)]
    return np.sqrt(np.maximum(np.abs(wave @ np.array(frames).T) ** 2, 1e-7))


def test_every_loss_and_discriminator_that_is_registered_can_be_made():
    told = {(spec.kind, spec.name) for spec in registry().parts() if spec.plugin == "trainer"}
    assert {("loss", name) for name in (*SIGNAL_LOSSES, *OBJECTIVES, "feature-matching")} <= told
    for name, settings in {**SIGNAL_LOSSES, **OBJECTIVES, "feature-matching": {}}.items():
        assert loss(name, **settings).stage_name() == name


def test_multi_resolution_stft_is_the_published_formula_in_numpy():
    estimate, target = noise(3, 1, 1000, seed=1), noise(3, 1, 1000, seed=2, rms=0.3)
    expected = []
    for size in (64, 128):
        found, wanted = (
            np.stack([numpy_magnitudes(item, size, size // 4) for item in x[:, 0].double().numpy()])
            for x in (estimate, target)
        )
        convergence = np.sqrt(np.sum((wanted - found) ** 2)) / np.sqrt(np.sum(wanted**2))
        expected.append(convergence + 0.5 * np.mean(np.abs(np.log(wanted) - np.log(found))))
    measured = loss("multi-resolution-stft", sizes=[64, 128], log_magnitude=0.5)(estimate, target)
    assert number(measured) == approx(np.mean(expected), rel=1e-4)


def test_half_the_level_costs_half_the_convergence_and_the_log_of_two():
    sound = noise(1, 2, 4000)
    assert number(loss("multi-resolution-stft", log_magnitude=0)(sound / 2, sound)) == approx(0.5, rel=1e-4)
    assert number(loss("multi-resolution-stft", convergence=0)(sound / 2, sound)) == approx(math.log(2), rel=1e-3)


def test_mel_counts_decibels_over_twenty():
    sound = noise(2, 1, 8000)
    settings = SIGNAL_LOSSES["mel"]
    assert number(loss("mel", **settings)(sound * 10 ** (-6 / 20), sound)) == approx(6 / 20, rel=1e-3)


def test_a_sine_shows_in_the_mel_band_it_belongs_to_and_no_band_is_empty():
    mel = loss("mel", sample_rate=16_000, sizes=[1024], mels=[320])
    white = mel.log_mel(noise(1, 1, 16_000), 1024, 320)
    assert white.min() > -4, "320 bands over 513 bins, and noise in each of them"
    t = torch.arange(16_000) / 16_000
    tone = mel.log_mel(torch.sin(2 * math.pi * 1000 * t).reshape(1, 1, -1), 1024, 320).mean(-1)[0]
    top = 2595 * math.log10(1 + 8000 / 700)
    assert int(tone.argmax()) == approx(2595 * math.log10(1 + 1000 / 700) / top * 321 - 1, abs=2)


def test_complex_stft_tells_a_turned_phase_from_a_right_one():
    sound = noise(1, 1, 4000)
    upside_down = loss("complex-stft", magnitude=1, complex=0)(-sound, sound)
    assert number(upside_down) == approx(0, abs=1e-12)
    # With the phase turned around, the error is twice the compressed magnitude: 4 E |X|^2c, for c = 1 four times the
    # power of the noise, as bins have the RMS of the noise.
    turned = loss("complex-stft", exponent=1, magnitude=0, complex=1)(-sound, sound)
    assert number(turned) == approx(4 * 0.1**2, rel=0.1)


def test_compression_lifts_what_is_quiet():
    loud, quiet = noise(1, 1, 4000, rms=0.5), noise(1, 1, 4000, rms=0.005)
    flat, lifted = (loss("complex-stft", exponent=c) for c in (1, 0.3))
    ratio = [number(f(0 * quiet, quiet) / f(0 * loud, loud)) for f in (flat, lifted)]
    assert ratio[0] == approx(1e-4, rel=0.1)
    assert ratio[1] > 0.03


def test_waveform_is_the_mean_of_differences():
    estimate, target = torch.tensor([[[1.0, 0.0, 0.5]]]), torch.tensor([[[0.0, 0.0, 1.0]]])
    assert number(loss("waveform")(estimate, target)) == approx(0.5)
    assert number(loss("waveform", norm="l2")(estimate, target)) == approx(1.25 / 3)


def test_si_sdr_is_the_angle_whatever_the_level():
    t = torch.arange(1000) / 1000
    sine, cosine = (f(2 * math.pi * 10 * t).reshape(1, 1, -1) for f in (torch.sin, torch.cos))
    ten_db = 0.3 * (sine + 10**-0.5 * cosine) + 0.2
    assert number(loss("si-sdr", limit_db=120)(ten_db, sine)) == approx(-10, abs=0.01)
    assert number(loss("si-sdr", limit_db=30)(sine, sine)) == approx(-30, abs=0.01)
    assert number(loss("si-sdr", limit_db=0)(ten_db, sine)) == approx(10 * math.log10(1.1), abs=0.01)


def test_sdr_counts_a_wrong_level():
    sound = noise(1, 1, 1000)
    assert number(loss("sdr", limit_db=120)(0.9 * sound, sound)) == approx(-20, abs=0.01)
    assert number(loss("si-sdr", limit_db=120)(0.9 * sound, sound)) < -80


def test_si_sdr_of_a_silent_target_falls_with_the_estimate():
    silent = torch.zeros(1, 1, 1000)
    loud, quiet = (number(loss("si-sdr")(noise(1, 1, 1000, rms=rms), silent)) for rms in (0.1, 0.01))
    assert loud == approx(quiet + 20, abs=0.1)


@pytest.mark.parametrize("name", SIGNAL_LOSSES)
def test_the_right_answer_costs_nothing_more_can_be_gained_from(name):
    sound, other = noise(2, 2, 2000), noise(2, 2, 2000, seed=3)
    function = loss(name, **SIGNAL_LOSSES[name])
    best = number(function(sound, sound))
    assert best == approx(BEST.get(name, 0.0), abs=1e-3)
    assert number(function(other, sound)) > best + 1e-3
    assert number(function(other, sound)) == number(function(other, sound))


@pytest.mark.parametrize("name", SIGNAL_LOSSES)
@pytest.mark.parametrize(("estimate", "target"), [("silence", "noise"), ("noise", "silence"), ("silence", "silence")])
def test_gradients_are_finite_at_silence(name, estimate, target):
    sounds = {"silence": torch.zeros(1, 1, 2000), "noise": noise(1, 1, 2000)}
    guess = sounds[estimate].clone().requires_grad_()
    loss(name, **SIGNAL_LOSSES[name])(guess, sounds[target]).backward()
    assert torch.isfinite(guess.grad).all()


@pytest.mark.parametrize("name", SIGNAL_LOSSES)
def test_gradients_are_those_of_finite_differences(name):
    settings = {
        "multi-resolution-stft": {"sizes": [16]},
        "mel": {"sample_rate": 16_000, "sizes": [16], "mels": [4]},
        "complex-stft": {"size": 16, "hop": 8},
    }
    guess = noise(1, 1, 12, seed=5).double().requires_grad_()
    target = noise(1, 1, 12, seed=6).double()
    function = loss(name, **settings.get(name, {}))
    assert torch.autograd.gradcheck(lambda x: function(x, target), guess)


@pytest.mark.parametrize("name", SIGNAL_LOSSES)
def test_autocast_changes_no_digit(name):
    estimate, target = noise(1, 1, 2000), noise(1, 1, 2000, seed=1)
    function = loss(name, **SIGNAL_LOSSES[name])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = function(estimate, target)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, function(estimate, target))
    assert torch.isfinite(function(estimate.bfloat16(), target))


def test_filters_made_while_only_listening_serve_in_training():
    mel = loss("mel", sample_rate=11_025, sizes=[128], mels=[20])
    with torch.inference_mode():
        mel(noise(1, 1, 500), noise(1, 1, 500, seed=1))
    guess = noise(1, 1, 500).requires_grad_()
    mel(guess, noise(1, 1, 500, seed=1)).backward()
    assert guess.grad.abs().sum() > 0


def test_wrong_waveforms_and_settings_are_refused():
    with pytest.raises(SpecMismatchError, match=r"the estimate is \(1, 1, 9\), the target \(1, 1, 8\)"):
        loss("waveform")(torch.zeros(1, 1, 9), torch.zeros(1, 1, 8))
    with pytest.raises(SpecMismatchError, match=r"window of 512 frames needs more than 256 .*; there are 256"):
        loss("multi-resolution-stft")(torch.zeros(1, 1, 256), torch.zeros(1, 1, 256))
    with pytest.raises(ParameterError, match=r"multi-resolution-stft: sizes = \[8\]: at least one, each from 16"):
        loss("multi-resolution-stft", sizes=[8])
    with pytest.raises(ParameterError, match=r"mel: 1 sizes and 2 numbers of mels"):
        loss("mel", sample_rate=16_000, sizes=[64], mels=[5, 10])
    with pytest.raises(ParameterError, match=r"si-sdr has no parameter 'limit'.* Try: limit_db"):
        loss("si-sdr", limit=3)
    with pytest.raises(ParameterError, match="mel needs sample_rate"):
        loss("mel")


# --- adversarial objectives: two parts, one with scores 2 and 0.5 for real, the other with -1 ----------------------


def softplus(x):
    return math.log1p(math.exp(x))


@pytest.mark.parametrize(
    ("name", "settings", "discriminator", "generator"),
    [
        ("lsgan", {}, ((1 + 0.25) / 2 + 4) / 2 + ((4 + 0) / 2 + 9) / 2, ((9 + 1) / 2 + 4) / 2),
        ("hinge", {}, ((0 + 0.5) / 2 + 2) / 2 + ((0 + 1) / 2 + 4) / 2, ((3 + 1) / 2 + 0) / 2),
        ("hinge", {"bounded": False}, ((0 + 0.5) / 2 + 2) / 2 + ((0 + 1) / 2 + 4) / 2, (1 - 3) / 2),
        (
            "non-saturating",
            {},
            ((softplus(-2) + softplus(-0.5)) / 2 + softplus(1)) / 2
            + ((softplus(-2) + softplus(0)) / 2 + softplus(3)) / 2,
            ((softplus(2) + softplus(0)) / 2 + softplus(-3)) / 2,
        ),
        ("wgan-gp", {}, (-1 + 3) / 2 - (1.25 - 1) / 2, -(-1 + 3) / 2),
        (
            "relativistic",
            {},
            ((softplus(-4) + softplus(-0.5)) / 2 + softplus(4)) / 2,
            ((softplus(4) + softplus(0.5)) / 2 + softplus(-4)) / 2,
        ),
    ],
)
def test_each_objective_is_its_formula(name, settings, discriminator, generator):
    objective = loss(name, **settings)
    assert number(objective.discriminator(REAL, FAKE)) == approx(discriminator, rel=1e-6)
    assert number(objective.generator(FAKE, REAL)) == approx(generator, rel=1e-6)
    if name != "relativistic":
        assert number(objective.generator(FAKE)) == approx(generator, rel=1e-6)


def test_a_smoothed_label_is_cross_entropy_with_that_label():
    measured = loss("non-saturating", real_label=0.9).discriminator(REAL, FAKE)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = sum(
        entropy(real, torch.full_like(real, 0.9)) + entropy(fake, torch.zeros_like(fake))
        for real, fake in zip(REAL, FAKE, strict=True)
    )
    assert number(measured) == approx(number(expected) / 2, rel=1e-6)


def linear_critic(weights):
    """D(x) = w x, as a discriminator of this plugin answers."""
    return lambda clips: ([(clips * weights).flatten(1).sum(1, keepdim=True)], [[]])


def test_the_gradient_penalty_of_a_linear_critic_is_how_far_its_slope_is_from_one():
    weights = torch.tensor([3.0, 4.0])
    objective = loss("wgan-gp", gradient_penalty=10)
    penalty = objective.penalty(linear_critic(weights), noise(5, 1, 2), noise(5, 1, 2, seed=1))
    assert number(penalty) == approx(10 * (5 - 1) ** 2, rel=1e-5)
    assert number(objective.penalty(linear_critic(weights / 5), noise(5, 1, 2), noise(5, 1, 2))) == approx(0, abs=1e-6)


def test_the_gradient_penalty_is_taken_between_real_and_fake():
    # D(x) = x^2 / 2 has slope |x|: between two equal clips of 3 the penalty is (3 - 1)^2, whatever the point drawn.
    three = torch.full((4, 1, 1), 3.0)
    square = lambda clips: clips.flatten(1).square().sum(1) / 2  # noqa: E731
    penalty = loss("wgan-gp", gradient_penalty=1).penalty
    assert number(penalty(square, three, three)) == approx(4)
    assert 0 < number(penalty(square, three, three / 3)) < 4


def test_r1_and_r2_of_a_linear_critic_are_its_squared_slope():
    critic = linear_critic(torch.tensor([3.0, 4.0]))
    real, fake = noise(5, 1, 2), noise(5, 1, 2, seed=1)
    assert number(loss("relativistic", gamma=0.5).penalty(critic, real, fake)) == approx(0.5 / 2 * (25 + 25), rel=1e-5)


def test_finite_differences_estimate_the_exact_penalty():
    torch.manual_seed(0)
    critic = lambda clips: torch.tanh(clips.flatten(1)).sum(1)  # noqa: E731
    real, fake = noise(20_000, 1, 4, rms=1), noise(20_000, 1, 4, seed=1, rms=0.1)
    exact, near = (
        number(loss("relativistic", form=form).penalty(critic, real, fake)) for form in ("exact", "finite-difference")
    )
    assert near == approx(exact, rel=0.03)


@pytest.mark.parametrize("name", ["wgan-gp", "relativistic"])
@pytest.mark.parametrize("form", ["exact", "finite-difference"])
def test_a_penalty_reaches_the_weights_and_not_the_clips(name, form):
    settings = {"form": form} if name == "relativistic" else {}
    weights, real = torch.tensor([3.0, 4.0], requires_grad=True), noise(5, 1, 2).requires_grad_()
    loss(name, **settings).penalty(linear_critic(weights), real, noise(5, 1, 2)).backward()
    assert weights.grad.abs().min() > 0
    assert real.grad is None


def test_objectives_without_a_penalty_say_so():
    for name in OBJECTIVES:
        objective = loss(name)
        assert objective.penalised == (name in ("wgan-gp", "relativistic"))
        if not objective.penalised:
            assert number(objective.penalty(linear_critic(torch.ones(2)), noise(1, 1, 2), noise(1, 1, 2))) == 0


def test_a_relativistic_pair_needs_both():
    with pytest.raises(SpecMismatchError, match="has no scores of real clips"):
        loss("relativistic").generator(FAKE)
    with pytest.raises(SpecMismatchError, match=r"their shapes are \[\(1, 2\), \(1, 1\)\] and \[\(1, 2\)\]"):
        loss("relativistic").discriminator(REAL, FAKE[:1])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_objective_moves_a_generator_of_one_number_towards_the_data(name):
    torch.manual_seed(0)
    objective = loss(name, **OBJECTIVES[name])
    level = torch.zeros(1, requires_grad=True)
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    for_level, for_critic = torch.optim.Adam([level], 0.03), torch.optim.Adam(critic.parameters(), 0.02)
    draw = lambda: (1 + 0.1 * torch.randn(32, 1, 1), level + 0.1 * torch.randn(32, 1, 1))  # noqa: E731
    for _ in range(30):
        for _ in range(4):
            real, fake = draw()
            judged = objective.discriminator([critic(real)], [critic(fake.detach())])
            for_critic.zero_grad()
            (judged + objective.penalty(critic, real, fake)).backward()
            for_critic.step()
        real, fake = draw()
        for_level.zero_grad()
        objective.generator([critic(fake)], [critic(real)]).backward()
        for_level.step()
    assert 0.5 < number(level) < 1.5


def test_feature_matching_is_the_mean_distance_of_maps_and_spares_the_real():
    fake = [[torch.tensor([1.0, 2.0]), torch.tensor([0.0])], [torch.tensor([4.0])]]
    real = [[torch.tensor([2.0, 2.0]), torch.tensor([1.0])], [torch.tensor([2.0])]]
    for layer in (fake[0][0], real[0][0]):
        layer.requires_grad_()
    matched = loss("feature-matching")(fake, real)
    assert number(matched) == approx((0.5 + 1 + 2) / 3)
    matched.backward()
    assert fake[0][0].grad[0] == approx(-0.5 / 3)
    assert real[0][0].grad is None
    assert number(loss("feature-matching", relative=True)(fake, real)) == approx((0.25 + 1 + 1) / 3)
    with pytest.raises(SpecMismatchError, match="3 fake and 2 real feature maps"):
        loss("feature-matching")(fake, real[:1])
