"""Being told to stop, and stopping.

A signal handler can only raise KeyboardInterrupt wherever Python happens to be, and there it may be lost: modules
made by Cython, numpy.random among them, swallow what is raised while they are imported. So the handler remembers as
well, and whoever works through a long stream asks at each block.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

_state = {"told": False}


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """SIGTERM, SIGHUP and Ctrl+C raise KeyboardInterrupt in the body, for good: `heed` raises it again.

    Only in the main thread. A process that was started deaf to Ctrl+C (``nohup``, a shell's background job) stays so.
    """
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)]
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    before = {number: signal.signal(number, stop) for number in numbers if number != signal.SIGINT or not deaf}
    try:
        yield
    finally:
        _state["told"] = False
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: set by something not Python


def stop(signum: int, frame: object) -> None:
    """The handler of a signal: unwinds the stack, which removes partial files."""
    _state["told"] = True
    raise KeyboardInterrupt


def heed() -> None:
    """Raises KeyboardInterrupt when a signal told this process to stop, though somebody swallowed that."""
    if _state["told"]:
        raise KeyboardInterrupt
