"""Reads and writes sound files through libsndfile, and MP3 through LAME."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register

LOSSLESS = (".wav", ".wave", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".flac", ".caf", ".au", ".snd")
LOSSY = (".ogg", ".oga", ".opus", ".mp3")


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Sound files through libsndfile: WAV, FLAC, AIFF, CAF, Ogg Vorbis, Opus, MP3.")
    register.stage(
        "read-soundfile",
        kind="loader",
        summary="Reads WAV, W64, RF64, AIFF, FLAC, Ogg Vorbis, Opus, MP3, CAF and AU files.",
        target="wavechain_soundfile.loader:SoundFileLoader",
        requires=("soundfile",),
        extensions=(*LOSSLESS, *LOSSY, ".mp1", ".mp2"),
    )
    register.stage(
        "write-soundfile",
        kind="writer",
        summary="Writes WAV, W64, RF64, AIFF, FLAC, Ogg Vorbis, Opus, MP3, CAF and AU files.",
        target="wavechain_soundfile.writer:SoundFileWriter",
        requires=("soundfile",),
        extensions=(*LOSSLESS, *LOSSY),
    )
    # The MP3 encoder in libsndfile's wheels takes 3.5 times the CPU of this one for the same bits.
    register.stage(
        "write-mp3",
        kind="writer",
        summary="Writes MP3 files with LAME, exact in time at every bit rate.",
        target="wavechain_soundfile.mp3_writer:Mp3Writer",
        requires=("lameenc",),
        extensions=(".mp3",),
        priority=10,
    )
