"""The network at work on one stream: ONNX Runtime where the model has a graph, torch where it has none.

Both take and give NumPy arrays of the shapes in `wavechain_gan_repair.export`; they agree to 1e-4.
"""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from wavechain.errors import MissingDependencyError, ParameterError, UnreadableError
from wavechain.models import ModelFolder, load_network, open_model
from wavechain.registry.specs import is_installed
from wavechain.stream import Block
from wavechain_gan_repair.faults import FAULTS
from wavechain_gan_repair.settings import HIGHEST_RATE, LOWEST_RATE, SIZES, RepairNetSettings, bands, checked

GRAPH = "repairnet.onnx"
HOPS = 64
CONFIG_KEYS = {"format", "part", "settings", "sample_rate", "capabilities", "trained"}

Backend = Literal["auto", "onnx", "torch"]


class NetworkSession(Protocol):
    """Called with (spectra, spectra of what was mended, hint); remembers its state from stretch to stretch."""

    def __call__(self, spectra: Block, mended: Block, hint: Block) -> tuple[Block, Block]: ...


def settings_of(model: ModelFolder) -> RepairNetSettings:
    """Raises UnreadableError where the model's config is none of this family's."""
    whose, hint = f"{model.path}: config.json", "copy the model's folder again."
    if unknown := sorted(model.config.keys() - CONFIG_KEYS):
        raise UnreadableError(f"{whose}: {unknown[0]!r} means nothing to repairnet.", hint=hint)
    if not LOWEST_RATE <= model.sample_rate <= HIGHEST_RATE:
        raise UnreadableError(
            f"{whose}: sample_rate = {model.sample_rate} is not between {LOWEST_RATE} and {HIGHEST_RATE}.", hint=hint
        )
    try:
        return checked(model.settings, whose)
    except ParameterError as error:
        raise UnreadableError(error.message, hint=hint) from error


def open_session(model: ModelFolder, channels: int, backend: Backend) -> NetworkSession:
    """The network at the start of a stream.

    Raises  MissingDependencyError for a runtime that is not installed; UnreadableError for a graph that is not there,
            damaged, or not of the model's settings and weights
    """
    has_graph = (model.path / GRAPH).is_file()
    if backend == "onnx" or (backend == "auto" and has_graph and is_installed("onnxruntime")):
        if not has_graph:
            raise UnreadableError(f"{model.path}: has no {GRAPH}.", hint=_export(model.path))
        return _Onnx(model, channels)
    if not is_installed("torch"):
        package, extra = ("onnxruntime", "repair") if backend == "auto" and has_graph else ("torch", "train")
        raise MissingDependencyError(
            f"{model.path}: needs package {package}.", hint=f"pip install 'wavechain[{extra}]'."
        )
    return _Torch(model, channels)


def _export(folder: Path) -> str:
    return f"wavechain models export {folder} -o FOLDER --onnx."


class _Onnx:
    """One channel after the other: the activations of one are 15 MB."""

    def __init__(self, model: ModelFolder, channels: int) -> None:
        files = model.path / GRAPH, model.weights
        self._graph = _load_graph(*files, *(file.stat().st_mtime_ns for file in files))
        settings = settings_of(model)
        shape = SIZES[settings.size]
        start = np.zeros((shape["layers"], bands(settings.bins), shape["width"]), np.float32)
        self._states = [start] * channels
        columns = [1, 2, HOPS + settings.lookahead, settings.bins]
        by_config = {
            "spectra": columns,
            "mended": columns,
            "hint": [1, len(FAULTS)],
            "state": [*start.shape],
        }
        takes = {given.name: given.shape for given in self._graph.get_inputs()}
        for name, wanted in by_config.items():
            taken = takes.get(name, [])
            # What may be of any size, as the channels are, has a name there and no number.
            if [want if isinstance(has, str) else has for has, want in zip_longest(taken, wanted)] != wanted:
                raise UnreadableError(
                    f"{model.path}: {GRAPH} takes {name} of {taken}, by config.json it would be {wanted}.",
                    hint=_export(model.path),
                )

    def __call__(self, spectra: Block, mended: Block, hint: Block) -> tuple[Block, Block]:
        told = []
        for channel, state in enumerate(self._states):
            one = slice(channel, channel + 1)
            given = {"spectra": spectra[one], "mended": mended[one], "hint": hint[one], "state": state}
            repaired, faults, self._states[channel] = self._graph.run(["repaired", "faults", "next"], given)
            told.append((repaired, faults))
        return np.concatenate([each[0] for each in told]), np.concatenate([each[1] for each in told])


@lru_cache(maxsize=4)
def _load_graph(path: Path, weights: Path, *modified: int) -> Any:
    """One session of the runtime for each graph and process: loading takes longer than a minute of audio."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # jobs run side by side: see --jobs
    options.enable_mem_pattern = False  # plans for shapes that never come again: 10 MB
    options.log_severity_level = 3
    try:
        graph = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UnreadableError(
            f"{path}: cannot be read as an ONNX graph ({error}).", hint="copy the model's folder again."
        ) from error
    if not _was_made_of(path, weights):
        raise UnreadableError(f"{path}: was not made of the {weights.name} beside it.", hint=_export(path.parent))
    return graph


def _was_made_of(graph: Path, weights: Path) -> bool:
    """By what every step of training changes and the network only adds: it stands in both, byte for byte."""
    raw = weights.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    first, last = json.loads(raw[8:start]).get("place", {}).get("data_offsets", (0, 0))
    return first < last and raw[start + first : start + last] in graph.read_bytes()


class _Torch:
    def __init__(self, model: ModelFolder, channels: int) -> None:
        import torch

        self._torch = torch
        self._network = _load_network(str(model.path), model.weights.stat().st_mtime_ns)
        self._state = self._network.start(channels)

    def __call__(self, spectra: Block, mended: Block, hint: Block) -> tuple[Block, Block]:
        torch = self._torch
        given = (torch.from_numpy(each) for each in (spectra, mended, hint))
        with torch.inference_mode():
            repaired, faults, self._state = self._network(*given, self._state)
        return repaired.numpy(), faults.numpy()


@lru_cache(maxsize=4)
def _load_network(folder: str, modified: int) -> Any:
    return load_network(open_model(Path(folder)))


def hint_for(faults: tuple[str, ...], channels: int) -> Block:
    """What the network is told: ones for the faults that are known to be there; all zeros when nothing is known."""
    return np.tile(np.array([name in faults for name in FAULTS], np.float32), (channels, 1))
