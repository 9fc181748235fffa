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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from wavechain.errors import UnreadableError, UnwritableError

FORMAT = "wavechain-training/1"
MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # what AdamW remembers of each weight
OTHER = "the recipe it was made with, or a new run without --resume."
_FACTS: dict[str, tuple[type, ...]] = {
    "step": (int,), "detour": (int,), "best": (int, float), "data": (str,), "optimizers": (list,)
}  # fmt: skip


def write(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Raises UnwritableError, the file that was there before untouched."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    header = {"format": FORMAT, "facts": json.dumps(facts, sort_keys=True)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, header)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        kept = "; the one before is still there" if path.exists() else ""
        raise UnwritableError(
            f"{path}: the checkpoint cannot be written ({why}){kept}.",
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
            facts = json.loads(header["facts"])
            if not isinstance(facts, dict):
                raise ValueError("its facts are no table")
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        why = "there is none" if isinstance(error, FileNotFoundError) else f"it is truncated or damaged: {error}"
        raise UnreadableError(
            f"{path}: the checkpoint cannot be read ({why}).",
            hint="an older copy of it, or a new run without --resume.",
        ) from error


def check(
    path: Path,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    wanted: Mapping[str, Tensor],
    networks: Mapping[str, nn.Module],
) -> None:
    """See that a checkpoint is of this recipe, before anything is taken from it.

    wanted  what has to be there, as it is in a run that has just begun: networks, averages, the random state
    Raises  UnreadableError, naming what is lacking, too much, or of another shape or sort
    """
    for name, kinds in _FACTS.items():
        value = facts.get(name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise UnreadableError(f"{path}: does not say its {name}.", hint="an older copy of it.")
    for name, like in wanted.items():
        if name not in tensors:
            raise UnreadableError(f"{path}: has no {name}: it is of another recipe.", hint=OTHER)
        _alike(path, name, tensors[name], like)
    weights = _weights(path, facts["optimizers"], networks)
    moments: dict[str, set[str]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition("/")
        if name in wanted or name == "random/cuda":
            continue
        if kind == "recent" and f"average/{rest.partition('/')[2]}" in wanted and rest.partition("/")[0].isdigit():
            _alike(path, name, tensor, wanted[f"average/{rest.partition('/')[2]}"])
            continue
        owner, _, field = rest.rpartition("/")
        if kind != "optimizer" or owner not in weights or field not in MOMENTS:
            raise UnreadableError(f"{path}: holds {name}, which is not of this recipe.", hint=OTHER)
        if field != "step":
            _alike(path, name, tensor, weights[owner])
        moments.setdefault(owner, set()).add(field)
    for owner, fields in moments.items():
        if fields != MOMENTS:
            lacking = min(MOMENTS - fields)
            raise UnreadableError(f"{path}: has no optimizer/{owner}/{lacking}.", hint="an older copy of it.")


def _weights(path: Path, optimizers: Sequence[Any], networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """What the optimisers move, by the name that their memory of it has: ``net+judge/0``."""
    weights: dict[str, Tensor] = {}
    for names in optimizers:
        if not isinstance(names, list) or not all(isinstance(name, str) and name in networks for name in names):
            raise UnreadableError(f"{path}: optimizers = {names!r} is not of this recipe.", hint=OTHER)
        moved = [weight for name in names for weight in networks[name].parameters()]
        weights |= {f"{'+'.join(names)}/{index}": weight for index, weight in enumerate(moved)}
    return weights


def _alike(path: Path, name: str, tensor: Tensor, like: Tensor) -> None:
    if tensor.shape != like.shape:
        sizes = f"{list(tensor.shape)}, here {list(like.shape)}"
        raise UnreadableError(f"{path}: {name} has the shape {sizes}: it is of another recipe.", hint=OTHER)
    if tensor.dtype != like.dtype:
        kinds = f"{tensor.dtype}, here {like.dtype}"
        raise UnreadableError(f"{path}: {name} is {kinds}: it is of another recipe.", hint=OTHER)
