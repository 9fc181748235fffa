"""The site builds strictly (dead links, missing anchors and forgotten pages are errors) and needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built(site):
    pages = [page.relative_to(HOUSE / "docs").with_suffix("") for page in (HOUSE / "docs").rglob("*.md")]
    built = {page.relative_to(site).parent.as_posix() for page in site.rglob("index.html")}
    expected = {page.parent.as_posix() if page.name == "index" else page.as_posix() for page in pages}
    assert expected <= built


def test_no_page_loads_anything_from_another_host(site):
    loaded = re.compile(
        r"""<(?:script|img|iframe|source)[^>]+src=["']?(?:https?:)?//|<link[^>]+href=["']?(?:https?:)?//"""
    )
    assert [str(page) for page in site.rglob("*.html") if loaded.search(page.read_text(encoding="utf-8"))] == []
    styles = re.compile(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//")
    assert [str(page) for page in site.rglob("*.css") if styles.search(page.read_text(encoding="utf-8"))] == []


def test_links_in_the_readme_lead_somewhere():
    text = (HOUSE / "README.md").read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#:]+)(?:#([^)]+))?\)", text):
        page = HOUSE / target
        assert page.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
