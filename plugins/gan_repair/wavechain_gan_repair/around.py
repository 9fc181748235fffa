"""Each of a stream's items with those before and after it: what is needed to judge a sound by what it lies in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Around(Generic[Item]):
    """Tells each item once so many after it have come, or the end has."""

    def __init__(self, before: int, after: int) -> None:
        self._most, self._after = before, after
        self._items: deque[Item] = deque()
        self._before = self._told = 0

    def push(self, item: Item) -> Iterator[tuple[int, list[Item], int]]:
        """(how many were told, the items there are around the next, its place among them): once, or not yet."""
        self._items.append(item)
        if len(self._items) - self._before > self._after:
            yield self._next()

    def rest(self) -> Iterator[tuple[int, list[Item], int]]:
        """Those that still wait."""
        while len(self._items) > self._before:
            yield self._next()

    def _next(self) -> tuple[int, list[Item], int]:
        told, place = self._told, self._before
        around = list(islice(self._items, place + 1 + self._after))
        self._told += 1
        self._before += 1
        if self._before > self._most:
            self._before -= 1
            self._items.popleft()
        return told, around, place
