"""The file formats that can be written, and what each of them can hold.

Quality goes from 0 (smallest) to 10 (best) and means in each codec
    MP3       V10 - quality, V0 for 10 and V9 for 1 and less; unset: 8, which is V2, about 190 kbit/s
    Vorbis    its own q; unset: 6, about 190 kbit/s
    Opus      16 kbit/s a channel at 0, doubling every 2.5 steps, 256 at 10; unset: 5, which is 128 kbit/s in stereo
    FLAC      the compression level 0 to 8; unset: 5
"""

from __future__ import annotations

from dataclasses import dataclass

from wavechain.audio import Media
from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.output import OutputOptions
from wavechain.stream import Spec

from . import mpeg

_MiB = 1 << 20
FOUR_GIB = 1 << 32
# Tags come on top of the audio, up to 16 MiB of them for each picture.
ROOM_FOR_TAGS = 64 * _MiB

Depth = int | str
_PCM: dict[Depth, str] = {16: "PCM_16", 24: "PCM_24", 32: "PCM_32", "float": "FLOAT"}
_UNSIGNED_8: dict[Depth, str] = {8: "PCM_U8", **_PCM}
_SIGNED_8: dict[Depth, str] = {8: "PCM_S8", **_PCM}


@dataclass(frozen=True, slots=True)
class Lossless:
    """A format that keeps every sample. ``ends_at`` is the number of bytes where its size fields overflow."""

    name: str
    major: str
    depths: dict[Depth, str]
    ends_at: int | None = None


LOSSLESS = {
    ".wav": Lossless("WAV", "WAV", _UNSIGNED_8),
    ".rf64": Lossless("RF64", "RF64", _UNSIGNED_8),
    ".w64": Lossless("W64", "W64", _UNSIGNED_8),
    ".aiff": Lossless("AIFF", "AIFF", _SIGNED_8, FOUR_GIB),
    ".caf": Lossless("CAF", "CAF", _SIGNED_8),
    ".au": Lossless("AU", "AU", _SIGNED_8, FOUR_GIB),
    ".flac": Lossless("FLAC", "FLAC", {8: "PCM_S8", 16: "PCM_16", 24: "PCM_24"}),
}
LOSSY = {".ogg": "Vorbis", ".opus": "Opus", ".mp3": "MP3"}
_SAME = {".wave": ".wav", ".aif": ".aiff", ".aifc": ".aiff", ".snd": ".au", ".oga": ".ogg"}

_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
# libvorbis refuses more than 200 kHz; libsndfile does not notice and crashes.
_VORBIS_MAX_RATE = 200_000
_FLAC_MAX_RATE, _FLAC_MAX_CHANNELS = 655_350, 8


def canonical(suffix: str) -> str:
    """The one suffix that stands for a format: ``.aif`` is ``.aiff``."""
    lower = f".{suffix.lower().lstrip('.')}"
    return _SAME.get(lower, lower)


def settle_depth(target: Lossless, media: Media, wanted: OutputOptions) -> Depth:
    """The depth that was asked for, or the source's, or 24 where the source has none that the format could keep."""
    if wanted.bit_depth is not None:
        depth: Depth = "float" if wanted.bit_depth == "float" else int(wanted.bit_depth)
        if depth not in target.depths:
            what = "float samples" if depth == "float" else f"{depth}-bit samples"
            raise ParameterError(
                f"output: {target.name} files cannot hold {what}.", hint="bit_depth=24, or a .wav file."
            )
        return depth
    if media.float_samples:
        return "float" if "float" in target.depths else 24
    if media.bits is None:
        return 24
    kept = [depth for depth in target.depths if isinstance(depth, int) and depth >= media.bits]
    return min(kept, default=24)


def refuse_lossy_options(name: str, wanted: OutputOptions) -> None:
    """Bit rates and (but for FLAC) quality mean nothing to a format that keeps every sample."""
    if wanted.bitrate_kbps is not None:
        raise ParameterError(f"output: {name} files have no bit rate to choose.", hint="bit_depth, or an .mp3 file.")
    if wanted.quality is not None and name != "FLAC":
        raise ParameterError(f"output: {name} files have no quality to choose.", hint="bit_depth, or a .flac file.")


def refuse_depth(name: str, wanted: OutputOptions) -> None:
    """Lossy formats have no bit depth, and one of quality and bit rate at a time."""
    if wanted.bit_depth is not None:
        raise ParameterError(f"output: {name} files have no bit depth.", hint="quality=8, or a .flac file.")
    if wanted.quality is not None and wanted.bitrate_kbps is not None:
        raise ParameterError(f"output: {name} takes quality or bitrate_kbps, not both.", hint="one of them.")


def check_limits(name: str, spec: Spec) -> None:
    """Raises SpecMismatchError for a rate or a channel count that files of that format cannot have."""
    rate = spec.sample_rate
    if name == "FLAC":
        _refuse_channels(name, spec, _FLAC_MAX_CHANNELS)
        if rate > _FLAC_MAX_RATE or (rate > 65_535 and rate % 10):
            _refuse_rate(name, rate, "up to 655350 Hz, above 65535 Hz multiples of 10", 192_000)
    elif name == "Vorbis" and rate > _VORBIS_MAX_RATE:
        _refuse_rate(name, rate, "up to 200000 Hz", 192_000)
    elif name == "Opus" and rate not in _OPUS_RATES:
        _refuse_rate(name, rate, _listed(_OPUS_RATES), 48_000)
    elif name == "MP3":
        _refuse_channels(name, spec, 2)
        if rate not in mpeg.SAMPLE_RATES:
            _refuse_rate(name, rate, _listed(mpeg.SAMPLE_RATES), 44_100 if rate % 11_025 == 0 else 48_000)


def opus_kbps(channels: int, wanted: OutputOptions) -> float:
    """The bit rate of an Opus file over all channels: libsndfile takes 6 kbit/s, and up to 250 more a channel."""
    if wanted.bitrate_kbps is not None:
        lowest, highest = 6.0, 6.0 + 250.0 * channels
        if not lowest <= wanted.bitrate_kbps <= highest:
            raise ParameterError(
                f"output: bitrate_kbps = {wanted.bitrate_kbps} is out of range for Opus of {channels} channels.",
                hint=f"{lowest:.0f} to {highest:.0f} kbit/s.",
            )
        return float(wanted.bitrate_kbps)
    quality = 5.0 if wanted.quality is None else wanted.quality
    return min(16.0 * 2 ** (quality / 2.5), 250.0) * channels


def mp3_quality(wanted: OutputOptions) -> float:
    """V of the variable bit rate: 0 (best) to 9."""
    return min(9.0, 10.0 - (8.0 if wanted.quality is None else wanted.quality))


def mp3_kbps(sample_rate: int, wanted: OutputOptions) -> int | None:
    """The constant bit rate that was asked for, if MP3 has it at that sample rate."""
    known = mpeg.bit_rates(sample_rate)
    if wanted.bitrate_kbps is not None and wanted.bitrate_kbps not in known:
        raise ParameterError(
            f"output: MP3 at {sample_rate} Hz has no bit rate of {wanted.bitrate_kbps} kbit/s.",
            hint=f"one of {_listed(known, '')}.",
        )
    return wanted.bitrate_kbps


def _refuse_channels(name: str, spec: Spec, most: int) -> None:
    if spec.channels > most:
        raise SpecMismatchError(
            f"{name} files hold up to {most} channels, this stream has {spec.channels}.",
            hint="add channels:layout=stereo before the end, or a .wav file.",
        )


def _refuse_rate(name: str, rate: int, legal: str, instead: int) -> None:
    raise SpecMismatchError(
        f"{name} files have {legal}; this stream has {rate} Hz.",
        hint=f"add resample:sample_rate={instead} before the end.",
    )


def _listed(values: tuple[int, ...], unit: str = " Hz") -> str:
    return f"{', '.join(str(value) for value in values[:-1])} or {values[-1]}{unit}"
