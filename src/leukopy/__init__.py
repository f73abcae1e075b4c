"""leukopy: the open system for blood-cell microscopy. Research use only.

>>> import leukopy
>>> classifier = leukopy.load("default")
>>> result = classifier.predict(["slide3/c17.jpg"])
>>> result.cells[["cell_id", "coarse", "fine", "confidence"]]
>>> fields = classifier.fields(["photographs/f1.png"])
>>> fields.cells[["field", "box_x", "box_y", "box_width", "box_height", "fine"]]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leukopy.core.devices import Device
    from leukopy.fields.detector import Detector
    from leukopy.slides.classifier import Classifier

__version__ = "0.2.0"
__all__ = ["load", "load_detector"]


def load(model: str = "default", device: Device = "auto") -> Classifier:
    """Open a classifier: the name of a bundled model, or the path of a bundle folder; and the device that runs it.

    Raises:
        BundleError: no such model, or the bundle is broken or made for another taxonomy.
    """
    from leukopy.slides.classifier import Classifier

    return Classifier.open(model, device=device)


def load_detector(name: str = "default") -> Detector:
    """Open a detector of cells on fields: the name of a bundled one, or the path of a bundle folder.

    Raises:
        BundleError: no such detector, or the bundle is broken.
    """
    from leukopy.fields.detector import Detector

    return Detector.open(name)
