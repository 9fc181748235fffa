"""Writes M4A: AAC, or Apple Lossless where a bit depth is asked for or the source is Apple Lossless already.

Conventions
    Time is exact: an AAC encoder puts 1024 frames before the sound and fills its last packet; the file says so in its
    edit list and in the duration of the last packet, in units of one frame (an MP4 counts its edits in its own
    ``movie_timescale``, a thousandth of a second unless told otherwise), and decoders cut both.
    Channels are in the order of WAV files: left, right, centre, low frequencies, back left, back right.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.stages import Encoding, Sink, Writer
from wavechain_av.sink import AvSink, Target

if TYPE_CHECKING:
    from wavechain.audio import Media
    from wavechain.output import OutputOptions
    from wavechain.stream import Spec

AAC_RATES = (7350, 8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)
ALAC_RATE_MAX = 384_000

# What both encoders take, by number of channels; ALAC knows 7.1 only with speakers left and right of the centre.
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}

# AAC of quality 0 to 10, in bits per second and channel: 64 to 320 kbit/s for stereo, 192 when nothing is said.
_AAC_LOWEST, _AAC_STEP, _AAC_DEFAULT_QUALITY = 32_000, 12_800, 5.0


class AvWriter(Writer):
    def encoding(self, suffix: str, spec: Spec, media: Media, wanted: OutputOptions) -> Encoding:
        lossy_asked = wanted.quality is not None or wanted.bitrate_kbps is not None
        if wanted.bit_depth is None and (lossy_asked or not media.codec.startswith("ALAC")):
            return self._aac(suffix, spec, wanted)
        if lossy_asked:
            raise ParameterError(
                f"{suffix} of {wanted.bit_depth} bits is lossless: it has no quality or bit rate.",
                hint="leave out bit_depth for AAC, or quality and bitrate_kbps for ALAC.",
            )
        return self._alac(suffix, spec, media, wanted)

    def open(self, path: Path, spec: Spec, encoding: Encoding) -> Sink:
        settings = dict(encoding.settings)
        target = Target(
            container="mp4" if path.suffix == ".mp4" else "ipod",
            codec="aac" if encoding.bits is None else "alac",
            layout=settings["layout"],
            samples={None: "flt", 16: "s16", 24: "s32"}[encoding.bits],
            planar=True,
            bit_rate=settings.get("bit_rate"),
            container_options={"movie_timescale": str(spec.sample_rate)},
        )
        return AvSink(path, spec.sample_rate, target)

    @staticmethod
    def _aac(suffix: str, spec: Spec, wanted: OutputOptions) -> Encoding:
        layout = _layout(suffix, spec, "AAC")
        if spec.sample_rate not in AAC_RATES:
            nearest = next((rate for rate in AAC_RATES if rate > spec.sample_rate), AAC_RATES[-1])
            raise SpecMismatchError(
                f"AAC has no {spec.sample_rate} Hz.", hint=f"resample:sample_rate={nearest}, or bit_depth=24 for ALAC."
            )
        quality = _AAC_DEFAULT_QUALITY if wanted.quality is None else wanted.quality
        rate = round(_AAC_LOWEST + _AAC_STEP * quality) * spec.channels
        if wanted.bitrate_kbps is not None:
            rate = wanted.bitrate_kbps * 1000
        return Encoding("M4A", "AAC", None, lossy=True, settings=(("layout", layout), ("bit_rate", rate)))

    @staticmethod
    def _alac(suffix: str, spec: Spec, media: Media, wanted: OutputOptions) -> Encoding:
        layout = _layout(suffix, spec, "ALAC")
        depth = wanted.bit_depth or ("16" if (media.bits or 24) <= 16 else "24")
        if depth not in ("16", "24"):
            raise ParameterError(f"ALAC holds 16 or 24 bits, not {depth}.", hint="bit_depth=24, or .wav or .flac.")
        if spec.sample_rate > ALAC_RATE_MAX or spec.channels > 6:
            raise SpecMismatchError(
                f"ALAC in {suffix} holds up to 6 channels and {ALAC_RATE_MAX} Hz; the chain ends with {spec}.",
                hint=".wav or .flac.",
            )
        return Encoding("M4A", f"ALAC_{depth}", int(depth), settings=(("layout", layout),))


def _layout(suffix: str, spec: Spec, codec: str) -> str:
    if spec.channels not in LAYOUTS:
        known = ", ".join(map(str, LAYOUTS))
        raise SpecMismatchError(
            f"{codec} in {suffix} holds {known} channels; the chain ends with {spec.channels}.",
            hint="channels:layout=stereo, or .wav or .flac.",
        )
    return LAYOUTS[spec.channels]
