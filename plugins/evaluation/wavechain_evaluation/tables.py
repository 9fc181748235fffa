"""The results as tables of words, for the terminal, the page and documents alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from wavechain_evaluation.rows import UNPROCESSED

_STANDING = {"best": "best", "tied": "=", "behind": "", "incomplete": "-"}
_ALIKE = 0.005  # what two figures may be apart and still be printed alike


@dataclass(frozen=True, slots=True)
class Table:
    """*columns* ending in ``>`` are numbers; *notes* are lines that belong below."""

    fault: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def tables(found: Mapping[str, Any], group: str = "all") -> Iterator[Table]:
    """One a fault and main metric of it: rows as they were given, how sure one can be of each."""
    for fault, told in found["faults"].items():
        rows = told["groups"].get(group, {"rows": {}})["rows"]
        for metric in told["main"]:
            scored = [name for name in _names(found) if metric in rows.get(name, {})]
            columns = ["row", f"{_head(found, metric)}>", "[95 %]", "gain>", "[95 %]", "", "CPU s/min>"]
            lines = [_main_line(found, fault, name, rows[name][metric]) for name in scored]
            first = next((name for name in scored if name != UNPROCESSED), None)
            if first is not None and len(scored) > 1:
                columns.insert(-1, f"beside {first}>")
                duels = [_duel(_scores(found, fault, group), name, first, metric, found) for name in scored]
                lines = [(*line[:-1], duel, line[-1]) for line, duel in zip(lines, duels, strict=True)]
            if lines:
                title = _title(fault, group, told["groups"][group]["items"])
                below = (*_late(told, group), *_on_the_same(found, fault, group, metric))
                yield Table(fault, title, tuple(columns), tuple(lines), below)


def wide_tables(found: Mapping[str, Any], group: str = "all") -> Iterator[Table]:
    """One a fault: the medians of every metric."""
    for fault, told in found["faults"].items():
        rows = told["groups"].get(group, {"rows": {}})["rows"]
        present = [name for name in found["metrics"] if any(name in row for row in rows.values())]
        columns = ("row", *(f"{_head(found, name)}>" for name in present))
        lines = tuple(
            (name, *(_median(rows[name][metric]) if metric in rows[name] else "-" for metric in present))
            for name in _names(found)
            if name in rows
        )
        if lines:
            title = f"{_title(fault, group, told['groups'][group]['items'])}, medians"
            yield Table(fault, title, columns, lines, _late(told, group))


def markdown(found: Mapping[str, Any], group: str = "all", *, every_metric: bool = False) -> str:
    """`tables`, or `wide_tables`, as text for a document: a heading above each table, notes below."""
    parts = []
    for table in (wide_tables if every_metric else tables)(found, group):
        lines = [
            "| " + " | ".join(column.rstrip(">") for column in table.columns) + " |",
            "|" + "|".join("---:" if column.endswith(">") else "---" for column in table.columns) + "|",
            *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table.rows),
        ]
        parts += ["\n".join([f"### {table.title}", "", *lines]), *table.notes]
    parts += notes(found)
    return "\n\n".join(parts) + "\n"


def notes(found: Mapping[str, Any]) -> list[str]:
    """What a reader must know beside the tables, one line each."""
    lines = [f"{name} is left out: {reason}" for name, reason in found["missing"].items()]
    absent = {item["item"]: item["failure"] for item in found["items"] if item.get("failure")}
    if absent:
        lines.append(f"{len(absent)} items could not be read or worsened, first: {next(iter(absent.values()))}")
    failing = [row for row in found["rows"] if row["failed"]]
    lines += [f"{row['name']} failed {row['failed']} times, first: {row['first_failure']}" for row in failing]
    untimed = [row for row in found["rows"] if row.get("cpu_failure")]
    lines += [f"{row['name']} has no CPU time: {row['cpu_failure']}" for row in untimed]
    return lines


def _main_line(found: Mapping[str, Any], fault: str, name: str, told: Mapping[str, Any]) -> tuple[str, ...]:
    mine = [row for row in found["rows"] if row["name"] == name and (not row["faults"] or fault in row["faults"])]
    gain = told["gain"]
    return (
        name,
        _median(told),
        _interval(told["interval"]),
        "-" if gain is None else f"{gain:+.2f}",
        _interval(told["gain_interval"]),
        _STANDING[told["standing"]],
        _number(mine[0]["cpu_seconds_per_minute"]) if mine else "-",
    )


def _late(told: Mapping[str, Any], group: str) -> tuple[str, ...]:
    """Which rows did not end in time, of one fault."""
    of = told["groups"][group]["items"]
    late = told["groups"][group]["timed_out"].items()
    return tuple(f"{name}: {what['items']} of {of} did not end within {what['seconds']:g} s" for name, what in late)


def _on_the_same(found: Mapping[str, Any], fault: str, group: str, metric: str) -> Iterator[str]:
    """Beside a row that some recordings are missing of, what the other rows reach on those that it has."""
    rows = found["faults"][fault]["groups"][group]["rows"]
    scores = _scores(found, fault, group)
    for name in _names(found):
        told = rows.get(name, {}).get(metric)
        if told is None or told["n"] == told["of"]:
            continue
        same = [each for each in scores if _score(each, name, metric) is not None]
        reached = {
            row: [got for each in same if (got := _score(each, row, metric)) is not None] for row in _names(found)
        }
        listed = ", ".join(f"{row} {median(got):.2f}" for row, got in reached.items() if len(got) == len(same))
        yield f"{metric} on those {len(same)} items of {name} alone: {listed}"


def _duel(scores: Sequence[Mapping[str, Any]], name: str, first: str, metric: str, found: Mapping[str, Any]) -> str:
    """On how many recordings the row *name* did better than the *first*, and on how many worse."""
    if name == first:
        return ""
    sign = 1 if found["metrics"][metric]["higher_is_better"] else -1
    pairs = [(_score(each, name, metric), _score(each, first, metric)) for each in scores]
    ahead = [sign * (mine - other) for mine, other in pairs if mine is not None and other is not None]
    return f"{sum(by > _ALIKE for by in ahead)} : {sum(by < -_ALIKE for by in ahead)}"


def _scores(found: Mapping[str, Any], fault: str, group: str) -> list[Mapping[str, Any]]:
    """Of each recording, what every row reached."""
    return [item["scores"] for item in found["items"] if item["fault"] == fault and group in ("all", item["content"])]


def _score(scores: Mapping[str, Mapping[str, float | None]], row: str, metric: str) -> float | None:
    return scores.get(row, {}).get(metric)


def _median(told: Mapping[str, Any]) -> str:
    """Never that of some recordings without saying so."""
    figure = _number(told["median"])
    return figure if told["n"] == told["of"] else f"{figure} ({told['n']} of {told['of']})"


def _names(found: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(row["name"] for row in found["rows"]))


def _title(fault: str, group: str, items: int) -> str:
    who = "" if group == "all" else f" {group}"
    return f"{fault} ({items}{who} items)"


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"


def _head(found: Mapping[str, Any], metric: str) -> str:
    return metric + (" ↑" if found["metrics"][metric]["higher_is_better"] else " ↓")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
