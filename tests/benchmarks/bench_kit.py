"""What the conformance kit takes for one stage: one in NumPy, and one that loops over samples in Python."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench import table

from wavechain import Effect
from wavechain.chain import parse_stage
from wavechain.testing.checks import STREAM_CHECKS, examine
from wavechain.testing.subject import Subject

LOOP = '''
"""A filter of one pole, sample by sample, on NumPy's own scalars: as slow as Python gets."""

import numpy as np

from wavechain import Block, Effect, Processor, Spec, param


class SlowFilter(Effect):
    """Duller."""

    weight: float = param(0.3, ge=0, lt=1, help="How dull.")

    def open(self, spec: Spec) -> Processor:
        return _OnePole(spec, self.weight)


class _OnePole(Processor):
    def __init__(self, spec: Spec, weight: float) -> None:
        super().__init__(spec)
        self._weight, self._last = weight, spec.zeros(1)[:, 0]

    def process(self, block: Block) -> Block:
        out = np.empty_like(block)
        for frame in range(block.shape[1]):
            for channel in range(block.shape[0]):
                fresh, last = block[channel, frame], self._last[channel]
                self._last[channel] = (1 - self._weight) * fresh + self._weight * last
                out[channel, frame] = self._last[channel]
        return out
'''


def run(folder: Path) -> None:
    (folder / "slow_filter.py").write_text(LOOP, encoding="utf-8")
    sys.path.insert(0, str(folder))  # a worker process imports it too
    from slow_filter import SlowFilter

    stages: dict[str, Effect] = {"gain, in NumPy": parse_stage("gain:gain_db=-6"), "loop over samples": SlowFilter()}
    rows = []
    for name, stage in stages.items():
        start = time.perf_counter()
        broken = [each.promise for each in examine(Subject(stage), STREAM_CHECKS) if each.state == "broken"]
        rows.append([name, f"{time.perf_counter() - start:.1f}", ", ".join(broken) or "none"])
    table("the conformance kit on one stage", ["", "seconds", "promises broken"], rows)
