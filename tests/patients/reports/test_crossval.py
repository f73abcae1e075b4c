from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image
from scipy.special import expit

from leukopy.core.provenance import RESEARCH_USE_ONLY
from leukopy.evaluation.intervals import Estimate
from leukopy.patients.evaluation.crossval import OOF_SCHEMA, TriagePoint, evaluate_patients, paired
from leukopy.patients.reports.crossval import (
    CrossvalContent,
    ModelResult,
    chance_words,
    control_words,
    limits_of,
    p_value,
    show,
    triage_words,
    write_crossval,
)
from support.pages import Page, assert_offline

_HOSTILE = '<script>alert("$\\frac{x$|x")</script>\'"&\nsecond | line'


def _picture(source):
    with Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))) as picture:
        return picture.convert("RGB")


_LABELS = (np.arange(40) % 4 > 0).astype(int)
_OWN = np.random.default_rng(0).normal(size=(2, 40))


def _oof(model, gap):
    """Two repeats of 30 tumoral and 10 reactive patients, whose log-odds lie ``gap`` apart."""
    logits = gap * (_LABELS - 0.5) + _OWN
    columns = {
        "model": model, "repeat": np.repeat([0, 1], 40), "fold": np.tile(np.arange(40) % 5, 2),
        "patient_id": [f"P{number}" for number in range(40)] * 2, "label": np.tile(_LABELS, 2),
        "logit": logits.ravel(), "probability": expit(logits).ravel(), "threshold": 0.5, "triage_threshold": 0.3,
        "candidate": "C=1",
    }  # fmt: skip
    return pl.DataFrame(columns, schema=OOF_SCHEMA)


@pytest.fixture(scope="module")
def content():
    clinical, cells = _oof("clinical", 1.0), _oof("cells", 3.0)
    return CrossvalContent(
        title="A drawn cohort",
        models={
            "clinical": ModelResult("Age and count alone", evaluate_patients(clinical), None, clinical),
            "cells": ModelResult(
                "Cells, age and count", evaluate_patients(cells), paired(cells, clinical), cells, {"C=1": 8, "C=10": 2}
            ),
        },
        controls={f"permutation {n}": evaluate_patients(_oof("permuted", gap)) for n, gap in ((1, -0.1), (2, 0.1))},
        protocol=("Five outer folds, stratified by label.",),
        notes=("Drawn patients.",),
        provenance={"created": "2026-03-01T10:00:00+00:00", "commit": "abc", "command": "leukopy patients crossval"},
    )


@pytest.fixture
def written(tmp_path):
    def write(content):
        write_crossval(tmp_path, content)
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        return text, Page(text), (tmp_path / "summary.md").read_text(encoding="utf-8")

    return write


def test_page_and_summary_show_everything(content, written):
    _, page, summary = written(content)
    found, gain = content.models["cells"].figures, content.models["cells"].paired
    for text in (page.text, summary.replace("- ", "")):
        for expected in (
            "A drawn cohort", RESEARCH_USE_ONLY, "Drawn patients.", "Five outer folds, stratified by label.",
            "Age and count alone", f"{found.balanced_accuracy.value:.3f}", f"{found.brier.value:.3f}",
            limits_of(found.auc), f"{gain.auc.value:+.3f}", limits_of(gain.balanced_accuracy, signed=True),
            limits_of(gain.delong.difference, signed=True), p_value(gain.delong.p), triage_words(found.triage),
            control_words(content.controls["permutation 1"]), chance_words(content.controls), "abc",
            "leukopy patients crossval",
        ):  # fmt: skip
            assert expected in text, expected
    assert "C=1 (8), C=10 (2)" in page.text
    assert "Patients 40 Tumoral 30 Reactive 10 Repeats 2 Models 2" in page.text
    row = next(line for line in summary.splitlines() if line.startswith("| Cells, age and count | Age and count alone"))
    assert row.count("|") == 7  # model, less, three gains, p


def test_pictures_are_whole_and_the_same_each_time(content, written):
    _, page, _ = written(content)
    _, again, _ = written(content)
    pictures = [picture["src"] for picture in page.all("img")]
    assert pictures == [picture["src"] for picture in again.all("img")]
    assert len(pictures) == 3
    for source in pictures:
        picture = _picture(source)
        assert min(picture.size) > 300
        assert len(picture.getcolors(1 << 20)) > 20


def test_report_is_json_that_holds_every_figure(content, written, tmp_path):
    written(content)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["notice"] == RESEARCH_USE_ONLY
    assert report["models"]["clinical"]["paired"] is None
    cells = report["models"]["cells"]
    assert cells["figures"]["auc"]["value"] == content.models["cells"].figures.auc.value
    assert cells["paired"]["delong"]["p"] == content.models["cells"].paired.delong.p
    assert cells["chosen"] == {"C=1": 8, "C=10": 2}
    assert report["chance"]["permutations"] == 2
    assert report["controls"]["permutation 1"]["at_chance"] in (True, False)


def test_page_asks_the_network_for_nothing_and_runs_no_script(content, written):
    text, page, _ = written(content)
    assert_offline(text, page, "png")


def test_page_can_be_read_by_machines_for_people(content, written):
    _, page, _ = written(content)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes} <= set(ids)
    assert all("scope" in cell for cell in page.all("th"))
    assert all(picture["alt"] for picture in page.all("img"))


def test_hostile_names_are_text(content, written):
    models = {
        f"{_HOSTILE}{name}": replace(model, title=_HOSTILE, chosen={_HOSTILE: 3})
        for name, model in content.models.items()
    }
    hostile = CrossvalContent(
        title=_HOSTILE, models=models, controls={_HOSTILE: content.controls["permutation 1"]}, protocol=(_HOSTILE,),
        notes=(_HOSTILE,), provenance={_HOSTILE: _HOSTILE},
    )  # fmt: skip
    text, page, summary = written(hostile)
    assert not page.all("script")
    assert not re.search(r"<script", text)
    assert "<script" not in summary
    assert page.text.count('<script>alert("$\\frac{x$|x")</script>') > 10
    table = [line for line in summary.splitlines() if line.startswith("| &lt;script")]
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in table] == [8, 8, 7]  # a name leaves no cell


def test_models_of_one_title_are_told_apart(content, written):
    """Models of one title would else be one panel."""
    twins = {name: replace(model, title="Twin") for name, model in content.models.items()}
    widths = []
    for models in (twins, {"clinical": twins["clinical"]}):
        _, page, _ = written(replace(content, models=models))
        widths.append(_picture(page.all("img")[2]["src"]).width)
    assert widths[0] == 2 * widths[1]


def test_what_was_not_run_is_said(content, written):
    bare = replace(content, models={"clinical": content.models["clinical"]}, controls={}, notes=())
    _, page, summary = written(bare)
    assert "Permuted labels Not run." in page.text
    assert "Not run." in summary
    for absent in ("Paired gain, on", "picked"):
        assert absent not in page.text
        assert absent not in summary


def test_a_reference_that_is_not_in_the_report_goes_by_its_name(content, written):
    _, page, summary = written(replace(content, models={"cells": content.models["cells"]}))
    assert "Cells, age and count clinical" in page.text
    assert "| Cells, age and count | clinical |" in summary


def test_figures_that_cannot_be_told_are_dashes(content, written):
    none = Estimate(None, None, None)
    clinical = content.models["clinical"]
    figures = replace(clinical.figures, auc=Estimate(1.0, None, None), calibration_slope=none, brier=none,
                      deviations=dict.fromkeys(clinical.figures.deviations), repeats=1)  # fmt: skip
    _, page, summary = written(replace(content, models={"clinical": replace(clinical, figures=figures)}))
    assert "Between repeats Age and count alone" in page.text
    assert "| 1.000 | – | – |" in summary
    assert "one cross-validation" in summary


def test_a_report_needs_a_model(content, tmp_path):
    with pytest.raises(ValueError, match="needs a model"):
        write_crossval(tmp_path, replace(content, models={}))


def test_triage_in_words():
    point = TriagePoint(Estimate(0.96, 0.93, 0.99), Estimate(0.55, 0.42, 0.67))
    assert triage_words(point) == (
        "Of 100 tumoral patients 96 (93 to 99) are sent on to flow cytometry and 4 are missed; "
        "of 100 reactive ones 55 (42 to 67) are spared it."
    )
    assert "and 1 is missed" in triage_words(replace(point, sensitivity=Estimate(0.99, None, None)))


def test_permuted_labels_in_words(content):
    even, off = Estimate(0.51, 0.4, 0.6), Estimate(0.7, 0.6, 0.8)
    control = content.controls["permutation 1"]
    fair, leaky = replace(control, auc=even, balanced_accuracy=even), replace(control, auc=off, balanced_accuracy=off)
    slightly = replace(control, auc=Estimate(0.48, 0.4, 0.6), balanced_accuracy=Estimate(0.48, 0.4, 0.6))
    assert "within both" in control_words(fair)
    assert "outside an interval" in control_words(leaky)
    assert chance_words({"a": fair}) == ""
    assert chance_words({"a": fair, "b": slightly}).endswith("At chance, as it must be.")
    barely = replace(leaky, auc=Estimate(0.71, 0.6, 0.8), balanced_accuracy=Estimate(0.71, 0.6, 0.8))
    assert "Not at chance" in chance_words({"a": leaky, "b": barely})


def test_numbers_in_words():
    assert show(Estimate(0.9134, 0.8711, 0.95)) == "0.913 (0.871 to 0.950)"
    assert show(Estimate(0.05, -0.01, 0.1), signed=True) == "+0.050 (-0.010 to +0.100)"
    assert show(Estimate(1.0, None, None)) == "1.000"
    assert [p_value(p) for p in (None, 0.0, 0.00099, 0.0312)] == ["–", "< 0.001", "< 0.001", "0.031"]
