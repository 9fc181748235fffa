"""The page about the kit names all that is public in `wavechain.testing`, and all that its classes may be told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wavechain import testing
from wavechain.testing import checks, contracts
from wavechain.testing.promises import PROMISES

TEXT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
CONTRACTS = [name for name in testing.__all__ if name.endswith("Contract")]


def test_everything_that_is_public_is_on_the_page():
    assert [name for name in testing.__all__ if f"`{name}" not in TEXT] == []


def test_every_promise_is_in_a_table_and_no_other():
    told = set(re.findall(r"^\| `([\w-]+)` \| ", TEXT.split("## Every promise")[1].split("\n## ")[0], flags=re.M))
    assert told == set(PROMISES)
    made = [getattr(checks, name) for name in checks.__all__ if name.endswith("_CHECKS")]
    assert {promise for each in made for promise in each} == told


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_row_of_a_contract_names_what_it_may_be_told(name):
    contract = getattr(contracts, name)
    (row,) = re.findall(rf"^\| `{name}` \|.*$", TEXT, flags=re.M)
    told = set(re.findall(r"`(\w+)`", row)) - {name, "exceptions"}
    public = {
        key
        for base in contract.__mro__
        if base.__module__ == contracts.__name__
        for key in vars(base)
        if not key.startswith(("_", "test_"))
    }
    assert told == public
    table = TEXT.split("| attribute | meaning |")[1].split("\n\n")[0]
    assert [key for key in public if f"`{key}`" not in table] == []
