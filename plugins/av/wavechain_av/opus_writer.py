"""Writes Ogg Opus with libopus, for a third of the CPU that libsndfile takes.

Conventions
    Time is exact: an Opus encoder puts 6.5 ms before the sound and fills its last packet; the file says so in its
    pre-skip and in the sample number of its last page, and decoders cut both.
    Quality and bit rate mean what they mean to the soundfile plugin, which writes these files where PyAV is missing:
    a chain file says the same with either. The bit rate is held (constrained VBR), for libopus left alone spends what
    it likes: measured, 221 kbit/s where 128 were asked for.
    More than two channels are independent of each other and keep their order (mapping family 255). Family 1 would name
    their speakers, but in the order of Vorbis: libsndfile does not sort it back, and band-limits the fourth of 5.1.
Source  RFC 7845 4.2 to 4.5 and 5.1.1 (Opus in Ogg)
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

OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)

# In kbit/s: what quality 0 gives each channel, in how many steps that doubles, and what libsndfile can be asked for.
_LOWEST, _DOUBLES_IN, _DEFAULT_QUALITY = 16.0, 2.5, 5.0
_FLOOR, _MOST_A_CHANNEL = 6.0, 250.0


class OpusWriter(Writer):
    def encoding(self, suffix: str, spec: Spec, media: Media, wanted: OutputOptions) -> Encoding:
        if wanted.bit_depth is not None:
            raise ParameterError("output: Opus files have no bit depth.", hint="quality=8, or a .flac file.")
        if wanted.quality is not None and wanted.bitrate_kbps is not None:
            raise ParameterError("output: Opus takes quality or bitrate_kbps, not both.", hint="one of them.")
        if spec.sample_rate not in OPUS_RATES:
            raise SpecMismatchError(
                f"Opus files have 8000, 12000, 16000, 24000 or 48000 Hz; this stream has {spec.sample_rate} Hz.",
                hint="add resample:sample_rate=48000 before the end.",
            )
        rate = round(1000 * _kbps(spec.channels, wanted))
        return Encoding("OGG", "OPUS", None, lossy=True, settings=(("bit_rate", rate),))

    def open(self, path: Path, spec: Spec, encoding: Encoding) -> Sink:
        several = spec.channels > 2
        target = Target(
            container="ogg",
            codec="libopus",
            layout=f"{spec.channels}C" if several else ("mono", "stereo")[spec.channels - 1],
            samples="flt",
            planar=False,
            bit_rate=dict(encoding.settings)["bit_rate"],
            codec_options={"vbr": "constrained"} | ({"mapping_family": "255"} if several else {}),
        )
        return AvSink(path, spec.sample_rate, target)


def _kbps(channels: int, wanted: OutputOptions) -> float:
    """The bit rate of all channels together."""
    if wanted.bitrate_kbps is None:
        quality = _DEFAULT_QUALITY if wanted.quality is None else wanted.quality
        return min(_LOWEST * 2 ** (quality / _DOUBLES_IN), _MOST_A_CHANNEL) * channels
    highest = _FLOOR + _MOST_A_CHANNEL * channels
    if not _FLOOR <= wanted.bitrate_kbps <= highest:
        raise ParameterError(
            f"output: bitrate_kbps = {wanted.bitrate_kbps} is out of range for Opus of {channels} channels.",
            hint=f"{_FLOOR:.0f} to {highest:.0f} kbit/s.",
        )
    return float(wanted.bitrate_kbps)
