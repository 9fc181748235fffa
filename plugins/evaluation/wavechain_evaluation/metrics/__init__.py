"""The metrics, one family a module. Each is found by its name; nothing here imports them all."""

from __future__ import annotations
