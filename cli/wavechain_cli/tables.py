"""Tables for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from wavechain.plan import Plan


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, wrap: bool = True) -> None:
    """A plain table on standard output; `columns` ending in ``>`` are right-aligned."""
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.show_header = any(column.rstrip(">") for column in columns)
    for column in columns:
        table.add_column(
            column.rstrip(">"),
            justify="right" if column.endswith(">") else "left",
            overflow="fold",
            no_wrap=not wrap,
        )
    for row in rows:
        table.add_row(*(_escape(cell) for cell in row))
    Console(highlight=False).print(table)


def print_plan(plan: Plan) -> None:
    """What will happen to one file, stage by stage."""
    rows = [["source", str(plan.source), str(plan.origin.spec), "", ""]]
    before = str(plan.origin.spec)
    for step in plan.steps:
        rate = step.spec.rate
        gives, before = "the same" if str(step.spec) == before else str(step.spec), str(step.spec)
        rows.append(
            [
                step.place,
                ", ".join(f"{key}={value}" for key, value in step.parameters.items()),
                gives + (" (measured first)" if step.measured else ""),
                f"{step.latency}" if step.latency else "",
                "until silent" if step.tail == math.inf else f"{float(step.tail / rate):.2f} s" if step.tail else "",
            ]
        )
    dither = ", dithered" if plan.dither else ""
    rows.append(["output", str(plan.output), f"{plan.encoding.container} {plan.encoding.codec}{dither}", "", ""])
    print_table("", ["", "what", "gives", "latency>", "tail>"], rows)
    for warning in plan.warnings:
        print(f"warning: {warning}")


def _escape(text: str) -> str:
    return text.replace("[", "\\[")
