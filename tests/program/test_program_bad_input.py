"""Whatever it is given: one line, the right exit code, nothing lost."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

PROGRAM = Path(sys.executable).with_name("wavechain")


def riff(*, claimed: int, data: bytes = b"", channels: int = 2, rate: int = 44_100) -> bytes:
    """A WAV header that claims *claimed* bytes of samples, and what really follows."""
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    size = min(36 + claimed, 0xFFFFFFFF)
    return (
        b"RIFF"
        + struct.pack("<I", size)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", claimed)
        + data
    )


def truncated(song: Path, path: Path, codec: str) -> Path:
    samples, rate = soundfile.read(song)
    whole = path.with_name(f"whole.{codec}")
    soundfile.write(whole, samples, rate)
    data = whole.read_bytes()
    whole.unlink()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def make(kind: str, folder: Path, song: Path) -> Path:
    path = folder / f"{kind}.wav"
    samples, rate = soundfile.read(song, dtype="float32")
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("this is not audio\n" * 50)
        case "zero-frames":
            path.write_bytes(riff(claimed=0))
        case "eight-gib":
            path.write_bytes(riff(claimed=0xFFFFFFF0, data=b"\0" * 16))
        case "truncated":
            data = song.read_bytes()
            path.write_bytes(data[: len(data) // 2])
        case "truncated-flac":
            path = truncated(song, folder / "truncated.flac", "flac")
        case "nan":
            samples[1000, 0] = np.nan
            soundfile.write(path, samples, rate, "FLOAT")
        case "channels-96":
            soundfile.write(path, np.zeros((100, 96), np.float32), rate)
        case "folder":
            path.mkdir()
            (path / "inside.wav").mkdir()
        case "missing":
            pass
    return path


@pytest.mark.parametrize(
    "kind",
    [
        "empty",
        "text",
        "zero-frames",
        "eight-gib",
        "truncated",
        "truncated-flac",
        "nan",
        "channels-96",
        "folder",
        "missing",
    ],
)
@pytest.mark.parametrize("command", ["run", "inspect", "plan"])
def test_bad_files_are_one_line_that_names_them(wavechain, song, tmp_path, kind, command):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    path = make(kind, tmp_path / "in", song)
    arguments = (path,) if command == "inspect" else (path, tmp_path / "out/o.flac", "-s", "gain:gain_db=-3")
    said = wavechain(command, *arguments)
    if command == "plan" and kind in ("nan", "truncated-flac", "eight-gib", "truncated"):
        assert said.code in (0, 1)  # only reading everything can tell
    else:
        assert said.code == 1, said
        assert path.name in said.err
        assert said.err.startswith("error: ")
        assert " Try: " in said.err
    assert said.err.count("\n") <= 1
    assert "Traceback" not in said.err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_mislabelled_file_is_read_by_its_content(wavechain, song, tmp_path):
    samples, rate = soundfile.read(song)
    path = tmp_path / "really-flac.wav"
    soundfile.write(path, samples, rate, format="FLAC")
    assert wavechain("run", path, tmp_path / "o.wav").code == 0


def test_an_unreadable_file_and_an_unwritable_folder_are_named(song, tmp_path):
    if os.geteuid() == 0:  # root may do everything: become somebody else for this one
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
            pytest.skip("cannot drop privileges here")
    else:
        prefix = []
    os.chmod(tmp_path, 0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            os.chmod(parent, parent.stat().st_mode | 0o111)
    secret = tmp_path / "secret.wav"
    secret.write_bytes(song.read_bytes())
    secret.chmod(0)
    readable = tmp_path / "readable.wav"
    readable.write_bytes(song.read_bytes())
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    program = [*prefix, PROGRAM]
    if subprocess.run([*program, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("the program is out of reach for another user here")
    done = subprocess.run([*program, "run", secret, locked / "o.wav"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "read-only" in done.stderr or "permission denied" in done.stderr
    done = subprocess.run([*program, "inspect", secret], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "secret.wav: permission denied" in done.stderr
    done = subprocess.run([*program, "run", readable, locked / "o.wav"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "locked" in done.stderr


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "opus", "m4a"])
def test_a_full_disk_is_an_error_and_leaves_nothing(song, tmp_path, suffix):
    """A limit on file size stands in for a full disk: the system refuses to write on."""
    import resource

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    output = tmp_path / "out" / f"o.{suffix}"
    output.parent.mkdir()
    stages = ["-s", "resample:sample_rate=48000"]
    done = subprocess.run(
        [PROGRAM, "run", song, output, *stages], preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr
    assert list(output.parent.iterdir()) == []


def test_output_equal_to_input_is_refused_and_the_input_kept(wavechain, song, tmp_path):
    copy = tmp_path / "copy.wav"
    copy.write_bytes(song.read_bytes())
    (tmp_path / "link.wav").symlink_to(copy)
    for output in (copy, tmp_path / "link.wav", tmp_path / ".." / tmp_path.name / "copy.wav"):
        said = wavechain("run", copy, output, "--overwrite")
        assert (said.code, copy.read_bytes()) == (2, song.read_bytes())
        assert "is the input itself. Try: another name" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-s", "gian"], 3, "no stage is called 'gian'; the nearest is 'gain'. Try: wavechain stages list."),
        (["-s", "highpass:cutof_hz=80"], 2, "highpass has no parameter 'cutof_hz'. Try: cutoff_hz."),
        (["-s", "gain:gain_db=1000"], 2, "gain: gain_db = 1000 is out of range. Try: -120 to 60 dB."),
        (["-s", "highpass:cutoff_hz=30000"], 2, "22050"),
        (["-s", "inverse"], 3, "stage 1 (inverse)"),
        (["-s", "gain:gain_db=true"], 2, "gain: gain_db = True: true and false are not numbers."),
        (["--preset", "podcats"], 3, "podcast"),
        (["--chain", "missing.toml"], 3, "missing.toml"),
        (["--jobs", "zero"], 2, "--jobs zero is out of range"),
        (["--overwrite", "--skip"], 2, "exclude one another"),
        (["--bit-depth", "17"], 2, ""),
        (["--format", "doc"], 2, "no writer for '.doc' files"),
    ],
)
def test_a_wrong_request_is_one_line_with_the_right_exit_code(wavechain, song, tmp_path, arguments, code, message):
    said = wavechain("run", song, tmp_path / "o.flac", *arguments)
    assert said.code == code, said
    assert message in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_output_folder_names_the_command_that_makes_it(wavechain, song, tmp_path):
    said = wavechain("run", song, tmp_path / "new/o.flac")
    assert said.code == 1
    assert f"Try: mkdir -p {tmp_path}/new." in said.err


def test_debug_shows_the_traceback(song, tmp_path):
    done = subprocess.run(
        [PROGRAM, "--debug", "run", song, tmp_path / "o.flac", "-s", "gian"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" in done.stderr


def test_a_device_is_never_replaced_by_a_file(wavechain, song, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    said = wavechain("run", song, tmp_path / "pipe.wav", "--overwrite")
    assert said.code == 2
    assert "is a device or a pipe, not a file. Try: -o - >" in said.err
    assert (tmp_path / "pipe.wav").is_fifo()


def test_a_named_pipe_is_read_to_its_end(wavechain, song, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(f"cat '{song}' > '{tmp_path}/pipe'", shell=True):
        assert wavechain("run", tmp_path / "pipe", tmp_path / "o.wav").code == 0
