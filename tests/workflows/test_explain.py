"""`explain`: overlays, arrays, tables and a page; bad input told in one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from leukopy.bundle import open_bundle
from leukopy.cli.main import app
from leukopy.core.errors import BundleError, InputError, OutputError, SettingsError
from leukopy.explain.scores import EXPLANATION_SCHEMA
from leukopy.network.outputs import with_class_activation
from leukopy.taxonomy import FINE
from leukopy.workflows.explain import ExplainSettings, explain, file_name, gather_all
from leukopy.workflows.index import IndexSettings, index_neighbours
from support.training_run import write_run

CODES = [cell.code for cell in FINE]


@pytest.fixture(scope="module")
def model(colour_model, build_bundle: Callable[..., Path], tmp_path_factory) -> Path:
    """Names a cell by its mean colour, and says where each class has its evidence."""
    network = with_class_activation(onnx.load(open_bundle(colour_model.path).model_path)).SerializeToString()
    return build_bundle(tmp_path_factory.mktemp("models") / "cam", network=network)


@pytest.fixture(scope="module")
def cells(colour_model, tmp_path_factory) -> Path:
    """Three pictures: grey with one corner in the colour of a class; and a file that is no image."""
    folder = tmp_path_factory.mktemp("cells")
    for name, code in (("ba", "BA"), ("erb", "ERB"), ("plt", "PLT")):
        colour = Image.open(colour_model.draw(folder / "plain" / f"{name}.png", code)).getpixel((0, 0))
        picture = Image.new("RGB", (64, 64), (127, 127, 127))
        picture.paste(colour, (32, 0, 64, 32))
        picture.save(folder / f"{name}.png")
    shutil.rmtree(folder / "plain")
    (folder / "notes.jpg").write_text("not an image")
    return folder


@pytest.fixture(scope="module")
def explained(cells: Path, model: Path, tmp_path_factory) -> Path:
    """Explained by two methods, of the class that the corner has."""
    out = tmp_path_factory.mktemp("out") / "run"
    settings = ExplainSettings(inputs=(cells,), model=str(model), methods=("cam", "score-cam"), steps=4)
    result = explain(settings, out)
    assert (result.cells, result.failures) == (3, 1)
    return out


@pytest.fixture(scope="module")
def trained(build_bundle, tmp_path_factory) -> Path:
    """As `leukopy train` leaves it: record, checkpoint and bundle of one small network, its weights by chance."""
    folder = tmp_path_factory.mktemp("runs") / "lenet"
    build_bundle(folder / "bundle", network=write_run(folder))
    return folder


class TestFiles:
    def test_a_row_per_image_and_method(self, explained: Path) -> None:
        rows = pl.read_parquet(explained / "explanations.parquet")
        assert dict(rows.schema) == EXPLANATION_SCHEMA
        assert rows["method"].to_list() == ["cam", "score-cam", "centre", "random"] * 3
        assert rows["cell_id"].unique(maintain_order=True).to_list() == ["ba.png", "erb.png", "plt.png"]
        assert rows["deletion"].null_count() == rows["insertion"].null_count() == 0
        assert rows.select(pl.col("deletion", "insertion").is_between(0, 1).all()).row(0) == (True, True)
        assert pl.read_csv(explained / "explanations.csv")["target"].to_list() == rows["target"].to_list()

    def test_the_classes_are_those_of_predict(self, explained: Path, cells: Path, model: Path, tmp_path) -> None:
        table = tmp_path / "rows.csv"
        CliRunner().invoke(app, ["predict", str(cells), "--model", str(model), "--out", str(table)])
        predicted = pl.read_csv(table).select("cell_id", "coarse", "fine", "fine_confidence")
        found = pl.read_csv(explained / "explanations.csv").filter(method="cam")
        assert found.select(predicted.columns).equals(predicted)

    def test_an_overlay_and_an_array_per_image_and_method(self, explained: Path) -> None:
        names = [f"{cell}.png_{method}" for cell in ("ba", "erb", "plt") for method in ("cam", "score-cam")]
        assert sorted(path.stem for path in (explained / "overlays").iterdir()) == sorted(names)
        with np.load(explained / "heat.npz") as arrays:
            assert sorted(arrays) == sorted(names)
            assert {arrays[name].shape for name in names} == {(32, 32)}
            assert all(0 <= arrays[name].min() <= arrays[name].max() <= 1 for name in names)
        with Image.open(explained / "overlays" / f"{names[0]}.png") as picture:
            assert picture.width > 2 * 288  # the cell, and the cell under its map

    def test_failures_are_rows(self, explained: Path) -> None:
        failures = pl.read_csv(explained / "failures.csv")
        assert failures.select("cell_id", "reason").rows() == [("notes.jpg", "not_an_image")]

    def test_the_page_stands_alone(self, explained: Path) -> None:
        page = (explained / "report.html").read_text()
        assert "default-src 'none'" in page
        assert not re.search(r"(src|href)=\"(?!data:|#)", page)
        assert page.count("data:image/jpeg") == 3 * 3  # the picture, and two maps
        assert "Research use only" in page
        assert "notes.jpg" in page
        assert "Petsiuk" in page

    def test_the_summary_says_what_was_not_done(self, explained: Path) -> None:
        summary = (explained / "summary.md").read_text()
        assert "Against the middle of the picture: deletion" in summary
        assert "4 × 4 positions" in summary
        assert "random weights needs the training run" in summary
        assert "leukopy model index makes one" in summary
        record = json.loads((explained / "run.json").read_text())
        assert record["status"] == "finished"
        assert [one["method"] for one in record["figures"]] == ["cam", "score-cam", "centre", "random"]


class TestTruth:
    def test_heat_lies_in_the_only_corner_that_counts(self, cells: Path, model: Path, tmp_path: Path) -> None:
        """For the class of the corner, with the picture as it is and over all views."""
        for views in (1, 8):
            out = tmp_path / str(views)
            settings = {"inputs": (cells / "ba.png",), "model": str(model), "target": "BA", "steps": 0, "views": views}
            explain(ExplainSettings(**settings), out)
            with np.load(out / "heat.npz") as arrays:
                heat = arrays["ba.png_cam"].astype(float)
            assert heat[:16, 16:].sum() / heat.sum() > 0.8

    def test_where_nothing_is_to_be_seen_nothing_is_said(self, model: Path, tmp_path: Path) -> None:
        """A plain picture: no cell, and no place that speaks for a class more than another."""
        Image.new("RGB", (64, 64), (225, 225, 225)).save(tmp_path / "plain.png")
        explain(ExplainSettings(inputs=(tmp_path / "plain.png",), model=str(model), steps=2), tmp_path / "out")
        row = pl.read_parquet(tmp_path / "out" / "explanations.parquet").row(0, named=True)
        assert (row["inside_cell"], row["cell_area"]) == (None, None)
        assert "No cell was found in this picture" in (tmp_path / "out" / "report.html").read_text()

    def test_a_cell_of_known_outline(self, model: Path, tmp_path: Path) -> None:
        """A drawn lymphocyte: the shares of the centre baseline are those of its own masks, nearly."""
        from leukopy.explain import centre_heat
        from leukopy.synthesis import draw_cell

        drawn = draw_cell("LY", seed=3, size=64)
        Image.fromarray(drawn.image).save(tmp_path / "ly.png")
        explain(ExplainSettings(inputs=(tmp_path / "ly.png",), model=str(model), steps=1), tmp_path / "out")
        row = pl.read_parquet(tmp_path / "out" / "explanations.parquet").filter(method="centre").row(0, named=True)
        heat = centre_heat(64)
        assert row["inside_cell"] == pytest.approx((heat * drawn.cell_mask).sum() / heat.sum(), abs=0.1)
        assert row["inside_nucleus"] == pytest.approx((heat * drawn.nucleus_mask).sum() / heat.sum(), abs=0.1)
        assert row["cell_area"] == pytest.approx(drawn.cell_mask.mean(), abs=0.06)


class TestNeighbours:
    @pytest.fixture
    def indexed(self, model: Path, colour_model, tmp_path: Path, monkeypatch) -> Path:
        """The model with an index of two plain cells of each class, of a manifest's training split."""
        own = shutil.copytree(model, tmp_path / "bundle")
        lines = ["path,code,split"]
        for code in CODES:
            for number, split in enumerate(("train", "train", "val")):
                colour_model.draw(tmp_path / "train" / f"{code}{number}.png", code, width=40 + number)
                lines.append(f"train/{code}{number}.png,{code},{split}")
        lines.append("train/absent.png,LY,train")
        (tmp_path / "train.csv").write_text("\n".join(lines))
        result = index_neighbours(IndexSettings(model=str(own), data=str(tmp_path / "train.csv"), per_class=1))
        assert (result.cells, result.kept) == (22, 11)
        assert list(result.failures) == ["manifest/train/absent.png"]
        return own

    def test_each_cell_is_like_those_of_its_class(self, indexed: Path, colour_model, tmp_path: Path) -> None:
        colour_model.draw(tmp_path / "asked" / "eo.png", "EO")
        settings = ExplainSettings(inputs=(tmp_path / "asked",), model=str(indexed), steps=0, neighbours=2)
        explain(settings, tmp_path / "out")
        near = pl.read_csv(tmp_path / "out" / "neighbours.csv")
        assert near.columns == ["cell_id", "rank", "neighbour", "code", "similarity"]
        assert near.row(0)[:2] == ("eo.png", 1)
        assert near["code"][0] == "EO"
        assert near["similarity"][0] == pytest.approx(1, abs=1e-2)
        assert not near["neighbour"].str.contains("2.png").any()  # the validation split is not in it
        assert pl.read_parquet(tmp_path / "out" / "explanations.parquet")["neighbours_agree"].to_list() == [0.5]
        assert near["neighbour"][0] in (tmp_path / "out" / "report.html").read_text()

    def test_a_damaged_index_stops_the_run_before_it_begins(self, indexed: Path, cells: Path, tmp_path: Path) -> None:
        (indexed / "neighbours.npz").write_bytes(b"PK")
        with pytest.raises(BundleError, match=r"is damaged, .*leukopy model index"):
            explain(ExplainSettings(inputs=(cells,), model=str(indexed)), tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_what_cannot_be_indexed(self, model: Path, colour_model, tmp_path: Path) -> None:
        colour_model.draw(tmp_path / "c.png", "EO")
        (tmp_path / "test.csv").write_text("path,code,split\nc.png,EO,test\n")
        with pytest.raises(InputError, match="no image of split 'train'"):
            index_neighbours(IndexSettings(model=str(model), data=str(tmp_path / "test.csv")))
        with pytest.raises(SettingsError, match="say where it lies with --root"):
            index_neighbours(IndexSettings(model=str(model), data="pbc"))


class TestTrainingRun:
    @pytest.mark.slow
    def test_gradients_and_the_sanity_check(self, trained: Path, cells: Path, tmp_path: Path) -> None:
        settings = ExplainSettings(
            inputs=(cells,), model=str(trained), methods=("grad-cam", "grad-cam++"), steps=0, sanity=2
        )
        result = explain(settings, tmp_path / "out")
        assert [found.method for found in result.figures] == ["grad-cam", "grad-cam++"]
        for found in result.figures:
            assert found.sanity is not None
            assert found.sanity.value is not None
            assert -1 <= found.sanity.value <= 1
        assert "near 0, the maps depend on the training" in (tmp_path / "out" / "summary.md").read_text()

    def test_a_dense_head_has_no_class_activation(self, trained: Path, cells: Path, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="Use --method grad-cam or score-cam"):
            explain(ExplainSettings(inputs=(cells,), model=str(trained)), tmp_path / "out")

    def test_a_checkpoint_that_is_not_the_bundle_s(self, trained: Path, cells: Path, tmp_path: Path) -> None:
        import torch

        other = shutil.copytree(trained, tmp_path / "run")
        path = other / "checkpoints" / "best.ckpt"
        state = torch.load(path, weights_only=True)["state_dict"]
        torch.save({"state_dict": {name: value + 0.1 for name, value in state.items()}}, path)
        with pytest.raises(BundleError, match="not the same network"):
            explain(ExplainSettings(inputs=(cells,), model=str(other), methods=("grad-cam",)), tmp_path / "out")


class TestInputs:
    def test_each_file_once(self, cells: Path) -> None:
        found = gather_all((cells, cells / "ba.png"))
        assert [cell.cell_id for cell in found] == ["ba.png", "erb.png", "notes.jpg", "plt.png"]

    def test_files_of_one_name_keep_ids_of_their_own(self, colour_model, tmp_path: Path) -> None:
        paths = tuple(colour_model.draw(tmp_path / folder / "c.png", "EO") for folder in "ab")
        assert [cell.cell_id for cell in gather_all(paths)] == ["a/c.png", "b/c.png"]

    def test_file_names(self) -> None:
        taken: set[str] = set()
        assert file_name("a/b c.png", "cam", taken) == "a_b_c.png_cam"
        assert file_name("a_b/c.png", "cam", taken) == "a_b_c.png-2_cam"
        assert file_name("A_b/c.png", "cam", taken) == "A_b_c.png-3_cam"  # the same file, on some systems
        assert file_name("../..", "cam", taken) == "_.._cam"
        assert len(file_name("x" * 400, "grad-cam++", taken)) < 200


class TestBadInput:
    def ask(self, *arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["explain", *map(str, arguments)])
        assert "Traceback" not in result.output
        return result.exit_code, result.output

    def test_failures_make_the_exit_code_3(self, cells: Path, model: Path, tmp_path: Path) -> None:
        code, said = self.ask(cells, "--model", model, "--steps", 0, "--out", tmp_path / "out")
        assert code == 3
        assert "1 of 4 images failed" in said
        assert (tmp_path / "out" / "report.html").exists()

    def test_only_failures(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "c.jpg").write_text("")
        code, said = self.ask(tmp_path / "c.jpg", "--model", model, "--out", tmp_path / "out")
        assert code == 3
        assert "1 of 1 images failed" in said
        assert "0 bytes" in (tmp_path / "out" / "report.html").read_text()

    def test_an_empty_folder(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "none").mkdir()
        code, said = self.ask(tmp_path / "none", "--model", model, "--out", tmp_path / "out")
        assert (code, "holds no image" in said) == (1, True)

    def test_no_class_activation(self, colour_model, cells: Path, tmp_path: Path) -> None:
        code, said = self.ask(cells, "--model", colour_model.path, "--out", tmp_path / "out")
        assert code == 1
        assert "Use --method score-cam" in said
        assert not (tmp_path / "out").exists()

    def test_a_method_that_is_unknown(self, cells: Path, model: Path, tmp_path: Path) -> None:
        code, said = self.ask(cells, "--model", model, "--method", "lime", "--out", tmp_path / "out")
        assert (code, "'lime' is unknown; known: cam" in said) == (1, True)

    def test_a_method_that_needs_a_run(self, cells: Path, model: Path, tmp_path: Path) -> None:
        code, said = self.ask(cells, "--model", model, "--method", "grad-cam", "--out", tmp_path / "out")
        assert (code, "training run (--model runs/" in said) == (1, True)

    def test_a_class_that_is_unknown(self, cells: Path, model: Path, tmp_path: Path) -> None:
        code, said = self.ask(cells, "--model", model, "--target", "NEU", "--out", tmp_path / "out")
        assert (code, "not a fine class" in said) == (1, True)

    @pytest.mark.parametrize("option", [("--views", "3"), ("--steps", "-1"), ("--neighbours", "99")])
    def test_settings_out_of_bounds(self, option, cells: Path, model: Path, tmp_path: Path) -> None:
        code, said = self.ask(cells, "--model", model, *option, "--out", tmp_path / "out")
        assert (code, option[0] in said) == (2, True)

    def test_nothing_to_explain(self, tmp_path: Path) -> None:
        assert self.ask("--out", tmp_path / "out")[0] == 2

    def test_results_are_not_overwritten(self, explained: Path, cells: Path, model: Path) -> None:
        with pytest.raises(OutputError, match="--overwrite"):
            explain(ExplainSettings(inputs=(cells,), model=str(model)), explained)

    def test_a_run_is_repeated_from_its_record(self, explained: Path, tmp_path: Path) -> None:
        code, _ = self.ask("--config", explained / "run.json", "--method", "cam", "--out", tmp_path / "again")
        assert code == 3
        first, again = (pl.read_parquet(folder / "explanations.parquet") for folder in (explained, tmp_path / "again"))
        assert again.filter(method="cam").equals(first.filter(method="cam"))


def test_interrupted(cells: Path, model: Path, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int | None) -> None:
        if done == 2:
            raise KeyboardInterrupt

    settings = ExplainSettings(inputs=(cells,), model=str(model), steps=0)
    with pytest.raises(KeyboardInterrupt, match=r"overlays of 1 maps are saved .* --overwrite"):
        explain(settings, tmp_path / "out", progress=stop)
    assert not (tmp_path / "out" / "heat.npz").exists()
    assert explain(settings, tmp_path / "out", overwrite=True).cells == 3
