"""From nothing to a plugin that keeps every promise: `plugins new`, its tests, `plugins check`, `plugins update`."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from wavechain.registry import register, registry, reset
from wavechain.testing.checks import isolation
from wavechain_cli import authoring, template_remote

pytest.importorskip("copier")

KINDS = ("effect", "loader", "transform", "model", "writer")
BUILD = "import sys, hatchling.build; hatchling.build.build_wheel(sys.argv[1])"


@pytest.fixture(autouse=True)
def forgotten():
    """What a test imports of a plugin, and finds of it, is gone after it."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("wavechain_warble"):
            del sys.modules[name]
    isolation._worker.cache_clear()  # its process remembers modules too
    reset()


def as_installed(project: Path, folder: Path) -> Path:
    """The plugin as pip would leave it: built into a wheel, the wheel unpacked."""
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=project, check=True, capture_output=True)
    site = folder / "site"
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    return site


def own_tests(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == "effect" else [pytest.mark.slow]) for kind in KINDS]
)
def test_a_new_plugin_passes_its_own_tests_and_loads(kind, wavechain, tmp_path, monkeypatch):
    said = wavechain("plugins", "new", "warble-deluxe", "--kind", kind, "--folder", tmp_path)
    assert said.code == 0
    assert f"src/wavechain_warble_deluxe/{kind}.py" in said.out
    project = tmp_path / "wavechain-warble-deluxe"
    for name in ("README.md", "LICENSE", "CHANGELOG.md", ".gitignore", ".github/workflows/test.yml"):
        text = (project / name).read_text(encoding="utf-8")
        assert text.strip()
        assert "{%" not in text
    assert "python-version: ${{ matrix.python }}" in (project / ".github/workflows/test.yml").read_text()
    site = as_installed(project, tmp_path)
    done = own_tests(project, site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout

    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    reset()
    (record,) = registry().plugins("warble-deluxe")
    assert record.state == "loaded"
    assert registry().load("warble-deluxe").__name__ == "WarbleDeluxe"
    assert registry().find("warble-deluxe").kind == kind


@pytest.mark.parametrize(
    ("name", "reason", "advice"),
    [
        ("Big Echo", "is not kebab-case", "big-echo."),
        ("big_echo", "is not kebab-case", "big-echo."),
        ("echo-2", "each beginning with a letter", "echo."),
        ("x", "words of two or more", "high-shelf."),
        ("wavechain-echo", "the distribution will be called wavechain-wavechain-echo", "echo."),
        ("essentials", "the name 'essentials' is reserved", "my-essentials"),
        ("none", "the name 'none' is reserved", "my-none"),
    ],
)
def test_a_name_that_will_not_do_is_refused_before_anything_is_written(name, reason, advice, wavechain, tmp_path):
    said = wavechain("plugins", "new", name, "--folder", tmp_path)
    assert said.code == 2
    assert reason in said.err
    assert f"Try: {advice}" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(wavechain, tmp_path):
    mine = tmp_path / "wavechain-warble" / "notes.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    said = wavechain("plugins", "new", "warble", "--folder", tmp_path)
    assert said.code == 2
    assert "is there already" in said.err
    assert [path.name for path in mine.parent.iterdir()] == ["notes.txt"]


def test_without_copier_it_says_what_to_install(wavechain, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
    said = wavechain("plugins", "new", "warble", "--folder", tmp_path)
    assert said.code == 3
    assert "needs package copier. Try: pip install 'wavechain[authoring]'" in said.err


@pytest.fixture
def warble(wavechain, tmp_path) -> Path:
    """A new effect plugin in a folder, not installed."""
    wavechain("plugins", "new", "warble", "--folder", tmp_path)
    return tmp_path / "wavechain-warble"


def result_of(report: str, part: str, check: str) -> str:
    (found,) = re.findall(rf"^{part} +{check} +(ok|faulty|not run|old)\b", report, flags=re.M)
    return str(found)


def test_a_good_plugin_in_a_folder_passes_every_check(warble, wavechain):
    path = list(sys.path)
    said = wavechain("plugins", "check", warble)
    assert said.code == 0, said.out
    for part, check in (
        ("metadata", "license"),
        ("plugin", "entry-module-light"),
        ("plugin", "api-level"),
        ("warble", "streamed-is-whole"),
    ):
        assert result_of(said.out, part, check) == "ok"
    assert "faulty" not in said.out
    assert sys.path == path
    assert not registry().plugins("warble")


def test_quick_leaves_the_kit_out(warble, wavechain):
    said = wavechain("plugins", "check", warble, "--quick")
    assert said.code == 0
    assert "streamed-is-whole" not in said.out


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_faulty_plugin_is_told_the_promises_it_breaks(warble, wavechain):
    package = warble / "src" / "wavechain_warble"
    change(package / "effect.py", "        self._frame += block.shape[-1]\n", "")
    change(package / "effect.py", 'unit="Hz", ', "")
    change(package / "__init__.py", "from typing", "import numpy as np\n\nfrom typing")
    change(warble / "pyproject.toml", 'license = "MIT"\n', "")
    said = wavechain("plugins", "check", warble)
    assert said.code == 3
    for part, check in (
        ("metadata", "license"),
        ("plugin", "entry-module-light"),
        ("plugin", "parameters-documented"),
        ("warble", "streamed-is-whole"),
    ):
        assert result_of(said.out, part, check) == "faulty"
    assert result_of(said.out, "warble", "input-untouched") == "ok"
    assert "breaks the promise streamed-is-whole" in said.out
    assert "import wavechain_warble loads numpy." in said.out


def test_a_promise_not_made_by_design_can_be_left_out(warble, wavechain):
    change(warble / "src" / "wavechain_warble" / "effect.py", "return block * gain", "return block + 0.1 * gain")
    assert wavechain("plugins", "check", warble).code == 3
    said = wavechain("plugins", "check", warble, "--except", "silence-stays-silent", "--except", "tail-ends")
    assert result_of(said.out, "warble", "silence-stays-silent") == "not run"
    assert "no promise is called 'silence'" in wavechain("plugins", "check", warble, "--except", "silence").err


def except_in_its_tests(warble: Path, promise: str) -> None:
    line = f'    exceptions = {{"{promise}": "A soft hum is what people buy it for."}}\n'
    change(
        warble / "tests" / "test_effect.py",
        "class TestWarble(EffectContract):\n",
        f"class TestWarble(EffectContract):\n{line}",
    )


def test_the_exceptions_that_its_tests_declare_hold_in_the_check_too(warble, wavechain):
    change(warble / "src" / "wavechain_warble" / "effect.py", "return block * gain", "return block + np.float32(0.001)")
    assert result_of(wavechain("plugins", "check", warble).out, "warble", "silence-stays-silent") == "faulty"
    except_in_its_tests(warble, "silence-stays-silent")
    said = wavechain("plugins", "check", warble)
    assert said.code == 0, said.out
    assert result_of(said.out, "warble", "silence-stays-silent") == "not run"
    assert "A soft hum is what people" in " ".join(said.out.split())


def test_an_exception_that_nothing_needs_is_a_fault(warble, wavechain):
    except_in_its_tests(warble, "silence-stays-silent")
    said = wavechain("plugins", "check", warble)
    assert said.code == 3
    assert result_of(said.out, "warble", "silence-stays-silent") == "faulty"
    assert "take it out" in " ".join(said.out.split())


def test_tests_that_cannot_be_read_are_named_and_the_rest_is_checked(warble, wavechain):
    (warble / "tests" / "test_more.py").write_text("import surely_not_installed\n", encoding="utf-8")
    said = wavechain("plugins", "check", warble)
    assert said.code == 0
    assert "test_more.py" in said.out
    assert "No module named 'surely_not_installed'" in " ".join(said.out.split())
    assert result_of(said.out, "warble", "streamed-is-whole") == "ok"


def test_a_loader_is_tried_on_the_files_that_its_tests_make(wavechain, tmp_path):
    wavechain("plugins", "new", "warble", "--kind", "loader", "--folder", tmp_path)
    said = wavechain("plugins", "check", tmp_path / "wavechain-warble")
    assert said.code == 0, said.out
    assert result_of(said.out, "warble", "samples-are-true") == "ok"


def test_a_model_whose_plugin_loads_what_is_heavy_is_told_so(wavechain, tmp_path):
    wavechain("plugins", "new", "warble", "--kind", "model", "--folder", tmp_path)
    entry = tmp_path / "wavechain-warble" / "src" / "wavechain_warble" / "__init__.py"
    change(entry, "from typing", "import numpy as np\n\nfrom typing")
    said = wavechain("plugins", "check", tmp_path / "wavechain-warble")
    assert said.code == 3
    assert result_of(said.out, "warble", "entry-module-light") == "faulty"
    assert result_of(said.out, "warble", "process-keeps-time") == "ok"


def test_a_stage_that_must_be_told_something_is_not_run_and_the_report_says_so(warble, wavechain):
    change(warble / "src" / "wavechain_warble" / "effect.py", "param(5.0, unit", "param(unit")
    said = wavechain("plugins", "check", warble)
    assert said.code == 0
    assert result_of(said.out, "warble", "kit") == "not run"
    assert "it needs rate_hz" in said.out
    change(
        warble / "src" / "wavechain_warble" / "effect.py",
        "param(unit",
        "param(None, unit",
    )
    change(
        warble / "src" / "wavechain_warble" / "effect.py",
        "    def open(",
        "    def model_post_init(self, context):\n"
        "        from wavechain.errors import ParameterError\n"
        "        if self.rate_hz is None:\n"
        "            raise ParameterError('how fast?')\n\n"
        "    def open(",
    )
    for name in [name for name in sys.modules if name.startswith("wavechain_warble")]:
        del sys.modules[name]
    said = wavechain("plugins", "check", warble)
    assert result_of(said.out, "warble", "kit") == "not run"
    assert "not without settings" in said.out


def test_a_plugin_for_the_level_before_is_told_so_and_passes(warble, wavechain, monkeypatch):
    monkeypatch.setattr(register, "PLUGIN_API", 2)
    said = wavechain("plugins", "check", warble, "--quick")
    assert said.code == 0
    assert result_of(said.out, "plugin", "api-level") == "old"
    assert "2 at" in " ".join(said.out.split())


def test_a_folder_goes_before_the_plugin_of_that_name_that_is_installed(wavechain):
    said = wavechain("plugins", "check", Path(__file__).parents[2] / "plugins" / "transforms", "--quick")
    assert said.code == 0, said.out
    assert "transforms (wavechain-transforms 0.1.0): 15 ok" in said.out


def test_an_installed_plugin_is_checked_by_name_and_an_unknown_one_refused(wavechain):
    assert result_of(wavechain("plugins", "check", "transforms", "--quick").out, "metadata", "version") == "ok"
    said = wavechain("plugins", "check", "transformss")
    assert said.code == 3
    assert "Try: transforms." in said.err


def commit(project: Path) -> None:
    for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "mine"]):
        identity = ("-c", "user.name=author", "-c", "user.email=author@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=project, check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="copier needs git to update")
def test_an_update_brings_what_is_new_and_keeps_what_the_author_wrote(warble, wavechain, tmp_path, monkeypatch):
    change(warble / "README.md", "A tremolo for wavechain.", "A wobble of my own.")
    commit(warble)
    later = tmp_path / "template"
    shutil.copytree(authoring.TEMPLATE, later)
    shutil.copytree(later / "v1", later / "v2")
    change(later / "v2" / "project" / ".gitignore.jinja", "build/\n", "build/\n.ruff_cache/\n")
    change(later / "v2" / "project" / "README.md.jinja", "## Licence", "## The licence")
    monkeypatch.setattr(authoring, "TEMPLATE", later)
    said = wavechain("plugins", "update", warble)
    assert said.code == 0, said.err
    assert ".ruff_cache/" in (warble / ".gitignore").read_text()
    readme = (warble / "README.md").read_text()
    assert "A wobble of my own." in readme
    assert "## The licence" in readme
    answers = (warble / ".copier-answers.yml").read_text()
    assert "_commit: v2" in answers
    assert "_src_path: wavechain::plugin-template.git" in answers

    said = wavechain("plugins", "update", warble)
    assert said.code == 3
    assert "git commit" in said.err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt" or shutil.which("git") is None, reason="git runs a shell script as its helper")
def test_bare_copier_finds_the_template_where_wavechain_is_installed(warble, tmp_path):
    """As from a shell: the helper is a program on the PATH, here one whose template has a second version."""
    change(warble / "README.md", "A tremolo for wavechain.", "A wobble of my own.")
    commit(warble)
    later = tmp_path / "template"
    shutil.copytree(authoring.TEMPLATE, later)
    shutil.copytree(later / "v1", later / "v2")
    change(later / "v2" / "project" / ".gitignore.jinja", "build/\n", "build/\n.ruff_cache/\n")
    helper = tmp_path / "bin" / "git-remote-wavechain"
    helper.parent.mkdir()
    code = f"from pathlib import Path; from wavechain_cli import authoring; authoring.TEMPLATE = Path({str(later)!r})"
    helper.write_text(f"""#!{sys.executable}\n{code}\nfrom wavechain_cli.template_remote import main\nmain()\n""")
    helper.chmod(0o755)

    def copier_update(path: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "copier", "update", "--defaults", "--quiet"],
            cwd=warble,
            env={**os.environ, "PATH": path, "COPIER_CACHE_DIR": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )

    alone = tmp_path / "git-alone"
    alone.mkdir()
    (alone / "git").symlink_to(str(shutil.which("git")))
    without = copier_update(str(alone))
    assert without.returncode
    assert "remote-wavechain" in without.stderr
    done = copier_update(f"{helper.parent}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert ".ruff_cache/" in (warble / ".gitignore").read_text()
    assert "A wobble of my own." in (warble / "README.md").read_text()
    assert "_commit: v2" in (warble / ".copier-answers.yml").read_text()


def test_the_installed_program_is_the_helper_that_the_address_names():
    (program,) = importlib.metadata.entry_points(group="console_scripts", name="git-remote-wavechain")
    assert program.load() is template_remote.main
    assert authoring.ADDRESS == "wavechain::"


def test_what_was_not_made_from_the_template_cannot_be_updated(wavechain, tmp_path):
    said = wavechain("plugins", "update", tmp_path)
    assert said.code == 3
    assert "was not made by wavechain plugins new" in said.err
