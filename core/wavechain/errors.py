"""Everything wavechain can refuse, as one tree.

    WavechainError
    ├── UsageError                 the request itself is wrong (exit code 2)
    │   ├── ParameterError         a value out of range, of the wrong type, or misspelt
    │   └── OutputExistsError      the output is there already, or two inputs want the same one
    ├── ChainError                 a chain that cannot work (exit code 3)
    │   ├── UnknownStageError      no stage of that name
    │   ├── AmbiguousStageError    two plugins offer that short name
    │   ├── ChainFileError         a chain file that cannot be read as a chain
    │   └── SpecMismatchError      a stage is given a stream it does not take
    ├── PluginError                a plugin that is broken, blocked, in conflict or unavailable (exit code 3)
    │   └── MissingDependencyError a package that a stage needs is not installed
    └── MediaError                 this file cannot be processed (exit code 1)
        ├── UnreadableError        not audio, or not permitted
        │   └── DamagedError           audio, but truncated or corrupt: no other loader is asked
        ├── EmptyAudioError        no frames at all
        ├── TooLargeError          beyond a stated limit
        ├── NonFiniteError         NaN or infinity in the samples
        ├── OversError             samples beyond full scale, and the writer was told to refuse them
        ├── UnwritableError        the output cannot be written (permission, full disk, format)
        └── StageError             a stage broke its promise or failed while running

A message is one line: the place, both facts, and the next step after "Try:".
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_OK = 0
EXIT_FILES_FAILED = 1
EXIT_USAGE = 2
EXIT_CHAIN = 3
EXIT_INTERRUPTED = 130


class WavechainError(Exception):
    """Root of the tree. ``exit_code`` is what the command line returns when this error ends the run."""

    exit_code = EXIT_FILES_FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = " ".join(message.split())
        self.hint = " ".join(hint.split())
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} Try: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries: rebuild from the fields, whatever a subclass's signature is.
        return (_rebuild, (type(self), self.message, self.hint))

    def at(self, place: str) -> WavechainError:
        """The same error, naming where it happened (a file, a stage) unless it says so already."""
        if place and place not in self.message:
            return _rebuild(type(self), f"{place}: {self.message}", self.hint)
        return self


def _rebuild(kind: type[WavechainError], message: str, hint: str) -> WavechainError:
    error = kind.__new__(kind)
    WavechainError.__init__(error, message, hint=hint)
    return error


class UsageError(WavechainError):
    exit_code = EXIT_USAGE


class ParameterError(UsageError):
    """A value out of range, of the wrong type, or a misspelt name."""


class OutputExistsError(UsageError):
    """The output is there already, or two inputs want the same one."""


class ChainError(WavechainError):
    exit_code = EXIT_CHAIN


class UnknownStageError(ChainError):
    """No stage of that name."""


class AmbiguousStageError(ChainError):
    """Two plugins offer that short name."""


class ChainFileError(ChainError):
    """A chain file that cannot be read as a chain."""


class SpecMismatchError(ChainError):
    """A stage is given a stream that it does not take."""


class PluginError(WavechainError):
    exit_code = EXIT_CHAIN


class MissingDependencyError(PluginError):
    """A package that a stage needs is not installed."""


class MediaError(WavechainError):
    """This file cannot be processed."""


class UnreadableError(MediaError):
    """Not audio, or not permitted."""


class DamagedError(UnreadableError):
    """Audio, but truncated or corrupt: another loader might take a part of it for the whole."""


class EmptyAudioError(MediaError):
    """No frames at all."""


class TooLargeError(MediaError):
    """Beyond a stated limit."""


class NonFiniteError(MediaError):
    """NaN or infinity in the samples."""


class OversError(MediaError):
    """Samples beyond full scale, and the writer was told to refuse them."""


class UnwritableError(MediaError):
    """The output cannot be written."""


class StageError(MediaError):
    """A stage broke its promise or failed while running."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that *word* most likely meant, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.55)
    return close[0] if close else ""
