"""A voice in a room: what is left of the room when everything else was repaired.

Two methods, one after the other: `late_prediction` takes away what earlier columns foretell, the stage `late-reverb`
lowers what is left of the tail. Both take from a dry voice nearly as much as from one in a room, the first even more
from music. So they are let in only where the ear is sure of what it hears, and only their *change* is added to the
sound: elsewhere all stays bit for bit. The change waits for the ear; nothing is late in its place.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from wavechain.processors import Pending, Processor, join
from wavechain.stages import StreamStage
from wavechain.stream import Block, Spec
from wavechain_gan_repair.columns import Columns, Overlap
from wavechain_gan_repair.ear import COLUMN_SECONDS, EVERY, Ear, Hearing
from wavechain_gan_repair.late_prediction import LatePrediction
from wavechain_gan_repair.tally import Tally

BELIEF = (0.8, 0.95)  # below, the room stays; above, its tail is lowered whole; in between a part
PREDICTED = 0.75  # of what is foretold, that is taken away
HIGHEST_HZ = 10_000.0  # of what is foretold


class InRoom(Processor):
    """Repairs by *inner*, then takes away the tail of a room. Exact time.

    late_reverb  the stage, from complex spectra to complex spectra
    band         (lowest, highest) Hz of the change
    doubting     whether the ear is asked
    """

    def __init__(
        self,
        inner: Processor,
        late_reverb: StreamStage,
        amount: float,
        band: tuple[float, float] | None,
        *,
        doubting: bool = True,
    ) -> None:
        spec = inner.spec
        super().__init__(spec)
        rate, channels = spec.sample_rate, spec.channels
        hop_length = 16 * max(1, round(rate * COLUMN_SECONDS / 16))  # whose multiples an FFT likes
        n_fft = 4 * hop_length
        bins, hz_per_bin = n_fft // 2, rate / n_fft
        self._inner = inner
        self._columns = Columns(spec, n_fft, hop_length, EVERY, 0)
        self._overlap = Overlap(channels, n_fft, hop_length, EVERY)
        self._lowering = late_reverb.open(Spec("stft", Fraction(rate, hop_length), (channels, 2, bins)))
        self._hearing = Hearing(Ear(bins, hz_per_bin), EVERY)
        low, high = band or (0.0, float(rate))
        hz = np.arange(bins) * hz_per_bin
        self._share = (amount * ((hz >= low) & (hz <= high))).astype(np.float32)
        self._input = Pending(spec)
        self._doubting = doubting
        self._waiting = LatePrediction(channels, min(bins, int(HIGHEST_HZ / hz_per_bin)))  # to be told what is heard
        self._changed = Tally()

    def process(self, block: Block) -> Block:
        return self._lower(self._inner.process(block))

    def flush(self) -> Block:
        done = [self._lower(self._inner.flush())]
        done += [self._hear(stretch, self._columns.inside) for stretch in self._columns.rest()]
        done += [self._let_in(heard.voice_in_room) for heard in self._hearing.rest()]
        done.append(self._together(self._overlap.rest()))
        return join(done, self.spec)

    def _lower(self, repaired: Block) -> Block:
        self._input.push(repaired)
        return join([self._hear(stretch, EVERY) for stretch in self._columns.push(repaired)], self.spec)

    def _hear(self, stretch: Block, inside: int) -> Block:
        self._waiting.push(stretch)
        heard = self._hearing.push(stretch, inside)
        return join([self._let_in(each.voice_in_room) for each in heard], self.spec)

    def _let_in(self, chance: float) -> Block:
        low, high = BELIEF
        sure = np.float32(np.clip((chance - low) / (high - low), 0, 1)) if self._doubting else np.float32(1)
        stretch, lowered = self._waiting.pop(PREDICTED if sure > 0 else 0.0)
        lowered = self._lowering.process(np.ascontiguousarray(lowered.swapaxes(2, 3))).swapaxes(2, 3)
        return self._together(self._overlap.add((lowered - stretch) * (sure * self._share)))

    def _together(self, change: Block) -> Block:
        before = self._input.take(change.shape[-1])
        change = change[:, : before.shape[-1]]
        self._changed.add(before, change)
        return before + change

    @property
    def report(self) -> dict[str, Any]:
        """That of the repair; ``room``: how sure the ear was of a voice in one; ``room_db``: how much was lowered."""
        said = dict(self._inner.report)
        if mean := self._hearing.mean:
            said["room"] = round(mean.voice_in_room, 2)
        if (db := self._changed.db) is not None:
            said["room_db"] = db
            said.pop("left_alone", None)
        return said
