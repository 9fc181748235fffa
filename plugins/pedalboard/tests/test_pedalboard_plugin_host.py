"""Hosting VST3 plugins. What needs a plugin looks for one on this machine, and is skipped where there is none."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio, Spec
from wavechain.errors import ParameterError, SpecMismatchError
from wavechain.params import parameters
from wavechain.testing import impulse, music, streamed
from wavechain_pedalboard.plugin_host import PluginHost

FOLDERS = (
    *filter(None, [os.environ.get("WAVECHAIN_TEST_VST3", "")]),
    "~/.vst3",
    "/usr/lib/vst3",
    "/usr/local/lib/vst3",
    "~/Library/Audio/Plug-Ins/VST3",
    "/Library/Audio/Plug-Ins/VST3",
)
STEREO = Spec.audio(48_000, 2)


@cache
def deterministic_stereo_effect() -> Path | None:
    """A plugin that takes stereo and makes the same of it twice, tried in a process of its own: some crash."""
    trial = (
        "import sys, numpy as np; from wavechain import Audio; "
        "from wavechain_pedalboard.plugin_host import PluginHost; from wavechain.testing import music; "
        "host = PluginHost(path=sys.argv[1], tail_seconds=0); heard = music(seconds=0.5); "
        "sys.exit(0 if np.array_equal(host(heard).waveform, host(heard).waveform) else 1)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for folder in FOLDERS:
        for path in sorted(Path(folder).expanduser().glob("*.vst3")):
            command = [sys.executable, "-c", trial, str(path)]
            try:
                done = subprocess.run(command, env=environment, capture_output=True, timeout=30, check=False)
            except subprocess.TimeoutExpired:
                continue
            if done.returncode == 0:
                return path
    return None


@pytest.fixture
def plugin() -> Path:
    found = deterministic_stereo_effect()
    if found is None:
        pytest.skip("no VST3 effect for stereo on this machine")
    return found


def test_streamed_equals_whole(plugin: Path):
    host = PluginHost(path=plugin, tail_seconds=0)
    before = music(seconds=3)
    whole = streamed(host, before, [before.frames])
    assert whole.frames == before.frames
    for sizes in ([1, 2, 3, 70_000], [7_777]):
        np.testing.assert_array_equal(streamed(host, before, sizes).waveform, whole.waveform)


def test_reported_latency_is_compensated(plugin: Path):
    after = PluginHost(path=plugin, tail_seconds=0)(impulse(at=30_000, channels=2, level=0.5))
    assert np.flatnonzero(np.abs(after.waveform).max(axis=0) > 1e-3)[0] == pytest.approx(30_000, abs=2)


def test_the_tail_is_as_long_as_told_or_until_silence(plugin: Path):
    assert PluginHost(path=plugin, tail_seconds=0.5).open(STEREO).tail == 24_000
    assert PluginHost(path=plugin).open(STEREO).tail == math.inf


def test_the_parameters_of_the_plugin_are_listed_and_can_be_set(plugin: Path):
    listed = PluginHost(path=plugin).describe_instance()
    assert listed
    number = next((each for each in listed if each.type == "number" and each.range), None)
    if number is None:
        pytest.skip("no parameter that is a number")
    low, high = map(float, number.range.split(" to "))
    changed = PluginHost(path=plugin, parameters={number.name: high}).describe_instance()
    assert next(each for each in changed if each.name == number.name).default == pytest.approx(high, rel=1e-2)
    with pytest.raises(ParameterError) as caught:
        PluginHost(path=plugin, parameters={number.name: high + (high - low) + 1}).open(STEREO)
    assert f"does not take {number.name} = " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_parameter_is_met_with_the_nearest(plugin: Path):
    name = PluginHost(path=plugin).describe_instance()[0].name
    with pytest.raises(ParameterError, match=rf"has no parameter '{name}x'\. Try: "):
        PluginHost(path=plugin, parameters={f"{name}x": 1}).open(STEREO)


def test_seven_channels_are_refused(plugin: Path):
    with pytest.raises(SpecMismatchError, match=r"does not take 7 channels\. Try: add channels:layout=stereo"):
        PluginHost(path=plugin).open(Spec.audio(48_000, 7))


def test_a_preset_that_is_not_one_is_refused(plugin: Path, tmp_path: Path):
    junk = tmp_path / "junk.vstpreset"
    with pytest.raises(ParameterError) as caught:
        PluginHost(path=plugin, preset_path=junk).open(STEREO)
    assert str(caught.value) == f"preset_path: there is no {junk}. Try: the path of a .vstpreset file."
    junk.write_bytes(b"junk" * 64)
    with pytest.raises(ParameterError, match=r"does not take the preset .*junk\.vstpreset"):
        PluginHost(path=plugin, preset_path=junk).open(STEREO)


def test_no_stream_hears_the_one_before(plugin: Path):
    host = PluginHost(path=plugin, tail_seconds=0)
    quiet = Audio(np.zeros((2, 9_000), np.float32), 48_000)
    fresh = host(quiet).waveform
    host(music(seconds=1))
    np.testing.assert_array_equal(host(quiet).waveform, fresh)


def test_a_missing_plugin_and_one_that_is_none_are_refused(tmp_path: Path):
    missing = tmp_path / "Nowhere.vst3"
    with pytest.raises(ParameterError) as caught:
        PluginHost(path=missing).open(STEREO)
    assert str(caught.value).startswith(f"there is no {missing}. Try: ")
    text = tmp_path / "text.vst3"
    text.write_text("not a plugin")
    with pytest.raises(ParameterError) as caught:
        PluginHost(path=text).open(STEREO)
    assert str(caught.value).startswith(f"{text} cannot be loaded: ")
    assert "\n" not in str(caught.value)


def test_parameters_can_be_written_as_on_the_command_line():
    host = PluginHost(path=Path("x.vst3"), parameters=["mix=50", "mode=Large Hall", "bypass=true"])
    assert host.parameters == {"mix": 50.0, "mode": "Large Hall", "bypass": True}
    with pytest.raises(ParameterError) as caught:
        PluginHost(path=Path("x.vst3"), parameters=["mix"])
    assert str(caught.value) == "plugin-host: parameters: 'mix' is not name=value. Try: [mix=50,mode=Hall]."


def test_the_stage_describes_itself_without_a_plugin():
    assert [parameter.name for parameter in parameters(PluginHost)] == [
        "path",
        "plugin_name",
        "preset_path",
        "parameters",
        "tail_seconds",
    ]
