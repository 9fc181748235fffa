"""One distribution ships every plugin: root metadata is the union of theirs, every list names them all."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from wavechain.registry.discovery import CORE
from wavechain.registry.specs import RESERVED

HOUSE = Path(__file__).parents[2]
ROOT = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = ROOT["project"]
PLUGINS = {
    folder.name: tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    for folder in sorted((HOUSE / "plugins").iterdir())
    if (folder / "pyproject.toml").is_file()
}
each_plugin = pytest.mark.parametrize("name", PLUGINS)

# Where the root pyproject.toml has to name a plugin, and how it is spelled there.
LISTS = {
    "project.entry-points": (PROJECT["entry-points"]["wavechain.plugins"].values(), "wavechain_{0}"),
    "tool.hatch.build.targets.wheel.packages": (
        ROOT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
        "plugins/{0}/wavechain_{0}",
    ),
    "tool.pytest.ini_options.pythonpath": (
        ROOT["tool"]["pytest"]["ini_options"]["pythonpath"],
        "plugins/{0}",
    ),
    "tool.mypy.mypy_path": (ROOT["tool"]["mypy"]["mypy_path"], "plugins/{0}"),
    "tool.importlinter.root_packages": (ROOT["tool"]["importlinter"]["root_packages"], "wavechain_{0}"),
    "tool.importlinter.contracts (layers)": (
        re.split(r"\s*\|\s*", ROOT["tool"]["importlinter"]["contracts"][0]["layers"][0]),
        "wavechain_{0}",
    ),
    "wavechain.registry.specs.RESERVED": ({name.replace("-", "_") for name in RESERVED - {CORE}}, "{0}"),
}


@each_plugin
def test_every_list_names_the_plugin(name):
    assert [place for place, (names, spelling) in LISTS.items() if spelling.format(name) not in names] == []


@pytest.mark.parametrize("place", LISTS)
def test_no_list_names_a_plugin_that_is_gone(place):
    names, spelling = LISTS[place]
    known = {spelling.format(name) for name in PLUGINS}
    known |= {"core", "cli", "core/wavechain", "cli/wavechain_cli", "wavechain", "wavechain_cli"}
    assert set(names) <= known


def test_entry_points_are_the_union_of_the_plugins():
    union = {}
    for plugin in PLUGINS.values():
        union |= plugin["project"]["entry-points"]["wavechain.plugins"]
    assert PROJECT["entry-points"]["wavechain.plugins"] == union


@each_plugin
def test_what_a_plugin_needs_the_base_or_an_extra_installs(name):
    needed = set(PLUGINS[name]["project"]["dependencies"]) - {"wavechain>=0.1"}
    extras = PROJECT["optional-dependencies"]
    offered = set(PROJECT["dependencies"]).union(*extras.values())
    assert needed <= offered, "bounds must agree to the letter, or the ejected plugin would behave differently"


@each_plugin
def test_an_ejected_plugin_keeps_name_version_and_terms(name):
    plugin = PLUGINS[name]["project"]
    source = (HOUSE / "core" / "wavechain" / "__init__.py").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    assert version is not None
    assert plugin["name"] == f"wavechain-{name.replace('_', '-')}"
    assert plugin["version"] == version[1]
    assert "wavechain>=0.1" in plugin["dependencies"]
    assert plugin["requires-python"] == PROJECT["requires-python"]
    assert plugin["license"] == PROJECT["license"]


def test_all_means_every_stage_that_can_stand_in_a_chain():
    """Not what authors, trainers and benches need: torch alone is larger than everything else together."""
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(everything.removeprefix("wavechain[").removesuffix("]").split(",")) == {
        name for name in extras if name not in ("all", "authoring", "evaluation", "train")
    }


def test_gpl_stays_behind_its_extra():
    assert not [line for line in PROJECT["dependencies"] if line.startswith("pedalboard")]
