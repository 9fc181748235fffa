"""The conformance kit finds what is wrong with loaders, writers and plugins, and calls it by the right name."""

from __future__ import annotations

import sys

import faulty_files as faulty
import pytest

from wavechain.testing.checks import LOADER_CHECKS, PLUGIN_CHECKS, WRITER_CHECKS, Checks, PluginSubject, examine
from wavechain.testing.subject import FileSubject, WriterSubject

LOADERS = {
    faulty.FineLoader: set(),
    faulty.LongerThanItIs: {"length-is-true"},
    faulty.BelievesWhatIsThere: {"truncation-refused"},
    faulty.RightBeforeLeft: {"samples-are-true"},
    faulty.GivesWholePages: {"read-in-any-size"},
    faulty.StopsShort: {"read-in-any-size"},
    faulty.InterleavedView: {"float32-blocks"},
    faulty.LeavesItOpen: {"files-closed"},
    faulty.AllAtOnce: {"bounded-memory"},
    faulty.OneBufferForAll: {"leaves-no-trace"},
    faulty.TagsAsText: {"tags-in-form"},
    faulty.CrashesOnGarbage: {"garbage-refused"},
}
WRITERS = {
    faulty.FineWriter: set(),
    faulty.LosesTheLastBlock: {"every-frame-written", "written-in-any-size"},
    faulty.DithersEachBlock: {"written-in-any-size"},
    faulty.Quieter: {"written-comes-back"},
    faulty.ScalesInPlace: {"input-untouched"},
    faulty.WritesTheTime: {"same-every-time"},
    faulty.KeepsEverything: {"bounded-memory"},
    faulty.RefusesTooLate: {"channel-counts"},
    faulty.SaysNothing: {"unwritable-refused"},
}


def reports(subject: object, checks: Checks) -> dict[str, str]:
    return {outcome.promise: outcome.text for outcome in examine(subject, checks) if outcome.state == "broken"}


@pytest.mark.parametrize("loader", LOADERS, ids=lambda kind: kind.__name__)
def test_a_loader_is_called_what_it_is(loader, tmp_path):
    found = reports(FileSubject(loader(), faulty.make_file, tmp_path), LOADER_CHECKS)
    for file in faulty.LeavesItOpen.source.left:
        file.close()
    assert set(found) == LOADERS[loader], "\n".join(found.values())


@pytest.mark.parametrize("writer", WRITERS, ids=lambda kind: kind.__name__)
def test_a_writer_is_called_what_it_is(writer, tmp_path):
    found = reports(WriterSubject(writer(), ".tone", tmp_path, read_back=faulty.read_back), WRITER_CHECKS)
    assert set(found) == WRITERS[writer], "\n".join(found.values())


STAGE = '''
"""Half as loud."""
from wavechain import Effect, param, pointwise

class Half(Effect):
    amount: float = param(0.5, help="How much.")

    def open(self, spec):
        return pointwise(spec, lambda block: block * 0.5)

class Undocumented(Half):
    amount: float = param(0.5, help="")

class Opaque(Half):
    made: type(open) | None = param(None, help="What no chain file can hold.")
'''
ENTRY = """
{first}
from wavechain.hookspecs import hookimpl

@hookimpl
def wavechain_register(register):
    register.stage("{name}", kind="{kind}", summary="{summary}", target="{module}_stages:{target}", requires={requires})
    {last}
"""
PLUGINS = {
    "fine": ({}, set()),
    "heavy": ({"first": "import numpy"}, {"entry-module-light"}),
    "torchy": ({"first": "import torch"}, {"entry-module-light"}),
    "raising": ({"last": "raise KeyError('stage')"}, {"registers", "entry-module-light"}),
    "misspelt": ({"last": "register.stage('x', knd='effect')"}, {"registers", "entry-module-light"}),
    "needy": (
        {"first": "import essential_package", "requires": ("essential_package",)},
        {"registers-without-dependencies"},
    ),
    "misnamed": ({"name": "halve"}, {"registered-name"}),
    "lost": ({"target": "Quarter"}, {"stages-load"}),
    "miskind": ({"kind": "model"}, {"stages-load"}),
    "terse": ({"summary": "Half."}, {"summaries"}),
    "undocumented": ({"target": "Undocumented", "name": "undocumented"}, {"parameters-documented"}),
    "opaque": ({"target": "Opaque", "name": "opaque"}, {"schema"}),
    "preset": (
        {"last": "register.preset('soft', summary='Everything softer.', path='kit_preset_presets:soft.toml')"},
        {"presets-load"},
    ),
}


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_is_called_what_it_is(name, tmp_path, monkeypatch):
    changes, broken = PLUGINS[name]
    module = f"kit_{name}"
    words = {"first": "", "last": "", "name": "half", "kind": "effect", "summary": "Half as loud.", "target": "Half"}
    entry = ENTRY.format(**{"module": module, "requires": (), **words, **changes})
    (tmp_path / f"{module}.py").write_text(entry, encoding="utf-8")
    (tmp_path / f"{module}_stages.py").write_text(STAGE, encoding="utf-8")
    for package in ("torch", "essential_package"):
        (tmp_path / f"{package}.py").write_text("", encoding="utf-8")
    presets = tmp_path / "kit_preset_presets"
    presets.mkdir()
    (presets / "soft.toml").write_text('[[stage]]\nuse = "no-such-stage"\n', encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for cached in ("torch", "essential_package"):
        monkeypatch.delitem(sys.modules, cached, raising=False)
    found = reports(PluginSubject(module), PLUGIN_CHECKS)
    assert set(found) == broken, "\n".join(found.values())
