"""What a plugin's hook is given: `Register`. Everything is checked when it is said, not when it is used."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from typing import Never

from wavechain.errors import PluginError, nearest
from wavechain.registry.specs import (
    KINDS,
    PART_KINDS,
    PLUGIN_API,
    ModelSpec,
    PartSpec,
    PresetSpec,
    StageSpec,
    is_installed,
)

CORE = "core"

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
_TARGET = re.compile(rf"{_DOTTED}:[A-Za-z_]\w*")
_PRESET = re.compile(rf"{_DOTTED}:(?!/)(?!.*\.\.)[\w./ -]+\.toml")
_FOLDER = re.compile(rf"{_DOTTED}:(?!/)(?!.*\.\.)[\w./ -]+")
_EXTENSION = re.compile(r"\.[a-z0-9]+")
_IMPORT_NAME = re.compile(r"[A-Za-z_]\w*")

_STAGE_KEYWORDS = (
    *("kind", "summary", "target", "requires", "extra", "api"),
    *("extensions", "priority", "short", "aliases"),
)


def is_name(text: object) -> bool:
    """Whether *text* is a name as plugins, stages and presets have it: ``high-shelf``."""
    return isinstance(text, str) and bool(_NAME.fullmatch(text))


def _is_whole(value: object) -> bool:
    return isinstance(value, int)


def _caller() -> str:
    """File and line of whoever called the method that asks."""
    frame = sys._getframe(2)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


class Register:
    """Collects what one plugin offers.

    Every method raises PluginError, naming the plugin and the stage, for what cannot be right. A plugin that fails
    anywhere offers nothing.
    """

    def __init__(self, plugin: str, distribution: str, installed: Callable[[str], bool] = is_installed) -> None:
        self._plugin = plugin
        self._distribution = distribution
        self._installed = installed
        self.stages: list[StageSpec] = []
        self.presets: list[PresetSpec] = []
        self.models: list[ModelSpec] = []
        self.parts: list[PartSpec] = []
        self.deprecations: list[str] = []
        self.summary = ""
        self.homepage = ""

    def plugin(self, *, summary: str = "", homepage: str = "") -> None:
        """Describe the plugin as a whole. Optional."""
        self.summary = self._line("register.plugin", summary) if summary else ""
        self.homepage = homepage

    def stage(
        self,
        name: str,
        *,
        kind: str,
        summary: str,
        target: str,
        requires: Iterable[str] = (),
        extra: str = "",
        api: int = 1,
        extensions: Iterable[str] = (),
        priority: int = 0,
        short: bool = True,
        aliases: Iterable[str] = (),
        **unknown: Never,
    ) -> None:
        """Offer one stage.

        name        kebab-case; the full name is ``plugin.name``
        kind        ``loader``, ``transform``, ``effect``, ``model``, ``trainer`` or ``writer``
        summary     one line for ``wavechain stages list``
        target      ``package.module:Class``; imported when the stage is first used
        requires    import names of packages that may be absent; without them the stage is listed as unavailable
        extra       the extra of the plugin's own distribution that installs them
        api         the level of this method that the plugin was written for
        extensions  for loaders and writers: the suffixes they serve, as ``.wav``
        priority    among several loaders or writers of one suffix the highest is taken
        short       False: it answers to its full name only, because its short one belongs to another
        aliases     other names that it answers to
        """
        where = f"stage {name!r}"
        if _is_whole(api) and api > PLUGIN_API:
            raise self._wrong(where, f"needs a newer wavechain: plugin API {api}, and this one has {PLUGIN_API}")
        behind = PLUGIN_API - api if _is_whole(api) and self._plugin != CORE else 0
        if 1 < behind < PLUGIN_API:
            reason = (
                f"was written for plugin API {api}, and this wavechain has {PLUGIN_API} and accepts {PLUGIN_API - 1}: "
                f"its authors change what docs/api-levels.md lists, then set api={PLUGIN_API}"
            )
            raise self._wrong(where, reason)
        if unknown:
            word = next(iter(unknown))
            guess = nearest(word, _STAGE_KEYWORDS)
            meant = f"; the nearest is {guess!r}" if guess else f"; it takes {', '.join(_STAGE_KEYWORDS)}"
            raise self._wrong(where, f"register.stage has no keyword {word!r}{meant}")
        kinds = (*KINDS, "combinator") if self._plugin == CORE else KINDS
        if kind not in kinds:
            raise self._wrong(where, f"{kind!r} is not a kind: one of {', '.join(kinds)}")
        if not _is_whole(api) or api < 1:
            raise self._wrong(where, f"api = {api!r} is not a whole number from 1")
        if not _is_whole(priority):
            raise self._wrong(where, f"priority = {priority!r} is not a whole number")
        if not isinstance(extra, str):
            raise self._wrong(where, f"extra = {extra!r} is not a text")
        self._matches(where, "target", target, _TARGET, "package.module:Class")
        needs = self._texts(where, "requires", requires, _IMPORT_NAME, "the import name of a package, as numpy")
        suffixes = self._texts(where, "extensions", extensions, _EXTENSION, "a lower-case suffix, as .wav")
        if bool(suffixes) != (kind in ("loader", "writer")):
            reason = "has no extensions" if suffixes else "needs extensions=('.wav', ...): the suffixes it serves"
            raise self._wrong(where, f"kind {kind!r} {reason}")
        others = self._texts(where, "aliases", aliases, _NAME, "kebab-case, as high-shelf")
        self._new_names(where, (name, *others), self.stages)
        if behind == 1:
            self.deprecations.append(self._deprecation(where, api, _caller()))
        self.stages.append(
            StageSpec(
                name=name,
                plugin=self._plugin,
                distribution=self._distribution,
                kind=kind,
                summary=self._line(where, summary),
                target=target,
                requires=needs,
                missing=tuple(package for package in needs if not self._installed(package)),
                extra=extra,
                api=api,
                extensions=suffixes,
                priority=priority,
                short=bool(short),
                aliases=others,
            )
        )

    def preset(self, name: str, *, summary: str, path: str) -> None:
        """Offer a chain file under a name. *path* is ``package:relative/file.toml``, inside the package."""
        where = f"preset {name!r}"
        self._matches(where, "path", path, _PRESET, "package:relative/file.toml, inside the package")
        self._new_names(where, (name,), self.presets)
        self.presets.append(PresetSpec(name=name, plugin=self._plugin, summary=self._line(where, summary), path=path))

    def model(self, name: str, *, summary: str, path: str) -> None:
        """Offer trained weights under a name. *path* is ``package:relative/folder``, inside the package."""
        where = f"model {name!r}"
        self._matches(where, "path", path, _FOLDER, "package:relative/folder, inside the package")
        self._new_names(where, (name,), self.models)
        self.models.append(ModelSpec(name=name, plugin=self._plugin, summary=self._line(where, summary), path=path))

    def part(
        self, name: str, *, kind: str, summary: str, target: str, requires: Iterable[str] = (), extra: str = ""
    ) -> None:
        """Offer something that recipes and benches use by name: what `wavechain.recipes` has an interface for.

        name      kebab-case, once per kind
        kind      ``recipe``, ``network``, ``loss``, ``discriminator``, ``degradation``, ``metric`` or ``bench``
        The rest is as in `stage`.
        """
        where = f"{kind} {name!r}"
        if kind not in PART_KINDS:
            raise self._wrong(f"part {name!r}", f"{kind!r} is not a kind of part: one of {', '.join(PART_KINDS)}")
        self._matches(where, "target", target, _TARGET, "package.module:Class")
        needs = self._texts(where, "requires", requires, _IMPORT_NAME, "the import name of a package, as numpy")
        self._new_names(where, (name,), [part for part in self.parts if part.kind == kind])
        self.parts.append(
            PartSpec(
                name=name,
                plugin=self._plugin,
                distribution=self._distribution,
                kind=kind,
                summary=self._line(where, summary),
                target=target,
                requires=needs,
                missing=tuple(package for package in needs if not self._installed(package)),
                extra=extra,
            )
        )

    def _new_names(
        self, where: str, names: tuple[str, ...], taken: Iterable[StageSpec | PresetSpec | ModelSpec | PartSpec]
    ) -> None:
        used = {word for spec in taken for word in (spec.name, *spec.aliases)}
        for name in names:
            self._matches(where, "name", name, _NAME, "kebab-case, as high-shelf")
            if name in used:
                raise self._wrong(where, f"the name {name!r} is registered twice")
            used.add(name)

    def _texts(
        self, where: str, keyword: str, values: Iterable[str], shape: re.Pattern[str], example: str
    ) -> tuple[str, ...]:
        if isinstance(values, str):
            raise self._wrong(where, f"{keyword} = {values!r} is one text, not a tuple: ({values!r},)")
        listed = tuple(values)
        for value in listed:
            self._matches(where, keyword, value, shape, example)
        return listed

    def _matches(self, where: str, keyword: str, value: object, shape: re.Pattern[str], example: str) -> None:
        if not (isinstance(value, str) and shape.fullmatch(value)):
            raise self._wrong(where, f"{keyword} {value!r} is not {example}")

    def _line(self, where: str, text: object) -> str:
        if not (isinstance(text, str) and text.strip() and "\n" not in text.strip()):
            raise self._wrong(where, f"summary {text!r} is not one line of text")
        return text.strip()

    def _deprecation(self, where: str, api: int, place: str) -> str:
        return (
            f"plugin {self._plugin} ({self._distribution}): {where} is registered for plugin API {api} ({place}); this "
            f"wavechain has {PLUGIN_API}, and the next level will refuse it. "
            f"Try: what docs/api-levels.md lists for level {PLUGIN_API}, then api={PLUGIN_API} at {place}."
        )

    def _wrong(self, where: str, reason: str) -> PluginError:
        return PluginError(f"plugin {self._plugin}: {where}: {reason}.")
