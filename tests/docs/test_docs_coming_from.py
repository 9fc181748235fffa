"""What stands on the page for people who know another library: their classes and our stages exist, the examples hold.

The audio libraries that the examples wrap are no dependencies of wavechain, and audiomentations asks for an older soxr
than the one that is tested here. So each example is tested where its library is installed, and a slow test installs
those that may be missing into an environment of its own and runs this module there.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import numpy as np
import pytest

import wavechain
from wavechain import Audio, FeatureTransform
from wavechain.registry import registry
from wavechain.testing import checks, music, noise
from wavechain.testing.subject import Subject

HOUSE = Path(__file__).parents[2]
PAGE = "docs/coming-from.md"
LIBRARIES = {
    "pedalboard": ("Cavern", "Handset"),
    "audiomentations": ("RandomGain", "RandomSaturation"),
    "torch_audiomentations": ("TorchGain", "TorchLowpass"),
    "torchaudio": ("Contrast", "LogMel"),
}
STAGES = [(library, name) for library, names in LIBRARIES.items() for name in names]
# Compiled by the first import that finds no bytecode, some of their docstrings warn.
THEIR_WARNINGS = "ignore:.*invalid escape sequence"
# Of pedalboard: classes that only others are made of, and what exists on one system only.
NO_EFFECTS = {"AudioUnitPlugin", "ExternalPlugin", "IIRFilter", "Plugin", "PluginContainer", "_klass"}


def rows(library: str) -> list[tuple[list[str], list[str]]]:
    """Their names and ours, row by row."""
    text = (HOUSE / PAGE).read_text(encoding="utf-8")
    section = text.split(f"## From {library.replace('_', '-')}\n")[1].split("\n## ")[0]
    cells = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [(re.findall(r"`([^`]+)`", row[0]), re.findall(r"`([^`]+)`", row[1])) for row in cells]


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_stage_that_the_page_names_exists(library):
    ours = [name for _, names in rows(library) for name in names]
    assert len(ours) > 10
    for name in ours:
        assert name in wavechain.__all__ or registry().lookup(name).name == name.rpartition(".")[2], name


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.filterwarnings(THEIR_WARNINGS)
def test_every_class_that_the_page_names_exists(library):
    module = pytest.importorskip(library)
    places = [module]
    if library == "torchaudio":
        places += [importlib.import_module(f"torchaudio.{name}") for name in ("transforms", "functional")]
    theirs = [name for names, _ in rows(library) for name in names]
    assert [name for name in theirs if not any(hasattr(place, name) for place in places)] == []
    assert len(set(theirs)) == len(theirs)


@pytest.mark.parametrize("library", ["pedalboard", "audiomentations", "torch_audiomentations"])
@pytest.mark.filterwarnings(THEIR_WARNINGS)
def test_none_of_their_effects_is_forgotten(library):
    module = pytest.importorskip(library)
    base = module.Plugin if library == "pedalboard" else module.Gain.__base__
    offered = {name for name, value in vars(module).items() if isinstance(value, type) and issubclass(value, base)}
    assert len(offered) > 10
    assert offered - {name for names, _ in rows(library) for name in names} - NO_EFFECTS == set()


@pytest.fixture
def module_of(read_page, monkeypatch):
    """Imports a module of the page; it is forgotten afterwards."""
    folder = read_page(PAGE)
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    yield importlib.import_module
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.mark.parametrize(("library", "name"), STAGES, ids=lambda value: value)
@pytest.mark.filterwarnings(THEIR_WARNINGS)
# torch-audiomentations thinks that the axes of a very short signal are swapped.
@pytest.mark.filterwarnings("ignore:Multichannel audio must have channels first:UserWarning")
def test_every_stage_on_the_page_keeps_every_promise(library, name, module_of):
    pytest.importorskip(library)
    stage = getattr(module_of(f"{library}_stages"), name)()
    promises = checks.TRANSFORM_CHECKS if isinstance(stage, FeatureTransform) else checks.STREAM_CHECKS
    outcomes = list(checks.examine(Subject(stage), promises))
    assert [outcome.text for outcome in outcomes if outcome.state == "broken"] == []
    kept = {outcome.promise for outcome in outcomes if outcome.state == "kept"}
    assert {"runs", "streamed-is-whole", "latency-by-impulse", "leaves-no-trace", "same-in-two-threads"} <= kept
    assert stage.tolerance == 0


@pytest.mark.parametrize(("library", "name"), STAGES[2:6], ids=lambda value: value)
@pytest.mark.filterwarnings(THEIR_WARNINGS)
def test_what_is_drawn_follows_from_the_seed(library, name, module_of):
    pytest.importorskip(library)
    draw = getattr(module_of(f"{library}_stages"), name)
    before = noise(seconds=0.3, channels=2)
    one, again, other = (draw(seed=seed)(before).waveform for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.allclose(one, other, atol=1e-4)


@pytest.mark.filterwarnings(THEIR_WARNINGS)
def test_drawing_leaves_the_generators_of_the_program_alone(module_of):
    pytest.importorskip("audiomentations")
    module = module_of("audiomentations_stages")
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - audiomentations draws from it
    module.RandomGain(seed=3)(noise(seconds=0.1))
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_the_contract_on_the_page_passes(read_page):
    pytest.importorskip("pedalboard")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_pedalboard_stages.py"],
        cwd=read_page(PAGE),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "declared exception" not in done.stdout


def test_a_board_streams_as_pedalboard_plays_it_whole(module_of):
    pedalboard = pytest.importorskip("pedalboard")
    before = music(seconds=1.5)
    board = pedalboard.Pedalboard([pedalboard.Chorus(), pedalboard.Reverb(room_size=0.8)])
    after = module_of("pedalboard_stages").Cavern()(before)
    assert after.frames > before.frames
    whole = board.process(before.waveform, 48_000.0)
    assert np.abs(after.waveform[:, : before.frames] - whole).max() < 1e-6


def test_log_mel_is_that_of_torchaudio(module_of):
    torchaudio = pytest.importorskip("torchaudio")
    torch = pytest.importorskip("torch")
    before = music(seconds=2.3)
    theirs = torchaudio.transforms.MelSpectrogram(48_000, 2048, hop_length=512, n_mels=40, pad_mode="constant")
    expected = torch.log1p(1e5 * theirs(torch.tensor(before.waveform))).numpy()
    processor = module_of("torchaudio_stages").LogMel().open(before.spec)
    found = np.concatenate([processor.process(before.waveform), processor.flush()], axis=-1)
    assert found.shape == expected.shape == (*processor.spec.shape, processor.spec.length)
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.filterwarnings(THEIR_WARNINGS)
def test_a_chain_works_in_compose(module_of):
    pytest.importorskip("audiomentations")
    module = module_of("chain_in_compose")
    before = music(seconds=0.5)
    through = module.augment(samples=before.waveform, sample_rate=48_000)
    alone = wavechain.Chain.of("polarity", "highpass:cutoff_hz=300", "lowpass:cutoff_hz=3400")(before)
    assert np.array_equal(through, alone.waveform)
    assert module.augment(samples=before.waveform[0].copy(), sample_rate=48_000).shape == (before.frames,)


def test_a_chain_works_in_a_data_set(module_of, tmp_path):
    torch = pytest.importorskip("torch")
    before = music(seconds=0.3)
    paths = [before.write(tmp_path / f"{name}.wav") for name in ("one", "two")]
    recordings = module_of("chain_in_dataset").Recordings(paths, wavechain.Chain.of("gain:gain_db=-6"))
    batch = next(iter(torch.utils.data.DataLoader(recordings, batch_size=2)))
    assert batch.shape == (2, 2, before.frames)
    expected = wavechain.Chain.of("gain:gain_db=-6")(Audio.read(paths[1])).waveform
    assert np.array_equal(batch[1].numpy(), expected)


@pytest.mark.slow
def test_the_examples_hold_where_every_library_is_installed(tmp_path):
    pytest.importorskip("torchaudio")
    venv.create(tmp_path / "env", with_pip=True)
    paths = {"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}
    python = Path(sysconfig.get_path("scripts", "venv", paths)) / Path(sys.executable).name
    # What is installed here is seen there, behind what is installed there.
    site = Path(sysconfig.get_path("purelib", "venv", paths))
    here = sysconfig.get_path("purelib")
    (site / "behind.pth").write_text(f"import site; site.addsitedir({here!r})\n", encoding="utf-8")
    install = [python, "-m", "pip", "install", "audiomentations", "torch-audiomentations"]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr
    words = ["-q", "-m", "not slow", "-p", "no:cacheprovider", "-rs", str(Path(__file__))]
    done = subprocess.run([python, "-m", "pytest", *words], cwd=HOUSE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout, done.stdout
