"""``report.html``: the tables, and players beside one another. It loads nothing from anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from wavechain_evaluation.report import AUDIO
from wavechain_evaluation.tables import Table, notes, tables, wide_tables
from wavechain_evaluation.work import WANTED, sound_name

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; display: block; overflow-x: auto; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; }
tr.best td { background: #e6f4ea; } tr.tied td { background: #f4f9e9; }
audio { width: 15rem; height: 2rem; } .note { color: #555; }
"""
_READ = """↑ higher is better, ↓ lower is. Figures are medians over items, with their bootstrap 95 % intervals. A gain
is taken item by item against the unprocessed recording, and its median shown; it is positive where it improves, for
every metric. best: the best median; =: the interval of the distance to the best holds zero; -: not compared, as
recordings are absent on which the row failed, took too long or left only silence, which (20 of 32) counts. beside a
row, 12 : 23: better than it on 12 recordings, worse on 23, alike on the others. CPU s/min: CPU-seconds a minute of
each channel, one thread, starting not counted."""


def page(found: Mapping[str, Any], examples: Sequence[str], folder: Path) -> str:
    """The whole page, for a report in *folder*, where the sounds of *examples* lie under ``audio/``."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>wavechain evaluate</title>',
        f"<style>{_STYLE}</style></head><body><h1>How well it repairs</h1><p>{_READ}</p>",
    ]
    parts += [f'<p class="note">{escape(line)}</p>' for line in notes(found)]
    groups = dict.fromkeys(group for told in found["faults"].values() for group in told["groups"])
    whole, *contents = groups
    for fault in found["faults"]:
        parts.append(f"<h2>{escape(fault)}</h2>")
        parts += [_table(table) for table in _of(fault, tables(found, whole))]
        parts += [_table(table) for table in _of(fault, wide_tables(found, whole))]
        parts.append(_players(found, fault, examples, folder))
        for group in contents:
            inside = [*_of(fault, tables(found, group)), *_of(fault, wide_tables(found, group))]
            parts.append(f"<details><summary>{escape(group)} alone</summary>")
            parts += [*map(_table, inside), "</details>"]
    parts.append("<h2>Rows</h2><table><tr><th>row</th><th>kind</th><th>what</th><th>faults</th></tr>")
    for row in found["rows"]:
        cells = (row["name"], row["kind"], row["text"] or "as it came", ", ".join(row["faults"]) or "all")
        parts.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    parts.append("</table></body></html>\n")
    return "\n".join(parts)


def _of(fault: str, listed: Iterable[Table]) -> list[Table]:
    return [table for table in listed if table.fault == fault]


def _table(table: Table) -> str:
    heads = "".join(
        f'<th class="n">{escape(column[:-1])}</th>' if column.endswith(">") else f"<th>{escape(column)}</th>"
        for column in table.columns
    )
    lines = []
    for row in table.rows:
        standing = {"best": "best", "=": "tied"}.get(row[5] if table.columns[5:6] == ("",) else "", "")
        cells = "".join(
            (f'<td class="n">{escape(cell)}</td>' if column.endswith(">") else f"<td>{escape(cell)}</td>")
            for column, cell in zip(table.columns, row, strict=True)
        )
        lines.append(f'<tr class="{standing}">{cells}</tr>')
    notes_below = "".join(f'<p class="note">{escape(line)}</p>' for line in table.notes)
    return f"<h3>{escape(table.title)}</h3><table><tr>{heads}</tr>{''.join(lines)}</table>{notes_below}"


def _players(found: Mapping[str, Any], fault: str, examples: Sequence[str], folder: Path) -> str:
    names = [WANTED, *dict.fromkeys(row["name"] for row in found["rows"])]
    severities = {item["item"]: item["severity"] for item in found["items"] if item["fault"] == fault}
    lines = []
    for item in examples:
        cells = []
        for name in names:
            relative = f"{AUDIO}/{fault}/{sound_name(item, name)}"
            if (folder / relative).is_file():
                cells.append(
                    f'<tr><td>{escape(name)}</td><td><audio controls preload="none" src="{quote(relative)}"></audio>'
                    "</td></tr>"
                )
        severity = ", ".join(f"{key} {value}" for key, value in severities.get(item, {}).items())
        title = f"{item}: {severity}" if severity else item
        if cells:
            lines.append(f"<details><summary>{escape(title)}</summary><table>{''.join(cells)}</table></details>")
    return "".join(lines)
