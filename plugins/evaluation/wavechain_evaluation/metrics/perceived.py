"""What listeners would say, as models of them guess it. Each needs a package (extra ``evaluation``).

Conventions: channels are measured one by one and averaged; PESQ, STOI and DNSMOS hear speech at 16 kHz, ViSQOL's audio
mode hears anything at 48 kHz. Too short or silent: NaN.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wavechain.stream import Block
from wavechain_evaluation.metric import Content, Metric, resampled

Signal = NDArray[np.float64]

_SPEECH_RATE = 16_000
_AUDIO_RATE = 48_000
_DNSMOS_SECONDS = 9.01


class PesqWideBand(Metric):
    """MOS-LQO, 1 to 4.64. Source  ITU-T P.862.2"""

    unit: ClassVar[str] = "MOS"
    content: ClassVar[Content] = "speech"

    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        from pesq import PesqError, pesq

        def score(wanted: Signal, found: Signal) -> float:
            try:
                return float(pesq(_SPEECH_RATE, wanted, found, "wb"))
            except PesqError:  # no utterance, or shorter than a quarter of a second
                return math.nan

        return _over_channels(score, reference, estimate, sample_rate, _SPEECH_RATE)


class ExtendedStoi(Metric):
    """0 to 1. Source  J. Jensen, C. Taal, IEEE/ACM TASLP 24(11), 2016"""

    unit: ClassVar[str] = ""
    content: ClassVar[Content] = "speech"

    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        from pystoi import stoi

        def score(wanted: Signal, found: Signal) -> float:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)  # its way of saying that too little sounds
                try:
                    return float(stoi(wanted, found, _SPEECH_RATE, extended=True))
                except RuntimeWarning:
                    return math.nan

        return _over_channels(score, reference, estimate, sample_rate, _SPEECH_RATE)


class Visqol(Metric):
    """MOS-LQO of the audio mode, 1 to 4.73 at best. Source  M. Chinen et al., "ViSQOL v3", QoMEX 2020"""

    unit: ClassVar[str] = "MOS"
    costly: ClassVar[bool] = True

    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        judge = _visqol()

        def score(wanted: Signal, found: Signal) -> float:
            try:
                return float(judge.measure_from_arrays(wanted, found, _AUDIO_RATE).moslqo)
            except (ValueError, RuntimeError):  # too short to find a patch in
                return math.nan

        return _over_channels(score, reference, estimate, sample_rate, _AUDIO_RATE)


class DnsMos(Metric):
    """Overall quality (OVRL of P.835), 1 to 5, of the estimate alone. The model is the package's; it is run here.

    Clips are repeated up to 9.01 s, longer ones heard in windows a second apart.
    Source  C. Reddy, V. Gopal, R. Cutler, "DNSMOS P.835", ICASSP 2022; the polynomial is that of speechmos 0.0.1
    """

    unit: ClassVar[str] = "MOS"
    content: ClassVar[Content] = "speech"
    costly: ClassVar[bool] = True

    def __call__(self, reference: Block, estimate: Block, sample_rate: int) -> float:
        model = _dnsmos()

        def score(_: Signal, found: Signal) -> float:
            length = int(_DNSMOS_SECONDS * _SPEECH_RATE)
            if not found.size:
                return math.nan
            while found.size < length:  # doubled as the model's authors double it, not merely filled up
                found = np.append(found, found)
            found = np.clip(found, -1, 1).astype(np.float32)
            count = int(found.size // _SPEECH_RATE - _DNSMOS_SECONDS) + 1
            cuts = [found[start * _SPEECH_RATE :][:length] for start in range(count)]
            raw = [float(model.run(None, {"input_1": cut[None]})[0][0][2]) for cut in cuts if cut.size == length]
            return float(np.mean([-0.06766283 * x * x + 1.11546468 * x + 0.04602535 for x in raw]))

        return _over_channels(score, reference, estimate, sample_rate, _SPEECH_RATE)


def _over_channels(
    score: Callable[[Signal, Signal], float], reference: Block, estimate: Block, sample_rate: int, new_rate: int
) -> float:
    wanted, found = resampled(reference, sample_rate, new_rate), resampled(estimate, sample_rate, new_rate)
    return float(np.mean([score(one, other) for one, other in zip(wanted, found, strict=True)]))


@lru_cache(maxsize=1)
def _visqol() -> Any:
    from visqol import VisqolApi

    logging.getLogger("visqol").setLevel(logging.ERROR)
    judge = VisqolApi()
    judge.create(mode="audio")
    return judge


@lru_cache(maxsize=1)
def _dnsmos() -> Any:
    import onnxruntime

    # The package itself is not imported: it would ask for librosa and requests, which this model does not need.
    found = importlib.util.find_spec("speechmos")
    assert found is not None
    assert found.origin is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = Path(found.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
