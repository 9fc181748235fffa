"""Names to stages and back, suffixes to loaders and writers: one answer, or an error that says what to do."""

from __future__ import annotations

import importlib
import sys
from textwrap import dedent

import pytest

from wavechain.combinators import Mix
from wavechain.errors import (
    AmbiguousStageError,
    ChainError,
    MissingDependencyError,
    PluginError,
    UnknownStageError,
)
from wavechain.registry import Registry, install_line
from wavechain.stages import Effect

STAGES = """
    from wavechain import Effect, Loader, pointwise

    class Hum(Effect):
        def open(self, spec):
            return pointwise(spec, lambda block: block)

    class Unfinished(Effect):
        pass

    class NotAStage:
        pass
"""

ACME = """
    from wavechain.hookspecs import hookimpl

    @hookimpl
    def wavechain_register(register):
        def effect(name, target="acme_stages:Hum", **more):
            register.stage(name, kind="effect", summary="Hums.", target=target, **more)

        effect("hum-along", aliases=("hum",))
        effect("zither", "acme_reexport:Zither")
        effect("quiet", short=False)
        effect("vocoder", requires=("no_such_network",), extra="net")
        effect("unfinished", "acme_stages:Unfinished")
        effect("thing", "acme_stages:NotAStage")
        effect("absent", "acme_stages:Absent")
        effect("crash", "acme_crash:Crash")
        effect("late", "acme_late:Late", requires=("json",))
        register.stage("tape", kind="loader", summary="Reads.", target="acme_stages:Hum", extensions=(".tp", ".rl"))
        register.stage("reel", kind="loader", summary="Reads.", target="a.b:C", extensions=(".rl",), priority=5)
        register.stage(
            "wire", kind="loader", summary="Reads.", target="a.b:C", extensions=(".wr",), requires=("no_such_network",)
        )
        register.stage("tape-out", kind="writer", summary="Writes.", target="a.b:C", extensions=(".tp",))
        register.preset("warm-hum", summary="Warm.", path="acme_presets:chains/warm.toml")
        register.preset("lost", summary="Lost.", path="acme_presets:chains/lost.toml")
"""

OTHER = """
    from wavechain.hookspecs import hookimpl

    @hookimpl
    def wavechain_register(register):
        register.stage("zither", kind="effect", summary="Plucks.", target="acme_stages:Unfinished")
        register.stage("old-tape", kind="loader", summary="Reads.", target="a.b:C", extensions=(".tp",))
        register.preset("warm-hum", summary="Warm too.", path="acme_presets:chains/warm.toml")
"""


@pytest.fixture
def found(tmp_path, monkeypatch):
    modules = {
        "acme_entry": ACME,
        "other_entry": OTHER,
        "acme_stages": STAGES,
        "acme_reexport": "from acme_zither import Zither\n",
        "acme_zither": "from acme_stages import Hum\n\nclass Zither(Hum):\n    pass\n",
        "acme_crash": "import sys\n\nsys.exit('gone')\n",
        "acme_late": "import sys\n\nsys.modules['json.none'] = None\nimport json.none\n",
    }
    for name, source in modules.items():
        (tmp_path / f"{name}.py").write_text(dedent(source))
    for name, module in (("acme-sound", "acme_entry"), ("other-sound", "other_entry")):
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[wavechain.plugins]\n{name.split('-')[0]} = {module}\n")
    (tmp_path / "acme_presets" / "chains").mkdir(parents=True)
    (tmp_path / "acme_presets" / "__init__.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "acme_presets" / "chains" / "warm.toml").write_text("[[stage]]\nuse = 'acme.hum'\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry()
    for name in [*modules, "json.none"]:
        sys.modules.pop(name, None)


def test_a_stage_answers_to_its_short_name_its_full_name_and_its_aliases(found):
    names = ("hum-along", "acme.hum-along", "hum", "acme.hum")
    assert {found.find(name).full_name for name in names} == {"acme.hum-along"}


def test_a_stage_without_a_short_name_answers_to_its_full_name_only(found):
    assert found.find("acme.quiet").name == "quiet"
    with pytest.raises(UnknownStageError, match=r"no stage is called 'quiet'; the nearest is 'acme\.quiet'"):
        found.find("quiet")


def test_a_misspelt_stage_is_answered_with_the_nearest_name(found):
    with pytest.raises(UnknownStageError) as refusal:
        found.find("hum_alnog")
    assert "no stage is called 'hum_alnog'; the nearest is 'hum-along'" in str(refusal.value)
    assert str(refusal.value).endswith("Try: wavechain stages list.")


def test_a_stage_looked_for_in_the_wrong_plugin_is_found_in_the_right_one(found):
    with pytest.raises(UnknownStageError, match=r"the nearest is 'acme\.hum-along'"):
        found.find("other.hum-along")


def test_a_short_name_that_two_plugins_offer_is_nobodys(found):
    with pytest.raises(AmbiguousStageError) as refusal:
        found.find("zither")
    assert str(refusal.value) == (
        "'zither' is the name of several stages: acme.zither and other.zither. Try: acme.zither or other.zither."
    )
    assert found.find("other.zither").plugin == "other"


def test_a_stage_of_a_blocked_plugin_is_told_to_be_blocked(found):
    with pytest.raises(UnknownStageError, match=r"acme \(acme-sound 1\.0\) is blocked"):
        Registry(block=["acme"]).find("acme.hum")
    with pytest.raises(UnknownStageError, match=r"plugin acme did not load"):
        Registry(block=["acme"]).find("hum-along")


def test_a_stage_whose_package_is_missing_can_be_described_but_not_used(found):
    assert found.lookup("vocoder").missing == ("no_such_network",)
    for refused in (found.find, found.load):
        with pytest.raises(MissingDependencyError) as refusal:
            refused("vocoder")
        assert str(refusal.value) == ("acme.vocoder needs package no_such_network. Try: pip install 'acme-sound[net]'")


def test_what_to_install_is_the_extra_of_the_distribution_or_the_packages():
    assert install_line("effects", ["pedalboard"]) == "pip install 'wavechain[effects]'"
    assert install_line("net", ["torch"], distribution="acme") == "pip install 'acme[net]'"
    assert install_line("", ["torch", "einops"]) == "pip install torch einops"


def test_a_stage_is_imported_when_it_is_loaded_and_not_before(found):
    found.find("hum-along")
    assert "acme_stages" not in sys.modules
    loaded = found.load("hum-along")
    assert issubclass(loaded, Effect)
    assert found.load(found.find("acme.hum")) is loaded


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("crash", r"cannot be loaded: SystemExit: gone \(.*acme_crash.py:3\)"),
        ("absent", "cannot be loaded: AttributeError: module 'acme_stages' has no attribute 'Absent'"),
        ("thing", "is registered as effect but is not of class Effect"),
        ("tape", "is registered as loader but is not of class Loader"),
        ("unfinished", "does not say how to open"),
    ],
)
def test_a_stage_that_is_not_what_was_registered_is_refused_naming_plugin_and_target(found, name, reason):
    with pytest.raises(PluginError, match=reason) as refusal:
        found.load(name)
    assert str(refusal.value).startswith(f"plugin acme: stage {name} (acme_")
    assert str(refusal.value).endswith("Try: wavechain plugins check acme.")


def test_a_package_that_is_there_but_cannot_be_imported_is_a_missing_dependency(found):
    with pytest.raises(MissingDependencyError, match="needs package json"):
        found.load("late")


def test_a_class_is_named_as_shortly_as_can_be_without_doubt(found):
    hum, zither = found.load("hum-along"), found.load("acme.zither")
    assert found.name_of(hum) == "hum-along"
    assert found.name_of(zither) == "acme.zither"  # two plugins have a zither; and its module only passes it on
    assert found.name_of(Mix) == "mix"


def test_a_class_that_nobody_registered_has_no_name(found):
    class Private(Effect):
        pass

    with pytest.raises(PluginError, match=r"Private is not registered by any loaded plugin"):
        found.name_of(Private)


def test_loaders_come_best_first_by_priority_then_by_name(found):
    assert [stage.full_name for stage in found.loaders_for(".RL")] == ["acme.reel", "acme.tape"]
    assert [stage.full_name for stage in found.loaders_for(".tp")] == ["acme.tape", "other.old-tape"]
    assert [stage.full_name for stage in found.writers_for(".tp")] == ["acme.tape-out"]


def test_a_loader_whose_package_is_missing_is_known_but_not_offered(found):
    assert found.loaders_for(".wr") == []
    assert [stage.install for stage in found.unavailable_for("loader", ".wr")] == ["pip install no_such_network"]
    assert ".wr" not in found.suffixes("loader")
    assert {".tp", ".rl"} <= set(found.suffixes("loader"))


def test_a_preset_is_found_without_importing_its_package(found):
    assert found.preset("acme.warm-hum").read() == "[[stage]]\nuse = 'acme.hum'\n"
    assert "acme_presets" not in sys.modules


def test_presets_that_are_unknown_doubtful_or_lost_are_refused(found):
    with pytest.raises(ChainError, match=r"'warm-hum' is the name of several presets\. Try: acme\.warm-hum or"):
        found.preset("warm-hum")
    with pytest.raises(ChainError, match=r"no preset is called 'losst'; the nearest is 'lost'"):
        found.preset("losst")
    with pytest.raises(PluginError, match=r"there is no 'chains/lost\.toml' in package acme_presets"):
        found.preset("lost").read()


def test_checking_a_plugin_loads_everything_and_tells_all_that_is_wrong(found):
    lines = found.check("acme")
    wrong = ("vocoder", "unfinished", "thing", "absent", "crash", "late", "tape", "reel", "wire", "tape-out", "lost")
    assert len(lines) == len(wrong)
    assert all(name in line for name, line in zip(wrong, lines, strict=True))
    assert Registry(block=["acme"]).check("acme") == ["acme (acme-sound 1.0) is blocked: by WAVECHAIN_BLOCK."]


def test_stages_can_be_asked_for_by_kind(found):
    assert {stage.kind for stage in found.stages("combinator")} == {"combinator"}
    assert {"parallel", "bands", "mid-side", "mix"} <= {stage.name for stage in found.stages("combinator")}
    assert found.find("inverse").kind == "transform"
    assert len(found.stages()) > len(found.stages("effect")) > 0


@pytest.mark.parametrize("name", ["parallel", "bands", "mid-side", "mix", "inverse"])
def test_the_core_registers_its_own_stages_as_any_plugin_would(name):
    spec = Registry().find(f"core.{name}")
    module, _, target = spec.target.partition(":")
    assert Registry().load(spec) is getattr(importlib.import_module(module), target)
