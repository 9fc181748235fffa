"""``wavechain plugins new`` and ``plugins update``: a repository for a plugin, from the template that comes along.

The template is one for copier, one folder a version (`template/v1`, ...). A repository remembers in .copier-answers.yml
which version it was made from, under the address ``wavechain::plugin-template.git``, which git resolves with the
program ``git-remote-wavechain`` (`wavechain_cli.template_remote`). An update is a ``copier update``: what changed from
the old version to the newest is merged into what the author wrote. ``plugins update`` builds the repository itself, and
so needs no program on the PATH.
"""

from __future__ import annotations

import importlib.util
import keyword
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from wavechain.errors import MissingDependencyError, PluginError, UsageError
from wavechain.registry import install_line
from wavechain.registry.specs import RESERVED
from wavechain_cli.guard import debugging

TEMPLATE = Path(__file__).with_name("template")
ANSWERS = ".copier-answers.yml"
ADDRESS = "wavechain::"

EPOCH = "2020-01-01T00:00:00Z"
_NAME = re.compile(r"[a-z][a-z0-9]+(-[a-z][a-z0-9]+)*")
# Distributions of these names are, or may become, something else.
_TAKEN = RESERVED | {"cli", "plugin", "plugins", "registry", "testing", "wavechain"}


def new_plugin(name: str, kind: str, folder: Path | None) -> None:
    """Write a repository.

    Raises  UsageError for a name or folder that will not do, MissingDependencyError without copier
    """
    check_name(name)
    target = (folder or Path()) / f"wavechain-{name}"
    if target.exists():
        raise UsageError(f"{target} is there already.", hint="another name, or --folder DIR.")
    _need_copier("plugins new")
    from copier import run_copy

    newest = versions()[-1]
    run_copy(
        str(newest),
        target,
        data={"name": name, "kind": kind, "template_version": newest.name},
        defaults=True,
        quiet=True,
    )
    files = sum(path.is_file() for path in target.rglob("*"))
    print(f"{target}: {files} files; the stage is in src/wavechain_{name.replace('-', '_')}/{kind}.py. Next:")
    print(f"  cd {target}\n  pip install -e . --group dev\n  pytest")


def update_plugin(folder: Path) -> None:
    """Merge what changed in the template into a repository that was made from it.

    Raises  PluginError when it was not, or when copier refuses (changes that are not committed, for one)
    """
    if not (folder / ANSWERS).is_file():
        raise PluginError(f"{folder}: has no {ANSWERS}, so it was not made by wavechain plugins new.")
    _need_copier("plugins update")
    if shutil.which("git") is None:
        raise PluginError("plugins update needs git, which is not installed.", hint="install git.")
    with tempfile.TemporaryDirectory(prefix="wavechain-", ignore_cleanup_errors=True) as temporary:
        build_history(Path(temporary) / "plugin-template.git")
        done = subprocess.run(
            [sys.executable, "-m", "copier", "update", "--defaults", "--quiet", str(folder)],
            env={
                **os.environ,
                "COPIER_CACHE_DIR": str(Path(temporary) / "cache"),
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"url.{Path(temporary).as_posix()}/.insteadOf",
                "GIT_CONFIG_VALUE_0": ADDRESS,
            },
            capture_output=not debugging(),
            text=True,
            check=False,
        )
    if done.returncode:
        said = ((done.stderr or "").strip().splitlines() or ["copier failed"])[-1]
        raise PluginError(f"{folder}: {said.rstrip('.')}.", hint="git commit what is changed, then again; or --debug.")
    print(f"{folder}: up to date with template {versions()[-1].name}. Look at it: git diff")


def check_name(name: str) -> None:
    """Raises UsageError for what cannot name a plugin, its package and its class at once."""
    if not _NAME.fullmatch(name):
        words = re.findall(r"[a-z][a-z0-9]+", name.lower().removeprefix("wavechain"))
        guess = f"{'-'.join(words)}." if words else "high-shelf."
        reason = "is not kebab-case: words of two or more small letters or digits, each beginning with a letter"
        raise UsageError(f"{name!r} {reason}, joined by hyphens.", hint=guess)
    if name.startswith("wavechain-"):
        raise UsageError(f"{name!r}: the distribution will be called wavechain-{name}.", hint=f"{name[10:]}.")
    if name in _TAKEN or keyword.iskeyword(name.title()):
        raise UsageError(f"the name {name!r} is reserved.", hint=f"my-{name}, or what it does to the sound.")


def versions() -> list[Path]:
    """Every version of the template, oldest first."""
    return sorted(TEMPLATE.glob("v*"), key=lambda folder: int(folder.name[1:]))


def build_history(repository: Path) -> None:
    """A git repository with one commit and one tag for each version of the template; the same commits every time."""
    repository.mkdir()

    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=wavechain", "-c", "user.email=wavechain@localhost", "-c", "commit.gpgsign=false")
        # Of git's own settings, what comes from a repository that this was called for would lead astray.
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        dates = {"GIT_AUTHOR_DATE": EPOCH, "GIT_COMMITTER_DATE": EPOCH}
        subprocess.run(
            ["git", *identity, *arguments],
            cwd=repository,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=surroundings | dates,
        )

    git("init", "--quiet")
    for version in versions():
        git("rm", "-r", "--quiet", "--ignore-unmatch", ".")
        shutil.copytree(version, repository, dirs_exist_ok=True)
        git("add", "--all", "--force")
        git("commit", "--quiet", "--message", version.name)
        git("-c", "tag.gpgsign=false", "tag", version.name)


def _need_copier(command: str) -> None:
    if importlib.util.find_spec("copier") is None:
        raise MissingDependencyError(
            f"wavechain {command} needs package copier.", hint=f"{install_line('authoring', ['copier'])}."
        )
