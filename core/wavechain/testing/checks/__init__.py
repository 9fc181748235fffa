"""The conformance kit as plain functions: each takes a subject and raises `BrokenPromise`, `NotApplicable` or nothing.

The pytest classes of `wavechain.testing.contracts` and ``wavechain plugins check`` both call these.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wavechain.errors import MissingDependencyError
from wavechain.testing.checks import (
    degradations,
    features,
    form,
    isolation,
    loading,
    memory,
    neural,
    plugin,
    recipes,
    settings,
    sound,
    threads,
    timing,
    writing,
)
from wavechain.testing.checks.degradations import DegradationSubject
from wavechain.testing.checks.plugin import PluginSubject
from wavechain.testing.checks.recipes import RecipeSubject
from wavechain.testing.playing import Crashed, Refused
from wavechain.testing.promises import BrokenPromise, NotApplicable

HERE = Path(__file__).parents[1]
Check = Callable[[Any], None]
Checks = Mapping[str, Check]


def _named(*checks: Check) -> dict[str, Check]:
    """Checks by the promises they are about: ``streamed_is_whole`` is about ``streamed-is-whole``."""
    return {check.__name__.replace("_", "-"): check for check in checks}


_SETTINGS = (settings.parameters_documented, settings.settings_frozen, settings.pickles)

SETTINGS_CHECKS: Checks = _named(*_SETTINGS, settings.registered_name)

STREAM_CHECKS: Checks = {
    **SETTINGS_CHECKS,
    **_named(
        settings.toml_round_trip,
        form.runs,
        form.float32_blocks,
        form.declared_shape,
        form.length_law,
        form.finite_output,
        form.out_spec,
        form.input_untouched,
        isolation.same_every_time,
        isolation.leaves_no_trace,
        form.streamed_is_whole,
        form.short_signals,
        form.unknown_length,
        timing.latency_by_impulse,
        timing.tail_rings_out,
        timing.tail_ends,
        sound.silence_stays_silent,
        sound.nan_is_not_hidden,
        sound.channel_counts,
        sound.sample_rates,
        sound.sounds_alike_at_any_rate,
        threads.same_in_two_threads,
        isolation.same_in_a_spawned_process,
        memory.bounded_memory,
    ),
}

TRANSFORM_CHECKS: Checks = {
    **STREAM_CHECKS,
    **_named(
        features.entry_module_light,
        features.features_described,
        features.mismatch_refused,
        features.inverse_comes_back,
        features.inverse_streamed_is_whole,
        features.inverse_bounded_memory,
    ),
}

MODEL_CHECKS: Checks = {
    **STREAM_CHECKS,
    **_named(
        features.entry_module_light,
        features.mismatch_refused,
        neural.capabilities_true,
        neural.process_keeps_time,
        neural.samples_from_the_seed,
    ),
}

LOADER_CHECKS: Checks = {
    **SETTINGS_CHECKS,
    **_named(
        loading.suffix_registered,
        loading.float32_blocks,
        loading.samples_are_true,
        loading.length_is_true,
        loading.read_in_any_size,
        loading.leaves_no_trace,
        loading.truncation_refused,
        loading.garbage_refused,
        loading.tags_in_form,
        loading.files_closed,
        loading.bounded_memory,
    ),
}

WRITER_CHECKS: Checks = {
    **SETTINGS_CHECKS,
    **_named(
        writing.suffix_registered,
        writing.written_comes_back,
        writing.every_frame_written,
        writing.written_in_any_size,
        writing.same_every_time,
        writing.leaves_no_trace,
        writing.input_untouched,
        writing.channel_counts,
        writing.sample_rates,
        writing.unwritable_refused,
        writing.bounded_memory,
    ),
}

PART_CHECKS: Checks = _named(*_SETTINGS, settings.settings_round_trip)

RECIPE_CHECKS: Checks = {
    **PART_CHECKS,
    **_named(
        recipes.clips_can_be_cut,
        recipes.networks_from_the_seed,
        recipes.turns_name_networks,
        recipes.phases_ascend,
        recipes.batch_in_form,
        recipes.chance_from_the_generators,
        recipes.input_untouched,
        recipes.loss_is_finite,
        recipes.loss_moves_its_networks,
        recipes.loss_repeats,
        recipes.figures_are_finite,
        recipes.preview_is_sound,
    ),
}

DEGRADATION_CHECKS: Checks = {
    **PART_CHECKS,
    **_named(
        degradations.worsened_keeps_shape,
        degradations.finite_output,
        degradations.chance_from_the_generators,
        degradations.input_untouched,
        degradations.wanted_as_declared,
    ),
}

PLUGIN_CHECKS: Checks = _named(
    plugin.registers,
    plugin.entry_module_light,
    plugin.registers_without_dependencies,
    plugin.stages_load,
    plugin.registered_name,
    plugin.summaries,
    plugin.parameters_documented,
    plugin.schema,
    plugin.presets_load,
)

__all__ = [
    "DEGRADATION_CHECKS",
    "LOADER_CHECKS",
    "MODEL_CHECKS",
    "PART_CHECKS",
    "PLUGIN_CHECKS",
    "RECIPE_CHECKS",
    "SETTINGS_CHECKS",
    "STREAM_CHECKS",
    "TRANSFORM_CHECKS",
    "WRITER_CHECKS",
    "Check",
    "Checks",
    "DegradationSubject",
    "Outcome",
    "PluginSubject",
    "RecipeSubject",
    "examine",
    "judge",
]


@dataclass(frozen=True)
class Outcome:
    """What became of one check, and why. ``needless`` is an exception from a promise that is kept."""

    promise: str
    state: Literal["kept", "broken", "skipped", "needless"]
    text: str = ""
    broken: BrokenPromise | None = None


def judge(promise: str, check: Check, subject: Any) -> None:
    """Run one check. Whatever goes wrong is a `BrokenPromise`."""
    try:
        check(subject)
    except BrokenPromise as broken:
        if broken.promise != promise and broken.promise in getattr(subject, "plain_faults", ()):
            raise NotApplicable(f"it breaks {broken.promise} on any music, which is reported as such") from None
        raise
    except (NotApplicable, MissingDependencyError):
        raise
    except Refused as refused:
        raise _unforeseen(promise, subject, f"It refuses legal input: {refused.error}") from refused.error
    except Crashed as crash:
        raise _unforeseen(promise, subject, f"It {crash}{_place(crash.error)}.") from crash.error
    except Exception as error:
        if _in_the_kit(error):
            raise
        fact = f"It failed with {type(error).__name__}: {error}{_place(error)}."
        raise _unforeseen(promise, subject, fact) from error


def _unforeseen(promise: str, subject: Any, fact: str) -> BrokenPromise:
    return BrokenPromise(promise, fact, who=subject.who)


def _in_the_kit(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).is_relative_to(HERE)


def _place(error: BaseException) -> str:
    """The line of code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""


def examine(subject: Any, checks: Checks, exceptions: Collection[str] = ()) -> Iterator[Outcome]:
    """Run all *checks* but the *exceptions*, one outcome each."""
    for promise, check in checks.items():
        if promise in exceptions:
            yield Outcome(promise, "skipped", "a declared exception")
            continue
        try:
            judge(promise, check, subject)
        except BrokenPromise as broken:
            yield Outcome(broken.promise, "broken", str(broken), broken)
        except NotApplicable as reason:
            yield Outcome(promise, "skipped", str(reason))
        else:
            yield Outcome(promise, "kept")
