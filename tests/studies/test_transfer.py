"""Two laboratories of drawn cells: train in one, test in the other."""

from __future__ import annotations

import polars as pl
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from leukopy.bundle import open_bundle
from leukopy.cli.main import app
from leukopy.core.errors import SettingsError
from leukopy.studies import transfer as module
from leukopy.studies.transfer import read_transfer, transfer
from leukopy.synthesis import draw_cell

_CODES = ("LY", "EO", "NEU")


@pytest.fixture
def settings_file(tmp_path, monkeypatch):
    """``here`` in class folders; ``there``, one class less, as a manifest."""
    monkeypatch.setenv("LEUKOPY_DATA", str(tmp_path))
    monkeypatch.setenv("LEUKOPY_CACHE", str(tmp_path / "cache"))
    lines = ["path,label"]
    for code in _CODES:
        for index in range(10):
            folder = "here" if index < 7 else "there"
            path = tmp_path / folder / code / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw_cell("SNE" if code == "NEU" else code, seed=index, size=64).image).save(path)
            if folder == "there" and code != "EO":
                lines.append(f"{path.relative_to(tmp_path)},{code}")  # the split must not hang on the folder
    (tmp_path / "there.csv").write_text("\n".join(lines))
    recipe = {
        "name": "t", "title": "T", "description": "For tests.", "backbone": {"name": "lenet"},
        "preprocess": {"size": 32},
        "sources": [
            {"dataset": "folders", "root": "here", "share": 0.5, "validation_share": 0.4},
            {"dataset": "manifest", "root": "there.csv", "share": 0.5, "validation_share": 0.5},
        ],
        "optimisation": {"epochs": 1, "batch_size": 4},
    }  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    arms = [
        {"name": "here", "title": "Here", "train": ["folders"], "changes": {"optimisation.epochs": 1}},
        {"name": "lit", "train": ["folders"], "model_of": "here", "changes": {"preprocess.white_balance": True}},
        {"name": "there", "train": ["manifest"]},
    ]
    path = tmp_path / "transfer.yaml"
    path.write_text(
        yaml.safe_dump({"name": "x", "title": "X", "recipe": "recipe.yaml", "arms": arms, "replicates": 100})
    )
    return path


@pytest.mark.slow
def test_every_arm_is_tested_where_it_was_not_trained(settings_file, tmp_path):
    out = tmp_path / "out"
    settings = read_transfer(settings_file)
    first = transfer(settings, out, only=("here", "lit"))
    assert [(row.arm, row.laboratory, row.split) for row in first.rows] == [
        ("here", "manifest", "all"), ("lit", "manifest", "all"),
    ]  # fmt: skip
    held = first.rows[0].scores.held_classes
    assert {score.code for score in held.classification.classes if score.support} == {"LY", "NEU"}
    assert held.classification.confusion[:, 1].sum() == 0  # nobody there calls a cell an eosinophil

    checkpoint = out / "here" / "seed0" / "model" / "checkpoints" / "last.ckpt"
    trained = checkpoint.stat().st_mtime_ns
    whole = transfer(settings, out)
    assert checkpoint.stat().st_mtime_ns == trained  # what was finished is kept
    assert [row.arm for row in whole.rows] == ["here", "lit", "there"]
    assert pl.read_csv(out / "transfer.csv")["arm"].n_unique() == 3


def test_only_the_pictures_change_where_an_arm_takes_the_models_of_another(settings_file, tmp_path):
    out = tmp_path / "out"
    transfer(read_transfer(settings_file), out, only=("here", "lit"))
    networks = [path.read_bytes() for path in sorted(out.glob("*/seed0/**/model.onnx"))]
    assert networks[0] == networks[1]
    columns = ["cell_id", "p_LY"]
    plain, lit = (
        pl.read_parquet(out / arm / "seed0/manifest/predictions.parquet", columns=columns) for arm in ("here", "lit")
    )
    assert plain["cell_id"].equals(lit["cell_id"])
    assert not plain.equals(lit)


@pytest.mark.slow
def test_arms_start_from_one_base_and_only_where_it_saw_no_other_laboratory(settings_file, tmp_path):
    values = yaml.safe_load(settings_file.read_text())
    recipe = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({**recipe, "name": "b", "sources": recipe["sources"][:1]}))
    here = {**values, "base": "base.yaml", "arms": values["arms"][:1]}
    settings_file.write_text(yaml.safe_dump(here))
    out = tmp_path / "out"
    transfer(read_transfer(settings_file), out, only=("base",))
    assert not (out / "here").exists()
    transfer(read_transfer(settings_file), out)
    card = open_bundle(out / "here/seed0/model/bundle").card
    assert card.recipe["backbone"]["run"] == str(out / "base/seed0")
    assert card.model.pretrained is not None
    assert card.model.pretrained.startswith("the training run 'b', network sha256")
    assert [use.images for use in card.trained_on] == [
        use.images for use in open_bundle(out / "base/seed0/bundle").card.trained_on
    ]

    settings_file.write_text(yaml.safe_dump({**here, "arms": [{"name": "there", "train": ["manifest"]}]}))
    with pytest.raises(SettingsError, match="base of arm 'there' is trained on 'folders'"):
        read_transfer(settings_file)


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"name": "x", "train": ["nowhere"]}, "nowhere"),
        ({"name": "x", "train": ["folders"], "model_of": "y"}, "no arm before it"),
        ({"name": "here", "train": ["folders"]}, "two arms have one name"),
        ({"name": "../x", "train": ["folders"]}, "name"),
        ({"name": "base", "train": ["folders"]}, "as the folder of the base"),
    ],
)
def test_a_wrong_arm_is_named(settings_file, arm, message):
    values = yaml.safe_load(settings_file.read_text())
    settings_file.write_text(yaml.safe_dump({**values, "arms": [*values["arms"], arm]}))
    with pytest.raises(SettingsError, match=message):
        read_transfer(settings_file)


def test_a_model_trained_otherwise_is_not_passed_off_as_this_one(settings_file, tmp_path):
    out = tmp_path / "out"
    settings = read_transfer(settings_file)
    transfer(settings, out, only=("here",))
    other = settings.model_copy(update={"recipe": {**settings.recipe, "title": "another"}})
    with pytest.raises(SettingsError, match="trained with other settings"):
        transfer(other, out, only=("here",))


def test_the_command_prints_the_matrix(settings_file, tmp_path):
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["study", "transfer", str(settings_file), "--out", str(out), "--arm", "here"])
    assert done.exit_code == 0, done.output
    assert "Here" in done.stdout
    assert "manifest" in done.stdout
    wrong = CliRunner().invoke(app, ["study", "transfer", str(settings_file), "--out", str(out), "--arm", "nowhere"])
    assert wrong.exit_code == 1
    assert "--arm nowhere: no such arm; known: ['here'" in wrong.stderr


def test_no_arm_is_tested_on_a_source_that_is_untested(settings_file):
    values = yaml.safe_load(settings_file.read_text())
    settings_file.write_text(yaml.safe_dump({**values, "untested": ["manifest"]}))
    settings = read_transfer(settings_file)
    tested = {arm.name: [target.data for target in module._targets(settings, arm)] for arm in settings.arms}
    assert tested == {"here": [], "lit": [], "there": ["folders"]}
    settings_file.write_text(yaml.safe_dump({**values, "untested": ["nowhere"]}))
    with pytest.raises(SettingsError, match="untested names 'nowhere'"):
        read_transfer(settings_file)
