"""The neural repair: CPU time on one thread in both runtimes, how far they agree, and the memory of three hours."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from bench import cost_of, table, wavechain
from material import make_flac

SECONDS = 60
REPEATS = 3


def run(folder: Path) -> None:
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    _runtimes()
    _memory(folder)


def _runtimes() -> None:
    from wavechain import Audio
    from wavechain.registry import registry
    from wavechain.registry.specs import is_installed
    from wavechain.testing import music, noise

    rows, heard = [], {}
    for sample_rate, channels in ((48_000, 1), (44_100, 2), (16_000, 1)):
        sound = music(sample_rate=sample_rate, channels=channels, seconds=SECONDS).waveform
        hiss = noise(sample_rate=sample_rate, channels=channels, seconds=SECONDS).waveform
        audio = Audio.of(sound / 2 + hiss / 20, sample_rate)
        for backend, package in (("onnx", "onnxruntime"), ("torch", "torch")):
            if not is_installed(package):
                continue
            if backend == "torch":
                import torch

                torch.set_num_threads(1)
            stage = registry().load("denoise")(backend=backend)
            stage(Audio.of(audio.waveform[:, :sample_rate], sample_rate))  # loading is not counted
            spent = []
            for _ in range(REPEATS):
                start = time.process_time()
                heard[backend] = stage(audio).waveform
                spent.append(time.process_time() - start)
            cost = min(spent)
            rows.append([f"{sample_rate} Hz, {channels} ch", backend, f"{cost:.2f}", f"{cost / SECONDS:.4f}"])
        if len(heard) == 2:
            difference = np.abs(heard["onnx"] - heard["torch"]).max()
            rows[-1].append(f"{difference:.1e}")
    rows = [[*row, *[""] * (5 - len(row))] for row in rows]
    table(
        "denoise, one thread",
        ["stream", "runtime", "CPU s / audio min", "real-time factor", "largest difference"],
        rows,
    )


def _memory(folder: Path) -> None:
    rows = []
    for minutes in (1, 180):
        source = make_flac(folder / f"{minutes}.flac", minutes=minutes)
        cost = cost_of(wavechain("run", source, folder / "repaired.flac", "--overwrite", "-q", "-s", "repair"))
        rows.append([f"{minutes} min", f"{cost.peak_mb:.0f}", f"{cost.cpu:.1f}", f"{cost.wall:.1f}"])
        source.unlink()
    table("repair, stereo FLAC to FLAC", ["", "peak RSS MB", "CPU s", "seconds"], rows)


if __name__ == "__main__":
    sys.exit("python tests/benchmarks/bench.py repair")
