"""Running pip, and saying what to do when it fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from bootstrap import interpreters
from bootstrap.problems import Problem


class Installer:
    """pip as a command line: ``command`` is what comes before ``install``."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)

    def __call__(self, requirements: Sequence[str], *options: str) -> None:
        """Install ``requirements``; Problem if pip fails. Progress goes to standard error, which is pip's own."""
        words = [*self.command, "install", "--disable-pip-version-check", "--no-input", *options]
        if not sys.stderr.isatty():
            words.append("--quiet")
        done = subprocess.run(
            [*words, *requirements], stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), check=False
        )
        if done.returncode:
            raise Problem(_advice(done.returncode))


def _advice(code: int) -> str:
    lines = [
        f"could not install what RenderBros needs: pip ended with {code}; its reason stands above.",
        "Without a network connection this can't be done: connect (a proxy goes into HTTPS_PROXY, a mirror of the",
        "package index into PIP_INDEX_URL) and run the same command again. What was downloaded is kept.",
    ]
    if blender := interpreters.find_blender():
        lines += [
            "If pip found no bpy for this platform, use your Blender instead:",
            f"  {blender} -b --python {interpreters.START} -- COMMAND",
        ]
    return "\n".join(lines)
