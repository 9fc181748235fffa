"""The classical repair: CPU time of each stage on clean and on damaged sound, and how much nearer it comes to clean.

The damage is that of the trainer's degradations with their defaults, several times over with seeds of their own; the
sound is the recordings of ``tests/data``, mono. A stage's gain is the median over them of SI-SDR after less before.
FFmpeg's filters stand beside the stages where they do the same and ``ffmpeg`` is installed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from bench import have, table

from wavechain import Audio

RECORDINGS = ("guit_em9.flac", "loop_compus.flac")
SEEDS = 4
PATIENCE_SECONDS = 60  # for one recording: adeclip may take for ever where much is clipped
STAGES = {
    "ar-declick": ("clicks", {}, "adeclick"),
    "ar-fill": ("dropouts", {}, ""),
    "declip-consistent": ("clip", {"soft": 0.0}, "adeclip"),
    "declip-soft": ("clip", {"soft": 1.0}, ""),
    "raise-dips": ("dropouts", {"silent": 0.0}, ""),
    "comb-dehum": ("hum", {}, ""),
}

Sound = npt.NDArray[np.float32]


def run(folder: Path) -> None:
    from wavechain.registry import registry

    clean = [_mono(Path(__file__).parents[1] / "data" / name) for name in RECORDINGS]
    rows = []
    for name, (fault, settings, peer) in STAGES.items():
        degradation = registry().load_part("degradation", fault)(**settings)
        damaged = _damaged(clean, degradation)
        stage = registry().load(name)()
        rows.append(_row(name, lambda audio, stage=stage: stage(audio).waveform, clean, damaged))
        if peer and have("ffmpeg"):
            try:
                row = _row(f"ffmpeg {peer}", lambda audio, peer=peer: _ffmpeg(peer, audio, folder), clean, damaged)
            except subprocess.TimeoutExpired:
                row = [f"ffmpeg {peer}", "-", f"not within {PATIENCE_SECONDS} s", "-", "-", "-"]
            rows.append(row)
    table(
        "classical repair, 44.1 kHz mono",
        ["", "CPU s / min, clean", "damaged", "SI-SDR before", "gain", "worst change of clean"],
        rows,
    )


def _mono(path: Path) -> Audio:
    whole = Audio.read(path)
    return Audio.of(whole.waveform[:1], whole.sample_rate)


def _damaged(clean: list[Audio], degradation) -> list[tuple[Audio, Audio]]:
    """Pairs of clean and damaged."""
    from wavechain.recipes import Surroundings

    pairs = []
    for number, audio in enumerate(clean):
        for seed in range(SEEDS):
            rng = np.random.default_rng([number, seed])
            worse, wanted = degradation.apply(audio.waveform, audio.sample_rate, rng, Surroundings())
            pairs.append((Audio.of(wanted, audio.sample_rate), Audio.of(worse, audio.sample_rate)))
    return pairs


def _row(
    name: str, repair: Callable[[Audio], Sound], clean: list[Audio], damaged: list[tuple[Audio, Audio]]
) -> list[str]:
    kept, spent_clean = _timed(repair, clean)
    repaired, spent = _timed(repair, [worse for _, worse in damaged])
    before = [_si_sdr(wanted.waveform, worse.waveform) for wanted, worse in damaged]
    after = [_si_sdr(wanted.waveform, found) for (wanted, _), found in zip(damaged, repaired, strict=True)]
    change = max(_change_db(audio.waveform, found) for audio, found in zip(clean, kept, strict=True))
    return [
        name,
        f"{spent_clean:.2f}",
        f"{spent:.2f}",
        f"{statistics.median(before):.1f} dB",
        f"{statistics.median(np.subtract(after, before)):+.1f} dB",
        "none" if change == -np.inf else f"{change:.0f} dB",
    ]


def _timed(repair: Callable[[Audio], Sound], sounds: list[Audio]) -> tuple[list[Sound], float]:
    """Results, and CPU seconds a minute of sound, of programs that were started too."""
    start = sum(os.times()[:4])
    results = [repair(audio) for audio in sounds]
    return results, (sum(os.times()[:4]) - start) / (sum(audio.seconds for audio in sounds) / 60)


def _ffmpeg(expression: str, audio: Audio, folder: Path) -> Sound:
    given, made = folder / "given.wav", folder / "made.wav"
    soundfile.write(given, audio.waveform.T, audio.sample_rate, "FLOAT")
    options = ["-v", "error", "-y", "-threads", "1", "-i", given, "-af", expression, "-c:a", "pcm_f32le", made]
    subprocess.run([have("ffmpeg"), *options], check=True, timeout=PATIENCE_SECONDS)
    found = soundfile.read(made, dtype="float32", always_2d=True)[0].T
    return np.pad(found, ((0, 0), (0, max(0, audio.frames - found.shape[1]))))[:, : audio.frames]


def _si_sdr(wanted: Sound, found: Sound) -> float:
    true, given = wanted.astype(np.float64).ravel(), found.astype(np.float64).ravel()
    target = (true @ given) / (true @ true) * true
    error = given - target
    return float(10 * np.log10((target @ target) / max(float(error @ error), 1e-12)))


def _change_db(before: Sound, after: Sound) -> float:
    change = float(np.sum((after - before).astype(np.float64) ** 2))
    return 10 * np.log10(change / float(np.sum(before.astype(np.float64) ** 2))) if change else -np.inf


if __name__ == "__main__":
    sys.exit("python tests/benchmarks/bench.py restoration")
