"""``git-remote-wavechain``: git finds the plugin template where wavechain is installed.

A plugin remembers the address ``wavechain::plugin-template.git``. git takes what stands before the double colon for the
name of a program, git-remote-wavechain, and asks it to connect ("connect", gitremote-helpers(7)). It builds the
repository from the folders of the template and leaves the rest to ``git upload-pack``. So ``copier update``, and
``git clone`` too, work wherever this program is on the PATH.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from wavechain_cli.authoring import build_history

SERVICE = "git-upload-pack"


def main() -> None:
    """Answer git, which speaks first, one command a line."""
    for line in iter(sys.stdin.buffer.readline, b""):
        command = line.decode().strip()
        if command == "capabilities":
            _say("connect\n\n")
        elif command == f"connect {SERVICE}":
            _serve()
            return
        elif command:
            sys.exit(f"wavechain: the plugin template can be read only; git asks for {command!r}.")
        else:
            return


def _serve() -> None:
    with tempfile.TemporaryDirectory(prefix="wavechain-", ignore_cleanup_errors=True) as temporary:
        repository = Path(temporary) / "plugin-template.git"
        build_history(repository)
        _say("\n")
        subprocess.run(["git", "upload-pack", str(repository)], check=False)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
