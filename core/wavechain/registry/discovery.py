"""Entry points into plugin records, one state each.

pluggy's own entry-point loader stops at the first plugin that fails and drops a name that two distributions claim
without a word; this one keeps going and keeps account. What is decided here, in this order:

    1. A distribution is counted once, the first on ``sys.path``, as imports do it: an editable install may leave
       a second copy of its metadata about.
    2. A blocked name is not imported.
    3. Bundled names belong to the distribution ``wavechain``, or ``wavechain-NAME`` once ejected. Anyone else who
       claims one is refused, and the bundled plugin works on: a third party cannot break what is there.
    4. Any other name that two distributions claim is nobody's, until the user says whose.
    5. Only then is the module imported and its hook called; whatever it raises makes it broken, and no more.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import sys
import traceback
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pluggy

from wavechain import __version__, hookspecs
from wavechain.errors import PluginError
from wavechain.hookspecs import ENTRY_POINT_GROUP, PROJECT
from wavechain.registry import core_plugin
from wavechain.registry.register import CORE, Register, is_name
from wavechain.registry.specs import HOME, RESERVED, PluginRecord, State, is_installed, named

UNREADABLE = "(its entry_points.txt cannot be read)"


@dataclass(frozen=True, slots=True)
class Claim:
    """A distribution says: I bring the plugin of this name."""

    name: str
    distribution: str
    version: str
    entry: importlib.metadata.EntryPoint

    def record(self, state: State, reason: str = "", hint: str = "") -> PluginRecord:
        return PluginRecord(
            name=self.name,
            distribution=self.distribution,
            version=self.version,
            entry=self.entry.value,
            state=state,
            reason=reason,
            hint=hint,
        )


def discover(block: Collection[str] = (), prefer: Mapping[str, str] | None = None) -> list[PluginRecord]:
    """Every plugin there is: the core first, then the bundled ones, then the others by name.

    block   names of plugins that are not to be imported
    prefer  plugin name -> the distribution that may have it
    """
    loader = _Loader()
    records = [loader.core()]
    claims: dict[str, list[Claim]] = {}
    for claim in find_claims():
        claims.setdefault(claim.name, []).append(claim)
    for name, unordered in claims.items():
        claimants = sorted(unordered, key=lambda claim: claim.distribution)  # folders list files in any order
        if name in block:
            records += [claim.record("blocked", "by WAVECHAIN_BLOCK") for claim in claimants]
            continue
        winner, refused = _settle(name, claimants, (prefer or {}).get(name, ""))
        records += refused
        if winner is not None:
            records.append(loader.load(winner))
    return sorted(
        records,
        key=lambda record: (record.name != CORE, not record.bundled, record.name, record.distribution),
    )


def find_claims() -> Iterator[Claim]:
    """Who says to bring which plugin. Reads one small file a distribution and imports nothing."""
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        # Looking into the text first leaves the other entry points of an environment unparsed: a malformed file in
        # a distribution that has nothing to do with wavechain does no harm.
        try:
            text = distribution.read_text("entry_points.txt")
        except (OSError, UnicodeDecodeError):
            continue
        if not text or ENTRY_POINT_GROUP not in text:
            continue
        metadata = distribution.metadata
        name = _normal(_field(metadata, "Name") or "unnamed")
        if name in seen:
            continue
        seen.add(name)
        version = _field(metadata, "Version")
        try:
            entries = list(distribution.entry_points.select(group=ENTRY_POINT_GROUP))
        except Exception:  # noqa: BLE001 - the parser has no error of its own: TypeError, AttributeError ...
            entries = [importlib.metadata.EntryPoint(name, UNREADABLE, ENTRY_POINT_GROUP)]
        for entry in dict.fromkeys(entries):
            yield Claim(entry.name, name, version, entry)


def _settle(name: str, claimants: list[Claim], preferred: str) -> tuple[Claim | None, list[PluginRecord]]:
    """Who may have the name, and a record for each who may not."""
    refused = []
    bundled = name in RESERVED or any(claim.distribution == HOME for claim in claimants)
    if bundled:
        owners = {HOME, f"{HOME}-{name}"} if name != CORE else set()
        for claim in claimants:
            if claim.distribution not in owners:
                reason = f"the name {name!r} is reserved for wavechain's own plugin"
                hint = (
                    f"ask the authors of {claim.distribution} for another name, or pip uninstall {claim.distribution}."
                )
                refused.append(claim.record("conflict", reason, hint))
        claimants = [claim for claim in claimants if claim.distribution in owners]
    if len(claimants) < 2:
        return (claimants[0] if claimants else None), refused

    wanted = _normal(preferred) or (HOME if bundled else "")
    chosen = [claim for claim in claimants if claim.distribution == wanted]
    if len(chosen) == 1:
        losers = [claim for claim in claimants if claim is not chosen[0]]
        return chosen[0], refused + [claim.record("shadowed", f"{wanted} is preferred") for claim in losers]
    who = " and ".join(f"{claim.distribution} {claim.version}".strip() for claim in claimants)
    absent = f"; {preferred}, which WAVECHAIN_PREFER names, is not one of them" if preferred and not chosen else ""
    hint = f"WAVECHAIN_PREFER={name}={claimants[0].distribution}, or pip uninstall one of them."
    reason = f"the name {name!r} is claimed by {who}{absent}"
    return None, refused + [claim.record("conflict", reason, hint) for claim in claimants]


class _Loader:
    """Imports entry modules and calls their hooks, each on its own."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._installed = cache(is_installed)

    def core(self) -> PluginRecord:
        register = Register(CORE, HOME, self._installed)
        core_plugin.wavechain_register(register)
        return PluginRecord(
            name=CORE,
            distribution=HOME,
            version=__version__,
            entry=core_plugin.__name__,
            state="loaded",
            summary=register.summary,
            stages=tuple(register.stages),
        )

    def load(self, claim: Claim) -> PluginRecord:
        register = Register(claim.name, claim.distribution, self._installed)
        try:
            self._call(claim, register)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - also SystemExit: being found must not end the program
            reason = explain(error).removeprefix(f"plugin {claim.name}: ")
            return claim.record("broken", reason, _broken_hint(claim, error))
        stages = register.stages
        unusable = bool(stages) and not any(stage.available for stage in stages)
        missing = dict.fromkeys(package for stage in stages for package in stage.missing)
        return PluginRecord(
            name=claim.name,
            distribution=claim.distribution,
            version=claim.version,
            entry=claim.entry.value,
            state="unavailable" if unusable else "loaded",
            reason=f"needs {named(missing)}" if unusable else "",
            hint=stages[0].install if unusable else "",
            summary=register.summary,
            homepage=register.homepage,
            stages=tuple(stages),
            presets=tuple(register.presets),
            models=tuple(register.models),
            parts=tuple(register.parts),
            deprecations=tuple(register.deprecations),
        )

    def _call(self, claim: Claim, register: Register) -> None:
        if not is_name(claim.name):
            raise PluginError(f"the plugin name {claim.name!r} is not kebab-case, as high-shelf.")
        if claim.entry.value == UNREADABLE:
            raise PluginError("its entry_points.txt cannot be read.")
        if not claim.entry.pattern.match(claim.entry.value):
            raise PluginError(f"{claim.entry.value!r} is not the name of a module.")
        with contextlib.redirect_stdout(sys.stderr):  # standard output may be carrying audio
            plugin = claim.entry.load()
        if (other := self._manager.get_name(plugin)) is not None:
            raise PluginError(f"{claim.entry.value} is the plugin {other!r} already.")
        self._manager.register(plugin, claim.name)
        hook = self._manager.subset_hook_caller(
            "wavechain_register", [other for other in self._manager.get_plugins() if other is not plugin]
        )
        if not hook.get_hookimpls():
            raise PluginError(f"{claim.entry.value} has no wavechain_register marked with @hookimpl.")
        hook(register=register)
        if not (register.stages or register.presets or register.models or register.parts):
            raise PluginError(f"{claim.entry.value} registered no stage and no preset.")


def explain(error: BaseException) -> str:
    """An exception in one line: its kind, its text, and the place in the plugin where it arose."""
    said = error.message if isinstance(error, PluginError) else f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, SyntaxError) and error.filename:
        said, place = f"{type(error).__name__}: {error.msg}", f"{error.filename}:{error.lineno}"
    else:
        place = _place(error)
    said = " ".join(said.split()).rstrip(".")
    return f"{said} ({place})" if place else said


def _place(error: BaseException) -> str:
    """The deepest frame that is neither ours nor the import machinery's."""
    here = str(Path(__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        machinery = frame.filename.startswith(("<frozen", here)) or "importlib" in Path(frame.filename).parts
        if not machinery and "pluggy" not in Path(frame.filename).parts:
            return f"{frame.filename}:{frame.lineno}"
    return ""


def _broken_hint(claim: Claim, error: BaseException) -> str:
    if isinstance(error, PluginError) and "newer wavechain" in error.message:
        return "pip install --upgrade wavechain."
    return f"pip install --upgrade {claim.distribution}, or WAVECHAIN_BLOCK={claim.name} to go without it."


def _field(metadata: importlib.metadata.PackageMetadata, key: str) -> str:
    return metadata[key] if key in metadata else ""  # noqa: SIM401 - get() is not part of it before Python 3.12


def _normal(distribution: str) -> str:
    """Distribution names compare as PEP 503 says: ``Wavechain_Foo`` is ``wavechain-foo``."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
