"""The av plugin: FFmpeg's formats, through PyAV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register

# What libsndfile does not read, then what it reads too: there this plugin comes second.
ALONE = (
    *(".m4a", ".m4b", ".m4r", ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".aac"),
    *(".wma", ".wmv", ".asf", ".mka", ".mkv", ".webm", ".avi", ".flv", ".mpg", ".mpeg", ".vob", ".m2ts"),
    *(".ac3", ".eac3", ".ec3", ".dts", ".thd", ".mp2", ".amr", ".ape", ".wv", ".tta", ".tak", ".mpc", ".oma", ".dsf"),
)
SHARED = (".mp3", ".ogg", ".oga", ".opus", ".flac", ".wav", ".w64", ".aif", ".aiff", ".caf", ".au")


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Reads M4A, WMA, video sound tracks and what else FFmpeg knows; writes AAC, ALAC and Opus.")
    register.stage(
        "read-av",
        kind="loader",
        summary="Reads M4A, AAC, WMA, AC-3, APE, WavPack, the sound of MP4, MKV, WebM, MOV and others.",
        target="wavechain_av.loader:AvLoader",
        requires=("av",),
        extra="av",
        extensions=(*ALONE, *SHARED),
        priority=-10,
    )
    register.stage(
        "write-av",
        kind="writer",
        summary="Writes M4A: AAC, or ALAC where a bit depth is asked for.",
        target="wavechain_av.writer:AvWriter",
        requires=("av",),
        extra="av",
        extensions=(".m4a", ".m4b", ".mp4"),
        priority=-10,
    )
    # The encoder in libsndfile's wheels takes 3.5 times the CPU of this one for the same bits.
    register.stage(
        "write-opus",
        kind="writer",
        summary="Writes Ogg Opus with libopus, exact in time.",
        target="wavechain_av.opus_writer:OpusWriter",
        requires=("av",),
        extra="av",
        extensions=(".opus",),
        priority=10,
    )
