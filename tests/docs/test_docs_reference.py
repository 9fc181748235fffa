"""The reference says what the program does: nothing that is generated is stale, nothing public is left out."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path

import pytest

import wavechain
from wavechain import RunOptions, errors, naming
from wavechain.measure import Measurement

HOUSE = Path(__file__).parents[2]
DOCS = HOUSE / "docs"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_nothing_that_is_generated_is_stale(generate):
    made = generate.made()
    stale = [str(page) for page, text in made.items() if not page.is_file() or page.read_text("utf-8") != text]
    assert stale == [], "run: python docs/generate.py"
    kept = {page for page in (DOCS / "stages").glob("*.md") if page not in made}
    assert kept == set(), "pages of plugins that are gone"


def test_every_public_name_has_a_heading_on_the_python_page():
    headings = " ".join(re.findall(r"^#+ (.+)$", text_of("python.md"), flags=re.M))
    named = set(re.findall(r"\w+", headings))
    assert [name for name in wavechain.__all__ if name not in named and name != "__version__"] == []
    assert "wavechain.__version__" in text_of("python.md")


def test_every_run_option_is_on_the_python_page():
    section = text_of("python.md").split("### RunOptions\n")[1].split("\n#")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section, flags=re.M))
    assert told == {field.name: str(field.default) for field in dataclasses.fields(RunOptions)}


def test_what_help_shows_is_in_the_reference(generate, run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    sections = re.split(r"^### (wavechain.*)$", text_of("command-line.md"), flags=re.M)
    written = dict(zip((title.strip() for title in sections[1::2]), sections[2::2], strict=True))
    assert set(written) == {f"wavechain {path}".strip() for path, _ in generate.commands.commands()}
    for command, section in written.items():
        shown, status = run(f"{command} --help")
        assert status == 0
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", shown.partition("─ Options")[2]))
        told = set(re.findall(r"`(--[a-z-]+)`", section))
        assert options - told <= {"--help", "--install-completion", "--show-completion"}, command
        assert told <= options, command


def test_every_environment_variable_is_on_the_command_line_page():
    named = set()
    for folder in ("core", "cli", "plugins"):
        for source in (HOUSE / folder).rglob("*.py"):
            if "tests" not in source.parts:
                named |= set(re.findall(r'"(WAVECHAIN_[A-Z_]+)"', source.read_text(encoding="utf-8")))
    assert named == set(re.findall(r"^\| `(WAVECHAIN_[A-Z_]+)` \|", text_of("command-line.md"), flags=re.M))


def test_every_field_of_a_template_is_on_the_command_line_page():
    section = text_of("command-line.md").split("| field | stands for |")[1].split("\n\n")[0]
    told = set(re.findall(r"`\{(\w+)\}`", section))
    assert told == {*naming.PATH_FIELDS, *naming.TAG_FIELDS}


def test_every_exit_code_is_on_the_command_line_page():
    section = text_of("command-line.md").split("| exit code | meaning |")[1].split("\n\n")[0]
    told = [int(code) for code in re.findall(r"^\| (\d+) \|", section, flags=re.M)]
    assert told == sorted(value for name, value in vars(errors).items() if name.startswith("EXIT_"))


def test_every_key_of_inspect_is_explained():
    keys = [field.name for field in dataclasses.fields(Measurement) if field.name != "picture"]
    section = text_of("command-line.md").split("Its keys are")[1].split(". A level")[0]
    assert re.findall(r"`(\w+)`", section) == keys
    levels = [key for key in keys if re.search(r"_(lufs|lu|dbtp|dbfs|db|hz|offset|frames)$", key)]
    assert [key for key in levels if f"`{key}`" not in text_of("glossary.md")] == []


def test_decisions_have_the_parts_that_a_decision_has():
    for page in sorted((DOCS / "decisions").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(page.name[:4])}. ")
        for part in ("**Situation.**", "**Decision.**", "**Not chosen.**", "**Price.**"):
            assert part in text, f"{page.name} lacks {part}"
