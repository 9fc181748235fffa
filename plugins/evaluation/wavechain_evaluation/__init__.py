"""The evaluation plugin. Measures how well a chain repairs recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Measures how well a chain repairs recordings.")
