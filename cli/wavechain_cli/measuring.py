"""``wavechain inspect`` and ``compare``: what the core measured, as a table or as JSON."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wavechain.errors import EXIT_FILES_FAILED, EXIT_OK, OutputExistsError, WavechainError
from wavechain.naming import Input, picture_names
from wavechain_cli.guard import complain, debugging
from wavechain_cli.tables import print_table

if TYPE_CHECKING:
    from wavechain.compare import Comparison
    from wavechain.measure import Measurement

ROWS = (
    ("loudness", "integrated_lufs", "LUFS"),
    ("loudness range", "loudness_range_lu", "LU"),
    ("loudest 400 ms", "max_momentary_lufs", "LUFS"),
    ("loudest 3 s", "max_short_term_lufs", "LUFS"),
    ("true peak", "true_peak_dbtp", "dBTP"),
    ("sample peak", "sample_peak_dbfs", "dBFS"),
    ("RMS", "rms_dbfs", "dBFS"),
    ("crest factor", "crest_factor_db", "dB"),
    ("DC offset", "dc_offset", "of full scale"),
    ("clipped", "clipped_frames", "frames"),
    ("noise floor", "noise_floor_dbfs", "dBFS"),
    ("bandwidth", "bandwidth_hz", "Hz"),
)


def inspect_files(files: Sequence[Path], *, plot: Path | None, json: bool) -> int:
    """Returns the exit code: a file that cannot be read is reported and the others go on."""
    from wavechain.measure import measure_file

    failed = False
    pictures = _pictures(files, plot)
    for file in files:
        try:
            measurement = measure_file(file, picture=file in pictures)
        except WavechainError as error:
            if len(files) == 1 or debugging():
                raise
            complain(str(error))
            failed = True
            continue
        if json:
            print(jsonlib.dumps(measurement.as_dict(), ensure_ascii=False), flush=True)
        else:
            _print_measurement(measurement)
        if file in pictures:
            from wavechain.plots import plot_measurement

            plot_measurement(measurement, pictures[file])
            print(f"picture: {pictures[file]}", file=sys.stderr)
    return EXIT_FILES_FAILED if failed else EXIT_OK


def compare_files(a: Path, b: Path, *, plot: Path | None, json: bool) -> None:
    from wavechain import compare

    comparison = compare.compare_files(a, b)
    if json:
        print(jsonlib.dumps(comparison.as_dict(), ensure_ascii=False))
    else:
        _print_comparison(comparison)
    if plot is not None:
        from wavechain.plots import plot_comparison

        if plot.exists() and (plot.samefile(a) or plot.samefile(b)):
            raise OutputExistsError(f"--plot {plot}: is one of the audio files.", hint="another name.")
        plot_comparison(comparison, plot)
        print(f"picture: {plot}", file=sys.stderr)


def level(value: float | None, unit: str) -> str:
    """A level as people write it; what cannot be measured is a dash."""
    if value is None:
        return "-"
    if unit == "of full scale":
        return f"{100 * value:+.4f} %"
    return f"{value:g} {unit}" if unit in ("frames", "Hz") else f"{value:.1f} {unit}"


def _print_measurement(measurement: Measurement) -> None:
    bits = f", {measurement.bits} bit" if measurement.bits else ""
    print(f"{measurement.path}")
    print(
        f"  {measurement.format} {measurement.codec}{bits}, {measurement.sample_rate} Hz, "
        f"{measurement.channels} channel{'s' if measurement.channels > 1 else ''}, "
        f"{measurement.seconds:.3f} s ({measurement.frames} frames)"
    )
    for name, values in measurement.tags.items():
        shown = "; ".join(values)
        print(f"  {name}: {shown if len(shown) < 200 else shown[:199] + '…'}")
    if measurement.pictures:
        print(f"  pictures: {measurement.pictures}")
    print_table("", ["", ">"], [[f"  {label}", level(getattr(measurement, key), unit)] for label, key, unit in ROWS])


def _print_comparison(comparison: Comparison) -> None:
    def decibels(value: float | None, unit: str = "dB") -> str:
        return "nothing left" if value is None else f"{value:.2f} {unit}"

    rows = [
        ["equal bit for bit", "yes" if comparison.identical else "no"],
        ["difference A - B, relative to A", decibels(comparison.null_db)],
        ["largest difference", decibels(comparison.peak_difference_dbfs, "dBFS")],
        ["gain that brings B closest to A", decibels(comparison.matched_gain_db)],
        ["difference after that gain", decibels(comparison.matched_null_db)],
        ["log-spectral distance", f"{comparison.distance_db:.3f} dB"],
        ["B later than A by", f"{comparison.offset_frames} frames"],
        ["frames in A, in B", f"{comparison.frames_a}, {comparison.frames_b}"],
    ]
    print_table("", ["", ">"], rows)


def _pictures(files: Sequence[Path], plot: Path | None) -> dict[Path, Path]:
    """The picture of each file, if any are wanted. Raises UsageError or OutputExistsError before any work."""
    if plot is None:
        return {}
    inputs = [Input(file, file.parent) for file in dict.fromkeys(files)]
    pictures = dict(zip((item.path for item in inputs), picture_names(inputs, plot), strict=True))
    for file, picture in pictures.items():
        if picture.exists() and file.exists() and picture.samefile(file):
            raise OutputExistsError(f"--plot {picture}: is the audio itself.", hint="another name.")
    return pictures
