"""A whole training run on drawn cells: loss, checkpoints, export, resume."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import polars as pl
import pytest
import torch

import leukopy
from leukopy.bundle import DatasetUse, open_bundle
from leukopy.core.errors import InputError, SettingsError, TrainingError
from leukopy.core.progress import silent
from leukopy.explain.methods import Subject, open_net
from leukopy.imaging.decode import read_cell
from leukopy.inference import activations
from leukopy.models.backbones import BACKBONES
from leukopy.models.checkpoints import load_net
from leukopy.network.probabilities import softmax
from leukopy.taxonomy import FINE
from leukopy.training.data import CellData
from leukopy.training.detector.settings import DetectorSettings
from leukopy.training.lightning_module import CellModule, shrink, validation_figures
from leukopy.training.red_cell_shapes.settings import RedCellSettings
from leukopy.training.shallow_settings import ShallowSettings
from leukopy.training.sources import list_training_cells, member_matrix, uses
from leukopy.workflows.recipes import read
from leukopy.workflows.train import read_recipe, train
from support.files import CONFIGS
from support.recipes import recipes_of
from support.training_run import recipe

pytestmark = pytest.mark.usefixtures("places")


@pytest.mark.parametrize("augmentation", [None, {"scale": (1, 1), "rotate": False}])
def test_sources_of_another_magnification_are_seen_at_one_size(laboratory: Path, tmp_path: Path, augmentation) -> None:
    sources = [
        {"dataset": "folders", "root": "lab", "share": 0.5, "validation_share": 0.3},
        {"dataset": "drawn", "share": 0.5, "images": 22, "crop": 0.9},
    ]
    settings = recipe(sources=sources, preprocess={"size": 48, "crop": 0.6}, augmentation=augmentation)
    data = CellData(settings, laboratory, tmp_path / "cache", silent)
    crops = dict(zip(data.train_set.cells["source"], data.train_set._crops, strict=True))
    assert crops == {"folders": 0.6, "drawn": 0.9}
    card = train(settings, tmp_path / "run").card
    assert card.cell_sizes is not None
    assert set(card.cell_sizes) == {"LY", "EO", "PLT", "NEU"}
    assert all(0.2 < size < 1 for size in card.cell_sizes.values())  # a cell takes .3 to .5 of a drawn picture


def test_models_of_one_magnification_ask_for_no_sizes(laboratory: Path, tmp_path: Path) -> None:
    assert train(recipe(optimisation={"epochs": 1}), tmp_path / "run").card.cell_sizes is None
    with pytest.raises(SettingsError, match="every source has a crop"):
        recipe(sources=[{"dataset": "folders", "root": "lab", "share": 1, "crop": 0.5}])


def test_a_run_starts_from_the_network_of_another(tmp_path: Path, laboratory: Path) -> None:
    first = {"name": "lenet"}
    train(recipe(optimisation={"epochs": 1, "batch_size": 8}), tmp_path / "a")
    begun = CellModule(recipe(backbone={**first, "run": str(tmp_path / "a")})).net.state_dict()
    for name, tensor in load_net(tmp_path / "a").state_dict().items():
        assert torch.equal(tensor, begun[name]), name
    with pytest.raises(InputError, match="of another network"):
        CellModule(recipe(backbone={"name": "resnet18", "run": str(tmp_path / "a")}))
    with pytest.raises(SettingsError, match="give one of pretrained, weights and run"):
        recipe(backbone={**first, "pretrained": True, "run": str(tmp_path / "a")})


def test_the_last_epoch_is_kept_where_the_recipe_says_so(tmp_path: Path, laboratory: Path) -> None:
    """Validation cells are labelled wrong, so that the longer it learns the higher is their loss."""
    manifest = tmp_path / "manifest.csv"
    files = sorted(path for code in ("LY", "EO") for path in (laboratory / "lab" / code).glob("*.png"))
    again = [tmp_path / f"again-{path.parent.name}-{path.name}" for path in files]
    for path, other in zip(files, again, strict=True):
        shutil.copy(path, other)
    right = [path.parent.name for path in files]
    wrong = [{"LY": "EO", "EO": "LY"}[code] for code in right]
    table = {
        "cell_id": [str(number) for number in range(2 * len(files))],
        "path": [str(path) for path in (*files, *again)],
        "label": right + wrong,
    }
    pl.DataFrame(table | {"split": ["train"] * len(files) + ["val"] * len(files)}).write_csv(manifest)
    sources = [{"dataset": "manifest", "root": str(manifest), "share": 1}]
    optimisation = {"epochs": 4, "batch_size": 8, "learning_rate": 0.01}
    train(recipe(sources=sources, optimisation=optimisation), tmp_path / "best")
    result = train(recipe(sources=sources, optimisation={**optimisation, "epoch": "last"}), tmp_path / "last")
    assert "chosen" not in result.card.calibration.fitted_on
    best, last = load_net(tmp_path / "best").state_dict(), load_net(tmp_path / "last").state_dict()
    end = torch.load(tmp_path / "best" / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]
    assert all(torch.equal(tensor, end[f"net.{name}"]) for name, tensor in last.items())
    assert not all(torch.equal(tensor, best[name]) for name, tensor in last.items())


@pytest.mark.slow
def test_weights_are_averaged_over_trainings_and_with_their_start(tmp_path: Path, laboratory: Path) -> None:
    optimisation = {"epochs": 1, "batch_size": 8, "learning_rate": 0.01}
    train(recipe(optimisation=optimisation), tmp_path / "start")
    settings = recipe(
        seed=3,
        backbone={"name": "lenet", "run": str(tmp_path / "start")},
        optimisation=optimisation | {"runs": 2, "start_share": 0.25},
    )
    out = tmp_path / "out"
    first = train(settings, out)
    assert (out / "curves.png").is_file()
    start, averaged = load_net(tmp_path / "start").state_dict(), load_net(out).state_dict()
    ends = [torch.load(out / f"seed{seed}" / "checkpoints" / "last.ckpt", weights_only=False) for seed in (3, 4)]
    for name, tensor in averaged.items():
        a, b = (end["state_dict"][f"net.{name}"] for end in ends)
        assert torch.allclose(tensor, 0.25 * start[name] + 0.375 * a + 0.375 * b, atol=1e-6), name
    assert not torch.equal(a, b)  # another seed is another training
    with pytest.raises(SettingsError, match="start_share: averages with the earlier run"):
        recipe(optimisation=optimisation | {"start_share": 0.25})
    (out / "checkpoints" / "best.ckpt").unlink()
    assert train(settings, out, resume=True).card.model.sha256 == first.card.model.sha256  # of the same trainings


def test_a_card_lists_what_the_earlier_run_was_trained_on_too(laboratory: Path) -> None:
    cells = list_training_cells(recipe(), laboratory)
    other = DatasetUse(name="Elsewhere", licence="MIT", citation="-", images=7)
    (own,) = uses(cells)
    assert uses(cells, (other, own.model_copy(update={"images": 1}))) == (own, other)
    assert uses(cells, (own.model_copy(update={"images": 99}),))[0].images == 99


def test_the_temperature_of_cells_from_elsewhere_is_higher(tmp_path: Path, laboratory: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    other = sorted((laboratory / "lab").rglob("*.png"))[::2]
    table = {"path": [str(path) for path in other], "label": [path.parent.name for path in other]}
    pl.DataFrame(table | {"split": ["train"] * len(other)}).write_csv(manifest)
    sources = [
        {"dataset": "folders", "root": "lab", "share": 0.5, "validation_share": 0.3},
        {"dataset": "manifest", "root": str(manifest), "share": 0.5},
    ]
    result = train(recipe(sources=sources, foreign_temperature_factor=1.5), tmp_path / "run")
    assert result.card.calibration.foreign_temperature_factor == 1.5
    cells = leukopy.load(result.bundle).predict(other[:5]).cells
    seen = activations(
        open_bundle(result.bundle),
        np.stack([read_cell(path, result.card.preprocess).pixels for path in other[:5]]),
        ["logits", "foreign_probability"],
    )
    warmer = 1 + 0.5 * seen["foreign_probability"][:, None]
    expected = softmax(seen["logits"] / result.card.calibration.temperature / warmer)
    assert cells.select(f"p_{cell.code}" for cell in FINE).to_numpy() == pytest.approx(expected, abs=1e-5)


def test_shrinking_keeps_colours() -> None:
    images = torch.randint(0, 256, (2, 48, 48, 3), dtype=torch.uint8)
    small = shrink(images, 24)
    assert small.shape == (2, 24, 24, 3)
    torch.testing.assert_close(small.mean(dim=(1, 2)), images.float().mean(dim=(1, 2)), atol=2.0, rtol=0.0)


def test_figures_of_a_perfect_and_of_a_blind_classifier() -> None:
    members = member_matrix(pl.Series(["SNE", "BNE", "NEU", "EO", "PLT"]))
    right = members * 10.0
    figures = validation_figures(right, members, "fine")
    assert figures["coarse_balanced_accuracy"] == figures["fine_accuracy"] == 1
    blind = np.zeros((5, 11))
    blind[:, 2] = 9  # says eosinophil
    assert validation_figures(blind, members, "fine")["coarse_balanced_accuracy"] == pytest.approx(1 / 3)
    assert "fine_macro_f1" not in validation_figures(right, members, "coarse")


def test_train_exports_a_bundle_that_classifies(laboratory: Path, tmp_path: Path) -> None:
    result = train(recipe(), tmp_path / "run")
    assert open_bundle(result.bundle).card == result.card
    assert b"stack_trace" not in open_bundle(result.bundle).model_path.read_bytes()  # no file of this machine is named
    assert 20 <= result.card.trained_on[0].images < 40
    assert "validation" in result.card.calibration.fitted_on
    assert result.card.thresholds.set_from is not None
    curves = pl.read_csv(tmp_path / "run" / "curves" / "version_0" / "metrics.csv")
    assert curves["val/loss"].drop_nulls().len() == 2
    assert (tmp_path / "run" / "curves.png").exists()
    found = leukopy.load(str(result.bundle)).predict([laboratory / "lab" / "LY" / "0.png"])
    assert found.cells.height == 1
    assert found.failures.height == 0


def test_a_bundle_in_integers_says_what_the_rounding_cost(laboratory: Path, tmp_path: Path) -> None:
    result = train(recipe(deploy="int8", augmentation={}), tmp_path / "run")
    bundle = open_bundle(result.bundle)
    operators = {node.op_type for node in onnx.load(bundle.model_path).graph.node}
    assert "DequantizeLinear" in operators
    assert "the same class for" in bundle.card.provenance["int8_against_float32"]
    explained = open_net(Subject(bundle, tmp_path / "run"), "grad-cam")  # rounding does not make it another network
    assert sum(weights.numel() for weights in explained.parameters()) == bundle.card.model.parameters
    files = sorted((laboratory / "lab" / "LY").glob("*.png"))
    assert leukopy.load(result.bundle).predict(files).cells.height == len(files)


def test_resume_goes_on_where_it_stopped(laboratory: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(recipe(), out)
    longer = recipe(optimisation={"epochs": 3, "batch_size": 8, "learning_rate": 1e-3})
    train(longer, out, resume=True)
    last = torch.load(out / "checkpoints" / "last.ckpt", weights_only=False, map_location="cpu")
    assert last["epoch"] == 2
    assert last["global_step"] % 3 == 0


@pytest.mark.slow
def test_a_run_that_was_moved_is_exported_from_its_own_weights(laboratory: Path, tmp_path: Path) -> None:
    train(recipe(seed=1), tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    train(recipe(seed=2), tmp_path / "a")
    before = open_bundle(tmp_path / "b" / "bundle").card.model.sha256
    train(recipe(seed=1), tmp_path / "b", resume=True)
    assert open_bundle(tmp_path / "b" / "bundle").card.model.sha256 == before


@pytest.mark.slow
def test_small_epochs_freezing_averaging_and_resuming_work_together(laboratory: Path, tmp_path: Path) -> None:
    settings = recipe(
        backbone={"name": "tf_efficientnet_lite0", "pretrained": True},
        augmentation={},
        optimisation={
            "epochs": 2,
            "batch_size": 16,
            "small_epochs": 1,
            "small_size": 32,
            "frozen_stages": 3,
            "average": 0.5,
        },
    )
    run = tmp_path / "run"
    data = CellData(settings, laboratory, tmp_path / "cache", silent)
    picture, members = data.train_set[0]
    assert picture.shape == (48, 48, 3)
    assert members.dtype == torch.bool
    train(settings.model_copy(update={"optimisation": settings.optimisation.model_copy(update={"epochs": 1})}), run)
    before = _stem(run)
    assert train(settings, run, resume=True).card.model.pretrained is not None
    assert torch.equal(_stem(run), before)  # the second epoch froze it


def _stem(run: Path) -> torch.Tensor:
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=False, map_location="cpu")
    return checkpoint["current_model_state"]["net.backbone.features.net.conv_stem.weight"]


def test_recipes_are_changed_by_dotted_names(tmp_path: Path) -> None:
    path = CONFIGS / "default.yaml"
    assert read_recipe(path, {"optimisation.epochs": 1}).optimisation.epochs == 1
    with pytest.raises(SettingsError, match=r"optimisation\.epoch:"):
        read_recipe(path, {"optimisation.epoch": 1})
    with pytest.raises(SettingsError, match="holds no settings"):
        read_recipe(path, {"name.first": 1})


@pytest.mark.parametrize("path", recipes_of("cells"), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid(path: Path) -> None:
    settings = read(path, {})
    assert settings.name == path.stem
    assert len(settings.limits) > 0
    if isinstance(settings, DetectorSettings):
        assert settings.pretrained
        return
    if isinstance(settings, RedCellSettings):
        assert settings.optimisation.epochs > 1
        return
    if isinstance(settings, ShallowSettings):
        assert settings.features.background == "kept" or "no_background" in path.stem
        return
    published = BACKBONES[settings.backbone.name]
    assert (settings.preprocess.mean, settings.preprocess.std) == (published.mean, published.std)


def test_classes_outside_shape_the_network_and_have_no_logits(tmp_path: Path, laboratory: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    files = sorted(path for code in ("LY", "EO", "PLT") for path in (laboratory / "lab" / code).glob("*.png"))
    labels = [{"PLT": "blast"}.get(path.parent.name, path.parent.name) for path in files]
    splits = ["val" if number % 3 == 0 else "train" for number in range(len(files))]
    names = [str(number) for number in range(len(files))]
    table = {"cell_id": names, "path": list(map(str, files)), "label": labels, "split": splits}
    pl.DataFrame(table).write_csv(manifest)
    gone = tmp_path / "gone.csv"
    pl.DataFrame({"cell_id": ["1", "2"]}).write_csv(gone)
    source = {"dataset": "manifest", "root": str(manifest), "share": 1, "left_out": str(gone)}
    settings = recipe(sources=[source], outside=["BLAST"], optimisation={"epochs": 1, "batch_size": 8})
    data = CellData(settings, laboratory, tmp_path / "cache", silent)
    codes = data.train_set.cells["code"]
    assert set(codes) == {"LY", "EO", "BLAST"}
    assert not {"1", "2"} & set(data.train_set.cells["cell_id"])
    assert (data.train_set.members[:, -1] == (codes == "BLAST").to_numpy()).all()
    assert data.val_set.members.shape[1] == len(FINE)
    assert "BLAST" not in set(data.val_set.cells["code"])
    bundle = open_bundle(train(settings, tmp_path / "run").bundle)
    assert bundle.card.classes == tuple(cell.code for cell in FINE)
    load_net(tmp_path / "run")  # the checkpoint holds the network that the recipe describes


def test_a_loss_counts_the_logits_of_classes_outside() -> None:
    module = CellModule(recipe(outside=["BLAST", "SMUDGE"]))
    images = torch.zeros((2, 48, 48, 3), dtype=torch.uint8)
    assert module._logits(images).shape == (2, len(FINE) + 2)
    module._loss(module._logits(images), torch.eye(2, len(FINE) + 2).flip(1).bool()).backward()
    assert module.outside is not None
    assert module.outside.weight.grad is not None
    assert module.outside.weight.grad.abs().sum() > 0
    module.trainer = SimpleNamespace(estimated_stepping_batches=10)
    groups = module.configure_optimizers()["optimizer"].param_groups
    assert any(module.outside.weight is weight for group in groups for weight in group["params"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outside": ["EO"]}, "EO: no class outside; known: BLAST"),
        ({"outside": ["BLAST"], "level": "coarse"}, "needs the level fine"),
        ({"outside": ["BLAST"], "loss": {"class_weights": "balanced"}}, "class_balance balances them"),
    ],
)
def test_classes_outside_that_cannot_be_learnt_are_refused(changes, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        recipe(**changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), ("cell\n1\n", "cannot be read"), ("cell_id\nother\n", "no cell of folders")],
)
def test_a_table_of_cells_left_out_that_leaves_none_out_is_refused(
    laboratory: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    gone = tmp_path / "gone.csv"
    if content:
        gone.write_text(content)
    source = {"dataset": "folders", "root": "lab", "share": 1, "left_out": str(gone)}
    with pytest.raises(TrainingError, match=message):
        list_training_cells(recipe(sources=[source]), laboratory)
