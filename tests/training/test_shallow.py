"""Shallow models: the registry, the choice on validation, calibration, two stages."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.core.errors import SettingsError, TrainingError
from leukopy.models.shallow import SHALLOW
from leukopy.taxonomy import COARSE, FINE, coarse_matrix, find
from leukopy.training.shallow import fit_shallow
from leukopy.training.shallow_settings import ShallowSettings
from support.cards import year_of

CODES = [cell.code for cell in FINE]


def recipe(**changes: object) -> ShallowSettings:
    values: dict[str, object] = {
        "kind": "shallow",
        "name": "test",
        "title": "Test",
        "description": "For tests.",
        "features": {"preprocess": {"size": 32}},
        "classifier": "logistic",
        "sources": [{"dataset": "folders", "root": "lab", "share": 1}],
    }
    return ShallowSettings.build(values | changes)


def blobs(codes: list[str], each: int, seed: int, spread: float = 0.5) -> tuple[np.ndarray, list[str]]:
    """Features round one corner a class: 11 dimensions, of which each class raises its own."""
    rng = np.random.default_rng(seed)
    labels = [code for code in codes for _ in range(each)]
    corners = np.eye(11)[[CODES.index(code) for code in labels]] * 3
    return (corners + rng.normal(0, spread, (len(labels), 11))).astype(np.float32), labels


@pytest.mark.parametrize("name", list(SHALLOW))
class TestEveryClassifier:
    def test_has_a_complete_card(self, name: str) -> None:
        entry = SHALLOW[name]
        assert year_of(entry.paper)
        assert "BSD" in entry.licence
        assert all(len(values) > 1 for values in entry.grid.values())

    def test_learns_what_is_plain_and_says_how_sure_it_is(self, name: str) -> None:
        codes = ["EO", "LY", "PLT"]
        grid = {"n_neighbors": (3, 5)} if name == "knn" else {}
        model = fit_shallow(recipe(classifier=name, grid=grid), blobs(codes, 30, 0), blobs(codes, 10, 1))
        features, labels = blobs(codes, 20, 2)
        found = model.probabilities(features)
        assert found.shape == (60, 11)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
        right = [CODES[index] for index in found.argmax(axis=1)] == np.array(labels)
        assert right.mean() > 0.95
        assert found[:, CODES.index("SNE")].max() == 0  # no such image was ever seen
        again = fit_shallow(recipe(classifier=name, grid=grid), blobs(codes, 30, 0), blobs(codes, 10, 1))
        np.testing.assert_array_equal(again.probabilities(features), found)


def test_validation_chooses_among_what_is_tried() -> None:
    """One neighbour follows wrong labels, many do not: with mislabelled training cells validation prefers many."""
    features, labels = blobs(["EO", "LY"], 60, 0)
    labels = ["LY" if row % 4 == 0 else label for row, label in enumerate(labels)]
    model = fit_shallow(recipe(classifier="knn", grid={"n_neighbors": (1, 21)}), (features, labels),
                        blobs(["EO", "LY"], 40, 1))  # fmt: skip
    assert [trial.parameters["n_neighbors"] for trial in model.trials if trial.chosen] == [21]
    assert model.trials[0].macro_f1 < model.trials[1].macro_f1 == 1


def test_probabilities_are_calibrated_on_validation() -> None:
    """Where features say little, confidence is near accuracy."""
    codes = ["EO", "LY", "PLT"]
    train, val, test = (blobs(codes, 300, seed, spread=3.0) for seed in range(3))
    for classifier in ("svm_linear", "random_forest"):
        found = fit_shallow(recipe(classifier=classifier), train, val).probabilities(test[0])
        accuracy = np.mean(found.argmax(axis=1) == [CODES.index(code) for code in test[1]])
        assert 0.5 < accuracy < 0.8
        assert found.max(axis=1).mean() == pytest.approx(accuracy, abs=0.06)


class TestTwoStages:
    KINDS = ("SNE", "BNE", "EO", "LY", "MMY", "MY", "PMY")

    def test_the_product_of_both_stages_is_the_fine_probability(self) -> None:
        train, val = blobs(list(self.KINDS), 30, 0), blobs(list(self.KINDS), 10, 1)
        settings = recipe(two_stages=True)
        model = fit_shallow(settings, train, val)
        features, labels = blobs(list(self.KINDS), 10, 2)
        found = model.probabilities(features)
        first, neutrophils, _ = model.stages
        assert first.codes == ("EO", "LY", "NEU", "IG")
        expected = first.probabilities(features)[:, 2] * neutrophils.probabilities(features)[:, 1]
        np.testing.assert_allclose(found[:, CODES.index("BNE")], expected)
        assert [CODES[index] for index in found.argmax(axis=1)] == labels
        coarse = found @ coarse_matrix()
        names = [cell.code for cell in COARSE]
        np.testing.assert_allclose(coarse[:, names.index("NEU")], first.probabilities(features)[:, 2], rtol=1e-6)

    def test_images_known_only_as_neutrophil_teach_the_first_stage(self) -> None:
        train, val = blobs(list(self.KINDS), 30, 0), blobs(list(self.KINDS), 10, 1)
        named = [("NEU" if row % 2 and find(code).coarse == "NEU" else code) for row, code in enumerate(train[1])]
        model = fit_shallow(recipe(two_stages=True), (train[0], named), val)
        features, labels = blobs(list(self.KINDS), 10, 2)
        assert [CODES[index] for index in model.probabilities(features).argmax(axis=1)] == labels

    def test_a_class_without_two_kinds_is_refused(self) -> None:
        with pytest.raises(TrainingError, match="NEU: needs training images of two classes"):
            fit_shallow(recipe(two_stages=True), blobs(["SNE", "EO"], 10, 0), blobs(["SNE", "EO"], 5, 1))


def test_eight_classes_give_eight_probabilities() -> None:
    train, val = ((rows, [str(find(code).coarse) for code in codes]) for rows, codes in
                  (blobs(CODES, 10, 0), blobs(CODES, 5, 1)))  # fmt: skip
    found = fit_shallow(recipe(level="coarse"), train, val).probabilities(val[0])
    assert found.shape == (55, 8)
    assert np.mean([COARSE[index].code for index in found.argmax(axis=1)] == np.array(val[1])) > 0.95


@pytest.mark.parametrize("method", ["pca", pytest.param("umap", marks=pytest.mark.slow)])
def test_dimensions_are_reduced_before_the_classifier(method: str) -> None:
    codes = ["EO", "LY", "PLT"]
    settings = recipe(reduction={"method": method, "components": 2}, classifier="knn", grid={"n_neighbors": (5,)})
    model = fit_shallow(settings, blobs(codes, 30, 0, 0.2), blobs(codes, 10, 1, 0.2))
    features, labels = blobs(codes, 10, 2, 0.2)
    assert model.reducer.transform(features).shape == (30, 2)
    right = [CODES[index] for index in model.probabilities(features).argmax(axis=1)] == np.array(labels)
    assert right.mean() > 0.9


def test_more_dimensions_than_images_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"components 20: there are 6 training images of 11 features"):
        fit_shallow(
            recipe(reduction={"method": "pca", "components": 20}), blobs(["EO", "LY"], 3, 0), blobs(["EO"], 2, 1)
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classifier": "oracle"}, "classifier 'oracle' is unknown; known: knn"),
        ({"grid": {"depth": (1,)}}, "logistic tries C, not depth"),
        ({"features": {}}, "give model"),
        ({"features": {"model": "default", "preprocess": {"size": 32}}}, "give model"),
        ({"features": {"model": "default", "backbone": "vgg16"}}, "give model or backbone, not both"),
        ({"features": {"model": "default", "weights": "w.pth"}}, "weights go with a backbone"),
        ({"two_stages": True, "level": "coarse"}, "two_stages needs level: fine"),
        ({"sources": [{"dataset": "drawn", "share": 1, "images": 20}]}, "not drawn cells"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        recipe(**changes)


def test_one_class_is_refused() -> None:
    with pytest.raises(TrainingError, match="needs training images of two classes"):
        fit_shallow(recipe(), blobs(["EO"], 10, 0), blobs(["EO"], 5, 1))


def test_parameters_that_cannot_be_are_told_with_their_reason() -> None:
    with pytest.raises(TrainingError, match=r"test, all, {'n_neighbors': 99}"):
        fit_shallow(recipe(classifier="knn", grid={"n_neighbors": (99,)}), blobs(["EO", "LY"], 5, 0),
                    blobs(["EO", "LY"], 5, 1))  # fmt: skip
