"""Patients judged from files to tables and pages, with a model whose answer is known: the greener, the more tumoral.

Lymphocytes are plain green pictures for the cell model of these tests, and neutrophils plain black ones. Each picture
has a size of its own, since the same file twice is a copy.
"""

from __future__ import annotations

import json
import math
import re
import shutil

import numpy as np
import polars as pl
import pytest
from PIL import Image

from leukopy.bundle import open_bundle
from leukopy.core.errors import BundleError, InputError, ManifestError, OutputError, SettingsError
from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.patients.card import CellNetwork, FeatureReference
from leukopy.patients.data import PROBLEM_SCHEMA, open_cohort
from leukopy.patients.inference.measures import MORPHOLOGY_FEATURES
from leukopy.patients.inference.rows import BAG_CELL_SCHEMA, FEATURE_SCHEMA, JUDGED_SCHEMA, PATIENT_FAILURE_SCHEMA
from leukopy.patients.workflows.predict import (
    PredictPatientsSettings,
    predict_patients,
    report_patients,
    submission,
)
from leukopy.patients.workflows.scan import ScanPatientsSettings, scan_patients
from leukopy.synthesis import draw_cell

FILES = {
    "cells.parquet", "failures.csv", "features.parquet", "patients", "patients.csv", "patients.parquet", "problems.csv",
    "report.html", "run.json", "submission.csv",
}  # fmt: skip
GREENER = np.array([[0, 0], [1.5, 2.5], [0, 0]], np.float32)
BIAS = -1.2


@pytest.fixture(scope="module")
def model(build_patient_model, colour_model, tmp_path_factory):
    return build_patient_model(tmp_path_factory.mktemp("models") / "green", colour_model.path, GREENER, None, BIAS)


@pytest.fixture(scope="module")
def ward(colour_model, tmp_path_factory):
    """P2 is green (tumoral), P10 pale (reactive) of unknown age, P11 a mix with a broken image, P12 all broken, and P14
    all neutrophils but one."""
    folder = tmp_path_factory.mktemp("cohorts") / "ward"
    bags = {"P2": ["LY"] * 12, "P11": ["LY"] * 6 + ["SNE"] * 2, "P14": ["SNE"] * 11 + ["LY"]}
    for patient_id, codes in bags.items():
        for number, code in enumerate(codes):
            size = {"width": 64 + number, "height": 64 + int(patient_id[1:])}
            colour_model.draw(folder / patient_id / f"c{number:02}.png", code, **size)
    for number in range(12):
        colour_model.draw_pale(folder / "P10" / f"c{number:02}.png", width=64 + number)
    (folder / "P11" / "c99.png").write_text("no picture")
    (folder / "P12").mkdir()
    for number in range(2):
        (folder / "P12" / f"{number}.png").write_bytes(b"")
    (folder / "patients.csv").write_text(
        "patient_id,label,age,lymphocytes\nP10,0,,5.5\nP2,,70,40\nP11,,50,400\nP12,,50,10\nP13,,50,10\nP14,,50,10\n"
    )
    return folder


@pytest.fixture
def settings(ward, model):
    return PredictPatientsSettings(path=ward, model=str(model), shown=3)


@pytest.fixture(scope="module")
def judged(ward, model, tmp_path_factory):
    out = tmp_path_factory.mktemp("judged") / "out"
    return predict_patients(PredictPatientsSettings(path=ward, model=str(model), shown=3), out)


def test_every_patient_with_an_image_is_a_row(judged):
    assert {path.name for path in judged.folder.iterdir()} == FILES
    patients = pl.read_parquet(judged.folder / "patients.parquet")
    assert patients.schema == pl.Schema(JUDGED_SCHEMA)
    assert patients["patient_id"].to_list() == ["P2", "P10", "P11", "P12", "P14"]
    assert patients["decision"].to_list() == ["tumoral", "reactive", "tumoral", None, None]
    assert patients["cells"].to_list() == [12, 12, 8, 0, 12]
    assert patients["cells_failed"].to_list() == [0, 0, 1, 2, 0]
    written = pl.read_csv(judged.folder / "patients.csv")
    assert written.columns == list(JUDGED_SCHEMA)
    np.testing.assert_allclose(written["probability"].drop_nulls(), patients["probability"].drop_nulls(), atol=1e-5)


def test_the_figures_are_those_of_the_model(judged):
    row = judged.patients.row(0, named=True)
    green = (225 - 127) / 128
    clinical = 0.02 * 10 + 0.5 * math.log2(40 / 8)
    assert row["log_odds"] == pytest.approx(2 * green + clinical + BIAS, abs=1e-4)
    assert row["probability"] == pytest.approx(1 / (1 + math.exp(-row["log_odds"])), abs=1e-6)
    assert row["clinical_effect"] == pytest.approx(clinical, abs=1e-5)
    assert row["spread"] == pytest.approx(0.5 * green, abs=1e-4)
    assert (row["operating_point"], row["threshold"]) == ("balanced", 0.5)


def test_flags_say_what_must_be_known(judged):
    flags = dict(judged.patients.select("patient_id", "flags").iter_rows())
    assert flags["P2"] == ["few_pictures"]
    assert flags["P10"] == ["clinical_missing", "few_pictures"]
    assert {"outside_training", "few_cells"} <= set(flags["P11"])
    assert flags["P12"] == ["no_cell_read"]
    assert flags["P14"] == ["too_few_lymphocytes", "few_pictures"]


def test_a_patient_of_other_cells_gets_no_decision_but_the_reason(judged):
    row = judged.patients.row(by_predicate=pl.col("patient_id") == "P14", named=True)
    unknown = [name for name in JUDGED_SCHEMA if row[name] is None]
    assert unknown == [
        "label", "probability", "low", "high", "decision", "operating_point", "threshold", "log_odds",
        "clinical_effect", "cells_effect", "spread",
    ]  # fmt: skip
    assert row["other_cells"] == pytest.approx(11 / 12)
    assert "calls 1 of the 12 pictures lymphocytes, and a decision needs 40 % of them" in row["remarks"][0]
    cells = pl.read_parquet(judged.folder / "cells.parquet").filter(pl.col("patient_id") == "P14")
    assert cells["coarse"].to_list() == ["NEU"] * 11 + ["LY"]
    assert cells.select("influence", "weight", "heat").null_count().row(0) == (12, 12, 12)
    text = (judged.folder / "patients" / "P14.html").read_text()
    assert "a decision needs 40 % of them" in text
    assert "Neutrophil" in text
    assert "Probability and decision" not in text
    assert "2 of the patients get no decision" in judged.report.read_text()


def test_an_image_counts_once(ward, model, tmp_path):
    """A copy in the folder of a patient, and an image of another patient."""
    shutil.copytree(ward, tmp_path / "ward")
    shutil.copy(tmp_path / "ward" / "P2" / "c00.png", tmp_path / "ward" / "P2" / "c00 - Copy.png")
    shutil.copy(tmp_path / "ward" / "P2" / "c01.png", tmp_path / "ward" / "P10" / "z.png")
    settings = PredictPatientsSettings(path=tmp_path / "ward", model=str(model), pages=False)
    result = predict_patients(settings, tmp_path / "out")
    assert result.patients["cells"].to_list() == [12, 13, 8, 0, 12]
    same = result.problems.filter(pl.col("reason") == "same_image").sort("patient_id", descending=True)
    assert same["patient_id"].to_list() == ["P2", "P10"]
    assert same["message"][0].startswith("P2/c00.png: is the same file as P2/c00 - Copy.png")
    assert "P2/c01.png of patient P2" in same["message"][1]


def test_problems_are_those_of_a_scan(ward, judged):
    scanned = scan_patients(ScanPatientsSettings(path=ward)).problems
    assert judged.problems.equals(scanned)
    assert not scanned.is_empty()


def test_cells_are_rows_with_class_and_influence(judged):
    cells = pl.read_parquet(judged.folder / "cells.parquet")
    assert cells.schema == pl.Schema(BAG_CELL_SCHEMA)
    assert cells.group_by("patient_id", maintain_order=True).len().rows() == [
        ("P2", 12), ("P10", 12), ("P11", 8), ("P14", 12),
    ]  # fmt: skip
    mixed = cells.filter(pl.col("patient_id") == "P11")
    assert mixed["coarse"].to_list() == ["LY"] * 6 + ["NEU"] * 2
    assert (mixed["influence"].to_numpy()[:6] > 0).all()
    assert (mixed["influence"].to_numpy()[6:] < 0).all()
    assert mixed["weight"].sum() == pytest.approx(1)


def test_the_weightiest_cells_have_a_heat_map(judged):
    mixed = pl.read_parquet(judged.folder / "cells.parquet").filter(pl.col("patient_id") == "P11")
    assert mixed["heat"].is_not_null().to_list() == [True] * 3 + [False] * 3 + [True] * 2
    heat = np.array(mixed["heat"][0].to_list())
    assert heat.shape == (4, 4)
    np.testing.assert_allclose(heat, 1, atol=0.02)  # a plain picture speaks alike everywhere


def test_failures_name_images_and_patients(judged):
    failures = pl.read_csv(judged.folder / "failures.csv", schema=PATIENT_FAILURE_SCHEMA)
    assert failures.select("patient_id", "cell_id", "reason").rows() == [
        ("P11", "P11/c99.png", "not_an_image"),
        ("P12", "P12/0.png", "empty_file"),
        ("P12", "P12/1.png", "empty_file"),
        ("P12", None, "no_cell_read"),
        ("P14", None, "too_few_lymphocytes"),
    ]
    problems = pl.read_csv(judged.folder / "problems.csv", schema=PROBLEM_SCHEMA)
    assert {("P10", "missing_age"), ("P13", "no_images")} <= set(problems.select("patient_id", "reason").rows())


def test_the_submission_holds_patients_without_label(judged):
    assert (judged.folder / "submission.csv").read_text() == "ID,Predicted\nP2,1\nP11,1\n"
    labelled = judged.patients.with_columns(label=pl.lit(0, pl.Int8))
    assert submission(labelled).rows() == [("P2", 1), ("P10", 0), ("P11", 1)]


def test_each_page_stands_alone_and_says_what_it_is(judged):
    pages = sorted(judged.folder.glob("patients/*.html"))
    assert [page.name for page in pages] == ["P10.html", "P11.html", "P12.html", "P14.html", "P2.html"]
    for page in pages:
        assert "Evidence for and against" not in page.read_text()  # of features without names
        assert "made by occlusion" not in page.read_text()
    for page in [*pages, judged.report]:
        text = page.read_text()
        assert RESEARCH_USE_ONLY in text
        assert "Knows no patient at all." in text
        assert not re.search(r"<script|https?://", text)
    assert 'href="patients/P2.html"' in judged.report.read_text()


def test_a_patients_page_says_why(judged):
    text = (judged.folder / "patients" / "P11.html").read_text()
    for words in (
        "Tumoral at the operating point “Balanced”",
        "90 % [95 % interval 80 % to 95 %] of the tumoral patients (sensitivity)",
        "Age 50 years and lymphocytes 400 × 10⁹/L",
        "lies outside the training&#39;s",
        "Only 8 cells were read",
        "heat map of P11/c00.png",
        "The maps are made by Grad-CAM.",
        "Neutrophil",
        "not an image",
    ):
        assert words in text, words
    assert text.count('alt="heat map of ') == 5
    assert "the patient gets no decision" in (judged.folder / "patients" / "P12.html").read_text()


def test_the_operating_point_is_the_one_asked_for(settings, tmp_path):
    result = predict_patients(settings.model_copy(update={"operating_point": "triage"}), tmp_path / "out")
    assert result.patients["threshold"].drop_nulls().unique().to_list() == [0.2]
    assert "“Triage”" in (tmp_path / "out" / "patients" / "P2.html").read_text()


@pytest.mark.parametrize("many", [1, 1000])
def test_pages_can_be_written_afterwards_in_processes_or_not(settings, judged, tmp_path, monkeypatch, many):
    monkeypatch.setattr("leukopy.patients.workflows.predict._MANY", many)
    tables = predict_patients(settings.model_copy(update={"pages": False}), tmp_path / "out")
    assert tables.report is None
    assert {path.name for path in tables.folder.iterdir()} == FILES - {"report.html", "patients"}
    again = report_patients(tmp_path / "out")
    assert again.patients.equals(judged.patients)
    for page in ("P2", "P11", "P12"):
        ours, theirs = (
            (folder / "patients" / f"{page}.html").read_text() for folder in (tmp_path / "out", judged.folder)
        )
        assert re.sub(r"\d{4}-\d\d-\d\dT[^<]+", "", ours) == re.sub(r"\d{4}-\d\d-\d\dT[^<]+", "", theirs)


def test_a_page_of_images_that_are_gone_says_so(model, ward, tmp_path):
    shutil.copytree(ward, tmp_path / "ward")
    settings = PredictPatientsSettings(path=tmp_path / "ward", model=str(model), pages=False)
    predict_patients(settings, tmp_path / "out")
    shutil.rmtree(tmp_path / "ward" / "P11")
    report_patients(tmp_path / "out")
    assert "The picture can no longer be read." in (tmp_path / "out" / "patients" / "P11.html").read_text()
    assert "The picture can no longer be read." not in (tmp_path / "out" / "patients" / "P10.html").read_text()


def test_only_a_finished_run_is_reported(tmp_path, judged):
    with pytest.raises(InputError, match="cannot be read"):
        report_patients(tmp_path)
    shutil.copytree(judged.folder, tmp_path / "run")
    (tmp_path / "run" / "cells.parquet").write_bytes(b"")
    with pytest.raises(InputError, match="a table of the run cannot be read"):
        report_patients(tmp_path / "run")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**run, "status": "unfinished"}))
    with pytest.raises(InputError, match="no finished run"):
        report_patients(tmp_path / "run")


def test_pages_of_another_model_are_refused(judged, tmp_path):
    shutil.copytree(judged.folder, tmp_path / "run")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    run["model"]["sha256"] = "0" * 64
    (tmp_path / "run" / "run.json").write_text(json.dumps(run))
    with pytest.raises(BundleError, match="not the model of this run"):
        report_patients(tmp_path / "run")


def test_hostile_ids_stay_in_their_folder_and_out_of_the_page(model, colour_model, tmp_path):
    hostile = ["../../escape", "<script>alert(1)</script>", "a/b", "a_b", "A_B", ".hidden", "{{ 7 * 7 }}", "é"]
    rows, images = ["patient_id,age,lymphocytes"], ["patient_id,path"]
    for number, patient_id in enumerate(hostile):
        path = colour_model.draw(tmp_path / "pictures" / f"{number}.png", "LY")
        rows.append(f'"{patient_id}",50,10')
        images.append(f'"{patient_id}",{path}')
    (tmp_path / "patients.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "cells.csv").write_text("\n".join(images), encoding="utf-8")
    settings = PredictPatientsSettings(path=tmp_path / "patients.csv", cells=tmp_path / "cells.csv", model=str(model))
    before = set(tmp_path.rglob("*"))
    result = predict_patients(settings, tmp_path / "deep" / "er" / "out")
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(path.is_relative_to(result.folder) for path in new)
    pages = [path.name for path in (result.folder / "patients").iterdir()]
    assert len({page.lower() for page in pages}) == len(hostile)
    assert all(re.fullmatch(r"[\w-][\w.-]*\.html", page, re.ASCII) for page in pages)
    for page in [*result.folder.glob("patients/*.html"), result.report]:
        assert "<script" not in page.read_text()
    text = result.report.read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7 * 7 }}" in text
    for target in re.findall(r'href="(patients/[^"]+)"', text):
        assert (result.folder / target).is_file()


def test_decimal_commas_are_read_or_refused_never_guessed(ward, model, tmp_path):
    settings = PredictPatientsSettings(path=ward, model=str(model), pages=False)
    shutil.copytree(ward, tmp_path / "ward")
    table = tmp_path / "ward" / "patients.csv"
    table.write_text("patient_id;age;lymphocytes\nP2;70,5;40,25\n")
    read = predict_patients(settings.model_copy(update={"path": tmp_path / "ward"}), tmp_path / "read")
    assert read.patients.select("age", "lymphocytes").row(0) == (70.5, 40.25)


def test_a_wrong_header_is_one_line_and_nothing_is_written(ward, settings, tmp_path):
    shutil.copytree(ward, tmp_path / "ward")
    (tmp_path / "ward" / "patients.csv").write_text("name,age\nP2,70\n")
    with pytest.raises((InputError, ManifestError)) as raised:
        predict_patients(settings.model_copy(update={"path": tmp_path / "ward"}), tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert "patient_id" in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"operating_point": "best"}, SettingsError, "balanced, triage"),
        ({"model": "nowhere"}, BundleError, "no patient model of this name"),
    ],
)
def test_a_wrong_setting_is_found_before_a_file_is_written(settings, tmp_path, change, error, said):
    with pytest.raises(error, match=said):
        predict_patients(settings.model_copy(update=change), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_results_are_never_overwritten_by_accident(settings, judged):
    with pytest.raises(OutputError, match="--overwrite"):
        predict_patients(settings, judged.folder)


def test_an_interrupted_run_says_how_to_go_on(settings, tmp_path):
    def stop(stage):
        def progress(told, done, total):
            if told == stage and done == 2:
                raise KeyboardInterrupt

        return progress

    with pytest.raises(KeyboardInterrupt, match="no patient was written"):
        predict_patients(settings, tmp_path / "early", progress=stop("judging patients"))
    with pytest.raises(KeyboardInterrupt, match="leukopy patients report"):
        predict_patients(settings, tmp_path / "late", progress=stop("writing pages"))
    assert report_patients(tmp_path / "late").report.is_file()


def test_drawn_patients_and_the_default_cell_model(build_patient_model, tmp_path):
    from leukopy.patients.workflows.draw import DrawPatientsSettings, draw_patients

    draw_patients(DrawPatientsSettings(patients=2, cells=(10, 10), size=96), tmp_path / "drawn")
    directions = np.random.default_rng(0).normal(size=(1280, 3)).astype(np.float32) / 100
    model = build_patient_model(tmp_path / "model", "default", directions)
    result = predict_patients(
        PredictPatientsSettings(path=tmp_path / "drawn", model=str(model), shown=2), tmp_path / "out"
    )
    assert result.failures.is_empty()
    assert (result.patients["cells"] == 10).all()
    maps = pl.read_parquet(tmp_path / "out" / "cells.parquet")["heat"].drop_nulls()
    assert all(np.array(each.to_list()).shape == (4, 4) for each in maps)
    assert all(np.isclose(np.array(each.to_list()).max(), 1) for each in maps)


@pytest.fixture(scope="module")
def described(build_patient_model, tmp_path_factory):
    """A run of a model that reads attributes and measures, whose features have names; its model, and its folder."""
    from leukopy.patients.workflows.draw import DrawPatientsSettings, draw_patients

    folder = tmp_path_factory.mktemp("described")
    draw_patients(DrawPatientsSettings(patients=2, cells=(10, 10), size=96), folder / "drawn")
    cells = open_bundle("default").card
    size = sum(len(head.values) for head in cells.attributes.heads) + len(MORPHOLOGY_FEATURES)
    names = ["<script>alert(1)</script>", "{{ 7 * 7 }}", *(f"feature {row}" for row in range(2, size))]
    network = CellNetwork(
        model="default",
        sha256=cells.model.sha256,
        outputs=("attributes",),
        preprocess=cells.preprocess,
        measures=True,
    )
    model = build_patient_model(
        folder / "model",
        "default",
        np.concatenate([[[5.0], [-5.0]], np.zeros((size - 2, 1))]).astype(np.float32),
        network=network,
        features=tuple(FeatureReference(name=name, reactive=0.25, tumoral=0.75) for name in names),
    )
    settings = PredictPatientsSettings(path=folder / "drawn", model=str(model), shown=2)
    return predict_patients(settings, folder / "out").folder


def test_features_are_rows_with_their_effect(described):
    features = pl.read_parquet(described / "features.parquet")
    assert features.schema == pl.Schema(FEATURE_SCHEMA)
    assert features.group_by("patient_id").len()["len"].to_list() == [31 + len(MORPHOLOGY_FEATURES)] * 2
    slopes = np.array([5.0, -5.0] + [0.0] * (features.height // 2 - 2))
    for _, own in features.group_by("patient_id"):
        np.testing.assert_allclose(own["effect"], slopes * (own["mean"] - 0.5), atol=1e-4)


def test_heat_without_maps_is_by_occlusion_and_said(described):
    cells = pl.read_parquet(described / "cells.parquet").filter(pl.col("heat").is_not_null())
    assert 0 < cells.height <= 8
    assert cells["heat_method"].unique().to_list() == ["occlusion"]
    assert all(np.array(each.to_list()).shape == (5, 5) for each in cells["heat"])
    for page in described.glob("patients/*.html"):
        text = " ".join(page.read_text().split())
        assert "The maps are made by occlusion" in text
        assert "measured size, shape and stain of the cell are held fixed" in text
        assert "Grad-CAM" not in text


def test_names_of_features_stay_text_and_the_pages_are_those_of_the_tables(described, tmp_path):
    shutil.copytree(described, tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "patients")
    report_patients(tmp_path / "again")
    pages = list(described.glob("patients/*.html"))
    assert len(pages) == 2
    for page in pages:
        text = page.read_text()
        assert "<script" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
        assert "{{ 7 * 7 }}" in text
        assert "Evidence for and against" in text
        assert (tmp_path / "again" / "patients" / page.name).read_text() == text


def write_ward(root, bags):
    """A cohort of bags of image files, all of one age and count."""
    root.mkdir(exist_ok=True)
    (root / "patients.csv").write_text(
        "patient_id,age,lymphocytes\n" + "".join(f"{patient_id},60,8\n" for patient_id in bags), encoding="utf-8"
    )
    listed = [f"{patient_id},{path}\n" for patient_id, paths in bags.items() for path in paths]
    (root / "cells.csv").write_text("patient_id,path\n" + "".join(listed), encoding="utf-8")
    return PredictPatientsSettings(path=root / "patients.csv", cells=root / "cells.csv", shown=0, pages=False)


def test_drawn_cells_of_other_classes_get_no_decision_by_the_shipped_model(tmp_path):
    bags = {code: [tmp_path / f"{code}{seed}.png" for seed in range(6)] for code in ("SNE", "EO", "PLT", "LY")}
    for code, paths in bags.items():
        for seed, path in enumerate(paths):
            Image.fromarray(draw_cell(code, seed=seed, size=224).image).save(path)
    result = predict_patients(write_ward(tmp_path / "ward", bags), tmp_path / "out")
    decided = result.patients.filter(pl.col("decision").is_not_null())
    assert decided["patient_id"].to_list() == ["LY"]
    assert result.failures["reason"].to_list() == ["too_few_lymphocytes"] * 3


@pytest.mark.real_data
def test_slides_of_other_cells_and_whole_fields_get_no_decision_by_the_shipped_model(real_data, tmp_path):
    cells = real_data / "cells" / "pbc"
    labels = pl.read_csv(cells / "labels.csv", infer_schema_length=None).filter(pl.col("split") == "train")
    bags = {
        name: [cells / file for file in labels.filter(pl.col("class8") == name)["file"].head(12)]
        for name in ("neutrophil", "platelet", "monocyte", "lymphocyte")
    }
    bags["fields"] = sorted((real_data / "fields" / "bccd" / "training").rglob("*.jpg"))[:12]
    assert all(len(paths) == 12 for paths in bags.values())
    result = predict_patients(write_ward(tmp_path / "ward", bags), tmp_path / "out")
    decided = result.patients.filter(pl.col("decision").is_not_null())
    assert decided["patient_id"].to_list() == ["lymphocyte"]


@pytest.mark.real_data
def test_patients_of_the_challenge(real_data, build_patient_model, tmp_path):
    root = real_data / "patients" / "lymphocytosis"
    cohort = open_cohort(root)
    few = cohort.cells.group_by("patient_id", maintain_order=True).head(10).head(20).select("patient_id", "path")
    few.write_csv(tmp_path / "cells.csv")
    directions = np.random.default_rng(0).normal(size=(1280, 3)).astype(np.float32) / 100
    model = build_patient_model(tmp_path / "model", "default", directions)
    settings = PredictPatientsSettings(path=root, cells=tmp_path / "cells.csv", model=str(model), shown=1)
    result = predict_patients(settings, tmp_path / "out")
    assert result.patients["cells"].to_list() == [10, 10]
    assert result.failures.is_empty()
    assert (
        pl.read_csv(tmp_path / "out" / "submission.csv")["ID"].to_list()
        == few["patient_id"].unique(maintain_order=True).to_list()
    )
    assert "2020-01-01, which is assumed" in result.report.read_text()
