"""Playlists and cue sheets for wavechain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Playlists and cue sheets: their tracks as one sound, or one by one.")
    register.stage(
        "read-m3u",
        kind="loader",
        summary="Reads M3U playlists: the files they list, one after the other.",
        target="wavechain_playlist.m3u:M3uLoader",
        extensions=(".m3u", ".m3u8"),
    )
    register.stage(
        "read-cue",
        kind="loader",
        summary="Reads cue sheets: their files one after the other, or one track.",
        target="wavechain_playlist.cue:CueLoader",
        extensions=(".cue",),
    )
    register.stage(
        "cue-track",
        kind="effect",
        summary="Keeps one track of a cue sheet.",
        target="wavechain_playlist.cue_track:CueTrack",
    )
