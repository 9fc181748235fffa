"""Benchmarks: every speed and memory figure that the documents state, as ratios measured in one run.

    python tests/benchmarks/bench.py            all of them (about ten minutes on two cores)
    python tests/benchmarks/bench.py speed      only those named: speed jobs memory startup runner steps kit repair
                                                restoration

CPU means user + system seconds of the whole process tree, start-up included. Contenders take turns, so that a noisy
machine slows all of them alike; medians are shown.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    cpu: float
    wall: float
    peak_mb: float


def cost_of(command: Sequence[str | Path]) -> Cost:
    """Run a command to its end. Raises when it fails."""
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=errors)
        watch = _PeakMemory(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        if status:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(map(str, command))}\n{errors.read().decode(errors='replace')}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, watch.stop())


class _PeakMemory:
    """Follows a process's peak resident memory; rusage would count the memory of the process that forked it too."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._peak_kb = 0
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> float:
        self._thread.join()
        return self._peak_kb / 1024

    def _follow(self) -> None:
        while True:
            try:
                text = self._status.read_text()
            except OSError:
                return
            if "VmHWM" not in text:  # it has ended and not yet been waited for
                return
            self._peak_kb = int(text.split("VmHWM:")[1].split()[0])
            time.sleep(0.02)


def take_turns(contenders: dict[str, Callable[[], Cost]], rounds: int) -> dict[str, Cost]:
    """The median cost of each contender."""
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            costs[name].append(run())
    return {
        name: Cost(*(statistics.median(getattr(cost, part) for cost in found) for part in ("cpu", "wall", "peak_mb")))
        for name, found in costs.items()
    }


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for people and for documents."""
    widths = [max(len(row[index]) for row in (columns, *rows)) for index in range(len(columns))]
    print(f"\n{title}")
    for row in (columns, *rows):
        print(
            "  "
            + "  ".join(
                cell.ljust(width) if not index else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
    sys.stdout.flush()


def wavechain(*arguments: str | Path) -> list[str | Path]:
    """A command line of the installed program."""
    return [Path(sys.executable).with_name("wavechain"), *arguments]


def have(program: str) -> str | None:
    """Where a peer is, or None: its row then says so."""
    return shutil.which(program)


def main(wanted: Sequence[str]) -> None:
    import importlib

    names = ["runner", "speed", "jobs", "memory", "startup", "steps", "kit", "repair", "restoration"]
    for name in wanted:
        if name not in names:
            raise SystemExit(f"no benchmark is called {name!r}. Try: {', '.join(names)}.")
    with tempfile.TemporaryDirectory(prefix="wavechain-bench-") as folder:
        for name in wanted or names:
            importlib.import_module(f"bench_{name}").run(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
