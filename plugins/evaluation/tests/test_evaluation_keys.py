"""What makes a row be measured again: its settings, and everything on disk that decides what it does."""

from __future__ import annotations

import json
import shutil

import pytest

import wavechain_evaluation.keys
import wavechain_evaluation.rows
from wavechain.registry import registry
from wavechain_evaluation.keys import code_key, content_key, files_of
from wavechain_evaluation.rows import chain_row, unprocessed

pytest.importorskip("onnxruntime")


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model's folder in the current one, so that its name needs no slash."""
    shutil.copytree(registry().model("repairnet").folder, tmp_path / "mymodel")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mymodel"


@pytest.mark.parametrize("text", ["repair:model=mymodel", "mix:stages=repair:model=mymodel"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "repairnet.onnx"])
def test_a_row_changes_with_what_its_model_computes_and_not_with_what_training_leaves(model, text, name):
    before = chain_row(text).key()
    (model / "train" / "clips").mkdir(parents=True)
    (model / "train" / "clips" / "1.flac").write_bytes(b"0")
    (model / "report.html").write_text("so far")
    assert chain_row(text).key() == before
    if name == "config.json":
        (model / name).write_text(json.dumps(json.loads((model / name).read_text()) | {"note": 1}))
    elif name == "model.safetensors":
        data = bytearray((model / name).read_bytes())
        data[-1] ^= 1
        (model / name).write_bytes(data)
    else:
        (model / name).write_bytes(b"another graph")
    assert chain_row(text).key() != before


@pytest.fixture
def read(monkeypatch):
    """The names of the packages whose code was read."""
    names = []
    monkeypatch.setattr(wavechain_evaluation.keys, "content_key", lambda path: names.append(path.name) or "")
    code_key.cache_clear()
    yield names
    code_key.cache_clear()


def test_code_is_that_of_the_core_and_of_every_plugin_with_stages_for_chains_read_once(read):
    code_key()
    assert {"wavechain", "wavechain_essentials", "wavechain_restoration", "wavechain_gan_repair"} <= set(read)
    assert not {"wavechain_evaluation", "wavechain_trainer"} & set(read)
    code_key()
    assert len(read) == len(set(read))


@pytest.mark.parametrize("text", ["gain", "repair", "parallel:branches=[comb-dehum,gain]"])
def test_every_chain_changes_with_that_code_and_what_is_unprocessed_does_not(monkeypatch, text):
    rows = [chain_row(text), unprocessed()]
    before = [row.key() for row in rows]
    monkeypatch.setattr(wavechain_evaluation.rows, "code_key", lambda: "another")
    assert [row.key() == key for row, key in zip(rows, before, strict=True)] == [False, True]


def test_a_row_changes_with_a_file_it_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.txt").write_text("one")
    before = [content_key(path) for path in files_of([{"use": "x", "file": "mine.txt"}])]
    (tmp_path / "mine.txt").write_text("two")
    assert [content_key(path) for path in files_of([{"use": "x", "file": "mine.txt"}])] != before
    assert files_of([{"use": "x" * 5000, "number": 3}]) == []
