"""What a person may ask of an output file. Whatever is left open follows the source."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from wavechain.errors import ParameterError
from wavechain.params import param, parameter_error

MAX_CHANNELS = 64
MAX_SAMPLE_RATE = 768_000


class OutputOptions(BaseModel):
    """The ``[output]`` table of a chain file, and the options of ``wavechain run``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str | None = param(None, help="File format when the output name does not say: flac, wav, mp3, ogg …")
    bit_depth: Literal["16", "24", "32", "float"] | None = param(
        None, help="Sample format; unset keeps the source's (24 for lossy sources and float to FLAC)."
    )
    quality: float | None = param(
        None, ge=0, le=10, help="Lossy formats: 0 smallest to 10 best. FLAC: compression level 0 to 8."
    )
    bitrate_kbps: int | None = param(None, unit="kbit/s", ge=8, le=640, help="Constant bit rate of lossy formats.")
    dither: bool = param(True, help="TPDF dither when the bit depth falls.")
    overs: Literal["clip", "refuse", "limit"] = param(
        "clip", help="Samples beyond full scale: clip them and say so, refuse the file, or limit them."
    )
    tags: bool = param(True, help="Copy tags and cover art.")
    verify: bool = param(False, help="Decode the finished file and compare it with what was written.")

    @classmethod
    def of(cls, **options: object) -> OutputOptions:
        """Build from loose values, with errors as for stages."""
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            found: ParameterError = parameter_error(cls, "output", error)
            raise found from None
