"""Tables, and parameters as people read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from wavechain.params import Parameter

PLAIN_TYPES = {
    "list of number": "list of numbers",
    "list of whole number": "list of whole numbers",
    "list of stage": "list of stages",
    "list of branch": "list of branches",
    "path": "file name",
    "list of path": "list of file names",
    "dict": "table",
}


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |".replace("|  |", "| |") for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def plain(text: str | None) -> str:
    """What the program says, with nothing in it that Markdown would take for a mark."""
    return re.sub(r"([*\\])", r"\\\1", text or "")


def values(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    kind = PLAIN_TYPES.get(parameter.type, parameter.type)
    return f"{kind}, {parameter.range}" if parameter.range else kind


def default(parameter: Parameter) -> str:
    if parameter.required:
        return "**required**"
    if parameter.default is None:
        return "unset"
    return f"`{parameter.default_text}`" if parameter.default not in ((), {}, "") else "none"
