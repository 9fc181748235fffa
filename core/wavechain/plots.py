"""Pictures: waveform, spectrogram, spectra and features, drawn by matplotlib (extra ``plots``) without a display."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wavechain.compare import Comparison
from wavechain.dsp.spectrum import AverageSpectrum, power_db
from wavechain.errors import MissingDependencyError, UsageError
from wavechain.features import Features
from wavechain.lastmile import part_file
from wavechain.measure import ENVELOPE_FRAMES, Measurement, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FLOOR_DB = -110.0
_FEATURES_FLOOR_DB = -80.0
_COLUMNS = 2000


def plot_measurement(measurement: Measurement, path: Path) -> None:
    """Waveform and spectrogram of one file, as a PNG (or what the suffix says)."""
    figure, axes = _figure(2, title=_title(measurement))
    assert measurement.picture is not None
    _draw_waveform(axes[0], measurement.picture, "")
    _draw_spectrogram(figure, axes[1], measurement.picture)
    _save(figure, path)


def plot_before_after(before: Measurement, after: Measurement, path: Path) -> None:
    """Two files side by side: waveforms, spectrograms, average spectra."""
    plt = _pyplot()
    figure = plt.figure(figsize=(13, 9), layout="constrained")
    axes: Any = figure.subplots(3, 2, gridspec_kw={"height_ratios": [1, 1.6, 1.4]})
    for column, (label, measurement) in enumerate((("before", before), ("after", after))):
        assert measurement.picture is not None
        _draw_waveform(axes[0][column], measurement.picture, f"{label}: {_title(measurement)}")
        _draw_spectrogram(figure, axes[1][column], measurement.picture)
    wide = figure.add_subplot(axes[2][0].get_gridspec()[2, :])
    axes[2][0].remove()
    axes[2][1].remove()
    assert before.picture is not None
    assert after.picture is not None
    _draw_spectra(wide, [("before", before.picture.average), ("after", after.picture.average)])
    _save(figure, path)


def plot_comparison(comparison: Comparison, path: Path) -> None:
    """The average spectra of A, of B and of their difference."""
    assert comparison.spectra is not None
    title = "equal bit for bit" if comparison.identical else f"null {comparison.null_db} dB"
    figure, axes = _figure(1, title=f"{Path(comparison.a).name} and {Path(comparison.b).name}: {title}")
    _draw_spectra(axes[0], list(zip(("A", "B", "A - B"), comparison.spectra, strict=True)))
    _save(figure, path)


def plot_features(features: Features, path: Path) -> None:
    """Features over time, a row for each band, bin or coefficient; strengths in dB below the strongest."""
    assert features.picture is not None
    rows, picture = features.rows, np.asarray(features.picture, np.float64)
    label, low, high = rows.unit, float(picture.min()), float(picture.max())
    if rows.scale != "as-is":
        picture = power_db(picture / max(high, 1e-30), _FEATURES_FLOOR_DB)
        label, low, high = "dB below the strongest", _FEATURES_FLOOR_DB, 0.0
    figure, (axes,) = _figure(1, title=f"{Path(features.path).name}: {features.kind} {features.shape}")
    image = axes.imshow(
        picture,
        origin="lower",
        aspect="auto",
        extent=(0, max(features.seconds, 1e-3), -0.5, len(picture) - 0.5),
        vmin=low,
        vmax=max(high, low + 1e-6),
        cmap="magma",
        interpolation="nearest",
    )
    axes.set(xlabel="seconds", ylabel="Hz" if rows.hz else "coefficient")
    if rows.hz:
        shown = np.unique(np.linspace(0, len(rows.hz) - 1, 9).round().astype(int))
        axes.set_yticks(shown, [f"{rows.hz[row]:.0f}" for row in shown])
    figure.colorbar(image, ax=axes, label=label, pad=0.01)
    _save(figure, path)


def _title(measurement: Measurement) -> str:
    loudness = "silent" if measurement.integrated_lufs is None else f"{measurement.integrated_lufs:.1f} LUFS"
    peak = "" if measurement.true_peak_dbtp is None else f", {measurement.true_peak_dbtp:.1f} dBTP"
    return f"{Path(measurement.path).name}: {loudness}{peak}"


def _draw_waveform(axes: Axes, picture: Picture, title: str) -> None:
    low, high = picture.envelope
    pool = max(1, -(-low.size // _COLUMNS))
    starts = np.arange(0, low.size, pool)
    seconds = starts * ENVELOPE_FRAMES / picture.sample_rate
    if starts.size:
        axes.fill_between(
            seconds, np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts), linewidth=0.4, color="#1f5fa8"
        )
    axes.set(title=title, ylabel="amplitude", ylim=(-1.05, 1.05), xlabel="seconds")
    axes.margins(x=0)
    axes.grid(alpha=0.3)


def _draw_spectrogram(figure: Figure, axes: Axes, picture: Picture) -> None:
    level = power_db(picture.sketch.power, _FLOOR_DB)
    seconds = level.shape[1] * picture.sketch.seconds_per_column
    image = axes.imshow(
        level,
        origin="lower",
        aspect="auto",
        extent=(0, max(seconds, 1e-3), 0, picture.sample_rate / 2000),
        vmin=_FLOOR_DB,
        vmax=-10,
        cmap="magma",
        interpolation="nearest",
    )
    axes.set(xlabel="seconds", ylabel="kHz")
    figure.colorbar(image, ax=axes, label="dB", pad=0.01)


def _draw_spectra(axes: Axes, spectra: list[tuple[str, AverageSpectrum]]) -> None:
    for label, average in spectra:
        axes.semilogx(average.frequencies_hz[1:], power_db(average.power[1:], -140.0), label=label, linewidth=1)
    axes.set(xlabel="Hz", ylabel="dB", title="average spectrum", xlim=(20, None))
    axes.grid(alpha=0.3, which="both")
    axes.legend()


def _figure(rows: int, *, title: str) -> tuple[Figure, list[Axes]]:
    figure = _pyplot().figure(figsize=(11, 3.2 * rows + 0.6), layout="constrained")
    axes: Any = figure.subplots(rows, 1, squeeze=False)
    figure.suptitle(title)
    return figure, [row[0] for row in axes]


def _save(figure: Figure, path: Path) -> None:
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(
            f"--plot {path}: is not the name of a picture.", hint="a name that ends in .png, .svg or .pdf."
        )
    with part_file(path, overwrite=True) as part, warnings.catch_warnings(action="ignore"):
        try:
            figure.savefig(part, dpi=110)
        except ValueError as error:
            raise UsageError(f"{path}: {error}.", hint="a name that ends in .png, .svg or .pdf.") from None
        finally:
            _pyplot().close(figure)


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise MissingDependencyError("pictures need matplotlib.", hint="pip install 'wavechain[plots]'.") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot
