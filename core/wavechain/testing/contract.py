"""What the contract classes share: tests made from checks, and a guard against taking one away unnoticed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wavechain.errors import nearest
from wavechain.testing import checks
from wavechain.testing.promises import BrokenPromise, NotApplicable
from wavechain.testing.summary import note_exception

REASON_LENGTH = 15
OURS = "wavechain.testing."


class ContractError(TypeError):
    """A contract class that leaves something out, or takes something away."""


class Contract:
    """What all contracts share.

    exceptions  promise -> why this stage does not make it
    """

    exceptions: ClassVar[Mapping[str, str]] = {}
    _checks: ClassVar[checks.Checks] = {}
    # Set in a subclass, these would keep checks from running without a word.
    _kept: ClassVar[tuple[str, ...]] = (
        "__test__",
        "_checks",
        "_kept",
        "_cases",
        "_subject",
        "pytest_generate_tests",
        "__init_subclass__",
    )

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls.__module__.startswith(OURS):
            for promise, check in cls._checks.items():
                setattr(cls, _method(promise), _test_of(promise, check))
            return
        _refuse_overrides(cls)
        _refuse_exceptions(cls)
        cls._complete()

    @classmethod
    def _complete(cls) -> None:
        """Raise ContractError where the author left something out."""

    @classmethod
    def _cases(cls) -> Sequence[Any]:
        """What the checks are run on, one after the other."""
        raise NotImplementedError

    def _subject(self, case: Any, folder: Path) -> Any:
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every test that takes ``stage`` runs for each of the settings."""
        if "stage" in metafunc.fixturenames:
            cases = list(self._cases())
            metafunc.parametrize("stage", cases, ids=[_label(case, number) for number, case in enumerate(cases)])


def _method(promise: str) -> str:
    return f"test_{promise.replace('-', '_')}"


def _test_of(promise: str, check: checks.Check) -> Callable[..., None]:
    def test(self: Contract, stage: Any, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        if promise in self.exceptions:
            note_exception(request.config, type(self).__name__, promise, self.exceptions[promise])
            pytest.skip(f"{promise}: declared exception: {self.exceptions[promise]}")
        text = ""
        try:
            checks.judge(promise, check, self._subject(stage, tmp_path))
        except NotApplicable as reason:
            pytest.skip(f"{promise}: does not concern it: {reason}")
        except BrokenPromise as broken:
            text = str(broken)
        if text:
            pytest.fail(text, pytrace=False)

    test.__name__ = _method(promise)
    test.__doc__ = f"The promise {promise}."
    return test


def _refuse_overrides(cls: type[Contract]) -> None:
    home = next(base for base in cls.__mro__ if issubclass(base, Contract) and base.__module__.startswith(OURS))
    guarded = {_method(promise): promise for promise in home._checks} | dict.fromkeys(cls._kept, "")
    for name, promise in guarded.items():
        if name == "__test__":
            same = "__test__" not in vars(cls) or vars(cls)["__test__"] is True
        else:
            same = inspect.getattr_static(cls, name, None) is inspect.getattr_static(home, name)
        if not same:
            hint = f'exceptions = {{"{promise}": "why"}}.' if promise else "leave it out."
            raise ContractError(f"{cls.__name__} overrides {name}, which belongs to {home.__name__}. Try: {hint}")


def _refuse_exceptions(cls: type[Contract]) -> None:
    declared: Mapping[Any, Any] = cls.exceptions
    for promise, reason in declared.items():
        if promise not in cls._checks:
            guess = nearest(promise, cls._checks)
            hint = f"{guess}." if guess else f"one of {', '.join(cls._checks)}."
            raise ContractError(f"{cls.__name__}: no promise is called {promise!r}. Try: {hint}")
        if not isinstance(reason, str) or len(reason.strip()) < REASON_LENGTH:
            raise ContractError(
                f"{cls.__name__}: the exception from {promise} has no reason ({reason!r}). Try: a sentence that says "
                "what the stage does instead, and why."
            )


def _label(case: Any, number: int) -> str:
    if isinstance(case, str):
        return case
    return f"{case.stage_name()}-{number}"
