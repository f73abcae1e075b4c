"""leukopy: the open system for blood-cell microscopy. Research use only.

>>> import leukopy
>>> classifier = leukopy.load("default")
>>> result = classifier.predict(["slide3/c17.jpg"])
>>> result.cells[["cell_id", "coarse", "fine", "confidence"]]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leukopy.core.devices import Device
    from leukopy.slides.classifier import Classifier

__version__ = "0.2.0.dev0"
__all__ = ["load"]


def load(model: str = "default", device: Device = "auto") -> Classifier:
    """Open a classifier: the name of a bundled model, or the path of a bundle folder; and the device that runs it.

    Raises:
        BundleError: no such model, or the bundle is broken or made for another taxonomy.
    """
    from leukopy.slides.classifier import Classifier

    return Classifier.open(model, device=device)
