"""Repair: gives back what a recording was before it was damaged, whatever the damage.

Conventions
    Any rate, any channel count, any length; time exact. The network works at its model's rate, that of wavechain at
    44.1 kHz, where 48 kHz passes as well: its bins are 9 % wider. For other rates a copy is resampled, and the *change*
    is resampled back, so that what lies above the network's range stays untouched.
    The weights are those of a model folder (`wavechain models list`). `repair` tells the network nothing; the others
    tell it which fault to look for, and those whose fault has an installed classical stage are that stage and use no
    network.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.models import ModelFolder, find_model
from wavechain.params import param
from wavechain.processors import Pending, Processor, join, pointwise
from wavechain.stages import Model
from wavechain.stream import Block, Spec
from wavechain_gan_repair.classical import MENDS, Classical, Mended, Removed, installed
from wavechain_gan_repair.engine import Repairing
from wavechain_gan_repair.in_room import InRoom
from wavechain_gan_repair.network_session import Backend, hint_for, open_session, settings_of

NATIVE = {44_100, 48_000}  # one network serves both
# What the classical stages do differently here than by themselves.
SETTINGS: dict[str, dict[str, Any]] = {
    "ar-declick": {"passes": 2},
    # Less: most of the tail is gone before.
    "late-reverb": {"decay_seconds": 0.5, "reduction_db": 6.0},
}


class NeuralRepair(Model):
    """What all stages of this plugin have in common."""

    amount: float = param(1.0, ge=0, le=1, help="How much of the repair is applied; 0 changes nothing.")
    preserve_below_hz: float = param(
        0.0, unit="Hz", ge=0, le=96_000, help="Everything below this frequency stays as it was."
    )
    preserve_above_hz: float = param(
        96_000.0, unit="Hz", ge=0, le=96_000, help="Everything above this frequency stays as it was."
    )
    output: Literal["repaired", "removed"] = param(
        "repaired", help="What comes out: the repaired sound, or what was taken away from it, to listen to."
    )
    model: str = param("repairnet", help="Whose weights: a model's name (wavechain models list) or its folder.")
    classical: bool = param(
        True, help="Whether what has a classical repair (clicks, clipping, dropouts, hum, rooms) is given to it."
    )
    backend: Backend = param("auto", help="What runs the network: onnx, torch, or whichever is installed.")

    capabilities: ClassVar[frozenset[str]] = frozenset({"process"})
    cost: ClassVar[float] = 120.0
    told: ClassVar[tuple[str, ...]] = ()
    first: ClassVar[tuple[str, ...]] = ()
    last: ClassVar[tuple[str, ...]] = ()
    highs: ClassVar[Literal["never", "believed", "always"]] = "never"

    @model_validator(mode="after")
    def _something_is_left(self) -> NeuralRepair:
        if self.preserve_below_hz >= self.preserve_above_hz:
            raise ParameterError(
                f"{self.stage_name()}: nothing is left to repair above preserve_below_hz = {self.preserve_below_hz:g} "
                f"and below preserve_above_hz = {self.preserve_above_hz:g}.",
                hint="the lower one first.",
            )
        return self

    def open(self, spec: Spec) -> Processor:
        model = find_model(self.model)
        if model.part != "repairnet":
            raise SpecMismatchError(
                f"{self.stage_name()}: {model.path} holds a {model.part}, not a repairnet.",
                hint="wavechain models list.",
            )
        if spec.kind != "audio":
            raise SpecMismatchError(f"{self.stage_name()} takes audio; the stream is {spec}.")
        repair = self._in_turn(spec, model)
        return Removed(repair) if self.output == "removed" else repair

    def _in_turn(self, spec: Spec, model: ModelFolder) -> Processor:
        first, last = (installed(names if self.classical else (), SETTINGS) for names in (self.first, self.last))
        repair = Classical(spec, first, self.amount, self._band(spec)) if first else _wire(spec)
        if not (self.told and (first or last)):  # a known fault with a classical repair needs no network
            network = self.network(spec, model, beside=bool(first))
            repair = Mended(spec, repair, network) if first else network
        for stage in last.values():
            repair = InRoom(repair, stage, self.amount, self._band(spec), doubting=not self.told)
        return repair

    def _band(self, spec: Spec) -> tuple[float, float] | None:
        """Where things may change, or None for everywhere."""
        everywhere = self.preserve_below_hz <= 0 and self.preserve_above_hz >= spec.sample_rate / 2
        return None if everywhere else (self.preserve_below_hz, self.preserve_above_hz)

    def network(self, spec: Spec, model: ModelFolder, *, beside: bool) -> Processor:
        """What the network does, without the classical stages; *beside* the sound it may hear what these mended."""
        if spec.sample_rate == model.sample_rate or {spec.sample_rate, model.sample_rate} <= NATIVE:
            return self._repairing(spec, model, beside=beside)
        inside = Spec.audio(model.sample_rate, spec.channels)
        return _Resampled(spec, self._repairing(inside, model, beside=beside, only_change=True))

    def _repairing(self, spec: Spec, model: ModelFolder, *, beside: bool, only_change: bool = False) -> Repairing:
        settings = settings_of(model)
        per_bin = spec.sample_rate / settings.n_fft
        low = min(settings.bins, int(np.ceil(self.preserve_below_hz / per_bin)))
        high = min(settings.bins, int(self.preserve_above_hz / per_bin) + 1)
        return Repairing(
            spec,
            open_session(model, spec.channels, self.backend),
            hint_for(self.told, spec.channels),
            n_fft=settings.n_fft,
            hop_length=settings.hop_length,
            lookahead=settings.lookahead,
            amount=self.amount,
            bins=slice(low, max(low, high)),
            doubting=not self.told,
            beside=beside,
            highs=self.highs,
            only_change=only_change,
        )


class Repair(NeuralRepair):
    """All faults at once, blind."""

    cost: ClassVar[float] = 400.0

    highs: ClassVar[Literal["never", "believed", "always"]] = "believed"
    first: ClassVar[tuple[str, ...]] = tuple(MENDS)
    last: ClassVar[tuple[str, ...]] = ("late-reverb",)


class Denoise(NeuralRepair):
    told: ClassVar[tuple[str, ...]] = ("noise",)


class Declick(NeuralRepair):
    first: ClassVar[tuple[str, ...]] = ("ar-declick",)
    told: ClassVar[tuple[str, ...]] = ("clicks",)


class Declip(NeuralRepair):
    first: ClassVar[tuple[str, ...]] = ("declip-soft", "declip-consistent")
    told: ClassVar[tuple[str, ...]] = ("clip",)


class Dehum(NeuralRepair):
    first: ClassVar[tuple[str, ...]] = ("comb-dehum",)
    told: ClassVar[tuple[str, ...]] = ("hum",)


class Dereverb(NeuralRepair):
    last: ClassVar[tuple[str, ...]] = ("late-reverb",)
    told: ClassVar[tuple[str, ...]] = ("room",)


class ExtendBandwidth(NeuralRepair):
    highs: ClassVar[Literal["never", "believed", "always"]] = "always"
    told: ClassVar[tuple[str, ...]] = ("band-limit",)


class RepairDropouts(NeuralRepair):
    first: ClassVar[tuple[str, ...]] = ("raise-dips", "ar-fill")
    told: ClassVar[tuple[str, ...]] = ("dropouts",)


def _wire(spec: Spec) -> Processor:
    return pointwise(spec, lambda block: block)


class _Resampled(Processor):
    """A stream of another rate: a resampled copy is repaired, and what was removed is resampled back and taken away.

    The copy is cut into fixed stretches before it is resampled, so nothing depends on the caller's blocks.
    """

    def __init__(self, spec: Spec, repairing: Repairing) -> None:
        import soxr

        super().__init__(spec)
        inside = repairing.spec.sample_rate
        heard = Spec.audio(spec.sample_rate, repairing.heard.channels)
        self._repairing = repairing
        self._there = soxr.ResampleStream(spec.sample_rate, inside, heard.channels, quality="HQ")
        self._back = soxr.ResampleStream(inside, spec.sample_rate, spec.channels, quality="HQ")
        self._cut, self._cut_back = Pending(heard), Pending(repairing.spec)
        self._input, self._removed = Pending(spec), Pending(spec)

    def process(self, block: Block) -> Block:
        self._input.push(block[: self.spec.channels])
        chunks = self._cut.chunks(block, 8_192)
        return join([self._repair(_resample(self._there, chunk)) for chunk in chunks], self.spec)

    def flush(self) -> Block:
        rest = _resample(self._there, self._cut.take(), last=True)
        done = [self._repair(rest), self._return(self._repairing.flush())]
        self._removed.push(_resample(self._back, self._cut_back.take(), last=True))
        self._removed.push(self.spec.zeros(self._input.steps))  # rounding may leave the copy a frame short
        done.append(self._emit())
        return join(done, self.spec)

    def _repair(self, block: Block) -> Block:
        return self._return(self._repairing.process(block))

    def _return(self, removed: Block) -> Block:
        for chunk in self._cut_back.chunks(removed, 8_192):
            self._removed.push(_resample(self._back, chunk))
        return self._emit()

    def _emit(self) -> Block:
        count = min(self._removed.steps, self._input.steps)
        removed, before = self._removed.take(count), self._input.take(count)
        return before - removed

    @property
    def report(self) -> dict[str, Any]:
        return self._repairing.report


def _resample(stream: Any, block: Block, *, last: bool = False) -> Block:
    return np.ascontiguousarray(stream.resample_chunk(block.T, last=last).T, np.float32)
