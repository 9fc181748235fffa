"""Single steps against the libraries that people would otherwise use for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench import cost_of, have, table, take_turns, wavechain
from material import make_flac

from wavechain import Audio
from wavechain.testing import music

SECONDS = 120
LOUDNESS, TRUE_PEAK = 5, 49  # libebur128's modes


def run(folder: Path) -> None:
    source = make_flac(folder / "two-minutes.flac", minutes=SECONDS / 60)
    waveform = Audio.read(source).waveform
    _compare(
        "integrated loudness",
        {"wavechain": lambda: _loudness(waveform), "libebur128": lambda: _ebur128(waveform, LOUDNESS)},
    )
    _compare(
        "true peak", {"wavechain": lambda: _true_peak(waveform), "libebur128": lambda: _ebur128(waveform, TRUE_PEAK)}
    )
    _compare(
        "resample 44.1 to 48 kHz", {"wavechain (soxr)": lambda: _resample(waveform), "scipy": lambda: _scipy(waveform)}
    )
    _encoders(folder)
    _mp3(folder, source)


def _compare(title: str, contenders: dict[str, Callable[[], object]]) -> None:
    costs: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(3):
        for name, work in contenders.items():
            start = time.process_time()
            work()
            costs[name].append(time.process_time() - start)
    table(
        title,
        ["", "CPU s per hour"],
        [[name, f"{sorted(found)[1] * 3600 / SECONDS:.1f}"] for name, found in costs.items()],
    )


def _loudness(waveform: np.ndarray) -> float:
    from wavechain.dsp.loudness import LoudnessMeter

    meter = LoudnessMeter(44_100, 2)
    for start in range(0, waveform.shape[1], 65_536):
        meter.feed(waveform[:, start : start + 65_536])
    return meter.integrated_lufs()


def _true_peak(waveform: np.ndarray) -> float:
    from wavechain.dsp.true_peak import TruePeakMeter

    meter = TruePeakMeter(44_100, 2)
    for start in range(0, waveform.shape[1], 65_536):
        meter.feed(waveform[:, start : start + 65_536])
    meter.finish()
    return meter.true_peak_dbtp


def _ebur128(waveform: np.ndarray, mode: int) -> object:
    import pyebur128

    state = pyebur128.R128State(2, 44_100, mode)
    frames = np.ascontiguousarray(waveform.T).reshape(-1)
    state.add_frames(frames, waveform.shape[1])
    return pyebur128.get_loudness_global(state) if mode == LOUDNESS else pyebur128.get_true_peak(state, 0)


def _resample(waveform: np.ndarray) -> object:
    from wavechain.chain import parse_stage

    return parse_stage("resample:sample_rate=48000")(Audio(waveform, 44_100))


def _scipy(waveform: np.ndarray) -> object:
    from scipy.signal import resample_poly

    return resample_poly(waveform, 160, 147, axis=1)


def _encoders(folder: Path) -> None:
    import pedalboard.io
    import soundfile

    audio = music(sample_rate=48_000, seconds=SECONDS)

    def by_pedalboard() -> None:
        with pedalboard.io.AudioFile(str(folder / "p.mp3"), "w", 48_000, 2, quality="V2") as file:
            file.write(audio.waveform)

    def by_soundfile(format: str, subtype: str) -> None:
        soundfile.write(folder / f"s.{subtype}", audio.waveform.T, 48_000, subtype, format=format)

    _compare(
        "MP3 encoder",
        {
            "wavechain (lameenc)": lambda: audio.write(folder / "w.mp3", overwrite=True),
            "pedalboard": by_pedalboard,
            "soundfile (libsndfile)": lambda: by_soundfile("MP3", "MPEG_LAYER_III"),
        },
    )
    _compare(
        "Opus encoder",
        {
            "wavechain (PyAV)": lambda: audio.write(folder / "w.opus", overwrite=True),
            "soundfile (libsndfile)": lambda: by_soundfile("OGG", "OPUS"),
        },
    )


def _mp3(folder: Path, source: Path) -> None:
    contenders = {
        "wavechain (with decoding FLAC)": lambda: cost_of(
            wavechain("run", source, folder / "w.mp3", "--overwrite", "-q")
        )
    }
    if ffmpeg := have("ffmpeg"):
        contenders["ffmpeg -q:a 2 (with decoding FLAC)"] = lambda: cost_of(
            [ffmpeg, "-v", "error", "-y", "-i", source, "-q:a", "2", folder / "f.mp3"]
        )
    costs = take_turns(contenders, rounds=3)
    table(
        "MP3 writing",
        ["", "CPU s per hour"],
        [[name, f"{cost.cpu * 3600 / SECONDS:.1f}"] for name, cost in costs.items()],
    )
