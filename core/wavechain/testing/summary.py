"""Declared exceptions, listed at the end of a test run whatever its verbosity.

Where pytest-xdist spreads tests over processes, each sends its list home; a ``conftest.py`` has it read there::

    from wavechain.testing.summary import pytest_testnodedown
"""

from __future__ import annotations

from typing import Any

import pytest

NAME = "wavechain-exceptions"


class _Exceptions:
    def __init__(self) -> None:
        self.lines: dict[str, None] = {}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("wavechain: promises that are not made")
        for line in self.lines:
            terminalreporter.line(line)


def note_exception(config: pytest.Config, contract: str, promise: str, reason: str) -> None:
    """Have the summary of this run say that *contract* leaves out *promise*, and why."""
    _listed(config, f"{contract}: {promise}: {reason}")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """xdist's hook: a process is done, and what it sent is listed here."""
    for line in getattr(node, "workeroutput", {}).get(NAME, []):
        _listed(node.config, line)


def _listed(config: pytest.Config, line: str) -> None:
    if (sent := getattr(config, "workeroutput", None)) is not None:
        sent.setdefault(NAME, []).append(line)
        return
    manager = config.pluginmanager
    found = manager.get_plugin(NAME)
    if not isinstance(found, _Exceptions):
        found = _Exceptions()
        manager.register(found, NAME)
    found.lines[line] = None
