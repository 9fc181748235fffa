"""Damaged files: mutations of real ones, hundreds here and thousands in `make slow`, never crash the program, hang it,
or leave half an output.

Each mutation goes through the whole command line in a process of its own kind: a worker that lives as long as it
survives, so that a crash in a native decoder is seen as what it is.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wavechain import Audio, Media, Picture
from wavechain.testing import music

SECONDS_AT_MOST = 30
FORMATS = ("wav", "w64", "rf64", "aiff", "flac", "ogg", "opus", "mp3", "caf", "m4a")

WORKER = """
import json, sys
from pathlib import Path
from typer.testing import CliRunner
from wavechain_cli.app import app

for line in sys.stdin:
    source, output = json.loads(line)
    result = CliRunner().invoke(app, ["run", source, output, "--overwrite", "-s", "gain:gain_db=-1"])
    fault = "" if result.exception is None or isinstance(result.exception, SystemExit) else repr(result.exception)
    print(json.dumps([result.exit_code, result.stderr, fault]), flush=True)
"""


class Worker:
    """The program, fed with one file after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, source: Path, output: Path) -> tuple[int, str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(source), str(output)]) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], SECONDS_AT_MOST)
        assert ready, f"no answer within {SECONDS_AT_MOST} s"
        line = self._process.stdout.readline()
        assert line, f"the program died: exit code {self._process.wait()}"
        code, said, fault = json.loads(line)
        return code, said, fault

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    working = Worker()
    yield working
    working.close()


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("originals")
    media = Media(tags={"title": ("Take",), "artist": ("Somebody",)}, pictures=(Picture(b"\x89PNG" * 20, "image/png"),))
    audio = music(sample_rate=48_000, seconds=0.25)
    audio = Audio(audio.waveform, audio.sample_rate, media)
    return {suffix: audio.write(folder / f"take.{suffix}").read_bytes() for suffix in FORMATS}


@st.composite
def damage(draw: st.DrawFn) -> list[tuple[str, float, bytes]]:
    """What happens to a file: a few of overwrite, delete, insert, cut off, at relative places."""
    kinds = st.sampled_from(["overwrite", "overwrite", "delete", "insert", "cut", "zero"])
    # Headers are where it hurts: half of all damage falls into the first twentieth.
    places = st.one_of(st.floats(0, 0.05), st.floats(0, 1))
    count = draw(st.integers(1, 4))
    return [(draw(kinds), draw(places), draw(st.binary(min_size=1, max_size=12))) for _ in range(count)]


def damaged(data: bytes, harm: list[tuple[str, float, bytes]]) -> bytes:
    for kind, place, payload in harm:
        at = int(place * len(data))
        match kind:
            case "overwrite":
                data = data[:at] + payload + data[at + len(payload) :]
            case "delete":
                data = data[:at] + data[at + 7 * len(payload) :]
            case "insert":
                data = data[:at] + payload + data[at:]
            case "cut":
                data = data[: max(1, at)]
            case "zero":
                data = data[:at] + bytes(30 * len(payload)) + data[at + 30 * len(payload) :]
    return data


def check(
    suffix: str, harm: list[tuple[str, float, bytes]], originals: dict[str, bytes], worker: Worker, folder: Path
) -> None:
    source, output = folder / f"damaged.{suffix}", folder / "out/o.wav"
    output.parent.mkdir(exist_ok=True)
    source.write_bytes(damaged(originals[suffix], harm))
    code, said, fault = worker.run(source, output)
    assert fault == ""
    assert code in (0, 1, 3), said
    assert "unexpected" not in said
    assert "Traceback" not in said
    left = [path.name for path in output.parent.iterdir()]
    assert left == (["o.wav"] if code == 0 else [])
    output.unlink(missing_ok=True)
    if code:
        assert said.startswith("error: ")
        assert said.count("\n") == 1


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_files_never_crash_or_hang(suffix, originals, worker, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"damaged-{suffix}")

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damage())
    def many(harm: list[tuple[str, float, bytes]]) -> None:
        check(suffix, harm, originals, worker, folder)

    many()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FORMATS)
def test_thousands_of_damaged_files_never_crash_or_hang(suffix, originals, worker, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"damaged-{suffix}")

    @settings(max_examples=3000, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
    @given(damage())
    def many(harm: list[tuple[str, float, bytes]]) -> None:
        check(suffix, harm, originals, worker, folder)

    many()
