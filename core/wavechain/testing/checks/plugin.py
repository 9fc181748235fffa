"""What a plugin promises as a whole: a light entry module, true registrations, documentation."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from wavechain.errors import PluginError, WavechainError
from wavechain.registry import StageSpec, registry
from wavechain.registry.register import Register
from wavechain.stages import Stage
from wavechain.testing.checks.settings import documentation_faults, name_fault, schema_fault
from wavechain.testing.promises import BrokenPromise, NotApplicable

# Each takes longer to import than listing all plugins may.
HEAVY = (
    *("numpy", "scipy", "torch", "torchaudio", "tensorflow", "jax", "onnxruntime", "transformers", "sklearn", "numba"),
    *("pandas", "librosa", "matplotlib", "pedalboard", "soundfile", "soxr", "av", "pydantic", "PIL", "cv2"),
)

_PROBE = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[2])
gone = set(json.loads(sys.argv[3]))

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in gone:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from wavechain.registry.register import Register
before = set(sys.modules)
module = importlib.import_module(sys.argv[1])
module.wavechain_register(Register("probe", "probe", installed=lambda package: package not in gone))
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


@dataclass(eq=False)
class PluginSubject:
    """A plugin, by its entry module. *name* is that of its entry point, where it differs from the module's."""

    module: str
    name: str = ""

    @property
    def stage(self) -> str:
        return self.module

    @property
    def who(self) -> str:
        return f"plugin {self.plugin} ({self.module})"

    @property
    def plugin(self) -> str:
        return self.name or self.module.removeprefix("wavechain_").replace("_", "-").lower()

    def broken(self, promise: str, *facts: str) -> BrokenPromise:
        return BrokenPromise(promise, facts, who=self.who)

    @cached_property
    def register(self) -> Register:
        """What the hook registers. Raises NotApplicable where it cannot be asked: `registers` says why."""
        try:
            return self.ask()
        except Exception as error:  # noqa: BLE001 - reported by `registers`
            raise NotApplicable(f"it does not register: {error}") from None

    def ask(self) -> Register:
        register = Register(self.plugin, "probe")
        importlib.import_module(self.module).wavechain_register(register)
        return register

    def loaded(self) -> list[tuple[StageSpec, type[Stage]]]:
        """The stages that can be loaded here."""
        found = []
        for spec in self.register.stages:
            try:
                found.append((spec, registry().load(spec)))
            except WavechainError:
                continue
        return found


def registers(subject: PluginSubject) -> None:
    try:
        register = subject.ask()
    except Exception as error:  # noqa: BLE001 - importing a module may raise anything
        said = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        raise subject.broken("registers", said) from None
    if not any((register.stages, register.presets, register.models, register.parts)):
        raise subject.broken("registers", "It registers no stage, preset, model or part.")


def entry_module_light(subject: PluginSubject) -> None:
    loaded = _probe(subject, "entry-module-light", ())
    heavy = [name for name in HEAVY if name in loaded]
    if heavy:
        raise subject.broken("entry-module-light", f"import {subject.module} loads {', '.join(heavy)}.")


def registers_without_dependencies(subject: PluginSubject) -> None:
    gone = sorted({package for spec in subject.register.stages for package in spec.requires})
    if not gone:
        raise NotApplicable("it requires no packages")
    _probe(subject, "registers-without-dependencies", gone)


def _probe(subject: PluginSubject, promise: str, gone: Any) -> list[str]:
    """What importing and registering loads, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, subject.module, json.dumps(sys.path), json.dumps(list(gone))],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        without = f" without {', '.join(gone)}" if gone else ""
        raise subject.broken(promise, f"In a new process{without}: {last}.")
    loaded: list[str] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def stages_load(subject: PluginSubject) -> None:
    faults = []
    for spec in subject.register.stages:
        if spec.missing:
            continue
        try:
            registry().load(spec)
        except WavechainError as error:
            faults.append(error.message)
    if faults:
        raise subject.broken("stages-load", *faults)


def registered_name(subject: PluginSubject) -> None:
    for spec, cls in subject.loaded():
        name_fault(spec, cls, subject.who)


def summaries(subject: PluginSubject) -> None:
    said = {each.name: each.summary for each in subject.register.stages}
    said |= {each.name: each.summary for each in subject.register.presets}
    faults = [
        f"{name}: a summary of {len(summary)} characters: {summary!r}."
        for name, summary in said.items()
        if not 10 <= len(summary) <= 90
    ]
    if faults:
        raise subject.broken("summaries", *faults)


def parameters_documented(subject: PluginSubject) -> None:
    faults = [f"{spec.name}: {fault}" for spec, cls in subject.loaded() for fault in documentation_faults(cls)]
    if faults:
        raise subject.broken("parameters-documented", *faults)


def schema(subject: PluginSubject) -> None:
    faults = [fault for _, cls in subject.loaded() if (fault := schema_fault(cls))]
    if faults:
        raise subject.broken("schema", *faults)


def presets_load(subject: PluginSubject) -> None:
    from wavechain.chain import Chain

    if not subject.register.presets:
        raise NotApplicable("it brings no presets")
    faults = []
    for preset in subject.register.presets:
        try:
            Chain.load(preset.file)
        except WavechainError as error:
            faults.append(f"{preset.name}: {error}")
    if faults:
        raise subject.broken("presets-load", *faults)
