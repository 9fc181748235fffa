"""The trainer plugin. Trains networks on a folder of audio from a recipe; every run can be resumed exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Trains networks on a folder of audio from a recipe; every run can be resumed exactly.")
