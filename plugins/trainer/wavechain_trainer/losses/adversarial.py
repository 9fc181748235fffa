"""Adversarial objectives: what the scores of a discriminator mean to it, and to the generator that plays against it.

Conventions
    Scores stand in a list of tensors, one for each part of a discriminator, of any shape with the batch first; the
    higher, the more real. What is returned is the mean over the parts of the mean over the scores, so a discriminator
    of many parts weighs no more than one of few.
    `discriminator` and `generator` are minimised, each by its own optimiser. The scores of real clips may be left out
    of the generator's turn, but not for the relativistic objective.
    `penalty` calls the discriminator itself, which may return (scores, features), scores, or one tensor. It is already
    weighted, is computed in float32, draws from torch's generator, and belongs to the discriminator's turn. Real and
    fake waveforms have one shape, the batch first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from wavechain.errors import SpecMismatchError
from wavechain.params import param
from wavechain.stages import Stage
from wavechain_trainer.losses.spectra import autocast_off, full_precision

Scores = Sequence[Tensor]


class Adversarial(Stage, ABC):
    """An objective. `penalised`: its `penalty` is more than zero, and leaving it out is another method."""

    penalised: ClassVar[bool] = False

    @abstractmethod
    def discriminator(self, real_outputs: Scores, fake_outputs: Scores) -> Tensor:
        """What the discriminator should make small."""

    @abstractmethod
    def generator(self, fake_outputs: Scores, real_outputs: Scores | None = None) -> Tensor:
        """What the generator should make small."""

    def penalty(self, discriminator: Callable[[Tensor], Any], real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator should make small besides."""
        return real.new_zeros(())


class LSGAN(Adversarial):
    """Least squares: real scores towards 1, fake ones towards 0.

    Source  X. Mao et al., Least Squares Generative Adversarial Networks, ICCV 2017 (arXiv 1611.04076)
    """

    def discriminator(self, real_outputs: Scores, fake_outputs: Scores) -> Tensor:
        return _mean(real_outputs, lambda real: (1 - real).square()) + _mean(fake_outputs, torch.square)

    def generator(self, fake_outputs: Scores, real_outputs: Scores | None = None) -> Tensor:
        return _mean(fake_outputs, lambda fake: (1 - fake).square())


class Hinge(Adversarial):
    """Hinge: real scores above 1, fake ones below -1, and no credit for more.

    Source  J. H. Lim, J. C. Ye, Geometric GAN (arXiv 1705.02894); bounded for the generator too: N. Zeghidour et al.,
            SoundStream (arXiv 2107.03312)
    """

    bounded: bool = param(True, help="No credit for the generator either once its scores are above 1.")

    def discriminator(self, real_outputs: Scores, fake_outputs: Scores) -> Tensor:
        return _mean(real_outputs, lambda real: functional.relu(1 - real)) + _mean(
            fake_outputs, lambda fake: functional.relu(1 + fake)
        )

    def generator(self, fake_outputs: Scores, real_outputs: Scores | None = None) -> Tensor:
        return _mean(fake_outputs, lambda fake: functional.relu(1 - fake) if self.bounded else -fake)


class NonSaturating(Adversarial):
    """Cross-entropy of real against fake, scores being log odds; the generator raises the log probability of being
    taken for real, which keeps its gradient where the discriminator is sure.

    Source  I. Goodfellow et al., Generative Adversarial Nets, NeurIPS 2014 (arXiv 1406.2661); one-sided smoothing:
            T. Salimans et al., Improved Techniques for Training GANs, 2016 (arXiv 1606.03498)
    """

    real_label: float = param(1.0, gt=0.5, le=1, help="What the discriminator is told of real clips: 0.9 smooths.")

    def discriminator(self, real_outputs: Scores, fake_outputs: Scores) -> Tensor:
        # Cross-entropy with label y of log odds s: softplus(s) - y s, which for y = 1 is softplus(-s).
        return _mean(real_outputs, lambda real: functional.softplus(-real) + (1 - self.real_label) * real) + _mean(
            fake_outputs, functional.softplus
        )

    def generator(self, fake_outputs: Scores, real_outputs: Scores | None = None) -> Tensor:
        return _mean(fake_outputs, lambda fake: functional.softplus(-fake))


class WganGp(Adversarial):
    """Wasserstein distance through a critic whose slope is kept near one, between real and fake clips.

    Source  I. Gulrajani et al., Improved Training of Wasserstein GANs, NeurIPS 2017 (arXiv 1704.00028)
    """

    penalised: ClassVar[bool] = True
    gradient_penalty: float = param(10.0, ge=0, le=10_000, help="Weight of the squared deviation of the slope from 1.")

    def discriminator(self, real_outputs: Scores, fake_outputs: Scores) -> Tensor:
        return _mean(fake_outputs) - _mean(real_outputs)

    def generator(self, fake_outputs: Scores, real_outputs: Scores | None = None) -> Tensor:
        return -_mean(fake_outputs)

    def penalty(self, discriminator: Callable[[Tensor], Any], real: Tensor, fake: Tensor) -> Tensor:
        with autocast_off(real):
            real, fake = full_precision(real.detach(), fake.detach())
            where = torch.rand([len(real)] + [1] * (real.ndim - 1), dtype=real.dtype, device=real.device)
            energy = _gradient_energy(discriminator, torch.lerp(fake, real, where))
            slope = (energy + 1e-12).sqrt()  # the root of zero has no slope
            return self.gradient_penalty * (slope - 1).square().mean()


class Relativistic(Adversarial):
    """Each fake clip against the real one beside it: the discriminator raises the difference, the generator lowers it;
    R1 and R2 keep the discriminator's slope small on real and on fake clips, without which this need not converge.

    The exact form takes gradients of gradients. The finite-difference form looks at the score of the clip with a little
    noise on it: E ((D(x + s n) - D(x)) / s)^2 over unit noise n tends to the squared slope as s tends to zero, which
    needs no double backward.

    Source  A. Jolicoeur-Martineau (arXiv 1807.00734); Y. Huang et al., The GAN is dead; long live the GAN!,
            NeurIPS 2024 (arXiv 2501.05441); finite differences: S. Lin et al. (arXiv 2501.08316)
    """

    penalised: ClassVar[bool] = True
    gamma: float = param(1.0, ge=0, le=10_000, help="Half of it weighs the squared slope, on real and on fake clips.")
    form: Literal["exact", "finite-difference"] = param("exact", help="How slopes are found.")
    step: float = param(0.01, gt=0, le=1, help="RMS of the noise of the finite-difference form, re full scale.")

    def discriminator(self, real_outputs: Scores, fake_outputs: Scores) -> Tensor:
        return _mean(_differences(real_outputs, fake_outputs), lambda ahead: functional.softplus(-ahead))

    def generator(self, fake_outputs: Scores, real_outputs: Scores | None = None) -> Tensor:
        if real_outputs is None:
            raise SpecMismatchError(
                "relativistic: the generator's turn has no scores of real clips.",
                hint="generator(fake_outputs, real_outputs).",
            )
        return _mean(_differences(fake_outputs, real_outputs), lambda ahead: functional.softplus(-ahead))

    def penalty(self, discriminator: Callable[[Tensor], Any], real: Tensor, fake: Tensor) -> Tensor:
        squared_slope = _gradient_energy if self.form == "exact" else self._noise_energy
        with autocast_off(real):
            clips = full_precision(real.detach(), fake.detach())
            return self.gamma / 2 * sum((squared_slope(discriminator, x).mean() for x in clips), real.new_zeros(()))

    def _noise_energy(self, discriminator: Callable[[Tensor], Any], clips: Tensor) -> Tensor:
        noise = torch.randn_like(clips)
        moved = _clip_scores(discriminator(clips + self.step * noise)) - _clip_scores(discriminator(clips))
        return (moved / self.step).square()


def _mean(scores: Scores, cost: Callable[[Tensor], Tensor] = lambda score: score) -> Tensor:
    return torch.stack([cost(*full_precision(score)).mean() for score in scores]).mean()


def _differences(scores: Scores, others: Scores) -> list[Tensor]:
    if [score.shape for score in scores] != [other.shape for other in others]:
        raise SpecMismatchError(
            f"relativistic pairs real and fake scores; their shapes are {[tuple(score.shape) for score in scores]} and "
            f"{[tuple(other.shape) for other in others]}.",
            hint="as many clips, of one length, in both batches.",
        )
    return [score.float() - other.float() for score, other in zip(scores, others, strict=True)]


def _clip_scores(output: Any) -> Tensor:
    """One score for each clip, whatever a discriminator returns: the mean over its parts and over all but the batch."""
    scores = output[0] if isinstance(output, tuple) else output
    parts = [scores] if isinstance(scores, Tensor) else list(scores)
    return torch.stack([part.flatten(1).mean(1) if part.ndim > 1 else part for part in parts]).mean(0)


def _gradient_energy(discriminator: Callable[[Tensor], Any], clips: Tensor) -> Tensor:
    """Squared norm of the gradient of each clip's score with respect to the clip. Shape (batch, …) -> (batch,)"""
    clips = clips.requires_grad_()
    with torch.enable_grad():
        total = _clip_scores(discriminator(clips)).sum()
        (slope,) = torch.autograd.grad(total, clips, create_graph=True)
    return slope.flatten(1).square().sum(1)
