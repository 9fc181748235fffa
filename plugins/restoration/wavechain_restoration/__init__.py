"""The restoration plugin. Classical repair: clicks, clipping, hum, dropouts and noise, each by a published method, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Classical repair: clicks, clipping, hum, dropouts and noise, each by a published method, without a network.")
