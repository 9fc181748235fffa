"""The repair of one stream: columns through the network, what it changed weighed, and added to what came in.

Only the *change* goes through the inverse transform; the sound that came in is added to it as it is. So what is left
alone (a clean stretch, everything with amount 0) comes out bit for bit; what `preserve` names, but for the little that
the windows leak into it.

    belief   the network's own probability that its repair is worth it, averaged over the second before and the second
             after; below the lower of two bounds nothing is changed, above the upper everything, in between a part. The
             mean of the first seconds counts as what was before them: at its start the network knows little. Who names
             the fault does not ask for it (`doubting`): then all is changed.
    bounds   `BELIEFS`: in music, and once much was mended (of a stretch, more than `MUCH` of its power), there is more
             to spoil, and the network must be surer than in a voice. Which it is an ear says, and each stretch waits
             for it; nothing is late in its place
    door     in music, some of which is made of noise, another has to agree: of the change, only that share is made
             that `door` judges the sound to be best off with
    size     what would change so little of the sound (`SIZES_DB`, over the last seconds) is as likely a part of it: the
             air of a room, a breath. Of clean sound the network would take as much; of noise that low it takes little
    highs    what is missing at the top is not a matter of taking away: it has a belief, and a method, of its own
    image    channels are heard by the network one by one, which would let a stereo image wander. What it does to all
             of them together (the least-squares gain of a bin over the channels) is done to each; only what it *adds*
             to a channel, beyond what was there, stays that channel's own.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wavechain.processors import Pending, Processor, join
from wavechain.stream import Block, Spec
from wavechain_gan_repair.columns import Columns, Overlap
from wavechain_gan_repair.door import Door, Opening
from wavechain_gan_repair.ear import Chances, Ear, Hearing
from wavechain_gan_repair.faults import FAULTS, LOST_HIGHS
from wavechain_gan_repair.highs import Highs
from wavechain_gan_repair.network_session import HOPS, NetworkSession
from wavechain_gan_repair.tally import Tally

BELIEFS = np.array([[0.6, 0.8], [0.5, 0.7]])  # lower and upper bound in music, in a voice
MUCH = 1e-3
SIZES_DB, SIZE_SECONDS = (-30.0, -25.0), 4.0  # below, nothing is changed; above, all; in between a part
BELIEF_IN_LOST_HIGHS = (0.16, 0.28)  # rarer in training: the detector is less sure of them
BELIEF_SECONDS = 1.0
FEWEST_SECONDS = 1.0  # less is left alone: a clap is noise, and so is a second of rain


class _Judged(NamedTuple):
    """A stretch that waits for the ear."""

    here: Block
    change: Block  # that the network would make
    chances: NDArray[np.float64]  # (channels, columns inside the stream, faults and worth)
    powers: NDArray[np.float64]  # of the sound and of its change: (2, columns inside the stream)
    much: bool  # was mended

    @property
    def worth(self) -> NDArray[np.float64]:
        worth: NDArray[np.float64] = self.chances[..., -1].max(axis=0)
        return worth


class Repairing(Processor):
    """A stream at the network's own rate. No latency: what is late in coming is still in its place.

    beside  whether each block has twice the channels, the second half being what was mended of the first already
    """

    def __init__(
        self,
        spec: Spec,
        session: NetworkSession,
        hint: Block,
        *,
        n_fft: int,
        hop_length: int,
        lookahead: int,
        amount: float,
        bins: slice,
        doubting: bool,
        beside: bool,
        highs: Literal["never", "believed", "always"],
        only_change: bool = False,
    ) -> None:
        super().__init__(spec)
        self._session, self._hint = session, hint
        self.heard = Spec.audio(spec.sample_rate, spec.channels * (2 if beside else 1))
        self._columns = Columns(self.heard, n_fft, hop_length, HOPS, lookahead)
        self._overlap = Overlap(spec.channels, n_fft, hop_length, HOPS)
        self._input = Pending(spec)
        self._amount, self._bins, self._only_change = np.float32(amount), bins, only_change
        self._highs = None if highs == "never" else Highs(n_fft // 2, spec.sample_rate / n_fft)
        self._highs_always = highs == "always"
        self._doubting = doubting
        self._forget, self._forget_size = (
            float(np.exp(-hop_length / float(spec.rate) / seconds)) for seconds in (BELIEF_SECONDS, SIZE_SECONDS)
        )
        self._fewest = FEWEST_SECONDS * float(spec.rate) / hop_length
        self._belief: float | None = None
        self._powers: NDArray[np.float64] | None = None  # of the sound, and of its change
        self._hearing = Hearing(Ear(n_fft // 2, float(spec.rate) / n_fft), HOPS)
        self.door = Door(n_fft // 2, float(spec.rate) / n_fft, HOPS)
        self._waiting: deque[_Judged] = deque()
        self._much_mended = False
        self._heard = np.zeros(len(FAULTS))
        self._columns_heard = 0
        self._changed = Tally()

    def process(self, block: Block) -> Block:
        self._input.push(block[: self.spec.channels])
        return join([self._hear(stretch) for stretch in self._columns.push(block)], self.spec)

    def flush(self) -> Block:
        done = [self._hear(stretch) for stretch in self._columns.rest()]
        done += [self._repair(*each) for each in zip(self._hearing.rest(), self.door.rest(), strict=True)]
        done.append(self._together(self._overlap.rest()))
        return join(done, self.spec)

    def _hear(self, heard: Block) -> Block:
        """A stretch through the network; what comes of it waits for the ear, where the network is doubted."""
        spectra, mended = heard[: self.spec.channels], heard[self.spec.channels :]
        here = spectra[:, :, :HOPS]
        repaired, logits = self._session(spectra, mended if len(mended) else np.zeros_like(spectra), self._hint)
        chances = 1 / (1 + np.exp(-logits[:, : self._columns.inside].astype(np.float64)))
        self._heard += chances[..., : len(FAULTS)].mean(axis=0).sum(axis=0)
        self._columns_heard += chances.shape[1]
        powers_mended = np.square(mended).sum(axis=(0, 1, 3)) if len(mended) else np.zeros(HOPS, np.float32)
        much = bool(powers_mended.sum() > MUCH * np.square(spectra).sum())
        # Who asks for the highs alone gets nothing else. A copy: what waits must not keep the whole stretch in memory.
        change = np.zeros_like(here) if self._highs_always else together(here, repaired) - here
        powers = np.stack([np.square(each, dtype=np.float64).sum(axis=(0, 1, 3)) for each in (here, change)])
        self._waiting.append(_Judged(here.copy(), change, chances, powers[:, : self._columns.inside], much))
        if not self._doubting:
            return self._repair()
        opinions = self._hearing.push(here, self._columns.inside), self.door.push(here, change, chances, powers_mended)
        return join([self._repair(*each) for each in zip(*opinions, strict=True)], self.spec)

    def _repair(self, heard: Chances | None = None, opening: Opening | None = None) -> Block:
        """The stretch that has waited longest; what the ear *heard* there and the door said, if they were asked."""
        judged = self._waiting[0]
        here, change, chances = judged.here, judged.change, judged.chances
        self._much_mended = self._much_mended or judged.much
        lost = self._lost_highs(chances)
        if heard is not None and opening is not None:
            agreed = heard.voice + (1 - heard.voice) * opening
            change *= (self._believed(heard.voice) * self._sized() * agreed)[:, None]
        self._waiting.popleft()
        if self._highs is not None and lost > 0:
            change += np.float32(lost) * self._highs(here + change, chances.shape[1])
        change *= np.any(here, axis=(1, 3), keepdims=True)  # where there is nothing at all, nothing is added
        change[..., : self._bins.start] = 0
        change[..., self._bins.stop :] = 0
        return self._together(self._overlap.add(change * self._amount))

    def _believed(self, voice: float) -> NDArray[np.float32]:
        """How far the door stands open in each column, the same for all channels."""
        worth = [each.worth for each in self._waiting]
        if self._belief is None:
            heard = np.concatenate(worth)
            self._belief = float(heard.mean()) if heard.size >= self._fewest else -np.inf
        before = _averaged(worth[0], self._belief, self._forget)
        after = _averaged(np.concatenate(worth)[::-1], float(worth[-1].mean()), self._forget)[::-1]
        self._belief = float(before[-1])
        in_music, in_voice = BELIEFS
        if self._much_mended:
            in_voice = in_music
        beliefs = (before + after[: before.size]) / 2
        return _between(_to_the_end(beliefs), *(in_music + voice * (in_voice - in_music)))

    def _sized(self) -> NDArray[np.float32]:
        """The same, by how much of the sound the change is."""
        if self._powers is None:
            self._powers = np.concatenate([each.powers for each in self._waiting], axis=1).mean(axis=1)
        sound, change = (
            _averaged(powers, float(past), self._forget_size)
            for powers, past in zip(self._waiting[0].powers, self._powers, strict=True)
        )
        self._powers = np.array([sound[-1], change[-1]])
        return _between(_to_the_end(10 * np.log10((change + 1e-20) / (sound + 1e-20))), *SIZES_DB)

    def _lost_highs(self, chances: NDArray[np.float64]) -> float:
        """How sure the detector is that highs are missing in this stretch: 0 to 1."""
        if self._highs is None or self._highs_always:
            return float(self._highs_always)
        of_loss = chances[..., [FAULTS.index(name) for name in LOST_HIGHS]]
        belief = float(of_loss.max(axis=(0, 2)).mean())
        return float(_between(belief, *BELIEF_IN_LOST_HIGHS))

    def _together(self, change: Block) -> Block:
        before = self._input.take(change.shape[-1])
        change = change[:, : before.shape[-1]]
        self._changed.add(before, change)
        return np.negative(change) if self._only_change else before + change

    @property
    def report(self) -> dict[str, Any]:
        """``faults``: how sure the detector was of each, 0 to 1; ``voice``: how sure the ear was of one, where it was
        asked; ``removed_db``: the change, relative to the input.
        """
        heard = self._heard / max(1, self._columns_heard)
        said: dict[str, Any] = {
            "faults": {name: round(float(chance), 2) for name, chance in zip(FAULTS, heard, strict=True)}
        }
        if mean := self._hearing.mean:
            said["voice"] = round(mean.voice, 2)
        if (db := self._changed.db) is not None:
            said["removed_db"] = db
        else:
            said["left_alone"] = "no damage was heard" if self._amount > 0 else "its amount is 0"
        return said


def _averaged(values: NDArray[np.float64], past: float, forget: float) -> NDArray[np.float64]:
    """The running average at each of the *values*, which was *past* before the first."""
    averages = np.empty(values.size)
    for column, value in enumerate(values):
        averages[column] = past = forget * past + (1 - forget) * float(value)
    return averages


def _to_the_end(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of columns inside the stream -> of a whole stretch."""
    return np.pad(values, (0, HOPS - values.size), mode="edge")


def _between(value: Any, low: float, high: float) -> NDArray[np.float32]:
    """0 up to *low*, 1 from *high* on, a part in between."""
    part: NDArray[np.float32] = np.clip((value - low) / (high - low), 0, 1).astype(np.float32)
    return part


def together(before: Block, after: Block) -> Block:
    """The repair of several channels with their image kept; one channel is given back as it is."""
    if len(before) == 1:
        return after
    x, y = (each[:, 0] + 1j * each[:, 1] for each in (before, after))
    power_x, power_y = (np.square(each.real) + np.square(each.imag) for each in (x, y))
    gain = (y * x.conj()).sum(axis=0) / (power_x.sum(axis=0) + np.float32(1e-12))
    common = gain * x
    own = power_y / (power_y + power_x + np.float32(1e-12))
    mixed = common + own * (y - common)
    return np.stack([mixed.real, mixed.imag], axis=1, dtype=np.float32)
