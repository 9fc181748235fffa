"""What a network of this family is built by: known, and checked, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wavechain.errors import ParameterError

LOWEST_RATE, HIGHEST_RATE = 8_000, 96_000  # Hz, that a network may work at

SIZES: dict[str, dict[str, int]] = {
    "xs": {"width": 32, "hidden": 64, "layers": 2},
    "s": {"width": 48, "hidden": 96, "layers": 3},
    "m": {"width": 64, "hidden": 128, "layers": 4},
}

# Bins of each band, and how many such bands, from below; the last size is repeated until no bin is left.
BANDS = ((2, 16), (4, 12), (16, 10), (64, 6), (80, 5))


class RepairNetSettings(BaseModel):
    """What rebuilds a network; stored beside its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Literal["xs", "s", "m"] = "xs"
    n_fft: int = Field(2048, ge=64, le=65_536, multiple_of=2)
    hop_length: int = Field(512, ge=1, le=32_768)
    lookahead: int = Field(3, ge=0, le=64)
    copies: tuple[int, ...] = (192, 384)  # bins by which the spectrum is shifted up

    @model_validator(mode="after")
    def _copies_have_a_place(self) -> RepairNetSettings:
        if any(not 0 < copy < self.bins for copy in self.copies):
            raise ValueError(f"copies = {list(self.copies)} do not all lie between 0 and n_fft / 2 = {self.bins}")
        return self

    @property
    def bins(self) -> int:
        """Of the spectra, without the last."""
        return self.n_fft // 2


def checked(settings: Mapping[str, Any], whose: str) -> RepairNetSettings:
    """Raises ParameterError, one line that begins with *whose*."""
    try:
        return RepairNetSettings.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = " ".join(["setting", *map(str, first["loc"])]) if first["loc"] else "settings"
        raise ParameterError(f"{whose}: {place}: {first['msg']}.", hint="the settings of repairnet.") from error


def split(bins: int) -> tuple[tuple[int, int], ...]:
    """(bands, bins of each), from below: narrow where the ear and most of the energy are, wide at the top."""
    groups, left = [], bins
    for size, count in BANDS:
        count = min(count, left // size)
        if count:
            groups.append((count, size))
            left -= count * size
    if left:
        groups.append((1, left))
    return tuple(groups)


def bands(bins: int) -> int:
    return sum(count for count, _ in split(bins))
