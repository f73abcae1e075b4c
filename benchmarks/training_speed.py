"""Images per second of a training step (forward, backward, AdamW) of each backbone, on the CPU.

    python benchmarks/training_speed.py [SIZE] [BACKBONE ...]

Images per second of processor time: on a machine that is shared, the clock on the wall measures the others.
"""

from __future__ import annotations

import sys
import time

import torch

from leukopy.imaging.preprocess import Preprocess
from leukopy.models.backbones import BACKBONES
from leukopy.models.cell_net import CellNet
from leukopy.models.losses import partial_label_loss
from leukopy.taxonomy import FINE
from leukopy.training.allocator import keep_large_blocks
from leukopy.training.depthwise import DepthwiseGradients
from results_file import write

BATCH, STEPS = 32, 2


def images_per_second(name: str, size: int, threads: int, precision: str) -> tuple[float, float]:
    """By processor time, and by the wall."""
    torch.set_num_threads(threads)
    net = CellNet(name, Preprocess(size=size), pretrained=False).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters())
    images = torch.randint(0, 256, (BATCH, size, size, 3), dtype=torch.uint8)
    members = torch.eye(len(FINE), dtype=torch.bool)[torch.arange(BATCH) % len(FINE)]

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"), DepthwiseGradients():
            logits = net(images).logits
        partial_label_loss(logits, members).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(STEPS):
        step()
    images_seen = BATCH * STEPS
    return images_seen / (time.process_time() - processor), images_seen / (time.perf_counter() - wall)


def main() -> None:
    keep_large_blocks()
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    figures: dict[str, object] = {"size": size, "batch": BATCH}
    print(f"{'backbone':26}{'threads':>8}{'fp32':>10}{'bf16':>10}   images/s of processor time (wall)")
    for threads in (1, 2):
        for name in sys.argv[2:] or BACKBONES:
            row = {p: images_per_second(name, size, threads, p) for p in ("fp32", "bf16")}
            shown = "".join(f"{cpu:10.1f} ({wall:.1f})" for cpu, wall in row.values())
            print(f"{name:26}{threads:8}{shown}", flush=True)
            figures[f"{name}, {threads} threads"] = {p: round(cpu, 2) for p, (cpu, _) in row.items()}
    write(f"training_speed_{size}px", figures)


if __name__ == "__main__":
    main()
