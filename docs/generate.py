"""Makes the reference from what the program says about itself: stages, presets, commands, limits.

    python docs/generate.py            write every page and passage that is stale
    python docs/generate.py --check    write nothing, name what is stale, fail when there is any

Whole pages are made under docs/stages/, and docs/presets.md. In other pages a passage stands between two comments:

    <!-- generated: NAME -->  ...  <!-- end of NAME -->

Only what belongs to wavechain itself is described, whatever else is installed beside it. Every package that a bundled
stage needs must be there: pip install -e '.[all]'.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from wavechain import chainfile, engine, errors, output, plan, stream
from wavechain.audio import Media
from wavechain.output import OutputOptions
from wavechain.params import Parameter, parameters
from wavechain.registry import PluginRecord, PresetSpec, StageSpec, registry
from wavechain.stages import Encoding, FeatureTransform, MeasuredEffect, Stage, StreamStage, WholeEffect, Writer
from wavechain.stream import Spec
from wavechain_cli.app import app

HOUSE = Path(__file__).resolve().parents[1]
DOCS = HOUSE / "docs"
NOTE = "<!-- Made by docs/generate.py from the stages themselves. Change those, then run it again. -->\n\n"
MARK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL)
KIND_TITLES = {
    "combinator": "Combinators",
    "effect": "Effects",
    "transform": "Transforms",
    "model": "Models",
    "loader": "Loaders",
    "writer": "Writers",
}
DEPTHS: tuple[Literal["16", "24", "32", "float"], ...] = ("16", "24", "32", "float")
PLAIN_TYPES = {
    "list of number": "list of numbers",
    "list of whole number": "list of whole numbers",
    "list of stage": "list of stages",
    "list of branch": "list of branches",
    "path": "file name",
    "dict": "table",
}
RATES = (
    8_000,
    11_025,
    12_000,
    16_000,
    22_050,
    24_000,
    32_000,
    44_100,
    48_000,
    88_200,
    96_000,
    192_000,
    384_000,
    768_000,
)
TYPES = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}


def made() -> dict[Path, str]:
    """Every page that this script makes or has a passage in, with what should stand there."""
    plugins = sorted((plugin for plugin in registry().plugins() if plugin.bundled), key=_reading_order)
    if faults := [fault for plugin in plugins for fault in registry().check(plugin)]:
        raise SystemExit("\n".join(faults))
    pages = {
        DOCS / "stages" / "index.md": stage_index(plugins),
        DOCS / "presets.md": preset_page(plugins),
        **{DOCS / "stages" / f"{plugin.name}.md": plugin_page(plugin) for plugin in plugins},
    }
    passages = {
        "stages": "\n".join(stage_overview(plugins, "docs/stages/")),
        "presets": "\n".join(preset_table(plugins, "docs/presets.md")),
        "commands": "\n".join(command_reference()),
        "output": table(
            ["key", "values", "default", "what it does"],
            [[f"`{p.name}`", _values(p), _default(p), p.help] for p in parameters(OutputOptions)],
        ),
        "formats": table(["files", "format", "bit depths", "channels", "common sample rates"], formats()),
        "limits": table(["limit", "value", "why"], limits()),
        "errors": error_table(),
        "decisions": "\n".join(decisions()),
    }
    for page in (HOUSE / "README.md", *sorted(DOCS.glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        if page not in pages and MARK.search(text):
            pages[page] = MARK.sub(lambda m: f"{m[1]}\n{passages[m['name']].strip()}\n\n{m[3]}", text)
    return {page: text.rstrip() + "\n" for page, text in pages.items()}


# Stages


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


def stage_index(plugins: Sequence[PluginRecord]) -> str:
    return NOTE + STAGE_INDEX + "\n".join(stage_overview(plugins, ""))


def stage_overview(plugins: Sequence[PluginRecord], folder: str) -> Iterator[str]:
    for plugin in plugins:
        rows = [[f"[`{_name(s)}`]({folder}{plugin.name}.md#{_anchor(s)})", s.summary] for s in plugin.stages]
        yield (
            f"**[{plugin.name}]({folder}{plugin.name}.md)**: {plugin.summary}{_extra_note(plugin)}\n\n"
            + table(["stage", "what it does"], rows)
            + "\n"
        )


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
        rows = [[f"`{p.name}`", _values(p), p.unit, _default(p), p.help] for p in listed]
        yield table(["parameter", "values", "unit", "default", "what it does"], rows)
    elif spec.kind not in ("loader", "writer"):
        yield "It has no parameters."


def stage_facts(spec: StageSpec, cls: type[Stage]) -> Iterator[str]:
    if spec.kind == "combinator":
        yield "In a chain file: [stages inside stages](../chain-files.md#stages-inside-stages)"
    if spec.extensions:
        yield f"Files: {', '.join(f'`{suffix}`' for suffix in spec.extensions)}"
    if issubclass(cls, StreamStage):
        yield f"Takes: {' or '.join(f'`{kind}`' for kind in cls.accepts)}"
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


# Presets


def preset_table(plugins: Sequence[PluginRecord], page: str) -> list[str]:
    rows = [[f"[`{p.name}`]({page}#{p.name})", p.summary] for p in _presets(plugins)]
    return [table(["preset", "what it does"], rows)]


def preset_page(plugins: Sequence[PluginRecord]) -> str:
    lines = [NOTE + PRESETS]
    lines += [f"## {p.name}\n\n{p.summary}\n\n```toml\n{p.read().strip()}\n```\n" for p in _presets(plugins)]
    return "\n".join(lines)


def _presets(plugins: Sequence[PluginRecord]) -> list[PresetSpec]:
    return [preset for plugin in plugins for preset in plugin.presets]


# Commands


def command_reference() -> Iterator[str]:
    for path, callback in commands():
        hints = get_type_hints(callback, include_extras=True)
        signature = inspect.signature(callback).parameters
        told = [(name, signature[name].default, hints[name]) for name in signature if get_args(hints[name])[1:]]
        positional = [item for item in told if isinstance(_info(item[2]), ArgumentInfo)]
        options = [item for item in told if isinstance(_info(item[2]), OptionInfo) and not _info(item[2]).hidden]
        usage = [f"wavechain {path}".strip(), *(_metavar(*item) for item in positional)]
        if options:
            usage.append("[OPTIONS]" if path else "[OPTIONS] COMMAND")
        yield f"### wavechain {path}\n" if path else "### wavechain\n"
        yield f"```text\n{' '.join(usage)}\n```\n"
        yield inspect.cleandoc(callback.__doc__ or "").partition("\n")[0] + "\n"
        if positional:
            yield table(["argument", "meaning"], [[f"`{_metavar(*a)}`", _plain(_info(a[2]).help)] for a in positional])
            yield ""
        if options:
            yield table(["option", "value", "meaning"], [_option_row(*item) for item in options])
            yield ""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with the words that call it; the empty one stands for the options of all."""
    assert app.registered_callback is not None
    yield "", app.registered_callback.callback
    for command in app.registered_commands:
        assert command.callback is not None
        yield command.name or command.callback.__name__, command.callback
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            yield f"{group.name} {command.name}", command.callback


def _option_row(name: str, default: Any, hint: Any) -> list[str]:
    info = _info(hint)
    told = [word for word in (info.default, *(info.param_decls or ())) if isinstance(word, str)]
    words = ", ".join(f"`{word}`" for word in told or [f"--{name.replace('_', '-')}"])
    kind = _bare(hint)
    if kind is bool:
        value = ""
    elif isinstance(kind, type) and issubclass(kind, Enum):
        value = " ".join(f"`{choice.value}`" for choice in kind)
    else:
        value = f"`{info.metavar or TYPES[kind]}`"
    if info.min is not None:
        value += f", {info.min:g} to {info.max:g}"
    if default is not None and default is not False:
        value += f" (default: {default})"
    return [words, value, _plain(info.help)]


def _metavar(name: str, default: Any, hint: Any) -> str:
    word = _info(hint).metavar or name.upper()
    return word if default is inspect.Parameter.empty else f"[{word}]"


def _info(hint: Any) -> Any:
    return get_args(hint)[1]


def _bare(hint: Any) -> Any:
    """The type without its annotation, its None and its list."""
    kind = get_args(hint)[0]
    parts = [part for part in get_args(kind) if part is not NoneType] or [kind]
    return get_args(parts[0])[0] if get_origin(parts[0]) is list else parts[0]


# Formats, limits, errors, decisions


def formats() -> Iterator[list[str]]:
    """What every writer takes, found out by asking it."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for suffix in registry().suffixes("writer"):
        writer = plan.find_writer(suffix)
        encoding = _asked(writer, suffix) or _asked(writer, suffix, rate=44_100)
        assert encoding is not None, suffix
        asked = {depth: _asked(writer, suffix, OutputOptions(bit_depth=depth)) for depth in DEPTHS}
        depths = ", ".join(depth for depth in DEPTHS if asked[depth])
        if depths and encoding.lossy:
            depths += ", and then lossless"
        channels = [count for count in range(1, output.MAX_CHANNELS + 1) if _asked(writer, suffix, channels=count)]
        rates = [rate for rate in RATES if _asked(writer, suffix, rate=rate)]
        lossy = ", lossy" if encoding.lossy else ""
        row = (encoding.container + lossy, depths or "has none", _ranges(channels), _rates(rates))
        rows.setdefault(row, []).append(suffix)
    for row, suffixes in sorted(rows.items(), key=lambda item: ("lossy" in item[0][0], item[1])):
        yield [" ".join(f"`{suffix}`" for suffix in suffixes), *row]


def _asked(
    writer: Writer, suffix: str, wanted: OutputOptions | None = None, *, channels: int = 2, rate: int = 48_000
) -> Encoding | None:
    try:
        return writer.encoding(suffix, Spec.audio(rate, channels, rate), Media(), wanted or OutputOptions())
    except (errors.SpecMismatchError, errors.ParameterError):
        return None


def _ranges(numbers: Sequence[int]) -> str:
    """Whole numbers as people list them: ``1 to 6, 8``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _rates(rates: Sequence[int]) -> str:
    if list(rates) == list(RATES):
        return "all"
    if list(rates) == list(RATES[: len(rates)]):
        return f"all up to {rates[-1]} Hz"
    return ", ".join(map(str, rates)) + " Hz"


def limits() -> list[list[str]]:
    floor_db = 20 * math.log10(float(engine.TAIL_FLOOR))
    return [
        ["channels", f"{output.MAX_CHANNELS}", "a header may claim anything: [decision 7](decisions/0007-limits.md)"],
        ["sample rate", f"{output.MAX_SAMPLE_RATE:,} Hz", "the same"],
        ["length", f"{plan.MAX_HOURS:g} hours", "the same"],
        ["a block", f"{stream.BLOCK_SAMPLES:,} samples in all channels", "[decision 4](decisions/0004-block-size.md)"],
        [
            "a tail that names no length",
            f"until {floor_db:.0f} dBFS for {engine.TAIL_HOLD_SECONDS:g} s, {engine.TAIL_CAP_SECONDS:g} s at most",
            "`--tail SECONDS` sets another maximum",
        ],
        [
            "stages that need the whole signal",
            f"{engine.WHOLE_LIMIT_BYTES >> 30} GiB of samples",
            "refused in the plan, before work begins",
        ],
        ["a chain file", f"{chainfile.MAX_BYTES >> 20} MiB", "what is larger is not a chain"],
    ]


def error_table() -> str:
    rows = []
    for cls, depth in _tree(errors.WavechainError):
        said = re.search(rf"\b{cls.__name__} +(\S.*?)(?: \(exit code \d\))?$", errors.__doc__ or "", re.MULTILINE)
        meaning = said[1] if said else "any of those below"
        rows.append([f"{'&emsp;' * depth}`{cls.__name__}`", str(cls.exit_code), meaning])
    return table(["error", "exit code", "meaning"], rows)


def _tree(cls: type[errors.WavechainError], depth: int = 0) -> Iterator[tuple[type[errors.WavechainError], int]]:
    yield cls, depth
    for below in cls.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _tree(below, depth + 1)


def decisions() -> Iterator[str]:
    for page in sorted((DOCS / "decisions").glob("*.md")):
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        yield f"- [{title.replace('. ', ': ', 1)}](decisions/{page.name})"


# Text


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |".replace("|  |", "| |") for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _plain(text: str | None) -> str:
    """What the program says, with nothing in it that Markdown would take for a mark."""
    return re.sub(r"([*\\])", r"\\\1", text or "")


def _name(spec: StageSpec) -> str:
    return spec.name if spec.short else spec.full_name


def _anchor(spec: StageSpec) -> str:
    return _name(spec).replace(".", "")


def _values(parameter: Parameter) -> str:
    if parameter.choices:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    kind = PLAIN_TYPES.get(parameter.type, parameter.type)
    return f"{kind}, {parameter.range}" if parameter.range else kind


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "**required**"
    if parameter.default is None:
        return "unset"
    return f"`{parameter.default_text}`" if parameter.default not in ((), {}, "") else "none"


def _reading_order(plugin: PluginRecord) -> tuple[bool, ...]:
    """The core, then plugins that make sound before those that only carry it, what needs an extra last."""
    carries = all(stage.kind in ("loader", "writer") for stage in plugin.stages)
    return plugin.name != "core", carries, bool(_extra_of(plugin))


def _extra_of(plugin: PluginRecord) -> str:
    return next((stage.extra for stage in plugin.stages if stage.extra), "")


def _extra_note(plugin: PluginRecord) -> str:
    extra = _extra_of(plugin)
    return f" Needs the extra `{extra}`." if extra else ""


def main(arguments: Sequence[str]) -> int:
    stale = []
    for page, text in made().items():
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(page.relative_to(HOUSE).as_posix())
            if "--check" not in arguments:
                page.parent.mkdir(exist_ok=True)
                page.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"{'stale' if '--check' in arguments else 'written'}: {name}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
