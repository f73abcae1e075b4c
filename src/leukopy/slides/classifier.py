"""Classifier: opens slides, and classifies image files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import polars as pl

from leukopy.bundle import Bundle, Card, open_bundle
from leukopy.core.devices import Device
from leukopy.core.progress import Progress, silent
from leukopy.inference.engine import Beside, Engine
from leukopy.inference.pictures import Pictures
from leukopy.inference.rows import (
    APPEARANCE_SCHEMA,
    FAILURE_SCHEMA,
    CellInput,
    Predictions,
    cell_schema,
    printable,
)
from leukopy.inference.sessions import DeviceUse
from leukopy.slides.class_means import TRAITS
from leukopy.slides.slide import Slide
from leukopy.slides.survey import FAR, OUTSIDE

if TYPE_CHECKING:
    from leukopy.fields.locate import Finder
    from leukopy.slides.field_slide import FieldPredictions


class Classifier:
    """A loaded model. Open one with `leukopy.load`; several threads may share it."""

    def __init__(
        self, bundle: Bundle, threads: int | None = None, outputs: Sequence[str] = (), device: Device = "auto"
    ) -> None:
        """Load the network of a bundle.

        Args:
            bundle: an opened bundle.
            threads: worker threads; by default one for each core that this process may use.
            outputs: further outputs of the network for `Predictions.outputs`.
            device: runs the network.

        Raises:
            BundleError: the network cannot be loaded, or lacks an output.
            SettingsError: an accelerator beside OpenVINO.
        """
        card = bundle.card
        read = {
            **dict.fromkeys((*card.calibration.outputs, *outputs), True),
            "attributes": bool(card.attributes),
            "ood_score": bool(card.open_set),
            FAR: bool(card.open_set and card.open_set.baseline),
            TRAITS: bool(card.slide_classes),
            OUTSIDE: bool(card.outside),
        }
        beside: dict[Beside, bool] = {
            "appearance": card.slide_check is not None,
            "views": True,
            "content": card.romanowsky,
        }
        self.bundle, self.asked_device = bundle, device
        self.schema = cell_schema(card)
        self.outputs = tuple(outputs)
        self.engine = Engine(
            bundle.network,
            threads,
            [name for name, wanted in read.items() if wanted],
            beside=[name for name, wanted in beside.items() if wanted],
            device=device,
        )

    @classmethod
    def open(
        cls,
        model: str | Path = "default",
        threads: int | None = None,
        device: Device = "auto",
        *,
        classes: Literal["all", "healthy"] = "all",
    ) -> Self:
        """Open a bundled model by its name, or a bundle folder by its path.

        Args:
            model: name or folder.
            threads: worker threads; by default one for each core that this process may use.
            device: runs the network.
            classes: ``healthy``: the fine classes alone, without the model's classes outside.

        Raises:
            SettingsError: an accelerator beside OpenVINO.
            BundleError: no such model, or the bundle is broken or made for another taxonomy.
        """
        bundle = open_bundle(model)
        return cls(bundle.healthy if classes == "healthy" else bundle, threads, device=device)

    @property
    def device(self) -> DeviceUse:
        """Device in use, and a sentence about it where it is not simply the CPU."""
        return self.engine.device

    @property
    def card(self) -> Card:
        """The model's card: classes, training data, licences, metrics."""
        return self.bundle.card

    @property
    def threads(self) -> int:
        """Worker threads."""
        return self.engine.threads

    @property
    def nothing(self) -> Predictions:
        """No rows, with the columns of this model."""
        appearance = pl.DataFrame(schema=APPEARANCE_SCHEMA) if self.card.slide_check else None
        return Predictions(pl.DataFrame(schema=self.schema), pl.DataFrame(schema=FAILURE_SCHEMA), appearance)

    def slide(self, cells: Sequence[CellInput], pictures: Pictures | None = None) -> Slide:
        """Open the cells of one slide, to be surveyed and classified.

        Args:
            cells: all cells of the slide, in a fixed order.
            pictures: cache of decoded pictures that outlives the slide.
        """
        return Slide(self.engine, self.card, cells, self.outputs, pictures)

    def predict(self, paths: Iterable[Path | str], progress: Progress = silent) -> Predictions:
        """Classify image files of one slide; a cell's id is its path as given.

        Args:
            paths: image files. The slide is surveyed where they suffice.
            progress: called with the number of finished images.

        Returns:
            Rows of `inference.rows.cell_schema` and of ``FAILURE_SCHEMA``, each in the order of ``paths``.
        """
        slide = self.slide([CellInput(printable(str(path)), str(path)) for path in paths])
        parts = [self.nothing]
        for part in slide.rows():
            parts.append(part)
            progress("classifying", sum(map(len, parts)), len(slide.cells))
        return Predictions.concat(parts)

    def fields(
        self,
        paths: Iterable[Path | str],
        detector: str | Path | Finder = "default",
        progress: Progress = silent,
        shapes: str | Path = "default",
    ) -> FieldPredictions:
        """Find the cells on photographs of fields of one slide, and classify the leukocytes.

        Args:
            paths: photographs; each page of a file with several pages is a field. A field's id is its path as given.
            detector: name of a bundled detector, a bundle folder, or an opened detector, which may name shapes itself.
            progress: called with the number of finished fields.
            shapes: network for the shapes of red cells: a bundled one, a bundle folder, or ``none``.

        Raises:
            BundleError: no such detector, or its bundle is broken.
        """
        from leukopy.fields.inputs import fields_of  # noqa: PLC0415 (SciPy: adds half to the start-up time)
        from leukopy.fields.red_cell_shapes import open_finder  # noqa: PLC0415
        from leukopy.slides.field_slide import FieldPredictions, FieldSlide  # noqa: PLC0415

        finder = open_finder(detector, shapes) if isinstance(detector, str | Path) else detector
        return FieldPredictions.of(FieldSlide(self, finder, fields_of(paths)), progress)
