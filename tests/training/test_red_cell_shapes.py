"""Training, decisions and export of the network for shapes of red cells."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from leukopy.bundle.red_cell_shapes import open_red_cell_shapes
from leukopy.core.errors import BundleError, InputError
from leukopy.fields.red_cell_crops import SIDE
from leukopy.taxonomy.red_cell_shapes import SHAPE_NAMES, SHAPES
from leukopy.training.red_cell_shapes.cells import MARGIN, Cells, change
from leukopy.training.red_cell_shapes.export import decide, export
from leukopy.training.red_cell_shapes.fit import CHECKPOINT, fit, logits
from leukopy.training.red_cell_shapes.settings import RedCellAugmentation, RedCellOptimisation, RedCellSettings

WHOLE = SIDE + 2 * MARGIN


def _settings(epochs: int = 2) -> RedCellSettings:
    how = RedCellOptimisation(epochs=epochs, batch_size=8)
    return RedCellSettings(kind="red_cell_shapes", name="n", title="t", description="d", width=4, optimisation=how)


def _cells(count: int, seed: int) -> Cells:
    """Discs, dark for a spherocyte and pale for a normal cell."""
    rng = np.random.default_rng(seed)
    shapes = rng.choice([0, 3], count)
    rows, columns = np.mgrid[:WHOLE, :WHOLE] - WHOLE // 2
    disc = (rows**2 + columns**2 < 14**2)[..., None].repeat(3, axis=2)
    plain = np.stack([np.where(disc, 60 if shape else 180, 240) for shape in shapes])
    images = (plain + rng.normal(0, 3, plain.shape)).clip(0, 255).astype(np.uint8)
    return Cells(images, shapes, np.arange(count) // 4)


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    train, val = _cells(24, 1), _cells(8, 2)
    whole = fit(_settings(), train, val, tmp_path)

    def stop(_: str, step: int, total: int) -> None:
        if step == total // 2 + 1:
            raise KeyboardInterrupt

    broken = tmp_path / "broken"
    broken.mkdir()
    with pytest.raises(KeyboardInterrupt):
        fit(_settings(), train, val, broken, stop)
    assert (broken / CHECKPOINT).is_file()
    resumed = fit(_settings(), train, val, broken)
    assert np.allclose(logits(whole, val), logits(resumed, val), atol=1e-4)


def test_a_damaged_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="cannot be resumed"):
        fit(_settings(), _cells(16, 1), _cells(8, 2), tmp_path)


def test_the_network_learns_and_its_export_gives_the_same(tmp_path: Path) -> None:
    train, val = _cells(64, 1), _cells(16, 2)
    net = fit(_settings(epochs=12), train, val, tmp_path)
    export(net, _settings(epochs=12), train, val, tmp_path / "bundle")
    bundle = open_red_cell_shapes(tmp_path / "bundle")
    session = onnxruntime.InferenceSession(bundle.model_path)
    for count in (1, 5):
        found, distance = session.run(None, {"images": val.plain[:count]})
        assert distance.shape == (count,)
        assert np.allclose(found, logits(net, val)[:count], atol=1e-3)
    assert (found.argmax(axis=1) == val.shapes[:5]).all()
    noise = np.random.default_rng(0).integers(0, 256, (20, SIDE, SIDE, 3), dtype=np.uint8)
    _, distance = session.run(None, {"images": noise})
    assert (distance > bundle.card.far).all()
    (tmp_path / "bundle/model.onnx").write_bytes(b"other")
    with pytest.raises(BundleError, match="not the file its card describes"):
        open_red_cell_shapes(tmp_path / "bundle")


def test_the_threshold_of_a_shape_bounds_the_normal_cells_taken_for_it() -> None:
    rng = np.random.default_rng(0)
    shapes = rng.integers(0, len(SHAPES), 4000)
    probabilities = rng.dirichlet(np.full(len(SHAPES), 0.3), 4000)
    settings = _settings().model_copy(update={"least_probability": 0.0, "false_rate": 0.01})
    near = rng.random(4000) < 0.9
    rules = decide(probabilities, near, shapes, settings)
    best, highest = probabilities.argmax(axis=1), probabilities.max(axis=1)
    for place, rule in enumerate(rules[1:], start=1):
        named = near & (best == place) & (highest >= rule.least_probability)
        assert named[shapes == 0].mean() <= 0.01
        assert named[shapes == 0].mean() == pytest.approx(rule.false, abs=1e-4)
        assert not rule.graded  # random probabilities tell nothing
    assert len(rules) == len(SHAPE_NAMES)


def test_changes_keep_the_cell_in_the_picture_and_none_are_drawn_at_zero() -> None:
    images = torch.from_numpy(_cells(4, 3).images)
    random = torch.Generator().manual_seed(0)
    changed = change(images, RedCellAugmentation(), random)
    assert changed.shape == (4, 3, SIDE, SIDE)
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 255
    still = RedCellAugmentation(scale=0, shift=0, gain=0, level=0, blur=0, noise=0)
    kept = change(images, still, random).mean((1, 2, 3))
    plain = images[:, MARGIN:-MARGIN, MARGIN:-MARGIN].float().mean((1, 2, 3))
    assert torch.allclose(kept, plain, atol=2.5)
