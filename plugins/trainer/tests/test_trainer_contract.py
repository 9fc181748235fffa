"""Every degradation that comes along, and a recipe of each family, keeps the contract that others are held to."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from wavechain.recipes import part
from wavechain.registry import registry
from wavechain.testing import DegradationContract, RecipeContract

torch = pytest.importorskip("torch")

DEGRADATIONS = ("add-noise", "room", "clip", "codec", "band-limit", "clicks", "dropouts", "hum")


def _toys(name: str) -> ModuleType:
    """A module of toys under a name of its own: the other tests install theirs, and take it away again."""
    found = importlib.util.spec_from_file_location(f"{name}_of_the_contract", Path(__file__).with_name(f"{name}.py"))
    assert found is not None
    assert found.loader is not None
    module = sys.modules[found.name] = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


families, toys = _toys("toy_families"), _toys("toy_recipes")


class TestFamilies(RecipeContract):
    stages = tuple(getattr(families, name)() for name in families.RECIPES.values())


class TestToys(RecipeContract):
    stages = tuple(getattr(toys, name)() for name in toys.RECIPES.values())


class TestDegradations(DegradationContract):
    stages = tuple(part("degradation", name) for name in DEGRADATIONS)


def test_whatever_is_registered_is_held_to_a_contract():
    bundled = {plugin.name for plugin in registry().plugins() if plugin.bundled}
    for kind, names in (("degradation", DEGRADATIONS), ("recipe", ("repair",))):  # the latter in its plugin's tests
        assert {spec.name for spec in registry().parts(kind) if spec.plugin in bundled} == set(names)
