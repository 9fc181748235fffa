"""`Registry`: names to stages, stages to names, suffixes to loaders and writers."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from wavechain.errors import (
    AmbiguousStageError,
    ChainError,
    MissingDependencyError,
    PluginError,
    UnknownStageError,
    UsageError,
    nearest,
)
from wavechain.registry.discovery import discover, explain
from wavechain.registry.register import CORE
from wavechain.registry.specs import ModelSpec, PartSpec, PluginRecord, PresetSpec, StageSpec

if TYPE_CHECKING:
    from wavechain.stages import Stage


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def full_name(self) -> str: ...
    @property
    def plugin(self) -> str: ...
    @property
    def short(self) -> bool: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...


N = TypeVar("N", bound=_Named)
_importing = threading.RLock()


class Registry:
    """What the plugins of this environment offer. Cheap to build, nothing heavy imported until `load`."""

    def __init__(self, block: Collection[str] = (), prefer: Mapping[str, str] | None = None) -> None:
        self._block = frozenset(block)
        self._prefer = dict(prefer or {})
        self._records = discover(self._block, self._prefer)
        self._stages = [stage for record in self._records for stage in record.stages]
        self._presets = [preset for record in self._records for preset in record.presets]
        self._models = [model for record in self._records for model in record.models]
        self._parts = [part for record in self._records for part in record.parts]
        self._stages_by_name = _index(self._stages)
        self._by_target = {stage.target: stage for stage in reversed(self._stages)}
        self._classes: dict[str, type[Stage]] = {}

    @classmethod
    def from_environment(cls) -> Registry:
        """As the environment variables say: see `wavechain.registry`."""
        prefer = {}
        for word in _words("WAVECHAIN_PREFER"):
            name, equals, distribution = (part.strip() for part in word.partition("="))
            if not (name and equals and distribution):
                raise UsageError(
                    f"WAVECHAIN_PREFER: {word!r} is not a plugin and a distribution.",
                    hint="WAVECHAIN_PREFER=plugin=distribution,plugin=distribution",
                )
            prefer[name] = distribution
        return cls(_words("WAVECHAIN_BLOCK"), prefer)

    def plugins(self, name: str | None = None) -> list[PluginRecord]:
        """Every plugin that was found, in whatever state, or those who claim *name*."""
        return [record for record in self._records if name in (None, record.name)]

    def stages(self, kind: str | None = None) -> list[StageSpec]:
        """Every stage, also those whose packages are missing."""
        return [stage for stage in self._stages if kind in (None, stage.kind)]

    def presets(self) -> list[PresetSpec]:
        return list(self._presets)

    def models(self) -> list[ModelSpec]:
        """Trained weights that came with plugins."""
        return list(self._models)

    def parts(self, kind: str | None = None) -> list[PartSpec]:
        """What plugins offer to recipes and benches, also those whose packages are missing."""
        return [part for part in self._parts if kind in (None, part.kind)]

    def problems(self) -> list[str]:
        """What a person should hear about before a run, one line each; what they chose themselves is not among it."""
        wrong = [record for record in self._records if record.state in ("broken", "conflict")]
        told = {(record.name, record.reason): record for record in wrong}  # two in conflict are one problem
        lines = [f"plugin {record.label} {record.trouble}. Try: {record.hint}" for record in told.values()]
        lines += [line for record in self._records for line in record.deprecations]
        found = {record.name for record in self._records} - {CORE}
        for variable, names in (("WAVECHAIN_BLOCK", self._block), ("WAVECHAIN_PREFER", self._prefer)):
            for name in sorted(set(names) - found):
                guess = nearest(name, found)
                meant = f"; the nearest is {guess!r}" if guess else ""
                lines.append(f"{variable}: there is no plugin {name!r} to choose{meant}. Try: wavechain plugins list.")
        return lines

    def find(self, name: str) -> StageSpec:
        """The stage of that name, short or full, ready to be loaded.

        Raises  UnknownStageError, AmbiguousStageError; MissingDependencyError when its packages are not installed
        """
        stage = self.lookup(name)
        if stage.missing:
            raise stage.missing_error()
        return stage

    def lookup(self, name: str) -> StageSpec:
        """As `find`, but a stage whose packages are missing is found too: enough to describe it."""
        found = self._stages_by_name.get(name, [])
        if len(found) > 1:
            full = [stage.full_name for stage in found]
            raise AmbiguousStageError(
                f"{name!r} is the name of several stages: {' and '.join(full)}.", hint=f"{' or '.join(full)}."
            )
        if not found:
            raise UnknownStageError(self._unknown("stage", name, self._stages), hint="wavechain stages list.")
        return found[0]

    def preset(self, name: str) -> PresetSpec:
        """The preset of that name, short or full. Raises ChainError."""
        return self._only("preset", name, self._presets, "wavechain presets list.")

    def model(self, name: str) -> ModelSpec:
        """The model of that name, short or full. Raises ChainError."""
        return self._only("model", name, self._models, "wavechain models list.")

    def part(self, kind: str, name: str) -> PartSpec:
        """The part of that kind and name, short or full. Raises ChainError."""
        known = ", ".join(sorted(part.name for part in self.parts(kind)))
        return self._only(kind, name, self.parts(kind), f"one of {known or 'none: no plugin brings one'}.")

    def load_part(self, kind: str, name: str) -> Any:
        """The class of a part, imported now.

        Raises  ChainError, MissingDependencyError; PluginError when it cannot be imported
        """
        part = self.part(kind, name)
        if part.missing:
            raise part.missing_error()
        return _attribute(part, f"plugin {part.plugin}: {kind} {part.name} ({part.target})")

    def load(self, stage: StageSpec | str) -> type[Stage]:
        """The class of a stage, imported now if it was not before.

        Raises  as `find`; PluginError when it cannot be imported or is not what it was registered as
        """
        spec = self.find(stage) if isinstance(stage, str) else stage
        if spec.missing:
            raise spec.missing_error()
        if spec.full_name not in self._classes:
            self._classes[spec.full_name] = _import(spec)
        return self._classes[spec.full_name]

    def name_of(self, cls: type[Stage]) -> str:
        """The shortest name that means this class and no other.

        Raises  PluginError for a class that no loaded plugin registered
        """
        spec = self._by_target.get(f"{cls.__module__}:{cls.__qualname__}") or self._reexported(cls)
        if spec is None:
            raise PluginError(
                f"{cls.__module__}:{cls.__qualname__} is not registered by any loaded plugin.",
                hint="wavechain plugins list.",
            )
        return spec.name if self._stages_by_name.get(spec.name) == [spec] else spec.full_name

    def loaders_for(self, suffix: str) -> list[StageSpec]:
        """Who can open files of that suffix (``.flac``), best first."""
        return [stage for stage in self._serving("loader", suffix) if stage.available]

    def writers_for(self, suffix: str) -> list[StageSpec]:
        """Who can write files of that suffix (``.flac``), best first."""
        return [stage for stage in self._serving("writer", suffix) if stage.available]

    def unavailable_for(self, kind: str, suffix: str) -> list[StageSpec]:
        """The loaders or writers of that suffix that would do, were their packages installed."""
        return [stage for stage in self._serving(kind, suffix) if not stage.available]

    def suffixes(self, kind: str) -> list[str]:
        """All that the available loaders or writers serve, sorted."""
        return sorted({suffix for stage in self.stages(kind) if stage.available for suffix in stage.extensions})

    def check(self, plugin: PluginRecord | str) -> list[str]:
        """Everything that is wrong with a plugin, one line each: loads all its stages and opens all its presets.

        A name stands for every plugin that claims it.
        """
        lines = []
        for record in self.plugins(plugin) if isinstance(plugin, str) else [plugin]:
            if not record.usable:
                lines.append(f"{record.label} {record.trouble}.")
            for stage in record.stages:
                try:
                    self.load(stage)
                except PluginError as error:
                    lines.append(str(error))
            for preset in record.presets:
                try:
                    preset.read()
                except (PluginError, OSError, UnicodeDecodeError) as error:
                    lines.append(str(error))
        return lines

    def _only(self, what: str, name: str, known: Iterable[N], hint: str) -> N:
        known = list(known)
        found = _index(known).get(name, [])
        if len(found) > 1:
            both = " or ".join(spec.full_name for spec in found)
            raise ChainError(f"{name!r} is the name of several {what}s.", hint=f"{both}.")
        if not found:
            raise ChainError(self._unknown(what, name, known), hint=hint)
        return found[0]

    def _serving(self, kind: str, suffix: str) -> list[StageSpec]:
        wanted = suffix.lower()
        serving = [stage for stage in self.stages(kind) if wanted in stage.extensions]
        return sorted(serving, key=lambda stage: (-stage.priority, not stage.bundled, stage.full_name))

    def _reexported(self, cls: type[Stage]) -> StageSpec | None:
        """A class that its target names by another module than the one that defines it."""
        for spec in self._stages:
            module, _, name = spec.target.partition(":")
            if getattr(sys.modules.get(module), name, None) is cls:
                return spec
        return None

    def _unknown(self, what: str, name: str, known: Iterable[_Named]) -> str:
        """Why there is no stage or preset of that name, as far as one can tell."""
        plugin, _, own = name.rpartition(".")
        usable = {record.name for record in self._records if record.usable}
        troubled = {record.name: record for record in self._records if record.name not in usable}
        if plugin in troubled:
            record = troubled[plugin]
            return f"{what} {name!r} is not there: plugin {record.label} {record.trouble}."
        same = [spec.full_name for spec in known if own in (spec.name, *spec.aliases)]
        names = [word for spec in known for word in _names(spec)]
        guess = same[0] if same else nearest(name.lower().replace("_", "-"), names)
        if troubled and guess not in same and not guess.startswith(name[:3].lower()):  # it may well be one of theirs
            return f"no {what} is called {name!r}; plugin {', '.join(sorted(troubled))} did not load."
        near = f"; the nearest is {guess!r}" if guess else ""
        unseen = f" (nothing is known of plugin {', '.join(sorted(troubled))}, which did not load)" if troubled else ""
        return f"no {what} is called {name!r}{near}{unseen}."


def _index(specs: Iterable[N]) -> dict[str, list[N]]:
    index: dict[str, list[N]] = {}
    for spec in specs:
        for name in _names(spec):
            index.setdefault(name, []).append(spec)
    return index


def _names(spec: _Named) -> list[str]:
    own = [spec.name, *spec.aliases]
    return [f"{spec.plugin}.{name}" for name in own] + (own if spec.short else [])


def _words(variable: str) -> list[str]:
    return [word.strip() for word in os.environ.get(variable, "").split(",") if word.strip()]


def _attribute(spec: StageSpec | PartSpec, place: str) -> Any:
    """What ``package.module:Class`` names, imported now."""
    module_name, _, class_name = spec.target.partition(":")
    try:
        # Standard output may be carrying audio. Two threads that redirect it at once would leave it redirected.
        with _importing, contextlib.redirect_stdout(sys.stderr):
            return getattr(importlib.import_module(module_name), class_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        top = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and top in spec.requires:
            raise MissingDependencyError(f"{place} needs package {top}.", hint=spec.install) from error
        hint = f"wavechain plugins check {spec.plugin}."
        raise PluginError(f"{place} cannot be loaded: {explain(error)}.", hint=hint) from error


def _import(spec: StageSpec) -> type[Stage]:
    place = f"plugin {spec.plugin}: stage {spec.name} ({spec.target})"
    hint = f"wavechain plugins check {spec.plugin}."
    found = _attribute(spec, place)
    wanted = _interface(spec)
    if not (isinstance(found, type) and issubclass(found, wanted)):
        raise PluginError(f"{place} is registered as {spec.kind} but is not of class {wanted.__name__}.", hint=hint)
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(found.__abstractmethods__))
        raise PluginError(f"{place} does not say how to {lacking}.", hint=hint)
    return found


def _interface(spec: StageSpec) -> type[Stage]:
    from wavechain import stages

    if spec.plugin == CORE:
        return stages.Chainable
    kinds: dict[str, type[Stage]] = {
        "loader": stages.Loader,
        "transform": stages.StreamStage,  # an inverse is a transform too
        "effect": stages.Effect,
        "model": stages.Model,
        "trainer": stages.Trainer,
        "writer": stages.Writer,
    }
    return kinds[spec.kind]
