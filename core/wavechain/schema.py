"""JSON Schema (draft 2020-12) of whole chain files, so that an editor completes and checks them while they are written.

Made from the stages of this environment: what is not installed is not in it. Each stage has a definition under its full
name, with the same types, ranges and choices that the loader enforces. It is stricter than the loader in two things:
only stages that can stand in a chain are named, and a number is a number (the loader also takes the text "3"). What
depends on several parameters at once, a schema cannot say; that remains the loader's.

A stage is told by its `use`. That is said twice, for two kinds of readers:

    allOf of if/then    what counts: an error is one fault, at the place where it is
    anyOf               never fails (its last alternative is anything); for editors that complete keys by walking
                        through alternatives and do not read if/then
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic.errors import PydanticUserError

from wavechain.errors import PluginError, WavechainError
from wavechain.params import parameters
from wavechain.registry import StageSpec, registry

if TYPE_CHECKING:
    from pydantic import BaseModel

    from wavechain.stages import Stage

DIALECT = "https://json-schema.org/draft/2020-12/schema"
STAGE, STAGES, BRANCH = ({"$ref": f"#/$defs/{name}"} for name in ("stage", "stages", "branch"))


def chain_schema() -> dict[str, Any]:
    """The schema of a chain file, for every stage that is available here. Loads them all.

    >>> schema = chain_schema()
    >>> sorted(schema["properties"])
    ['$schema', 'description', 'name', 'output', 'stage']
    >>> schema["$defs"]["essentials.gain"]["properties"]["gain_db"]["maximum"]
    60
    """
    from wavechain.chain import FILE_KEYS
    from wavechain.combinators import Branch
    from wavechain.output import OutputOptions

    stages = _usable_stages()
    definitions: dict[str, Any] = {
        "stage": _any_stage(stages),
        "stages": _or_stages(),
        "branch": {**_model(Branch, "branch", {}), **_or_stages("object")},
    }
    for spec, names, stage in stages:
        definitions[spec.full_name] = _stage(spec, names, stage, definitions)
    keys: dict[str, dict[str, Any]] = {
        "name": {"type": "string"},
        "description": {"type": "string"},
        "stage": {"type": "array", "items": STAGE},
        "output": _model(OutputOptions, "output", definitions),
        "$schema": {"type": "string"},
    }
    return {
        "$schema": DIALECT,
        "title": "wavechain chain",
        "description": "Stages one after the other, and what the output file should be.",
        "type": "object",
        "properties": {key: {**keys[key], "description": text} for key, text in FILE_KEYS.items()},
        "additionalProperties": False,
        "$defs": definitions,
    }


Usable = tuple[StageSpec, list[str], "type[Stage]"]


def _usable_stages() -> list[Usable]:
    """Every stage that can stand in a chain here and now, with the names that mean it."""
    from wavechain.stages import Chainable

    usable: list[Usable] = []
    for spec in registry().stages():
        try:
            stage = registry().load(spec)
        except PluginError:  # not installed, or broken: `wavechain plugins list` says which
            continue
        if issubclass(stage, Chainable):
            usable.append((spec, _names(spec), stage))
    return usable


def _names(spec: StageSpec) -> list[str]:
    own = [spec.name, *spec.aliases]
    return [name for name in (*own, *(f"{spec.plugin}.{name}" for name in own)) if _means(name, spec)]


def _means(name: str, spec: StageSpec) -> bool:
    try:
        return registry().lookup(name) == spec
    except WavechainError:
        return False


def _any_stage(stages: Sequence[Usable]) -> dict[str, Any]:
    """A stage: a table told by its `use`, or a text as on the command line."""
    summaries = {name: spec.summary for spec, names, _ in stages for name in names}
    use = {
        "description": "Which stage: its name, or plugin.name.",
        "type": "string",
        "enum": list(summaries),
        # No keyword of the standard explains the values of an enum; these two are read by VS Code and by Taplo.
        "enumDescriptions": list(summaries.values()),
        "x-taplo": {"docs": {"enumValues": list(summaries.values())}},
    }
    references = {spec.full_name: {"$ref": f"#/$defs/{spec.full_name}"} for spec, _, _ in stages}
    cases = [
        {
            "if": {"type": "object", "properties": {"use": {"enum": names}}, "required": ["use"]},
            "then": references[spec.full_name],
        }
        for spec, names, _ in stages
    ]
    table = {"properties": {"use": use}, "required": ["use"], "allOf": cases, "anyOf": [*references.values(), {}]}
    return {"type": ["object", "string"], "pattern": _text_pattern(summaries), **table}


def _or_stages(*more: str) -> dict[str, Any]:
    """What may stand where a chain stands inside a stage: a list of stages, or the text of a single one."""
    return {"type": [*more, "array", "string"], "items": STAGE, "if": {"type": "string"}, "then": STAGE}


def _text_pattern(names: Iterable[str]) -> str:
    """``name`` or ``name:key=value,…``. Checks the name; the values are the loader's to read."""
    # Names are letters, digits, - and dots. re.escape would escape more than ECMAScript's expressions allow.
    known = "|".join(sorted(names)).replace(".", r"\.")
    return rf"^\s*({known})\s*(:|$)"


def _stage(spec: StageSpec, names: list[str], stage: type[Stage], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _model(stage, spec.full_name, definitions)
    schema["description"] = spec.summary
    schema["properties"] = {"use": {"enum": names, "description": spec.summary}, **schema["properties"]}
    schema["required"] = ["use", *schema.get("required", [])]
    return schema


def _model(model: type[BaseModel], name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A table of parameters. Definitions of its own move to *definitions*, under names that begin with *name*."""
    try:
        made = model.model_json_schema()
    except PydanticUserError:  # a parameter of a type that pydantic cannot describe: its name and its help remain
        made = {"properties": {parameter.name: {} for parameter in parameters(model)}}
        made["required"] = [parameter.name for parameter in parameters(model) if parameter.required]
    for own, definition in made.pop("$defs", {}).items():
        if own not in ("Stage", "Branch"):
            definitions[f"{name}.{own}"] = _tidy(definition, name)
    properties = {key: _tidy(value, name) for key, value in made.get("properties", {}).items()}
    for parameter in parameters(model):
        properties[parameter.name]["description"] = _about(parameter.help, parameter.range, parameter.unit)
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": made["required"]} if made.get("required") else {})


def _about(help: str, range: str, unit: str) -> str:
    limits = " ".join(part for part in (range, unit) if part)
    return f"{help} ({limits})" if limits else help


def _tidy(schema: Any, name: str) -> Any:
    """Pydantic's schema of a value, with stages inside stages, and without what says nothing."""
    if isinstance(schema, list):
        return [_tidy(item, name) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if schema.get("items") == {"$ref": "#/$defs/Stage"}:
        return dict(STAGES)
    if reference := schema.get("$ref"):
        own = str(reference).rpartition("/")[2]
        return dict({"Stage": STAGE, "Branch": BRANCH}.get(own) or {"$ref": f"#/$defs/{name}.{own}"})
    tidy = {
        key: {inner: _tidy(value, name) for inner, value in part.items()} if key == "properties" else _tidy(part, name)
        for key, part in schema.items()
        if not (key == "title" or (key == "format" and part == "path") or (key == "default" and part is None))
    }
    return _nullable(tidy)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """``anyOf: [X, null]`` as X that may be null, so that an error says what is wrong with the value."""
    match schema.get("anyOf"):
        case [{"type": str(), **shown}, {"type": "null"}]:
            found: dict[str, Any] = {str(key): value for key, value in shown.items()}
            if "enum" in found:
                found["enum"] = [*found["enum"], None]
            kept = {key: value for key, value in schema.items() if key != "anyOf"}
            return kept | found | {"type": [schema["anyOf"][0]["type"], "null"]}
    return schema
