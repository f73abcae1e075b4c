"""A patient's model against what it must give, computed by hand: the network pools by attention, then draws a line."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from leukopy import taxonomy
from leukopy.bundle import open_bundle
from leukopy.core.errors import BundleError, InputError, SettingsError
from leukopy.inference.rows import CellInput
from leukopy.patients.card import Bag, CellNetwork, ClinicalBounds, FeatureReference
from leukopy.patients.inference.cells import GRID, CellReader, cover
from leukopy.patients.inference.flags import input_flags, no_decision
from leukopy.patients.inference.measures import MORPHOLOGY_FEATURES
from leukopy.patients.inference.model import PatientModel, rectified
from leukopy.patients.store import open_patient_bundle, write_patient_bundle
from leukopy.slides.classifier import Classifier
from leukopy.slides.record import SlideRecord
from leukopy.synthesis import draw_cell

DIRECTIONS = np.array([[1.0, 2.0], [-1.5, -0.5], [0.5, 0.0]], np.float32)
FOCUS = np.array([0.3, -0.8, 0.5], np.float32)
UNKNOWN = np.array([np.nan, np.nan], np.float32)


@pytest.fixture(scope="module")
def model(build_patient_model, colour_model, tmp_path_factory) -> PatientModel:
    folder = tmp_path_factory.mktemp("patients") / "drawn"
    return PatientModel.open(build_patient_model(folder, colour_model.path, DIRECTIONS, FOCUS))


@pytest.fixture
def bag() -> Bag:
    cells = np.random.default_rng(3).normal(size=(30, 3)).astype(np.float32)
    return Bag("P1", cells, np.array([70, 16], np.float32))


def by_hand(cells, clinical):
    """Log-odds of each member, and the weights, of the network that `patient_network` makes."""
    weights = np.exp(cells @ FOCUS) / np.exp(cells @ FOCUS).sum()
    terms = np.array([0.02 * (clinical[0] - 60), 0.5 * (np.log2(clinical[1]) - 3)])
    return weights @ cells @ DIRECTIONS + np.nansum(terms), weights


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def test_the_probability_is_that_of_the_mean_member(model, bag):
    found = model.predict(bag)
    members, weights = by_hand(bag.cells, bag.clinical)
    np.testing.assert_allclose(found.members, members, atol=1e-5)
    np.testing.assert_allclose(found.weights, weights, atol=1e-6)
    assert found.probability == pytest.approx(sigmoid(members.mean()), abs=1e-6)
    assert found.spread == pytest.approx(members.std(), abs=1e-5)


def test_the_order_of_the_cells_does_not_matter(model, bag):
    order = np.random.default_rng(0).permutation(len(bag.cells))
    first = model.predict(bag)
    second = model.predict(Bag("P1", bag.cells[order], bag.clinical))
    assert second.probability == pytest.approx(first.probability, abs=1e-6)
    np.testing.assert_allclose(second.influence, first.influence[order], atol=1e-5)
    np.testing.assert_allclose(second.weights, first.weights[order], atol=1e-6)


def test_influence_is_leaving_one_cell_out(model, bag):
    found = model.predict(bag)
    whole = by_hand(bag.cells, bag.clinical)[0].mean()
    literal = [whole - by_hand(np.delete(bag.cells, row, 0), bag.clinical)[0].mean() for row in range(30)]
    np.testing.assert_allclose(found.influence, literal, atol=1e-5)


def test_effects_add_up_from_the_prevalence(model, bag):
    found = model.predict(bag)
    assert found.clinical_effect == pytest.approx(0.02 * 10 + 0.5 * 1, abs=1e-5)
    prior = np.log(model.card.prevalence / (1 - model.card.prevalence))
    assert prior + found.clinical_effect + found.cells_effect == pytest.approx(found.log_odds, abs=1e-6)


@pytest.mark.parametrize(
    ("clinical", "said"),
    [([np.nan, 16], "Unknown: age;"), ([70, np.nan], "Unknown: lymphocyte count;"), (UNKNOWN, "age and lymphocyte")],
)
def test_missing_clinical_numbers_are_said(model, bag, clinical, said):
    found = model.predict(Bag("P1", bag.cells, np.array(clinical, np.float32)))
    members, _ = by_hand(bag.cells, np.array(clinical))
    np.testing.assert_allclose(found.members, members, atol=1e-5)
    (flag,) = (flag for flag in found.flags if flag.word == "clinical_missing")
    assert said in flag.message
    assert (found.clinical_effect == 0) == (clinical is UNKNOWN)


def test_values_beyond_the_training_are_said(model, bag):
    found = model.predict(Bag("P1", bag.cells, np.array([19, 301], np.float32)))
    said = [flag.message for flag in found.flags if flag.word == "outside_training"]
    assert len(said) == 2
    assert "19 years" in said[0]
    assert "301 × 10⁹/L" in said[1]
    assert not [flag for flag in model.predict(bag).flags if flag.word == "outside_training"]


@pytest.mark.parametrize(
    ("clinical", "told"),
    [
        ([60, 0.5], "0.5 × 10⁹/L, lies outside the training's, 4 to 300 × 10⁹/L; it counts as 4.7 × 10⁹/L."),
        ([60, 500], "500 × 10⁹/L, lies outside the training's, 4 to 300 × 10⁹/L; it counts as 300 × 10⁹/L."),
        ([97, 8], "97 years, lies outside the training's, 20 to 90 years; it counts as 88 years."),
    ],
)
def test_a_value_beyond_the_training_is_told_with_the_value_it_counts_as(model, bag, clinical, told):
    bounds = ClinicalBounds(ages=(20, 88), counts=(4.7, 300), log_odds=(-6.9, 6.9))
    card = model.card.model_copy(update={"clinical": bounds})
    found = list(input_flags(Bag("P1", bag.cells, np.array(clinical, np.float32)), card, None))
    assert [flag.word for flag in found] == ["outside_training"]
    assert told in found[0].message
    assert not list(input_flags(Bag("P1", bag.cells, np.array([60, 4.2], np.float32)), card, None))


@pytest.mark.parametrize(
    ("classes", "decision"),
    [
        (["LY"] * 4 + ["MO"] * 6, True),
        (["LY"] * 39 + ["NEU"] * 61, False),
        (["PLT"] * 3, False),
        (["LY"], True),
    ],
)
def test_a_decision_needs_two_fifths_of_lymphocytes(classes, decision):
    refusal = no_decision(classes, SlideRecord(pictures=len(classes), failures=0))
    assert (refusal is None) is decision
    if refusal:
        assert f"calls {classes.count('LY')} of the {len(classes)} pictures lymphocytes" in refusal.message
        assert "40 % of them" in refusal.message


def test_the_shipped_model_is_monotone_and_bounded_in_age_and_count():
    """Of the network itself, by what age and count change in its answer; the card states floor and ceiling."""
    model = PatientModel.open()
    cells = np.array([[each.reactive for each in model.card.features]], np.float32)
    unknown = model.run(cells, UNKNOWN)[0].mean()
    prior = np.log(model.card.prevalence / (1 - model.card.prevalence))

    def log_odds(age: float, count: float) -> float:
        return float(model.run(cells, np.array([age, count], np.float32))[0].mean() - unknown + prior)

    floor, ceiling = model.card.clinical.log_odds
    by_count = [[log_odds(age, count) for count in np.geomspace(0.01, 2000, 80)] for age in (np.nan, 5, 60, 99)]
    by_age = [[log_odds(age, count) for age in np.linspace(0, 120, 61)] for count in (np.nan, 0.5, 5, 8)]
    for curve in (*by_count, *by_age):
        assert (np.diff(curve) > -1e-3).all()
        assert floor - 0.01 <= min(curve) <= max(curve) <= ceiling + 0.01
    assert log_odds(60, 0.1) == pytest.approx(log_odds(60, 4), abs=1e-3)
    assert log_odds(60, 0.1) < log_odds(60, 8) - 2
    assert (-7, 7) <= (floor, ceiling) <= (0, 7)


def test_the_interval_is_that_of_other_cells_of_the_patient(model, bag):
    found = model.predict(bag)
    draws = np.random.default_rng(99).integers(0, 30, (4000, 30))
    wide = np.quantile([sigmoid(by_hand(bag.cells[draw], bag.clinical)[0].mean()) for draw in draws], (0.025, 0.975))
    assert found.low < found.probability < found.high
    np.testing.assert_allclose((found.low, found.high), wide, atol=0.06)
    again = model.predict(bag)
    assert (again.low, again.high) == (found.low, found.high)


def test_alike_cells_leave_no_doubt(model):
    found = model.predict(Bag("P1", np.tile(np.float32([1, 0, 0]), (12, 1)), np.array([60, 8], np.float32)))
    assert found.low == pytest.approx(found.high, abs=1e-6)
    np.testing.assert_allclose(found.influence, 0, atol=1e-6)


def test_one_cell_has_no_interval_and_no_influence(model, bag):
    found = model.predict(Bag("P1", bag.cells[:1], bag.clinical))
    assert (found.low, found.high) == (None, None)
    assert np.isnan(found.influence).tolist() == [True]
    (flag,) = (flag for flag in found.flags if flag.word == "few_cells")
    assert flag.message.startswith("Only one cell was read")


def test_few_cells_are_said(model, bag):
    assert "few_cells" in {flag.word for flag in model.predict(Bag("P1", bag.cells[:9], bag.clinical)).flags}
    assert "few_cells" not in {flag.word for flag in model.predict(Bag("P1", bag.cells[:10], bag.clinical)).flags}


def test_cells_that_are_no_lymphocytes_are_said(model, bag):
    few = model.predict(bag, classes=["LY"] * 15 + ["MO"] * 15)
    many = model.predict(bag, classes=["LY"] * 10 + ["MO"] * 20)
    assert few.other_cells == pytest.approx(0.5)
    assert "not_lymphocytes" not in {flag.word for flag in few.flags}
    assert any("67 % of the cells" in flag.message for flag in many.flags)
    assert model.predict(bag).other_cells is None


def test_a_decision_is_taken_at_a_named_operating_point(model):
    # Log-odds of -0.75 and -0.5: a probability of .35, between the two thresholds.
    alike = Bag("P1", np.tile(np.float32([0, 0.625, 0]), (12, 1)), np.array([60, 8], np.float32))
    assert model.predict(alike).tumoral is False
    assert model.predict(alike).point.name == "balanced"
    triage = model.predict(alike, "triage")
    assert triage.tumoral is True
    assert triage.point.sensitivity.value == 0.97
    with pytest.raises(SettingsError, match="balanced, triage"):
        model.predict(alike, "best")


def test_a_close_decision_is_said(model):
    cells = np.tile(np.float32([0, 0, 0]), (12, 1))
    clinical = np.array([60, 8], np.float32)
    split = model.predict(Bag("P1", cells + np.float32([0.1, 0.12, 0]), clinical))  # -0.08 and 0.14
    assert "1 of the 2 members" in next(flag.message for flag in split.flags if flag.word == "close_to_threshold")
    cells[::2], cells[1::2] = (2, 0.75, 0), (-2, -0.75, 0)  # of equal weight, for and against tumoral
    drawn = model.predict(Bag("P1", cells, clinical))
    assert any("with other cells" in flag.message for flag in drawn.flags)
    sure = model.predict(Bag("P1", np.tile(np.float32([3, 0, 0]), (12, 1)), clinical))
    assert "close_to_threshold" not in {flag.word for flag in sure.flags}


def test_evidence_is_the_analytic_gradient_along_the_maps(model, bag):
    rng = np.random.default_rng(5)
    maps = rng.normal(size=(3, 4, 4)).astype(np.float32)
    maps += (bag.cells[7] - maps.mean(axis=(1, 2)))[:, None, None]  # so that their mean is the cell's features
    _, weights = by_hand(bag.cells, bag.clinical)
    line = DIRECTIONS.mean(axis=1)
    # The derivative of sum_i w_i x_i.l by x_n, where w is a softmax of x.f: w_n l + w_n (x_n.l - sum_i w_i x_i.l) f
    pooled = weights @ bag.cells @ line
    gradient = weights[7] * (line + (bag.cells[7] @ line - pooled) * FOCUS)
    grad_cam = np.tensordot(gradient / 16, maps, axes=1)
    found = model.evidence(bag, 7, maps)
    np.testing.assert_allclose(found, grad_cam, atol=0.02 * np.abs(grad_cam).max())
    assert np.corrcoef(found.ravel(), grad_cam.ravel())[0, 1] > 0.999


def test_evidence_is_kept_for_one_side():
    evidence = np.array([[2.0, -4.0], [1.0, 0.0]])
    np.testing.assert_allclose(rectified(evidence, tumoral=True), [[1, 0], [0.5, 0]])
    np.testing.assert_allclose(rectified(evidence, tumoral=False), [[0, 1], [0, 0]])
    np.testing.assert_allclose(rectified(np.zeros((2, 2)), tumoral=True), 0)


def test_a_place_weighs_what_the_log_odds_lose_when_it_is_covered(model, bag):
    covered = np.random.default_rng(5).normal(size=(2, 3, 3)).astype(np.float32)
    whole = by_hand(bag.cells, bag.clinical)[0].mean()
    literal = np.zeros((2, 3))
    for row, column in np.ndindex(2, 3):
        cells = bag.cells.copy()
        cells[7] = covered[row, column]
        literal[row, column] = whole - by_hand(cells, bag.clinical)[0].mean()
    np.testing.assert_allclose(model.occlusion(bag, 7, covered), literal, atol=1e-5)


REFERENCES = (
    FeatureReference(name="red", reactive=0, tumoral=2),
    FeatureReference(name="green", reactive=-1, tumoral=0),
    FeatureReference(name="blue", reactive=0.5, tumoral=0.5),
)


def named(build_patient_model, colour_model, folder, focus=None, references=REFERENCES) -> PatientModel:
    return PatientModel.open(build_patient_model(folder, colour_model.path, DIRECTIONS, focus, features=references))


def test_the_effect_of_a_feature_is_its_distance_from_halfway_times_its_slope(
    build_patient_model, colour_model, bag, tmp_path
):
    linear = named(build_patient_model, colour_model, tmp_path / "named")  # pools by the mean
    means, effects = linear.feature_effects(bag)
    np.testing.assert_allclose(means, bag.cells.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(effects, DIRECTIONS.mean(axis=1) * (means - [1, -0.5, 0.5]), atol=1e-5)


def test_the_effect_of_a_feature_is_that_of_shifting_it_in_all_cells(build_patient_model, colour_model, bag, tmp_path):
    focused = named(build_patient_model, colour_model, tmp_path / "named", FOCUS * bag.cells.std(axis=0))
    _, effects = focused.feature_effects(bag)
    whole = focused.run(bag.cells, bag.clinical)[0].mean()
    for column, middle in enumerate((1, -0.5, 0.5)):
        cells = bag.cells.copy()
        cells[:, column] = cells[:, column] - cells[:, column].mean() + middle
        shifted = focused.run(cells, bag.clinical)[0].mean()
        assert effects[column] == pytest.approx(whole - shifted, abs=1e-5)


def test_a_feature_that_no_cell_has_has_no_effect(build_patient_model, colour_model, bag, tmp_path, monkeypatch):
    cells = bag.cells.copy()
    cells[:5, 0] = np.nan
    cells[:, 2] = np.nan
    model = named(build_patient_model, colour_model, tmp_path / "named")
    whole = PatientModel.run  # the network of these tests takes no unknown feature: noughts stand in
    monkeypatch.setattr(PatientModel, "run", lambda self, cells, clinical: whole(self, np.nan_to_num(cells), clinical))
    means, effects = model.feature_effects(Bag("P1", cells, bag.clinical))
    np.testing.assert_allclose(means, [cells[5:, 0].mean(), cells[:, 1].mean(), np.nan], atol=1e-6)
    shares = np.array([25 / 30, 1])  # of the cells that are shifted
    expected = DIRECTIONS.mean(axis=1)[:2] * shares * (means[:2] - [1, -0.5])
    np.testing.assert_allclose(effects, [*expected, np.nan], atol=1e-5)


def test_features_without_names_have_no_effects(model, bag):
    means, effects = model.feature_effects(bag)
    assert (len(means), len(effects)) == (0, 0)


def test_a_card_that_names_other_features_is_refused(build_patient_model, colour_model, tmp_path):
    with pytest.raises(BundleError, match="its card names 2"):
        named(build_patient_model, colour_model, tmp_path / "two", references=REFERENCES[:2])


def test_each_place_is_covered_once_with_the_background():
    picture = np.random.default_rng(0).integers(0, 200, (32, 32, 3)).astype(np.uint8)
    picture[[0, -1]] = picture[:, [0, -1]] = (201, 202, 203)
    copies = cover(picture)
    changed = (copies != picture).any(axis=-1)
    assert copies.shape == (GRID**2, 32, 32, 3)
    assert (changed.sum(axis=0) == ~(picture == (201, 202, 203)).all(axis=-1)).all()
    assert (copies[changed] == (201, 202, 203)).all()
    assert changed[GRID + 2][6:13, 13:19].all()  # the second row, the middle column
    assert changed[GRID + 2].sum() == 7 * 6


@pytest.fixture
def judging(build_patient_model, judging_model, tmp_path) -> PatientModel:
    """Reads attributes and measures, of which no feature has a map: the greener a cell, the more tumoral."""
    cells = open_bundle(judging_model.path).card
    greener = len(taxonomy.ATTRIBUTES[0].values) - 1
    directions = np.zeros(
        (sum(len(each.values) for each in taxonomy.ATTRIBUTES) + len(MORPHOLOGY_FEATURES), 1), np.float32
    )
    directions[greener] = 1
    network = CellNetwork(
        model=str(judging_model.path),
        sha256=cells.model.sha256,
        outputs=("attributes",),
        preprocess=cells.preprocess,
        measures=True,
    )
    return PatientModel.open(build_patient_model(tmp_path / "judging", judging_model.path, directions, network=network))


def test_the_place_that_holds_the_evidence_is_the_hottest_and_measures_are_held(judging, tmp_path):
    picture = np.full((32, 32, 3), 20, np.uint8)
    picture[6:13, 19:26] = (20, 225, 20)  # the second row, the fourth column
    Image.fromarray(picture).save(tmp_path / "spot.png")
    cell = CellInput("P1/1", str(tmp_path / "spot.png"))
    reader = CellReader(judging.bundle)
    size, measures = (
        judging.card.model.features - len(MORPHOLOGY_FEATURES),
        np.arange(len(MORPHOLOGY_FEATURES), dtype=np.float32),
    )
    held = {cell.path: measures}
    values = reader.read([cell], held).values
    np.testing.assert_array_equal(values[0, size:], measures)
    assert reader.maps(cell, values[0]) is None
    covered, gone = reader.covered([cell, CellInput("P1/2", "absent.png")], np.tile(values, (2, 1)))
    assert gone is None
    assert covered.shape == (GRID, GRID, judging.card.model.features)
    assert (covered[..., size:] == measures).all()
    heat = judging.occlusion(Bag("P1", np.tile(values, (3, 1)), UNKNOWN), 1, covered)
    assert np.unravel_index(heat.argmax(), heat.shape) == (1, 3)
    assert heat[1, 3] > 0.01
    heat[1, 3] = 0
    np.testing.assert_allclose(heat, 0, atol=1e-5)


@pytest.mark.parametrize("cells", [np.zeros((0, 3)), np.zeros((4, 5)), np.zeros(3)])
def test_a_bag_of_another_kind_is_refused(model, cells):
    with pytest.raises(InputError, match="patient P1"):
        model.predict(Bag("P1", cells.astype(np.float32), UNKNOWN))


def test_a_network_that_is_none_or_another_is_refused(model, colour_model, tmp_path):
    for content, said in ((b"no network", "not a network"), (colour_model_bytes(colour_model), "takes")):
        sha256 = hashlib.sha256(content).hexdigest()
        file = model.card.model.model_copy(update={"sha256": sha256})
        write_patient_bundle(tmp_path / "wrong", model.card.model_copy(update={"model": file}), content)
        with pytest.raises(BundleError, match=said):
            PatientModel.open(tmp_path / "wrong")


def colour_model_bytes(colour_model):
    return (colour_model.path / "model.onnx").read_bytes()


def test_images_are_read_and_classified_in_one_pass(model, colour_model, tmp_path):
    inputs = [
        CellInput(f"P1/{number}", str(colour_model.draw(tmp_path / f"{number}.png", code)))
        for number, code in enumerate(("LY", "SNE", "LY"))
    ]
    (tmp_path / "broken.png").write_text("no picture")
    inputs.insert(1, CellInput("P1/broken", str(tmp_path / "broken.png")))
    found = CellReader(model.bundle).read(inputs)
    assert found.cells["coarse"].to_list() == ["LY", "NEU", "LY"]
    assert (found.cells["confidence"] > 0.6).all()
    assert found.values.shape == (3, 3)
    assert found.failures.select("cell_id", "reason").rows() == [("P1/broken", "not_an_image")]


def test_a_bag_of_unreadable_images_is_empty(model, tmp_path):
    found = CellReader(model.bundle).read([CellInput("P1/1", str(tmp_path / "absent.png"))])
    assert (len(found.cells), len(found.values)) == (0, 0)
    assert found.failures["reason"].to_list() == ["not_found"]


def test_the_maps_of_a_cell_have_its_features_as_their_mean(model, colour_model, tmp_path):
    cell = CellInput("P1/1", str(colour_model.draw(tmp_path / "1.png", "EO")))
    reader = CellReader(model.bundle)
    values = reader.read([cell]).values[0]
    maps = reader.maps(cell, values)
    assert maps.shape == (3, 4, 4)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), values, atol=1e-4)
    assert reader.maps(cell, values + 1) is None


def test_a_cell_network_of_its_own_is_read_and_the_default_names_the_cells(model, colour_model, tmp_path):
    network = model.card.network.model_copy(
        update={"model": None, "sha256": hashlib.sha256(colour_model_bytes(colour_model)).hexdigest()}
    )
    card = model.card.model_copy(update={"network": network})
    own = write_patient_bundle(
        tmp_path / "own", card, model.bundle.model_path.read_bytes(), colour_model_bytes(colour_model)
    )
    inputs = [CellInput(code, str(tmp_path / f"{code}.png")) for code in ("LY", "absent", "EO")]
    for cell in (inputs[0], inputs[2]):
        Image.fromarray(draw_cell(cell.cell_id, seed=1, size=200).image).save(cell.path)
    reader = CellReader(open_patient_bundle(own.path))
    found = reader.read(inputs)
    np.testing.assert_array_equal(found.values, CellReader(model.bundle).read(inputs).values)
    called = Classifier.open("default", classes="healthy").predict([cell.path for cell in inputs])
    assert found.cells["coarse"].to_list() == called.cells["coarse"].to_list()
    np.testing.assert_allclose(found.cells["confidence"], called.cells["confidence"], atol=1e-6)
    assert found.failures["cell_id"].to_list() == ["absent"]
    assert reader.maps(inputs[0], found.values[0]).shape == (3, 4, 4)


def test_a_cell_model_that_was_replaced_is_refused(model):
    network = model.card.network.model_copy(update={"sha256": "0" * 64})
    bundle = open_patient_bundle(model.bundle.path)
    object.__setattr__(bundle, "card", bundle.card.model_copy(update={"network": network}))
    with pytest.raises(BundleError, match="not the one this patient model was trained on"):
        CellReader(bundle)


def test_a_cell_model_of_other_features_is_refused(build_patient_model, colour_model, tmp_path):
    folder = build_patient_model(tmp_path / "five", colour_model.path, np.zeros((5, 1), np.float32))
    with pytest.raises(BundleError, match="takes 5 features"):
        CellReader(open_patient_bundle(folder))
