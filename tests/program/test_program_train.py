"""``wavechain train`` and ``models``, as a person meets them: a run, its pages, what is refused."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from wavechain.recipes import read_recipe, recipe_files
from wavechain.testing import music

HOUSE = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))

# Small enough for a test: a second of training on the bundled recipe's network.
TINY = """
steps = 6
batch = 2
validate_every = 3
validation_clips = 2
warmup_steps = 1

[recipe]
name = "repair"
rate_hz = 16000
clip_seconds = 0.3
adversarial_from = 1.0
most = 1
network = { size = "xs", n_fft = 512, hop_length = 128, copies = [64] }
faults = { noise = {} }
"""


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "my takes"
    folder.mkdir()
    for seed in range(3):
        music(sample_rate=16_000, seconds=2, channels=1, seed=seed).write(folder / f"{seed}.wav")
    return folder


@pytest.fixture
def recipe(tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "tiny.toml"
    path.write_text(TINY, encoding="utf-8")
    return path


@pytest.fixture
def trained(wavechain, recipe, recordings, tmp_path):
    said = wavechain("train", recipe, recordings, "-o", tmp_path / "runs" / "x")
    assert said.code == 0, said.err
    return tmp_path / "runs" / "x"


def test_a_run_leaves_a_model_a_card_and_a_page(wavechain, trained, recipe, recordings):
    card = wavechain("models", "card", trained)
    assert card.code == 0
    assert "| my takes | 2 files, 0.1 min | 1 files, 0.0 min |" in card.out
    assert "Licence of the recordings: unknown" in card.out
    assert f"wavechain train {recipe} '{recordings}' -o {trained}" in card.out
    assert re.search(r"^- si-sdr-gain: -?[\d.]+ \(step 6\)$", card.out, re.MULTILINE)
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == page.count("</svg>") >= 5
    sources = re.findall(r'src="([^"]+)"', page)
    assert len(sources) >= 6
    assert [source for source in sources if not (trained / source).is_file()] == []
    assert not re.search(r'(?:href|src)="https?:', page)


def test_what_it_leaves_is_known_to_models(wavechain, trained, tmp_path):
    listed = wavechain("models", "list", trained.parent)
    assert listed.code == 0
    assert "repairnet" in listed.out
    facts = json.loads(wavechain("models", "show", trained, "--json").out)
    assert facts["sample_rate"] == 16_000
    assert facts["trained"] == {"recipe": "repair", "steps": 6, "of": 6, "seed": 0}
    shown = wavechain("models", "show", trained)
    assert "16000 Hz" in shown.out
    assert "enter.weight" in shown.out
    exported = wavechain("models", "export", trained, "-o", tmp_path / "mine")
    assert exported.code == 0
    assert {path.name for path in (tmp_path / "mine").iterdir()} >= {"card.md", "config.json", "model.safetensors"}
    again = wavechain("models", "export", trained, "-o", tmp_path / "mine")
    assert again.code == 2
    assert "is there already" in again.err


def test_a_graph_is_exported_where_the_recipe_makes_one(wavechain, trained, tmp_path):
    pytest.importorskip("onnx")
    exported = wavechain("models", "export", trained, "-o", tmp_path / "graph", "--onnx")
    assert exported.code == 0, exported.err
    assert (tmp_path / "graph" / "repairnet.onnx").stat().st_size > 10_000


def test_explain_shows_everything_and_trains_nothing(wavechain, recipe, recordings, tmp_path):
    said = wavechain("train", recipe, recordings, "--explain", "-o", tmp_path / "x")
    assert said.code == 0, said.err
    for word in ("my takes", "repairnet", "parameters", "multiply-adds", "BandwiseLinear", "memory", "learning rate"):
        assert word in said.out
    assert not (tmp_path / "x").exists()


def test_a_run_goes_on_where_it_was_stopped(wavechain, recipe, recordings, tmp_path):
    stopped = wavechain("train", recipe, recordings, "-o", tmp_path / "x", "--minutes", "1e-9")
    assert stopped.code == 0
    assert "the time is up: stopped at step 0 of 6; the same command with --resume goes on" in stopped.err
    again = wavechain("train", recipe, recordings, "-o", tmp_path / "x")
    assert again.code == 2
    assert "holds a run already. Try: --resume" in again.err
    done = wavechain("train", recipe, recordings, "-o", tmp_path / "x", "--resume")
    assert done.code == 0
    assert "step 6: " in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["rapair", "x"], 2, "no recipe is called 'rapair'; the nearest is 'repair'"),
        (["nowhere.toml", "x"], 1, "nowhere.toml: no such file or directory"),
        (["{recipe}", "{data}"], 2, "no output is named"),
        (["{recipe}", "-o", "{out}"], 2, "there is nothing to train on"),
        (["{recipe}", "{out}/none", "-o", "{out}"], 2, "there is no such file or folder"),
        (["{recipe}", "{data}", "-o", "{out}", "--resume"], 1, "there is no run to resume"),
        (["{recipe}", "{data}", "-o", "{out}", "--device", "toaster"], 2, "'toaster' is not a device"),
        (["{recipe}", "{data}", "-o", "{out}", "--steps", "0"], 2, "steps"),
    ],
)
def test_what_cannot_be_done_is_one_line(wavechain, recipe, recordings, tmp_path, arguments, code, said):
    places = {"recipe": recipe, "data": recordings, "out": tmp_path / "out"}
    answer = wavechain("train", *(argument.format(**places) for argument in arguments))
    assert answer.code == code
    assert said in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_a_recipe_with_a_misspelt_setting_is_refused(wavechain, recipe, recordings, tmp_path):
    recipe.write_text(TINY.replace("clip_seconds", "clip_second"), encoding="utf-8")
    answer = wavechain("train", recipe, recordings, "-o", tmp_path / "out")
    assert answer.code == 2
    assert "clip_second" in answer.err
    recipe.write_text("steps = [", encoding="utf-8")
    assert "is not TOML" in wavechain("train", recipe, recordings, "-o", tmp_path / "out").err


def test_every_recipe_of_a_plugin_can_be_read_and_made():
    pytest.importorskip("torch")
    from wavechain.registry import registry

    assert {"repair", "denoise-small"} <= set(recipe_files())
    for name, path in recipe_files().items():
        assert read_recipe(name) == tomllib.loads(path.read_text(encoding="utf-8"))
        registry().load("training")(**read_recipe(name)).make_recipe()


def test_without_torch_the_install_line_is_all_that_is_said(recordings, tmp_path):
    code = (
        "import importlib.util as u, sys\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'torch' else real(name, package)\n"
        "from wavechain_cli.app import app\n"
        f"sys.argv = ['wavechain', 'train', 'denoise-small', {str(recordings)!r}, '-o', {str(tmp_path / 'x')!r}]\n"
        "app()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.strip() == "error: trainer.training needs package torch. Try: pip install 'wavechain[train]'"
    assert not (tmp_path / "x").exists()


def test_looking_models_up_needs_no_torch():
    code = (
        "import sys\nfrom wavechain_cli.app import app\nsys.argv = ['wavechain', 'models', 'list']\n"
        "try:\n    app()\nexcept SystemExit as end:\n    assert not end.code\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_model_that_is_not_there_is_one_line(wavechain, tmp_path):
    assert "is not a model: it has no config.json" in wavechain("models", "show", tmp_path).err
    assert wavechain("models", "show", "repiar").code == 3
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert "its format is None" in wavechain("models", "card", tmp_path).err
    listed = wavechain("models", "list", tmp_path).out
    assert "its format is None" in " ".join(listed.split())  # a long path leaves the column little room


# Killed, as by the power or the system, and gone on.

GAN = TINY.replace("steps = 6", "steps = 20").replace("validate_every = 3", "validate_every = 7")
GAN = GAN.replace("adversarial_from = 1.0", "adversarial_from = 0.2\ndiscriminator_seconds = 0.2").replace(
    "network = {", "discriminator_settings = { sizes = [256, 128], width = 4 }\nnetwork = {"
)
# The program itself, which is sent a signal at a step, or finds that no file may grow beyond so many bytes.
STRUCK = """
import os, signal, sys
import torch
from wavechain_cli.app import app
from wavechain_trainer.folder import RunFolder

torch.set_num_threads(1)
number, at, most = map(int, sys.argv[1:4])
sys.argv = ["wavechain", *sys.argv[4:]]
log = RunFolder.log

def struck(self, step, said, learning_rate):
    log(self, step, said, learning_rate)
    if step == at:
        os.kill(os.getpid(), number)

RunFolder.log = struck
if most:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
app()
"""


def struck(*arguments, signal_number=0, at=0, most=0):
    """The program in a process of its own."""
    numbers = (int(signal_number), at, most)
    return subprocess.run(
        [sys.executable, "-c", STRUCK, *map(str, (*numbers, *arguments))], capture_output=True, text=True, check=False
    )


@pytest.fixture
def gan(recipe):
    import torch

    recipe.write_text(GAN, encoding="utf-8")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield recipe
    torch.set_num_threads(threads)


def left_by(folder):
    """All bits of a run: weights, averages, moments, chance, the model, the tables."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "train" / "checkpoint.safetensors")
    files = ("model.safetensors", "config.json", "train/log.csv", "train/validation.csv")
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()} | {
        name: (folder / name).read_bytes() for name in files
    }


@pytest.mark.parametrize(
    ("at", "resumed"), [(8, 7), *(pytest.param(*each, marks=pytest.mark.slow) for each in ((3, 0), (7, 0), (19, 14)))]
)
def test_seven_steps_a_kill_and_thirteen_steps_are_twenty_steps_to_the_bit(
    wavechain, gan, recordings, tmp_path, at, resumed
):
    whole = wavechain("train", gan, recordings, "-o", tmp_path / "whole")
    assert whole.code == 0, whole.err
    killed = struck("train", gan, recordings, "-o", tmp_path / "killed", signal_number=signal.SIGKILL, at=at)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = wavechain("train", gan, recordings, "-o", tmp_path / "killed", "--resume")
    assert again.code == 0, again.err
    assert f"resumed at step {resumed} of 20" in again.err
    bits = left_by(tmp_path / "whole")
    assert {name.split("/")[1] for name in bits if name.startswith("optimizer/")} == {"repairnet", "discriminator"}
    assert {name.split("/")[1] for name in bits if name.startswith("average/")} == {"repairnet", "discriminator"}
    assert left_by(tmp_path / "killed") == bits


def test_a_run_that_is_asked_to_end_saves_and_says_how_to_go_on(wavechain, gan, recordings, tmp_path):
    ended = struck("train", gan, recordings, "-o", tmp_path / "x", signal_number=signal.SIGTERM, at=5)
    assert ended.returncode == 130
    assert (
        ended.stderr.strip()
        .splitlines()[-1]
        .endswith("stopped at step 5 of 20; the same command with --resume goes on")
    )
    assert "step 20: " in wavechain("train", gan, recordings, "-o", tmp_path / "x", "--resume").err


def test_a_checkpoint_that_does_not_fit_on_the_disk_is_one_line_and_the_one_before_is_whole(
    wavechain, gan, recordings, tmp_path
):
    pytest.importorskip("resource")
    began = wavechain("train", gan, recordings, "-o", tmp_path / "x", "--minutes", "1e-9")
    assert began.code == 0, began.err
    path = tmp_path / "x" / "train" / "checkpoint.safetensors"
    before = path.read_bytes()
    full = struck("train", gan, recordings, "-o", tmp_path / "x", "--resume", most=len(before))
    assert full.returncode == 1
    line = full.stderr.strip().splitlines()[-1]
    assert line.startswith(f"error: {path}: the checkpoint cannot be written (File too large)")
    assert "Traceback" not in full.stderr
    again = wavechain("train", gan, recordings, "-o", tmp_path / "x", "--resume")
    assert again.code == 0
    assert "resumed at step 0 of 20" in again.err


# Checkpoints and models that are not what they should be.


def one_line(said, code, words):
    assert said.code == code, said.err
    lines = [line for line in said.err.strip().splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert words in lines[0]
    assert "Traceback" not in said.err


def test_a_run_that_was_damaged_is_refused_in_one_line(wavechain, trained, recipe, recordings):
    again = ("train", recipe, recordings, "-o", trained, "--resume")
    path = trained / "train" / "checkpoint.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    one_line(wavechain(*again), 1, "the checkpoint cannot be read (it is truncated or damaged")
    path.write_bytes(pickle.dumps({"step": 6}))
    one_line(wavechain(*again), 1, "the checkpoint cannot be read")
    name = re.search(rb'"(network/repairnet/[\w.]+)"', whole)[1]
    path.write_bytes(whole.replace(b'"' + name + b'"', b'"' + name[:-1] + b'?"'))
    one_line(wavechain(*again), 1, f"has no {name.decode()}: it is of another recipe")
    path.write_bytes(whole.replace(b'\\"sample_rate\\": 16000', b'\\"sample_rate\\": 44100'))
    one_line(wavechain(*again), 1, "is of 44100 Hz, the recipe of 16000 Hz")
    path.write_bytes(whole)
    recipe.write_text(TINY.replace("16000", "22050"), encoding="utf-8")
    one_line(wavechain(*again), 2, "this run was begun with recipe.rate_hz = 16000, not 22050")


def test_a_model_that_was_damaged_is_refused_in_one_line_wherever_it_is_used(wavechain, trained, tmp_path):
    music(sample_rate=16_000, seconds=1).write(tmp_path / "in.wav")
    run = ("run", tmp_path / "in.wav", tmp_path / "out.wav", "-s", f"repair:model={trained}")
    well = wavechain(*run)
    assert well.code == 0, well.err
    (tmp_path / "out.wav").unlink()
    weights, config = trained / "model.safetensors", trained / "config.json"
    whole, settings = weights.read_bytes(), json.loads(config.read_text(encoding="utf-8"))

    def refused(words, code=1):
        one_line(wavechain("models", "show", trained), code, words)
        one_line(wavechain("models", "export", trained, "-o", tmp_path / "copy"), code, words)
        assert words in json.loads(wavechain("models", "list", trained, "--json").out)[-1]["error"]
        one_line(wavechain(*run), code, words)
        assert not (tmp_path / "out.wav").exists()
        assert not (tmp_path / "copy").exists()

    weights.write_bytes(whole[:-1])
    refused("model.safetensors: is truncated")
    weights.write_bytes(pickle.dumps({"enter.weight": [1.0]}))
    refused("model.safetensors: is truncated or not a safetensors file")
    weights.write_bytes(whole)
    config.write_text(json.dumps(settings | {"part": "os:system"}), encoding="utf-8")
    refused("part = 'os:system' is not a name; a config never names code")
    config.write_text(json.dumps(settings | {"sample_rate": 0}), encoding="utf-8")
    refused("sample_rate = 0 is not a rate")
    config.write_text(json.dumps(settings | {"format": "wavechain-model/9"}), encoding="utf-8")
    refused("its format is 'wavechain-model/9'")


@pytest.mark.parametrize(("files", "told"), [(0, "0 of 0 audio files"), (1, "1 of 1 audio files")])
def test_too_few_recordings_are_one_line(wavechain, recipe, tmp_path, files, told):
    folder = tmp_path / "few"
    folder.mkdir()
    (folder / "notes.txt").write_text("no sound", encoding="utf-8")
    for seed in range(files):
        music(sample_rate=16_000, seconds=2, channels=1, seed=seed).write(folder / f"{seed}.wav")
    one_line(
        wavechain("train", recipe, folder, "-o", tmp_path / "x"), 2, f"{told} can be trained on, and training needs two"
    )


def test_a_learning_rate_that_blows_up_ends_in_one_line(wavechain, recipe, recordings, tmp_path):
    recipe.write_text("learning_rate = 1.0\nclip_norm = 1e30\n" + TINY, encoding="utf-8")
    recipe.write_text(
        recipe.read_text(encoding="utf-8").replace("faults = ", "losses = { waveform = { weight = 1e38 } }\nfaults = ")
    )
    said = wavechain("train", recipe, recordings, "-o", tmp_path / "x")
    one_line(said, 1, "is not finite")
    assert "a lower learning_rate" in said.err


# The light path: what is not used is not loaded, and what is not installed is said.

IMPORTED = """
import importlib, json, sys
from importlib.metadata import entry_points
from wavechain.registry import registry

modules = sorted({spec.target.partition(".")[0] for kind in ("recipe", "network", "loss", "degradation")
                  for spec in registry().parts(kind)} | set(sys.argv[1:]))
for name in modules:
    importlib.import_module(name)
heavy = ("torch", "torchaudio", "onnxruntime", "scipy", "safetensors", "librosa", "matplotlib", "pedalboard", "av")
print(json.dumps([modules, [name for name in heavy if name in sys.modules]]))
"""
# As where a package is not installed: it is neither found nor imported.
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent = set(sys.argv[1].split(","))
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.partition(".")[0] in absent else real(name, package)
sys.meta_path.insert(0, Absent())
from wavechain_cli.app import app
sys.argv = ["wavechain", *sys.argv[2:]]
app()
"""


def without(packages, *arguments):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(packages), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_the_entry_modules_of_all_plugins_load_nothing_heavy():
    named = list(HOUSE["project"]["entry-points"]["wavechain.plugins"].values())
    done = subprocess.run([sys.executable, "-c", IMPORTED, *named], capture_output=True, text=True, check=True)
    modules, heavy = json.loads(done.stdout)
    assert set(named) <= set(modules)
    assert {"wavechain_trainer", "wavechain_gan_repair", "wavechain_transforms"} <= set(modules)
    assert heavy == []


def test_a_chain_of_effects_runs_where_there_is_no_torch(song, tmp_path):
    done = without(
        ["torch", "onnxruntime"], "run", song, tmp_path / "o.flac", "-s", "gain:gain_db=-3", "-s", "loudness"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "o.flac").is_file()


def test_without_torch_and_a_runtime_repair_is_listed_with_the_line_that_installs_it(song, tmp_path):
    packages = ["torch", "onnxruntime"]
    listed = json.loads(without(packages, "plugins", "list", "--json").stdout)
    states = {plugin["name"]: plugin for plugin in listed}
    assert (states["gan-repair"]["state"], states["trainer"]["state"]) == ("unavailable", "unavailable")
    stages = without(packages, "stages", "list", "--kind", "model").stdout
    assert "pip install 'wavechain[repair]'" in stages
    done = without(packages, "run", song, tmp_path / "o.wav", "-s", "repair")
    assert done.returncode == 3
    assert done.stderr.strip() == (
        "error: gan-repair.repair needs package onnxruntime. Try: pip install 'wavechain[repair]'"
    )
    assert not (tmp_path / "o.wav").exists()


@pytest.mark.slow
def test_ten_minutes_on_fifty_recordings_gain_three_decibels_of_denoising(wavechain, tmp_path):
    pytest.importorskip("torch")
    folder = tmp_path / "fifty"
    folder.mkdir()
    for seed in range(50):
        music(sample_rate=44_100, seconds=6, channels=1, seed=seed).write(folder / f"take-{seed:02}.flac")
    said = wavechain("train", "denoise-small", folder, "-o", tmp_path / "run", "--minutes", "10")
    assert said.code == 0, said.err
    gains = [float(gain) for gain in re.findall(r"si-sdr-gain (-?[\d.]+)", said.err)]
    assert gains[-1] >= 3.0
