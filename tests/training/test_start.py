"""The kept network that the default model starts from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from leukopy.core.files import read_json
from leukopy.models.checkpoints import load_net
from leukopy.synthesis import draw_cell
from leukopy.taxonomy import FINE
from leukopy.training.settings import BackboneChoice
from leukopy.workflows.train import read_recipe
from support.files import CONFIGS, REPOSITORY
from support.training_run import write_run

START = REPOSITORY / "weights" / "base_near"


def test_the_kept_network_knows_drawn_cells() -> None:
    net = load_net(START)
    size, crop = (read_json(START / "run.json")["settings"]["preprocess"][name] for name in ("size", "crop"))
    codes = [cell.code for cell in FINE]
    side, edge = round(size / crop), round((size / crop - size) / 2)
    pictures = np.stack([draw_cell(code, seed=seed, size=side).image for code in codes for seed in range(4)])
    with torch.inference_mode():
        logits = net(torch.from_numpy(pictures[:, edge : edge + size, edge : edge + size].copy())).logits
    truth = np.repeat(np.arange(len(codes)), 4)
    assert (logits.argmax(dim=1).numpy() == truth).mean() > 0.8


def test_recipes_start_from_it_and_its_card_says_what_it_learnt_from() -> None:
    settings = read_recipe(CONFIGS / "default.yaml", {})
    assert settings.backbone.run == Path("weights/base_near")
    choice = BackboneChoice(name=settings.backbone.name, run=START)
    assert choice.first_weights is not None
    assert choice.first_weights.startswith("the training run 'base_near'")
    assert choice.earlier is not None
    assert {use.images > 0 for use in choice.earlier.trained_on} == {True}
    assert not any("Raabin" in use.name or "Chula" in use.name for use in choice.earlier.trained_on)


def test_a_run_is_kept_in_half_precision(tmp_path: Path, build_bundle) -> None:
    sys.path.insert(0, str(REPOSITORY / "tools"))
    from keep_start import keep_start

    run, kept = tmp_path / "run", tmp_path / "kept"
    run.mkdir()
    write_run(run)
    build_bundle(run / "bundle")
    keep_start(run, kept)
    before, after = (load_net(folder).state_dict() for folder in (run, kept))
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-3, rtol=1e-3) for name in before)
    assert (kept / "checkpoints/best.ckpt").stat().st_size < 0.6 * (run / "checkpoints/best.ckpt").stat().st_size
    assert BackboneChoice(name="lenet", run=kept).earlier is not None
