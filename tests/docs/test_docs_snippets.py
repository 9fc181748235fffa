"""Everything that a page tells a reader to type works, and gives what the page says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from wavechain import Chain

HOUSE = Path(__file__).parents[2]
LANGUAGES = {"console", "python", "toml", "json", "yaml", "sh", "text"}
INSTALLS = re.compile(r"(pip install|make|git clone|cd|python3 -m venv|source|wavechain demo)\b")


def test_a_reader_can_type_what_stands_on(typed_page, reader):
    reader.read(typed_page)


def test_every_block_says_what_it_is(page, blocks):
    assert [block.place for block in blocks if block.language not in LANGUAGES] == []
    assert len(re.findall(r"^\s*```", page.read_text(encoding="utf-8"), flags=re.M)) == 2 * len(blocks)


def test_lines_that_are_not_run_only_install(blocks):
    lines = [line for block in blocks if block.language == "sh" for line in block.text.splitlines()]
    assert [line for line in lines if line.strip() and not INSTALLS.match(line)] == []


def test_every_chain_on_a_page_is_one(blocks):
    for block in blocks:
        # slip.toml is wrong on purpose; what belongs to the plugin on a page is read by the page's own test.
        if block.language == "toml" and block.file != "slip.toml" and not re.search("tremolo|slapback", block.text):
            Chain.from_dict(tomllib.loads(block.text))


def test_one_chain_can_be_written_in_several_ways(read_page):
    folder = read_page("docs/chain-files.md")
    assert Chain.load(folder / "same.toml") == Chain.load(folder / "same.json") == Chain.load(folder / "same.yaml")
    assert Chain.load(folder / "long.toml") == Chain.load(folder / "short.toml")
