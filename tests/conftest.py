"""Every test of the repository, spread over processes or not, has its exceptions listed at the end."""

from __future__ import annotations

from wavechain.testing.summary import pytest_testnodedown

__all__ = ["pytest_testnodedown"]
