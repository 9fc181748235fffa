"""Audio files of Debian packages, each with the licence that its package's copyright file gives it.

Needs `apt-get` and `dpkg` (Debian or a relative); the packages are unpacked into a work folder, never installed.

A copyright file in the machine-readable format (DEP-5) names a licence for each group of files by patterns of the
source tree, of which a package installs parts elsewhere. So the ends of a pattern are tried on the ends of the
installed path; the most specific match holds, and of equal ones the last. A file in free text names one licence for the
whole package. Licences are let in by name: what is not on the list below is refused and reported, not guessed.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import zipfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

AUDIO_SUFFIXES = {".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"}

# Licences that allow use, change and passing on, for any purpose. Names as DEP-5 files write them, lower case.
ALLOWED = re.compile(
    r"(l?gpl|gfdl|cc-by|cc-by-sa|cc-?0|cc0-1\.0|mit|expat|bsd|bsd-like|apache|artistic|zlib|isc|mpl|pd|public-domain"
    r"|free-art-license|wtfpl)(-niv)?(-?v?[0-9][0-9a-z.+]*)?(-us|-unported|-clause|-like)?"
)

# Signatures of licences in free text, first match first.
FREE_TEXT = [
    ("CC-BY-NC", r"attribution[- ]non-?commercial|\bby-nc\b|non-?commercial use only"),
    ("CC-BY-ND", r"attribution[- ]no-?deriv|\bby-nd\b"),
    ("CC-BY-SA-3.0", r"licenses/by-sa/3\.0|attribution[- ]share-?alike (licence )?3\.0"),
    ("CC-BY-SA-3.0", r"creative\s+commons\s+public\s+license(?=.*attribution, sharealike)"),
    ("CC-BY-3.0", r"licenses/by/3\.0|attribution 3\.0"),
    ("LGPL-2+", r"gnu lesser general public licen[sc]e.*any later version"),
    ("GPL-2+", r"general public licen[sc]e\b.{0,120}version 2\b.{0,60}any later version"),
    ("GPL-3+", r"general public licen[sc]e\b.{0,120}version 3\b.{0,60}any later version"),
    ("GPL-2", r"general public licen[sc]e\b.{0,120}version 2\b"),
    ("GPL-3", r"general public licen[sc]e\b.{0,120}version 3\b"),
    ("MIT", r"permission is hereby granted, free of charge, to any person obtaining a copy"),
    ("ISC", r"permission to use, copy, modify, and(/or)? distribute this software for any purpose"),
    ("GPL", r"general public licen[sc]e"),
    ("CC0-1.0", r"\bcc0\b"),
    ("public-domain", r"public domain"),
]


class PackageError(Exception):
    """A package that cannot be fetched or read: one line that names it."""


@dataclass(frozen=True)
class PackagedFile:
    """One audio file: where it was installed, where it lies now, and under which licence."""

    package: str
    path: str
    file: Path
    licence: str


def fetched(package: str, work: Path) -> Path:
    """The unpacked folder of *package*; downloads and unpacks it when it is not there yet."""
    folder = work / "unpacked" / package
    if folder.with_suffix(folder.suffix + ".done").exists():
        return folder
    archives = work / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    found = sorted(archives.glob(f"{package}_*.deb"))
    if not found:
        _run(["apt-get", "download", package], archives, package)
        found = sorted(archives.glob(f"{package}_*.deb"))
    folder.mkdir(parents=True, exist_ok=True)
    _run(["dpkg", "-x", str(found[-1].resolve()), str(folder.resolve())], work, package)
    for archive in sorted(file for file in folder.rglob("*") if file.suffix in (".zip", ".pk3") and file.is_file()):
        _unzip_audio(archive)
    folder.with_suffix(folder.suffix + ".done").touch()
    return folder


def audio_files(package: str, work: Path) -> list[PackagedFile]:
    """Every audio file of *package*, by path, with its licence ("unknown" where the copyright file says nothing)."""
    folder = fetched(package, work)
    text = copyright_text(folder, package)
    files = [file for file in folder.rglob("*") if file.suffix.lower() in AUDIO_SUFFIXES and file.is_file()]
    paths = sorted((file.relative_to(folder).as_posix(), file) for file in files if not file.is_symlink())
    return [PackagedFile(package, path, file, licence_of(path, text)) for path, file in paths]


def version_of(package: str, work: Path) -> str:
    """The version of the package that was fetched, as its archive is named."""
    return sorted((work / "archives").glob(f"{package}_*.deb"))[-1].name.split("_")[1].replace("%3a", ":")


def copyright_text(folder: Path, package: str) -> str:
    """The copyright file of an unpacked package; PackageError when there is none."""
    for name in ("copyright", "copyright.gz"):
        file = folder / "usr/share/doc" / package / name
        if file.is_file():
            raw = file.read_bytes()
            return (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("utf-8", errors="replace")
    raise PackageError(f"{package}: no copyright file, so nothing of it can be used.")


def licence_of(path: str, text: str) -> str:
    """The licence that copyright file *text* gives to the installed *path*.

    >>> dep5 = "Format: x\\n\\nFiles: *\\nLicense: GPL-2+\\n\\nFiles: data/rain*.ogg\\nLicense: CC-BY-SA-3.0\\n"
    >>> licence_of("usr/share/game/data/rain-1.ogg", dep5), licence_of("usr/share/game/data/wind.ogg", dep5)
    ('CC-BY-SA-3.0', 'GPL-2+')
    """
    stanzas = _stanzas(text)
    if not stanzas:
        return _free_text_licence(text)
    parts = path.split("/")
    tails = ["/".join(parts[at:]) for at in range(len(parts))]
    matches = [
        (len(pattern.strip("*")), at, licence)
        for at, (patterns, licence) in enumerate(stanzas)
        for pattern in patterns
        if any(fnmatchcase(tail, pattern) for tail in tails)
    ]
    return max(matches)[-1] if matches else "unknown"


def is_allowed(licence: str) -> bool:
    """Whether sound under *licence* may be used: one allowed alternative of an "or", every part of an "and".

    >>> is_allowed("GPL-2+"), is_allowed("CC-BY-NC-3.0 or CC-BY-SA-3.0"), is_allowed("CC-BY-ND-4.0"), is_allowed("x")
    (True, True, False, False)
    """
    alternatives = re.split(r"\s+or\s+|\s*\|\s*", licence.strip().lower())
    return any(all(ALLOWED.fullmatch(part) for part in re.split(r",?\s+and\s+", one)) for one in alternatives)


def _stanzas(text: str) -> list[tuple[list[str], str]]:
    """(patterns, licence name) of each DEP-5 `Files:` paragraph; none when *text* is free text."""
    if not re.search(r"^Files:", text, flags=re.MULTILINE):
        return []
    found = []
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields = {
            name.lower(): value
            for name, value in re.findall(r"^([A-Za-z-]+):(.*(?:\n[ \t].*)*)", paragraph, flags=re.MULTILINE)
        }
        if "files" in fields and "license" in fields:
            patterns = [word.removeprefix("./") for word in fields["files"].replace(",", " ").split()]
            name, _, body = fields["license"].partition("\n")
            found.append(
                ([end for pattern in patterns for end in _ends(pattern)], name.strip() or _free_text_licence(body))
            )
    return found


def _ends(pattern: str) -> list[str]:
    """*pattern* and its ends that still say something: packages install a part of the source tree elsewhere.

    >>> _ends("etc/samples/loop.flac"), _ends("data/*"), _ends("share/game/sounds/*")
    (['etc/samples/loop.flac', 'samples/loop.flac'], ['data/*'], ['share/game/sounds/*', 'game/sounds/*'])
    """
    parts = pattern.split("/")
    fewest = 3 if parts[-1].startswith("*") else 2
    return [pattern, *("/".join(parts[at:]) for at in range(1, len(parts) - fewest + 1))]


def _free_text_licence(text: str) -> str:
    flat = re.sub(r"\s+", " ", text.lower())
    return next((name for name, signature in FREE_TEXT if re.search(signature, flat, flags=re.DOTALL)), "unknown")


def _unzip_audio(archive: Path) -> None:
    """Unpacks the audio members of *archive* beside it, into a folder of its name without the suffix."""
    target = archive.with_suffix("")
    with zipfile.ZipFile(archive) as members:
        for name in members.namelist():
            if Path(name).suffix.lower() in AUDIO_SUFFIXES:
                members.extract(name, target)


def _run(command: list[str], folder: Path, package: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise PackageError(f"{package}: {command[0]} failed ({last}). Try: apt-get update")
