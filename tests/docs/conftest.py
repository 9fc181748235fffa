"""Reads the pages and does what they say, in a folder with a few recordings.

```console   lines after ``$`` are run, a page's blocks one after the other; what stands below a line is its output,
             in which ``...`` stands for anything. A command that fails is followed by ``$ echo $?``, or by an answer
             that says so. After ``$ pip install -e .``, what follows is run in processes of their own.
```python    run, or with ``>>>`` compared with what comes out; a page's blocks share their names
```toml      read as what it is; after the comment ``file: NAME`` any block is also written to that file
```sh        not run: these lines install things (`test_docs_snippets` sees that they do nothing else)
```text      not run: drawings
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wavechain import Audio, Media
from wavechain.testing import music
from wavechain_cli.app import app

HOUSE = Path(__file__).parents[2]
ROOTS = tomllib.loads((HOUSE / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"][
    "pythonpath"
]
BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
FAILURE = re.compile(r"^(error: |\d+ failed)", re.MULTILINE)
LOOSE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    text: str
    file: str | None
    place: str


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            match["language"],
            match["text"],
            match["file"],
            f"{page.name}:{text.count(chr(10), 0, match.start('text')) + 1}",
        )
        for match in BLOCK.finditer(text)
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``page``: every page in turn; ``typed_page``: those on which something is to be typed."""
    pages = [HOUSE / "README.md", *sorted((HOUSE / "docs").rglob("*.md"))]
    typed = [page for page in pages if any(block.language in ("console", "python") for block in blocks_of(page))]
    for name, listed in (("page", pages), ("typed_page", typed)):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, listed, ids=lambda page: page.relative_to(HOUSE).as_posix())


@pytest.fixture
def blocks(page: Path) -> list[Block]:
    return blocks_of(page)


@pytest.fixture
def blocks_on() -> Callable[[str], list[Block]]:
    return lambda name: blocks_of(HOUSE / name)


@pytest.fixture
def run() -> Callable[[str], tuple[str, int]]:
    return typed


@pytest.fixture
def read_page(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the files of a page into a folder, which it returns."""

    def read(name: str) -> Path:
        for block in blocks_of(HOUSE / name):
            if block.file:
                target = tmp_path / "files" / block.file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text, encoding="utf-8")
        return tmp_path / "files"

    return read


@dataclass
class Reader:
    """Somebody who types what a page says."""

    page: str = ""
    names: dict[str, object] = field(default_factory=dict)
    status: int = 0
    outside: bool = False
    with_pip: bool = False

    def read(self, page: Path) -> None:
        self.page = page.name
        for block in blocks_of(page):
            if block.file:
                Path(block.file).parent.mkdir(parents=True, exist_ok=True)
                Path(block.file).write_text(block.text, encoding="utf-8")
            if block.language == "console":
                self.type(block)
            elif block.language == "python" and not block.file:
                self.python(block)

    def python(self, block: Block) -> None:
        if ">>>" not in block.text:
            source = "\n" * int(block.place.rpartition(":")[2]) + block.text
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(source, self.page, "exec"), self.names)
            return
        test = doctest.DocTestParser().get_doctest(block.text, self.names, block.place, self.page, 0)
        said = io.StringIO()
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test, out=said.write, clear_globs=False)
        self.names |= test.globs
        assert not runner.failures, said.getvalue()

    def type(self, block: Block) -> None:
        for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
            command, _, expected = re.sub(r" \\\n\s*", " ", part).partition("\n")
            if command == "echo $?":
                output, status = f"{self.status}\n", 0
            else:
                output, status = self.answer(command)
                self.status = status
            if expected.strip() and not doctest.OutputChecker().check_output(expected, output, LOOSE):
                pytest.fail(f"{block.place}\n$ {command}\nexpected\n{expected}\ngot\n{output}")
            if status and not FAILURE.search(expected):
                pytest.fail(f"{block.place}: {command} ends with exit code {status}\n{output}")

    def answer(self, command: str) -> tuple[str, int]:
        if command.startswith("cd "):
            os.chdir(command.removeprefix("cd "))
            return "", 0
        if command == "pip install -e ." and not self.with_pip:
            self.outside = True
            install_here()
            return "", 0
        return in_shell(command) if self.outside else typed(command)


def install_here() -> None:
    """What ``pip install -e .`` does: the metadata of the wheel where imports look, and a link to the source."""
    site = Path.cwd().parent / "site"
    site.mkdir()
    build = "import sys, hatchling.build; hatchling.build.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(site)], check=True, capture_output=True)
    with zipfile.ZipFile(next(site.glob("*.whl"))) as wheel:
        wheel.extractall(site, [name for name in wheel.namelist() if ".dist-info/" in name])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(site), str(Path.cwd() / "src"), os.environ["PYTHONPATH"]])


def in_shell(command: str) -> tuple[str, int]:
    done = subprocess.run(
        ["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.stdout, done.returncode


def typed(command: str) -> tuple[str, int]:
    """What *command* prints, and its exit code. What needs no shell is run in this process, which is faster."""
    words = shlex.split(command, comments=True)
    if words[0] == "wavechain" and not re.search(r"[|<>*~`&]", re.sub(r"'[^']*'", "", command)):
        result = CliRunner().invoke(app, words[1:], prog_name="wavechain")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output, result.exit_code
    if words[0] == "python" and words[1].endswith(".py"):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            runpy.run_path(words[1], run_name="__main__")
        return output.getvalue(), 0
    return in_shell(command)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """A reader in a folder of their own, with `voice.wav`, `song.flac` and the folder `takes`."""
    folder = tmp_path / "reader"
    (folder / "takes").mkdir(parents=True)
    monkeypatch.chdir(folder)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("wavechain", "-m wavechain_cli.app"), ("python", ""), ("pytest", "-m pytest")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(HOUSE / root) for root in ROOTS), prepend=os.pathsep)
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("TERM", "dumb")
    for name in ("WAVECHAIN_BLOCK", "WAVECHAIN_PREFER"):
        monkeypatch.delenv(name, raising=False)
    song = music(seconds=2)
    Audio(0.25 * music(seconds=2, channels=1).waveform, 48_000, Media(bits=16)).write("voice.wav")
    tags = {"title": ("Evening",), "artist": ("The Examples",), "album": ("Pages",)}
    Audio(song.waveform, 48_000, Media(tags=tags, bits=16)).write("song.flac")
    for name in ("one", "two"):
        Audio(0.5 * song.waveform, 48_000, Media(bits=16)).write(f"takes/{name}.wav")
    return Reader()
