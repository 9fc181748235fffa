"""Chain files: TOML first; JSON and (safe) YAML read into the same model. Errors name file and line.

name = "voice"

[[stage]]
use = "highpass"
cutoff_hz = 80

[[stage]]
use = "mix"
wet = 0.3
[[stage.stages]]
use = "reverb"

[output]
format = "flac"
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavechain.errors import ChainFileError, WavechainError

if TYPE_CHECKING:
    from wavechain.chain import Chain

MAX_BYTES = 1 << 20


def load(path: Path) -> Chain:
    """Raises ChainFileError (unreadable, not a chain), ParameterError, UnknownStageError …, each naming the line."""
    from wavechain.chain import Chain

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ChainFileError(f"{path}: larger than {MAX_BYTES >> 20} MiB; is it a chain?", hint="a chain file.")
        text = data.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except OSError as error:
        raise ChainFileError(f"{path}: {(error.strerror or str(error)).lower()}.", hint="check the name.") from None
    except UnicodeDecodeError:
        raise ChainFileError(f"{path}: not a text file.", hint="a chain file in TOML, JSON or YAML.") from None
    parsed = _parse(path, text)
    try:
        return Chain.from_dict(parsed)
    except RecursionError:
        raise ChainFileError(f"{path}: stages are nested too deeply.", hint="fewer chains inside chains.") from None
    except WavechainError as error:
        line = _line_of(text, error.message)
        raise error.at(f"{path}:{line}" if line else str(path)) from None


def to_toml(chain: Chain) -> str:
    """The chain as a TOML file that `load` reads back to an equal chain."""
    import tomli_w

    return tomli_w.dumps(chain.to_dict())


def _parse(path: Path, text: str) -> Mapping[str, Any]:
    suffix = path.suffix.lower()
    try:
        if suffix == ".json":
            data = json.loads(text, object_pairs_hook=_no_key_twice)
        elif suffix in (".yaml", ".yml"):
            data = _yaml(path, text)
        else:
            data = tomllib.loads(text)
    except RecursionError:
        raise ChainFileError(f"{path}: is nested too deeply.", hint="fewer chains inside chains.") from None
    except ValueError as error:  # the syntax errors of TOML and JSON, and numbers of thousands of digits
        raise ChainFileError(f"{path}: {error}.", hint="correct the syntax there.") from None
    if not isinstance(data, Mapping):
        raise ChainFileError(f"{path}: a chain is a table with a list named stage.", hint='[[stage]] use = "gain".')
    return data


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} is given twice")
    return table


def _yaml(path: Path, text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ChainFileError(f"{path}: {error}.", hint="correct the syntax there.") from None


def _line_of(text: str, message: str) -> int:
    """The line that an error is about: where the key or the stage that it quotes stands, in the stage it counts."""
    lines = text.splitlines()
    start = 0
    if counted := re.search(r"stage (\d+)", message):
        headers = [
            number for number, line in enumerate(lines) if re.search(r"\[\[stage\]\]|\buse\b['\"]?\s*[=:]", line)
        ]
        tables = [number for number, line in enumerate(lines) if "[[stage]]" in line] or headers
        if int(counted[1]) <= len(tables):
            start = tables[int(counted[1]) - 1]
    words = re.findall(r"(\w+) = ", message) + re.findall(r"'([^']+)'", message)
    for word in words:
        key = re.compile(rf"""^\s*(?:- )?["']?{re.escape(word)}["']?\s*[=:]""")
        for matches in (key.search, lambda line, word=word: word in line):
            for number in range(start, len(lines)):
                if matches(lines[number]):
                    return number + 1
    return start + 1 if start else 0
