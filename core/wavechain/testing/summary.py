"""Declared exceptions, listed at the end of a test run whatever its verbosity."""

from __future__ import annotations

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
    manager = config.pluginmanager
    found = manager.get_plugin(NAME)
    if not isinstance(found, _Exceptions):
        found = _Exceptions()
        manager.register(found, NAME)
    found.lines[f"{contract}: {promise}: {reason}"] = None
