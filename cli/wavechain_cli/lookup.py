"""``wavechain stages``, ``plugins`` and ``presets``: what there is, read from the registry.

Listing needs only what plugins said when they registered; nothing of theirs is imported before `describe` or `check`.
"""

from __future__ import annotations

import json as jsonlib
import sys
from typing import TYPE_CHECKING, Any

from wavechain.errors import EXIT_CHAIN, EXIT_OK, PluginError, UnknownStageError, nearest
from wavechain.registry import PluginRecord, StageSpec, registry
from wavechain_cli.tables import print_table

if TYPE_CHECKING:
    from wavechain.params import Parameter
    from wavechain.stages import Stage


def list_stages(kind: str | None, *, json: bool) -> None:
    kinds = sorted({stage.kind for stage in registry().stages()})
    if kind is not None and kind not in kinds:
        raise UnknownStageError(
            f"no kind of stage is called {kind!r}.", hint=f"{nearest(kind, kinds) or ', '.join(kinds)}."
        )
    stages = sorted(registry().stages(kind), key=lambda stage: (kinds.index(stage.kind), stage.name))
    if json:
        _print_json([_stage_facts(stage) for stage in stages])
        return
    rows = [
        [stage.name if stage.short else stage.full_name, stage.kind, stage.plugin, stage.summary + _how_to_get(stage)]
        for stage in stages
    ]
    print_table("", ["stage", "kind", "plugin", "what it does"], rows)


def describe_stage(text: str, *, json: bool) -> None:
    from wavechain.chain import parse_stage
    from wavechain.params import parameters

    name, colon, _ = text.partition(":")
    spec = registry().find(name)
    stage = registry().load(spec)
    listed = parameters(stage)
    extra: list[Parameter] = []
    if colon:
        built = parse_stage(text)
        if hasattr(built, "describe_instance"):
            extra = built.describe_instance()
    if json:
        facts = _stage_facts(spec) | _nature(stage)
        facts["parameters"] = [_parameter_facts(parameter) for parameter in (*listed, *extra)]
        _print_json(facts)
        return
    print(f"{spec.full_name} ({spec.kind}): {spec.summary}")
    if documentation := _paragraphs(stage):
        print(f"\n{documentation}")
    print()
    _print_parameters(listed)
    if extra:
        print("\nParameters of the hosted plugin, for parameters:")
        _print_parameters(extra)


def stage_schema(name: str | None) -> None:
    if name is None:
        from wavechain.schema import chain_schema

        _print_json(chain_schema())
    else:
        _print_json(registry().load(name).model_json_schema())


def list_plugins(*, json: bool) -> None:
    plugins = registry().plugins()
    if json:
        _print_json([_plugin_facts(plugin) for plugin in plugins])
        return
    rows = []
    for plugin in plugins:
        note = plugin.summary or f"{len(plugin.stages)} stages"
        if plugin.reason:
            note = f"{plugin.reason}. Try: {plugin.hint}" if plugin.hint else plugin.reason
        elif plugin.missing:
            install = next(stage.install for stage in plugin.stages if stage.missing)
            note = f"{note} (not installed: {', '.join(plugin.missing)}. Try: {install})"
        note = " ".join([note, *plugin.deprecations])
        rows.append([plugin.name, plugin.state, f"{plugin.distribution} {plugin.version}", note])
    print_table("", ["plugin", "state", "from", ""], rows)


def show_plugin(name: str, *, json: bool) -> None:
    plugins = _plugins_named(name)
    if json:
        _print_json([_plugin_facts(plugin) for plugin in plugins])
        return
    for plugin in plugins:
        print(f"{plugin.label}: {plugin.state}")
        trouble = (plugin.reason, plugin.hint and f"Try: {plugin.hint}", *plugin.deprecations)
        for line in (plugin.summary, plugin.homepage, *trouble):
            if line:
                print(line)
        rows = [[stage.name, stage.kind, stage.summary + _how_to_get(stage)] for stage in plugin.stages]
        rows += [[preset.name, "preset", preset.summary] for preset in plugin.presets]
        if rows:
            print_table("", ["name", "kind", "what it does"], rows)


def check_plugins() -> int:
    plugins = registry().plugins()
    failed = False
    for plugin in plugins:
        faults = registry().check(plugin) if plugin.state != "blocked" else []
        failed = failed or bool(faults)
        count = f"{len(plugin.stages)} stages, {len(plugin.presets)} presets"
        print(f"{plugin.label}: {'faulty' if faults else 'ok'}, {count}")
        for fault in (*faults, *plugin.deprecations):
            print(f"  {fault}")
    return EXIT_CHAIN if failed else EXIT_OK


def list_presets(*, json: bool) -> None:
    presets = sorted(registry().presets(), key=lambda preset: preset.name)
    if json:
        _print_json([{"name": p.name, "plugin": p.plugin, "summary": p.summary, "file": str(p.file)} for p in presets])
        return
    print_table("", ["preset", "plugin", "what it does"], [[p.name, p.plugin, p.summary] for p in presets])


def show_preset(name: str) -> None:
    sys.stdout.write(registry().preset(name).read())


def _plugins_named(name: str) -> list[PluginRecord]:
    found = registry().plugins(name)
    if not found:
        guess = nearest(name, [plugin.name for plugin in registry().plugins()])
        raise PluginError(f"no plugin is called {name!r}.", hint=f"{guess}." if guess else "wavechain plugins list.")
    return found


def _how_to_get(stage: StageSpec) -> str:
    return "" if stage.available else f" (not installed: {', '.join(stage.missing)}. Try: {stage.install})"


def _paragraphs(stage: type[Stage]) -> str:
    import inspect

    return inspect.cleandoc(stage.__doc__ or sys.modules[stage.__module__].__doc__ or "")


def _print_parameters(parameters: list[Parameter]) -> None:
    if not parameters:
        print("No parameters.")
        return
    rows = [
        [
            parameter.name,
            ", ".join(parameter.choices) if parameter.choices else parameter.range or parameter.type,
            parameter.unit,
            parameter.default_text,
            parameter.help,
        ]
        for parameter in parameters
    ]
    print_table("", ["parameter", "range", "unit", "default", "what it does"], rows)


def _nature(stage: type[Stage]) -> dict[str, Any]:
    names = ("accepts", "keeps_samples", "cost", "tolerance")
    return {name: getattr(stage, name) for name in names if hasattr(stage, name)}


def _stage_facts(stage: StageSpec) -> dict[str, Any]:
    return {
        "name": stage.name,
        "full_name": stage.full_name,
        "kind": stage.kind,
        "plugin": stage.plugin,
        "summary": stage.summary,
        "available": stage.available,
        "missing": list(stage.missing),
        "install": "" if stage.available else stage.install,
        "extensions": list(stage.extensions),
    }


def _parameter_facts(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "type": parameter.type,
        "unit": parameter.unit,
        "default": None if parameter.required else parameter.default,
        "required": parameter.required,
        "range": parameter.range,
        "choices": list(parameter.choices),
        "help": parameter.help,
    }


def _plugin_facts(plugin: PluginRecord) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "state": plugin.state,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "summary": plugin.summary,
        "reason": plugin.reason,
        "hint": plugin.hint,
        "missing": list(plugin.missing),
        "deprecations": list(plugin.deprecations),
        "stages": [stage.full_name for stage in plugin.stages],
        "presets": [preset.full_name for preset in plugin.presets],
    }


def _print_json(data: Any) -> None:
    print(jsonlib.dumps(data, ensure_ascii=False, indent=2, default=str))
