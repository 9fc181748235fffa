"""Nothing but input and settings decides the output: not what came before, not the process, not the thread."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache

import numpy as np

from wavechain.engine import prepare
from wavechain.stream import Block
from wavechain.testing.playing import Crashed, Fed, Signal, Watching, play
from wavechain.testing.promises import BrokenPromise
from wavechain.testing.subject import Subject, difference


def same_every_time(subject: Subject) -> None:
    signal = subject.input
    first, again = subject.plain(signal), subject.play(signal)
    found = difference(first.data, again.data, 0, ("the first time", "the second"))
    if found and not _same_in_fresh_processes(subject):  # else it is a trace of the first time, and reported as such
        raise subject.broken("same-every-time", f"The same {signal} twice.", found)


def leaves_no_trace(subject: Subject) -> None:
    signal, other = subject.input, subject.other
    alone = subject.plain(signal)
    subject.play(other)
    after = subject.play(signal)
    found = difference(alone.data, after.data, 0, ("alone", "after another stream"))
    if found and _same_in_fresh_processes(subject):
        raise subject.broken("leaves-no-trace", f"{signal}, then {other}, then the first again.", found)
    if found:
        return
    signal = subject.taken(signal, signal.steps // 4)
    other = subject.taken(other, signal.steps)
    size = max(1, min(signal.steps, other.steps) // 8)
    alone = play(subject.stage, signal, [size])
    found = difference(alone.data, _beside(subject, signal, other, size), 0, ("alone", "beside another stream"))
    if found:
        raise subject.broken("leaves-no-trace", f"{signal} and {other}, in turns of {size} steps.", found)


def _beside(subject: Subject, signal: Signal, other: Signal, size: int) -> Block:
    """The output for *signal* while *other* is played in turns with it."""
    here, there = (prepare([subject.stage], Fed(each, [size]), Watching()).blocks for each in (signal, other))
    blocks = []
    for block in here:
        blocks.append(block)
        next(there, None)
    for _ in there:
        pass
    return np.concatenate(blocks, axis=-1)


def same_in_a_spawned_process(subject: Subject) -> None:
    signal = subject.part
    if not subject.steady(signal):
        return  # not even the same in this process, which is reported as such
    here = subject.play(signal)
    try:
        parcel = pickle.dumps((subject.stage, signal.spec, signal.data))
    except Exception:  # noqa: BLE001 - reported as `pickles`
        return
    try:
        there = _worker().submit(_play_there, sys.path, parcel).result()
    except BrokenProcessPool:
        _worker.cache_clear()
        raise subject.broken("same-in-a-spawned-process", "The process died.") from None
    if isinstance(there, str):
        raise subject.broken("same-in-a-spawned-process", f"The process says: {there}")
    found = difference(here.data, there, 0, ("here", "in another process"))
    if found:
        raise subject.broken("same-in-a-spawned-process", found)


def _same_in_fresh_processes(subject: Subject) -> bool:
    """Whether two processes that have done nothing else agree: then what differs here is what came before."""
    signal = subject.input
    try:
        parcel = pickle.dumps((subject.stage, signal.spec, signal.data))
    except Exception:  # noqa: BLE001 - reported as `pickles`
        return True
    outputs = []
    for _ in range(2):
        with _spawning() as fresh:
            outputs.append(fresh.submit(_play_there, sys.path, parcel).result())
    one, two = outputs
    return isinstance(one, str) or isinstance(two, str) or not difference(one, two, 0, ("", ""))


@cache
def _worker() -> Executor:
    """One process for all checks of this kind: starting one takes longer than most of them."""
    return _spawning()


def _spawning() -> Executor:
    return ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))


def _play_there(path: list[str], parcel: bytes) -> Block | str:
    sys.path[:] = path
    try:
        stage, spec, data = pickle.loads(parcel)
        return play(stage, Signal(spec, data)).data
    except (Crashed, BrokenPromise) as error:
        return f"it {error}."
    except Exception as error:  # noqa: BLE001 - to be told in the parent
        return f"{type(error).__name__}: {error}."
