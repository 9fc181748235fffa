"""What holds for the settings of every stage, before it makes a sound."""

from __future__ import annotations

import pickle
import sys
import tempfile
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from wavechain.errors import ParameterError, PluginError, WavechainError
from wavechain.params import parameters
from wavechain.registry import StageSpec, registry
from wavechain.stages import Chainable, Stage
from wavechain.testing.promises import BrokenPromise, NotApplicable

# The last word of a parameter's name, and the unit that it stands for.
UNITS = {
    "hz": "Hz",
    "khz": "kHz",
    "db": "dB",
    "dbfs": "dBFS",
    "dbtp": "dBTP",
    "lufs": "LUFS",
    "lu": "LU",
    "seconds": "s",
    "ms": "ms",
    "kbps": "kbit/s",
}


class HasStage(Protocol):
    @property
    def stage(self) -> Stage: ...

    @property
    def who(self) -> str: ...


def parameters_documented(subject: HasStage) -> None:
    faults = documentation_faults(type(subject.stage))
    if faults:
        raise BrokenPromise("parameters-documented", faults, who=subject.who)


def documentation_faults(cls: type[Stage]) -> list[str]:
    faults = []
    if not (cls.__doc__ or sys.modules[cls.__module__].__doc__):
        faults.append(f"{cls.__name__} has no docstring, nor has its module.")
    for parameter in parameters(cls):
        if not parameter.help:
            faults.append(f"{parameter.name} has no help.")
        elif not parameter.help.endswith((".", "!", "?")):
            faults.append(f"{parameter.name}: help is not a sentence: {parameter.help!r} ends without a full stop.")
        unit = UNITS.get(parameter.name.rpartition("_")[2])
        if unit is not None and not parameter.unit.startswith(unit):
            faults.append(f"{parameter.name} ends in a unit and declares {parameter.unit!r}, not unit={unit!r}.")
        if parameter.unit in UNITS.values() and unit is None and not parameter.name.endswith("sample_rate"):
            suffix = next(suffix for suffix, known in UNITS.items() if known == parameter.unit)
            faults.append(f"{parameter.name} is in {parameter.unit}: its name should end in _{suffix}.")
    return faults


def settings_frozen(subject: HasStage) -> None:
    stage = subject.stage
    for name in type(stage).model_fields:
        try:
            setattr(stage, name, getattr(stage, name))
        except Exception:  # noqa: BLE001 - refusing is what matters
            continue
        raise BrokenPromise("settings-frozen", f"{name} can be set after the stage was made.", who=subject.who)
    given = {name: getattr(stage, name) for name in type(stage).model_fields}
    try:
        type(stage)(**given | {"surely_not_a_parameter": 1})
    except ParameterError:
        return
    except Exception as error:  # noqa: BLE001 - refused, but not as people are told
        fact = f"An unknown parameter is refused with {type(error).__name__}, not with ParameterError."
        raise BrokenPromise("settings-frozen", fact, who=subject.who) from None
    fact = f"{type(stage).__name__}(surely_not_a_parameter=1) is accepted."
    raise BrokenPromise("settings-frozen", fact, who=subject.who)


def pickles(subject: HasStage) -> None:
    try:
        copy = pickle.loads(pickle.dumps(subject.stage))
    except Exception as error:  # noqa: BLE001 - pickle raises whatever the objects in it do
        fact = f"pickle fails with {type(error).__name__}: {error}."
        raise BrokenPromise("pickles", fact, who=subject.who) from None
    if copy != subject.stage:
        raise BrokenPromise("pickles", f"The copy is {copy!r}.", who=subject.who)


def registered_name(subject: HasStage) -> None:
    name_fault(registered(subject.stage), type(subject.stage), subject.who)


def name_fault(spec: StageSpec, cls: type[Stage], who: str) -> None:
    """Raises BrokenPromise where errors would call a stage by a name that nobody knows."""
    if spec.kind not in ("loader", "writer") and cls.stage_name() != spec.name:
        fact = f"It is registered as {spec.name!r}, stage_name() says {cls.stage_name()!r}."
        raise BrokenPromise("registered-name", fact, who=who)


def registered(stage: Stage) -> StageSpec:
    """Raises NotApplicable for a stage that no installed plugin registers."""
    try:
        return registry().lookup(registry().name_of(type(stage)))
    except PluginError as error:
        raise NotApplicable(f"no installed plugin registers it: {error}") from None


def toml_round_trip(subject: HasStage) -> None:
    from wavechain.chain import Chain

    if not isinstance(subject.stage, Chainable):
        raise NotApplicable("it does not stand in chains")
    registered(subject.stage)
    chain = Chain([subject.stage])
    text = ""
    try:
        text = chain.to_toml()
        with tempfile.TemporaryDirectory(prefix="wavechain-") as folder:
            path = Path(folder) / "chain.toml"
            path.write_text(text, encoding="utf-8")
            back = Chain.load(path)
    except (WavechainError, TypeError, ValueError) as error:
        facts = [f"{type(error).__name__}: {error}", f"As a chain file: {text!r}"]
        raise BrokenPromise("toml-round-trip", facts, who=subject.who) from None
    if back.stages != chain.stages:
        facts = [f"What comes back is {back.stages[0]!r}.", f"The chain file: {text!r}"]
        raise BrokenPromise("toml-round-trip", facts, who=subject.who)


def settings_round_trip(subject: HasStage) -> None:
    plain = subject.stage.model_dump(mode="json")
    try:
        back = type(subject.stage)(**plain)
    except (WavechainError, TypeError, ValueError) as error:
        facts = [f"{type(error).__name__}: {error}", f"As plain data: {plain!r}"]
        raise BrokenPromise("settings-round-trip", facts, who=subject.who) from None
    if back != subject.stage:
        facts = [f"What comes back is {back!r}.", f"As plain data: {plain!r}"]
        raise BrokenPromise("settings-round-trip", facts, who=subject.who)


def schema_fault(cls: type[BaseModel]) -> str:
    """What is wrong with the JSON Schema of a stage's settings, or nothing."""
    try:
        cls.model_json_schema()
    except Exception as error:  # noqa: BLE001 - pydantic has several, and fields may bring their own
        return f"{cls.__name__}: {type(error).__name__}: {str(error).splitlines()[0]}"
    return ""
