"""What is mended by a classical method before the network hears it, and what is done with a whole repair.

A click, a gap, a clipped peak and mains hum have a shape that is known: the methods of plugin `restoration` mend these
exactly where they are and leave every other sample alone, which no network of this size does. They are found by name; a
stage that is not installed is passed over, and the network does what it can.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from wavechain.errors import StageError
from wavechain.nodes import slices
from wavechain.processors import Pending, Processor, join
from wavechain.registry import registry
from wavechain.stages import StreamStage
from wavechain.stream import Block, Spec
from wavechain_gan_repair.columns import Columns, Overlap
from wavechain_gan_repair.tally import Tally

# Which fault each mends, in the order in which they are best used: the corners of a clipped peak look like clicks.
MENDS = {
    "raise-dips": "dropouts",
    "ar-fill": "dropouts",
    "declip-soft": "clip",
    "declip-consistent": "clip",
    "ar-declick": "clicks",
    "comb-dehum": "hum",
}
# Where a peak was put back, the voice under it still bends as it did: what is beside it is no click.
SPARES, BESIDE_SECONDS = {"ar-declick": "declip-consistent"}, 0.0008

N_FFT, HOP_LENGTH, HOPS = 2048, 512, 16


def installed(names: Iterable[str], settings: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, StreamStage]:
    """Those of the stages that are there, in the order given, with the *settings* there are for them."""
    there = {spec.name for spec in registry().stages("effect") if not spec.missing}
    found: dict[str, StreamStage] = {}
    for name in names:
        if name in there:
            stage = registry().load(name)
            assert issubclass(stage, StreamStage)
            found[name] = stage(**(settings or {}).get(name, {}))
    return found


class Classical(Processor):
    """Stages of exact time, one after the other; of what they change, *amount*, between two frequencies.

    band    (lowest, highest) Hz of the change, or None for all of it: then nothing but the change itself is touched
    Raises  StageError for a stage that shifts or lengthens the sound
    """

    def __init__(
        self, spec: Spec, stages: dict[str, StreamStage], amount: float, band: tuple[float, float] | None
    ) -> None:
        super().__init__(spec)
        self._parts = {name: stage.open(spec) for name, stage in stages.items()}
        for name, part in self._parts.items():
            if part.latency or part.tail or part.spec.rate != spec.rate:
                raise StageError(f"{name} does not keep time, and cannot be a part of repair.", hint="another version.")
        self._spared: dict[str, _Sparing] = {}  # by the stage whose work it leaves alone
        for name, other in SPARES.items():
            if name in self._parts and other in self._parts:
                self._parts[name] = self._spared[other] = _Sparing(self._parts[name])
        self._amount, self._input = np.float32(amount), Pending(spec)
        self._filter = None if band is None else _BandOfChange(spec, *band)
        self._changed = Tally()

    def process(self, block: Block) -> Block:
        self._input.push(block)
        for name, part in self._parts.items():
            if name in self._spared:
                self._spared[name].expect(block)
            block = part.process(block)
        return self._weighed(block)

    def flush(self) -> Block:
        rest = self.spec.zeros(0)
        for name, part in self._parts.items():
            if name in self._spared:
                self._spared[name].expect(rest)
            rest = join([*map(part.process, slices(rest, self.spec)), part.flush()], self.spec)
        done = [self._weighed(rest)]
        if self._filter is not None:
            done.append(self._filter.rest())
        return join(done, self.spec)

    def _weighed(self, mended: Block) -> Block:
        before = self._input.take(mended.shape[-1])
        change = mended - before
        self._changed.add(before, change)
        if self._filter is not None:
            return self._filter.push(before, change * self._amount)
        return mended if self._amount == 1 else before + change * self._amount

    @property
    def report(self) -> dict[str, Any]:
        """What each stage says; ``mended_db``: what all of them found to change, relative to the input."""
        said: dict[str, Any] = {}
        for name, part in self._parts.items():
            if each := dict(part.report):
                if (warning := each.pop("warning", None)) and self._amount == 1:
                    said["warning"] = "; ".join(filter(None, [said.get("warning"), warning]))
                said[name] = each
        if (db := self._changed.db) is not None:
            said["mended_db"] = db
        else:
            said["left_alone"] = "; ".join(part.report.get("left_alone", name) for name, part in self._parts.items())
        return said


class _Sparing(Processor):
    """A stage of exact time that leaves alone what is beside another stage's work.

    That stage comes somewhere before it; what goes into it is told by `expect`, ahead of what comes out of it.
    """

    def __init__(self, part: Processor) -> None:
        super().__init__(part.spec)
        self._part = part
        self._beside = round(BESIDE_SECONDS * part.spec.sample_rate)
        self._unmended, self._before, self._after = (Pending(part.spec) for _ in range(3))
        # Where the other stage changed something, from `_beside` frames before the next frame that is due.
        self._mended = np.zeros((part.spec.channels, self._beside), bool)
        self._frames = 0

    def expect(self, unmended: Block) -> None:
        self._unmended.push(unmended)

    def process(self, block: Block) -> Block:
        self._before.push(block)
        mended = block != self._unmended.take(block.shape[-1])
        self._mended = np.concatenate([self._mended, mended], axis=1)
        self._after.push(self._part.process(block))
        return self._spare(min(self._after.steps, self._mended.shape[1] - 2 * self._beside))

    def flush(self) -> Block:
        self._mended = np.pad(self._mended, ((0, 0), (0, self._beside)))
        self._after.push(self._part.flush())
        return self._spare(self._after.steps)

    def _spare(self, frames: int) -> Block:
        if frames <= 0:
            return self.spec.zeros(0)
        counts = np.cumsum(np.pad(self._mended[:, : frames + 2 * self._beside], ((0, 0), (1, 0))), axis=1)
        beside = counts[:, 2 * self._beside + 1 :] > counts[:, :frames]
        self._mended = self._mended[:, frames:]
        before, after = self._before.take(frames), self._after.take(frames)
        self._frames += int((beside & (before != after)).sum())
        return np.where(beside, before, after)

    @property
    def report(self) -> dict[str, Any]:
        """``spared``: of what it says, so many frames were left as they are."""
        said = self._part.report
        return said | {"spared": self._frames} if self._frames else said


class _BandOfChange:
    """Adds that part of a change which lies between two frequencies."""

    def __init__(self, spec: Spec, lowest: float, highest: float) -> None:
        frequencies = np.arange(N_FFT // 2) * spec.sample_rate / N_FFT
        self._bins = ((frequencies >= lowest) & (frequencies <= highest)).astype(np.float32)
        self._columns = Columns(spec, N_FFT, HOP_LENGTH, HOPS, 0)
        self._overlap = Overlap(spec.channels, N_FFT, HOP_LENGTH, HOPS)
        self._before, self._spec = Pending(spec), spec

    def push(self, before: Block, change: Block) -> Block:
        self._before.push(before)
        done = [self._overlap.add(stretch * self._bins) for stretch in self._columns.push(change)]
        return self._together(join(done, self._spec))

    def rest(self) -> Block:
        done = [self._overlap.add(stretch * self._bins) for stretch in self._columns.rest()]
        return self._together(join([*done, self._overlap.rest()], self._spec))

    def _together(self, change: Block) -> Block:
        before = self._before.take(change.shape[-1])
        return before + change[:, : before.shape[-1]]


class Mended(Processor):
    """Mends, then repairs; both of exact time. The repair hears beside the sound what was mended of it.

    That is the second half of the channels that *repairing* is given: part of the stream, so it is heard in its place.
    """

    def __init__(self, spec: Spec, mending: Processor, repairing: Processor) -> None:
        super().__init__(spec)
        self._parts = mending, repairing
        self._input = Pending(spec)

    def process(self, block: Block) -> Block:
        self._input.push(block)
        return join(self._repaired(self._parts[0].process(block)), self.spec)

    def flush(self) -> Block:
        mending, repairing = self._parts
        return join([*self._repaired(mending.flush()), repairing.flush()], self.spec)

    def _repaired(self, mended: Block) -> list[Block]:
        repairing = self._parts[1]
        return [repairing.process(self._beside(piece)) for piece in slices(mended, self.spec)]

    def _beside(self, mended: Block) -> Block:
        return np.concatenate([mended, mended - self._input.take(mended.shape[-1])])

    @property
    def report(self) -> dict[str, Any]:
        mending, repairing = (part.report for part in self._parts)
        said = mending | repairing
        if not ("left_alone" in mending and "left_alone" in repairing):
            said.pop("left_alone", None)
        return said


class Removed(Processor):
    """What a processor of exact time took away."""

    def __init__(self, inner: Processor) -> None:
        super().__init__(inner.spec)
        self._inner, self._input = inner, Pending(inner.spec)

    def process(self, block: Block) -> Block:
        self._input.push(block)
        return self._difference(self._inner.process(block))

    def flush(self) -> Block:
        return self._difference(self._inner.flush())

    def _difference(self, after: Block) -> Block:
        return self._input.take(after.shape[-1]) - after

    @property
    def report(self) -> dict[str, Any]:
        """Without warnings: they are of the sound that is not given out."""
        return {name: value for name, value in self._inner.report.items() if name != "warning"}
