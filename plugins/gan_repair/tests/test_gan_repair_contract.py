"""The recipe keeps the contract of recipes: with all of it in play, and as `denoise-small` uses it."""

from __future__ import annotations

import pytest

from wavechain.recipes import read_recipe
from wavechain.testing import RecipeContract

torch = pytest.importorskip("torch")
pytest.importorskip("wavechain_trainer")

from wavechain_gan_repair.recipe import RepairRecipe  # noqa: E402

SMALL = {name: value for name, value in read_recipe("denoise-small")["recipe"].items() if name != "name"}


class TestRepairRecipe(RecipeContract):
    stages = (
        RepairRecipe(
            clip_seconds=0.3,
            network={"size": "xs"},
            discriminator_settings={"sizes": [256], "width": 4},
            discriminator_seconds=0.1,
            mended=0.5,
            varied=0.5,
        ),
        RepairRecipe(**{**SMALL, "clip_seconds": 0.3}),
    )
