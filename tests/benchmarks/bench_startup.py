"""What starting costs: ``wavechain --help`` against a bare Typer application's."""

from __future__ import annotations

import sys
from pathlib import Path

from bench import cost_of, table, take_turns, wavechain

BARE = """
import typer
app = typer.Typer(rich_markup_mode="rich")
@app.command()
def one(number: int = typer.Option(1, help="A number.")) -> None: "The first."
@app.command()
def two(number: int = typer.Option(1, help="A number.")) -> None: "The second."
app()
"""


def run(folder: Path) -> None:
    bare = folder / "bare.py"
    bare.write_text(BARE)
    contenders = {
        "python -c pass": lambda: cost_of([sys.executable, "-c", "pass"]),
        "a bare Typer application --help": lambda: cost_of([sys.executable, bare, "--help"]),
        "wavechain --help": lambda: cost_of(wavechain("--help")),
        "wavechain --version": lambda: cost_of(wavechain("--version")),
        "wavechain plugins list": lambda: cost_of(wavechain("plugins", "list")),
    }
    costs = take_turns(contenders, rounds=11)
    bare_cpu = costs["a bare Typer application --help"].cpu
    table(
        "start-up",
        ["", "CPU ms", "against bare Typer"],
        [[name, f"{1000 * cost.cpu:.0f}", f"{cost.cpu / bare_cpu:.2f}"] for name, cost in costs.items()],
    )
