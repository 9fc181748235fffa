"""What is compared, a row each: a chain, or an outside program.

gate=spectral-gate:strength=0.8            a chain of one stage, under a name
declick@clicks,clean=ar-declick            only for these faults; another of the same name may have the others
best=chain.toml                            a chain file
denoise-classical                          a preset
afftdn=ffmpeg -i {input} -af afftdn {output}                a program, once for each recording
rnnoise=python adapter.py {input_folder} {output_folder}    a program, once for all recordings of a fault
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import wavechain
from wavechain.audio import Audio
from wavechain.chain import Chain, parse_stage
from wavechain.errors import SpecMismatchError, StageError, UsageError, WavechainError
from wavechain.output import OutputOptions
from wavechain.registry import registry
from wavechain.run import run_audio
from wavechain.stream import Block
from wavechain_evaluation.alignment import MOST_SECONDS, delay_frames, moved
from wavechain_evaluation.keys import code_key, content_key, digest, files_of

UNPROCESSED = "unprocessed"
COMMAND_SECONDS = 3600.0
_HEADROOM = 0.98
_MORE_SECONDS = 0.2
_NAMED = re.compile(r"\s*(?P<name>[\w.+ -]+?)\s*(?:@(?P<faults>[\w,-]+))?=(?P<rest>.*)", re.DOTALL)


class CommandTimeoutError(StageError):
    """A program took longer than it may."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way of repairing, for some faults (none named: for all of them)."""

    name: str
    kind: str
    text: str
    faults: tuple[str, ...] = ()
    chain: Chain | None = None
    command: tuple[str, ...] = ()

    @property
    def outside(self) -> bool:
        return self.kind == "command"

    @property
    def by_folder(self) -> bool:
        """Whether it takes all recordings of a fault at once."""
        return any("{input_folder}" in word for word in self.command)

    def serves(self, fault: str) -> bool:
        return not self.faults or fault in self.faults

    def key(self) -> str:
        """Changes when its results may: settings, files and models they name, the code of core and plugins."""
        told = [wavechain.__version__, self.kind, self.text]
        if self.chain is not None:
            stages = self.chain.to_dict()["stage"]
            told[2:] = [json.dumps(stages, sort_keys=True), *map(content_key, files_of(stages))]
            if stages:
                told.append(code_key())
        return digest(*told)


def unprocessed() -> Row:
    return Row(UNPROCESSED, "chain", "", chain=Chain())


def chain_row(text: str) -> Row:
    """Raises UsageError for a name that is taken; ChainFileError, ParameterError … for what is no chain."""
    name, faults, rest = _parts(text)
    if name is None:
        name, rest = (Path(text).stem if _is_file(text) else text), text
    if _is_file(rest):
        chain = Chain.load(rest)
    elif rest in {preset.name for preset in registry().presets()}:
        chain = Chain.preset(rest)
    else:
        chain = Chain([parse_stage(stage) for stage in _stages(rest)])
    return Row(name, "chain", rest, faults, chain=chain)


def command_row(text: str) -> Row:
    """Raises UsageError when there is no name, or no {input} and {output}."""
    name, faults, rest = _parts(text)
    try:
        command = tuple(shlex.split(rest))
    except ValueError as error:
        raise UsageError(f"--command {text!r}: {error}.", hint="quotes in pairs.") from None
    one = ("{input}" in rest) and ("{output}" in rest)
    all_at_once = ("{input_folder}" in rest) and ("{output_folder}" in rest)
    if name is None or one == all_at_once:
        raise UsageError(
            f"--command {text!r} is not NAME=PROGRAM with {{input}} and {{output}}.",
            hint="'afftdn=ffmpeg -i {input} -af afftdn {output}'.",
        )
    return Row(name, "command", rest, faults, command=command)


def restore(
    row: Row,
    sounds: Sequence[tuple[Block, int]],
    references: Sequence[Block],
    seed: int = 0,
    command_seconds: float = COMMAND_SECONDS,
) -> list[Repaired]:
    """What *row* makes of each sound, brought to its length; programs also to the references' time.

    command_seconds  what a program may take for each sound: one that takes them all at once has the sum
    Raises           StageError when a program fails, CommandTimeoutError when it had to be ended, SpecMismatchError
                     when what it returns has another rate or channel count
    """
    if row.chain is not None:
        return [_by_chain(row.chain, waveform, rate, seed) for waveform, rate in sounds]
    with tempfile.TemporaryDirectory(prefix="wavechain-evaluate-") as name:
        folder = Path(name)
        if row.by_folder:
            return _by_command(row, folder, sounds, references, command_seconds)
        repaired = []
        for index, (sound, reference) in enumerate(zip(sounds, references, strict=True)):
            inside = folder / str(index)
            inside.mkdir()
            repaired += _by_command(row, inside, [sound], [reference], command_seconds)
        return repaired


@dataclass(frozen=True, slots=True)
class Repaired:
    """What came back, at the length and time of what was given; *delay* is what had to be undone, in frames."""

    waveform: Block
    delay: int = 0


def _by_chain(chain: Chain, waveform: Block, sample_rate: int, seed: int) -> Repaired:
    found = run_audio(chain, Audio(waveform, sample_rate), seed=seed, tail_seconds=0.0)
    _check("the chain", found, waveform, sample_rate)
    return Repaired(moved(found.waveform, 0, waveform.shape[-1]))


def _by_command(
    row: Row,
    folder: Path,
    sounds: Sequence[tuple[Block, int]],
    references: Sequence[Block],
    command_seconds: float,
) -> list[Repaired]:
    inputs, outputs = folder / "in", folder / "out"
    inputs.mkdir()
    outputs.mkdir()
    gains = []
    for index, (waveform, rate) in enumerate(sounds):
        # Programs that work in whole numbers would clip what exceeds full scale: given lower, taken back higher.
        gains.append(min(1.0, _HEADROOM / max(1e-9, float(np.abs(waveform).max(initial=0)))))
        scaled = Audio.of(_longer(waveform * np.float32(gains[-1]), int(_MORE_SECONDS * rate)), rate)
        scaled.write(inputs / f"{index:04}.wav", OutputOptions(bit_depth="float"))
    places = {
        "{input}": str(inputs / "0000.wav"),
        "{output}": str(outputs / "0000.wav"),
        "{input_folder}": str(inputs),
        "{output_folder}": str(outputs),
    }
    _run(row, [_filled(word, places) for word in row.command], folder, command_seconds * len(sounds))
    repaired = []
    for index, ((waveform, rate), reference) in enumerate(zip(sounds, references, strict=True)):
        output = outputs / f"{index:04}.wav"
        if not output.is_file():
            raise StageError(f"{row.name}: the program wrote no {output.name}.", hint=row.text)
        try:
            found = Audio.read(output)
        except WavechainError as error:
            raise StageError(f"{row.name}: {error.message}", hint=row.text) from None
        _check(row.name, found, waveform, rate)
        lag = delay_frames(reference, found.waveform, int(MOST_SECONDS * rate))
        repaired.append(Repaired(moved(found.waveform, lag, waveform.shape[-1]) / np.float32(gains[index]), lag))
    return repaired


def _run(row: Row, command: Sequence[str], folder: Path, seconds: float) -> None:
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StageError(f"{row.name}: {command[0]}: {reason}.", hint="install it, or give its path.") from None
    with process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process)
            hint = "a higher --command-seconds."
            raise CommandTimeoutError(f"{row.name}: did not end within {seconds:g} s.", hint=hint) from None
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        said = [line for line in (err or out).splitlines() if line.strip()]
        last = said[-1].strip() if said else "nothing said"
        raise StageError(f"{row.name}: ended with code {process.returncode} ({last}).", hint=row.text)


def _end(process: subprocess.Popen[str]) -> None:
    """It and what it started: a program behind a script would go on for hours."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _longer(waveform: Block, frames: int) -> Block:
    """With its own end mirrored after it, so that a program with a delay does not lose the end that is measured."""
    frames = min(frames, waveform.shape[-1])
    return np.concatenate([waveform, waveform[:, waveform.shape[-1] - frames :][:, ::-1]], axis=-1)


def _check(who: str, found: Audio, waveform: Block, sample_rate: int) -> None:
    if found.sample_rate != sample_rate:
        raise SpecMismatchError(f"{who} returned {found.sample_rate} Hz for {sample_rate} Hz.", hint="resample back.")
    if found.channels != waveform.shape[0]:
        raise SpecMismatchError(
            f"{who} returned {found.channels} channels for {waveform.shape[0]}.", hint="every channel by itself."
        )


def _filled(word: str, places: dict[str, str]) -> str:
    for place, path in places.items():
        word = word.replace(place, path)
    return word


def _parts(text: str) -> tuple[str | None, tuple[str, ...], str]:
    """NAME, faults and the rest; no name where the first ``=`` belongs to a stage's parameter."""
    match = _NAMED.fullmatch(text)
    if match is None:
        return None, (), text
    return match["name"], tuple(filter(None, (match["faults"] or "").split(","))), match["rest"].strip()


def _is_file(text: str) -> bool:
    return Path(text).suffix.lower() in (".toml", ".json", ".yaml", ".yml")


def _stages(text: str) -> list[str]:
    return [part.strip() for part in text.split("|") if part.strip()]
