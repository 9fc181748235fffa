"""Checkpoints: everything a run needs to go on bit for bit, in one safetensors file that is there whole or not at all.

Conventions
    Tensors are named by what they are: ``network/repairnet/enter.weight``, ``average/...``,
    ``optimizer/repairnet/3/exp_avg``, ``recent/0/...``, ``random/torch``. Numbers and texts stand in the file's header
    as JSON. No pickle, so nothing in such a file can run.
    A file is written beside the old one, flushed to disk and renamed over it: a full disk or a kill leaves the old one.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wavechain.errors import UnreadableError, UnwritableError

FORMAT = "wavechain-training/1"


def write(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Raises UnwritableError, the file that was there before untouched."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    header = {"format": FORMAT, "facts": json.dumps(facts, sort_keys=True)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary, header)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UnwritableError(
            f"{path}: the checkpoint cannot be written ({why}); the one before is still there.",
            hint="make room, then wavechain train … --resume.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Raises UnreadableError for a file that is missing, truncated or not a checkpoint of this program."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise UnreadableError(
                    f"{path}: its format is {header.get('format', 'unknown')!r}, and this trainer reads {FORMAT!r}.",
                    hint="the folder that wavechain train wrote, or a new run without --resume.",
                )
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(header["facts"])  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        why = "there is none" if isinstance(error, FileNotFoundError) else f"it is truncated or damaged: {error}"
        raise UnreadableError(
            f"{path}: the checkpoint cannot be read ({why}).",
            hint="an older copy of it, or a new run without --resume.",
        ) from error
