"""Mel spectrogram: how strong the sound is in bands that are as wide as the ear's, column by column.

Conventions: ``(channels, n_mels, hops)``, never negative; bands, scaling and the way back as in
`wavechain_transforms.mel_bands`.
"""

from __future__ import annotations

from typing import ClassVar

from wavechain_transforms.mel_bands import MelBands


class Mel(MelBands):
    _kind: ClassVar[str] = "mel"
