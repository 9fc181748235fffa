"""The core's own stages, registered by the same hook as everybody's: the combinators, and the way back to audio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Combinators: several chains side by side.")
    register.stage(
        "parallel",
        kind="combinator",
        summary="Runs branches side by side on the same signal and adds them up, weighted.",
        target="wavechain.combinators:Parallel",
    )
    register.stage(
        "bands",
        kind="combinator",
        summary="Splits the signal at crossover frequencies and gives each band a chain of its own.",
        target="wavechain.combinators:Bands",
    )
    register.stage(
        "mid-side",
        kind="combinator",
        summary="Treats what both channels share apart from what sets them apart.",
        target="wavechain.combinators:MidSide",
    )
    register.stage(
        "mix",
        kind="combinator",
        summary="Blends the output of a chain with its untouched input: wet and dry.",
        target="wavechain.combinators:Mix",
    )
    register.stage(
        "inverse",
        kind="transform",
        summary="Goes back from features to audio, by the transform that made them.",
        target="wavechain.combinators:Inverse",
    )
