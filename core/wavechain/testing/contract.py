"""What the contract classes share: tests made from checks, and a guard against taking one away unnoticed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wavechain.errors import MissingDependencyError, nearest
from wavechain.testing import checks
from wavechain.testing.promises import BrokenPromise, NotApplicable
from wavechain.testing.summary import note_exception

REASON_LENGTH = 15
OURS = "wavechain.testing."


class ContractError(TypeError):
    """A contract class that leaves something out, or takes something away."""


class Contract:
    """What all contracts share.

    exceptions  promise -> why this stage does not make it. This is the one place where it is said: the tests skip what
                is left out, and ``wavechain plugins check`` reads it here too, where it finds the tests. The check is
                made all the same; an exception from a promise that every setting keeps fails, so that none outlives
                its reason.
    """

    exceptions: ClassVar[Mapping[str, str]] = {}
    _checks: ClassVar[checks.Checks] = {}
    _needed: ClassVar[dict[str, bool]] = {}
    # Set in a subclass, these would keep checks from running without a word.
    _kept: ClassVar[tuple[str, ...]] = (
        "__test__",
        "_checks",
        "_kept",
        "_cases",
        "_subject",
        "_excused",
        "examined",
        "pytest_generate_tests",
        "__init_subclass__",
    )

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls.__module__.startswith(OURS):
            for promise, check in cls._checks.items():
                setattr(cls, _method(promise), _test_of(promise, check))
            return
        cls._needed = {}
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

    @classmethod
    def examined(cls, folder: Path, without: Collection[str] = ()) -> Iterator[tuple[Any, checks.Outcome]]:
        """Every check on every case, as its tests make them, but those of *without*. *folder* is for files."""
        for number, case in enumerate(cls._cases()):
            for promise, check in cls._checks.items():
                inner = folder / f"{number}-{promise}"
                inner.mkdir(parents=True)
                if promise in without:
                    yield case, checks.Outcome(promise, "skipped", "left out with --except")
                elif promise not in cls.exceptions:
                    subject = cls()._subject(case, inner)
                    yield from ((case, outcome) for outcome in checks.examine(subject, {promise: check}))
                elif cls._excused(promise, inner):
                    yield case, checks.Outcome(promise, "skipped", f"declared exception: {cls.exceptions[promise]}")
                else:
                    yield case, checks.Outcome(promise, "needless", needless(promise))

    @classmethod
    def _excused(cls, promise: str, folder: Path) -> bool:
        """Whether the exception from *promise* is needed: some setting breaks it. Found out once."""
        known: dict[str, bool] = vars(cls)["_needed"]
        if promise not in known:
            known[promise] = any(
                _breaks(cls()._subject(case, folder / f"case-{number}"), promise, cls._checks[promise])
                for number, case in enumerate(cls._cases())
            )
        return known[promise]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every test that takes ``stage`` runs for each of the settings."""
        if "stage" in metafunc.fixturenames:
            cases = list(self._cases())
            metafunc.parametrize("stage", cases, ids=[_label(case, number) for number, case in enumerate(cases)])


def needless(promise: str) -> str:
    """What to say of an exception that is not needed."""
    return f"an exception from {promise} is declared, and the promise is kept. Try: take it out of `exceptions`."


def _breaks(subject: Any, promise: str, check: checks.Check) -> bool:
    try:
        checks.judge(promise, check, subject)
    except NotApplicable:
        return False
    except (BrokenPromise, MissingDependencyError):  # without its packages, nobody can say
        return True
    return False


def _method(promise: str) -> str:
    return f"test_{promise.replace('-', '_')}"


def _test_of(promise: str, check: checks.Check) -> Callable[..., None]:
    def test(self: Contract, stage: Any, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        if promise in self.exceptions:
            if not self._excused(promise, tmp_path):
                pytest.fail(f"{type(self).__name__}: {needless(promise)}", pytrace=False)
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
