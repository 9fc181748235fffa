"""Every command with its arguments and options, from the application itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

from reference.text import plain, table
from wavechain_cli.app import app

TYPES = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}


def command_reference() -> Iterator[str]:
    for path, callback in commands():
        hints = get_type_hints(callback, include_extras=True)
        signature = inspect.signature(callback).parameters
        told = [(name, signature[name].default, hints[name]) for name in signature if get_args(hints[name])[1:]]
        positional = [item for item in told if isinstance(_info(item[2]), ArgumentInfo)]
        options = [item for item in told if isinstance(_info(item[2]), OptionInfo) and not _info(item[2]).hidden]
        usage = [f"wavechain {path}".strip(), *(_metavar(*item) for item in positional)]
        if options:
            usage.append("[OPTIONS]" if path else "[OPTIONS] COMMAND")
        yield f"### wavechain {path}\n" if path else "### wavechain\n"
        yield f"```text\n{' '.join(usage)}\n```\n"
        yield inspect.cleandoc(callback.__doc__ or "").partition("\n")[0] + "\n"
        if positional:
            yield table(["argument", "meaning"], [[f"`{_metavar(*a)}`", plain(_info(a[2]).help)] for a in positional])
            yield ""
        if options:
            yield table(["option", "value", "meaning"], [_option_row(*item) for item in options])
            yield ""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with the words that call it; the empty one stands for the options of all."""
    assert app.registered_callback is not None
    yield "", app.registered_callback.callback
    for command in app.registered_commands:
        assert command.callback is not None
        yield command.name or command.callback.__name__, command.callback
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            yield f"{group.name} {command.name}", command.callback


def _option_row(name: str, default: Any, hint: Any) -> list[str]:
    info = _info(hint)
    told = [word for word in (info.default, *(info.param_decls or ())) if isinstance(word, str)]
    words = ", ".join(f"`{word}`" for word in told or [f"--{name.replace('_', '-')}"])
    kind = _bare(hint)
    if kind is bool:
        value = ""
    elif isinstance(kind, type) and issubclass(kind, Enum):
        value = " ".join(f"`{choice.value}`" for choice in kind)
    else:
        value = f"`{info.metavar or TYPES[kind]}`"
    if info.min is not None:
        value += f", from {info.min:g}" if info.max is None else f", {info.min:g} to {info.max:g}"
    if default is inspect.Parameter.empty:
        value += " (**required**)"
    elif default is not None and default is not False:
        value += f" (default: {default})"
    return [words, value, plain(info.help)]


def _metavar(name: str, default: Any, hint: Any) -> str:
    word = _info(hint).metavar or name.upper()
    return word if default is inspect.Parameter.empty else f"[{word}]"


def _info(hint: Any) -> Any:
    return get_args(hint)[1]


def _bare(hint: Any) -> Any:
    """The type without its annotation, its None and its list."""
    kind = get_args(hint)[0]
    parts = [part for part in get_args(kind) if part is not NoneType] or [kind]
    return get_args(parts[0])[0] if get_origin(parts[0]) is list else parts[0]
