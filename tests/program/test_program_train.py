"""``wavechain train`` and ``models``, as a person meets them: a run, its pages, what is refused."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib

import pytest

from wavechain.recipes import read_recipe, recipe_files
from wavechain.testing import music

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
    for word in ("my takes", "repairnet", "parameters", "multiply-adds", "ConvTranspose1d", "memory", "learning rate"):
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
    assert "its format is None" in wavechain("models", "list", tmp_path).out


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
