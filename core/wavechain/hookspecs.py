"""The one hook of wavechain, and the two markers that go with it.

A plugin is an entry point in the group ``wavechain.plugins`` that names a tiny module:

    from wavechain.hookspecs import hookimpl

    @hookimpl
    def wavechain_register(register):
        register.stage(
            "tremolo",
            kind="effect",
            summary="Swings the level up and down.",
            target="my_package.tremolo:Tremolo",
        )

Everything in it is text: the target is imported when the stage is first used, so that listing plugins stays instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from wavechain.registry.register import Register

PROJECT = "wavechain"
ENTRY_POINT_GROUP = "wavechain.plugins"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def wavechain_register(register: Register) -> None:
    """Say what the plugin offers, by calling `register.stage`, `.preset`, `.model`, `.part` and `.plugin`."""
