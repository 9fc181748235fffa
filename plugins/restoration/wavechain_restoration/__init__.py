"""The restoration plugin. Classical repair: clicks, clipping, hum, dropouts and noise, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register

STAGES = (
    ("ar-declick", "ar_declick:ArDeclick", "Takes out clicks and crackle, and fills in what the sound leads to."),
    ("raise-dips", "raise_dips:RaiseDips", "Raises short stretches that fell in level back to the sound around them."),
    ("ar-fill", "ar_fill:ArFill", "Fills short dropouts from the sound on both sides."),
    ("declip-soft", "declip_soft:DeclipSoft", "Puts back peaks that were pressed flat, by undoing what bent them."),
    ("declip-consistent", "declip_consistent:DeclipConsistent", "Rebuilds peaks that were cut off flat."),
    ("comb-dehum", "comb_dehum:CombDehum", "Takes out mains hum and its harmonics; bass notes stay."),
)


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Classical repair: clicks, clipping, hum, dropouts and noise, without a network.")
    for name, target, summary in STAGES:
        register.stage(name, kind="effect", summary=summary, target=f"wavechain_restoration.{target}")
    register.preset(
        "denoise-classical",
        summary="Lowers steady noise with a spectral gate, without a network.",
        path="wavechain_restoration:presets/denoise-classical.toml",
    )
    register.preset(
        "dereverb-classical",
        summary="Lowers the tail of a room behind each sound, without a network.",
        path="wavechain_restoration:presets/dereverb-classical.toml",
    )
