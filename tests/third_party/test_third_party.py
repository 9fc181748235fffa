"""Plugins that strangers could have written install, list, describe, chain and run; without its library, one says so.

The folders beside this file are distributions of their own. They use nothing but what is public, and are not shipped.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import wavechain
from wavechain import Audio, Chain, Media, WavechainError
from wavechain.registry import registry, reset
from wavechain.testing import latency_of, music
from wavechain_cli.app import app

HERE = Path(__file__).parent
HOUSE = HERE.parents[1]
PROJECTS = sorted(folder.name for folder in HERE.glob("wavechain-*"))
INSTALL_LINE = "pip install 'wavechain-rubberband[engine]'"
# Modules whose names the documents give to authors, beside `wavechain` itself.
PUBLIC = {"wavechain", "wavechain.errors", "wavechain.hookspecs", "wavechain.testing"}


def build_wheel(project: Path, into: Path) -> Path:
    build = "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(into)], cwd=project, check=True, capture_output=True, text=True
    )
    return into / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    return {name: build_wheel(HERE / name, folder) for name in PROJECTS}


@pytest.fixture
def site(wheels, tmp_path, monkeypatch):
    """Both plugins as pip would leave them: wheels, unpacked on sys.path."""
    folder = tmp_path / "site"
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    reset()
    yield folder
    for name in [name for name in sys.modules if name.startswith(("wavechain_rubberband", "wavechain_playlist"))]:
        del sys.modules[name]
    reset()


@pytest.fixture
def stretcher(site):
    pytest.importorskip("pylibrb")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a song of two seconds, a list that plays it twice, and a cue sheet of it; the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Audio(music(seconds=2).waveform, 48_000, Media(bits=16)).write("song.flac")
    Path("twice.m3u8").write_text("song.flac\nsong.flac\n", encoding="utf-8")
    indices = "".join(f" TRACK 0{n} AUDIO\n  INDEX 01 00:0{n - 1}:00\n" for n in (1, 2))
    Path("song.cue").write_text(f'FILE "song.flac" WAVE\n{indices}', encoding="utf-8")
    return tmp_path


def typed(*words: str) -> tuple[str, int]:
    result = CliRunner().invoke(app, words, prog_name="wavechain")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output, result.exit_code


@pytest.mark.parametrize("project", PROJECTS)
def test_a_wheel_holds_its_package_and_nothing_else(wheels, project):
    package = project.replace("-", "_")
    with zipfile.ZipFile(wheels[project]) as wheel:
        names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    expected = [path for path in (HERE / project / package).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sorted(names) == sorted(path.relative_to(HERE / project).as_posix() for path in expected)


@pytest.mark.parametrize("project", PROJECTS)
def test_only_what_is_public_is_imported(project):
    for path in (HERE / project).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "wavechain":
                if node.module == "wavechain.registry.register":  # for the type of the hook's argument, as documented
                    continue
                assert node.module in PUBLIC, path
                if node.module == "wavechain":
                    assert {alias.name for alias in node.names} <= set(wavechain.__all__), path


def test_nothing_of_them_is_shipped(tmp_path):
    with zipfile.ZipFile(build_wheel(HOUSE, tmp_path)) as wheel:
        assert not [name for name in wheel.namelist() if "rubberband" in name or "playlist" in name]


def test_they_are_listed_checked_and_described(stretcher):
    plugins = {plugin["name"]: plugin for plugin in json.loads(typed("plugins", "list", "--json")[0])}
    assert plugins["rubberband"]["state"] == plugins["playlist"]["state"] == "loaded"
    assert plugins["rubberband"]["distribution"] == "wavechain-rubberband"
    for name in ("rubberband", "playlist"):
        output, status = typed("plugins", "check", name)
        assert status == 0, output
    described, _ = typed("stages", "describe", "time-stretch")
    assert re.search(r"factor +0.125 to 8 +1 +Duration of the output over", described)
    described, _ = typed("stages", "describe", "cue-track")
    assert re.search(r"sheet +path +required +The cue sheet\.", described)


def test_a_chain_by_name_runs_on_a_file(stretcher, folder):
    Path("chain.toml").write_text('stage = ["cue-track:sheet=song.cue,track=2", "fit-duration:seconds=1.5", "gain"]')
    output, status = typed("run", "song.flac", "out.flac", "--chain", "chain.toml")
    assert status == 0, output
    assert Audio.read("out.flac").frames == 72_000
    assert typed("run", "song.flac", "slow.flac", "--preset", "half-speed")[1] == 0
    assert Audio.read("slow.flac").frames == 192_000


def test_a_latency_and_a_tail_from_outside_are_the_cores_to_handle(stretcher, folder):
    plan, status = typed("plan", "song.flac", "o.flac", "-s", "harmony:semitones=3,delay_seconds=0.5")
    assert status == 0, plan
    assert "2048" in plan
    song = Audio.read("song.flac")
    assert Chain.of("harmony:delay_seconds=0.5")(song).frames == song.frames + 24_000
    branches = Chain.of("parallel:branches=[transpose,gain:gain_db=-120]")(song)
    assert branches.frames == song.frames
    assert latency_of(song, branches) == 0


def test_a_list_is_a_file_like_any_other(site, folder):
    song = Audio.read("song.flac")
    output, status = typed("run", "twice.m3u8", "twice.flac", "-s", "trim:start_seconds=0")
    assert status == 0, output
    assert np.array_equal(Audio.read("twice.flac").waveform, np.tile(song.waveform, 2))
    Path("twice.m3u8").write_text("song.flac\ngone.flac\n", encoding="utf-8")
    output, status = typed("run", "twice.m3u8", "twice.flac", "--overwrite")
    assert (status, "twice.m3u8:2: gone.flac: no such file or directory." in output) == (1, True)


def test_without_its_library_the_plugin_is_unavailable_and_says_what_to_type(site, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pylibrb", None)  # as if it were not installed
    reset()
    (record,) = registry().plugins("rubberband")
    assert (record.state, record.reason, record.hint) == ("unavailable", "needs package pylibrb", INSTALL_LINE)
    listed, _ = typed("plugins", "list")
    assert re.search(r"rubberband +unavailable", listed)
    output, status = typed("run", "song.flac", "out.flac", "-s", "time-stretch:factor=2")
    assert status == 3
    assert f"rubberband.time-stretch needs package pylibrb. Try: {INSTALL_LINE}" in output
    assert not Path("out.flac").exists()
    with pytest.raises(WavechainError, match="needs package pylibrb"):
        Chain.of("transpose")
    assert typed("run", "twice.m3u8", "twice.flac")[1] == 0


def inner_tests(project: str, site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "-o", "addopts=", "tests"],
        cwd=HERE / project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_the_playlists_own_tests_pass(site):
    inner_tests("wavechain-playlist", site)


@pytest.mark.slow
def test_the_stretchers_own_tests_pass(stretcher, site):
    inner_tests("wavechain-rubberband", site)


@pytest.mark.slow
def test_pip_installs_them_into_an_empty_environment(wheels, folder):
    pytest.importorskip("pylibrb")  # where this machine has no wheel of it, neither has pip
    venv.create(folder / "env", with_pip=True)
    python, program = folder / "env" / "bin" / "python", folder / "env" / "bin" / "wavechain"

    def pip(*words: object) -> None:
        subprocess.run([python, "-m", "pip", *map(str, words)], check=True, capture_output=True)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *words], capture_output=True, text=True, check=False, cwd=folder)

    def states() -> dict[str, str]:
        listed = json.loads(run("plugins", "list", "--json").stdout)
        return {plugin["name"]: f"{plugin['state']} {plugin['hint']}".strip() for plugin in listed}

    pip("install", build_wheel(HOUSE, folder), *wheels.values())
    assert states()["playlist"] == "loaded"
    assert states()["rubberband"] == f"unavailable {INSTALL_LINE}"
    pip("install", f"{wheels['wavechain-rubberband']}[engine]")
    assert states()["rubberband"] == "loaded"
    assert run("plugins", "check", "rubberband", "--quick").returncode == 0
    assert "Duration of the output" in run("stages", "describe", "time-stretch").stdout

    chain = ("-s", "time-stretch:factor=1.5", "-s", "transpose:semitones=-3", "-s", "loudness:target_lufs=-16")
    done = run("run", "twice.m3u8", "out.flac", *chain)
    assert (done.returncode, "nanobind" in done.stderr) == (0, False), done.stderr
    assert Audio.read("out.flac").frames == 288_000

    pip("uninstall", "--yes", "pylibrb")
    done = run("run", "twice.m3u8", "again.flac", *chain)
    assert (done.returncode, INSTALL_LINE in done.stderr) == (3, True), done.stderr
    assert states()["rubberband"] == f"unavailable {INSTALL_LINE}"
    assert run("run", "twice.m3u8", "again.flac").returncode == 0
