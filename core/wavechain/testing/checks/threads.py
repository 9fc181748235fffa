"""Two threads at once make the same output: in lockstep, which finds every race in Python code, and left to chance."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from wavechain.stream import Block
from wavechain.testing.playing import Signal, play
from wavechain.testing.subject import Subject, difference

BLOCK = 64
MOST_TURNS = 4000
# A thread that waits for a lock which the other holds gives its turn back after this long.
PATIENCE_SECONDS = 0.02


def same_in_two_threads(subject: Subject) -> None:
    pair = [subject.taken(subject.input, 4800), subject.taken(subject.other, 4800)]
    if not all(subject.steady(signal) for signal in pair):
        return  # it is not even the same in one thread, which is reported as such
    alone = [subject.play(signal, [BLOCK]).data for signal in pair]
    _compare(subject, alone, _together(subject, pair, _Turns(_code_of(subject)).follow))
    with _frequent_switches():
        _compare(subject, alone, _together(subject, pair, lambda index: contextlib.nullcontext()))


def _compare(subject: Subject, alone: Sequence[Block], together: Sequence[Block | Exception]) -> None:
    for expected, found in zip(alone, together, strict=True):
        if isinstance(found, Exception):
            raise subject.broken("same-in-two-threads", f"Two streams at once: it {found}.")
        apart = difference(expected, found, 0, ("alone", "with another thread"))
        if apart:
            raise subject.broken("same-in-two-threads", f"Two streams at once, in blocks of {BLOCK}.", apart)


def _together(
    subject: Subject, pair: Sequence[Signal], pace: Callable[[int], contextlib.AbstractContextManager[Any]]
) -> list[Block | Exception]:
    """What two threads make of two signals. Each runs inside the context that *pace* gives for its number."""
    made: dict[int, Block | Exception] = {}
    start = threading.Barrier(2)

    def one(index: int) -> None:
        start.wait()
        try:
            with pace(index):
                made[index] = play(subject.stage, pair[index], [BLOCK]).data
        except Exception as error:  # noqa: BLE001 - whatever it is, it did not happen in one thread
            made[index] = error

    threads = [threading.Thread(target=one, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [made[0], made[1]]


class _Turns:
    """Lets two threads through the code in *folder* in turns, line by line."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._changed = threading.Condition()
        self._turn = 0
        self._left = MOST_TURNS
        self._ended: set[int] = set()

    @contextlib.contextmanager
    def follow(self, index: int) -> Iterator[None]:
        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            return each_line if frame.f_code.co_filename.startswith(self._folder) else None

        def each_line(frame: FrameType, event: str, argument: Any) -> Any:
            if event == "line":
                self._pass_on(index)
            return each_line

        usual = sys.gettrace()
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(usual)
            with self._changed:
                self._ended.add(index)
                self._changed.notify_all()

    def _pass_on(self, index: int) -> None:
        with self._changed:
            if self._left <= 0:
                return
            self._left -= 1
            self._turn = 1 - index
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._turn == index or self._ended, PATIENCE_SECONDS)


def _code_of(subject: Subject) -> Path:
    """The folder with the stage's code."""
    file = getattr(sys.modules.get(type(subject.stage).__module__), "__file__", None)
    return Path(file or __file__).parent


@contextlib.contextmanager
def _frequent_switches() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
