"""A bundled plugin can leave: moved out and built on its own, it works beside the rest as it did inside.

The wheels are unpacked into an environment that borrows the packages of this one but not its editable install, so
nothing is downloaded and the sources in the house cannot help.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
PLUGINS = tuple(sorted(folder.name for folder in (HOUSE / "plugins").iterdir() if folder.is_dir()))
NAMES = {folder: folder.replace("_", "-") for folder in PLUGINS}
LOOK = """
import importlib, json, sys
from wavechain.registry import registry

found = registry()
told = {"problems": found.problems()}
for record in found.plugins():
    modules = {found.load(stage).__module__ for stage in record.stages if not stage.missing}
    modules |= {found.load_part(part.kind, part.full_name).__module__ for part in record.parts if not part.missing}
    files = [sys.modules[name].__file__ for name in sorted(modules)]
    told[record.name] = {"state": record.state, "distribution": record.distribution, "files": files}
print(json.dumps(told))
"""


def build_wheel(project: Path, into: Path) -> None:
    build = "import sys, hatchling.build; hatchling.build.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(into)], cwd=project, check=True, capture_output=True)


def house_without(plugins: tuple[str, ...], at: Path) -> Path:
    """A copy of the house whose pyproject.toml and plugins folder have never heard of these."""
    at.mkdir()
    for name in ("README.md", "LICENSE", ".gitignore"):
        shutil.copy(HOUSE / name, at)
    for name in ("core", "cli", "plugins"):
        shutil.copytree(HOUSE / name, at / name, ignore=shutil.ignore_patterns("__pycache__"))
    lines = (HOUSE / "pyproject.toml").read_text(encoding="utf-8").splitlines(keepends=True)
    for plugin in plugins:
        shutil.move(at / "plugins" / plugin, at.parent / plugin)
        named = (f'{NAMES[plugin]} = "wavechain_{plugin}"', f'"plugins/{plugin}', f'"wavechain_{plugin}"')
        lines = [line for line in lines if not line.strip().startswith(named)]
    (at / "pyproject.toml").write_text("".join(lines), encoding="utf-8")
    return at


@pytest.mark.parametrize("ejected", [("essentials",), PLUGINS], ids=["one", "all"])
def test_ejected_plugins_work_as_they_did_inside(ejected, tmp_path):
    wheels = tmp_path / "wheels"
    build_wheel(house_without(ejected, tmp_path / "house"), wheels)
    for plugin in ejected:
        build_wheel(tmp_path / plugin, wheels)

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    scheme = {"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}
    site = Path(sysconfig.get_path("purelib", "venv", scheme))
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    for package in Path(sysconfig.get_path("platlib")).iterdir():
        if "wavechain" not in package.name and package.suffix != ".pth" and not (site / package.name).exists():
            (site / package.name).symlink_to(package)

    python = Path(sysconfig.get_path("scripts", "venv", scheme)) / "python"
    told = json.loads(run(python, "-c", LOOK, cwd=tmp_path))
    assert told.pop("problems") == []
    assert set(NAMES.values()) <= set(told)
    for plugin, name in NAMES.items():
        assert told[name]["state"] == "loaded"
        assert told[name]["distribution"] == (f"wavechain-{name}" if plugin in ejected else "wavechain")
        assert told[name]["files"]
        assert all(Path(file).is_relative_to(site) for file in told[name]["files"])

    take = HOUSE / "cli" / "wavechain_cli" / "demo" / "wavechain-demo.flac"
    command = "from wavechain_cli.app import main; main()"
    run(python, "-c", command, "run", take, "out.flac", "-s", "gain:gain_db=-6", cwd=tmp_path)
    assert (tmp_path / "out.flac").stat().st_size > 100_000


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
