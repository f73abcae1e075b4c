"""One way to write a result: what was measured, by which command, on which commit and machine."""

from __future__ import annotations

import sys
from pathlib import Path

from leukopy.core.files import write_json
from leukopy.core.provenance import provenance

RESULTS = Path(__file__).parent / "results"


def write(name: str, figures: dict[str, object]) -> Path:
    """Write ``results/<name>.json``."""
    path = RESULTS / f"{name}.json"
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    write_json(path, {"command": command, "figures": figures, "provenance": provenance()})
    return path
