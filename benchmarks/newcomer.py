"""A newcomer's clock: seconds from nothing to the first report of drawn fields, by the README alone.

    python benchmarks/newcomer.py

Two ways, each in an empty folder and a fresh environment, without pip's cache: ``make demo`` in a clone, as the README
begins; and a wheel that is built, installed, and followed through the first steps of ``docs/first-slide.md``.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results_file import write

REPOSITORY = Path(__file__).parents[1]
ALONE = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")} | {
    "PIP_NO_CACHE_DIR": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}


def timed(*command: str | Path, cwd: Path) -> float:
    """Run a command and take its wall-clock seconds; a failure ends the script with its output."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=ALONE, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{shlex.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    seconds = round(time.perf_counter() - began, 1)
    print(f"{seconds:6.1f} s  {shlex.join(map(str, command))}", flush=True)
    return seconds


def first_commands() -> list[list[str]]:
    """The commands of the tutorial up to its first report."""
    text = (REPOSITORY / "docs" / "first-slide.md").read_text("utf-8")
    lines = re.findall(r"^leukopy .*$", text, flags=re.MULTILINE)
    first = next(at for at, line in enumerate(lines) if " analyze " in line)
    return [shlex.split(line, comments=True) for line in lines[: first + 1]]


def by_clone(folder: Path) -> dict[str, float]:
    """``git clone`` and ``make demo``."""
    steps = {"clone_s": timed("git", "clone", "--quiet", REPOSITORY, "clone", cwd=folder)}
    steps["make_demo_s"] = timed("make", "demo", f"PYTHON={sys.executable}", cwd=folder / "clone")
    if not (folder / "clone" / "demo" / "results" / "report.html").is_file():
        sys.exit("make demo wrote no report")
    return steps | {"total_s": round(sum(steps.values()), 1)}


def by_wheel(folder: Path) -> dict[str, float]:
    """A wheel, a fresh environment, and the first steps of the tutorial."""
    steps = {"build_s": timed(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=REPOSITORY)}
    (wheel,) = folder.glob("*.whl")
    steps["environment_s"] = timed(sys.executable, "-m", "venv", "env", cwd=folder)
    own = folder / "env" / "bin"
    steps["install_s"] = timed(own / "pip", "install", "-q", "-c", REPOSITORY / "constraints.txt", wheel, cwd=folder)
    for command in first_commands():
        steps[f"{command[1]}_s"] = timed(own / command[0], *command[1:], cwd=folder)
    if not (folder / "results" / "drawn" / "report.html").is_file():
        sys.exit("the tutorial wrote no report")
    total = round(sum(steps.values()), 1)
    size = sum(path.stat().st_size for path in (folder / "env").rglob("*") if path.is_file())
    return steps | {
        "total_s": total,
        "wheel_mb": round(wheel.stat().st_size / 1e6, 1),
        "environment_mb": round(size / 1e6),
    }


def main() -> None:
    figures: dict[str, object] = {"load_before": round(os.getloadavg()[0], 1)}
    for name, way in (("clone", by_clone), ("wheel", by_wheel)):
        folder = Path(tempfile.mkdtemp(prefix="newcomer-"))
        try:
            figures[name] = way(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(write("newcomer", figures))


if __name__ == "__main__":
    main()
