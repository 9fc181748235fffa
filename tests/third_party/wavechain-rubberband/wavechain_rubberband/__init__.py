"""Time and pitch, each without the other, for wavechain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register

STAGES = {
    "time-stretch": ("Longer or shorter at the same pitch.", "stretching:TimeStretch"),
    "fit-duration": ("Stretches to a duration, exactly, whatever the input's.", "stretching:FitDuration"),
    "transpose": ("Higher or lower at the same speed.", "transposing:Transpose"),
    "harmony": ("Adds a transposed copy, a little later.", "transposing:Harmony"),
}


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Time and pitch, each without the other, through Rubber Band.")
    for name, (summary, target) in STAGES.items():
        register.stage(
            name,
            kind="effect",
            summary=summary,
            target=f"wavechain_rubberband.{target}",
            requires=("pylibrb",),
            extra="engine",
        )
    register.preset(
        "half-speed",
        summary="Half the speed at the same pitch, to learn a solo by ear.",
        path="wavechain_rubberband:presets/half-speed.toml",
    )
