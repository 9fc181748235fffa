"""File formats, limits and errors."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from reference.text import default, table, values
from wavechain import chainfile, engine, errors, nodes, output, plan, stream
from wavechain.audio import Media
from wavechain.output import OutputOptions
from wavechain.params import parameters
from wavechain.stages import Encoding, Writer
from wavechain.stream import Spec

DEPTHS: tuple[Literal["16", "24", "32", "float"], ...] = ("16", "24", "32", "float")
# Up to 48 kHz, and beyond.
LOW_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
RATES = (*LOW_RATES, 88_200, 96_000, 192_000, 384_000, 768_000)


def output_table() -> str:
    """The keys of the table ``[output]``."""
    rows = [[f"`{p.name}`", values(p), default(p), p.help] for p in parameters(OutputOptions)]
    return table(["key", "values", "default", "what it does"], rows)


def format_table(suffixes: Iterable[str]) -> str:
    """What every writer takes, found out by asking it."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for suffix in suffixes:
        writer = plan.find_writer(suffix)
        encoding = _asked(writer, suffix) or _asked(writer, suffix, rate=44_100)
        assert encoding is not None, suffix
        asked = {depth: _asked(writer, suffix, OutputOptions(bit_depth=depth)) for depth in DEPTHS}
        depths = ", ".join(depth for depth in DEPTHS if asked[depth])
        if depths and encoding.lossy:
            depths += ", and then lossless"
        channels = [count for count in range(1, output.MAX_CHANNELS + 1) if _asked(writer, suffix, channels=count)]
        rates = [rate for rate in RATES if _asked(writer, suffix, rate=rate)]
        lossy = ", lossy" if encoding.lossy else ""
        row = (encoding.container + lossy, depths or "has none", _ranges(channels), _rates(rates))
        rows.setdefault(row, []).append(suffix)
    lossless_first = sorted(rows.items(), key=lambda item: ("lossy" in item[0][0], item[1]))
    return table(
        ["files", "format", "bit depths", "channels", "common sample rates"],
        [[" ".join(f"`{suffix}`" for suffix in found), *row] for row, found in lossless_first],
    )


def _asked(
    writer: Writer, suffix: str, wanted: OutputOptions | None = None, *, channels: int = 2, rate: int = 48_000
) -> Encoding | None:
    try:
        return writer.encoding(suffix, Spec.audio(rate, channels, rate), Media(), wanted or OutputOptions())
    except (errors.SpecMismatchError, errors.ParameterError):
        return None


def _ranges(numbers: Sequence[int]) -> str:
    """Whole numbers as people list them: ``1 to 6, 8``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _rates(rates: Sequence[int]) -> str:
    if list(rates) == list(RATES):
        return "all"
    if list(rates) == list(RATES[: len(rates)]):
        return f"all up to {rates[-1]} Hz"
    return ", ".join(map(str, rates)) + " Hz"


def limit_table() -> str:
    floor_db = 20 * math.log10(float(nodes.TAIL_FLOOR))
    rows = [
        ["channels", f"{output.MAX_CHANNELS}", "a header may claim anything: [decision 7](decisions/0007-limits.md)"],
        ["sample rate", f"{output.MAX_SAMPLE_RATE:,} Hz", "the same"],
        ["length", f"{plan.MAX_HOURS:g} hours", "the same"],
        ["a block", f"{stream.BLOCK_SAMPLES:,} samples in all channels", "[decision 4](decisions/0004-block-size.md)"],
        [
            "a tail that names no length",
            f"until {floor_db:.0f} dBFS for {nodes.TAIL_HOLD_SECONDS:g} s, {nodes.TAIL_CAP_SECONDS:g} s at most",
            "`--tail SECONDS` sets another maximum",
        ],
        [
            "stages that need the whole signal",
            f"{engine.WHOLE_LIMIT_BYTES >> 30} GiB of samples",
            "refused in the plan, before work begins",
        ],
        ["a chain file", f"{chainfile.MAX_BYTES >> 20} MiB", "what is larger is not a chain"],
    ]
    return table(["limit", "value", "why"], rows)


def error_table() -> str:
    rows = []
    for cls, depth in _tree(errors.WavechainError):
        said = re.search(rf"\b{cls.__name__} +(\S.*?)(?: \(exit code \d\))?$", errors.__doc__ or "", re.MULTILINE)
        meaning = said[1] if said else "any of those below"
        rows.append([f"{'&emsp;' * depth}`{cls.__name__}`", str(cls.exit_code), meaning])
    return table(["error", "exit code", "meaning"], rows)


def _tree(cls: type[errors.WavechainError], depth: int = 0) -> Iterator[tuple[type[errors.WavechainError], int]]:
    yield cls, depth
    for below in cls.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _tree(below, depth + 1)
