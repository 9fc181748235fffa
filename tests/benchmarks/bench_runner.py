"""What the runner itself costs: blocks through stages that do nothing."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bench import table

from wavechain import Audio, Effect, Processor, Spec, pointwise
from wavechain.engine import Opening, prepare
from wavechain.origins import AudioOrigin
from wavechain.testing import noise

STAGES, SECONDS = 6, 300


class Nothing(Effect):
    """Passes blocks on."""

    def open(self, spec: Spec) -> Processor:
        return pointwise(spec, lambda block: block)


def run(folder: Path) -> None:
    audio = noise(sample_rate=44_100, seconds=SECONDS, channels=2)
    rows = [[f"{count} stages", *_measure(audio, count)] for count in (0, 1, STAGES)]
    table(
        f"the runner alone, blocks of {audio.spec.block_steps()} stereo frames",
        ["", "µs per block", "CPU s per hour of stereo"],
        rows,
    )


def _measure(audio: Audio, count: int) -> tuple[str, str]:
    blocks = -(-audio.frames // audio.spec.block_steps())
    costs = []
    for _ in range(7):
        start = time.process_time()
        for _ in prepare([Nothing()] * count, AudioOrigin(audio), Opening()).blocks:
            pass
        costs.append(time.process_time() - start)
    cost = statistics.median(costs)
    return f"{1e6 * cost / blocks:.0f}", f"{cost * 3600 / SECONDS:.3f}"
