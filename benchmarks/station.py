"""A review station that runs in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def start(folder: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Start a station on a free port; gives its process and its address, with the token where one user has it alone."""
    command = ["review", "--folder", str(folder), "--port", "0", *options]
    process = subprocess.Popen(
        [sys.executable, "-c", "from leukopy.cli.main import main; main()", *command], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"http://\S+", said):
            return process, found[0]
    raise SystemExit(f"the station did not start\n{said}")


@contextmanager
def station(folder: Path) -> Iterator[str]:
    """A running station of one user; gives the address that lets in once."""
    process, address = start(folder, "--no-browser")
    try:
        yield address
    finally:
        process.terminate()
        process.wait()
