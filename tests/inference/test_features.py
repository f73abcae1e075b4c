"""Embeddings and inner outputs of a network whose answers are known: the embedding is the mean colour."""

from __future__ import annotations

import numpy as np
import pytest

from leukopy.bundle import open_bundle
from leukopy.core.errors import BundleError, InputError
from leukopy.imaging.decode import read_cell
from leukopy.inference import activations, embeddings
from leukopy.inference.engine import BATCH
from leukopy.synthesis import draw_cell
from leukopy.taxonomy import FINE


@pytest.fixture(scope="module")
def bundle(colour_model):
    return open_bundle(colour_model.path)


@pytest.fixture
def paths(colour_model, tmp_path):
    colour_model.draw_folder(tmp_path / "slide", 3 * BATCH + 2)
    return sorted((tmp_path / "slide").iterdir())


def test_an_embedding_is_in_the_row_of_its_file(bundle, paths, tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    paths.insert(5, tmp_path / "broken.png")
    told = []
    found, failures = embeddings(bundle, paths, lambda *step: told.append(step))
    expected = [
        read_cell(path, bundle.card.preprocess).pixels.mean(axis=(0, 1)) for path in paths if "broken" not in path.name
    ]
    np.testing.assert_allclose(np.delete(found, 5, axis=0), (np.array(expected) - 127) / 128, atol=1e-5)
    assert np.isnan(found[5]).all()
    assert list(failures) == [5]
    assert "broken.png: not an image" in failures[5]
    assert told[-1] == ("computing embeddings", len(paths), len(paths))


def test_a_stretch_of_which_nothing_can_be_read(bundle, tmp_path):
    paths = [tmp_path / f"{index}.png" for index in range(2 * BATCH)]
    found, failures = embeddings(bundle, paths)
    assert found.shape == (2 * BATCH, 3)
    assert np.isnan(found).all()
    assert sorted(failures) == list(range(2 * BATCH))


def test_named_outputs_of_prepared_pixels(bundle, paths):
    pixels = np.stack([read_cell(path, bundle.card.preprocess).pixels for path in paths])
    found = activations(bundle, pixels, ["logits", "feature_map"])
    assert list(found) == ["logits", "feature_map"]
    assert found["logits"].argmax(axis=1).tolist() == [index % len(FINE) for index in range(len(paths))]
    np.testing.assert_allclose(found["feature_map"].mean(axis=(2, 3)), embeddings(bundle, paths)[0], atol=1e-5)


def test_no_pixels_and_no_paths_give_empty_arrays(bundle):
    nothing = np.empty((0, 32, 32, 3), np.uint8)
    assert activations(bundle, nothing, ["feature_map"])["feature_map"].shape == (0, 3, 4, 4)
    assert embeddings(bundle, [])[0].shape == (0, 3)


def test_an_output_that_the_bundle_lacks(bundle):
    with pytest.raises(BundleError, match="gives no class_activation, only logits, embedding, feature_map"):
        activations(bundle, np.zeros((1, 32, 32, 3), np.uint8), ["class_activation"])


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (32, 32, 3), (1, 3, 32, 32)])
def test_pixels_that_are_not_prepared(bundle, shape):
    with pytest.raises(InputError, match=r"takes uint8 \(N, 32, 32, 3\)"):
        activations(bundle, np.zeros(shape, np.uint8), ["logits"])


def test_a_network_that_was_replaced_is_loaded_again(build_bundle, tmp_path):
    """Networks are kept loaded by their file's digest, not by their path alone."""
    grey = np.full((1, 32, 32, 3), 90, np.uint8)
    soft = activations(open_bundle(build_bundle(tmp_path / "model", sharpness=1.0)), grey, ["logits"])["logits"]
    sharp = activations(open_bundle(build_bundle(tmp_path / "model", sharpness=2.0)), grey, ["logits"])["logits"]
    np.testing.assert_allclose(sharp - sharp.max(), 2 * (soft - soft.max()), rtol=1e-4, atol=1e-4)


def test_the_default_network_answers_the_same_whatever_comes_together():
    default = open_bundle("default")
    size = default.card.preprocess.size
    pixels = np.stack([draw_cell(FINE[index % 11].code, seed=index, size=size).image for index in range(BATCH + 3)])
    alone = np.concatenate([activations(default, pixels[i : i + 1], ["logits"])["logits"] for i in range(len(pixels))])
    np.testing.assert_array_equal(activations(default, pixels, ["logits"])["logits"], alone)
