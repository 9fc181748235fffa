"""``wavechain demo``: the main job on audio that comes along, and a table of what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
AUDIO = HERE / "wavechain-demo.flac"
CHAIN = HERE / "demo.toml"

# What befalls the mended take, one thing at a time: a degradation and its settings.
ACCIDENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "peaks pressed flat": ("clip", {"by_damage": 1.0, "snr_db": (12, 12), "soft": 1.0}),
    "peaks cut off": ("clip", {"by_damage": 1.0, "snr_db": (12, 12), "soft": 0.0}),
    "clicks": ("clicks", {"per_second": (5, 5), "crackle": 0.0}),
    "dropouts": ("dropouts", {"per_second": (2, 2), "length_ms": (10, 10)}),
    "noise": ("add-noise", {"snr_db": (10, 10), "generated": 1.0}),
    "hum": ("hum", {"level_db": (-20, -20)}),
}
ACCIDENT_SECONDS = 10

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
    _blind(folder)
    _accidents(output, folder)


def _blind(folder: Path) -> None:
    """The same take again, nobody saying what is wrong with it: what the network heard, and what it left of it."""
    from wavechain.chain import Chain
    from wavechain.measure import measure_file
    from wavechain.registry import registry
    from wavechain.run import RunOptions
    from wavechain_cli.measuring import level
    from wavechain_cli.tables import print_table

    repair = registry().lookup("repair")
    if repair.missing:
        print(f"\nrepair, which is told nothing and finds out itself, is not installed: {repair.install}")
        return
    output, removed = folder / "repaired.flac", folder / "removed.flac"
    print("\nThe same take, nobody saying what is wrong with it:\n  repair\n")
    report = Chain.of("repair").run(AUDIO, output, RunOptions(overwrite=True, residual=removed))
    before, after = measure_file(AUDIO), measure_file(output)
    heard = report.facts["stages"][0]["faults"]
    rows = [
        ["noise floor", level(before.noise_floor_dbfs, "dBFS"), level(after.noise_floor_dbfs, "dBFS")],
        ["loudness", level(before.integrated_lufs, "LUFS"), level(after.integrated_lufs, "LUFS")],
    ]
    print_table("", ["", "before>", "after>"], rows)
    print("heard: " + ", ".join(f"{name} {chance:.0%}" for name, chance in heard.items() if chance >= 0.2))
    print(f"\nsound:   {output}\nremoved: {removed}")
    print(f"\nThe same by hand:\n  wavechain run {AUDIO} my.flac -s repair --residual removed.flac")


def _accidents(mended: Path, folder: Path) -> None:
    """A part of the *mended* take damaged on purpose, and repaired: what it was is known, and compared with."""
    from wavechain.audio import Audio
    from wavechain.chain import Chain
    from wavechain.compare import compare_files
    from wavechain.recipes import part
    from wavechain.registry import registry
    from wavechain.run import RunOptions
    from wavechain_cli.measuring import level
    from wavechain_cli.tables import print_table

    offered = {spec.name for spec in registry().parts("degradation") if not spec.missing}
    if registry().lookup("repair").missing or not any(name in offered for name, _ in ACCIDENTS.values()):
        return
    print(f"\n{ACCIDENT_SECONDS} seconds of what came out, damaged on purpose, and repair, told nothing:\n")
    take, options = folder / "take.flac", RunOptions(overwrite=True)
    Chain.of(f"trim:duration_seconds={ACCIDENT_SECONDS}").run(mended, take, options)
    good, rows = Audio.read(take), []
    for seed, (accident, (name, settings)) in enumerate(ACCIDENTS.items()):
        if name not in offered:
            continue
        stem = accident.replace(" ", "-")
        damaged, repaired = (folder / f"{stem}-{state}.flac" for state in ("damaged", "repaired"))
        part("degradation", name, settings)(good, seed=seed).write(damaged, overwrite=True)
        Chain.of("repair").run(damaged, repaired, options)
        rows.append([accident, *(level(compare_files(take, each).null_db, "dB") for each in (damaged, repaired))])
    print_table("", ["what differs from the take", "damaged>", "repaired>"], rows)
    print(f"\nsound:   {folder / 'take.flac'}, *-damaged.flac, *-repaired.flac")
