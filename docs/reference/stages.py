"""Every stage and every preset, from their typed parameters and from what they say about themselves."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Sequence

from reference.text import default, table, values
from wavechain.params import parameters
from wavechain.registry import PluginRecord, PresetSpec, StageSpec, registry
from wavechain.stages import FeatureTransform, MeasuredEffect, Stage, StreamStage, WholeEffect

NOTE = "<!-- Made by docs/generate.py from the stages themselves. Change those, then run it again. -->\n\n"
KIND_TITLES = {
    "combinator": "Combinators",
    "effect": "Effects",
    "transform": "Transforms",
    "model": "Models",
    "trainer": "Trainers",
    "loader": "Loaders",
    "writer": "Writers",
}
PART_TITLES = {
    "recipe": "Recipes",
    "network": "Networks",
    "loss": "Losses",
    "discriminator": "Discriminators",
    "degradation": "Degradations",
    "metric": "Metrics",
    "bench": "Benches",
}
STAGE_INDEX = """# Every stage

A stage is used by its name, with parameters after a colon on the command line:

```text
wavechain run in.flac out.flac -s highpass:cutoff_hz=80,order=4
```

or as a table in a chain file:

```toml
[[stage]]
use = "highpass"
cutoff_hz = 80
order = 4
```

Every parameter that has a default may be left out. `wavechain stages describe NAME` prints the tables of these pages;
`wavechain stages list` shows the stages of plugins that others wrote, too.

"""

PRESETS = """# Presets

A preset is a chain file that comes with wavechain. `wavechain run in.wav out.wav --preset NAME` runs one, and
`wavechain presets show NAME > mine.toml` copies one, to be changed.
"""


def in_reading_order(plugins: Sequence[PluginRecord]) -> list[PluginRecord]:
    """The core, then plugins that make sound before those that only carry it, what needs an extra last."""

    def place(plugin: PluginRecord) -> tuple[bool, ...]:
        carries = all(stage.kind in ("loader", "writer") for stage in plugin.stages)
        return plugin.name != "core", carries, bool(_extra_of(plugin))

    return sorted(plugins, key=place)


def stage_index(plugins: Sequence[PluginRecord]) -> str:
    return NOTE + STAGE_INDEX + "\n".join(stage_overview(plugins, ""))


def stage_overview(plugins: Sequence[PluginRecord], folder: str) -> Iterator[str]:
    for plugin in plugins:
        yield f"**[{plugin.name}]({folder}{plugin.name}.md)**: {plugin.summary}{_extra_note(plugin)}\n"
        if plugin.stages:
            rows = [[f"[`{_name(s)}`]({folder}{plugin.name}.md#{_anchor(s)})", s.summary] for s in plugin.stages]
            yield table(["stage", "what it does"], rows) + "\n"


def plugin_page(plugin: PluginRecord) -> str:
    lines = [NOTE + f"# {plugin.name}", plugin.summary]
    if extra := _extra_of(plugin):
        lines.append(f"To install what it needs: `pip install 'wavechain[{extra}]'`.")
    kinds = list(dict.fromkeys(stage.kind for stage in plugin.stages))
    for kind in kinds:
        if len(kinds) > 1:
            lines.append(f"## {KIND_TITLES[kind]}")
        for stage in plugin.stages:
            if stage.kind == kind:
                lines += stage_section(stage, "###" if len(kinds) > 1 else "##")
    lines += part_sections(plugin)
    if plugin.models:
        rows = [[f"`{model.name}`", model.summary] for model in plugin.models]
        lines += ["## Trained models", table(["model", "what it does"], rows)]
    if plugin.presets:
        lines += ["## Presets", *preset_table([plugin], "../presets.md")]
    return "\n\n".join(lines)


def stage_section(spec: StageSpec, level: str) -> Iterator[str]:
    cls = registry().load(spec)
    yield f"{level} {_name(spec)}"
    said = inspect.cleandoc(cls.__doc__ or "")
    yield said if said else spec.summary
    if spec.kind not in ("loader", "writer") and (conventions := _conventions(cls)):
        yield conventions
    facts = [f"- {fact}" for fact in stage_facts(spec, cls)]
    yield "\n".join(facts)
    listed = parameters(cls)
    if listed:
        rows = [[f"`{p.name}`", values(p), p.unit, default(p), p.help] for p in listed]
        yield table(["parameter", "values", "unit", "default", "what it does"], rows)
    elif spec.kind not in ("loader", "writer"):
        yield "It has no parameters."


def part_sections(plugin: PluginRecord) -> Iterator[str]:
    """What recipes and benches can use of it, by name: a table for each kind of part."""
    for kind, title in PART_TITLES.items():
        rows = [
            [f"`{part.name}`", part.summary, ", ".join(f"`{package}`" for package in part.requires)]
            for part in plugin.parts
            if part.kind == kind
        ]
        if rows:
            yield f"## {title}"
            yield table([kind, "what it does", "needs"], rows)


def stage_facts(spec: StageSpec, cls: type[Stage]) -> Iterator[str]:
    if spec.kind == "combinator":
        yield "In a chain file: [stages inside stages](../chain-files.md#stages-inside-stages)"
    if spec.extensions:
        yield f"Files: {', '.join(f'`{suffix}`' for suffix in spec.extensions)}"
    if issubclass(cls, StreamStage):
        kinds = " or ".join(f"`{kind}`" for kind in cls.accepts)
        yield f"Takes: {kinds or 'features of any kind'}"
        yield f"Works: {_way_of_working(cls)}"
        if cls.tolerance:
            yield f"Streamed output equals whole output within {cls.tolerance:g} of full scale."
        else:
            yield "Streamed output equals whole output bit for bit."
        if issubclass(cls, FeatureTransform):
            yield f"Inverse: {cls.inverse_kind}"
        if cls.keeps_samples is True:
            yield "Changes no sample, so no dither is needed after it."
    module, _, name = spec.target.partition(":")
    yield f"Python: `from {module} import {name}`"
    if spec.aliases:
        yield f"Also called: {', '.join(f'`{alias}`' for alias in spec.aliases)}"
    if not spec.short:
        yield f"Answers to its full name only: `{spec.full_name}`"


def _way_of_working(cls: type[StreamStage]) -> str:
    if issubclass(cls, MeasuredEffect):
        return "measures the whole stream first, then applies"
    if issubclass(cls, WholeEffect):
        return "needs the whole signal at once, on disk rather than in memory"
    return "block by block, in constant memory"


def _conventions(cls: type[Stage]) -> str:
    """What the module says about channels, length and levels under the word *Conventions*."""
    for paragraph in (inspect.getdoc(sys.modules[cls.__module__]) or "").split("\n\n"):
        if match := re.match(r"Conventions:?\s+", paragraph):
            text = " ".join(re.split(r"\n(?:Memory|Source)\b", paragraph[match.end() :])[0].split())
            return (text[0].upper() + text[1:]).replace("``", "`")
    return ""


def preset_table(plugins: Sequence[PluginRecord], page: str) -> list[str]:
    rows = [[f"[`{p.name}`]({page}#{p.name})", p.summary] for p in _presets(plugins)]
    return [table(["preset", "what it does"], rows)]


def preset_page(plugins: Sequence[PluginRecord]) -> str:
    lines = [NOTE + PRESETS]
    lines += [f"## {p.name}\n\n{p.summary}\n\n```toml\n{p.read().strip()}\n```\n" for p in _presets(plugins)]
    return "\n".join(lines)


def _presets(plugins: Sequence[PluginRecord]) -> list[PresetSpec]:
    return [preset for plugin in plugins for preset in plugin.presets]


def _name(spec: StageSpec) -> str:
    return spec.name if spec.short else spec.full_name


def _anchor(spec: StageSpec) -> str:
    return _name(spec).replace(".", "")


def _extra_of(plugin: PluginRecord) -> str:
    return next((offer.extra for offer in (*plugin.stages, *plugin.parts) if offer.extra), "")


def _extra_note(plugin: PluginRecord) -> str:
    extra = _extra_of(plugin)
    if not extra:
        return ""
    whole = all(offer.extra for offer in plugin.stages or plugin.parts)
    return f" {'Needs' if whole else 'Some of it needs'} the extra `{extra}`."
