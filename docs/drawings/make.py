"""The drawings of the pages about the kinds of stage.

    python docs/drawings/make.py            write every drawing that is stale
    python docs/drawings/make.py --check    write nothing, name what is stale, fail when there is any

What a drawing shows is found out, not made up: the examples are read from the page that shows them, and run on small
signals. Only `which_kind` and `writer` are charts of words. The same code draws the same bytes.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from wavechain import Audio, Chain, Media, OutputOptions
from wavechain.engine import Opening, prepare
from wavechain.origins import AudioOrigin
from wavechain.stream import Spec
from wavechain.testing import streamed

HERE = Path(__file__).parent
KINDS = HERE.parent / "kinds"
RATE = 48_000
INK, MUTED, LINE, PAPER, SHADE = "#24292f", "#667080", "#c9ccd1", "#fdfdfc", "#eef0f2"
BLUE, PALE, ORANGE, GREEN = "#2f6fb2", "#cfe0f2", "#c9681c", "#2c7a4b"
WIDTH = 760


class Drawing:
    """An SVG picture on a card of its own, so that it can be read on light and dark pages."""

    def __init__(self, height: int, title: str) -> None:
        self.height = height
        self.title = title
        self._parts: list[str] = []

    def text(self, x: float, y: float, words: str, *, at: str = "start", colour: str = INK, size: int = 13,
             weight: str = "normal", code: bool = False) -> None:  # fmt: skip
        family = ' class="code"' if code else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{at}" fill="{colour}" font-size="{size}" '
            f'font-weight="{weight}"{family}>{escape(words)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, *, colour: str = LINE, width: float = 1,
             dashed: bool = False, arrow: bool = False) -> None:  # fmt: skip
        extra = ' stroke-dasharray="4 3"' if dashed else ""
        extra += ' marker-end="url(#arrow)"' if arrow else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width:g}"{extra}/>'
        )

    def box(self, x: float, y: float, width: float, height: float, *, fill: str = SHADE, stroke: str = "none",
            radius: float = 0, dashed: bool = False) -> None:  # fmt: skip
        extra = ' stroke-dasharray="4 3"' if dashed else ""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" fill="{fill}" '
            f'stroke="{stroke}"{extra}/>'
        )

    def curve(self, points: list[tuple[float, float]], *, colour: str = BLUE, width: float = 1.5) -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
            'stroke-linejoin="round"/>'
        )

    def dot(self, x: float, y: float, *, colour: str = BLUE, radius: float = 3) -> None:
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"/>')

    def stems(self, place: Callable[[float], float], base: float, height: float, values: Any, *, colour: str = BLUE,
              first: int = 0) -> None:  # fmt: skip
        """One lollipop a step. Steps of nothing are small dots on the base line."""
        for step, value in enumerate(values, first):
            top = base - height * float(value)
            if value:
                self.line(place(step), base, place(step), top, colour=colour, width=2)
            self.dot(place(step), top, colour=colour if value else LINE, radius=3.5 if value else 2)

    def bracket(self, x1: float, x2: float, y: float, words: str, *, colour: str = ORANGE) -> None:
        """A measure from x1 to x2, with its words above."""
        self.line(x1, y, x2, y, colour=colour, width=1.5)
        for x in (x1, x2):
            self.line(x, y - 4, x, y + 4, colour=colour, width=1.5)
        self.text((x1 + x2) / 2, y - 7, words, at="middle", colour=colour, size=12)

    def svg(self) -> str:
        style = (
            "text{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}"
            ".code{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}"
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" '
            f'height="{self.height}" role="img">\n<title>{escape(self.title)}</title>\n<style>{style}</style>\n'
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{MUTED}"/></marker></defs>\n'
            f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{self.height - 1}" rx="8" fill="{PAPER}" '
            f'stroke="{LINE}"/>\n'
        )
        return head + "\n".join(self._parts) + "\n</svg>\n"


def examples(page: str) -> dict[str, Any]:
    """What the examples of a page define."""
    text = (KINDS / page).read_text(encoding="utf-8")
    defined: dict[str, Any] = {"__name__": page}
    for code in re.findall(r"^```python\n(.*?)^```$", text, flags=re.M | re.S):
        if ">>>" not in code:
            exec(compile(code, page, "exec"), defined)
    return defined


def steps_from(left: float, width: float) -> Callable[[float], float]:
    """Where the middle of a step lies, when steps of *width* begin at *left*."""
    return lambda step: left + (step + 0.5) * width


def impulses(length: int, *at: int) -> Audio:
    waveform = np.zeros((1, length), np.float32)
    waveform[0, list(at)] = 1
    return Audio(waveform, RATE)


def processor_of(stage: Any, audio: Audio) -> Any:
    return stage.open(audio.spec)


def tail() -> Drawing:
    before = impulses(16, 2, 12)
    stage = examples("effect.md")["Echo"](delay_seconds=6 / RATE)
    declared = int(processor_of(stage, before).tail)
    after, cut = stage(before), streamed(stage, before, [16], tail_seconds=0)
    end = before.frames
    drawing = Drawing(300, "The tail of an echo")
    place = steps_from(180, 24)
    x_end = place(end) - 12
    drawing.box(x_end, 34, declared * 24, 240, fill="#fbeedd")
    drawing.text(x_end + declared * 12, 26, f"tail = {declared}", at="middle", colour=ORANGE, weight="bold")
    drawing.line(x_end, 34, x_end, 274, colour=ORANGE, dashed=True)
    rows = (
        ("the input", "16 steps", before, BLUE),
        ("with its tail", f"{after.frames} steps", after, GREEN),
        ("with --tail 0", f"{cut.frames} steps: cut off", cut, MUTED),
    )
    for row, (name, note, audio, colour) in enumerate(rows):
        base = 96 + 82 * row
        drawing.text(20, base - 14, name, weight="bold")
        drawing.text(20, base + 4, note, colour=MUTED, size=12)
        drawing.stems(place, base, 46, audio.waveform[0], colour=colour)
    drawing.text(x_end + declared * 12, 112, "silence is fed", at="middle", colour=ORANGE, size=12)
    return drawing


def latency() -> Drawing:
    before = impulses(18, 8)
    stage = examples("effect.md")["Smooth"](reach_seconds=4 / RATE)
    processor = processor_of(stage, before)
    late, rings = processor.latency, int(processor.tail)
    raw = np.concatenate([processor.process(before.waveform), processor.process(before.spec.zeros(late + rings))], -1)
    after = stage(before)
    drawing = Drawing(320, "Latency: late by so many steps, and put right by the core")
    place = steps_from(180, 21)
    drawing.line(place(8), 36, place(8), 300, colour=BLUE, dashed=True)
    drawing.text(place(8), 26, "one instant", at="middle", colour=BLUE, size=12)
    raw_base = 196
    drawing.box(place(0) - 10.5, raw_base - 56, late * 21, 72, fill="#fbeedd")
    drawing.text(place(0) - 8, raw_base + 33, "discarded", colour=ORANGE, size=12)
    drawing.box(place(18) - 10.5, raw_base - 56, (late + rings) * 21, 72, fill=SHADE)
    drawing.text(place(18) - 8, raw_base + 33, f"for {late} + {rings} steps of silence", colour=MUTED, size=12)
    middle = int(np.flatnonzero(raw[0])[[0, -1]].mean())
    drawing.bracket(place(8), place(middle), raw_base - 62, f"latency = {late}")
    for base, name, note, values, colour, height in (
        (100, "the input", f"{before.frames} steps", before.waveform[0], BLUE, 46),
        (raw_base, "process() returns", f"{raw.shape[-1]} steps", raw[0], ORANGE, 46 * 5),
        (290, "what you get", f"{after.frames} steps", after.waveform[0], GREEN, 46 * 5),
    ):
        drawing.text(20, base - 14, name, weight="bold")
        drawing.text(20, base + 4, note, colour=MUTED, size=12)
        drawing.stems(place, base, height, values, colour=colour)
    return drawing


def context() -> Drawing:
    reach, core, length = 4, 8, 28
    window_of = examples("effect.md")["_Even"]
    spec = Spec.audio(RATE, 1, length)
    seen: list[list[int]] = []

    class Recorded(window_of):  # type: ignore[misc, valid-type]
        def compute(self, window: Any) -> Any:
            seen.append([round(float(value)) for value in window[0]])
            return super().compute(window)

    numbered = np.arange(1, length + 1, dtype=np.float32)[np.newaxis]
    recorder = Recorded(spec, left=reach, right=reach, core=core)
    recorder.process(numbered)
    recorder.flush()

    def answer(waveform: Any) -> Any:
        processor = window_of(spec, left=reach, right=reach, core=core)
        return np.concatenate([processor.process(waveform), processor.flush()], axis=-1)[0]

    ones = np.ones((1, length), np.float32)
    moved = np.zeros((length, length), bool)
    for step in range(length):
        for other in (2.0, 0.5):
            changed = ones.copy()
            changed[0, step] = other
            moved[step] |= answer(changed) != answer(ones)
    drawing = Drawing(226 + 9 * length, f"Windows of {reach} + {core} + {reach} steps, and what depends on what")
    cell = 14
    place = steps_from(220, cell)
    drawing.text(20, 26, "what compute() sees", weight="bold")
    for row, window in enumerate(seen):
        y = 40 + 32 * row
        first = next(value for value in window if value) - 1 - next(k for k, value in enumerate(window) if value)
        drawing.text(20, y + 16, f"window {row + 1}", colour=MUTED, size=12)
        for k, value in enumerate(window):
            inside = reach <= k < reach + core
            x = place(first + k) - cell / 2
            fill = (BLUE if inside else PALE) if value else PAPER
            drawing.box(x + 1, y, cell - 2, 22, fill=fill, stroke=LINE if not value else "none")
            if not value:
                drawing.text(x + cell / 2, y + 15, "0", at="middle", colour=MUTED, size=10)
        if row == 0:
            middle = place(first + reach + core / 2 - 0.5)
            drawing.text(middle, y + 15, "core", at="middle", colour=PAPER, size=12)
            drawing.text(place(first + reach + core + reach / 2 - 0.5), y + 15, "right", at="middle", size=12)
        elif row == 1:
            drawing.text(place(first + reach / 2 - 0.5), y + 15, "left", at="middle", size=12)
    top = 40 + 32 * len(seen) + 34
    drawing.text(20, top + 2, "which input steps", weight="bold")
    drawing.text(20, top + 19, "change an output step", weight="bold")
    drawing.text(20, top + 44, "across: input step", colour=MUTED, size=12)
    drawing.text(20, top + 61, "down: output step", colour=MUTED, size=12)
    drawing.box(place(0) - cell / 2, top, length * cell, length * 9, fill=SHADE)
    for source, target in np.argwhere(moved):
        own = source == target
        drawing.box(
            place(source) - cell / 2 + 0.5, top + 9 * target + 0.5, cell - 1, 8, fill=BLUE if own else "#8fb6dd"
        )
    for border in range(core, length, core):
        drawing.line(place(0) - cell / 2, top + 9 * border, place(length) - cell / 2, top + 9 * border, colour=ORANGE,
                     dashed=True)  # fmt: skip
        drawing.text(place(0) - cell / 2 - 6, top + 9 * border + 4, "new window", at="end", colour=ORANGE, size=11)
    return drawing


def fixed_blocks() -> Drawing:
    arriving, size = [7, 4, 10, 2, 6], 8
    length = sum(arriving)
    hold = examples("effect.md")["_Hold"]
    seen: list[list[int]] = []

    class Recorded(hold):  # type: ignore[misc, valid-type]
        def step(self, chunk: Any) -> Any:
            seen.append([round(float(value)) for value in chunk[0]])
            return super().step(chunk)

    processor = Recorded(Spec.audio(RATE, 1, length), size=size)
    numbered = np.arange(1, length + 1, dtype=np.float32)[np.newaxis]
    edges = np.cumsum([0, *arriving])
    given = [processor.process(numbered[:, a:b]).shape[-1] for a, b in pairwise(edges)]
    given.append(processor.flush().shape[-1])
    drawing = Drawing(216, "Uneven blocks in, even chunks inside")
    cell = 16
    place = steps_from(190, cell)
    left = place(0) - cell / 2
    names = (("blocks arrive", "of any size"), ("step() sees", "always the same size"), ("process() returns", ""))
    for row, (name, note) in enumerate(names):
        drawing.text(20, 44 + 66 * row, name, weight="bold", code="(" in name)
        drawing.text(20, 61 + 66 * row, note, colour=MUTED, size=12)
    drawing.text(20, 193, "and at the end flush()", colour=MUTED, size=12)
    for start, count in zip(edges[:-1], arriving, strict=True):
        drawing.box(left + start * cell + 1, 28, count * cell - 2, 32, fill=PALE, stroke=BLUE)
        drawing.text(left + (start + count / 2) * cell, 49, str(count), at="middle", colour=BLUE, weight="bold")
    for number, chunk in enumerate(seen):
        sound = sum(1 for value in chunk if value)
        x = left + number * size * cell
        drawing.box(x + 1, 94, size * cell - 2, 32, fill=PAPER, stroke=BLUE, dashed=True)
        drawing.box(x + 1, 94, sound * cell - 2, 32, fill=BLUE)
        drawing.text(x + sound * cell / 2, 115, str(sound), at="middle", colour=PAPER, weight="bold")
        if sound < size:
            drawing.text(x + (sound + (size - sound) / 2) * cell, 115, f"{size - sound} zeros", at="middle",
                         colour=MUTED, size=12)  # fmt: skip
    for x, count in zip([*(left + edges[1:] * cell), left + (length + 2.4) * cell], given, strict=True):
        drawing.line(x, 140, x, 166, colour=MUTED, arrow=True)
        drawing.text(x, 184, str(count), at="middle", colour=GREEN if count else MUTED, weight="bold")
    drawing.text(left + (length + 2.4) * cell, 200, "flush", at="middle", colour=MUTED, size=11)
    return drawing


def measured() -> Drawing:
    frames, cut = 480, 60
    time = np.arange(frames) / frames
    swell = 0.06 + 0.38 * np.exp(-(((time - 0.62) / 0.16) ** 2)) + 0.16 * np.exp(-(((time - 0.2) / 0.07) ** 2))
    before = Audio.of((swell * np.sin(2 * np.pi * 30 * time)).astype(np.float32), RATE)
    stage = examples("effect.md")["FullScale"]()
    analysis, so_far = stage.analyse(before.spec, []), []
    for start in range(0, frames, cut):
        analysis.feed(before.waveform[:, start : start + cut])
        so_far.append(analysis.result())
    after = stage(before)
    passes = prepare([stage], AudioOrigin(before), Opening()).passes
    drawing = Drawing(330, f"{passes} passes: measure, then apply")
    left, wide = 180, 540
    for row, (name, note, audio, colour) in enumerate((
        ("pass 1", "listens", before, BLUE), ("pass 2", "applies", after, GREEN),
    )):  # fmt: skip
        base, high = 92 + 154 * row, 56
        drawing.text(20, base - 6, name, weight="bold")
        drawing.text(20, base + 11, note, colour=MUTED, size=12)
        drawing.line(left, base, left + wide, base)
        for sign in (-1, 1):
            drawing.line(left, base + sign * high, left + wide, base + sign * high, dashed=True)
        drawing.text(left - 6, base - high + 4, "full scale", at="end", colour=MUTED, size=11)
        drawing.curve([(left + wide * k / frames, base - high * float(value))
                       for k, value in enumerate(audio.waveform[0])], colour=colour, width=1.2)  # fmt: skip
    stairs: list[tuple[float, float]] = []
    for block, peak in enumerate(so_far):
        x = left + wide * block * cut / frames
        stairs += [(x, 92 - 56 * peak), (x + wide * cut / frames, 92 - 56 * peak)]
        drawing.line(x, 36, x, 148, colour=SHADE)
    drawing.curve(stairs, colour=ORANGE, width=2)
    drawing.text(left + wide, 26, f"the highest sample so far: {so_far[-1]:.2f} at the end", at="end", colour=ORANGE,
                 size=12)  # fmt: skip
    drawing.line(left + wide / 2, 156, left + wide / 2, 180, colour=MUTED, arrow=True)
    drawing.text(left + wide / 2 + 12, 173, f"times {1 / so_far[-1]:.2f}", colour=ORANGE, size=12)
    drawing.text(left, 320, "The same stream goes by twice; nothing is kept but one number.", colour=MUTED, size=12)
    return drawing


def transform() -> Drawing:
    n_fft, hop, frames, event = 64, 16, 192, 88
    chain = Chain.of(f"stft:n_fft={n_fft},hop_length={hop}")
    prepared = prepare(chain.stages, AudioOrigin(impulses(frames, event)), Opening())
    spectra = np.concatenate(list(prepared.blocks), axis=-1)
    levels = np.sqrt((spectra**2).sum(axis=(0, 1, 2)))
    levels = levels / levels.max()
    drawing = Drawing(300, "Where the columns of a spectrum stand")
    left, scale = 180, 2.85
    drawing.text(20, 78, "the sound", weight="bold")
    drawing.text(20, 95, f"an impulse at frame {event}", colour=MUTED, size=12)
    drawing.line(left, 104, left + frames * scale, 104)
    x = left + event * scale
    drawing.line(x, 104, x, 50, width=2, colour=BLUE)
    drawing.dot(x, 50, radius=4)
    drawing.line(x, 142, x, 252, colour=BLUE, dashed=True)
    drawing.text(20, 208, "its columns", weight="bold")
    drawing.text(20, 225, f"one every {hop} frames,", colour=MUTED, size=12)
    drawing.text(20, 241, f"each hears {n_fft}", colour=MUTED, size=12)
    loudest = int(np.argmax(levels))
    for column, level in enumerate(levels):
        x = left + column * hop * scale
        heard = level > 1e-6
        drawing.box(x - 9, 244 - 92 * float(level), 18, max(1.0, 92 * float(level)), fill=GREEN if heard else LINE)
        drawing.text(x, 264, str(column), at="middle", colour=INK if heard else MUTED, size=12)
        drawing.line(x, 100, x, 108, colour=MUTED)
    drawing.text(left, 286, f"column k stands at frame {hop} k", colour=MUTED, size=12)
    reach = n_fft // 2 * scale
    centre = left + loudest * hop * scale
    drawing.bracket(centre - reach, centre + reach, 136, f"what column {loudest} hears")
    return drawing


def loader() -> Drawing:
    frames, size = 2500, 1000
    write, read = examples("writer.md"), examples("loader.md")
    audio = Audio(np.zeros((1, frames), np.float32), RATE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "voice.plain")
        writer = write["PlainWriter"]()
        sink = writer.open(path, audio.spec, writer.encoding(".plain", audio.spec, Media(), OutputOptions()))
        sink.write(audio.waveform)
        sink.close()
        total = path.stat().st_size
        counts = []
        with read["PlainLoader"]().open(path) as source:
            while not counts or counts[-1]:
                counts.append(source.read(size).shape[-1])
    header = read["HEADER"].size
    drawing = Drawing(196, "What a loader reads, and what each read gives")
    left, wide, head = 180, 480, 56
    drawing.text(20, 50, "the file", weight="bold")
    drawing.text(20, 67, f"{total} bytes", colour=MUTED, size=12)
    drawing.box(left, 34, head, 40, fill="#fbeedd", stroke=ORANGE)
    drawing.text(left + head / 2, 52, "header", at="middle", colour=ORANGE, size=12)
    drawing.text(left + head / 2, 67, f"{header} bytes", at="middle", colour=ORANGE, size=10)
    drawing.box(left + head, 34, wide - head, 40, fill=PALE, stroke=BLUE)
    drawing.text(left + head + (wide - head) / 2, 59, f"{frames} frames: compared with the size of the file",
                 at="middle", colour=BLUE, size=12)  # fmt: skip
    drawing.text(20, 133, f"read({size})", weight="bold", code=True)
    drawing.text(20, 150, "again and again", colour=MUTED, size=12)
    x = float(left + head)
    for count in counts:
        width = (wide - head) * count / frames
        if count:
            drawing.box(x + 1, 112, width - 2, 40, fill=BLUE, radius=3)
            drawing.text(x + width / 2, 137, str(count), at="middle", colour=PAPER, weight="bold")
        else:
            drawing.box(x + 14, 112, 34, 40, fill=PAPER, stroke=BLUE, dashed=True, radius=3)
            drawing.text(x + 31, 137, "0", at="middle", colour=BLUE, weight="bold")
            drawing.text(x + 31, 172, "the end", at="middle", colour=MUTED, size=12)
        x += width
    drawing.line(left + head, 76, left + head, 110, dashed=True)
    drawing.line(left + wide, 76, left + wide, 110, dashed=True)
    return drawing


def writer() -> Drawing:
    drawing = Drawing(210, "The last mile, and which part of it is the writer's")
    steps = (
        ("in the plan", (("encoding()", True),)),
        ("block by block", (("overs", False), ("dither", False), ("write()", True))),
        ("at the end", (("close()", True), ("tags, cover", False), ("verify", False), ("fsync, rename", False))),
    )
    for row, (when, boxes) in enumerate(steps):
        y = 24 + 52 * row
        drawing.text(20, y + 22, when, weight="bold")
        for column, (name, yours) in enumerate(boxes):
            x = 180 + 144 * column
            drawing.box(x, y, 116, 34, fill=BLUE if yours else SHADE, stroke=BLUE if yours else LINE, radius=5)
            drawing.text(x + 58, y + 22, name, at="middle", colour=PAPER if yours else INK, code=yours, size=12)
            if column + 1 < len(boxes):
                drawing.line(x + 118, y + 17, x + 142, y + 17, colour=MUTED, width=1.5, arrow=True)
    drawing.box(180, 184, 12, 12, fill=BLUE)
    drawing.text(198, 194, "the writer", size=12)
    drawing.box(324, 184, 12, 12, fill=SHADE, stroke=LINE)
    drawing.text(342, 194, "the core, under a temporary name until the rename", size=12)
    return drawing


def which_kind() -> Drawing:
    questions = (
        ("Does it make weights out of data?", "trainer"),
        ("Does it open a file format?", "loader"),
        ("Does it write one?", "writer"),
        ("Does it come with trained weights?", "model"),
        ("Does it make features out of sound?", "transform"),
    )
    helpers = (
        ("the sample of that instant", "pointwise"),
        ("the past", "Processor"),
        ("a little of the future", "Processor, latency"),
        ("both sides", "Window"),
        ("how the signal is cut", "FixedBlocks"),
        ("a number about all of it", "MeasuredEffect"),
        ("every sample there is", "WholeEffect"),
    )
    drawing = Drawing(618, "Which kind of stage do I need?")
    left, wide = 60, 320
    for row, (question, kind) in enumerate(questions):
        y = 24 + 58 * row
        drawing.box(left, y, wide, 36, fill=PAPER, stroke=INK, radius=18)
        drawing.text(left + wide / 2, y + 23, question, at="middle")
        drawing.line(left + wide + 2, y + 18, 508, y + 18, colour=MUTED, width=1.5, arrow=True)
        drawing.text(444, y + 12, "yes", at="middle", colour=MUTED, size=12)
        drawing.box(512, y, 170, 36, fill=BLUE, radius=5)
        drawing.text(597, y + 23, kind, at="middle", colour=PAPER, weight="bold", code=True)
        drawing.line(left + wide / 2, y + 38, left + wide / 2, y + 56, colour=MUTED, width=1.5, arrow=True)
        drawing.text(left + wide / 2 + 10, y + 51, "no", colour=MUTED, size=12)
    y = 24 + 58 * len(questions)
    drawing.box(left, y, wide, 36, fill=BLUE, radius=5)
    drawing.text(left + wide / 2, y + 23, "effect", at="middle", colour=PAPER, weight="bold", code=True)
    drawing.text(left, y + 66, "One output sample depends on ...", weight="bold")
    drawing.text(420, y + 66, "so build on", weight="bold")
    for row, (answer, helper) in enumerate(helpers):
        top = y + 78 + 30 * row
        drawing.text(left + 16, top + 18, answer)
        drawing.line(left + 205, top + 13, 412, top + 13, colour=LINE, width=1.5, arrow=True)
        drawing.box(420, top, 262, 25, fill=PALE, radius=4)
        drawing.text(432, top + 17, helper, code=True, size=12)
    return drawing


DRAWINGS = {
    "which-kind": which_kind,
    "tail": tail,
    "latency": latency,
    "context": context,
    "fixed-blocks": fixed_blocks,
    "measured": measured,
    "transform": transform,
    "loader": loader,
    "writer": writer,
}


def made() -> dict[Path, str]:
    """Every drawing, by the file it belongs in."""
    return {HERE / f"{name}.svg": draw().svg() for name, draw in DRAWINGS.items()}


def main(arguments: Sequence[str]) -> int:
    checking = "--check" in arguments
    stale = {path: svg for path, svg in made().items() if not path.exists() or path.read_text(encoding="utf-8") != svg}
    for path, svg in stale.items():
        if not checking:
            path.write_text(svg, encoding="utf-8", newline="\n")
        print(f"{path.name} is stale. Try: python docs/drawings/make.py" if checking else f"written: {path.name}")
    return 1 if stale and checking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
