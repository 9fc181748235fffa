"""The conformance kit for pytest: subclass one class per stage, name the stage, and get every check of the contract.

    from wavechain.testing import EffectContract

    class TestTremolo(EffectContract):
        stage = Tremolo(rate_hz=5)          # or stages = [several settings]

A check cannot be overridden or deleted. Where a stage breaks a promise by design, say so; the check is then skipped,
and the reason stands in the summary of the test run, and in the report of ``wavechain plugins check FOLDER``. An
exception that no setting needs is a failure:

        exceptions = {"latency-by-impulse": "An echo comes later: that is what it is for."}

Tests of one's own may be added; those with a parameter named ``stage`` run once for each of the settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from wavechain.audio import Audio
from wavechain.output import OutputOptions
from wavechain.recipes import Degradation, Recipe
from wavechain.stages import Chainable, FeatureTransform, Loader, Model, Stage, Writer
from wavechain.testing import checks
from wavechain.testing.contract import Contract, ContractError
from wavechain.testing.subject import FileSubject, Subject, WriterSubject


class _StageContract(Contract):
    """A contract for one stage class.

    stage, stages  the settings to check: one, or several
    """

    stage: ClassVar[Any] = None
    stages: ClassVar[Sequence[Any]] = ()
    _interface: ClassVar[type[Any]] = Stage

    @classmethod
    def _complete(cls) -> None:
        if (cls.stage is None) == (not cls.stages):
            raise ContractError(f"{cls.__name__} names no stage, or both. Try: stage = Tremolo(), or stages = [...].")
        for case in cls._cases():
            if not isinstance(case, cls._interface):
                raise ContractError(
                    f"{cls.__name__}: {case!r} is not a {cls._interface.__name__} object. Try: stage = Tremolo()."
                )

    @classmethod
    def _cases(cls) -> Sequence[Any]:
        return cls.stages if cls.stage is None else [cls.stage]


class StreamContract(_StageContract):
    """Every check of a stage that turns one stream into another.

    before    stages that make its input out of audio: ``[Stft()]`` for an effect on spectra
    audio     the sound it is tried on, where music of 48 kHz, in as many channels as it takes, will not do
    examples  how many random ways of cutting the input into blocks are tried, beside the usual ones
    """

    before: ClassVar[Sequence[Stage]] = ()
    audio: ClassVar[Audio | None] = None
    examples: ClassVar[int] = 12
    _checks = checks.STREAM_CHECKS
    _interface: ClassVar[type[Any]] = Stage

    def _subject(self, case: Chainable, folder: Path) -> Subject:
        number = next(number for number, each in enumerate(self._cases()) if each is case)
        contract: Any = type(self)
        return _subject_of(contract, number)


@lru_cache(maxsize=8)
def _subject_of(contract: Any, number: int) -> Subject:
    """One for all checks of a case: what plain music becomes is found out once."""
    return Subject(contract._cases()[number], contract.before, contract.audio, contract.examples)


class EffectContract(StreamContract):
    """For an Effect (audio to audio, or features to features), and for whatever else stands in a chain."""

    _interface = Chainable


class FeatureTransformContract(StreamContract):
    """For a FeatureTransform: audio to features, and back where there is an inverse."""

    _checks = checks.TRANSFORM_CHECKS
    _interface = FeatureTransform


class ModelContract(StreamContract):
    """For a Model: a trained network, as a stage or as a source of new sound."""

    _checks = checks.MODEL_CHECKS
    _interface = Model


class LoaderContract(_StageContract):
    """For a Loader. Write `make_file`: the checks need files whose sound they know.

    tolerance  by how much a sample may differ after the way into the file and back
    """

    tolerance: ClassVar[float] = 2.0**-15
    examples: ClassVar[int] = 12
    _checks = checks.LOADER_CHECKS
    _interface = Loader

    def make_file(self, folder: Path, audio: Audio) -> Path:
        """Write *audio* into *folder* in the loader's format, and return what the loader is to open."""
        raise NotImplementedError

    @classmethod
    def _complete(cls) -> None:
        super()._complete()
        if cls.make_file is LoaderContract.make_file:
            raise ContractError(f"{cls.__name__} makes no files. Try: def make_file(self, folder, audio): ...")

    def _subject(self, case: Loader, folder: Path) -> FileSubject:
        return FileSubject(case, self.make_file, folder, self.tolerance, self.examples)


class WriterContract(_StageContract):
    """For a Writer.

    suffix     of the files it is to write: ``".wav"``
    output     what is asked of the file, where the defaults will not do
    tolerance  by how much a sample of a lossless format may differ after the way into the file and back
    """

    suffix: ClassVar[str] = ""
    output: ClassVar[OutputOptions] = OutputOptions()
    tolerance: ClassVar[float] = 2.0**-15
    examples: ClassVar[int] = 8
    _checks = checks.WRITER_CHECKS
    _interface = Writer

    def read_back(self, path: Path) -> Audio:
        """Read a finished file. The installed loaders do, unless this is overridden."""
        return Audio.read(path)

    @classmethod
    def _complete(cls) -> None:
        super()._complete()
        if not cls.suffix.startswith("."):
            raise ContractError(f'{cls.__name__} does not say what it writes. Try: suffix = ".wav".')

    def _subject(self, case: Writer, folder: Path) -> WriterSubject:
        return WriterSubject(case, self.suffix, folder, self.output, self.read_back, self.tolerance, self.examples)


class RecipeContract(_StageContract):
    """For a Recipe. Give it the smallest networks and the shortest clips that it takes: it is tried many times."""

    _checks = checks.RECIPE_CHECKS
    _interface = Recipe

    def _subject(self, case: Recipe, folder: Path) -> checks.RecipeSubject:
        return checks.RecipeSubject(case)


class DegradationContract(_StageContract):
    """For a Degradation, which training and benches draw from."""

    _checks = checks.DEGRADATION_CHECKS
    _interface = Degradation

    def _subject(self, case: Degradation, folder: Path) -> checks.DegradationSubject:
        return checks.DegradationSubject(case)


class PluginContract(Contract):
    """For a plugin as a whole.

        class TestPlugin(PluginContract):
            module = "wavechain_tremolo"

    module  the entry module, as the entry point names it
    name    the plugin's name, where it is not that of the module without ``wavechain_``
    """

    module: ClassVar[str] = ""
    name: ClassVar[str] = ""
    _checks = checks.PLUGIN_CHECKS

    @classmethod
    def _complete(cls) -> None:
        if not cls.module:
            raise ContractError(f'{cls.__name__} names no plugin. Try: module = "wavechain_tremolo".')

    @classmethod
    def _cases(cls) -> Sequence[Any]:
        return [cls.module]

    def _subject(self, case: str, folder: Path) -> checks.PluginSubject:
        return checks.PluginSubject(case, self.name)
