"""Makes the reference from what the program says about itself: stages, presets, commands, limits.

    python docs/generate.py            write every page and passage that is stale
    python docs/generate.py --check    write nothing, name what is stale, fail when there is any

Whole pages are made under docs/stages/, and docs/presets.md. In other pages a passage stands between two comments:

    <!-- generated: NAME -->  ...  <!-- end of NAME -->

Only what belongs to wavechain itself is described, whatever else is installed beside it. Every package that a bundled
stage needs must be there: pip install -e '.[all]'.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
DOCS = HOUSE / "docs"
sys.path.insert(0, str(DOCS))

from reference import commands, facts, promises, stages  # noqa: E402 - found through the line above

from wavechain.registry import registry  # noqa: E402

MARK = re.compile(r"(<!-- generated: (?P<name>[\w-]+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL)


def made() -> dict[Path, str]:
    """Every page that this script makes or has a passage in, with what should stand there."""
    plugins = stages.in_reading_order([plugin for plugin in registry().plugins() if plugin.bundled])
    if faults := [fault for plugin in plugins for fault in registry().check(plugin)]:
        raise SystemExit("\n".join(faults))
    written = {suffix for plugin in plugins for s in plugin.stages if s.kind == "writer" for suffix in s.extensions}
    pages = {
        DOCS / "stages" / "index.md": stages.stage_index(plugins),
        DOCS / "presets.md": stages.preset_page(plugins),
        **{DOCS / "stages" / f"{plugin.name}.md": stages.plugin_page(plugin) for plugin in plugins},
    }
    passages = {
        "stages": "\n".join(stages.stage_overview(plugins, "docs/stages/")),
        "presets": "\n".join(stages.preset_table(plugins, "docs/presets.md")),
        "commands": "\n".join(commands.command_reference()),
        "output": facts.output_table(),
        "formats": facts.format_table(sorted(written)),
        "limits": facts.limit_table(),
        "errors": facts.error_table(),
        "promises": "\n".join(promises.promise_tables()),
        "signals": promises.signal_table(),
        "decisions": "\n".join(decisions()),
    }
    for page in (HOUSE / "README.md", *sorted(DOCS.glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        if page not in pages and MARK.search(text):
            pages[page] = MARK.sub(lambda m: f"{m[1]}\n{passages[m['name']].strip()}\n\n{m[3]}", text)
    return {page: text.rstrip() + "\n" for page, text in pages.items()}


def decisions() -> Iterator[str]:
    for page in sorted((DOCS / "decisions").glob("*.md")):
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        yield f"- [{title.replace('. ', ': ', 1)}](decisions/{page.name})"


def main(arguments: Sequence[str]) -> int:
    stale = []
    for page, text in made().items():
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            stale.append(page.relative_to(HOUSE).as_posix())
            if "--check" not in arguments:
                page.parent.mkdir(exist_ok=True)
                page.write_text(text, encoding="utf-8")
    checking = "--check" in arguments
    for name in stale:
        print(f"{name} is stale. Try: python docs/generate.py" if checking else f"written: {name}")
    return 1 if stale and checking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
