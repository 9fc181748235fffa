"""What a plugin says about its stages, presets, models, parts and itself. All text; nothing heavy is imported."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from wavechain.errors import MissingDependencyError, PluginError

# The level of the plugin API that this core has. A plugin says with `api=` which one it was written for: this one and
# the one before are accepted (docs/api-levels.md).
PLUGIN_API = 1

# The distribution that brings the bundled plugins, and their names. These are kept even where the bundled plugin is not
# installed, so that a chain file means the same everywhere.
HOME = "wavechain"
RESERVED = frozenset(
    {
        *("core", "av", "essentials", "evaluation", "gan-repair", "pedalboard", "restoration", "soundfile"),
        *("trainer", "transforms"),
    }
)

KINDS = ("loader", "transform", "effect", "model", "trainer", "writer")

# What a plugin can offer to other plugins' trainers and benches, found by name as stages are (wavechain.recipes).
PART_KINDS = ("recipe", "network", "loss", "discriminator", "degradation", "metric", "bench")

State: TypeAlias = Literal["loaded", "unavailable", "blocked", "conflict", "shadowed", "broken"]


def install_line(extra: str, packages: Iterable[str], *, distribution: str = HOME) -> str:
    """What to type so that *packages* are there: the distribution's extra where it has one, else the packages."""
    wanted = f"'{distribution}[{extra}]'" if extra else " ".join(packages)
    return f"pip install {wanted}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """One registered stage.

    target      ``package.module:Class``, imported when the stage is first used
    requires    import names of the packages it needs beyond its own distribution's
    missing     those of them that are not installed
    extra       the extra of its distribution that installs them
    extensions  for loaders and writers, the suffixes they serve: ``(".wav", ".flac")``
    priority    among several for one suffix, the highest is taken
    short       whether it answers to its name alone, not only to ``plugin.name``
    """

    name: str
    plugin: str
    distribution: str
    kind: str
    summary: str
    target: str
    requires: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: str = ""
    api: int = 1
    extensions: tuple[str, ...] = ()
    priority: int = 0
    short: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.plugin}.{self.name}"

    @property
    def available(self) -> bool:
        return not self.missing

    @property
    def bundled(self) -> bool:
        return self.distribution == HOME

    @property
    def install(self) -> str:
        """What to type when `missing` is not empty."""
        # An ejected plugin (distribution wavechain-NAME) has no extras: they stayed with wavechain.
        ejected = self.plugin in RESERVED and not self.bundled
        return install_line("" if ejected else self.extra, self.missing, distribution=self.distribution)

    def missing_error(self) -> MissingDependencyError:
        return MissingDependencyError(f"{self.full_name} needs {named(self.missing)}.", hint=self.install)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetSpec:
    """A chain file that comes with a plugin. *path* is ``package:relative/file.toml``."""

    name: str
    plugin: str
    summary: str
    path: str
    short: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.plugin}.{self.name}"

    @property
    def file(self) -> Path:
        """Where the chain file lies. Nothing of the package but its location is looked up.

        Raises  PluginError when the package or the file is not there
        """
        return _shipped("preset", self.full_name, self.path, self.plugin)

    def read(self) -> str:
        return self.file.read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """Trained weights that come with a plugin. *path* is ``package:relative/folder``."""

    name: str
    plugin: str
    summary: str
    path: str
    short: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.plugin}.{self.name}"

    @property
    def folder(self) -> Path:
        """Where the weights lie. Raises PluginError when they are not there."""
        return _shipped("model", self.full_name, self.path, self.plugin)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSpec:
    """Something for other plugins to use by name: a loss, a network, a degradation … (`PART_KINDS`).

    The fields are those of `StageSpec`.
    """

    name: str
    plugin: str
    distribution: str
    kind: str
    summary: str
    target: str
    requires: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: str = ""
    short: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.plugin}.{self.name}"

    @property
    def install(self) -> str:
        """What to type when `missing` is not empty."""
        return install_line(self.extra, self.missing, distribution=self.distribution)

    def missing_error(self) -> MissingDependencyError:
        return MissingDependencyError(f"{self.kind} {self.full_name} needs {named(self.missing)}.", hint=self.install)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRecord:
    """One plugin that was found, whether or not it could be used.

    loaded       at least one of its stages can be used (`missing` names packages that the others need)
    unavailable  none can: packages are missing
    blocked      the user blocked it; it was not imported
    conflict     its name is claimed by another distribution too, or reserved; it was not imported
    shadowed     another distribution of that name was preferred; it was not imported
    broken       it could not be imported, or what it registered is wrong (`reason` says where)

    deprecations  what its author has to change before the next API level, one line each
    """

    name: str
    distribution: str
    version: str
    entry: str
    state: State
    reason: str = ""
    hint: str = ""
    summary: str = ""
    homepage: str = ""
    stages: tuple[StageSpec, ...] = ()
    presets: tuple[PresetSpec, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    parts: tuple[PartSpec, ...] = ()
    deprecations: tuple[str, ...] = ()

    @property
    def bundled(self) -> bool:
        return self.distribution == HOME

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(package for stage in self.stages for package in stage.missing))

    @property
    def label(self) -> str:
        """The plugin and who brought it: ``tremolo (wavechain-tremolo 0.3)``."""
        return f"{self.name} ({f'{self.distribution} {self.version}'.rstrip()})"

    @property
    def usable(self) -> bool:
        """Whether its stages are known, even if packages are missing to run them."""
        return self.state in ("loaded", "unavailable")

    @property
    def trouble(self) -> str:
        """What keeps it from being used, as the end of a sentence: ``is broken: ...``."""
        state = "in conflict" if self.state == "conflict" else self.state
        return f"is {state}: {self.reason}"


def named(packages: Iterable[str]) -> str:
    """Packages as a reader wants them in a sentence: ``package torch``, ``packages torch, einops``."""
    listed = list(packages)
    return f"{'package' if len(listed) == 1 else 'packages'} {', '.join(listed)}"


def is_installed(package: str) -> bool:
    """Whether the top-level *package* could be imported, found out without importing it."""
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # already imported, by something that gave it no __spec__
        return True


def _shipped(what: str, name: str, path: str, plugin: str) -> Path:
    """Where ``package:relative/path`` lies on disk."""
    package, _, relative = path.partition(":")
    top, *below = package.split(".")
    for folder in _locations(top):
        candidate = Path(folder, *below, *relative.split("/"))
        if candidate.exists():
            return candidate
    raise PluginError(
        f"{what} {name}: there is no {relative!r} in package {package}.", hint=f"wavechain plugins check {plugin}."
    )


def _locations(package: str) -> list[str]:
    spec = importlib.util.find_spec(package)
    return list(spec.submodule_search_locations or ()) if spec else []
