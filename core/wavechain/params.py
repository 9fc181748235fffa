"""Typed parameters: one declaration serves Python, command line, chain files, JSON Schema and reference pages.

    class Highpass(Effect):
        cutoff_hz: float = param(80.0, unit="Hz", ge=1, le=96_000, help="Where the level has fallen by 3 dB.")

Everything a reader needs (unit, range, default, sentence) stands in that one line; `parameters` reads it back.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import Field, ValidationError
from pydantic_core import PydanticUndefined

from wavechain.errors import ParameterError, PluginError, nearest

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

REQUIRED = PydanticUndefined


def param(
    default: Any = REQUIRED,
    *,
    help: str,
    unit: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> Any:
    """Declare one parameter of a stage.

    default  its value when nothing is said; leave out for a parameter that must be given
    help     one sentence: what it does to the sound
    unit     ``"Hz"``, ``"dB"``, ``"s"`` … as shown to a person
    ge, gt, le, lt  the legal range
    """
    return Field(
        default, description=help, ge=ge, gt=gt, le=le, lt=lt, json_schema_extra={"unit": unit} if unit else None
    )


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a person may want to know about one parameter."""

    name: str
    type: str
    unit: str
    default: Any
    required: bool
    range: str
    choices: tuple[str, ...]
    help: str

    @property
    def default_text(self) -> str:
        if self.required:
            return "required"
        if isinstance(self.default, bool):
            return str(self.default).lower()
        if isinstance(self.default, float):
            return f"{self.default:g}"
        return "none" if self.default is None else str(self.default)


def parameters(model: type[BaseModel]) -> list[Parameter]:
    """The parameters of a stage class, in the order they were declared."""
    return [_parameter(name, field) for name, field in model.model_fields.items()]


def _parameter(name: str, field: FieldInfo) -> Parameter:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    bounds: dict[str, float] = {}
    for item in field.metadata:
        for key in ("ge", "gt", "le", "lt"):
            value = getattr(item, key, None)
            if value is not None:
                bounds[key] = value
    required = field.is_required()
    return Parameter(
        name=name,
        type=_type_text(field.annotation),
        unit=str(extra.get("unit", "")),
        default=None if required else field.get_default(call_default_factory=True),
        required=required,
        range=_range_text(bounds),
        choices=_choices(field.annotation),
        help=field.description or "",
    )


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(str(value) for value in get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(choice for part in get_args(annotation) for choice in _choices(part))
    return ()


def _type_text(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return "choice"
    if origin in (Union, types.UnionType):
        return " or ".join(_type_text(part) for part in get_args(annotation) if part is not type(None))
    if origin in (tuple, list):
        inner = [part for part in get_args(annotation) if part is not Ellipsis]
        return f"list of {_type_text(inner[0])}" if inner else "list"
    if origin is dict:
        return "table"
    names = {float: "number", int: "whole number", bool: "true/false", str: "text"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())


def _range_text(bounds: dict[str, float]) -> str:
    low = f"{bounds['ge']:g}" if "ge" in bounds else f"above {bounds['gt']:g}" if "gt" in bounds else ""
    high = f"{bounds['le']:g}" if "le" in bounds else f"below {bounds['lt']:g}" if "lt" in bounds else ""
    if low and high:
        return f"{low} to {high}"
    if low:
        return low if low.startswith("above") else f"{low} or more"
    return high if high.startswith("below") or not high else f"{high} or less"


def parameter_error(model: type[BaseModel], stage: str, error: ValidationError) -> ParameterError:
    """The first thing wrong with a stage's parameters, as one line with the nearest right name or the legal range."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    known = {parameter.name: parameter for parameter in parameters(model)}
    if first["type"] == "extra_forbidden":
        guess = nearest(where, known)
        hint = f"{guess}." if guess else f"one of {', '.join(known)}." if known else "no parameters: it has none."
        return ParameterError(f"{stage} has no parameter {where!r}.", hint=hint)
    if first["type"] == "missing":
        return ParameterError(f"{stage} needs {where}.", hint=f"{stage}:{where}=VALUE.")
    parameter = known.get(str(first["loc"][0])) if first["loc"] else None
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, ParameterError):
        return cause
    said = f"{where} = {first['input']!r}" if where else str(first["input"])
    if parameter is None:
        reason = str(cause) if cause is not None else first["msg"]
        return ParameterError(f"{stage}: {reason}", hint=_described(model, f"other values of {', '.join(known)}."))
    if parameter.choices:
        return ParameterError(f"{stage}: {said} is not a choice.", hint=f"one of {', '.join(parameter.choices)}.")
    if first["type"].startswith(("greater_than", "less_than")):
        unit = f" {parameter.unit}" if parameter.unit else ""
        return ParameterError(f"{stage}: {said} is out of range.", hint=f"{parameter.range}{unit}.")
    plural = "s" if parameter.type.startswith("list of") else ""
    reason = f" is not a {parameter.type}{plural}" if cause is None else f": {cause}"
    return ParameterError(f"{stage}: {said}{reason}.", hint=_described(model, f"{parameter.name}: {parameter.help}"))


def _described(model: type[BaseModel], otherwise: str) -> str:
    """The command that describes a stage. It knows no parts, nor stages that nobody registered."""
    from wavechain.registry import registry

    try:
        return f"wavechain stages describe {registry().name_of(model)}."  # type: ignore[arg-type]
    except PluginError:
        return otherwise
