"""Plugin host: a VST3 or Audio Unit effect that is installed on this machine.

Conventions: the plugin decides how many channels it takes; length is unchanged but for what rings on; the latency that
the plugin reports is compensated. It is loaded anew and reset for every stream. Streamed output equals whole output as
far as the plugin is deterministic: a few draw random numbers, and those differ from run to run in every host.

A plugin is native code of someone else's making and runs with your rights: host what you trust.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pedalboard
from pydantic import field_validator

from wavechain import Effect, Processor, Spec, param
from wavechain.errors import ParameterError, SpecMismatchError, nearest
from wavechain.params import Parameter
from wavechain_pedalboard.hosting import SHORTEST, Hosted

Value = bool | float | str
# Longer lists would fill the screen.
MOST_CHOICES = 40
MOST_NAMED = 12


class PluginHost(Effect):
    """Run a VST3 or Audio Unit effect that is installed on this machine.

    `wavechain stages describe plugin-host:path=PLUGIN` lists the parameters that the plugin offers.
    """

    cost: ClassVar[float] = 20.0

    path: Path = param(help="The plugin: a .vst3 folder or file, or an Audio Unit .component.")
    plugin_name: str | None = param(None, help="Which plugin, where one file holds several.")
    preset_path: Path | None = param(None, help="A .vstpreset file, loaded before the parameters are set.")
    parameters: dict[str, Value] = param({}, help="Values by name; on the command line a list: [mix=50,mode=Hall].")
    tail_seconds: float | None = param(
        None, unit="s", ge=0, le=600, help="How long it rings on; unset, until it is silent (10 s at most)."
    )

    @field_validator("parameters", mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        """``["mix=50", "mode=Hall"]`` as the command line gives it."""
        if not isinstance(value, list | tuple):
            return value
        pairs = {}
        for item in value:
            name, equals, text = str(item).partition("=")
            if not equals:
                raise ParameterError(
                    f"plugin-host: parameters: {item!r} is not name=value.", hint="[mix=50,mode=Hall]."
                )
            pairs[name.strip()] = _number(text.strip())
        return pairs

    def open(self, spec: Spec) -> Processor:
        plugin = self.load()
        try:
            plugin.process(spec.zeros(SHORTEST), float(spec.sample_rate), reset=False)
        except ValueError as error:
            raise SpecMismatchError(
                f"{plugin.name} does not take {spec.channels} channels.",
                hint=f"add channels:layout={'mono' if spec.channels == 2 else 'stereo'} before it.",
            ) from error
        _renew(plugin)
        tail = math.inf if self.tail_seconds is None else round(self.tail_seconds * spec.sample_rate)
        return Hosted(spec, [plugin], spec.channels, tail=tail)

    def load(self) -> Any:
        """The plugin, with preset and parameters set. Raises ParameterError, naming what is wrong."""
        plugin = _load(self.path, self.plugin_name)
        if self.preset_path is not None:
            _load_preset(plugin, self.preset_path)
        known = plugin.parameters
        for name, value in self.parameters.items():
            if name not in known:
                guess = nearest(name, known)
                hint = f"{guess}." if guess else f"wavechain stages describe plugin-host:path={self.path}."
                raise ParameterError(f"{plugin.name} has no parameter {name!r}.", hint=hint)
            _set(plugin, name, value)
        return plugin

    def describe_instance(self) -> list[Parameter]:
        """The parameters of the hosted plugin, with the values that they have here as defaults."""
        plugin = self.load()
        return [_described(plugin, name) for name in plugin.parameters]


def _load(path: Path, name: str | None) -> Any:
    if not path.exists():
        raise ParameterError(f"there is no {path}.", hint=_installed_like(path))
    try:
        plugin = pedalboard.load_plugin(str(path), plugin_name=name)  # type: ignore[attr-defined]
    except (ImportError, ValueError, RuntimeError) as error:
        names = _names_in(path)
        if len(names) > 1 and name not in names:
            guess = nearest(name or "", names)
            hint = f"plugin_name={guess}." if guess else f"plugin_name= one of {_listed(names)}."
            which = f"no plugin called {name!r} among its {len(names)}" if name else f"{len(names)} plugins"
            raise ParameterError(f"{path} holds {which}.", hint=hint) from error
        raise ParameterError(
            f"{path} cannot be loaded: {_reason(error)}", hint="a VST3 effect for this machine."
        ) from error
    if not plugin.is_effect:
        raise ParameterError(
            f"{path.stem} is an instrument: it plays notes and hears nothing.", hint="an effect plugin."
        )
    return plugin


def _renew(plugin: Any) -> None:
    """Put a new instance in the place of the plugin, with the same settings.

    pedalboard sends random noise through a plugin when it loads it, to see whether a reset silences it. The levels that
    a compressor has learnt from that noise survive a reset, and would make each run differ a little from the last.
    """
    plugin._reload_type = pedalboard.ExternalPluginReloadType.PersistsAudioOnReset
    try:
        plugin.reset()
    except RuntimeError:  # off the main thread a plugin cannot be made anew, only reset
        plugin._reload_type = pedalboard.ExternalPluginReloadType.ClearsAudioOnReset
        plugin.reset()


def _names_in(path: Path) -> list[str]:
    try:
        return list(pedalboard.VST3Plugin.get_plugin_names_for_file(str(path)))
    except (ImportError, RuntimeError, ValueError):
        return []


def _listed(names: Sequence[str]) -> str:
    """The first few, for an error of one line."""
    few = ", ".join(names[:MOST_NAMED])
    return few if len(names) <= MOST_NAMED else f"{few} and {len(names) - MOST_NAMED} more"


def _installed_like(path: Path) -> str:
    found = pedalboard.VST3Plugin.installed_plugins  # type: ignore[attr-defined]
    installed = {Path(each).stem: str(each) for each in found}
    guess = nearest(path.stem, installed)
    return f"{installed[guess]}." if guess else "the path of a .vst3 folder or file."


def _reason(error: BaseException) -> str:
    """The last line of pedalboard's report, which holds the cause."""
    return str(error).strip().splitlines()[-1].strip().removeprefix("VST3Plugin: ")


def _load_preset(plugin: Any, path: Path) -> None:
    if not path.is_file():
        raise ParameterError(f"preset_path: there is no {path}.", hint="the path of a .vstpreset file.")
    try:
        plugin.load_preset(str(path))
    except (AttributeError, RuntimeError, ValueError) as error:
        raise ParameterError(
            f"{plugin.name} does not take the preset {path}.",
            hint="a .vstpreset file saved by this plugin.",
        ) from error


def _set(plugin: Any, name: str, value: Value) -> None:
    try:
        setattr(plugin, name, value)
    except (TypeError, ValueError) as error:
        facts = _described(plugin, name)
        hint = f"one of {_listed(facts.choices)}." if facts.choices else f"{facts.range} {facts.unit}".strip() + "."
        raise ParameterError(f"{plugin.name} does not take {name} = {value!r}.", hint=hint) from error


def _described(plugin: Any, name: str) -> Parameter:
    parameter = plugin.parameters[name]
    low, high, _ = parameter.range
    values = tuple(map(str, parameter.valid_values)) if parameter.type is str else ()
    kinds: Mapping[type, str] = {bool: "true/false", str: "choice" if values else "text"}
    return Parameter(
        name=name,
        type=kinds.get(parameter.type, "number"),
        unit=(parameter.units or "").strip(),
        default=parameter.type(getattr(plugin, name)),
        required=False,
        range=f"{low:g} to {high:g}" if isinstance(low, float) and isinstance(high, float) else "",
        choices=values if len(values) <= MOST_CHOICES else (),
        help=parameter.name,
    )


def _number(text: str) -> Value:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return text
