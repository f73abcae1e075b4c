"""Assistance for a cell: class activation map, similar training cells, reference cells of each class.

Everything is computed from the images and cached in memory within bounds; nothing is stored.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leukopy.bundle import Bundle, open_bundle
from leukopy.core.errors import SettingsError
from leukopy.core.paths import data_folder
from leukopy.datasets import DATASETS
from leukopy.explain import METHODS, Explainer, NeighbourIndex, Subject, nearest, of_all_views, read_index
from leukopy.explain.neighbours import Neighbour, picture_path
from leukopy.imaging.decode import read_cell, read_image
from leukopy.imaging.preprocess import Preprocess
from leukopy.imaging.segmentation import segment
from leukopy.inference import activations
from leukopy.inference.rows import CellInput
from leukopy.reports.overlay import VIEW, jpeg, layer
from leukopy.review.records import Similar
from leukopy.review.settings import ReviewSettings
from leukopy.slides.classifier import Classifier
from leukopy.synthesis import draw_cell
from leukopy.taxonomy import FINE, fine_members

REFERENCES = 8
"""Reference cells of a fine class; of neutrophils and immature granulocytes so many of each kind."""

SIDE = 288
"""Of a reference picture, pixels."""

ADDRESS = "/api/v1/references/{code}/{number}"
"""Where the station serves the pictures of `Assistance.reference_picture`."""

_CODES = tuple(cell.code for cell in FINE)


class Assistance:
    """Assistance of a station. It may be used from several threads; it opens the models at their first use."""

    def __init__(self, settings: ReviewSettings) -> None:
        self._settings = settings
        self._opening = Lock()
        self.spec = lru_cache(maxsize=64)(self._spec)
        self.heat = lru_cache(maxsize=256)(self._heat)
        self.similar = lru_cache(maxsize=1024)(self._similar)
        self.reference = lru_cache(maxsize=64)(self._reference)
        self.reference_picture = lru_cache(maxsize=512)(self._reference_picture)

    @cached_property
    def _bundle(self) -> Bundle:
        return open_bundle(self._settings.model)

    @cached_property
    def _explainer(self) -> Explainer:
        return of_all_views(METHODS["cam"].open(Subject(self._bundle)))

    @cached_property
    def _index(self) -> NeighbourIndex | None:
        return read_index(self._bundle)

    def _spec(self, slide: tuple[Path, ...]) -> Preprocess:
        """Preprocessing of the cells of a slide, rescaled to the magnification of the training data.

        Args:
            slide: images of all its cells, in the order of their analysis.
        """
        with self._opening:
            bundle = self._bundle
        return Classifier(bundle).slide([CellInput(str(path), str(path)) for path in slide]).preprocess

    def _heat(self, source: Path | bytes, code: str, spec: Preprocess | None = None) -> bytes:
        """The heat map of a class as a PNG to be laid over the picture of a cell, with the picture's proportions.

        The map is the evidence for the class in the network's last feature map (class activation, the mean of the
        eight turned and mirrored views): the hotter the yellower. It is transparent where it is cold and beyond the
        part that the network sees; the outlines of cell and nucleus are white.

        Args:
            source: the picture's file, or its bytes.
            code: a fine class; a sum (NEU, IG) is shown for the first of its kinds.
            spec: of its slide; None: the model's own.

        Raises:
            SettingsError: a class that the model does not know.
            ImageError: the picture cannot be read.
            BundleError: the model carries no such maps.
        """
        members = fine_members(code)
        if not members:
            raise SettingsError(f"class {code}: the model has no such class, hence no heat map.")
        with self._opening:
            explain = self._explainer
        spec = spec or self._bundle.card.preprocess
        heat = explain(read_cell(source, spec).pixels[None], np.array([members[0]]))[0]
        part = read_cell(source, Preprocess(size=VIEW, crop=spec.crop)).pixels
        height, width, _ = read_image(source, short_side=spec.short_side).shape  # upright, as a browser shows it
        return _png(_in_place(layer(segment(part), heat), spec, (width, height)))

    def _similar(self, source: Path | bytes, count: int = 6, spec: Preprocess | None = None) -> tuple[Similar, ...]:
        """Training cells by cosine similarity of the embeddings, nearest first.

        Args:
            source: the picture's file, or its bytes.
            count: how many.
            spec: of its slide; None: the model's own.

        Returns:
            None of them where the model has no index of its training cells.

        Raises:
            ImageError: the picture cannot be read.
        """
        with self._opening:
            index = self._index
        if index is None:
            return ()
        prepared = read_cell(source, spec or self._bundle.card.preprocess).pixels
        embedding = activations(self._bundle, prepared[None], ["embedding"])["embedding"]
        (near,) = nearest(index, embedding, count)
        return tuple(
            Similar(
                code=one.code,
                similarity=min(1.0, max(-1.0, one.similarity)),
                image=self._address(index, one),
                source=_title(index.source),
            )
            for one in near
        )

    def _reference(self, code: str) -> tuple[Similar, ...]:
        """Cells that are typical of a class: pictures of the training where they are at hand, else drawn ones.

        ``similarity`` is to the mean of the class, and 1 for drawn cells.

        Args:
            code: a class; of NEU and IG each kind is shown.

        Returns:
            Nothing for a class outside the model's, of which there are no pictures.

        Raises:
            SettingsError: a class that the taxonomy does not hold.
        """
        return tuple(one for member in fine_members(code) for one in self._of_fine(_CODES[member]))

    def _of_fine(self, code: str) -> list[Similar]:
        found = self._typical(code)
        if found:
            return [
                Similar(code=code, similarity=similarity, image=_address(code, number), source=_title(source))
                for number, similarity, source in found
            ]
        return [
            Similar(code=code, similarity=1, image=_address(code, number), source="drawn by leukopy")
            for number in range(REFERENCES)
        ]

    def _typical(self, code: str) -> list[tuple[int, float, str]]:
        """Number among the prototypes of the class, cosine to their mean, and source, of those next to the mean."""
        with self._opening:
            index = self._index
        if index is None or code not in index.codes:
            return []
        directions = index.embeddings[index.codes == code].astype(np.float32)
        middle = directions.mean(axis=0)
        cosines = directions @ (middle / np.linalg.norm(middle))
        order = [int(number) for number in np.argsort(-cosines, kind="stable")]
        there = [number for number in order if self._picture(index, code, number)][:REFERENCES]
        return [(number, float(cosines[number]), index.source) for number in there]

    def _reference_picture(self, code: str, number: int) -> bytes:
        """A reference cell as JPEG, ``SIDE`` pixels square.

        Args:
            code: a fine class.
            number: as in the addresses of `reference` and `similar`.

        Raises:
            SettingsError: there is no such picture.
        """
        if code not in _CODES or number < 0:
            raise SettingsError(f"class {code}, cell {number}: there is no such reference cell.")
        with self._opening:
            index = self._index
        path = None if index is None else self._picture(index, code, number)
        if path is not None:
            return jpeg(read_cell(path, Preprocess(size=SIDE)).pixels, SIDE)
        if number >= REFERENCES:
            raise SettingsError(f"class {code}, cell {number}: there is no such reference cell.")
        return jpeg(draw_cell(code, seed=number).image, SIDE)

    def _picture(self, index: NeighbourIndex, code: str, number: int) -> Path | None:
        """Where the picture of a prototype lies; None where it is not at hand."""
        rows = np.flatnonzero(index.codes == code)
        if number >= len(rows):
            return None
        return picture_path(index, Neighbour(str(index.cell_ids[rows[number]]), code, 1), data_folder())

    def _address(self, index: NeighbourIndex, one: Neighbour) -> str | None:
        if picture_path(index, one, data_folder()) is None:
            return None
        names = index.cell_ids[index.codes == one.code]
        return _address(one.code, int(np.flatnonzero(names == one.cell_id)[0]))


def _address(code: str, number: int) -> str:
    return ADDRESS.format(code=code, number=number)


def _title(source: str) -> str:
    """A data set as people know it."""
    return DATASETS[source].card.title if source in DATASETS else source


def _in_place(part: NDArray[np.uint8], spec: Preprocess, size: tuple[int, int]) -> Image.Image:
    """What the network sees (V, V, 4), where it lies in a transparent picture of the proportions of ``size``."""
    left, upper, right, _ = spec.box(*size)
    scale = len(part) / (right - left)
    whole = Image.new("RGBA", (round(size[0] * scale), round(size[1] * scale)))
    whole.paste(Image.fromarray(part), (round(left * scale), round(upper * scale)))
    return whole


def _png(picture: Image.Image) -> bytes:
    stream = BytesIO()
    picture.save(stream, "PNG", compress_level=3)
    return stream.getvalue()
