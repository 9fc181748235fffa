"""The afternoon of the first plugin is as short as it says, and what pip installs is what the page talks about.

That its blocks work is seen by `test_docs_snippets`, which types them with the plugin linked as ``pip install -e .``
links it; here pip itself does it.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from wavechain.testing.checks import STREAM_CHECKS, examine
from wavechain.testing.subject import Subject

HOUSE = Path(__file__).parents[2]
PAGE = "docs/first-plugin.md"
TEXT = (HOUSE / PAGE).read_text(encoding="utf-8")
STAGE = "src/wavechain_slapback/effect.py"
MOST_LINES = 40


def versions(blocks_on, file: str) -> list[str]:
    return [block.text for block in blocks_on(PAGE) if block.file == file]


def test_the_sections_take_an_afternoon_and_the_first_sound_a_quarter_of_an_hour():
    minutes = [int(found) for found in re.findall(r"^\*Plan (\d+) minutes\.\*$", TEXT, flags=re.M)]
    sections = re.findall(r"^## (\d)\. ", TEXT, flags=re.M)
    assert sections == [str(number + 1) for number in range(len(minutes))]
    assert minutes[0] <= 15
    assert 145 <= sum(minutes) <= 160, "the page says: two and a half hours"


def test_what_the_author_writes_of_the_stage_fits_into_the_lines_that_the_page_promises(blocks_on):
    tree = ast.parse(versions(blocks_on, STAGE)[-1])
    documentation = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    lines = versions(blocks_on, STAGE)[-1].splitlines()
    code = [line for number, line in enumerate(lines, 1) if line.strip() and number not in documentation]
    assert f"at most {MOST_LINES}" in " ".join(TEXT.split())
    assert len(code) <= MOST_LINES


def test_the_commands_that_are_counted_are_those_that_were_typed(blocks_on):
    counted = TEXT.split("took five commands")[1].split("```text\n")[1].split("```")[0].splitlines()
    typed = [line for block in blocks_on(PAGE) if block.language == "console" for line in block.text.splitlines()]
    assert len(counted) == 5
    assert [command for command in counted if not any(line.startswith(f"$ {command}") for line in typed)] == []


def test_the_fault_that_the_page_suggests_is_found(blocks_on):
    fault = "np.tanh(drive * block, out=block) / drive"
    assert f"`{fault}`" in TEXT
    source = versions(blocks_on, STAGE)[1]
    names: dict[str, object] = {"__name__": "page"}
    exec(source.replace("np.tanh(drive * block) / drive", fault), names)
    checks = {name: STREAM_CHECKS[name] for name in ("input-untouched",)}
    (outcome,) = examine(Subject(names["Slapback"]()), checks)
    assert outcome.promise == "input-untouched"
    assert outcome.state == "broken"


def test_the_three_lines_of_the_tail_are_those_of_the_file(blocks_on):
    (lines,) = [block.text for block in blocks_on(PAGE) if block.language == "text" and "self.tail" in block.text]
    assert lines in versions(blocks_on, STAGE)[-1]


@pytest.mark.slow
def test_the_page_works_with_pip_in_an_empty_environment(reader, blocks_on, tmp_path, monkeypatch):
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    (first,) = [block for block in blocks_on(PAGE) if block.language == "sh"]
    (install,) = [line for line in first.text.splitlines() if line.startswith("pip install")]
    monkeypatch.setenv("PATH", str(environment / "bin"), prepend=os.pathsep)
    monkeypatch.delenv("PYTHONPATH")
    subprocess.run(install, shell=True, check=True, cwd=HOUSE, capture_output=True)
    reader.outside = reader.with_pip = True
    reader.read(HOUSE / PAGE)
    found = subprocess.run(
        [environment / "bin" / "python", "-c", "import wavechain_slapback as it; print(it.__file__)"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(found.stdout.strip()).is_relative_to(tmp_path), sys.path
