"""pedalboard's filters: gentle high- and low-pass, the equaliser's bell and shelves, and a synthesiser's ladder.

Conventions: any channel count, every channel alike; length unchanged (what rings after the last frame is dropped); a
frequency must lie below half the sample rate. They run in float32; essentials has `highpass`, `lowpass`, `peak`,
`low-shelf` and `high-shelf` in float64.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import pedalboard

from wavechain import Spec, param
from wavechain_pedalboard.hosting import PedalboardEffect

_MODES = {
    "lowpass-12": pedalboard.LadderFilter.LPF12,
    "highpass-12": pedalboard.LadderFilter.HPF12,
    "bandpass-12": pedalboard.LadderFilter.BPF12,
    "lowpass-24": pedalboard.LadderFilter.LPF24,
    "highpass-24": pedalboard.LadderFilter.HPF24,
    "bandpass-24": pedalboard.LadderFilter.BPF24,
}


class _Filter(PedalboardEffect):
    frequencies = ("cutoff_hz",)
    called: ClassVar[dict[str, str]] = {"cutoff_hz": "cutoff_frequency_hz"}


class HighpassFilter(_Filter):
    """Thin out what is below a frequency, by 6 dB an octave."""

    pedal = pedalboard.HighpassFilter
    cost: ClassVar[float] = 1.7

    cutoff_hz: float = param(50.0, unit="Hz", ge=1, le=96_000, help="Where the level has fallen by 3 dB.")


class LowpassFilter(_Filter):
    """Thin out what is above a frequency, by 6 dB an octave."""

    pedal = pedalboard.LowpassFilter
    cost: ClassVar[float] = 1.7

    cutoff_hz: float = param(50.0, unit="Hz", ge=1, le=96_000, help="Where the level has fallen by 3 dB.")


class HighShelfFilter(_Filter):
    """Raise or lower everything above a frequency."""

    pedal = pedalboard.HighShelfFilter
    cost: ClassVar[float] = 1.9

    cutoff_hz: float = param(440.0, unit="Hz", ge=1, le=96_000, help="Where half of the gain (in dB) is reached.")
    gain_db: float = param(0.0, unit="dB", ge=-40, le=40, help="How much the highs move up (+) or down (-).")
    q: float = param(0.7071, ge=0.1, le=10, help="Steepness; above 0.71 the curve overshoots beside the corner.")


class LowShelfFilter(_Filter):
    """Raise or lower everything below a frequency."""

    pedal = pedalboard.LowShelfFilter
    cost: ClassVar[float] = 1.9

    cutoff_hz: float = param(440.0, unit="Hz", ge=1, le=96_000, help="Where half of the gain (in dB) is reached.")
    gain_db: float = param(0.0, unit="dB", ge=-40, le=40, help="How much the lows move up (+) or down (-).")
    q: float = param(0.7071, ge=0.1, le=10, help="Steepness; above 0.71 the curve overshoots beside the corner.")


class PeakFilter(_Filter):
    """Raise or lower what is around a frequency: the equaliser's bell."""

    pedal = pedalboard.PeakFilter
    cost: ClassVar[float] = 1.9

    cutoff_hz: float = param(440.0, unit="Hz", ge=1, le=96_000, help="The middle of the bell.")
    gain_db: float = param(0.0, unit="dB", ge=-40, le=40, help="How much the middle moves up (+) or down (-).")
    q: float = param(0.7071, ge=0.1, le=100, help="Narrowness: 0.7 is two octaves wide, 1.4 one, 4.3 a third of one.")


class LadderFilter(PedalboardEffect):
    """The filter of early synthesisers: steep, with a whistle at its corner and a growl when driven."""

    pedal = pedalboard.LadderFilter
    frequencies = ("cutoff_hz",)
    cost: ClassVar[float] = 4.5

    mode: Literal["lowpass-12", "highpass-12", "bandpass-12", "lowpass-24", "highpass-24", "bandpass-24"] = param(
        "lowpass-12", help="What passes, and how steeply the rest falls: 12 or 24 dB an octave."
    )
    cutoff_hz: float = param(200.0, unit="Hz", ge=10, le=96_000, help="The corner, where resonance whistles.")
    resonance: float = param(0.0, ge=0, le=1, help="How much the corner stands out; near 1 it whistles on its own.")
    drive: float = param(1.0, ge=1, le=100, help="How hard the signal is pushed into the filter; above 1 it saturates.")

    def settings(self, spec: Spec) -> dict[str, Any]:
        return self.model_dump() | {"mode": _MODES[self.mode]}
