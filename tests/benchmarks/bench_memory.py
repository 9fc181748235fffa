"""Peak memory of a three-hour stereo file through highpass, compressor, reverb, loudness and limiter."""

from __future__ import annotations

from pathlib import Path

from bench import cost_of, table, wavechain
from material import make_flac

CHAIN = ("highpass:cutoff_hz=80", "compressor", "reverb", "loudness:target_lufs=-16", "limiter")


def run(folder: Path) -> None:
    rows = []
    for minutes in (1, 180):
        source = make_flac(folder / f"{minutes}.flac", minutes=minutes)
        stages = [part for stage in CHAIN for part in ("-s", stage)]
        cost = cost_of(wavechain("run", source, folder / "memory.flac", "--overwrite", "-q", *stages))
        rows.append([f"{minutes} min", f"{cost.peak_mb:.0f}", f"{cost.cpu:.1f}", f"{cost.wall:.1f}"])
        source.unlink()
    table("highpass | compressor | reverb | loudness | limiter", ["", "peak RSS MB", "CPU s", "seconds"], rows)
