"""FLAC to FLAC through six effects: wavechain, the same native calls by hand, SoX, FFmpeg."""

from __future__ import annotations

import sys
from pathlib import Path

from bench import HERE, Cost, cost_of, have, table, take_turns, wavechain
from material import make_flac, make_room

MINUTES = 30
STAGES = (
    "highpass-filter:cutoff_hz=80",
    "low-shelf-filter:cutoff_hz=200,gain_db=2",
    "peak-filter:cutoff_hz=1000,gain_db=1.5,q=1",
    "compressor:threshold_db=-18,ratio=3,attack_ms=10,release_ms=150",
    "reverb:room_size=0.4,wet_level=0.1,dry_level=0.7",
    "limiter:threshold_db=-2,release_ms=100",
)
SOX = "highpass 80 bass +2 200 equalizer 1000 1q 1.5 compand 0.01,0.15 -70,-70,-18,-18,0,-12 reverb 20 gain -l"
FFMPEG = (
    "[0:a]highpass=f=80,lowshelf=f=200:g=2,equalizer=f=1000:t=q:w=1:g=1.5,"
    "acompressor=threshold=0.126:ratio=3:attack=10:release=150[dry];"
    "[dry][1:a]afir=dry=7:wet=1[wet];[wet]alimiter=limit=0.8:release=100[out]"
)


def run(folder: Path) -> None:
    source = make_flac(folder / "half-hour.flac", minutes=MINUTES)
    stages = [part for stage in STAGES for part in ("-s", stage)]
    contenders = {
        "by hand (pedalboard, soundfile)": lambda: cost_of(
            [sys.executable, HERE / "by_hand.py", source, folder / "h.flac"]
        ),
        "wavechain": lambda: cost_of(wavechain("run", source, folder / "w.flac", "--overwrite", "-q", *stages)),
    }
    if sox := have("sox"):
        contenders["sox (nearest chain)"] = lambda: cost_of([sox, source, folder / "s.flac", *SOX.split()])
    if ffmpeg := have("ffmpeg"):
        room = make_room(folder / "room.wav")  # FFmpeg has no reverb but convolution
        inputs = ["-i", source, "-i", room]
        contenders["ffmpeg (nearest chain)"] = lambda: cost_of(
            [ffmpeg, "-v", "error", "-y", *inputs, "-filter_complex", FFMPEG, "-map", "[out]", folder / "f.flac"]
        )
    costs: dict[str, Cost] = take_turns(contenders, rounds=5)
    floor = costs["by hand (pedalboard, soundfile)"].cpu
    rows = [
        [name, f"{cost.cpu:.2f}", f"{cost.cpu * 60 / MINUTES:.1f}", f"{cost.cpu / floor:.3f}", f"{cost.peak_mb:.0f}"]
        for name, cost in costs.items()
    ]
    rows += [[f"{name}: not installed", "", "", "", ""] for name in ("sox", "ffmpeg") if not have(name)]
    table(
        f"six effects, FLAC to FLAC, {MINUTES} min of 44.1 kHz stereo",
        ["", "CPU s", "CPU s per hour", "against by hand", "peak MB"],
        rows,
    )
