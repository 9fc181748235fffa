"""The examples of the pages about kinds keep the promises of their kind, and the drawings show what they do."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from wavechain import Audio, OutputOptions
from wavechain.registry import KINDS
from wavechain.testing import checks, music, noise
from wavechain.testing.checks import examine
from wavechain.testing.subject import FileSubject, Subject, WriterSubject

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(page.stem for page in (DOCS / "kinds").glob("*.md") if page.stem != "index")
EFFECTS = ("Rectify", "Echo", "Smooth", "Even", "Hold", "FullScale", "Reverse")
# What these are for, and why a promise is not theirs.
EXCEPTIONS = {
    "Reverse": {
        "latency-by-impulse": "Turning time around moves every instant.",
        "tail-rings-out": "Silence that follows the sound comes before it.",
    },
    "Hold": {"latency-by-impulse": "It shows one instant in place of those after it."},
}


@pytest.fixture
def example(blocks_on, tmp_path, monkeypatch):
    """The examples of a page as a module that other processes can import."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def load(page):
        name = f"page_about_{page}"
        code = [block.text for block in blocks_on(f"docs/kinds/{page}.md") if block.language == "python"]
        text = "\n\n".join(part for part in code if ">>>" not in part)
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        made.append(name)
        return importlib.import_module(name)

    yield load
    for name in made:
        sys.modules.pop(name, None)


def broken(subject, which, exceptions=()):
    return [outcome.text for outcome in examine(subject, which, exceptions) if outcome.state == "broken"]


def test_every_kind_has_a_page():
    assert sorted(KINDS) == PAGES
    front = (DOCS / "kinds" / "index.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"[`{kind}`]({kind}.md)" not in front] == []


@pytest.mark.parametrize("name", EFFECTS)
def test_the_effects_on_the_page_keep_every_promise(example, name):
    stage = getattr(example("effect"), name)()
    audio = music(seconds=0.5, sample_rate=48_000)
    assert broken(Subject(stage, audio=audio, examples=4), checks.STREAM_CHECKS, EXCEPTIONS.get(name, {})) == []


def test_no_effect_on_the_page_is_left_out(example):
    page = example("effect")
    stages = [
        name for name, value in vars(page).items() if isinstance(value, type) and value.__module__ == page.__name__
    ]
    assert tuple(name for name in stages if not name.startswith("_")) == EFFECTS


def test_the_transform_on_the_page_keeps_every_promise(example):
    page = example("transform")
    # Columns are counted in frames, as n_fft is: at another rate the same stage does something else.
    frames = {"sounds-alike-at-any-rate": "Its size is in frames."}
    assert broken(Subject(page.Fold(), examples=4), checks.TRANSFORM_CHECKS, frames) == []
    turned = Subject(page.EveryColumnBackwards(), [page.Fold()], examples=4)
    moved = frames | {"latency-by-impulse": "It moves every frame inside its column."}
    assert broken(turned, checks.STREAM_CHECKS, moved) == []


def test_the_model_on_the_page_keeps_every_promise(example):
    assert broken(Subject(example("model").Surprise(), examples=4), checks.MODEL_CHECKS) == []


def write_plain(writer, path, audio):
    sink = writer.open(path, audio.spec, writer.encoding(path.suffix, audio.spec, audio.media, OutputOptions()))
    sink.write(audio.waveform)
    sink.close()
    return path


def read_plain(loader, path):
    with loader.open(path) as source:
        return Audio(source.read(10**9), source.spec.sample_rate)


def test_the_loader_on_the_page_keeps_every_promise(example, tmp_path):
    loader, writer = example("loader").PlainLoader(), example("writer").PlainWriter()

    def make(folder, audio):
        return write_plain(writer, folder / "file.plain", audio)

    assert broken(FileSubject(loader, make, tmp_path, tolerance=0.0, examples=4), checks.LOADER_CHECKS) == []


def test_the_writer_on_the_page_keeps_every_promise(example, tmp_path):
    loader, writer = example("loader").PlainLoader(), example("writer").PlainWriter()
    subject = WriterSubject(
        writer, ".plain", tmp_path, read_back=lambda path: read_plain(loader, path), tolerance=0.0, examples=4
    )
    assert broken(subject, checks.WRITER_CHECKS) == []


def test_the_trainer_on_the_page_finds_the_weight_that_made_the_sound(example, tmp_path):
    rng, steps = np.random.default_rng(1), 20_000
    sound = 0.01 * rng.standard_normal(steps)
    for step in range(1, steps):
        sound[step] += 0.8 * sound[step - 1]
    Audio.of(sound, 48_000).write(tmp_path / "taught.wav")
    weights = example("trainer").SurpriseTrainer().train([tmp_path / "taught.wav"], tmp_path / "weights")
    found = json.loads(weights.read_text(encoding="utf-8"))
    assert found["weight"] == pytest.approx(0.8, abs=0.02)
    assert found["recipe"] == {"most_seconds": 60.0}


def test_without_its_tail_the_echo_on_the_page_would_be_found_out(example, monkeypatch):
    page = example("effect")
    monkeypatch.setattr(page._Echo, "tail", property(lambda self: 0, lambda self, value: None))
    told = broken(
        Subject(page.Echo(), audio=noise(seconds=0.5), examples=4),
        {"tail-rings-out": checks.STREAM_CHECKS["tail-rings-out"]},
    )
    assert len(told) == 1
    assert "tail-rings-out" in told[0]


@pytest.fixture(scope="module")
def drawings():
    spec = importlib.util.spec_from_file_location("make_drawings", DOCS / "drawings" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_drawings_are_what_the_script_draws(drawings):
    made = drawings.made()
    stale = [path.name for path, svg in made.items() if not path.is_file() or path.read_bytes() != svg.encode()]
    assert stale == [], "run: python docs/drawings/make.py"
    assert set((DOCS / "drawings").glob("*.svg")) == set(made)


def test_every_drawing_is_on_a_page_with_words_for_who_cannot_see_it(drawings):
    text = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    shown = dict(re.findall(r"!\[([^]]+)\]\(\.\./drawings/([\w-]+)\.svg\)", text))
    assert sorted(shown.values()) == sorted(drawings.DRAWINGS)
    assert all(len(words) > 20 for words in shown)
