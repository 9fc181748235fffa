"""Curves as inline SVG, for a page that loads nothing from anywhere.

Conventions: steps to the right; few points are drawn as they are, many as the mean of each of `POINTS` stretches, over
the range that the values of that stretch have. Values beyond the drawing lie on its edge.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 460, 200, 56, 24, 26
POINTS, FEW = 150, 40


def curve_svg(name: str, points: Sequence[tuple[int, float]], steps: int) -> str:
    """One curve from step 0 to *steps*; what is not finite is left out."""
    points = [(step, value) for step, value in points if math.isfinite(value)]
    title = html.escape(name)
    if not points:
        return ""
    thin = _thinned(points)
    # A loss falls steeply at first: what is seen is the height of what follows.
    later = thin[len(thin) // 10 :] if len(thin) > FEW else thin
    low, high, ticks = _ticks([value for _, _, *values in later for value in values])
    span = max(steps, points[-1][0], 1)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * step / span

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (min(max(value, low), high) - low) / (high - low)

    parts = [f'<text x="8" y="16" class="name">{title}</text>']
    parts.append(f'<text x="{WIDTH - 10}" y="16" class="last">{points[-1][1]:.4g}</text>')
    for tick in ticks:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" class="tick">{tick:.6g}</text>')
    for at, where in ((0, "step"), (span // 2, "step"), (span, "step last-step")):
        parts.append(f'<text x="{x(at):.1f}" y="{HEIGHT - 7}" class="{where}">{at}</text>')
    if len(thin) < len(points):
        edge = [(step, top) for step, _, _, top in thin] + [(step, least) for step, _, least, _ in reversed(thin)]
        parts.append(f'<polygon points="{_path(edge, x, y)}" class="range"/>')
    parts.append(f'<polyline points="{_path([(step, mean) for step, mean, _, _ in thin], x, y)}" class="curve"/>')
    if len(thin) <= FEW:
        parts += [f'<circle cx="{x(step):.1f}" cy="{y(mean):.1f}" r="2.5" class="dot"/>' for step, mean, _, _ in thin]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{"".join(parts)}</svg>'


def _thinned(points: Sequence[tuple[int, float]]) -> list[tuple[float, float, float, float]]:
    """(step, mean, least, most) of each stretch."""
    stretch = max(1, math.ceil(len(points) / POINTS))
    thin = []
    for start in range(0, len(points), stretch):
        values = [value for _, value in points[start : start + stretch]]
        middle = points[start : start + stretch]
        thin.append((sum(s for s, _ in middle) / len(middle), sum(values) / len(values), min(values), max(values)))
    return thin


def _ticks(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """(low, high, round numbers between them): a third more or less than three lines."""
    least, most = min(values), max(values)
    if most - least < 1e-9 * max(abs(most), 1.0):
        least, most = least - max(abs(least), 1.0) * 0.1, most + max(abs(most), 1.0) * 0.1
    raw = (most - least) / 3
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
    first, last = math.floor(least / step), math.ceil(most / step)
    return first * step, last * step, [index * step for index in range(first, last + 1)]


def _path(points: Sequence[tuple[float, float]], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    return " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points)
