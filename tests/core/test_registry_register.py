"""A plugin is checked when it registers: every mistake is refused there, naming plugin, stage and the right form."""

from __future__ import annotations

import pytest

from wavechain.errors import PluginError
from wavechain.registry.register import Register

GOOD = {"kind": "effect", "summary": "Wobbles.", "target": "acme.wobble:Wobble"}


@pytest.fixture
def register():
    return Register("acme", "acme-audio")


def test_a_stage_keeps_what_was_said_about_it(register):
    register.stage("wobble", **GOOD, requires=["json"], extra="net", aliases=("wow",), short=False)
    (stage,) = register.stages
    assert stage.full_name == "acme.wobble"
    assert (stage.kind, stage.summary, stage.target) == ("effect", "Wobbles.", "acme.wobble:Wobble")
    assert (stage.requires, stage.missing, stage.extra) == (("json",), (), "net")
    assert (stage.aliases, stage.short, stage.bundled) == (("wow",), False, False)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "effects"}, "'effects' is not a kind: one of loader, transform, effect, model, trainer, writer"),
        ({"kind": "combinator"}, "'combinator' is not a kind"),
        ({"target": "acme.wobble.Wobble"}, "target 'acme.wobble.Wobble' is not package.module:Class"),
        ({"target": None}, "target None is not package.module:Class"),
        ({"summary": ""}, "summary '' is not one line of text"),
        ({"summary": "Two\nlines."}, "is not one line of text"),
        ({"requires": "torch"}, "requires = 'torch' is one text, not a tuple: ('torch',)"),
        ({"requires": ("torch>=2",)}, "requires 'torch>=2' is not the import name of a package"),
        ({"extensions": (".wav",)}, "kind 'effect' has no extensions"),
        ({"kind": "loader"}, "kind 'loader' needs extensions=('.wav', ...)"),
        ({"kind": "writer", "extensions": (".WAV",)}, "extensions '.WAV' is not a lower-case suffix, as .wav"),
        ({"aliases": ("Wow",)}, "aliases 'Wow' is not kebab-case"),
        ({"aliases": ("wobble",)}, "the name 'wobble' is registered twice"),
        ({"priority": "high"}, "priority = 'high' is not a whole number"),
        ({"api": 0}, "api = 0 is not a whole number from 1"),
        ({"api": 2}, "needs a newer wavechain"),
        ({"extra": None}, "extra = None is not a text"),
        ({"alias": ("wow",)}, "register.stage has no keyword 'alias'; the nearest is 'aliases'"),
    ],
)
def test_a_mistake_is_refused_with_plugin_stage_and_reason(register, change, reason):
    with pytest.raises(PluginError) as refusal:
        register.stage("wobble", **(GOOD | change))
    assert str(refusal.value).startswith("plugin acme: stage 'wobble': ")
    assert reason in str(refusal.value)
    assert register.stages == []


@pytest.mark.parametrize("name", ["Wobble", "wobble_2", "-wobble", "wobble-", "acme.wobble", "", "8bit", None])
def test_a_stage_name_is_kebab_case(register, name):
    with pytest.raises(PluginError, match="is not kebab-case"):
        register.stage(name, **GOOD)


@pytest.mark.parametrize("second", [("wobble", ()), ("wow", ()), ("sway", ("wow",))])
def test_a_name_is_given_once_in_a_plugin(register, second):
    register.stage("wobble", **GOOD, aliases=("wow",))
    with pytest.raises(PluginError, match="is registered twice"):
        register.stage(second[0], **GOOD, aliases=second[1])


@pytest.mark.parametrize(
    "path", ["acme:../x.toml", "acme:/etc/x.toml", "acme/x.toml", "acme:x.json", "acme:a/../x.toml"]
)
def test_a_preset_lies_inside_its_package(register, path):
    with pytest.raises(PluginError, match=r"is not package:relative/file\.toml"):
        register.preset("warm", summary="Warm.", path=path)


def test_a_preset_and_a_stage_may_share_a_name_but_two_presets_may_not(register):
    register.stage("warm", **GOOD)
    register.preset("warm", summary="Warm.", path="acme:presets/warm.toml")
    with pytest.raises(PluginError, match="preset 'warm': the name 'warm' is registered twice"):
        register.preset("warm", summary="Warmer.", path="acme:presets/warmer.toml")


def test_a_plugin_describes_itself_in_one_line(register):
    register.plugin(summary="Wobbly things.", homepage="https://example.org/acme")
    assert (register.summary, register.homepage) == ("Wobbly things.", "https://example.org/acme")
    with pytest.raises(PluginError, match="is not one line of text"):
        register.plugin(summary="Two\nlines.")
