"""Shallow models and networks, trained and measured on drawn cells, alone and in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import SettingsError
from leukopy.core.files import read_json
from leukopy.studies import compare as module
from leukopy.studies.compare import CompareSettings, compare
from leukopy.synthesis import draw_cell
from leukopy.training.features import Extractor
from leukopy.training.shallow_settings import Features
from leukopy.workflows.recipes import build_any, read
from leukopy.workflows.shallow import train_shallow

CODES = ("SNE", "BNE", "EO", "LY", "PLT")
SPLITS = ("train", "train", "val", "test")


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 60 drawn cells in three splits, one image broken, one label known only as neutrophil."""
    root = tmp_path_factory.mktemp("laboratory")
    rows = []
    for code in CODES:
        for index in range(12):
            path = root / f"{code}{index}.png"
            Image.fromarray(draw_cell(code, seed=index, size=64).image).save(path)
            label = "NEU" if code == "SNE" and index == 3 else code
            rows.append({"path": path.name, "label": label, "split": SPLITS[index % 4]})
    (root / "LY0.png").write_text("no image")
    pl.DataFrame(rows).write_csv(root / "cells.csv")
    return root


@pytest.fixture(autouse=True)
def _places(laboratory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEUKOPY_DATA", str(laboratory))
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))


def write(folder: Path, file: str, **changes: Any) -> Path:
    """A recipe as a file: a small LeNet, or with ``kind: shallow`` a forest on pixels."""
    values: dict[str, Any] = {
        "name": file,
        "title": file,
        "description": "For tests.",
        "sources": [{"dataset": "manifest", "root": "cells.csv", "share": 1}],
    }
    if changes.get("kind") == "shallow":
        values |= {"features": {"preprocess": {"size": 32}}, "classifier": "random_forest", "replicates": 100}
    else:
        values |= {"backbone": {"name": "lenet"}, "preprocess": {"size": 48}}
        values |= {"optimisation": {"epochs": 1, "batch_size": 8}}
    path = folder / f"{file}.yaml"
    path.write_text(yaml.safe_dump(values | changes))
    return path


class TestShallow:
    def test_is_measured_on_validation_and_test(self, tmp_path: Path) -> None:
        settings = read(write(tmp_path, "forest", kind="shallow"), {})
        result = train_shallow(settings, tmp_path / "out")
        assert list(result.evaluations) == ["val", "test"]
        assert result.failures == 1
        assert "LY0.png" in (tmp_path / "out" / "failures.csv").read_text()
        test = result.evaluations["test"]
        assert test.counts["scored"] == 15
        assert test.fine is not None
        assert test.fine.classification.images == 14  # one is known only as neutrophil
        assert test.coarse.classification.accuracy.value > 0.6  # drawn cells differ in size and colour
        run = read_json(tmp_path / "out" / "run.json")
        assert run["status"] == "finished"
        assert run["images_per_second"] > 0
        trials = pl.read_csv(tmp_path / "out" / "trials.csv")
        assert trials["chosen"].sum() == 1
        predictions = pl.read_parquet(tmp_path / "out" / "test" / "predictions.parquet")
        assert predictions.height == 15
        np.testing.assert_allclose(predictions.select("^p_.*$").sum_horizontal().to_numpy(), 1, atol=1e-5)

    def test_at_eight_classes_and_in_two_stages(self, tmp_path: Path) -> None:
        eight = train_shallow(read(write(tmp_path, "eight", kind="shallow", level="coarse"), {}), tmp_path / "8")
        assert eight.evaluations["test"].fine is None
        recipe = write(tmp_path, "stages", kind="shallow", two_stages=True)
        stages = train_shallow(read(recipe, {}), tmp_path / "2")
        assert stages.evaluations["test"].fine is not None
        assert set(pl.read_csv(tmp_path / "2" / "trials.csv")["stage"]) == {"coarse", "NEU"}


class TestFeatures:
    def test_are_computed_once(self, laboratory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        extractor = Extractor(Features.build({"preprocess": {"size": 32}}))
        paths = [str(laboratory / name) for name in ("EO0.png", "LY0.png", "PLT0.png")]
        first = extractor.cached(paths, tmp_path, lambda *_: None)
        monkeypatch.setattr(Extractor, "compute", None)
        again = extractor.cached(paths, tmp_path, lambda *_: None)
        np.testing.assert_array_equal(first.values, again.values)
        assert again.failures.keys() == {1}
        assert np.isnan(first.values[1]).all()
        assert first.values.shape == (3, 32 * 32 * 3)

    def test_of_a_bundle_are_its_embedding(self, laboratory: Path, colour_model: Any) -> None:
        """The test model's embedding is the mean colour of the normalised picture."""
        path = colour_model.draw(laboratory / "plain.png", "EO")
        found = Extractor(Features(model=str(colour_model.path))).compute([str(path)]).values
        colour = np.asarray(Image.open(path)).mean(axis=(0, 1))
        np.testing.assert_allclose(found[0], (colour - 127.0) / 128, atol=1e-2)

    def test_without_background_hold_less_of_it(self, laboratory: Path) -> None:
        paths = [str(laboratory / f"EO{index}.png") for index in range(4)]
        size = {"preprocess": {"size": 64}}
        kept, removed = (
            Extractor(Features.build(size | {"background": word})).compute(paths).values.reshape(4, 64, 64, 3)
            for word in ("kept", "removed")
        )
        corner = (slice(None), slice(0, 12), slice(0, 12))
        assert removed[corner].std(axis=(1, 2)).max() < 1e-5 < kept[corner].std(axis=(1, 2)).min()
        np.testing.assert_array_equal(kept[:, 32, 32], removed[:, 32, 32])  # the cell is in the middle

    def test_of_a_backbone_are_its_published_embedding(self, laboratory: Path) -> None:
        features = Features.build({"backbone": "tf_efficientnet_lite0", "preprocess": {"size": 32}})
        paths = [str(laboratory / "EO0.png"), str(laboratory / "PLT0.png")]
        first, again = (Extractor(features).compute(paths).values for _ in range(2))
        assert first.shape == (2, 1280)
        np.testing.assert_allclose(first, again, atol=1e-5)
        assert np.abs(first[0] - first[1]).max() > 0.1


class TestCompare:
    @pytest.mark.slow
    def test_one_table_of_both_kinds_and_nothing_is_done_twice(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recipes = (write(tmp_path, "net"), write(tmp_path, "forest", kind="shallow"))
        settings = CompareSettings(recipes=recipes, changes={"optimisation.epochs": 2})
        result = compare(settings, tmp_path / "out")
        assert [row.name for row in result.rows] == ["net", "forest"]
        assert result.failures == 0
        net, forest = result.rows
        assert net.parameters is not None
        assert net.flops is not None
        assert net.flops > net.parameters  # a convolution uses its weights many times
        assert forest.parameters is None
        for row in result.rows:
            assert 0 <= row.coarse_accuracy <= 1
            assert row.images_per_second > 0
            assert set(row.coarse_f1) == {"NEU", "EO", "BA", "LY", "MO", "IG", "ERB", "PLT"}
        assert len(list((tmp_path / "out" / "net" / "curves").rglob("metrics.csv"))) == 1
        assert read_json(tmp_path / "out" / "net" / "run.json")["settings"]["optimisation"]["epochs"] == 2

        def never(*_: object, **__: object) -> None:
            raise AssertionError("done already")

        monkeypatch.setattr("leukopy.workflows.train.train", never)
        monkeypatch.setattr("leukopy.workflows.evaluate.evaluate", never)
        monkeypatch.setattr("leukopy.workflows.shallow.train_shallow", never)
        assert compare(settings, tmp_path / "out").rows == result.rows
        table = pl.read_csv(tmp_path / "out" / "compare.csv")
        assert table["name"].to_list() == ["net", "forest"]
        text = (tmp_path / "out" / "compare.md").read_text()
        assert "Research use only" in text
        assert "leukopy study compare" in text

    def test_a_model_that_fails_is_a_row_and_the_others_go_on(self, tmp_path: Path) -> None:
        recipes = [
            write(tmp_path, "wrong", kind="shallow", classifier="knn", grid={"n_neighbors": [500]}),
            write(tmp_path, "forest", kind="shallow"),
        ]
        answer = CliRunner().invoke(app, ["study", "compare", *map(str, recipes), "--out", str(tmp_path / "out")])
        assert answer.exit_code == 3
        assert "forest" in answer.output
        rows = read_json(tmp_path / "out" / "compare.json")["rows"]
        assert "n_neighbors" in rows[0]["failure"]
        assert rows[0]["coarse_accuracy"] is None
        assert rows[1]["coarse_accuracy"] > 0

    @pytest.mark.slow
    def test_goes_on_after_an_interruption(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        recipes = tuple(write(tmp_path, name, kind="shallow") for name in ("first", "second"))
        trained = []

        def interrupted(recipe: Any, *arguments: Any, **options: Any) -> Any:
            trained.append(recipe.name)
            if trained == ["first", "second"]:
                raise KeyboardInterrupt
            return train_shallow(recipe, *arguments, **options)

        monkeypatch.setattr("leukopy.workflows.shallow.train_shallow", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare(CompareSettings(recipes=recipes), tmp_path / "out")
        assert len(read_json(tmp_path / "out" / "compare.json")["rows"]) == 1
        assert compare(CompareSettings(recipes=recipes), tmp_path / "out").failures == 0
        assert trained == ["first", "second", "second"]

    def test_a_model_of_other_settings_is_not_replaced_unasked(self, tmp_path: Path) -> None:
        recipe = write(tmp_path, "forest", kind="shallow")
        compare(CompareSettings(recipes=(recipe,)), tmp_path / "out")
        other = CompareSettings(recipes=(recipe,), changes={"seed": 1})
        assert "other settings" in compare(other, tmp_path / "out").rows[0].failure
        assert compare(other, tmp_path / "out", overwrite=True).failures == 0

    @pytest.mark.parametrize(
        ("second", "changes", "message"),
        [
            ({"name": "first"}, {}, "two recipes are named first"),
            ({"sources": [{"dataset": "pbc", "root": "cells", "share": 1}]}, {}, "first sources differ"),
            ({}, {"optimisation.epochs": 1}, "none of the recipes has such a setting"),
            ({}, {"features.colour": 1}, "features.colour"),
        ],
    )
    def test_what_cannot_be_compared_is_refused_before_any_training(
        self, second: dict[str, Any], changes: dict[str, Any], message: str, tmp_path: Path
    ) -> None:
        recipes = (write(tmp_path, "first", kind="shallow"), write(tmp_path, "second", kind="shallow", **second))
        with pytest.raises(SettingsError, match=message):
            compare(CompareSettings(recipes=recipes, changes=changes), tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_networks_are_counted_as_their_papers_count_them(self) -> None:
        """ResNet-18 at 224 px: 1.8 billion multiply-adds (He et al., 2016, table 1), hence 3.6 billion operations."""
        from leukopy.imaging.preprocess import Preprocess
        from leukopy.models.flops import flops

        assert flops("resnet18", Preprocess(size=224)) == pytest.approx(3.6e9, rel=0.02)

    def test_a_shallow_model_costs_what_its_network_costs(self, tmp_path: Path) -> None:
        features = {"backbone": "resnet18", "preprocess": {"size": 64}}
        recipe = build_any(yaml.safe_load(write(tmp_path, "x", kind="shallow", features=features).read_text()), "x")
        parameters, operations = module._network_of(recipe)
        assert parameters == pytest.approx(11.2e6, rel=0.01)
        assert operations > parameters


class TestImages:
    """What is measured is known before the first epoch."""

    def test_a_source_without_the_split_is_refused_before_any_training(self, laboratory: Path, tmp_path: Path) -> None:
        pl.read_csv(laboratory / "cells.csv").drop("split").write_csv(laboratory / "plain.csv")
        source = {"dataset": "manifest", "root": "plain.csv", "share": 1}
        recipe = write(tmp_path, "forest", kind="shallow", sources=[source])
        with pytest.raises(SettingsError, match=r"no image of manifest is in split 'test'.*test_share"):
            compare(CompareSettings(recipes=(recipe,)), tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_recipes_that_split_otherwise_are_refused(self, laboratory: Path, tmp_path: Path) -> None:
        pl.read_csv(laboratory / "cells.csv").drop("split").write_csv(laboratory / "plain.csv")
        source = {"dataset": "manifest", "root": "plain.csv", "share": 1, "test_share": 0.3}
        recipes = [
            write(tmp_path, name, kind="shallow", sources=[source], seed=seed) for name, seed in (("a", 1), ("b", 2))
        ]
        with pytest.raises(SettingsError, match="b and a do not split manifest alike"):
            compare(CompareSettings(recipes=tuple(recipes)), tmp_path / "out")

    def test_a_network_is_measured_on_the_split_of_its_training(self, laboratory: Path, tmp_path: Path) -> None:
        pl.read_csv(laboratory / "cells.csv").drop("split").write_csv(laboratory / "plain.csv")
        source = {"dataset": "manifest", "root": "plain.csv", "share": 1, "validation_share": 0.3}
        result = compare(
            CompareSettings(recipes=(write(tmp_path, "net", sources=[source]),), split="val"), tmp_path / "out"
        )
        assert result.failures == 0
        measured = pl.read_parquet(tmp_path / "out" / "net" / "val" / "predictions.parquet")
        own = pl.read_csv(tmp_path / "out" / "net" / "manifest.csv").filter(split="val")
        assert set(measured["cell_id"]) == set(own["cell_id"])
