"""Random search for the smallest input that breaks a promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wavechain.errors import MissingDependencyError


class Flaky(Exception):  # noqa: N818 - what happened, not what it is called
    """The same input broke the promise once, and once did not."""


def hunt(test: Callable[[int, list[int]], None], steps: int, examples: int) -> None:
    """Call ``test(steps, sizes)`` with signal lengths up to *steps* and block sizes of all kinds, 1 to 3 among them.

    The same examples on every run. What *test* raises is raised for the smallest input that makes it do so.
    """
    try:
        import hypothesis
        from hypothesis import strategies as st
    except ModuleNotFoundError:
        raise MissingDependencyError("the conformance kit needs hypothesis.", hint="pip install hypothesis.") from None

    size = st.one_of(st.integers(1, 3), st.integers(1, max(1, steps)))
    sizes = st.lists(size, min_size=1, max_size=5)

    def limited(steps: int, sizes: list[int]) -> None:
        # Hundreds of blocks show what thousands would.
        steps = min(steps, 400 * sum(sizes) // len(sizes))
        test(steps, used(sizes, steps))

    run: Any = hypothesis.given(st.integers(1, max(1, steps)), sizes)(limited)
    run = hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )(run)
    try:
        run()
    except hypothesis.errors.Flaky as flaky:
        raise Flaky(str(flaky)) from None


def used(sizes: Sequence[int], steps: int) -> list[int]:
    """Those of *sizes* that a signal of *steps* gets to see."""
    kept, done = [], 0
    for size in sizes:
        if done >= steps:
            break
        kept.append(min(size, steps - done))
        done += size
    return kept or [1]
