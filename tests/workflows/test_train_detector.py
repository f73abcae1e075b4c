"""Train a detector on drawn pictures in the layout of a public source, and measure it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from leukopy.core.errors import InputError, OutputError
from leukopy.datasets import field_split
from leukopy.evaluation.detection import Marked
from leukopy.fields.detections import Detections
from leukopy.fields.detector import Detector
from leukopy.synthesis.field import draw_random_field
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, RED_CELL
from leukopy.training.averaged import HISTORY
from leukopy.training.detector.fit import CHECKPOINT
from leukopy.training.detector.settings import DetectorSettings
from leukopy.workflows.evaluate_detector import (
    SCORES_FILE,
    EvaluateDetectorSettings,
    SeenPicture,
    evaluate_detector,
    least_count_error,
)
from leukopy.workflows.train_detector import train_detector


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two pictures under the names of BCCD pictures in the splits train and val, with boxes of leukocytes."""
    root = tmp_path_factory.mktemp("data")
    with (Path(field_split.__file__).parent / field_split.SPLIT_FILE).open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "bccd"]
    for seed, split in enumerate(("train", "val")):
        name = next(row["file"] for row in rows if row["split"] == split)
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        field = draw_random_field(seed, size=(160, 220), um_per_px=0.2)
        Image.fromarray(field.image).save(path)
        notes = path.parent.parent / "annotations" / f"{path.stem}.xml"
        notes.parent.mkdir(exist_ok=True)
        notes.write_text(_voc([each for each in field.objects if each.kind == LEUKOCYTE]), encoding="utf-8")
    return root


@pytest.fixture
def data(pictures, monkeypatch):
    monkeypatch.setenv("LEUKOPY_DATA", str(pictures))


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    """A finished run, not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEUKOPY_DATA", str(pictures))
        train_detector(_recipe(), out)
    return out


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the finished run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def _voc(objects):
    boxes = "".join(
        f"<object><name>WBC</name><bndbox><xmin>{each.left}</xmin><ymin>{each.top}</ymin>"
        f"<xmax>{each.left + each.width}</xmax><ymax>{each.top + each.height}</ymax></bndbox></object>"
        for each in objects
    )
    return f"<annotation>{boxes}</annotation>"


def _recipe(**optimisation):
    return DetectorSettings.build(
        {
            "kind": "detector", "name": "tiny", "title": "t", "description": "d", "pretrained": False, "width": 16,
            "sources": [{"source": "bccd", "share": 1}], "drawn": {"share": 1, "fields": 10},
            "optimisation": {"steps": 2, "batch_size": 2, "canvas": 64, "checkpoint_steps": 1} | optimisation,
        },
        where="test",
    )  # fmt: skip


def test_a_trained_detector_opens_and_is_measured(data, trained, tmp_path):
    bundle = trained / "bundle"
    detector = Detector.open(bundle)
    assert set(detector.card.thresholds) == set(OBJECTS)
    assert {use.name for use in detector.card.trained_on} > {"fields drawn by leukopy"}
    detector.find_on(draw_random_field(5).image)
    settings = EvaluateDetectorSettings(sources=("bccd", "drawn"), model=str(bundle), split="val", drawn_fields=2)
    found = evaluate_detector(settings, tmp_path / "scores")
    assert set(found) == {"bccd", "drawn", "all"}
    written = json.loads((tmp_path / "scores" / SCORES_FILE).read_text(encoding="utf-8"))
    assert written["drawn"]["kinds"]["red_cell"]["wanted"] == found["drawn"].kinds["red_cell"].wanted > 10
    with pytest.raises(InputError, match="unknown source"):
        evaluate_detector(EvaluateDetectorSettings(sources=("nobody",), model=str(bundle)), tmp_path / "none")


def test_an_interrupted_training_gives_the_same_network(data, trained, tmp_path):
    def interrupt(what, done, total):
        if what == "train" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_detector(_recipe(), tmp_path, progress=interrupt)
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == 1
    bundle = train_detector(_recipe(), tmp_path, resume=True)
    assert (tmp_path / HISTORY).read_text() == (trained / HISTORY).read_text()
    assert Detector.open(bundle).card.model.sha256 == Detector.open(trained / "bundle").card.model.sha256


def test_a_run_of_another_recipe_is_not_resumed(data, run):
    with pytest.raises(OutputError):
        train_detector(_recipe(learning_rate=0.01), run, resume=True)


def test_a_damaged_checkpoint_is_named(data, run):
    (run / CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(InputError, match="cannot be resumed"):
        train_detector(_recipe(), run, resume=True)


def _seen(scores, marked):
    """A picture with ``marked`` red cells, on which one is found for each score."""
    places = np.arange(len(scores), dtype=np.float32) * 20 + 50
    boxes = np.stack([places, places, np.full(len(scores), 10), np.full(len(scores), 10)], axis=1).astype(np.float32)
    kinds = np.full(len(scores), OBJECTS.index(RED_CELL))
    found = Detections(boxes, kinds, np.array(scores, np.float32), None)
    own = Marked(boxes[:marked], np.zeros(marked, bool))
    return SeenPicture("drawn", (1000, 1000), {RED_CELL: own}, found)


def test_each_part_has_the_same_say_in_the_score_from_which_a_red_cell_counts():
    pale = [_seen([0.55] * 4 + [0.42] * 2, 4)]  # four true ones at .55
    usual = [_seen([0.8] * 6 + [0.5] * 3, 6) for _ in range(9)]
    assert 0.42 < least_count_error([pale]) <= 0.55
    assert 0.5 < least_count_error([pale, usual]) <= 0.55
    strict = [_seen([0.8] * 6 + [0.56] * 12, 6)] * 9  # false ones at .56 cost twice of what the pale ones are worth
    assert 0.56 < least_count_error([pale, strict]) <= 0.8
