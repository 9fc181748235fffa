"""The gan-repair plugin. Blind neural repair of recordings; trained weights inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Blind neural repair of recordings; trained weights inside.")
    register.part(
        "repairnet",
        kind="network",
        summary="Small recurrent network: a complex mask, an additive residual, copies of lower bands.",
        target="wavechain_gan_repair.network:RepairNet",
        requires=("torch",),
        extra="train",
    )
    register.part(
        "repair",
        kind="recipe",
        summary="Teaches repairnet to give back what a recording was before it was damaged.",
        target="wavechain_gan_repair.recipe:RepairRecipe",
        requires=("torch",),
        extra="train",
    )
