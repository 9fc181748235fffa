"""``wavechain``: the commands and their options, nothing else.

What a command does lies in a module of its own, imported when the command runs, so that help and completion load
neither NumPy nor any plugin.
"""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wavechain_cli.guard import guarded, hush_native_libraries, set_debug

app = typer.Typer(
    name="wavechain",
    help="Compose audio workflows from plugins: exact, streaming, safe.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 ok · 1 some files failed · 2 wrong usage · 3 plugin or chain · 130 interrupted.",
)
stages_app = typer.Typer(help="Which stages there are, and what their parameters mean.", no_args_is_help=True)
plugins_app = typer.Typer(help="Which plugins are installed, and how they fare.", no_args_is_help=True)
presets_app = typer.Typer(help="Ready-made chains.", no_args_is_help=True)
app.add_typer(stages_app, name="stages", rich_help_panel="Look up")
app.add_typer(plugins_app, name="plugins", rich_help_panel="Look up")
app.add_typer(presets_app, name="presets", rich_help_panel="Look up")
models_app = typer.Typer(help="Trained weights: which there are, what they were trained on.", no_args_is_help=True)
app.add_typer(models_app, name="models", rich_help_panel="Train")


class BitDepth(StrEnum):
    """Sample formats."""

    b16 = "16"
    b24 = "24"
    b32 = "32"
    float = "float"


class Overs(StrEnum):
    """What happens to samples beyond full scale."""

    clip = "clip"
    refuse = "refuse"
    limit = "limit"


class PluginKind(StrEnum):
    """What the first stage of a new plugin does."""

    effect = "effect"
    loader = "loader"
    transform = "transform"
    model = "model"
    writer = "writer"


Inputs = Annotated[
    list[str],
    typer.Argument(metavar="INPUT... [OUTPUT]", help="Files, folders or 'patterns/**/*.flac'; - for standard input."),
]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", readable=False, help="Audio files.")]
Output = Annotated[
    str | None,
    typer.Option("-o", "--output", help="A file, a folder, - for standard output, or '{folder}/{stem}-new.{ext}'."),
]
StageTexts = Annotated[
    list[str] | None, typer.Option("-s", "--stage", metavar="NAME:KEY=VALUE,...", help="Add a stage; repeatable.")
]
ChainFile = Annotated[
    Path | None, typer.Option("--chain", metavar="FILE", readable=False, help="Start with this chain file.")
]
Preset = Annotated[
    str | None, typer.Option("--preset", metavar="NAME", help="Start with a preset (wavechain presets list).")
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output instead of text.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random: dither and random effects.")]
Tail = Annotated[
    float | None,
    typer.Option("--tail", metavar="SECONDS", min=0, max=600, help="Longest tail to keep; 0 cuts (until silent)."),
]
Format = Annotated[str | None, typer.Option("--format", help="File format where the name does not say: flac, mp3 ...")]
Depth = Annotated[BitDepth | None, typer.Option("--bit-depth", help="Sample format (the source's).")]
Quality = Annotated[
    float | None, typer.Option("--quality", min=0, max=10, help="Lossy: 0 smallest to 10 best. FLAC: compression.")
]
Bitrate = Annotated[int | None, typer.Option("--bitrate", metavar="KBPS", help="Constant bit rate, lossy formats.")]


def _version(wanted: bool) -> None:
    if wanted:
        import wavechain

        typer.echo(f"wavechain {wavechain.__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Compose audio workflows from plugins: exact, streaming, safe."""
    set_debug(debug)


@app.command(rich_help_panel="Process")
@guarded
def run(
    inputs: Inputs,
    output: Output = None,
    stage: StageTexts = None,
    chain: ChainFile = None,
    preset: Preset = None,
    jobs: Annotated[str, typer.Option("-j", "--jobs", metavar="N", help="Files at a time: a number, or auto.")] = "1",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, write nothing.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Leave outputs that exist, go on with the others.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help="Refuse to start when an output exists (the default).")] = False,
    format: Format = None,
    bit_depth: Depth = None,
    quality: Quality = None,
    bitrate: Bitrate = None,
    no_dither: Annotated[bool, typer.Option("--no-dither", help="Round without dither when depth falls.")] = False,
    overs: Annotated[
        Overs | None, typer.Option("--overs", help="Samples beyond full scale (clip, with a warning).")
    ] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Do not copy tags and cover art.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Decode each finished file and compare.")] = False,
    seed: Seed = 0,
    tail: Tail = None,
    residual: Annotated[
        Path | None,
        typer.Option(
            "--residual",
            metavar="FILE",
            readable=False,
            help="Also write what was taken away; a folder for many files.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", readable=False, help="Write a JSON line a file, with loudness before and after."
        ),
    ] = None,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only warnings and errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", hidden=True)] = False,
) -> None:
    """Run a chain on one file, many files, or folders.

    wavechain run in.flac out.flac -s highpass:cutoff_hz=80 -s loudness:target_lufs=-16
    """
    set_debug(debug)
    from wavechain_cli.running import Request, run_request

    request = Request(
        inputs=inputs,
        output=output,
        stages=stage or [],
        chain=chain,
        preset=preset,
        jobs=jobs,
        existing=_existing(overwrite, skip, fail),
        format=format,
        bit_depth=bit_depth.value if bit_depth else None,
        quality=quality,
        bitrate_kbps=bitrate,
        dither=False if no_dither else None,
        overs=overs.value if overs else None,
        tags=False if no_tags else None,
        verify=True if verify else None,
        seed=seed,
        tail_seconds=tail,
        residual=residual,
        report=report,
        json=json,
        quiet=quiet,
    )
    raise typer.Exit(run_request(request, dry_run=dry_run))


@app.command(rich_help_panel="Process")
@guarded
def plan(
    inputs: Inputs,
    output: Output = None,
    stage: StageTexts = None,
    chain: ChainFile = None,
    preset: Preset = None,
    format: Format = None,
    bit_depth: Depth = None,
    tail: Tail = None,
    json: Json = False,
) -> None:
    """Show what run would do: specs, latency, tails, passes, formats. Nothing is written."""
    from wavechain_cli.running import Request, run_request

    request = Request(
        inputs=inputs,
        output=output,
        stages=stage or [],
        chain=chain,
        preset=preset,
        existing="overwrite",
        format=format,
        bit_depth=bit_depth.value if bit_depth else None,
        tail_seconds=tail,
        json=json,
    )
    raise typer.Exit(run_request(request, dry_run=True))


@app.command(rich_help_panel="Process")
@guarded
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo puts its results.")] = Path("demo-out"),
) -> None:
    """Mend a badly recorded take, and show what changed."""
    from wavechain_cli.demo import run_demo

    run_demo(folder)


@app.command(rich_help_panel="Measure")
@guarded
def inspect(
    files: Files,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="PNG", readable=False, help="Waveform and spectrogram; a folder for many files."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Format, tags, loudness, true peak, DC, clipping, noise floor, bandwidth of files."""
    from wavechain_cli.measuring import inspect_files

    raise typer.Exit(inspect_files(files, plot=plot, json=json))


@app.command(rich_help_panel="Measure")
@guarded
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", readable=False, help="The reference.")],
    b: Annotated[Path, typer.Argument(metavar="B", readable=False, help="What is compared with it.")],
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="PNG", readable=False, help="Both spectra and the difference.")
    ] = None,
    json: Json = False,
) -> None:
    """How two files differ: null test, level-matched difference, spectral distance."""
    from wavechain_cli.measuring import compare_files

    compare_files(a, b, plot=plot, json=json)


@app.command(rich_help_panel="Measure")
@guarded
def features(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files, folders or 'patterns/**/*.flac'.")],
    transform: Annotated[
        str, typer.Option("-t", "--transform", metavar="NAME", help="log-mel, mfcc, cqt ... (stages list).")
    ],
    parameter: Annotated[
        list[str] | None, typer.Option("-p", "--set", metavar="KEY=VALUE", help="A parameter of it; repeatable.")
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option("-s", "--stage", metavar="NAME:KEY=VALUE,...", help="A stage before it; repeatable."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("-o", "--output", metavar="NPZ", help="Keep the array; a folder for many files.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="PNG", readable=False, help="A picture of it; a folder for many files."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    json: Json = False,
) -> None:
    """Mel bands, cepstra, constant-Q ... of files: as arrays, as pictures, or what they are in a table.

    wavechain features song.flac -t log-mel -p n_mels=128 -o song.npz --plot song.png
    """
    from wavechain_cli.features import Request, extract_features

    request = Request(
        files=files,
        transform=transform,
        parameters=parameter or [],
        stages=stage or [],
        output=output,
        plot=plot,
        overwrite=overwrite,
        json=json,
    )
    raise typer.Exit(extract_features(request))


@app.command(rich_help_panel="Train")
@guarded
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe file, or the name of one of a plugin's.")],
    data: Annotated[
        list[Path] | None, typer.Argument(metavar="DATA...", readable=False, help="Folders of recordings.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", readable=False, help="The folder of the run.")
    ] = None,
    noise: Annotated[
        list[Path] | None,
        typer.Option("--noise", metavar="DIR", readable=False, help="Recordings of noise to mix in; repeatable."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="MODEL", help="Begin with the weights of a model, by name or folder."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show recordings, networks, memory and phases; train nothing.")
    ] = False,
    device: Annotated[str | None, typer.Option("--device", help="cpu, cuda, or auto (auto).")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="M", help="Stop after so long, ready to be resumed.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="N", help="Steps in all (the recipe's).")] = None,
) -> None:
    """Train a network on your own recordings; stop it when you like, and go on exactly.

    wavechain train denoise-small my-recordings/ -o runs/denoise
    """
    from wavechain_cli.training import Request
    from wavechain_cli.training import train as train_request

    request = Request(
        recipe=recipe,
        data=data or [],
        output=output,
        noise=noise or [],
        start=start,
        resume=resume,
        explain=explain,
        device=device,
        minutes=minutes,
        steps=steps,
    )
    raise typer.Exit(train_request(request))


Model = Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, or its folder.")]


@models_app.command("list")
@guarded
def models_list(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="DIR...", readable=False, help="Folders of runs to look in as well.")
    ] = None,
    json: Json = False,
) -> None:
    """Every model that plugins bring, and those in the folders given."""
    from wavechain_cli.training import list_models

    list_models(folders or [], json=json)


@models_app.command("show")
@guarded
def models_show(name: Model, json: Json = False) -> None:
    """One model: network, settings, rate, shapes."""
    from wavechain_cli.training import show_model

    show_model(name, json=json)


@models_app.command("card")
@guarded
def models_card(name: Model) -> None:
    """What a model was trained on, how well it does, where it fails."""
    from wavechain_cli.training import show_card

    show_card(name)


@models_app.command("export")
@guarded
def models_export(
    name: Model,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", readable=False, help="A new folder.")],
    onnx: Annotated[
        bool, typer.Option("--onnx", help="With a graph for ONNX Runtime, if its recipe makes one.")
    ] = False,
) -> None:
    """Copy what inference needs of a model."""
    from wavechain_cli.training import export

    export(name, output, onnx=onnx)


@app.command(rich_help_panel="Measure")
@guarded
def evaluate(
    clean: Annotated[Path, typer.Argument(metavar="CLEAN", readable=False, help="A folder of clean recordings.")],
    chain: Annotated[
        list[str] | None,
        typer.Option(
            "-c", "--chain", metavar="NAME[@FAULT,...]=CHAIN", help="A chain file, or 'STAGE | STAGE'; repeatable."
        ),
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Option("--command", metavar="NAME=PROGRAM", help="A program with {input} and {output}; repeatable."),
    ] = None,
    command_seconds: Annotated[
        float | None,
        typer.Option("--command-seconds", metavar="S", help="How long a program may take for one recording (3600)."),
    ] = None,
    degradations: Annotated[str, typer.Option("--degradations", help="all, or noise,clip,mixed,clean ...")] = "all",
    noise: Annotated[
        Path | None, typer.Option("--noise", metavar="FOLDER", readable=False, help="Noises to mix in (made up).")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", metavar="FOLDER", readable=False, help="Worsened recordings, named as the clean ones."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", readable=False, help="Keep a report with players."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a report that is there.")] = False,
    metrics: Annotated[str, typer.Option("--metrics", help="all, or si-sdr,lsd ...")] = "all",
    content: Annotated[str, typer.Option("--content", help="speech, music; auto: from the files' names.")] = "auto",
    items: Annotated[int | None, typer.Option("--items", min=1, help="Recordings of each fault (all).")] = None,
    costly_items: Annotated[
        int | None, typer.Option("--costly-items", min=0, help="Those of them that slow metrics are asked about (8).")
    ] = None,
    examples: Annotated[
        int | None, typer.Option("--examples", min=0, help="Those of them that can be listened to (1).")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", metavar="FOLDER", readable=False, help="Remember what was measured.")
    ] = None,
    fresh: Annotated[
        list[str] | None, typer.Option("--fresh", metavar="NAME", help="Run this row again; repeatable.")
    ] = None,
    no_cpu: Annotated[bool, typer.Option("--no-cpu", help="Do not measure CPU time.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything drawn.")] = 0,
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, max=64, help="Processes.")] = 1,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
) -> None:
    """How well chains and other programs repair recordings, fault by fault, with intervals.

    wavechain evaluate clean/ --degradations clicks,hum -c declick=ar-declick -o report
    """
    from wavechain_cli.evaluating import evaluate_rows

    settings = {
        "clean": clean,
        "noise": noise,
        "pairs": pairs,
        "degradations": degradations,
        "chains": tuple(chain or ()),
        "commands": tuple(command or ()),
        "command_seconds": command_seconds,
        "output": output,
        "overwrite": overwrite,
        "metrics": metrics,
        "content": content,
        "items": items,
        "costly_items": costly_items,
        "examples": examples,
        "cache": cache,
        "fresh": tuple(fresh or ()),
        "cpu": not no_cpu,
        "seed": seed,
        "jobs": jobs,
    }
    raise typer.Exit(evaluate_rows(settings, json=json, quiet=quiet))


@stages_app.command("list")
@guarded
def stages_list(
    kind: Annotated[str | None, typer.Option("--kind", help="Only effect, transform, loader, writer ...")] = None,
    json: Json = False,
) -> None:
    """Every stage, with one line about it."""
    from wavechain_cli.lookup import list_stages

    list_stages(kind, json=json)


@stages_app.command("describe")
@guarded
def stages_describe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="highpass, or NAME:KEY=VALUE for a plugin host.")],
    json: Json = False,
) -> None:
    """The parameters of one stage: unit, range, default, meaning."""
    from wavechain_cli.lookup import describe_stage

    describe_stage(name, json=json)


@stages_app.command("schema")
@guarded
def stages_schema(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A stage; whole chain files by default.")] = None,
) -> None:
    """JSON Schema, for editors: of whole chain files, or of one stage's parameters."""
    from wavechain_cli.lookup import stage_schema

    stage_schema(name)


@plugins_app.command("list")
@guarded
def plugins_list(json: Json = False) -> None:
    """Every plugin, its state, and what to do when it is not loaded."""
    from wavechain_cli.lookup import list_plugins

    list_plugins(json=json)


@plugins_app.command("show")
@guarded
def plugins_show(name: Annotated[str, typer.Argument(help="A plugin.")], json: Json = False) -> None:
    """One plugin: where it comes from, what it offers."""
    from wavechain_cli.lookup import show_plugin

    show_plugin(name, json=json)


@plugins_app.command("new")
@guarded
def plugins_new(
    name: Annotated[str, typer.Argument(help="Kebab-case, as high-shelf; the folder is called wavechain-NAME.")],
    kind: Annotated[PluginKind, typer.Option("--kind", help="What its first stage does.")] = PluginKind.effect,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", readable=False, help="Where to put it (here).")
    ] = None,
) -> None:
    """Write the repository of a new plugin: a stage that works, its tests, CI, README, licence."""
    from wavechain_cli.authoring import new_plugin

    new_plugin(name, kind.value, folder)


@plugins_app.command("update")
@guarded
def plugins_update(
    folder: Annotated[Path, typer.Argument(metavar="DIR", readable=False, help="A plugin's repository.")] = Path(),
) -> None:
    """Bring what changed in the template into a plugin that `plugins new` wrote."""
    from wavechain_cli.authoring import update_plugin

    update_plugin(folder)


@plugins_app.command("check")
@guarded
def plugins_check(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME|PATH", help="A plugin, or the folder of one; else, whether all load.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the conformance kit.")] = False,
    exceptions: Annotated[
        list[str] | None,
        typer.Option("--except", metavar="PROMISE", help="A promise that is not made by design; repeatable."),
    ] = None,
) -> None:
    """Metadata, import cost, API level, parameters, documentation, and the conformance kit on every stage."""
    if name is None:
        from wavechain_cli.lookup import check_plugins

        raise typer.Exit(check_plugins())
    from wavechain_cli.checking import check_plugin

    raise typer.Exit(check_plugin(name, quick=quick, exceptions=exceptions or []))


@presets_app.command("list")
@guarded
def presets_list(json: Json = False) -> None:
    """Every preset, with one line about it."""
    from wavechain_cli.lookup import list_presets

    list_presets(json=json)


@presets_app.command("show")
@guarded
def presets_show(name: Annotated[str, typer.Argument(help="A preset.")]) -> None:
    """The chain file of a preset, to read or to copy: wavechain presets show podcast > mine.toml"""
    from wavechain_cli.lookup import show_preset

    show_preset(name)


def _existing(overwrite: bool, skip: bool, fail: bool) -> str:
    if overwrite + skip + fail > 1:
        from wavechain.errors import UsageError

        raise UsageError("--overwrite, --skip and --fail exclude one another.", hint="one of them.")
    return "overwrite" if overwrite else "skip" if skip else "fail"


def main() -> None:
    """The console script."""
    # Before NumPy comes: on matrices as small as ours more threads mostly wait for one another, burning three times the
    # time. Jobs run side by side instead; torch, which trains, has threads of its own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if "--debug" not in sys.argv:
        hush_native_libraries()
    app()


if __name__ == "__main__":
    main()
