"""A voice in a room: what is left of the room when everything else was repaired, lowered by the stage `late-reverb`.

That stage takes away from a dry voice nearly as much as from one in a room. So it is let in only where an ear
(`room_ear`) is sure of what it hears, and only its *change* is added to the sound: elsewhere all stays bit for bit.

The ear hears the `WINDOW` columns around each `GROUP` of them, four seconds to both sides. Until these have come, the
columns wait; nothing is late in its place.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from wavechain.processors import Pending, Processor, join
from wavechain.stages import StreamStage
from wavechain.stream import Block, Spec
from wavechain_gan_repair.columns import Columns, Overlap
from wavechain_gan_repair.room_ear import COLUMN_SECONDS, RoomEar

BELIEF = (0.8, 0.95)  # below, the room stays; above, its tail is lowered whole; in between a part
GROUP, WINDOW = 64, 688  # columns


class InRoom(Processor):
    """Repairs by *inner*, then lowers the tail of a room. Exact time.

    late_reverb  the stage, from complex spectra to complex spectra
    band         (lowest, highest) Hz of its change
    """

    def __init__(
        self, inner: Processor, late_reverb: StreamStage, amount: float, band: tuple[float, float] | None
    ) -> None:
        spec = inner.spec
        super().__init__(spec)
        rate, channels = spec.sample_rate, spec.channels
        self._inner = inner
        hop_length = 16 * max(1, round(rate * COLUMN_SECONDS / 16))  # whose multiples an FFT likes
        n_fft = 4 * hop_length
        bins, hz_per_bin = n_fft // 2, rate / n_fft
        self._columns = Columns(spec, n_fft, hop_length, GROUP, 0)
        self._overlap = Overlap(channels, n_fft, hop_length, GROUP)
        self._lowering = late_reverb.open(Spec("stft", Fraction(rate, hop_length), (channels, 2, bins)))
        self._ear = RoomEar(bins, hz_per_bin)
        low, high = band or (0.0, float(rate))
        hz = np.arange(bins) * hz_per_bin
        self._share = (amount * ((hz >= low) & (hz <= high))).astype(np.float32)
        self._input = Pending(spec)
        self._waiting: list[Block] = []  # changes, a group each
        self._levels: list[Block] = []  # of the groups around the first that waits, the latest at the end
        self._before = 0  # how many of them came before it
        self._beliefs: list[float] = []
        self._power = np.zeros(2)  # of what came in, of what was changed

    def process(self, block: Block) -> Block:
        return self._through(self._inner.process(block))

    def flush(self) -> Block:
        done = [self._through(self._inner.flush())]
        done += [self._heard(group, self._columns.inside) for group in self._columns.rest()]
        while self._waiting:
            done.append(self._judged())
        done.append(self._together(self._overlap.rest()))
        return join(done, self.spec)

    def _through(self, repaired: Block) -> Block:
        self._input.push(repaired)
        return join([self._heard(group, GROUP) for group in self._columns.push(repaired)], self.spec)

    def _heard(self, group: Block, inside: int) -> Block:
        """Takes a group in, and gives out the one that now was heard with enough around it."""
        self._levels.append(self._ear.levels(group)[:, :inside])
        lowered = self._lowering.process(np.ascontiguousarray(group.swapaxes(2, 3))).swapaxes(2, 3)
        self._waiting.append(lowered - group)
        if len(self._waiting) * GROUP <= WINDOW // 2:
            return self.spec.zeros(0)
        return self._judged()

    def _judged(self) -> Block:
        belief = self._ear.chance(np.concatenate(self._levels, axis=1))
        low, high = BELIEF
        open_ = np.float32(np.clip((belief - low) / (high - low), 0, 1))
        self._beliefs.append(belief)
        self._before += 1
        if self._before * GROUP > WINDOW // 2:
            self._before -= 1
            self._levels.pop(0)
        return self._together(self._overlap.add(self._waiting.pop(0) * (open_ * self._share)))

    def _together(self, change: Block) -> Block:
        before = self._input.take(change.shape[-1])
        change = change[:, : before.shape[-1]]
        self._power += [np.square(before, dtype=np.float64).sum(), np.square(change, dtype=np.float64).sum()]
        return before + change

    @property
    def report(self) -> dict[str, Any]:
        """That of the repair; ``room``: how sure the ear was of a voice in one; ``room_db``: how much was lowered."""
        said = dict(self._inner.report)
        if self._beliefs:
            said["room"] = round(float(np.mean(self._beliefs)), 2)
        if self._power[1] > 0:
            said["room_db"] = round(float(10 * np.log10(self._power[1] / self._power[0])), 1)
            said.pop("left_alone", None)
        return said
