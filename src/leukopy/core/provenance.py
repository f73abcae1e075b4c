"""Provenance of a result: versions, machine, time, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

RESEARCH_USE_ONLY = "Research use only. Not a medical device; not for diagnosis."

_PACKAGES = ("leukopy", "numpy", "onnxruntime", "pillow", "polars", "torch", "timm")


def provenance() -> dict[str, object]:
    """Versions, machine and time of this run, for ``run.json`` and bundle cards. User and host names are left out."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": source_commit(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def source_commit() -> str | None:
    """The git commit leukopy runs from (``-dirty`` when changed), or None for an installed package."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
