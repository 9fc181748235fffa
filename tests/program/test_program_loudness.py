"""Loudness and true peak on recorded music, against FFmpeg's `ebur128`; and where the loudness stage lands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from wavechain.measure import measure_file

DATA = Path(__file__).parents[1] / "data"
MUSIC = [*sorted(DATA.glob("*.flac")), Path(__file__).parents[2] / "cli/wavechain_cli/demo/wavechain-demo.flac"]
# Percussion with a crest of 20 dB: the limiter would have to crush it.
OUT_OF_REACH = (DATA / "loop_compus.flac", -14)


def ffmpeg(path: Path) -> tuple[float, float]:
    """Integrated loudness in LUFS and true peak in dBTP."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostats", "-i", path, "-af", "ebur128=peak=true"]
    said = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True).stderr
    summary = said[said.rindex("Summary:") :]
    return (
        float(re.search(r"I:\s+(-?[\d.]+) LUFS", summary)[1]),
        float(re.search(r"Peak:\s+(-?[\d.]+) dBFS", summary)[1]),
    )


@pytest.mark.parametrize("path", MUSIC, ids=lambda path: path.stem)
def test_music_measures_as_ffmpeg_measures_it(path):
    ours = measure_file(path)
    lufs, peak = ffmpeg(path)
    assert ours.integrated_lufs == pytest.approx(lufs, abs=0.1)
    assert ours.true_peak_dbtp == pytest.approx(peak, abs=0.2)


@pytest.mark.parametrize(
    ("path", "target"),
    [(path, target) for path in MUSIC for target in (-23, -16, -14) if (path, target) != OUT_OF_REACH],
)
def test_music_lands_on_target_under_the_ceiling(wavechain, tmp_path, path, target):
    output = tmp_path / "o.flac"
    assert wavechain("run", path, output, "-s", f"loudness:target_lufs={target},true_peak_ceiling_db=-1").code == 0
    lufs, peak = ffmpeg(output)
    assert lufs == pytest.approx(target, abs=0.1)
    assert peak <= -1.0
    ours = measure_file(output)
    assert ours.integrated_lufs == pytest.approx(target, abs=0.1)
    assert ours.true_peak_dbtp <= -1.0


def test_a_target_that_the_ceiling_forbids_is_said_and_the_ceiling_held(wavechain, tmp_path):
    path, target = OUT_OF_REACH
    output = tmp_path / "o.flac"
    said = wavechain("run", path, output, "-s", f"loudness:target_lufs={target},true_peak_ceiling_db=-1")
    assert said.code == 0
    assert "-14 LUFS is out of reach under -1 dBTP; it comes to -14." in said.err
    assert measure_file(output).true_peak_dbtp <= -1.0
