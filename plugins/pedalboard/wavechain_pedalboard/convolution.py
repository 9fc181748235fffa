"""Convolution: the sound of a place or a box, from a recording of an impulse in it.

Conventions: a mono impulse response serves every channel of any stream; a stereo one serves left and right of a stereo
stream. The output is longer than the input by the impulse response, less one frame. The response is resampled to the
stream's rate, and pedalboard scales it to a fixed energy, so that responses of any level come out about equally loud.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pedalboard
from pedalboard.io import AudioFile

from wavechain import Block, Spec, param
from wavechain.errors import ParameterError, SpecMismatchError
from wavechain_pedalboard.hosting import PedalboardEffect

LONGEST_SECONDS = 60


class Convolution(PedalboardEffect):
    """Play the sound through a recorded room, spring, speaker or anything else that was hit once and recorded."""

    pedal = pedalboard.Convolution
    channels_each = 2
    cost: ClassVar[float] = 20.0

    impulse_response_filename: Path = param(help="The recording of the impulse: a WAV, AIFF, FLAC, Ogg or MP3 file.")
    mix: float = param(1.0, ge=0, le=1, help="0 is the sound alone, 1 what the response makes of it.")

    def settings(self, spec: Spec) -> dict[str, Any]:
        response, sample_rate = self._response()
        return {"impulse_response_filename": response, "sample_rate": sample_rate, "mix": self.mix}

    def check(self, spec: Spec) -> None:
        response, _ = self._response()
        if response.shape[0] > 1 and response.shape[0] != spec.channels:
            raise SpecMismatchError(
                f"{self.impulse_response_filename} has {response.shape[0]} channels; the stream has {spec.channels}.",
                hint="a mono impulse response, or channels:layout=stereo before it.",
            )

    def tail_seconds(self, spec: Spec) -> float:
        response, sample_rate = self._response()
        return (response.shape[-1] - 1) / sample_rate if self.mix > 0 else 0.0

    def _response(self) -> tuple[Block, float]:
        path = self.impulse_response_filename
        try:
            facts = path.stat()
        except OSError as error:
            raise ParameterError(
                f"{path} cannot be read: {error.strerror}.", hint="the path of an impulse response."
            ) from None
        return _read(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, modified: int, size: int) -> tuple[Block, float]:
    """Shape -> (channels, frames), and its rate. *modified* and *size* tell one state of the file from another."""
    try:
        with AudioFile(str(path)) as file:
            sample_rate = float(file.samplerate)
            if file.frames > LONGEST_SECONDS * sample_rate:
                raise ParameterError(
                    f"{path} is {file.frames / sample_rate:.0f} s long; the limit is {LONGEST_SECONDS} s.",
                    hint="an impulse response, not a piece of music.",
                )
            response = file.read(int(file.frames))
    except (ValueError, RuntimeError) as error:
        raise ParameterError(f"{path} is not audio that can be read.", hint="a WAV file.") from error
    if response.shape[0] > 2:
        raise ParameterError(f"{path} has {response.shape[0]} channels.", hint="a mono or stereo file.")
    if not np.isfinite(response).all() or not response.any():
        raise ParameterError(f"{path} holds silence or non-finite samples.", hint="another file.")
    return response, sample_rate
