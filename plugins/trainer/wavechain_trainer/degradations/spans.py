"""Ranges that a setting is drawn from: two numbers, the lower one first, both inside what makes sense."""

from __future__ import annotations

import numpy as np
from pydantic import AfterValidator

Span = tuple[float, float]


def within(lowest: float, highest: float) -> AfterValidator:
    """A check for a range setting: ``snr_db: Annotated[Span, within(-60, 120)] = param((-5.0, 20.0), ...)``."""

    def check(span: Span) -> Span:
        if not lowest <= span[0] <= span[1] <= highest:
            raise ValueError(f"two rising numbers between {lowest:g} and {highest:g}")
        return span

    return AfterValidator(check)


def draw(rng: np.random.Generator, span: Span) -> float:
    """A number out of *span*, all equally likely."""
    return float(rng.uniform(*span))


def draw_log(rng: np.random.Generator, span: Span) -> float:
    """A number out of *span* (above zero): equal ratios equally likely, as fits rates, lengths and frequencies."""
    return float(np.exp(rng.uniform(np.log(span[0]), np.log(span[1]))))
