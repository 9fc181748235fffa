"""The plugin on the page about training trains, with a recipe, a loss, a discriminator and a degradation of its own."""

from __future__ import annotations

import importlib
import runpy
import sys

import numpy as np
import pytest

from wavechain.models import find_model, load_network
from wavechain.recipes import Surroundings, part
from wavechain.registry import reset
from wavechain.testing import music


@pytest.fixture
def humless(read_page, tmp_path, monkeypatch):
    """The plugin as if it were installed."""
    pytest.importorskip("torch")
    site = read_page("docs/train.md") / "wavechain-humless"
    info = site / "wavechain_humless-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wavechain-humless\nVersion: 0.1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[wavechain.plugins]\nhumless = wavechain_humless\n", encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    reset()
    yield site
    for name in [name for name in sys.modules if name.partition(".")[0] == "wavechain_humless"]:
        del sys.modules[name]
    reset()


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "my-recordings"
    folder.mkdir()
    for seed in range(3):
        music(sample_rate=16_000, seconds=1, channels=1, seed=seed).write(folder / f"{seed}.wav")
    return folder


def test_the_plugin_on_the_page_trains_by_its_name(humless, run, recordings, tmp_path):
    output, code = run(f"wavechain train humless {recordings} -o {tmp_path / 'x'} --steps 4")
    assert code == 0, output
    network = load_network(find_model(tmp_path / "x"))
    assert type(network).__module__ == "wavechain_humless.humless"
    columns = (tmp_path / "x" / "train" / "log.csv").read_text(encoding="utf-8")
    for name in ("judge/game", "repair/low", "repair/samples", "repair/game"):
        assert columns.count(f",{name},") == 4
    explained, code = run(f"wavechain train humless {recordings} --explain")
    assert code == 0, explained
    # Two convolutions of 65 taps, from 1 channel to 8 and back, at each of 16 000 samples a second.
    assert f"{2 * 65 * 8 * 16_000 / 1e6:.1f}" in explained
    assert "judge: judge; repair: net" in explained


def test_the_recipe_and_the_degradation_on_the_page_keep_their_promises(humless, tmp_path):
    page = runpy.run_path(str(humless / "tests" / "test_humless.py"))
    for name in ("TestHumless", "TestFadingHum"):
        outcomes = [outcome for _, outcome in page[name].examined(tmp_path / name)]
        assert [outcome.text for outcome in outcomes if outcome.state == "broken"] == []
        assert sum(outcome.state == "kept" for outcome in outcomes) >= 9


def test_the_parts_on_the_page_do_what_they_say(humless):
    import torch

    clip = np.zeros((2, 16_000), np.float32)
    worse = part("degradation", "fading-hum")
    heard, wanted = worse.apply(clip, 16_000, np.random.default_rng(0), Surroundings())
    assert wanted is clip
    assert np.abs(np.fft.rfft(heard[0])).argmax() == 50
    assert 0.1 < np.abs(heard).max() <= 10 ** (-12 / 20) + 1e-6
    assert not worse.changes_wanted
    low, high = (torch.sin(2 * torch.pi * hz * torch.arange(16_000) / 16_000)[None, None] for hz in (50, 5_000))
    loss = part("loss", "low-band")
    assert float(loss(low, 0 * low)) > 100 * float(loss(high, 0 * high))
    scores, features = part("discriminator", "envelope")(low)
    assert [score.shape[:2] for score in scores] == [(1, 1)]
    assert len(features) == len(scores)
