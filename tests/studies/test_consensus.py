"""Several annotators in one table: agreement, consensus, and the cells to adjudicate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from leukopy.cli.main import app
from leukopy.core.errors import InputError, ManifestError, UnknownLabelError
from leukopy.core.files import read_json
from leukopy.datasets import read_manifest
from leukopy.studies.consensus import ConsensusSettings, consensus

NAMES = {"LY": "lymphocyte", "MO": "Monocyte", "EO": "éosinophile", "SNE": "segmented neutrophil"}
CODES = list(NAMES)


@pytest.fixture
def table(tmp_path: Path) -> tuple[Path, list[str]]:
    """300 cells read by three annotators, of whom the first is best; and their true codes."""
    rng = np.random.default_rng(0)
    truth = rng.choice(CODES, 300, p=[0.4, 0.3, 0.2, 0.1]).tolist()
    columns: dict[str, list[str | None]] = {"path": [f"cells/{number}.png" for number in range(300)]}
    columns["Slide"] = [f"slide {number % 30}" for number in range(300)]
    for name, accuracy in (("Anna K", 0.97), ("ben", 0.6), ("carla", 0.6)):
        said = [code if rng.random() < accuracy else str(rng.choice(CODES)) for code in truth]
        columns[name] = [NAMES[code] if rng.random() < 0.9 else None for code in said]
    path = tmp_path / "readings.csv"
    pl.DataFrame(columns).write_csv(path, separator=";")
    return path, truth


def test_the_consensus_is_nearer_the_truth_than_the_majority(table: tuple[Path, list[str]], tmp_path: Path) -> None:
    path, truth = table
    report = consensus(ConsensusSettings(table=path), tmp_path / "out")
    assert [one.name for one in report.annotators] == ["anna_k", "ben", "carla"]
    assert report.annotators[0].accuracy > 0.9 > max(one.accuracy for one in report.annotators[1:])
    assert [(pair.first, pair.second) for pair in report.pairs] == [
        ("anna_k", "ben"), ("anna_k", "carla"), ("ben", "carla")
    ]  # fmt: skip
    written = pl.read_csv(tmp_path / "out" / "consensus.csv")
    true = pl.DataFrame({"name": [f"{number}.png" for number in range(300)], "truth": truth})
    joined = written.with_columns(name=pl.col("path").str.split("/").list.last()).join(true, on="name")
    labelled = joined.drop_nulls("code")
    right = (labelled["code"] == labelled["truth"]).mean()
    assert right > (labelled["majority"] == labelled["truth"]).fill_null(value=False).mean() + 0.05
    assert labelled.filter("adjudicate").height > 10
    page = (tmp_path / "out" / "consensus.html").read_text("utf-8")
    assert "Research use only" in page
    assert "anna_k" in page
    facts = read_json(tmp_path / "out" / "consensus.json")
    assert facts["adjudicate"] == report.adjudicate
    assert 0 < facts["fleiss_kappa"]["low"] < facts["fleiss_kappa"]["high"] < 1


def test_the_consensus_is_a_manifest_and_the_list_to_adjudicate_is_blind(
    table: tuple[Path, list[str]], tmp_path: Path
) -> None:
    path, _ = table
    report = consensus(ConsensusSettings(table=path, adjudicate_below=0.99), tmp_path / "out")
    manifest = read_manifest(tmp_path / "out" / "consensus.csv")
    assert manifest["slide"].null_count() == 0
    assert set(manifest["code"].drop_nulls()) <= set(CODES)
    blind = pl.read_csv(tmp_path / "out" / "adjudicate.csv")
    assert blind.height == report.adjudicate > 0
    assert not {"code", "label", "probability", "majority", "anna_k"} & set(blind.columns)
    assert blind["cell_id"].to_list() != sorted(blind["cell_id"])
    assert len(read_manifest(tmp_path / "out" / "adjudicate.csv")) == blind.height


def test_a_model_is_weighed_where_predictions_are_given(table: tuple[Path, list[str]], tmp_path: Path) -> None:
    pytest.importorskip("cleanlab")
    path, truth = table
    given = read_manifest(path)
    shares = {f"p_{code}": [0.94 if code == true else 0.02 for true in truth] for code in CODES}
    predicted = pl.DataFrame({"path": given["path"], "digest": ["x"] * 300, **shares})
    predicted.write_parquet(tmp_path / "predictions.parquet")
    settings = ConsensusSettings(table=path, predictions=tmp_path / "predictions.parquet")
    report = consensus(settings, tmp_path / "out")
    assert report.method == "CROWDLAB"
    written = report.cells.sort("path")
    true = pl.DataFrame({"path": given["path"], "truth": truth}).sort("path")["truth"]
    known = written["code"].is_not_null()
    assert (written["code"] == true).filter(known).mean() > 0.9
    predicted.head(100).write_parquet(tmp_path / "few.parquet")
    with pytest.raises(InputError, match="no prediction of 200 of the 300 cells"):
        consensus(ConsensusSettings(table=path, predictions=tmp_path / "few.parquet"), tmp_path / "few")


def test_a_label_without_a_fine_class_counts_at_the_coarse_classes(tmp_path: Path) -> None:
    rows = "path,a,b\n1.png,neutrophil,band neutrophil\n2.png,SNE,NEU\n3.png,LY,LY\n4.png,LY,MO\n"
    (tmp_path / "t.csv").write_text(rows)
    coarse = consensus(ConsensusSettings(table=tmp_path / "t.csv", level="coarse"), tmp_path / "coarse")
    found = dict(coarse.cells.select("cell_id", "code").iter_rows())
    assert found["manifest/1.png"] == found["manifest/2.png"] == "NEU"
    fine = consensus(ConsensusSettings(table=tmp_path / "t.csv"), tmp_path / "fine")
    found = dict(fine.cells.select("cell_id", "code").iter_rows())
    assert (found["manifest/1.png"], found["manifest/2.png"]) == ("BNE", "SNE")
    assert any("Two annotators alone" in note for note in fine.notes)


@pytest.mark.parametrize(
    ("rows", "settings", "error", "message"),
    [
        ("path,a,b\n1.png,LY,blob\n", {}, UnknownLabelError, "line 2, column b: label 'blob'"),
        ("path,a\n1.png,LY\n", {}, InputError, "two annotators, not 1"),
        ("path,a,b\n1.png,LY,LY\n", {"annotators": ("a", "c")}, ManifestError, "no column c; it has path, a, b"),
        ("path,a,b\n1.png,LY,LY\n2.png,LY,\n", {}, InputError, "name LY at the fine classes"),
        ("path,a,b\n1.png,LY,MO\n1.png,LY,LY\n", {}, ManifestError, "is on line 2 too"),
    ],
)
def test_a_table_that_gives_no_consensus_is_refused(
    rows: str, settings: dict[str, object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text(rows)
    with pytest.raises(error, match=message):
        consensus(ConsensusSettings(table=tmp_path / "t.csv", **settings), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_agreement_and_where_the_lists_lie(table: tuple[Path, list[str]], tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["study", "consensus", str(table[0]), "--out", str(tmp_path / "out")])
    assert answer.exit_code == 0, answer.output
    assert "Fleiss' kappa" in answer.output
    assert "adjudicate.csv" in answer.output
