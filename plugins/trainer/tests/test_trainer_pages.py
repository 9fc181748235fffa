"""What a run shows of itself: before it starts, while it goes on, and to whoever looks at its folder afterwards."""

from __future__ import annotations

import struct
import sys
import zlib
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest

from wavechain import Audio
from wavechain.errors import ChainError, MissingDependencyError, UsageError
from wavechain.testing import tone

torch = pytest.importorskip("torch")

VOID = {"meta", "img", "br", "link"}


@pytest.fixture
def explained(training, recordings, tmp_path):
    """Sections by title, each a list of rows."""

    def explain(name="toy-gan", **settings):
        sections = training(name, **settings).explain([recordings], tmp_path / "cache")
        return {section.title: section.rows for section in sections}

    return explain


def test_multiply_adds_and_parameters_are_those_of_a_hand_count(explained):
    rows = {row[0].strip(): row for row in explained(recipe={"width": 100})["networks"]}
    # Two convolutions with 9 taps, 1 -> 100 and 100 -> 1 channels, at each of 8000 samples a second.
    assert rows["net"][4] == f"{2 * 9 * 100 * 8_000 / 1e6:,.1f}"
    # Taps and offsets of the first, scale and offset of the normalisation, taps and offset of the second.
    assert rows["net"][2] == f"{(900 + 100) + 200 + (900 + 1):,}"
    assert rows["leave"][3] == "2x1x400"
    # 15 taps to 8 channels at every 4th sample, then 3 taps of 8 channels: 97 and 95 places in 400 samples.
    judged = (15 * 8 * 97 + 3 * 8 * 95) / (400 / 8_000)
    assert rows["judge"][4] == f"{judged / 1e6:,.1f}"


def test_memory_grows_with_the_batch_and_the_weights_with_the_network(explained):
    small, large = (dict(explained(recipe={"width": 2_000}, batch=batch)["memory"]) for batch in (2, 64))
    parameters = 20 * 2_000 + 2 * 2_000 + 1 + 8 * 15 + 8 + 3 * 8 + 1  # net, then judge
    assert small["weights, gradients, moments"] == large["weights, gradients, moments"]
    assert abs(int(small["weights, gradients, moments"]) - 16 * parameters / 1e6) <= 1
    held = [int(each[f"a batch of {batch} on its way"].replace(",", "")) for each, batch in ((small, 2), (large, 64))]
    assert held[1] == pytest.approx(32 * held[0], rel=0.1)
    # At least what the last convolution needs of its input: (batch, 2000, 400) floats.
    assert held[1] * 1e6 >= 64 * 2_000 * 400 * 4


def test_noise_and_a_start_that_a_run_refuses_cannot_be_explained(training, recordings, explained, tmp_path):
    with pytest.raises(UsageError, match="nodir: there is no such file or folder"):
        explained(noise=(tmp_path / "nodir",))
    with pytest.raises(ChainError, match="nope"):
        explained(start="nope")
    wide = training(recipe={"width": 9}, steps=1).train([recordings], tmp_path / "wide")
    with pytest.raises(UsageError, match="is of another size than the recipe's network"):
        explained(start=str(wide))
    assert explained(recipe={"width": 9}, start=str(wide), noise=(recordings,))["networks"]


def test_the_schedule_says_who_moves_how_often(explained):
    rows = explained("toy-wgan")["phases"]
    assert rows[0][2] == "judge: judge x 5; convince: net"
    assert "learning rate up to 0.001 in 3 steps" in rows[1][1]
    assert "every 7 steps; end at 20" in rows[2][1]


# The page.


class Page(HTMLParser):
    """Sees that every element that opens closes, in turn, and keeps what is linked."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


def pixels(path):
    """Shape (rows, columns): numbers of colours, read as the PNG standard says."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = {}, 8
    while place < len(content):
        (length,), kind = struct.unpack(">I", content[place : place + 4]), content[place + 4 : place + 8]
        body = content[place + 8 : place + 8 + length]
        assert struct.unpack(">I", content[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        place += 12 + length
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour, rest) == (8, 3, [0, 0, 0])
    assert len(chunks[b"PLTE"]) == 3 * 256
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:]


def test_the_page_is_whole_and_all_that_it_shows_is_there(training, recordings, tmp_path):
    folder = training("toy-gan").train([recordings], tmp_path / "run", command="wavechain train <toys> & co")
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert "wavechain train <toys> & co" in "".join(page.words)
    drawn = [svg["aria-label"] for svg in page.all("svg")]
    assert drawn == ["error", "learning_rate", "learn/distance", "learn/gradient"] + [
        f"{turn}/{name}" for turn, name in (("judge", "judge"), ("judge", "gradient"), ("convince", "distance"),
                                            ("convince", "game"), ("convince", "gradient"))
    ]  # fmt: skip
    assert all(line["points"].count(",") >= 2 for line in page.all("polyline"))
    pictures, players = page.all("img"), page.all("audio")
    assert len(pictures) == len(players) == 3  # at steps 7, 14 and 20
    for picture, player in zip(pictures, players, strict=True):
        assert pixels(folder / unquote(picture["src"])).shape[0] == 257
        assert Audio.read(folder / unquote(player["src"])).frames == 400


def test_a_tone_is_a_line_at_its_height(tmp_path):
    from wavechain_trainer.pictures import spectrogram_png

    (tmp_path / "tone.png").write_bytes(spectrogram_png(tone(1_000, sample_rate=8_000, seconds=1).waveform[0]))
    picture = pixels(tmp_path / "tone.png")
    # 257 rows from 4000 Hz at the top to 0 at the bottom.
    assert set(picture.argmax(axis=0)) == {256 - 64}
    assert np.median(picture[:150]) == 0


def test_metrics_for_tensorboard_need_tensorboard(training, recordings, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingDependencyError) as error:
        training(tensorboard=True).train([recordings], tmp_path / "run")
    assert str(error.value) == "tensorboard = true needs tensorboard. Try: pip install tensorboard"


def test_a_cpu_that_is_told_nothing_works_in_full_precision(training, recordings, tmp_path):
    weights = {
        precision: training(precision=precision, steps=3).train([recordings], tmp_path / precision)
        for precision in ("auto", "float32", "bf16")
    }
    auto, full, narrow = ((folder / "model.safetensors").read_bytes() for folder in weights.values())
    assert auto == full
    assert narrow != full
