"""Keep the network of a training where other trainings may start from it: weights in half precision, card, settings.

    python tools/keep_start.py runs/base_near weights/base_near

A recipe takes the folder as ``backbone.run``, as it takes a run. It holds no bundle, and classifies nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from leukopy.bundle.store import CARD_FILE
from leukopy.core.files import read_json, write_json
from leukopy.core.runs import RUN_FILE
from leukopy.models.checkpoints import CHECKPOINT, load_net


def keep_start(run: Path, folder: Path) -> None:
    """Write ``run.json``, ``checkpoints/best.ckpt`` and ``bundle/card.json``."""
    for part in (CHECKPOINT.parent, Path("bundle")):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for part in (Path(RUN_FILE), Path("bundle") / CARD_FILE):
        write_json(folder / part, read_json(run / part))
    weights = load_net(run).state_dict()
    halves = {f"net.{name}": value.half() if value.is_floating_point() else value for name, value in weights.items()}
    torch.save({"state_dict": halves}, folder / CHECKPOINT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    keep_start(**vars(parser.parse_args()))
