"""The network at work on one stream: ONNX Runtime where the model has a graph, torch where it has none.

Both take and give NumPy arrays of the shapes in `wavechain_gan_repair.export`; they agree to 1e-4.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from wavechain.errors import MissingDependencyError, ParameterError, UnreadableError
from wavechain.models import ModelFolder, load_network, open_model
from wavechain.registry.specs import is_installed
from wavechain.stream import Block
from wavechain_gan_repair.faults import FAULTS
from wavechain_gan_repair.settings import SIZES, RepairNetSettings, bands, checked

GRAPH = "repairnet.onnx"
HOPS = 64

Backend = Literal["auto", "onnx", "torch"]


class NetworkSession(Protocol):
    """Called with (spectra, spectra of what was mended, hint); remembers its state from stretch to stretch."""

    def __call__(self, spectra: Block, mended: Block, hint: Block) -> tuple[Block, Block]: ...


def settings_of(model: ModelFolder) -> RepairNetSettings:
    """Raises UnreadableError where the model's settings are none of this family's."""
    try:
        return checked(model.settings, f"{model.path}: config.json")
    except ParameterError as error:
        raise UnreadableError(error.message, hint="copy the model's folder again.") from error


def open_session(model: ModelFolder, channels: int, backend: Backend) -> NetworkSession:
    """Raises MissingDependencyError when neither runtime is installed, UnreadableError for a graph that is damaged or
    not of the model's settings."""
    has_graph = (model.path / GRAPH).is_file()
    if backend == "onnx" or (backend == "auto" and has_graph and is_installed("onnxruntime")):
        if not has_graph:
            raise UnreadableError(f"{model.path}: has no {GRAPH}.", hint=f"wavechain models export {model.path}.")
        return _Onnx(model, channels)
    if not is_installed("torch"):
        raise MissingDependencyError(
            "repair needs package onnxruntime (or torch).", hint="pip install 'wavechain[repair]'."
        )
    return _Torch(model, channels)


class _Onnx:
    def __init__(self, model: ModelFolder, channels: int) -> None:
        self._graph = _load_graph(str(model.path / GRAPH), (model.path / GRAPH).stat().st_mtime_ns)
        settings = settings_of(model)
        shape = SIZES[settings.size]
        self._state = np.zeros((shape["layers"], channels * bands(settings.bins), shape["width"]), np.float32)
        by_config = {"spectra": [channels, 2, HOPS + settings.lookahead, settings.bins], "state": [*self._state.shape]}
        for taken in self._graph.get_inputs():
            wanted = by_config.get(taken.name, taken.shape)
            # What may be of any size, as the channels are, has a name there and no number.
            if any(isinstance(has, int) and has != want for has, want in zip(taken.shape, wanted, strict=True)):
                raise UnreadableError(
                    f"{model.path}: {GRAPH} takes {taken.name} of {taken.shape}, by config.json it would be {wanted}.",
                    hint=f"wavechain models export {model.path}.",
                )

    def __call__(self, spectra: Block, mended: Block, hint: Block) -> tuple[Block, Block]:
        given = {"spectra": spectra, "mended": mended, "hint": hint, "state": self._state}
        repaired, faults, self._state = self._graph.run(["repaired", "faults", "next"], given)
        return repaired, faults


@lru_cache(maxsize=4)
def _load_graph(path: str, modified: int) -> Any:
    """One session of the runtime for each graph and process: loading takes longer than a minute of audio."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # jobs run side by side: see --jobs
    options.enable_mem_pattern = False  # plans for shapes that never come again: 10 MB
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UnreadableError(
            f"{path}: cannot be read as an ONNX graph ({error}).", hint="copy the model's folder again."
        ) from error


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
