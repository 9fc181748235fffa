"""How much two workers do in the time that one does one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bench import cost_of, table, take_turns, wavechain
from bench_speed import STAGES
from material import make_flac

FILES, MINUTES = 16, 4


def run(folder: Path) -> None:
    source = make_flac(folder / "piece.flac", minutes=MINUTES)
    library = folder / "library"
    library.mkdir()
    for number in range(FILES):
        os.link(source, library / f"{number:02}.flac")
    stages = [part for stage in STAGES for part in ("-s", stage)]
    command = wavechain("run", library, "-o", f"{folder}/done/", "--overwrite", "-q", *stages)
    costs = take_turns(
        {f"--jobs {jobs}": lambda jobs=jobs: cost_of([*command, "--jobs", jobs]) for jobs in "12"}, rounds=3
    )
    shutil.rmtree(library)
    one = costs["--jobs 1"].wall
    table(
        f"{FILES} files of {MINUTES} min through six effects, {os.cpu_count()} cores",
        ["", "seconds", "throughput against one job"],
        [[name, f"{cost.wall:.1f}", f"{one / cost.wall:.2f}"] for name, cost in costs.items()],
    )
