"""What a run says of itself: ``card.md`` for those who use the model, ``report.html`` for those who train it.

Conventions: both are made anew from the tables and settings at each validation; the page loads nothing from anywhere
but the sounds and pictures that lie beside it.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from wavechain_trainer.curves import curve_svg

if TYPE_CHECKING:
    from wavechain.recipes import Recipe
    from wavechain_trainer.clips import Data
    from wavechain_trainer.training import Training

Curves = Mapping[str, Sequence[tuple[int, float]]]

STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --paper: #fbfaf7; --soft: #e4e1d8; --line: #1f5fa8; --dim: #6b7280; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e3; --paper: #16181d; --soft: #2e323b; --line: #7fb2ef; --dim: #9aa1ad; }
}
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif;
       color: var(--ink); background: var(--paper); }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
.dim, small { color: var(--dim); }
.grid-of { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; border: 1px solid var(--soft); border-radius: 6px; }
svg text { fill: var(--dim); font-size: 11px; } svg .name { fill: var(--ink); font-size: 12.5px; font-weight: 600; }
svg .last { fill: var(--line); text-anchor: end; font-size: 12.5px; }
svg .tick { text-anchor: end; } svg .step { text-anchor: middle; } svg .last-step { text-anchor: end; }
svg .grid { stroke: var(--soft); } svg .curve { fill: none; stroke: var(--line); stroke-width: 1.6; }
svg .range { fill: var(--line); opacity: .16; } svg .dot { fill: var(--line); }
figure { margin: 0; } figure img { width: 100%; height: 9rem; border-radius: 6px; } audio { width: 100%; }
table { border-collapse: collapse; } td, th { padding: .15rem 1rem .15rem 0; text-align: left; vertical-align: top; }
pre { background: var(--soft); padding: .8rem; border-radius: 6px; overflow-x: auto; }
progress { width: 100%; accent-color: var(--line); }
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What both pages tell of."""

    data: Data
    recipe: Recipe
    training: Training
    step: int
    command: str


def hours(frames: int, sample_rate: int) -> str:
    minutes = frames / sample_rate / 60
    return f"{minutes / 60:.1f} h" if minutes >= 60 else f"{minutes:.1f} min"


def data_rows(data: Data) -> list[tuple[str, ...]]:
    """A row for each folder: name, trained on, validated on, recorded at a lower rate."""
    held = {pool.folder: pool for pool in data.validation}
    rows: list[tuple[str, ...]] = []
    for pool in data.training:
        other = held.get(pool.folder)
        low = pool.below(data.sample_rate) + (other.below(data.sample_rate) if other else 0)
        rows.append(
            (
                pool.name,
                f"{len(pool.recordings)} files, {hours(pool.frames, data.sample_rate)}",
                f"{len(other.recordings)} files, {hours(other.frames, data.sample_rate)}" if other else "none",
                f"{low} below {data.sample_rate} Hz" if low else "",
            )
        )
    return rows


def card(facts: Facts, validation: Curves) -> str:
    """The model card of a run, in Markdown."""
    training, data = facts.training, facts.data
    done = "" if facts.step >= training.steps else f" of {training.steps} (not finished)"
    lines = [
        f"# {training.recipe['name']}: a model of your own",
        "",
        f"Written by `wavechain train` after {facts.step} steps{done}; it is written anew when the run goes on.",
        "",
        "## What it was trained on",
        "",
        "| folder | trained on | validated on | |",
        "| --- | --- | --- | --- |",
        *(f"| {' | '.join(_cell(text) for text in row)} |" for row in data_rows(data)),
        "",
        f"Licence of the recordings: {_cell(training.licence) or 'unknown'}. Files left out: {len(data.left)} "
        "(`train/left-out.csv`).",
        *([f"Noise from: {', '.join(_cell(path.name) for path in training.noise)}."] if training.noise else []),
        "",
        "## How well it does",
        "",
        "On recordings that it was not trained on, after the same kind of damage:",
        "",
        *(f"- {_cell(name)}: {points[-1][1]:.4g} (step {points[-1][0]})" for name, points in shown(validation).items()),
        *([] if validation else ["- not validated yet"]),
        "",
        "These figures are of your own recordings: other recordings, other rooms and other faults may fare worse.",
        "",
        "## How it was made",
        "",
        *(["```sh", facts.command, "```", ""] if facts.command else []),
        "```json",
        json.dumps(settings(training), indent=2),
        "```",
    ]
    return "\n".join(lines) + "\n"


def report(facts: Facts, curves: Curves, validation: Curves, previews: Path) -> str:
    """The page of a run, for a browser; *previews* is a folder below the one that the page will lie in."""
    training, data = facts.training, facts.data
    name = html.escape(str(training.recipe["name"]))
    sounds = _sounds(previews)
    body = [
        f"<h1>{name}: step {facts.step} of {training.steps}</h1>",
        f'<progress max="{training.steps}" value="{facts.step}"></progress>',
        "<h2>Validation</h2>",
        '<p class="dim">Averaged weights, on recordings that are not trained on; the same clips each time.</p>',
        _grid(curve_svg(each, points, training.steps) for each, points in shown(validation).items()),
        "<h2>Losses</h2>",
        '<p class="dim">The line is the mean, the band around it the range.</p>',
        _grid(curve_svg(each, points, training.steps) for each, points in curves.items()),
        "<h2>Previews</h2>",
        '<p class="dim">One validation clip. Spectrograms: 80 dB from black to white.</p>',
        *(
            f"<details{' open' if first else ''}><summary>step {step}</summary>{_grid(figures)}</details>"
            for first, (step, figures) in _latest_first(sounds)
        ),
        "<h2>Recordings</h2>",
        _table(("folder", "trained on", "validated on", ""), data_rows(data)),
        f"<p>Licence: {html.escape(training.licence) or 'unknown'}.</p>",
        f"<details><summary>{len(data.left)} files left out</summary>",
        _table(("file", "why"), [(_text(each.path), each.reason) for each in data.left]),
        "</details>",
        "<h2>Settings</h2>",
        *([f"<pre>{html.escape(facts.command)}</pre>"] if facts.command else []),
        f"<pre>{html.escape(json.dumps(settings(training), indent=2))}</pre>",
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{name}</title>'
    return (
        f"<!doctype html>\n<html lang=en><head>{head}<style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + ("\n</body></html>\n")
    )


def shown(validation: Curves) -> dict[str, Sequence[tuple[int, float]]]:
    """Without ``score``, which repeats one of the others."""
    return {name: points for name, points in validation.items() if name != "score"} or dict(validation)


def settings(training: Training) -> dict[str, object]:
    """What is not at its default."""
    return training.model_dump(mode="json", exclude_defaults=True)


def _sounds(previews: Path) -> dict[int, list[str]]:
    """A figure for each preview, by step."""
    figures: dict[int, list[str]] = {}
    for path in sorted(previews.glob("*-*.flac")):
        step, _, name = path.stem.partition("-")
        if step.isdigit():
            place = f"{previews.parent.name}/{previews.name}/{path.stem}"
            source = quote(place)
            picture = (
                f'<img src="{source}.png" alt="spectrogram" loading="lazy">'
                if path.with_suffix(".png").exists()
                else ""
            )
            player = f'<audio controls preload="none" src="{source}.flac"></audio>'
            figures.setdefault(int(step), []).append(
                f"<figure><figcaption>{html.escape(name)}</figcaption>{picture}{player}</figure>"
            )
    return figures


def _latest_first(sounds: Mapping[int, list[str]]) -> list[tuple[bool, tuple[int, list[str]]]]:
    steps = sorted(sounds, reverse=True)
    return [(step == steps[0], (step, sounds[step])) for step in steps]


def _grid(items: Iterable[str]) -> str:
    return f'<div class="grid-of">{"".join(items)}</div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(text: str) -> str:
    """A stranger's text (a folder's name) in one harmless cell of Markdown."""
    return " ".join(_text(text).replace("|", "\\|").replace("<", "&lt;").split())


def _text(value: object) -> str:
    """Names of any bytes as something that can be encoded."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
