"""Cue track: one track out of the recording of a whole disc.

Conventions: any channel count; every output sample is an input sample; the length is the track's, to the frame.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from wavechain import Block, Effect, Processor, Spec, param
from wavechain.errors import SpecMismatchError
from wavechain_playlist.cue import read_sheet


class CueTrack(Effect):
    """Keep one track of a cue sheet, cut the rest away."""

    keeps_samples: ClassVar[bool] = True
    cost: ClassVar[float] = 0.5

    sheet: Path = param(help="The cue sheet.")
    track: int = param(1, ge=1, le=99, help="Which track, by its number in the sheet.")

    def open(self, spec: Spec) -> Processor:
        part = read_sheet(self.sheet).track(self.track).part
        start, stop = part.frames(spec.sample_rate, None)
        if spec.length is None:
            return _Cut(spec, start, stop)
        if start > spec.length or (stop or 0) > spec.length:
            raise SpecMismatchError(
                f"track {self.track} of {self.sheet} goes on to {float(part.stop or part.start):.2f} s; "
                f"the sound has {spec.length / spec.sample_rate:.2f} s.",
                hint="the file that the sheet names.",
            )
        return _Cut(spec.with_length((spec.length if stop is None else stop) - start), start, stop)


class _Cut(Processor):
    def __init__(self, spec: Spec, start: int, stop: int | None) -> None:
        super().__init__(spec)
        self._start, self._stop = start, stop
        self._frame = 0

    def process(self, block: Block) -> Block:
        first = max(0, self._start - self._frame)
        last = block.shape[-1] if self._stop is None else max(0, self._stop - self._frame)
        self._frame += block.shape[-1]
        return block[:, first:last]
