"""Fitting networks of patients: on a toy cohort each learns, is repeatable, and becomes an ONNX graph that agrees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime
import pytest
import torch

from leukopy.core.errors import SettingsError, TrainingError
from leukopy.patients.card import Bag
from leukopy.patients.models import BAG_NETS
from leukopy.patients.training.networks import (
    BagFit,
    PatientNetSettings,
    export_patient_model,
    fit_bags,
)
from leukopy.patients.training.networks import export as exporting
from leukopy.patients.training.networks.visits import Visits

FEATURES = 6
UNKNOWN = np.full(2, np.nan, np.float32)


def cohort(seed: int, patients: int = 30, *, clinical: bool = False) -> list[Bag]:
    """Half of them tumoral: half of their cells lie off in one direction; with ``clinical``, they are older too."""
    rng = np.random.default_rng(seed)
    bags = []
    for number in range(patients):
        label, count = number % 2, int(rng.integers(8, 20))
        odd = rng.random(count) < 0.5 * label
        values = rng.normal(size=(count, FEATURES)) + 3 * odd[:, None] * (np.arange(FEATURES) < 2)
        numbers = np.array([rng.normal(50 + 30 * label, 5), 8], np.float32) if clinical else UNKNOWN
        bags.append(Bag(f"P{seed}-{number}", (100 + 20 * values).astype(np.float32), numbers, label))
    return bags


TRAIN, UNSEEN = cohort(1), cohort(2)


def settings(**changes: object) -> PatientNetSettings:
    rate = 0.003 if changes.get("net") == "transformer" else 0.02  # self-attention bears no more
    values: dict[str, object] = {"hidden": 8, "epochs": 8, "learning_rate": rate}
    return PatientNetSettings.build(values | changes)


def accuracy(logits: np.ndarray, bags: Sequence[Bag]) -> float:
    return float(np.mean((logits > 0) == np.array([bag.label for bag in bags])))


@pytest.fixture(scope="module", params=list(BAG_NETS))
def fitted(request: pytest.FixtureRequest) -> tuple[str, BagFit]:
    return request.param, fit_bags(settings(net=request.param), TRAIN, UNSEEN, seed=0)


class TestEveryNet:
    def test_learns_what_unseen_patients_have_too(self, fitted: tuple[str, BagFit]) -> None:
        _, fit = fitted
        assert fit.logits.shape == (8, len(UNSEEN))
        assert fit.logits.dtype == np.float64
        assert fit.losses.shape == (8,)
        assert fit.losses[-1] < 0.7 * fit.losses[0]
        assert accuracy(fit.logits[-1], UNSEEN) >= 0.85

    def test_is_the_same_for_the_same_seed(self, fitted: tuple[str, BagFit]) -> None:
        name, fit = fitted
        again, other = (fit_bags(settings(net=name), TRAIN, UNSEEN[:3], seed, epochs=2) for seed in (0, 1))
        assert np.array_equal(again.logits, fit.logits[:2, :3])
        assert np.array_equal(again.losses, fit.losses[:2])
        assert not np.array_equal(again.logits, other.logits)

    def test_answers_raw_features_as_it_did_in_training(self, fitted: tuple[str, BagFit]) -> None:
        _, fit = fitted
        assert not fit.net.training
        with torch.inference_mode():
            found = [
                fit.net(torch.from_numpy(bag.cells), torch.from_numpy(bag.clinical)).logit.item() for bag in UNSEEN
            ]
        assert found == pytest.approx(fit.logits[-1].tolist(), abs=1e-4)

    def test_becomes_a_graph_that_agrees(self, fitted: tuple[str, BagFit]) -> None:
        name, fit = fitted
        other = fit_bags(settings(net=name), TRAIN, [], seed=1, epochs=1)
        session = onnxruntime.InferenceSession(export_patient_model([fit.net, other.net], FEATURES))
        assert [(node.name, node.type, node.shape[1:]) for node in session.get_inputs()] == [
            ("cells", "tensor(float)", [FEATURES]),
            ("clinical", "tensor(float)", []),
        ]
        rng = np.random.default_rng(0)
        for count in (1, 7, 500):
            cells = (100 + 20 * rng.normal(size=(count, FEATURES))).astype(np.float32)
            for clinical in (np.array([70, 12], np.float32), np.array([np.nan, 12], np.float32), UNKNOWN):
                logits, weights = session.run(["logits", "weights"], {"cells": cells, "clinical": clinical})
                with torch.inference_mode():
                    answers = [net(torch.from_numpy(cells), torch.from_numpy(clinical)) for net in (fit.net, other.net)]
                assert logits == pytest.approx([answer.logit.item() for answer in answers], abs=1e-4)
                assert weights == pytest.approx(
                    np.mean([answer.weights.numpy() for answer in answers], axis=0), abs=1e-5
                )
                assert weights.sum() == pytest.approx(1, abs=1e-5)


def test_the_watched_patients_leave_no_trace() -> None:
    net = settings(dropout=0.3, clinical_dropout=0.5, cell_dropout=0.2)
    unlabelled = [Bag(bag.patient_id, bag.cells * 100, bag.clinical, None) for bag in UNSEEN]
    alone, watching = (fit_bags(net, TRAIN, watch, seed=0, epochs=3) for watch in ([], unlabelled))
    assert alone.logits.shape == (3, 0)
    for own, theirs in zip(alone.net.state_dict().values(), watching.net.state_dict().values(), strict=True):
        assert torch.equal(own, theirs)


def test_bags_and_the_random_state_outside_stay_as_they_are() -> None:
    before, cells = torch.get_rng_state(), TRAIN[0].cells.copy()
    fit_bags(settings(), TRAIN, UNSEEN, seed=3, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(TRAIN[0].cells, cells)


def test_clinical_numbers_are_learnt() -> None:
    train, unseen = (
        [Bag(bag.patient_id, np.ones_like(bag.cells), bag.clinical, bag.label) for bag in cohort(seed, clinical=True)]
        for seed in (5, 6)
    )
    assert accuracy(fit_bags(settings(), train, unseen, seed=0).logits[-1], unseen) >= 0.95
    assert accuracy(fit_bags(settings(clinical=False), train, unseen, seed=0).logits[-1], unseen) == 0.5


def test_the_rate_decays_with_each_epoch() -> None:
    still = fit_bags(settings(decay=1e-9, optimiser="sgd"), TRAIN, UNSEEN, seed=0, epochs=3)
    assert np.abs(still.logits[1] - still.logits[0]).max() < 1e-4
    moving = fit_bags(settings(optimiser="sgd"), TRAIN, UNSEEN, seed=0, epochs=3)
    assert np.abs(moving.logits[1] - moving.logits[0]).max() > 0.01


def test_progress_is_told_of_each_epoch() -> None:
    told: list[tuple[str, int, int | None]] = []
    fit_bags(settings(), TRAIN, [], 0, 3, lambda stage, done, total: told.append((stage, done, total)))
    assert told == [("epochs", 1, 3), ("epochs", 2, 3), ("epochs", 3, 3)]


class TestVisits:
    def visits(self, **changes: object) -> Visits:
        return Visits(TRAIN, [torch.from_numpy(bag.cells) for bag in TRAIN], settings(**changes), seed=0)

    def test_meet_every_patient_once_an_epoch_in_a_new_order(self) -> None:
        visits = self.visits(patients_per_step=16)
        epochs = [[visit.cells for step in visits for visit in step] for _ in range(2)]
        assert [len(step) for step in visits] == [16, 14]
        for epoch in epochs:
            assert sorted(len(cells) for cells in epoch) == sorted(len(bag.cells) for bag in TRAIN)
        assert [cells[0, 0] for cells in epochs[0]] != [cells[0, 0] for cells in epochs[1]]

    def test_draw_other_cells_each_time(self) -> None:
        whole = {bag.cells.shape[0]: bag.cells for bag in TRAIN}
        seen = set()
        visits = self.visits(cells_per_step=5)
        for _ in range(4):
            for (visit,) in visits:
                assert visit.cells.shape == (5, FEATURES)
                assert len({tuple(row) for row in visit.cells.tolist()}) == 5  # none twice
                seen.add(tuple(visit.cells[:, 0].tolist()))
        assert len(seen) > 3 * len(TRAIN)
        assert max(whole) > 5

    def test_leave_out_cells_but_never_all(self) -> None:
        total = sum(len(bag.cells) for bag in TRAIN)
        kept = sum(len(visit.cells) for (visit,) in self.visits(cell_dropout=0.3))
        assert 0.6 < kept / total < 0.8
        assert min(len(visit.cells) for (visit,) in self.visits(cell_dropout=0.99)) == 1

    def test_balance_the_classes_where_asked(self) -> None:
        few = TRAIN[:1] + TRAIN[1::2]  # one reactive, fifteen tumoral
        cells = [torch.from_numpy(bag.cells) for bag in few]
        found = [visit for (visit,) in Visits(few, cells, settings(class_weights="balanced"), seed=0)]
        sums = [sum(float(visit.weight) for visit in found if visit.label == label) for label in (0, 1)]
        assert sums == pytest.approx([8, 8])
        assert {float(visit.weight) for (visit,) in self.visits()} == {1.0}


@pytest.mark.parametrize(
    ("bags", "message"),
    [
        (TRAIN[::2], "reactive and tumoral"),
        ([*TRAIN, Bag("P9", TRAIN[0].cells, UNKNOWN, None)], "label"),
        ([*TRAIN, Bag("P9", np.zeros((3, 5), np.float32), UNKNOWN, 1)], "P9.*5"),
        ([*TRAIN, Bag("P9", np.zeros((0, FEATURES), np.float32), UNKNOWN, 1)], "P9.*at least one cell"),
        ([*TRAIN, Bag("P9", np.zeros((2, 32, 32, 3), np.uint8), UNKNOWN, 1)], "P9.*features"),
    ],
)
def test_patients_that_cannot_be_learnt_from_are_named(bags: list[Bag], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        fit_bags(settings(), bags, [], seed=0)


def test_a_loss_that_is_no_number_stops_the_fit() -> None:
    with pytest.raises(TrainingError, match="learning_rate"):
        fit_bags(settings(optimiser="sgd", learning_rate=1e38, hidden=None, net="max"), TRAIN, UNSEEN, seed=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"net": "median"}, "known: mean"),
        ({"net": "experts", "clinical": False}, "experts"),
        ({"epoch": 3}, "epoch"),
        ({"pictures": {"backbone": {"name": "lenet", "dropout": 0.2}, "preprocess": {}}}, "dropout"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings(**wrong)


PICTURES = PatientNetSettings.build(
    {
        "net": "mean",
        "hidden": None,
        "epochs": 6,
        "learning_rate": 3e-3,
        "cells_per_step": 6,
        "pictures": {
            "backbone": {"name": "lenet"},
            "preprocess": {"size": 32, "mean": (0, 0, 0), "std": (255, 255, 255)},
        },
    }
)


def coloured(seed: int) -> list[Bag]:
    """Tumoral patients have some red cells."""
    rng = np.random.default_rng(seed)
    bags = []
    for number in range(16):
        pictures = rng.integers(60, 120, size=(10, 32, 32, 3))
        pictures[: 5 * (number % 2), ..., 0] += 130
        bags.append(Bag(f"P{number}", pictures.astype(np.uint8), UNKNOWN, number % 2))
    return bags


@pytest.fixture(scope="module")
def fits() -> list[BagFit]:
    return [fit_bags(PICTURES, coloured(1), coloured(2), seed) for seed in (0, 1)]


@pytest.mark.slow
class TestPictures:
    def test_are_learnt_end_to_end(self, fits: list[BagFit]) -> None:
        assert accuracy(fits[0].logits[-1], coloured(2)) >= 0.9

    def test_are_learnt_in_mixed_precision_too(self, fits: list[BagFit]) -> None:
        assert PICTURES.pictures is not None
        mixed = PICTURES.model_copy(update={"pictures": PICTURES.pictures.model_copy(update={"precision": "bf16"})})
        fit = fit_bags(mixed, coloured(1), coloured(2), seed=0)
        assert accuracy(fit.logits[-1], coloured(2)) >= 0.9
        assert not np.array_equal(fit.losses, fits[0].losses)

    def test_give_the_same_fit_for_the_same_seed(self, fits: list[BagFit]) -> None:
        again = fit_bags(PICTURES, coloured(1), coloured(2), seed=0, epochs=2)
        assert np.array_equal(again.logits, fits[0].logits[:2])

    def test_are_mirrored_and_no_more(self) -> None:
        picture = np.arange(32 * 32 * 3, dtype=np.uint8).reshape(1, 32, 32, 3)
        bags = [Bag("P1", picture, UNKNOWN, 0)]
        visits = Visits(bags, None, PICTURES, seed=0)
        seen = {step[0].cells.numpy().tobytes() for _ in range(40) for step in visits}
        ways = [picture, picture[:, ::-1], picture[:, :, ::-1], picture[:, ::-1, ::-1]]
        assert seen == {np.ascontiguousarray(way).tobytes() for way in ways}

    def test_of_another_size_are_refused(self) -> None:
        small = [Bag(bag.patient_id, bag.cells[:, :16, :16], UNKNOWN, bag.label) for bag in coloured(1)]
        with pytest.raises(TrainingError, match=r"P0.*\(N, 32, 32, 3\)"):
            fit_bags(PICTURES, small, [], seed=0)


def test_a_graph_that_disagrees_is_not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = fit_bags(settings(), TRAIN, [], seed=0, epochs=1)
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(TrainingError, match="not exported"):
        export_patient_model([fit.net], FEATURES)
