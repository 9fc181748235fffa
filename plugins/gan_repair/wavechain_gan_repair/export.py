"""repairnet as an ONNX graph: the network alone, its state as explicit inputs and outputs, Fourier transforms outside.

The graph works on stretches of `HOPS` columns and any number of channels:

    in   spectra and mended (channels, 2, HOPS + lookahead, bins), hint (channels, faults),
         state (layers, channels * bands, width)
    out  repaired (channels, 2, HOPS, bins), faults (channels, HOPS, faults + 1), state
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch

from wavechain_gan_repair.faults import FAULTS
from wavechain_gan_repair.network import RepairNet
from wavechain_gan_repair.network_session import GRAPH, HOPS


def write_onnx(network: RepairNet, folder: Path) -> Path:
    """Raises OSError."""
    example = (
        torch.zeros(2, 2, HOPS + network.lookahead, network.bins),
        torch.zeros(2, 2, HOPS + network.lookahead, network.bins),
        torch.zeros(2, len(FAULTS)),
        network.start(2),
    )
    path, temporary = folder / GRAPH, folder / f".{GRAPH}.tmp"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's remarks on its own future
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            network.eval().cpu(),
            example,
            str(temporary),
            input_names=["spectra", "mended", "hint", "state"],
            output_names=["repaired", "faults", "next"],
            dynamic_axes={
                "spectra": {0: "channels"},
                "mended": {0: "channels"},
                "hint": {0: "channels"},
                "state": {1: "lines"},
                "repaired": {0: "channels"},
                "faults": {0: "channels"},
                "next": {1: "lines"},
            },
            opset_version=17,
            dynamo=False,
        )
    temporary.replace(path)
    return path
