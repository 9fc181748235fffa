"""From what was measured to what can be said: medians, gains with intervals, the best and those beside it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wavechain.registry import registry
from wavechain.run import versions
from wavechain.seeds import derive_seed
from wavechain_evaluation.faults import CLEAN, Item, main_metrics
from wavechain_evaluation.rows import UNPROCESSED, Row
from wavechain_evaluation.statistics import median_interval
from wavechain_evaluation.work import Cost, Outcome

VERSION = 1

Values = Mapping[str, Mapping[str, float]]
"""Row to item to value, of one metric and one fault."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the bench, and which metrics could not be."""

    items: Sequence[Item]
    faults: Sequence[str]
    rows: Sequence[Row]
    metrics: Sequence[str]
    seed: int
    missing: Mapping[str, str]


def results(asked: Asked, outcomes: Iterable[Outcome], costs: Mapping[int, Cost]) -> dict[str, Any]:
    """All of it as plain data, ready for JSON."""
    # Workers answer in any order; the figures must not depend on it.
    outcomes = sorted(outcomes, key=lambda outcome: (outcome.fault, outcome.row, outcome.item))
    facts = {name: _facts(name) for name in asked.metrics}
    return {
        "version": VERSION,
        "seed": asked.seed,
        "versions": versions(),
        "metrics": facts,
        "missing": dict(asked.missing),
        "rows": [_row_facts(index, row, outcomes, costs) for index, row in enumerate(asked.rows)],
        "faults": {fault: _fault(fault, asked, outcomes, facts) for fault in asked.faults},
        "items": _items(asked, outcomes),
    }


def _facts(name: str) -> dict[str, Any]:
    metric = registry().load_part("metric", name)
    return {"unit": metric.unit, "higher_is_better": metric.higher_is_better, "content": metric.content}


def _row_facts(index: int, row: Row, outcomes: Sequence[Outcome], costs: Mapping[int, Cost]) -> dict[str, Any]:
    cost = costs.get(index, {})
    failures = [found.error for found in outcomes if found.row == index and found.error and not found.no_pair]
    return {
        "name": row.name,
        "kind": row.kind,
        "text": row.text,
        "faults": list(row.faults),
        "cpu_seconds_per_minute": cost.get("cpu_seconds_per_minute"),
        "start_cpu_seconds": cost.get("start_cpu_seconds"),
        "cpu_failure": cost.get("error", ""),
        "failed": len(failures),
        "first_failure": failures[0] if failures else "",
    }


def _fault(fault: str, asked: Asked, outcomes: Sequence[Outcome], facts: Mapping[str, Any]) -> dict[str, Any]:
    mine = [outcome for outcome in outcomes if outcome.fault == fault]
    absent = {outcome.item for outcome in mine if outcome.no_pair}
    items = [item for item in asked.items if item.name not in absent]
    contents = sorted({item.content for item in items})
    groups = {"all": {item.name for item in items}}
    if len(contents) > 1:
        groups |= {word: {item.name for item in items if item.content == word} for word in contents}
    main = [name for name in main_metrics(fault) if name in asked.metrics]
    said: dict[str, Any] = {"main": main, "groups": {}}
    for group, names in groups.items():
        rows: dict[str, dict[str, Any]] = {}
        for metric in asked.metrics:
            values: dict[str, dict[str, float]] = {}
            for outcome in mine:
                value = outcome.scores.get(metric)
                if value is not None and outcome.item in names:
                    values.setdefault(asked.rows[outcome.row].name, {})[outcome.item] = value
            # What one row has a figure of can be measured: where another has none, it failed, or left only silence.
            met = {item for scores in values.values() for item in scores}
            sign = 1.0 if facts[metric]["higher_is_better"] else -1.0
            if fault == CLEAN:
                values.pop(UNPROCESSED, None)  # nothing can be gained over what is untouched
            seed = derive_seed(asked.seed, fault, group, metric)
            for name, told in compared(values, sign, seed, met).items():
                rows.setdefault(name, {})[metric] = told
        said["groups"][group] = {"items": len(names), "rows": rows, "timed_out": _timed_out(asked, mine, names)}
    return said


def compared(values: Values, sign: float, seed: int, met: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """For each row: its median, its gain over unprocessed with the interval, and how it stands to the best.

    sign      1 when higher is better, -1 when lower is; a gain above zero is always an improvement
    met       the items that any row has a value of: a row that lacks some has its figures of *n* items *of* more
    standing  ``best``; ``tied`` when the interval of the distance to the best holds zero; ``incomplete`` when items
              are absent, which may have been the hard ones; else ``behind``
    """
    absent = {name: len(set(met) - found.keys()) for name, found in values.items()}
    base = values.get(UNPROCESSED, {})
    medians = {name: median_interval(list(found.values()), seed) for name, found in values.items()}
    whole = {name: found for name, found in medians.items() if found is not None and not absent[name]}
    ranked = [(sign * found.median, name) for name, found in whole.items()]
    best = max(ranked, key=lambda entry: entry[0])[1] if ranked else ""
    told: dict[str, dict[str, Any]] = {}
    for name, found in values.items():
        median = medians[name]
        if median is None:
            continue
        if absent[name]:
            standing = "incomplete"
        else:
            standing = "best" if name == best else _standing(values[best], found, sign, seed)
        common = sorted(found.keys() & base.keys())
        gain = median_interval([sign * (found[item] - base[item]) for item in common], seed)
        told[name] = {
            "n": len(found),
            "of": len(found) + absent[name],
            "median": _rounded(median.median),
            "interval": [_rounded(median.low), _rounded(median.high)],
            "gain": _rounded(gain.median) if gain else None,
            "gain_interval": [_rounded(gain.low), _rounded(gain.high)] if gain else None,
            "standing": standing,
        }
    return told


def _standing(best: Mapping[str, float], found: Mapping[str, float], sign: float, seed: int) -> str:
    common = sorted(best.keys() & found.keys())
    distance = median_interval([sign * (best[item] - found[item]) for item in common], seed)
    return "behind" if distance is not None and distance.certain else "tied"


def _timed_out(asked: Asked, outcomes: Iterable[Outcome], names: set[str]) -> dict[str, dict[str, Any]]:
    """For each row that was ended for taking long: on how many of the items, and the seconds that all of them had."""
    late: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.timed_out and outcome.item in names:
            late.setdefault(asked.rows[outcome.row].name, []).append(outcome.timed_out)
    return {name: {"items": len(seconds), "seconds": min(seconds)} for name, seconds in late.items()}


def _items(asked: Asked, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    contents = {item.name: item.content for item in asked.items}
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for outcome in outcomes:
        entry = told.setdefault(
            (outcome.fault, outcome.item),
            {
                "fault": outcome.fault,
                "item": outcome.item,
                "content": contents[outcome.item],
                "severity": {},
                "scores": {},
                "delays": {},
                "failure": "",
            },
        )
        name = asked.rows[outcome.row].name
        if outcome.no_pair:
            entry["failure"] = outcome.error
        if not outcome.error:
            entry["severity"] = outcome.severity
            entry["scores"][name] = outcome.scores
            if outcome.delay:
                entry["delays"][name] = outcome.delay
    return [told[key] for key in sorted(told)]


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
