"""Seeds: every random number of a run comes from (run seed, file, place in the chain), so runs can be repeated."""

from __future__ import annotations

import hashlib


def derive_seed(run_seed: int, *parts: object) -> int:
    """A 63-bit seed for one purpose; the same on every machine and in every process.

    >>> derive_seed(0, "song.flac", "dither") == derive_seed(0, "song.flac", "dither")
    True
    >>> derive_seed(0, "song.flac", 1) == derive_seed(0, "song.flac", 2)
    False
    """
    text = "\x1f".join([str(run_seed), *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1
