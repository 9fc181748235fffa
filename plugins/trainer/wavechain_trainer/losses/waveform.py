"""Waveform losses: sample by sample, phase and level and all."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from wavechain.params import param
from wavechain.stages import Stage
from wavechain_trainer.losses.spectra import autocast_off, check_pair, full_precision

SMALLEST_ENERGY = 1e-8  # of a channel: a full second of 48 kHz silence with one sample at -80 dBFS


class Waveform(Stage):
    """Mean absolute (l1) or squared (l2) difference of samples."""

    norm: Literal["l1", "l2"] = param("l1", help="l1 forgives a few large errors, l2 many small ones.")

    def __call__(self, estimate: Tensor, target: Tensor) -> Any:
        """Shape (batch, channels, frames) twice -> ()"""
        check_pair(self.stage_name(), estimate, target)
        with autocast_off(estimate):
            found, wanted = full_precision(estimate, target)
            difference = found - wanted
            return difference.abs().mean() if self.norm == "l1" else difference.square().mean()


class SiSdr(Stage):
    """Minus the scale-invariant signal-to-distortion ratio in decibels, the mean over channels; means removed.

    A perfect estimate of one clip would otherwise outweigh all others, as the ratio has no upper end; it saturates at
    `limit_db`. Where the target is silent, the loss grows with the level of the estimate.

    Source  J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, SDR: half-baked or well done?, ICASSP 2019
            (arXiv 1811.02508); the soft limit: S. Wisdom et al., Unsupervised sound separation using mixture invariant
            training, NeurIPS 2020 (arXiv 2006.12701)
    """

    limit_db: float = param(30.0, unit="dB", ge=0, le=120, help="Where better stops counting, softly.")

    def __call__(self, estimate: Tensor, target: Tensor) -> Any:
        """Shape (batch, channels, frames) twice -> ()"""
        check_pair(self.stage_name(), estimate, target)
        with autocast_off(estimate):
            found, wanted = (x - x.mean(-1, keepdim=True) for x in full_precision(estimate, target))
            energy = wanted.square().sum(-1, keepdim=True) + SMALLEST_ENERGY
            image = (found * wanted).sum(-1, keepdim=True) / energy * wanted
            kept = image.square().sum(-1)
            spoilt = (found - image).square().sum(-1) + 10 ** (-self.limit_db / 10) * kept
            ratio = torch.log((kept + SMALLEST_ENERGY) / (spoilt + SMALLEST_ENERGY))
            return -10 / math.log(10) * ratio.mean()


class Sdr(Stage):
    """Minus the ratio of the signal to all that differs from it, level included, in decibels; the mean over channels.

    As `si-sdr`, but a wrong level is an error as well: what shall leave clean sound alone has to be told so.
    """

    limit_db: float = param(40.0, unit="dB", ge=0, le=120, help="Where better stops counting, softly.")

    def __call__(self, estimate: Tensor, target: Tensor) -> Any:
        """Shape (batch, channels, frames) twice -> ()"""
        check_pair(self.stage_name(), estimate, target)
        with autocast_off(estimate):
            found, wanted = full_precision(estimate, target)
            energy = wanted.square().sum(-1)
            spoilt = (found - wanted).square().sum(-1) + 10 ** (-self.limit_db / 10) * energy
            ratio = torch.log((energy + SMALLEST_ENERGY) / (spoilt + SMALLEST_ENERGY))
            return -10 / math.log(10) * ratio.mean()
