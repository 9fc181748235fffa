"""The wheel holds every file of every package, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
PACKAGES = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
    "wheel"
]["packages"]


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = "import sys, hatchling.build; hatchling.build.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(folder)], cwd=HOUSE, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_is_the_packages(wheel_names):
    expected = set()
    for package in map(Path, PACKAGES):
        for path in (HOUSE / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add(path.relative_to(HOUSE / package.parent).as_posix())
    assert {name for name in wheel_names if ".dist-info/" not in name} == expected


def test_the_wheel_brings_its_demo_presets_and_licence(wheel_names):
    assert "wavechain_cli/demo/wavechain-demo.flac" in wheel_names
    presets = {Path(name).stem for name in wheel_names if "/presets/" in name and name.endswith(".toml")}
    assert presets >= {
        "podcast",
        "vinyl-transfer",
        "master-streaming",
        "broadcast",
        "lo-fi",
        "telephone",
        "archive",
    }
    assert [name for name in wheel_names if name.endswith(".dist-info/licenses/LICENSE")]
