"""No file says where it was written or where packages come from: both differ from one machine to the next."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
REGISTRY_HOST = re.compile(
    r"(?:pypi\.org|pythonhosted\.org|download\.pytorch\.org|anaconda\.org|registry\.npmjs|\bfile:///)"
)
# A path from the root of somebody's disk, and not the tail of an address or of a relative path.
MACHINE_PATH = re.compile(r"(?<![\w.~:/\\<>*$}{-])/(?:home|Users|root|work|tmp|var/folders)/\w")


def text_of_the_house() -> dict[str, str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=HOUSE,
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    texts = {}
    for name in filter(None, listed.stdout.split("\0")):
        content = (HOUSE / name).read_bytes() if (HOUSE / name).is_file() else b""
        if b"\0" not in content:  # audio and pictures are not prose
            texts[name] = content.decode("utf-8")
    return texts


@pytest.mark.parametrize("pattern", [REGISTRY_HOST, MACHINE_PATH], ids=["registry host", "machine path"])
def test_no_file_names_a_(pattern):
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in text_of_the_house().items()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == []


def test_the_patterns_find_what_they_are_for():
    slash = "/"
    assert MACHINE_PATH.search(f"open('{slash}home{slash}ada{slash}take.wav')")
    assert not MACHINE_PATH.search("~/home/ada docs/work/one https://example.org/home/x")
    assert REGISTRY_HOST.search("index = https://" + "pypi" + ".org/simple")
