"""The plugin on the page is built, installed and used as the page says, and the page says all that a plugin can."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from wavechain import Effect, hookspecs, testing
from wavechain.registry import KINDS, reset
from wavechain.registry.register import Register
from wavechain.registry.specs import PART_KINDS, RESERVED, State

HOUSE = Path(__file__).parents[2]
PAGE = "docs/write-a-plugin.md"
NAMED = ["Foldback", "Echo", "Companding", "MedianClicks", "PeakTo", "Backwards"]
TEXT = (HOUSE / PAGE).read_text(encoding="utf-8")


@pytest.fixture
def installed(read_page, tmp_path, monkeypatch):
    """The plugin of the page as pip would leave it: built into a wheel, the wheel unpacked on sys.path."""
    project = read_page(PAGE) / "wavechain-tremolo"
    build = "import sys, hatchling.build; hatchling.build.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=project, check=True, capture_output=True)
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    reset()
    yield project
    for name in [name for name in sys.modules if name.startswith("wavechain_tremolo")]:
        del sys.modules[name]
    reset()


def test_the_example_works_as_a_plugin(installed, reader, run):
    checked, _ = run("wavechain plugins check tremolo --quick")
    assert re.search(r"^plugin +entry-module-light +ok", checked, flags=re.M)
    assert re.search(r"^plugin +presets-load +ok", checked, flags=re.M)
    listed, _ = run("wavechain stages list --kind effect")
    assert re.search(r"tremolo +effect +tremolo +Swings the level up and down\.", listed)
    described, _ = run("wavechain stages describe tremolo")
    assert re.search(r"rate_hz +0\.01 to 50 +Hz +5 +How many times a second the level swings\.", described)
    for arguments in ("-s tremolo:rate_hz=6,depth=0.8", "--preset wobble"):
        output, status = run(f"wavechain run song.flac out.flac --overwrite {arguments}")
        assert status == 0, output
    assert run("wavechain run song.flac out.flac -s tremolo:dept=1")[0].startswith(
        "error: tremolo has no parameter 'dept'. Try: depth."
    )


def test_the_tests_of_the_example_pass(installed, tmp_path):
    paths = [str(tmp_path / "site"), *sys.path]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


@pytest.fixture
def names(blocks_on):
    """What the page defines outside its files."""
    defined: dict[str, object] = {"__name__": "page"}
    for block in blocks_on(PAGE):
        if block.language == "python" and not block.file:
            exec(compile(block.text, block.place, "exec"), defined)
    return defined


def test_every_kind_of_stage_on_the_page_keeps_its_promise(names):
    classes = [value for value in names.values() if isinstance(value, type) and value.__module__ == "page"]
    stages = [cls() for cls in classes if issubclass(cls, Effect)]
    assert [type(stage).__name__ for stage in stages] == NAMED
    before = testing.noise(seconds=0.05, channels=2, rms_dbfs=-12)
    for stage in stages:
        whole = stage(before).waveform
        assert not np.array_equal(whole, before.waveform), stage
        for sizes in ([1, 2, 3], [101], [2048, 7]):
            assert np.array_equal(testing.streamed(stage, before, sizes).waveform, whole), stage


def test_the_loader_on_the_page_reads_what_numpy_wrote(names, tmp_path):
    waveform = testing.noise(seconds=0.1, channels=2).waveform
    np.save(tmp_path / "noise.npy", waveform)
    with names["NumpyLoader"]().open(tmp_path / "noise.npy") as source:
        parts = [source.read(1000) for _ in range(6)]
    assert np.array_equal(np.concatenate(parts, axis=1), waveform)


def test_every_hook_is_on_the_page():
    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, "wavechain_spec")]
    assert hooks == ["wavechain_register"]
    assert all(
        f"`{name}({', '.join(inspect.signature(getattr(hookspecs, name)).parameters)})`" in TEXT for name in hooks
    )


@pytest.mark.parametrize("method", ["plugin", "stage", "preset", "model", "part"])
def test_every_keyword_of_register_is_on_the_page(method):
    section = TEXT.split(f"### register.{method}\n")[1].split("\n#")[0]
    parameters = inspect.signature(getattr(Register, method)).parameters.values()
    keywords = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    assert re.findall(r"^\| `(\w+)` \|", section, flags=re.M) == keywords


def test_register_has_no_other_method():
    methods = [name for name, _ in inspect.getmembers(Register, inspect.isfunction) if not name.startswith("_")]
    assert methods == ["model", "part", "plugin", "preset", "stage"]


def test_every_kind_state_and_reserved_name_is_on_the_page():
    for word in (*KINDS, *PART_KINDS, *get_args(State), *RESERVED):
        assert f"`{word}`" in TEXT, word


def test_what_the_page_points_to_in_the_complete_examples_is_there():
    section = TEXT.split("## Two complete examples\n")[1].split("\n## ")[0]
    for plugin, table in re.findall(r"^`(wavechain-\w+)`, .*?\n\n((?:\|.*\n)+)", section, flags=re.M):
        project = HOUSE / "tests" / "third_party" / plugin
        rows = re.findall(r"^\| (`.*?) \|", table, flags=re.M)
        assert rows
        for named in (re.findall(r"`([^`]+)`", row) for row in rows):
            files = [path for name in named if "." in name for path in (project.rglob(name))]
            assert len(files) == sum("." in name for name in named), named
            classes = [name for name in named if "." not in name]
            assert all(f"class {name}(" in files[0].read_text(encoding="utf-8") for name in classes), named
