"""The gan-repair plugin. Blind neural repair of recordings; trained weights inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Blind neural repair of recordings; trained weights inside.")
