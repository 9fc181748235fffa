"""Chain: stages in order, as a value. Built in Python, from text, or from a file; run on files or on signals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from wavechain.errors import ChainError, ChainFileError, ParameterError, WavechainError, nearest
from wavechain.output import OutputOptions
from wavechain.registry import registry
from wavechain.stages import Stage

if TYPE_CHECKING:
    from wavechain.audio import Audio
    from wavechain.run import Report, RunOptions


# What a chain file may say at its top, and what it means.
FILE_KEYS = {
    "name": "A name for people.",
    "description": "One line about it, for people.",
    "stage": "The stages, in order.",
    "output": "What the output file should be; what is left out follows the source.",
    "$schema": "Where the schema of chain files lies, for the editor; it changes nothing.",
}


@dataclass(frozen=True, init=False)
class Chain:
    """Stages one after the other, with what the output file should be.

    >>> from wavechain import Chain
    >>> chain = Chain.of("highpass:cutoff_hz=80", "gain:gain_db=-3")
    >>> len(chain.stages)
    2
    """

    stages: tuple[Stage, ...]
    name: str = ""
    description: str = ""
    output: OutputOptions = field(default_factory=OutputOptions)

    def __init__(
        self,
        stages: Iterable[Stage | Chain] = (),
        *,
        name: str = "",
        description: str = "",
        output: OutputOptions | None = None,
    ) -> None:
        flat: list[Stage] = []
        for stage in stages:
            if isinstance(stage, Chain):
                flat.extend(stage.stages)
            elif isinstance(stage, Stage):
                flat.append(stage)
            else:
                raise ChainError(
                    f"a chain is made of stages, not of {type(stage).__name__}.", hint="Chain([Gain(gain_db=3)])."
                )
        object.__setattr__(self, "stages", tuple(flat))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "description", description)
        object.__setattr__(self, "output", output or OutputOptions())

    @classmethod
    def of(cls, *stages: str) -> Chain:
        """From stages written as on the command line: ``highpass:cutoff_hz=80,order=4``."""
        return cls([parse_stage(text) for text in stages])

    @classmethod
    def load(cls, path: str | Path) -> Chain:
        """From a TOML, JSON or YAML file. Raises ChainFileError, which names file and line."""
        from wavechain.chainfile import load

        return load(Path(path))

    @classmethod
    def preset(cls, name: str) -> Chain:
        """One of the chains that plugins bring along: ``podcast``, ``broadcast`` …"""
        return cls.load(registry().preset(name).file)

    def to_toml(self) -> str:
        from wavechain.chainfile import to_toml

        return to_toml(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as in a chain file; what equals its default is left out."""
        data: dict[str, Any] = {}
        if self.name:
            data["name"] = self.name
        if self.description:
            data["description"] = self.description
        if output := self.output.model_dump(exclude_defaults=True):
            data["output"] = output
        data["stage"] = [stage_to_dict(stage) for stage in self.stages]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Chain:
        """The reverse of `to_dict`. Raises ChainFileError or ParameterError naming stage and key."""
        for key in data:
            if key not in FILE_KEYS:
                guess = nearest(key, FILE_KEYS) or "stage"
                raise ChainFileError(f"a chain has no key {key!r}.", hint=f"{guess}.")
        stages = data.get("stage", [])
        if not isinstance(stages, Sequence) or isinstance(stages, str):
            raise ChainFileError("stage must be a list of tables.", hint='[[stage]] use = "gain".')
        built: list[Stage] = []
        for number, item in enumerate(stages, 1):
            try:
                built.append(stage_from(item))
            except WavechainError as error:
                raise error.at(f"stage {number}") from None
        return cls(
            built,
            name=str(data.get("name", "")),
            description=str(data.get("description", "")),
            output=OutputOptions.of(**_table(data, "output")),
        )

    def __or__(self, other: Stage | Chain) -> Chain:
        more = other.stages if isinstance(other, Chain) else (other,)
        return replace_stages(self, (*self.stages, *more))

    def __call__(self, audio: Audio) -> Audio:
        """Run on a signal in memory; the same engine as for files."""
        from wavechain.run import run_audio

        return run_audio(self, audio)

    def run(self, source: str | Path, output: str | Path, options: RunOptions | None = None) -> Report:
        """Run on one file. Nothing appears under the name *output* before it is complete."""
        from wavechain.plan import make_plan
        from wavechain.run import RunOptions, execute

        options = options or RunOptions()
        return execute(make_plan(self, Path(source), Path(output), options))


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = data.get(key, {})
    if not isinstance(table, Mapping):
        raise ChainFileError(f"{key} must be a table, not {table!r}.", hint=f'[{key}] format = "flac".')
    return table


def replace_stages(chain: Chain, stages: Sequence[Stage]) -> Chain:
    return Chain(stages, name=chain.name, description=chain.description, output=chain.output)


def with_output(chain: Chain, **options: Any) -> Chain:
    """The chain with some output options set (those that are None are left as they are)."""
    given = {key: value for key, value in options.items() if value is not None}
    output = OutputOptions.of(**{**chain.output.model_dump(), **given})
    return Chain(chain.stages, name=chain.name, description=chain.description, output=output)


def stage_from(item: Any) -> Stage:
    """A stage from ``{"use": name, parameter: value …}``, or from text as on the command line."""
    if isinstance(item, str):
        return parse_stage(item)
    if not isinstance(item, Mapping):
        raise ChainFileError(f"a stage is a table, not {item!r}.", hint='[[stage]] use = "gain".')
    if not isinstance(item.get("use"), str):
        raise ChainFileError("a stage does not say which one it is.", hint='use = "gain".')
    return registry().load(item["use"])(**{key: value for key, value in item.items() if key != "use"})


def stage_to_dict(stage: Stage) -> dict[str, Any]:
    """``{"use": name, …}`` with the parameters that differ from their defaults."""
    return {"use": registry().name_of(type(stage)), **plain(stage)}


def plain(model: BaseModel) -> dict[str, Any]:
    """The parameters that differ from their defaults, as plain data."""
    data = {}
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if value is None or (not info.is_required() and value == info.get_default(call_default_factory=True)):
            continue
        data[name] = _plain_value(value)
    return data


def _plain_value(value: Any) -> Any:
    if isinstance(value, Stage):
        return stage_to_dict(value)
    if isinstance(value, BaseModel):
        return plain(value)
    if isinstance(value, Mapping):
        return {str(key): _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def parse_stage(text: str) -> Stage:
    """A stage written as on the command line: ``name`` or ``name:key=value,key=value``.

    Values are numbers, true/false, text, or lists in brackets: ``bands:crossovers_hz=[200,2000]``.
    """
    name, _, rest = text.partition(":")
    stage = registry().load(name.strip())
    values: dict[str, Any] = {}
    for part in _split(rest, ","):
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals:
            raise ParameterError(f"{text!r}: {part!r} is not key=value.", hint=f"wavechain stages describe {name}.")
        if key in values:
            raise ParameterError(f"{text!r}: {key} is given twice.", hint="one value.")
        values[key] = _value(value.strip())
    return stage(**values)


def _value(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return [_value(item.strip()) for item in _split(text[1:-1], ",")]
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    lowered = text.lower()
    if lowered in ("true", "yes", "on", "false", "no", "off"):
        return lowered in ("true", "yes", "on")
    for number in (int, float):
        try:
            return number(text) if text.isascii() and "_" not in text else text
        except ValueError:
            continue
    return text


def _split(text: str, separator: str) -> list[str]:
    """Split outside brackets and quotes; nothing from an empty text."""
    parts, depth, quote, current = [], 0, "", ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "[{(":
            depth += 1
        elif char in "]})":
            depth -= 1
        if char == separator and not depth and not quote:
            parts.append(current)
            current = ""
        else:
            current += char
    parts.append(current)
    return [part.strip() for part in parts if part.strip()]
