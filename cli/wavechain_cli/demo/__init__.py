"""``wavechain demo``: the main job on audio that comes along, and a table of what changed."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
AUDIO = HERE / "wavechain-demo.flac"
CHAIN = HERE / "demo.toml"

ROWS = (
    ("loudness", "integrated_lufs", "LUFS"),
    ("loudness range", "loudness_range_lu", "LU"),
    ("true peak", "true_peak_dbtp", "dBTP"),
    ("noise floor", "noise_floor_dbfs", "dBFS"),
    ("DC offset", "dc_offset", "of full scale"),
    ("clipped", "clipped_frames", "frames"),
)


def run_demo(folder: Path) -> None:
    """Mend the bundled recording into *folder*, measure before and after, and draw both."""
    from wavechain.chain import Chain
    from wavechain.errors import UnwritableError
    from wavechain.measure import measure_file
    from wavechain.plots import plot_before_after
    from wavechain.run import RunOptions
    from wavechain_cli.measuring import level
    from wavechain_cli.tables import print_table

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnwritableError(f"{folder}: {(error.strerror or '').lower()}.", hint="wavechain demo FOLDER.") from None
    output, picture = folder / "mended.flac", folder / "before-after.png"
    chain = Chain.load(CHAIN)
    print(f"A badly recorded take ({AUDIO.name}) through {len(chain.stages)} stages:")
    print("  " + " | ".join(stage.stage_name() for stage in chain.stages) + "\n")
    report = chain.run(AUDIO, output, RunOptions(overwrite=True))
    before, after = measure_file(AUDIO, picture=True), measure_file(output, picture=True)
    rows = [[label, level(getattr(before, key), unit), level(getattr(after, key), unit)] for label, key, unit in ROWS]
    rows.append(["duration", f"{before.seconds:.3f} s", f"{after.seconds:.3f} s"])
    print_table("", ["", "before>", "after>"], rows)
    plot_before_after(before, after, picture)
    for warning in report.warnings:
        print(warning)
    print(f"\nsound:   {output}\npicture: {picture}\nchain:   {CHAIN}")
    print(f"\nThe same by hand:\n  wavechain run {AUDIO} my.flac --chain {CHAIN}")
