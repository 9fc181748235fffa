"""Every bundled stage keeps the contract, held to it by the kit that third parties use; every preset streams exactly.

The table names the settings with which each stage has something to do; the first are checked always, all with the
slow tests.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavechain import Audio, Chain, OutputOptions
from wavechain.chain import parse_stage
from wavechain.registry import StageSpec, registry
from wavechain.stages import FeatureTransform, Model, Stage
from wavechain.testing import (
    EffectContract,
    FeatureTransformContract,
    LoaderContract,
    ModelContract,
    PluginContract,
    WriterContract,
    music,
    streamed,
)
from wavechain.testing.contracts import StreamContract

SETTINGS: dict[str, list[str]] = {
    "core.parallel": ["branches=[reverb,limiter,gain:gain_db=-3]"],
    "core.bands": ["crossovers_hz=[300,3000],bands=[gain,compressor,delay:delay_seconds=0.1]"],
    "core.mid-side": ["mid=[compressor],side=[reverb]"],
    "core.mix": ["wet=0.4,stages=[delay:delay_seconds=0.1]"],
    "core.inverse": [""],
    "essentials.gain": ["gain_db=-6"],
    "essentials.polarity": ["", "channels=[1]"],
    "essentials.dc-removal": ["", "mode=highpass"],
    "essentials.fade": ["fade_in_seconds=0.05,fade_out_seconds=0.1", "fade_out_seconds=3,curve=exponential"],
    "essentials.pad": ["start_seconds=0.01,end_seconds=0.3"],
    "essentials.trim": ["start_seconds=0.01,end_seconds=0.9", "start_seconds=0.02,duration_seconds=60"],
    "essentials.trim-silence": ["threshold_dbfs=-12,minimum_silence_seconds=0,keep_seconds=0.001"],
    "essentials.channels": ["layout=mono", "layout=side", "map=[1,-1,0]"],
    "essentials.resample": ["sample_rate=44100", "sample_rate=48011,quality=very-high", "sample_rate=8000"],
    "essentials.normalize": ["", "mode=peak"],
    "essentials.loudness": ["target_lufs=-23", "target_lufs=-9", "target_lufs=-9,ceiling_mode=reduce"],
    "essentials.expander": ["threshold_db=-15", "threshold_db=-20,hold_ms=0,lookahead_ms=0,knee_db=0"],
    "essentials.de-esser": ["threshold_db=-50"],
    "essentials.highpass": ["order=5", "cutoff_hz=30,order=16"],
    "essentials.lowpass": ["cutoff_hz=3000,order=1"],
    "essentials.band-pass": [""],
    "essentials.notch": [""],
    "essentials.peak": ["gain_db=12"],
    "essentials.low-shelf": ["gain_db=-6"],
    "essentials.high-shelf": ["gain_db=6,slope=0.5"],
    "essentials.true-peak-limiter": ["ceiling_db=-9"],
    "gan-repair.declick": [""],
    "gan-repair.declip": [""],
    "gan-repair.dehum": [""],
    "gan-repair.denoise": ["", "amount=0.5,preserve_below_hz=500"],
    "gan-repair.dereverb": [""],
    "gan-repair.extend-bandwidth": [""],
    "gan-repair.repair": [""],
    "gan-repair.repair-dropouts": [""],
    "pedalboard.bitcrush": ["bit_depth=6.5"],
    "pedalboard.brickwall-limiter": ["ceiling_db=-12,true_peak=true", "lookahead_ms=37"],
    "pedalboard.chorus": ["feedback=0.4"],
    "pedalboard.clipping": ["threshold_db=-12"],
    "pedalboard.compressor": ["threshold_db=-24,ratio=4"],
    "pedalboard.delay": ["delay_seconds=0.05,feedback=0.5", "feedback=0.9"],
    "pedalboard.distortion": [""],
    "pedalboard.gain": ["gain_db=-6"],
    "pedalboard.gsm-compressor": [""],
    "pedalboard.high-shelf-filter": ["gain_db=6"],
    "pedalboard.highpass-filter": [""],
    "pedalboard.invert": [""],
    "pedalboard.ladder-filter": ["mode=bandpass-24,resonance=0.6,drive=2"],
    "pedalboard.limiter": [""],
    "pedalboard.low-shelf-filter": ["gain_db=-6"],
    "pedalboard.lowpass-filter": [""],
    "pedalboard.mp3-compressor": [""],
    "pedalboard.noise-gate": ["threshold_db=-20"],
    "pedalboard.peak-filter": ["gain_db=12"],
    "pedalboard.phaser": ["feedback=0.4"],
    "pedalboard.pitch-shift": ["semitones=3"],
    "pedalboard.resample": ["quality=windowed-sinc-16"],
    "pedalboard.reverb": ["", "wet_level=0"],
    "restoration.ar-declick": [""],
    "restoration.ar-fill": [""],
    "restoration.comb-dehum": [""],
    "restoration.declip-consistent": [""],
    "restoration.declip-soft": [""],
    "restoration.raise-dips": [""],
    "transforms.stft": ["", "n_fft=512,hop_length=100,window=sine"],
    "transforms.mel": ["", "n_fft=1024,hop_length=200,n_mels=40,spectrum=magnitude,scale=htk,norm=none"],
    "transforms.log-mel": ["", "log=ln,spectrum=magnitude,high_hz=3500,n_mels=24"],
    "transforms.mfcc": ["n_mfcc=80", "", "n_mels=40,n_mfcc=40,window=hamming"],
    "transforms.cqt": ["low_hz=130,n_bins=48", "low_hz=220,bins_per_octave=24,hop_length=100,n_bins=60"],
    "transforms.spectral-contrast": ["n_bands=4", "n_bands=3,n_fft=4096,quantile=0.1"],
    "transforms.istft": [""],
    "transforms.spectral-gate": ["", "smooth_hz=0,smooth_seconds=0"],
    "transforms.late-reverb": ["", "decay_seconds=3,early_seconds=0.1,reduction_db=40"],
}
# These need what a test cannot bring along in one line, or stand in no chain: their own plugin's tests check them.
ELSEWHERE = {"pedalboard.convolution", "pedalboard.plugin-host", "trainer.training"}
# One network serves all of these: `denoise` stands for them where time is short.
NEURAL = ("declick", "declip", "dehum", "dereverb", "extend-bandwidth", "repair", "repair-dropouts")
SLOW = {f"gan-repair.{name}" for name in NEURAL}
AFTER_STFT = {"core.inverse", "transforms.istft", "transforms.spectral-gate", "transforms.late-reverb"}

NATIVE = "The native code clips NaN away; the core refuses NaN before it gets there."
LAST_HOP = "The features do not say where in their last hop the sound ended: up to a hop of silence follows."
MOVES = "It moves sound in time: that is what it is for."
EXCEPTIONS: dict[str, dict[str, str]] = {
    "core.inverse": {"unknown-length": LAST_HOP},
    "essentials.pad": {"latency-by-impulse": MOVES},
    "essentials.trim": {"latency-by-impulse": MOVES},
    "essentials.trim-silence": {"latency-by-impulse": MOVES},
    "pedalboard.clipping": {"nan-is-not-hidden": NATIVE},
    "pedalboard.gsm-compressor": {
        "latency-by-impulse": "A frame of 8 kHz is six frames of 48 kHz: an impulse comes back within one of them.",
        "silence-stays-silent": "The codec has no code for zero: silence reads -66 dBFS, as on the telephone.",
        "nan-is-not-hidden": NATIVE,
    },
    "pedalboard.limiter": {"nan-is-not-hidden": NATIVE},
    "pedalboard.mp3-compressor": {"nan-is-not-hidden": NATIVE},
    "pedalboard.pitch-shift": {
        "latency-by-impulse": "The stretcher spreads an impulse over 20 ms and may put its peak 3 ms early.",
    },
    "transforms.istft": {"unknown-length": LAST_HOP},
    "transforms.spectral-contrast": {
        "latency-by-impulse": "An impulse has no contrast: all frequencies are equally strong in it.",
    },
}


def class_name(name: str, *words: object) -> str:
    return "Test" + "".join(str(word) for word in (name.title(), *words) if word).replace("-", "").replace(".", "")


def stages_of(name: str) -> list[Stage]:
    return [parse_stage(f"{name}:{text}" if text else name) for text in SETTINGS[name]]


CONTRACTS = {FeatureTransform: FeatureTransformContract, Model: ModelContract}


def contract_of(spec: StageSpec, stages: list[Stage]) -> type[StreamContract]:
    base = next((contract for kind, contract in CONTRACTS.items() if isinstance(stages[0], kind)), EffectContract)
    slow = [pytest.mark.slow] if len(stages) > 1 or spec.full_name in SLOW else []
    members = {
        "__module__": __name__,
        "stages": stages,
        "before": Chain.of("stft").stages if spec.full_name in AFTER_STFT else (),
        "exceptions": EXCEPTIONS.get(spec.full_name, {}),
        "examples": 30 if len(stages) > 1 else 8,
        "pytestmark": slow,
    }
    return type(class_name(spec.full_name), (base,), members)


STREAM_STAGES = [
    spec for spec in registry().stages() if spec.bundled and spec.kind in ("effect", "transform", "combinator", "model")
]
for _spec in STREAM_STAGES:
    if _spec.full_name in SETTINGS:
        _first, *_others = stages_of(_spec.full_name)
        _contract = contract_of(_spec, [_first])
        globals()[_contract.__name__] = _contract
        if _others:
            _exhaustive = contract_of(_spec, [*_others, _first])
            globals()[f"{_contract.__name__}Exhaustive"] = _exhaustive


# Stage, suffix of its files, bit depth that is asked for, promises it does not make.
LOADERS = [
    ("soundfile.read-soundfile", ".wav", "24", {}),
    ("soundfile.read-soundfile", ".flac", "24", {}),
    ("soundfile.read-soundfile", ".caf", "float", {}),
    ("av.read-av", ".m4a", "24", {}),
    ("av.read-av", ".flac", "24", {}),
]
BLOCKS = "libvorbis extrapolates backwards from its first block: its first 128 frames depend on how much it was given."
SERIAL = "The library draws the serial number of an Ogg stream by chance; the sound is the same."
OGG = {"same-every-time": SERIAL}
WRITERS = [
    ("soundfile.write-soundfile", ".wav", None, {}),
    ("soundfile.write-soundfile", ".flac", "24", {}),
    ("soundfile.write-soundfile", ".caf", "float", {}),
    ("soundfile.write-soundfile", ".ogg", None, {**OGG, "written-in-any-size": BLOCKS}),
    ("soundfile.write-soundfile", ".opus", None, OGG),
    ("soundfile.write-soundfile", ".mp3", None, {}),
    ("soundfile.write-mp3", ".mp3", None, {}),
    ("av.write-av", ".m4a", "24", {}),
    ("av.write-av", ".m4a", None, {}),
    ("av.write-opus", ".opus", None, OGG),
]


for _name, _suffix, _depth, _exceptions in LOADERS:
    _output = OutputOptions(bit_depth=_depth)

    def _make_file(self, folder: Path, audio: Audio, suffix=_suffix, output=_output) -> Path:
        return audio.write(folder / f"file{suffix}", output, overwrite=True)

    _class = class_name(_name, _suffix)
    globals()[_class] = type(
        _class,
        (LoaderContract,),
        {
            "__module__": __name__,
            "stage": registry().load(_name)(),
            "make_file": _make_file,
            "exceptions": _exceptions,
        },
    )

for _name, _suffix, _depth, _exceptions in WRITERS:
    _class = class_name(_name, _suffix, _depth)
    globals()[_class] = type(
        _class,
        (WriterContract,),
        {
            "__module__": __name__,
            "stage": registry().load(_name)(),
            "suffix": _suffix,
            "output": OutputOptions(bit_depth=_depth),
            "exceptions": _exceptions,
        },
    )


def test_every_bundled_stage_is_held_to_its_contract():
    bundled = {spec.full_name for spec in registry().stages() if spec.bundled}
    assert bundled == set(SETTINGS) | ELSEWHERE | {name for name, *_ in (*LOADERS, *WRITERS)}


for _plugin in registry().plugins():
    if _plugin.bundled and _plugin.name != "core":
        _name = f"Test{_plugin.name.title()}Plugin"
        globals()[_name] = type(_name, (PluginContract,), {"__module__": __name__, "module": _plugin.entry})

PRESETS = [preset.name for preset in registry().presets()]
AUDIO = music(sample_rate=44_100, seconds=1.2)
SIZES = st.lists(st.one_of(st.integers(1, 3), st.integers(1, 30_000)), min_size=1, max_size=6).filter(
    lambda sizes: sum(sizes) > 300 * len(sizes)
)


@pytest.mark.parametrize("name", PRESETS)
def test_streamed_is_whole_for_every_preset(name):
    chain = Chain.preset(name)
    whole = chain(AUDIO)

    @settings(max_examples=6)
    @given(SIZES)
    def any_blocks(sizes: list[int]) -> None:
        np.testing.assert_array_equal(streamed(chain, AUDIO, sizes).waveform, whole.waveform)

    any_blocks()
