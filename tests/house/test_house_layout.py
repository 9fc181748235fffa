"""The house keeps its shape: what stands at the top, and what every plugin folder holds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
PLUGINS = sorted(folder for folder in (HOUSE / "plugins").iterdir() if folder.is_dir())
TOP_LEVEL = {
    *("core", "cli", "plugins", "tests", "docs", ".ci"),
    *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", "mkdocs.yml"),
    *(".gitignore", ".editorconfig", ".pre-commit-config.yaml"),
}


def files_of_the_house() -> list[Path]:
    """What git tracks, or would track at the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=HOUSE,
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [Path(name) for name in listed.stdout.split("\0") if name and (HOUSE / name).is_file()]


def test_nothing_is_built_beside_the_given_rooms():
    assert {path.parts[0] for path in files_of_the_house()} <= TOP_LEVEL


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_every_plugin_folder_is_what_a_third_party_would_write(folder):
    package = folder / f"wavechain_{folder.name}"
    assert (folder / "pyproject.toml").is_file()
    assert (folder / "README.md").is_file()
    assert list(folder.glob("tests/test_*.py"))
    assert (package / "__init__.py").is_file()
    assert (package / "py.typed").is_file()


@pytest.mark.parametrize("package", ["core/wavechain", "cli/wavechain_cli"])
def test_the_core_and_the_cli_are_typed_for_those_who_import_them(package):
    assert (HOUSE / package / "py.typed").is_file()


def test_test_folders_are_not_packages():
    # With --import-mode=importlib an __init__.py would give two tests the same module name.
    # The packages of the plugins under tests/third_party lie among tests, and are none.
    inside = [path for path in files_of_the_house() if "tests" in path.parts]
    tests = [path for path in inside if not path.parent.name.startswith("wavechain_")]
    assert [path for path in tests if path.name == "__init__.py"] == []


def test_test_files_have_names_of_their_own():
    names = [path.name for path in files_of_the_house() if path.match("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_the_changelog_has_room_for_the_next_line():
    assert "\n## Unreleased\n" in (HOUSE / "CHANGELOG.md").read_text(encoding="utf-8")


def test_decisions_are_numbered_once_each():
    numbers = [path.name[:4] for path in sorted((HOUSE / "docs" / "decisions").glob("*.md"))]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
