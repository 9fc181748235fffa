"""Each plugin ends in one of six states, and none of them can take the others down."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from wavechain.errors import UnknownStageError, UsageError
from wavechain.registry import Registry, register, registry, reset

HEAD = "from wavechain.hookspecs import hookimpl\n\n@hookimpl\ndef wavechain_register(register):\n"
OFFERS_HUM = HEAD + "    register.stage('hum', kind='effect', summary='Hums along.', target='{module}_stage:Hum')\n"


class Environment:
    """A folder on sys.path that holds distributions as pip would have left them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def install(self, distribution, plugin, source=OFFERS_HUM, *, module="", version="1.0", entry_points=""):
        module = module or distribution.replace("-", "_") + "_entry"
        (self.folder / f"{module}.py").write_text(dedent(source).replace("{module}", module))
        self.metadata(distribution, version, entry_points or f"[wavechain.plugins]\n{plugin} = {module}\n")
        importlib.invalidate_caches()

    def metadata(self, distribution, version, entry_points, *, suffix="dist-info"):
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.{suffix}"
        info.mkdir()
        name = "METADATA" if suffix == "dist-info" else "PKG-INFO"
        (info / name).write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def environment(tmp_path, monkeypatch):
    made = Environment(tmp_path / "site")
    monkeypatch.syspath_prepend(made.folder)
    before = set(sys.modules)
    yield made
    for name in set(sys.modules) - before:
        if str(made.folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def the(plugin, **choices):
    (record,) = Registry(**choices).plugins(plugin)
    return record


def test_a_plugin_that_registers_a_stage_is_loaded_and_its_target_is_not(environment):
    environment.install("acme-hum", "acme-hum")
    record = the("acme-hum")
    assert (record.state, record.distribution, record.version) == ("loaded", "acme-hum", "1.0")
    assert [stage.full_name for stage in record.stages] == ["acme-hum.hum"]
    assert "acme_hum_entry_stage" not in sys.modules


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nowhere_to_be_found\n", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("def wavechain_register(register):\n    pass\n", "no wavechain_register marked with @hookimpl"),
        (HEAD + "    pass\n", "registered no stage and no preset"),
        (HEAD.replace("(register)", "(registry)") + "    pass\n", "Argument(s) {'registry'} are declared"),
        (HEAD + "    raise RuntimeError('out of\\n  tune')\n", "RuntimeError: out of tune"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_broken_and_says_why_in_one_line(environment, source, reason):
    environment.install("acme-broken", "acme-broken", source)
    environment.install("acme-sound", "acme-sound")
    found = Registry()
    (record,) = found.plugins("acme-broken")
    assert record.state == "broken"
    assert reason in record.reason
    assert "\n" not in record.reason
    assert found.find("acme-sound.hum").available


def test_a_broken_plugin_is_told_with_file_and_line(environment):
    environment.install("acme-broken", "acme-broken", "import os\n\n1 / 0\n")
    assert the("acme-broken").reason.endswith("acme_broken_entry.py:3)")


def test_a_syntax_error_is_told_with_the_line_that_has_it(environment):
    environment.install("acme-broken", "acme-broken", "x = 1\nx = = 2\n")
    reason = the("acme-broken").reason
    assert reason.startswith("SyntaxError: invalid syntax (")
    assert reason.endswith("acme_broken_entry.py:2)")


def test_the_keyboard_still_interrupts_while_plugins_are_found(environment):
    environment.install("acme-slow", "acme-slow", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        Registry()


def test_what_a_plugin_registered_before_it_failed_is_not_offered(environment):
    environment.install("acme-half", "acme-half", OFFERS_HUM + "    raise OSError('half way')\n")
    found = Registry()
    assert the("acme-half").stages == ()
    with pytest.raises(UnknownStageError, match=r"acme-half \(acme-half 1\.0\) is broken: OSError: half way"):
        found.find("acme-half.hum")


def test_a_plugin_for_a_later_api_says_that_wavechain_is_too_old(environment):
    source = OFFERS_HUM.replace("target=", "api=99, colour='warm', target=")
    environment.install("acme-future", "acme-future", source)
    record = the("acme-future")
    assert record.state == "broken"
    assert "needs a newer wavechain: plugin API 99, and this one has 1" in record.reason
    assert record.hint == "pip install --upgrade wavechain."


def test_a_plugin_for_the_level_before_works_and_its_author_is_told_the_line(environment, monkeypatch):
    monkeypatch.setattr(register, "PLUGIN_API", 2)
    environment.install("acme-elder", "acme-elder", OFFERS_HUM.replace("target=", "api=1, target="))
    environment.install("acme-recent", "acme-recent", OFFERS_HUM.replace("target=", "api=2, target="))
    found = Registry()
    (record,) = found.plugins("acme-elder")
    assert record.state == "loaded"
    assert found.find("acme-elder.hum").available
    (told,) = [line for line in found.problems() if "acme" in line]
    assert told.startswith("plugin acme-elder (acme-elder): stage 'hum' is registered for plugin API 1 (")
    place = f"{environment.folder / 'acme_elder_entry.py'}:5"
    assert f"({place}); this wavechain has 2, and the next level will refuse it. Try: " in told
    assert told.endswith(f"then api=2 at {place}.")


def test_a_plugin_two_levels_behind_is_broken_and_its_author_is_told_the_line(environment, monkeypatch):
    monkeypatch.setattr(register, "PLUGIN_API", 3)
    environment.install("acme-elder", "acme-elder")  # says no level: it was written for the first
    record = the("acme-elder")
    assert record.state == "broken"
    assert "stage 'hum': was written for plugin API 1, and this wavechain has 3 and accepts 2" in record.reason
    assert "then set api=3" in record.reason
    assert record.reason.endswith("acme_elder_entry.py:5)")
    assert record.hint.startswith("pip install --upgrade acme-elder")


def test_a_blocked_plugin_is_not_imported(environment):
    environment.install("acme-rude", "acme-rude", "raise SystemExit('I insist')\n")
    assert the("acme-rude", block=["acme-rude"]).state == "blocked"
    assert "acme_rude_entry" not in sys.modules


def test_two_distributions_that_claim_one_name_are_in_conflict_and_neither_is_imported(environment):
    environment.install("acme-tape", "tape-hiss")
    environment.install("other-tape", "tape-hiss")
    found = Registry()
    assert [record.state for record in found.plugins("tape-hiss")] == ["conflict", "conflict"]
    assert not {"acme_tape_entry", "other_tape_entry"} & set(sys.modules)
    (problem,) = [line for line in found.problems() if "tape-hiss" in line]
    assert "the name 'tape-hiss' is claimed by acme-tape 1.0 and other-tape 1.0." in problem
    assert "Try: WAVECHAIN_PREFER=tape-hiss=acme-tape" in problem
    with pytest.raises(UnknownStageError, match="in conflict"):
        found.find("tape-hiss.hum")


def test_the_preferred_distribution_has_the_name_and_the_other_is_shadowed(environment):
    environment.install("acme-tape", "tape-hiss")
    environment.install("Other_Tape", "tape-hiss")
    found = Registry(prefer={"tape-hiss": "other.tape"})
    states = {record.distribution: record.state for record in found.plugins("tape-hiss")}
    assert states == {"acme-tape": "shadowed", "other-tape": "loaded"}
    assert found.find("tape-hiss.hum").distribution == "other-tape"
    assert not [line for line in found.problems() if "tape-hiss" in line]


def test_preferring_a_distribution_that_is_not_there_leaves_the_conflict_and_says_so(environment):
    environment.install("acme-tape", "tape-hiss")
    environment.install("other-tape", "tape-hiss")
    records = Registry(prefer={"tape-hiss": "third-tape"}).plugins("tape-hiss")
    assert {record.state for record in records} == {"conflict"}
    assert "third-tape, which WAVECHAIN_PREFER names, is not one of them" in records[0].reason


@pytest.mark.parametrize("preferred", ["", "evil-gain"])
def test_a_stranger_cannot_take_a_bundled_name_nor_break_who_has_it(environment, preferred):
    environment.install("wavechain", "essentials", version="9.9")
    environment.install("evil-gain", "essentials", "raise SystemExit\n")
    found = Registry(prefer={"essentials": preferred} if preferred else {})
    states = {record.distribution: record.state for record in found.plugins("essentials")}
    assert states == {"wavechain": "loaded", "evil-gain": "conflict"}
    assert found.find("essentials.hum").bundled
    assert "evil_gain_entry" not in sys.modules


def test_a_bundled_name_stays_reserved_where_the_bundled_plugin_is_absent(environment):
    environment.metadata("wavechain", "9.9", "[wavechain.plugins]\n")
    environment.install("evil-gain", "essentials")
    assert the("essentials").state == "conflict"
    environment.install("evil-core", "core")
    assert [record.state for record in Registry().plugins("core")] == ["loaded", "conflict"]


def test_an_ejected_plugin_may_have_its_bundled_name(environment):
    environment.metadata("wavechain", "9.9", "[wavechain.plugins]\n")
    environment.install("wavechain-essentials", "essentials")
    assert the("essentials").state == "loaded"


def test_beside_a_bundled_plugin_its_ejected_copy_is_shadowed_until_preferred(environment):
    environment.install("wavechain", "essentials", version="9.9")
    environment.install("wavechain-essentials", "essentials")
    loaded = [record for record in Registry().plugins("essentials") if record.state == "loaded"]
    assert [record.distribution for record in loaded] == ["wavechain"]
    found = Registry(prefer={"essentials": "wavechain-essentials"}).plugins("essentials")
    assert [record.state for record in found] == ["shadowed", "loaded"]


def test_metadata_left_twice_by_an_editable_install_is_one_plugin(environment, tmp_path, monkeypatch):
    environment.install("acme-hum", "acme-hum")
    entry_points = "[wavechain.plugins]\nacme-hum = acme_hum_entry\n"
    environment.metadata("acme_hum", "1.0", entry_points, suffix="egg-info")
    other = Environment(tmp_path / "elsewhere")
    other.metadata("Acme.Hum", "0.9", entry_points)
    monkeypatch.syspath_prepend(other.folder)
    assert the("acme-hum").state == "loaded"


def test_a_plugin_whose_every_stage_needs_a_missing_package_is_unavailable(environment):
    source = OFFERS_HUM.replace("kind=", "requires=('no_such_network', 'json'), kind=")
    environment.install("acme-net", "acme-net", source)
    record = the("acme-net")
    assert (record.state, record.missing) == ("unavailable", ("no_such_network",))
    assert record.reason == "needs package no_such_network"
    assert record.hint == "pip install no_such_network"


def test_a_plugin_of_which_some_stages_can_be_used_is_loaded_and_names_what_the_others_miss(environment):
    second = "    register.stage('buzz', kind='effect', summary='B.', target='a.b:C', requires=['no_such_network'])\n"
    environment.install("acme-net", "acme-net", OFFERS_HUM + second)
    record = the("acme-net")
    assert (record.state, record.missing) == ("loaded", ("no_such_network",))
    assert [stage.available for stage in record.stages] == [True, False]


def test_looking_for_a_package_does_not_import_it(environment):
    (environment.folder / "acme_heavy").mkdir()
    (environment.folder / "acme_heavy" / "__init__.py").write_text("raise SystemExit('imported')\n")
    environment.install("acme-net", "acme-net", OFFERS_HUM.replace("kind=", "requires=('acme_heavy',), kind="))
    assert the("acme-net").state == "loaded"
    assert "acme_heavy" not in sys.modules


@pytest.mark.parametrize(
    ("entry_points", "reason"),
    [
        ("[wavechain.plugins]\nthis line says nothing\n", "entry_points.txt cannot be read"),
        ("[wavechain.plugins]\nacme-odd = not/a/module\n", "is not the name of a module"),
        ("[wavechain.plugins]\nacme-odd = acme_odd_entry:Nothing\n", "has no attribute 'Nothing'"),
    ],
)
def test_odd_entry_points_are_broken_plugins(environment, entry_points, reason):
    environment.install("acme-odd", "acme-odd", entry_points=entry_points)
    record = the("acme-odd")
    assert record.state == "broken"
    assert reason in record.reason


def test_a_plugin_name_is_kebab_case(environment):
    environment.install("acme-odd", "Acme_Odd")
    assert "'Acme_Odd' is not kebab-case" in the("Acme_Odd").reason


def test_one_module_is_one_plugin(environment):
    twice = "[wavechain.plugins]\nacme-hum = acme_hum_entry\nacme-hum-too = acme_hum_entry\n"
    environment.install("acme-hum", "acme-hum", entry_points=twice)
    states = {name: the(name).state for name in ("acme-hum", "acme-hum-too")}
    assert sorted(states.values()) == ["broken", "loaded"]


def test_an_unrelated_distribution_with_unreadable_metadata_does_no_harm(environment):
    environment.install("acme-hum", "acme-hum")
    environment.metadata("acme-mess", "1.0", "[console_scripts]\nthis line says nothing\n")
    assert the("acme-hum").state == "loaded"


def test_the_environment_blocks_and_prefers(environment, monkeypatch):
    environment.install("acme-rude", "acme-rude", "raise SystemExit\n")
    environment.install("acme-tape", "tape-hiss")
    environment.install("other-tape", "tape-hiss")
    monkeypatch.setenv("WAVECHAIN_BLOCK", " acme-rude, ")
    monkeypatch.setenv("WAVECHAIN_PREFER", "tape-hiss = other-tape,")
    reset()
    try:
        assert registry().plugins("acme-rude")[0].state == "blocked"
        assert registry().find("tape-hiss.hum").distribution == "other-tape"
        assert registry() is registry()
    finally:
        reset()


def test_a_preference_that_cannot_be_read_is_a_usage_error(monkeypatch):
    monkeypatch.setenv("WAVECHAIN_PREFER", "tape-hiss")
    with pytest.raises(UsageError, match="WAVECHAIN_PREFER: 'tape-hiss' is not a plugin and a distribution"):
        Registry.from_environment()


def test_blocking_a_plugin_that_is_not_there_is_told_with_the_nearest_name(environment):
    environment.install("acme-hum", "acme-hum")
    (problem,) = [line for line in Registry(block=["acme-hmu"]).problems() if "acme-hmu" in line]
    assert "the nearest is 'acme-hum'" in problem


def test_listing_everything_imports_nothing_heavy(environment):
    environment.install("acme-hum", "acme-hum")
    program = """
        import json, sys
        import wavechain.hookspecs
        from wavechain.registry import registry
        found = registry()
        found.find("acme-hum.hum"), found.plugins(), found.stages(), found.presets(), found.problems()
        print(json.dumps(sorted(sys.modules)))
    """
    run = subprocess.run(
        [sys.executable, "-c", dedent(program)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(environment.folder), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"numpy", "scipy", "torch", "pedalboard", "soundfile", "soxr", "av", "mutagen", "pydantic", "rich"}
    assert heavy & set(json.loads(run.stdout)) == set()
