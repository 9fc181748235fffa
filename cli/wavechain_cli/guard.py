"""Between a command and the terminal: errors become one line and the right exit code."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., Any])

_state = {"debug": False}


def set_debug(on: bool) -> None:
    _state["debug"] = _state["debug"] or on


def debugging() -> bool:
    return _state["debug"]


def guarded(command: Command) -> Command:
    """Run *command* so that a person sees one line for each error, and a script the right exit code."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        from wavechain import interrupts
        from wavechain.errors import EXIT_INTERRUPTED, WavechainError

        try:
            with interrupts.heard():
                return command(*args, **kwargs)
        except WavechainError as error:
            if debugging():
                raise
            complain(str(error))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            if debugging():
                raise
            complain("interrupted: nothing unfinished was kept.")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:  # the reader of our output has gone: wavechain ... | head
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (typer.Exit, typer.Abort):
            raise
        except OSError as error:
            if debugging():
                raise
            complain(f"{error.filename or 'standard output'}: {(error.strerror or str(error)).lower()}. Try: --debug.")
            raise typer.Exit(1) from None
        except Exception as error:
            if debugging():
                raise
            complain(f"unexpected {type(error).__name__}: {error}. Try: --debug, and report it as a bug.")
            raise typer.Exit(1) from None

    return wrapper  # type: ignore[return-value]


def hush_native_libraries() -> None:
    """Send what C libraries print to standard error into nothing; Python's own lines still get there.

    mpg123 and Rubber Band print warnings there that name neither file nor stage; what matters of them arrives as an
    error of ours.
    """
    try:
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        sys.stderr = os.fdopen(kept, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    except (OSError, AttributeError):  # no standard error to begin with
        return


def complain(message: str, *, kind: str = "error") -> None:
    """One line on standard error."""
    line = " ".join(message.split())
    colour = {"error": typer.colors.RED, "warning": typer.colors.YELLOW}[kind]
    typer.echo(f"{typer.style(kind, fg=colour, bold=True)}: {line}", err=True)
