"""The demo does what it says, and its figures are true."""

from __future__ import annotations

import re

import pytest

from wavechain import Audio
from wavechain.compare import compare_files
from wavechain_cli.demo import ACCIDENTS, run_demo


def test_the_demo_mends_a_take_and_undoes_what_is_then_done_to_it(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    run_demo(tmp_path / "demo")
    said = capsys.readouterr().out
    shown = {name: (float(before), float(after)) for name, before, after in re.findall(ROW, said)}
    assert shown.keys() == ACCIDENTS.keys()
    for accident in ("peaks pressed flat", "peaks cut off", "dropouts", "hum"):
        assert shown[accident][1] < shown[accident][0] - 3
    assert all(after < before + 0.1 for before, after in shown.values())
    take, repaired = (tmp_path / "demo" / name for name in ("take.flac", "hum-repaired.flac"))
    assert compare_files(take, repaired).null_db == pytest.approx(shown["hum"][1], abs=0.05)
    assert Audio.read(tmp_path / "demo" / "mended.flac").seconds == pytest.approx(22.6)


ROW = r"(?m)^(\w[\w ]*?) {2,}(-\d+\.\d) dB +(-\d+\.\d) dB$"
