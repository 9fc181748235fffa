"""``wavechain plugins check``: one plugin, installed or in a folder, as its author should see it before publishing.

    metadata   what an index and pip need to know
    plugin     it loads, its API level is right, and the promises of a plugin as a whole (`wavechain.testing`)
    tests      what could not be read of the plugin's own tests
    STAGE      every stage through the conformance kit; not with --quick

What the contract classes in the plugin's tests say holds here too: the settings to try, and the exceptions that they
declare. They are found in the folder that is given, and in that of an editable install (`wavechain_cli.own_tests`). A
stage without a contract is tried with its default settings.

A folder needs not be installed: an entry point for it is made in a temporary folder on ``sys.path``.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import tempfile
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavechain.errors import (
    EXIT_CHAIN,
    EXIT_OK,
    MissingDependencyError,
    ParameterError,
    PluginError,
    UsageError,
    nearest,
)
from wavechain.hookspecs import ENTRY_POINT_GROUP
from wavechain.registry import PLUGIN_API, PluginRecord, StageSpec, install_line, registry, reset
from wavechain_cli.own_tests import OwnTests, editable_folder
from wavechain_cli.tables import print_table

if TYPE_CHECKING:
    from wavechain.stages import Stage
    from wavechain.testing.checks import Checks, Outcome
    from wavechain.testing.contract import Contract

OK, FAULTY, NOT_RUN, OLD = "ok", "faulty", "not run", "old"

# (what a project table calls it, what the metadata of a distribution calls it, what to write)
FIELDS = (
    ("name", ("Name",), 'name = "wavechain-..." in [project]'),
    ("version", ("Version",), 'version = "0.1.0" in [project]'),
    ("description", ("Summary",), 'description = "One line." in [project]'),
    ("requires-python", ("Requires-Python",), 'requires-python = ">=3.11" in [project]'),
    ("license", ("License-Expression", "License", "License-File"), 'license = "MIT", or another, in [project]'),
    ("readme", ("Description", "Description-Content-Type"), 'readme = "README.md" in [project]'),
)


@dataclass(frozen=True)
class Line:
    """One check: of what, which, how it went, and why."""

    part: str
    check: str
    result: str
    note: str = ""


def check_plugin(name: str, *, quick: bool, exceptions: Collection[str]) -> int:
    """Print a report on one plugin. Gives the exit code.

    Raises  PluginError when there is no such plugin, MissingDependencyError without the packages of the kit
    """
    if not quick:
        _need_kit()
    _refuse_unknown(exceptions)
    with contextlib.ExitStack() as stack:
        folder: Path | None = Path(name)
        fields: Mapping[str, Any] | None = None
        if folder is not None and (folder / "pyproject.toml").is_file():
            fields = _project_table(folder)
            name = stack.enter_context(_as_installed(folder, fields))
        else:
            folder = None
        # One that another was preferred to is somebody's choice, not a fault.
        found = [plugin for plugin in registry().plugins(name) if plugin.state != "shadowed"]
        if not found:
            guess = nearest(name, [plugin.name for plugin in registry().plugins()])
            raise PluginError(f"no plugin or folder of one is called {name!r}.", hint=f"{guess or '.'}.")
        lines: list[Line] = []
        faults: list[str] = []
        for plugin in found:
            lines += _metadata_lines(_fields_of(plugin) if fields is None else fields)
            lines += _plugin_lines(plugin)
            if plugin.usable:
                tests = OwnTests(folder or editable_folder(plugin))
                lines += [Line("tests", file, NOT_RUN, why) for file, why in tests.troubles]
                for line, fault in _promises(plugin, tests, quick=quick, exceptions=exceptions):
                    lines.append(line)
                    faults += [fault] if fault else []
        _print(found[0], lines, faults)
    return EXIT_CHAIN if any(line.result == FAULTY for line in lines) else EXIT_OK


def _print(plugin: PluginRecord, lines: list[Line], faults: Iterable[str]) -> None:
    print_table(
        "", ["of", "check", "result", "note"], [[each.part, each.check, each.result, each.note] for each in lines]
    )
    for fault in faults:
        print(f"\n{fault}")
    counts = {result: sum(line.result == result for line in lines) for result in (OK, FAULTY, OLD, NOT_RUN)}
    said = ", ".join(f"{count} {result}" for result, count in counts.items() if count)
    print(f"\n{plugin.label}: {said}")


def _metadata_lines(fields: Mapping[str, Any]) -> Iterator[Line]:
    dynamic = fields.get("dynamic", ())
    for field, _, advice in FIELDS:
        stated = bool(fields.get(field)) or field in dynamic
        yield Line("metadata", field, OK if stated else FAULTY, "" if stated else f"missing. Try: {advice}.")
    name = str(fields.get("name", ""))
    if not name.startswith("wavechain"):
        yield Line("metadata", "findable", OLD, f"{name!r} does not begin with wavechain-: people look for that.")


def _fields_of(plugin: PluginRecord) -> dict[str, Any]:
    """The metadata of an installed distribution, by the names of a project table."""
    try:
        metadata = importlib.metadata.metadata(plugin.distribution)
    except importlib.metadata.PackageNotFoundError:
        return {}
    found: dict[str, Any] = {}
    for field, keys, _ in FIELDS:
        found[field] = next((metadata[key] for key in keys if key in metadata), "")
    licences = [each for each in metadata.get_all("Classifier") or () if each.startswith("License ::")]
    found["license"] = found["license"] or ", ".join(licences)
    found["readme"] = found["readme"] or metadata.json.get("description", "")
    return found


def _plugin_lines(plugin: PluginRecord) -> Iterator[Line]:
    yield Line("plugin", "state", OK if plugin.usable else FAULTY, "" if plugin.usable else f"{plugin.trouble}.")
    if not plugin.usable:
        return
    if plugin.deprecations:
        for said in plugin.deprecations:
            yield Line("plugin", "api-level", OLD, said)
    else:
        yield Line("plugin", "api-level", OK, f"{PLUGIN_API}")


def _promises(
    plugin: PluginRecord, tests: OwnTests, *, quick: bool, exceptions: Collection[str]
) -> Iterator[tuple[Line, str]]:
    from wavechain.testing.checks import PLUGIN_CHECKS, PluginSubject, examine

    module = plugin.entry.partition(":")[0]
    own = tests.of_plugin(module)
    if own:
        yield from _as_tested("plugin", own, module, exceptions)
    else:
        for outcome in examine(PluginSubject(module, plugin.name), PLUGIN_CHECKS, exceptions):
            yield _line("plugin", outcome)
    for spec in () if quick else plugin.stages:
        cls = _loaded(spec)
        own = tests.of_stage(cls) if cls is not None else []
        if own:
            yield from _as_tested(spec.name, own, cls, exceptions)
            continue
        reason, checks, subjects = _what_to_run(spec)
        if reason:
            yield Line(spec.name, "kit", NOT_RUN, reason), ""
        with tempfile.TemporaryDirectory(prefix="wavechain-", ignore_cleanup_errors=True) as folder:
            for tried in subjects(Path(folder)) if checks else ():
                for outcome in examine(tried, checks, exceptions):
                    yield _line(spec.name, outcome)


def _as_tested(
    part: str, contracts: Iterable[type[Contract]], wanted: object, exceptions: Collection[str]
) -> Iterator[tuple[Line, str]]:
    """What the author's contracts say of *wanted*, a stage class or an entry module: one line a promise, the worst."""
    worst: dict[str, Outcome] = {}
    for contract in contracts:
        with tempfile.TemporaryDirectory(prefix="wavechain-", ignore_cleanup_errors=True) as folder:
            for case, outcome in contract.examined(Path(folder), exceptions):
                before = worst.get(outcome.promise)
                if wanted in (case, type(case)) and (before is None or _badness(outcome) > _badness(before)):
                    worst[outcome.promise] = outcome
    for outcome in worst.values():
        yield _line(part, outcome)


def _badness(outcome: Outcome) -> int:
    """A declared exception is to be seen, though other settings keep the promise; what does not concern one is not."""
    if outcome.state == "skipped":
        return 2 if outcome.text.startswith("declared") else 0
    return {"kept": 1, "needless": 3, "broken": 4}[outcome.state]


def _line(part: str, outcome: Outcome) -> tuple[Line, str]:
    result = {"kept": OK, "broken": FAULTY, "needless": FAULTY, "skipped": NOT_RUN}[outcome.state]
    note = "see below" if outcome.state == "broken" else outcome.text
    return Line(part, outcome.promise, result, note), outcome.text if outcome.state == "broken" else ""


def _loaded(spec: StageSpec) -> type[Stage] | None:
    try:
        return None if spec.missing else registry().load(spec)
    except PluginError:
        return None


def _what_to_run(spec: StageSpec) -> tuple[str, Checks, Any]:
    """Why the kit is not run on a stage, or not all of it; what is run; and a function that makes its subjects."""
    from wavechain.params import parameters
    from wavechain.stages import Loader, Writer
    from wavechain.testing import checks
    from wavechain.testing.subject import FileSubject, Subject, WriterSubject

    if spec.missing:
        return f"{', '.join(spec.missing)} not installed. Try: {spec.install}", {}, None
    try:
        cls = registry().load(spec)
    except PluginError:
        return "it does not load", {}, None
    required = [parameter.name for parameter in parameters(cls) if parameter.required]
    if required:
        return f"it needs {', '.join(required)}; the contracts in its tests give them", {}, None
    try:
        stage: Any = cls()
    except ParameterError as error:  # one of two that exclude one another, say
        return f"not without settings: {error.message} The contracts in its tests give them", {}, None
    if isinstance(stage, Writer):
        suffix = spec.extensions[0]
        return "", checks.WRITER_CHECKS, lambda folder: [WriterSubject(stage, suffix, folder)]
    if isinstance(stage, Loader):
        reason = "settings only: its files are made by the LoaderContract in its tests"
        return reason, checks.SETTINGS_CHECKS, lambda folder: [FileSubject(stage, _no_file, folder)]
    accepts = getattr(stage, "accepts", ("audio",))
    if "audio" not in accepts or spec.kind == "trainer":
        reason = f"it takes {' or '.join(accepts) or 'features'}: the contracts in its tests say what comes before it"
        return reason, checks.SETTINGS_CHECKS, lambda folder: [Subject(stage)]
    return "", _stream_checks(cls), lambda folder: [Subject(stage)]


def _stream_checks(cls: type[Stage]) -> Checks:
    from wavechain.stages import FeatureTransform, Model
    from wavechain.testing import checks

    if issubclass(cls, Model):
        return checks.MODEL_CHECKS
    return checks.TRANSFORM_CHECKS if issubclass(cls, FeatureTransform) else checks.STREAM_CHECKS


def _no_file(folder: Path, audio: object) -> Path:
    raise AssertionError("settings are checked without files")


def _project_table(folder: Path) -> Mapping[str, Any]:
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        table: Mapping[str, Any] = tomllib.loads(text).get("project", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError(f"{folder / 'pyproject.toml'}: {error}.") from None
    return table


@contextlib.contextmanager
def _as_installed(folder: Path, project: Mapping[str, Any]) -> Iterator[str]:
    """Make the plugin in *folder* discoverable for a while. Gives its name."""
    entries = project.get("entry-points", {}).get(ENTRY_POINT_GROUP, {})
    if len(entries) != 1:
        table = f'[project.entry-points."{ENTRY_POINT_GROUP}"]'
        raise PluginError(
            f"{folder / 'pyproject.toml'}: names {len(entries)} plugins in {table}.",
            hint='tremolo = "wavechain_tremolo" there.',
        )
    ((name, module),) = entries.items()
    # Of several that claim the name (one that is installed, or bundled), this is the one that is meant.
    preferred = os.environ.get("WAVECHAIN_PREFER")
    distribution, version = project.get("name", f"wavechain-{name}"), project.get("version", "0")
    source = (folder / "src" if (folder / "src").is_dir() else folder).resolve()
    with tempfile.TemporaryDirectory(prefix="wavechain-", ignore_cleanup_errors=True) as temporary:
        info = Path(temporary) / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{name} = {module}\n", encoding="utf-8")
        before = list(sys.path)
        sys.path[:0] = [temporary, str(source)]
        os.environ["WAVECHAIN_PREFER"] = ",".join(filter(None, [preferred, f"{name}={distribution}"]))
        reset()
        try:
            yield name
        finally:
            sys.path[:] = before
            del os.environ["WAVECHAIN_PREFER"]
            if preferred is not None:
                os.environ["WAVECHAIN_PREFER"] = preferred
            reset()


def _need_kit() -> None:
    missing = [package for package in ("hypothesis",) if importlib.util.find_spec(package) is None]
    if missing:
        raise MissingDependencyError(
            f"wavechain plugins check needs {', '.join(missing)}.", hint=f"{install_line('authoring', missing)}."
        )


def _refuse_unknown(promises: Iterable[str]) -> None:
    from wavechain.testing.promises import PROMISES

    for promise in promises:
        if promise not in PROMISES:
            raise UsageError(
                f"no promise is called {promise!r}.", hint=f"{nearest(promise, PROMISES) or 'latency-by-impulse'}."
            )
