"""What the conformance kit checks, and the signals that come with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

from reference.text import plain, table
from wavechain import testing
from wavechain.testing import checks
from wavechain.testing.promises import PROMISES

# (heading, what it says, its checks, those that were listed before)
GROUPS: tuple[tuple[str, str, checks.Checks, checks.Checks], ...] = (
    ("The settings of any stage", "Part of every contract but the last three.", checks.SETTINGS_CHECKS, {}),
    ("EffectContract", "The settings, and:", checks.STREAM_CHECKS, checks.SETTINGS_CHECKS),
    ("FeatureTransformContract", "All of `EffectContract`, and:", checks.TRANSFORM_CHECKS, checks.STREAM_CHECKS),
    ("ModelContract", "All of `EffectContract`, and:", checks.MODEL_CHECKS, checks.STREAM_CHECKS),
    ("LoaderContract", "The settings, and:", checks.LOADER_CHECKS, checks.SETTINGS_CHECKS),
    ("WriterContract", "The settings, and:", checks.WRITER_CHECKS, checks.SETTINGS_CHECKS),
    ("A recipe or a degradation", "Part of both contracts.", checks.PART_CHECKS, {}),
    ("RecipeContract", "The settings, and:", checks.RECIPE_CHECKS, checks.PART_CHECKS),
    ("DegradationContract", "The settings, and:", checks.DEGRADATION_CHECKS, checks.PART_CHECKS),
    ("PluginContract", "For the plugin as a whole:", checks.PLUGIN_CHECKS, {}),
)


def promise_tables() -> Iterator[str]:
    for heading, says, made, before in GROUPS:
        rows = [[f"`{name}`", plain(PROMISES[name][0])] for name in made if name not in before]
        yield f"### {heading}\n\n{says}\n\n{table(['promise', 'what it says'], rows)}\n"


def signal_table() -> str:
    functions = [getattr(testing, name) for name in testing.__all__ if name[0].islower()]
    signals = [each for each in functions if inspect.signature(each).return_annotation == "Audio"]
    rows = [
        [
            f"`{each.__name__}`",
            re.sub(r"\*(\w+)\*", r"`\1`", (inspect.getdoc(each) or "").partition("\n\n")[0]),
            _own(each),
        ]
        for each in signals
        if "sample_rate" in inspect.signature(each).parameters
    ]
    return table(["signal", "what it is", "its own parameters"], rows)


def _own(signal: object) -> str:
    """The parameters that not every signal has."""
    assert callable(signal)
    names = [
        name for name in inspect.signature(signal).parameters if name not in ("sample_rate", "seconds", "channels")
    ]
    return ", ".join(f"`{name}`" for name in names)
