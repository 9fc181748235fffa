"""The gan-repair plugin. Blind neural repair of recordings; trained weights inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wavechain.hookspecs import hookimpl

if TYPE_CHECKING:
    from wavechain.registry.register import Register


STAGES = (
    ("repair", "Repair", "Gives back what a recording was before it was damaged, whatever the damage."),
    ("denoise", "Denoise", "Takes noise away, by a trained network."),
    ("declick", "Declick", "Takes clicks and crackle away."),
    ("declip", "Declip", "Rebuilds what was cut off at full scale."),
    ("dehum", "Dehum", "Takes mains hum away."),
    ("dereverb", "Dereverb", "Takes away most of the room around a voice; not for music."),
    ("extend-bandwidth", "ExtendBandwidth", "Makes up the highs that are missing."),
    ("repair-dropouts", "RepairDropouts", "Fills short gaps."),
)


@hookimpl
def wavechain_register(register: Register) -> None:
    register.plugin(summary="Blind neural repair of recordings; trained weights inside.")
    for name, stage, summary in STAGES:
        register.stage(
            name,
            kind="model",
            summary=summary,
            target=f"wavechain_gan_repair.repair:{stage}",
            requires=("onnxruntime",),
            extra="repair",
        )
    register.model(
        "repairnet",
        summary="Repairs speech and music at 44.1 and 48 kHz.",
        path="wavechain_gan_repair:models/repairnet",
    )
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
