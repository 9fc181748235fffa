"""What the page about publishing says of wavechain is so."""

from __future__ import annotations

import importlib
import sys

import pytest
import yaml

from wavechain import Chain
from wavechain.errors import AmbiguousStageError, UnknownStageError, WavechainError
from wavechain.registry import registry, reset

PAGE = "docs/publishing.md"
HOOK = """
from wavechain.hookspecs import hookimpl

@hookimpl
def wavechain_register(register):
    register.stage("{stage}", kind="effect", summary="Lowers the level.", target="{module}_stages:{cls}"{more})
"""
STAGES = "from page import {cls}\n"


@pytest.fixture
def world(blocks_on, tmp_path, monkeypatch):
    """The examples of the page as the module ``page``."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("WAVECHAIN_BLOCK", raising=False)
    monkeypatch.delenv("WAVECHAIN_PREFER", raising=False)
    code = "\n".join(block.text for block in blocks_on(PAGE) if block.language == "python" and "class " in block.text)
    head = "from typing import Any\nfrom wavechain import Block, Effect, Processor, Spec, param, pointwise\n"
    (tmp_path / "page.py").write_text(f"{head}import numpy as np\n{code}", encoding="utf-8")
    yield tmp_path
    for name in [name for name in sys.modules if name == "page" or name.startswith("published_")]:
        del sys.modules[name]
    reset()


def install(folder, name, stage, cls="Quieter", more=""):
    module = f"published_{name}"
    (folder / f"{module}.py").write_text(HOOK.format(stage=stage, module=module, cls=cls, more=more), encoding="utf-8")
    (folder / f"{module}_stages.py").write_text(STAGES.format(cls=cls), encoding="utf-8")
    info = folder / f"wavechain_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: wavechain-{name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[wavechain.plugins]\n{name} = {module}\n", encoding="utf-8")
    importlib.invalidate_caches()
    reset()


def test_a_renamed_stage_answers_to_its_old_names_and_is_saved_under_the_new(world):
    install(world, "level", "quieter", more=', aliases=("softer",)')
    old = Chain.of("softer:by_db=3")
    assert old == Chain.of("level.softer:by_db=3") == Chain.of("quieter:by_db=3")
    assert "quieter" in old.to_toml()
    assert "softer" not in old.to_toml()


def test_a_renamed_parameter_works_from_a_chain_file_and_is_not_listed(world):
    install(world, "level", "quieter")
    assert Chain.from_dict({"stage": [{"use": "quieter", "amount": 3}]}) == Chain.of("quieter:by_db=3")
    properties = registry().load("quieter").model_json_schema()["properties"]
    assert list(properties) == ["by_db"]
    with pytest.raises(WavechainError, match="has no parameter 'amont'"):
        Chain.of("quieter:amont=3")


def test_a_stage_of_the_name_of_a_bundled_one_is_an_error_not_a_guess(world):
    install(world, "level", "gain")
    with pytest.raises(AmbiguousStageError, match=r"essentials\.gain and level\.gain"):
        Chain.of("gain:gain_db=3")
    assert registry().find("essentials.gain").bundled


def test_a_blocked_plugin_is_not_imported(world, monkeypatch):
    monkeypatch.setenv("WAVECHAIN_BLOCK", "level")
    install(world, "level", "quieter")
    assert [plugin.state for plugin in registry().plugins("level")] == ["blocked"]
    assert "published_level" not in sys.modules


def test_claims_are_read_without_importing_anything(world):
    from wavechain.registry.discovery import find_claims

    install(world, "level", "quieter")
    assert "level" in [claim.name for claim in find_claims()]
    assert "published_level" not in sys.modules
    registry()
    assert "published_level" in sys.modules
    assert "published_level_stages" not in sys.modules


def test_a_chain_file_cannot_name_code(world):
    for name in ("published_level_stages:Quieter", "page.Quieter", "os.system"):
        with pytest.raises(UnknownStageError):
            Chain.from_dict({"stage": [{"use": name}]})


def test_only_the_job_that_publishes_may_ask_for_an_identity(blocks_on):
    (release,) = [yaml.safe_load(block.text) for block in blocks_on(PAGE) if block.language == "yaml"]
    jobs = release["jobs"]
    assert release["permissions"] == {}
    assert [name for name, job in jobs.items() if job["permissions"].get("id-token") == "write"] == ["publish"]
    assert not any("run" in step for step in jobs["publish"]["steps"])
