"""``wavechain evaluate``: asks the bench, shows what it found."""

from __future__ import annotations

import json as jsonlib
import sys
from typing import Any

from wavechain.registry import registry
from wavechain_cli.guard import complain
from wavechain_cli.tables import print_table


def evaluate_rows(settings: dict[str, Any], *, json: bool, quiet: bool) -> int:
    """Returns the exit code: 1 when a row or a recording failed. *settings* as in the bench; None: its default."""
    bench = registry().load_part("bench", "restoration")(
        **{key: value for key, value in settings.items() if value is not None}
    )
    found = bench.run(None if quiet else _show)
    if json:
        print(jsonlib.dumps(found))
    else:
        for table in bench.tables(found):
            print_table(table.title, table.columns, table.rows)
            for line in table.notes:
                print(line)
            print()
    for line in bench.notes(found):
        complain(line, kind="warning")
    if bench.output is not None:
        print(f"report: {bench.output / 'report.html'}", file=sys.stderr)
    code: int = bench.exit_code(found)
    return code


def _show(done: int, total: int, text: str) -> None:
    """One line that is written over on a terminal; nothing where there is none."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r{done}/{total} {text[:60]:60}", end=end, file=sys.stderr, flush=True)
