"""The door: what share of the network's change a piece of music is best off with, judged by a few small perceptrons.

Some music is made of noise (drums, distorted guitars), and the network takes it for noise. What it would take of that
moves with it; noise is there all the time, fills the pauses, and is taken as evenly as it comes. So the door hears, of
some six seconds before and two after:

    size       of the change against the sound, in all and around the place
    steadiness of the change in each of `BANDS` bands: how far its level strays, and how far it follows the sound's
    pauses     how far the quiet tenth of a band lies below its mean, and the quiet tenth of the change below that
    shape      of the sound's spectrum
    opinions   the network's own chances: of each fault, and that its repair is worth it
    mended     how much the classical stages changed: what they mended was most likely all there was

No absolute level counts. The weights are in ``door.json``; ``tools/fit_door.py`` fits them to what the network does to
the music of its corpus, to rendered synthesisers and to drums: what is gained of each damaged recording, in decibels,
against what is lost of the others, which counts for more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wavechain.stream import Block
from wavechain_gan_repair import ear
from wavechain_gan_repair.around import Around

EDGES_HZ = (0.0, *np.geomspace(150.0, 10_000.0, 13).tolist(), 14_000.0)
BANDS = len(EDGES_HZ)
SMOOTH = 8  # columns, over which the level of a band is taken
NEAR = 86  # columns on each side of the place, one second
EVERY = 2  # stretches; in between, it moves on
CLEAR = (0.1, 0.9)  # below nothing is let in, above all
WITHIN = 5.0  # of their spread, that traits count for at most
FLOOR, TINY = 1e-9, 1e-20  # of the mean power

Powers = NDArray[np.float32]
Opening = NDArray[np.float32]


class Facts(NamedTuple):
    """Of the columns of a stretch that are inside the stream."""

    sound: Powers  # (BANDS, columns), all channels together
    change: Powers
    chances: NDArray[np.float32]  # (columns, faults and worth), of the channel that has the most
    mended: Powers  # (columns,): what was changed before


class Door:
    """For spectra (channels, 2, hops, bins) of stretches that are *hops* columns long."""

    def __init__(self, bins: int, hz_per_bin: float, hops: int) -> None:
        edges = np.array(EDGES_HZ) / hz_per_bin
        self._edges = np.unique(np.round(edges[edges < bins]).astype(np.int64))
        self._hops = hops
        self._around: Around[Facts] = Around(ear.BEFORE // hops, ear.AFTER // hops)
        self._open = 0.0

    def push(self, sound: Block, change: Block, chances: NDArray[np.floating], mended: Powers) -> Iterator[Opening]:
        """Takes in a stretch; tells of one, or of none yet.

        Shape   chances (channels, columns inside the stream, faults and worth); mended (hops,) or longer
        Yields  how far the door is open, 0 to 1, at each of the *hops* columns
        """
        columns = chances.shape[1]
        facts = Facts(
            self._powers(sound)[:, :columns],
            self._powers(change)[:, :columns],
            chances.max(axis=0).astype(np.float32),
            mended[:columns].astype(np.float32),
        )
        return map(self._opening, self._around.push(facts))

    def rest(self) -> Iterator[Opening]:
        """Those that still wait."""
        return map(self._opening, self._around.rest())

    def _powers(self, spectra: Block) -> Powers:
        bands = np.add.reduceat(np.square(spectra).sum(axis=(0, 1)), self._edges, axis=1).T
        return np.pad(bands, ((0, BANDS - len(bands)), (0, 0)))

    def _opening(self, heard: tuple[int, list[Facts], int]) -> Opening:
        told, around, place = heard
        before = self._open
        if told % EVERY == 0:
            self._open = share(around, place)
        if told == 0:
            before = self._open
        return np.linspace(before, self._open, self._hops + 1, dtype=np.float32)[1:]


def share(around: Sequence[Facts], place: int) -> float:
    """What share of the change is to be let in, 0 to 1, in the one that has its *place* among those *around* it."""
    logit = ear.perceive(traits(around, place), ear.weights("door"), WITHIN)
    return float(cleared(1 / (1 + np.exp(-logit[0]))))


def cleared(share: Any) -> NDArray[np.float64]:
    """A little is none, so that what is clean stays bit for bit; and nearly all is all."""
    low, high = CLEAR
    clear: NDArray[np.float64] = np.clip((np.asarray(share) - low) / (high - low), 0.0, 1.0)
    return clear


def traits(around: Sequence[Facts], place: int) -> NDArray[np.float64]:
    """What is heard around a place; its length is fixed."""
    sound, change = (_smoothed(np.concatenate(each, axis=1)) for each in list(zip(*around, strict=True))[:2])
    logits = _logits(np.concatenate([facts.chances for facts in around]))
    mended = sum(float(facts.mended.sum()) for facts in around)
    start = sum(facts.mended.size for facts in around[:place])
    near = slice(max(0, start - NEAR), start + around[place].mended.size + NEAR)
    floor = FLOOR * float(sound.mean()) + TINY
    sound_db, change_db = (10 * np.log10(each + floor) for each in (sound, change))
    spread, strays = sound_db.std(axis=1), change_db.std(axis=1)
    sways, changes = (each - each.mean(axis=1, keepdims=True) for each in (sound_db, change_db))
    together = (sways * changes).mean(axis=1)
    quiet, quiet_change = (np.quantile(each, 0.1, axis=1) for each in (sound_db, change_db))
    mean_db = 10 * np.log10(sound.mean(axis=1) + floor)
    return np.concatenate(
        [
            [_ratio(change.sum(), sound.sum()), _ratio(change[:, near].sum(), sound[:, near].sum())],
            strays,
            together / (spread * strays + 1e-3),
            np.maximum(quiet - mean_db, -60),
            np.clip(quiet_change - quiet, -40, 6),
            np.maximum(mean_db - 10 * np.log10(sound.sum(axis=0).mean() + floor), -60),
            logits.mean(axis=0),
            logits[near].mean(axis=0),
            [_ratio(mended, float(sound.sum())), np.log(len(logits) / 100)],
        ]
    )


def _smoothed(powers: Powers) -> Powers:
    """Running means over `SMOOTH` columns. Shape (BANDS, columns), both"""
    padded = np.pad(powers, ((0, 0), (SMOOTH // 2, SMOOTH - SMOOTH // 2 - 1)), mode="edge")
    means: Powers = sliding_window_view(padded, SMOOTH, axis=1).mean(axis=2)
    return means


def _logits(chances: NDArray[np.float32]) -> NDArray[np.float64]:
    within = np.clip(chances.astype(np.float64), 1e-4, 1 - 1e-4)
    logits: NDArray[np.float64] = np.log(within / (1 - within))
    return logits


def _ratio(change: float, sound: float) -> float:
    """In dB, between bounds."""
    return float(np.clip(10 * np.log10((change + TINY) / (sound + TINY)), -60, 10))
