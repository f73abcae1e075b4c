"""The detector of cells on fields, against marked boxes and a classical baseline.

    LEUKOPY_DATA=... python benchmarks/detection.py            # the detector that ships with the package
    LEUKOPY_DATA=... python benchmarks/detection.py --val      # on validation pictures

By source and kind: average precision at IoU .5 and recall at .1 false per picture, with intervals by picture; with the
scale measured on each picture, and with the source's own. Objects cut by the border are ignored. The baseline finds
leukocytes by the colour of their nuclei; it gets the source's own scale. Chulalongkorn's fields taught the detector
nothing; ``chula_completed`` adds the leukocytes that its labels miss, found by eye.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_multiotsu
from skimage.measure import label, regionprops

from leukopy.bundle.detector import open_detector
from leukopy.evaluation.detection import Scores, score
from leukopy.fields.detections import Detections
from leukopy.fields.detector import Detector
from leukopy.taxonomy.objects import LEUKOCYTE, OBJECTS, RED_CELL
from leukopy.workflows.evaluate_detector import LEAST_SCORE, count_error, marked_pictures, matches, see
from results_file import write

SOURCES = ("txl_pbc", "txl_raabin", "txl_bccd", "txl_own", "bccd", "chula", "chula_completed", "drawn")
_SCALED = 24.0
"""Pixels of a red cell's diameter for the baseline."""
_GROWN = 1.35
"""Side of a leukocyte's box over that of its nucleus."""


class NucleiByColour:
    """Leukocytes as dark nuclei: the upper of three classes of red's optical density (Liao et al., "A fast algorithm
    for multilevel thresholding", Journal of Information Science and Engineering 17, 713-727, 2001)."""

    def find_on(self, pixels: NDArray[np.uint8], red_cell_px: float | None = None) -> Detections:
        assert red_cell_px is not None
        scale = _SCALED / red_cell_px
        size = (max(8, round(pixels.shape[1] * scale)), max(8, round(pixels.shape[0] * scale)))
        small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX), np.float32)
        soft = ndimage.gaussian_filter(small, (1, 1, 0))
        glass = np.percentile(soft, 95, axis=(0, 1))
        density = -np.log(((soft + 1) / (glass + 1)).clip(max=1))[..., 0]
        dark = ndimage.binary_closing(density > threshold_multiotsu(density)[1], iterations=3)
        boxes, scores = [], []
        for region in regionprops(label(dark), intensity_image=density):
            if region.area >= 0.2 * _SCALED**2:
                top, left, bottom, right = region.bbox
                grown = np.array([right - left, bottom - top]) * _GROWN
                middle = np.array([left + right, top + bottom]) / 2
                boxes.append([*(middle - grown / 2), *grown])
                scores.append(float(region.intensity_mean))
        found = np.array(boxes, np.float32).reshape(-1, 4) / scale
        kinds = np.full(len(found), OBJECTS.index(LEUKOCYTE))
        return Detections(found, kinds, np.array(scores, np.float32), red_cell_px)


def measure(
    detector: Detector | NucleiByColour, split: str, *, known_scale: bool, sources: Sequence[str] = SOURCES
) -> dict[str, dict[str, object]]:
    figures: dict[str, dict[str, object]] = {}
    for source in sources:
        everything = source in ("chula", "chula_completed")
        pictures = list(marked_pictures(source, None if everything else split, 100))
        seen = list(see(detector, pictures, known_scale=known_scale))
        kinds = {}
        for kind in OBJECTS if isinstance(detector, Detector) else (LEUKOCYTE,):
            matched = matches(seen, kind)
            if any(each.wanted for each in matched):
                kinds[kind] = asdict(score(matched))
                _print(source, kind, score(matched, replicates=200))
        figures[source] = {"kinds": kinds}
        if isinstance(detector, Detector):
            figures[source] |= {"red_cell_count_error": count_error(seen, detector.card.thresholds[RED_CELL])}
    return figures


def _print(source: str, kind: str, found: Scores) -> None:
    print(
        f"{source:16} {kind:14} {found.pictures:5} pictures {found.wanted:6} objects  "
        f"AP50 {found.average_precision.value:.3f}  recall {found.recall.value:.3f} at .1 false"
    )


def main() -> None:
    split = "val" if "--val" in sys.argv else "test"
    detector = Detector(open_detector("default"), least=LEAST_SCORE)
    figures: dict[str, object] = {"split": split, "thresholds": detector.card.thresholds}
    for name, known in (("scale_found", False), ("scale_known", True)):
        print(name)
        figures[name] = measure(detector, split, known_scale=known)
    print("nuclei by colour")
    figures["nuclei_by_colour"] = measure(NucleiByColour(), split, known_scale=True)
    write("detection" if split == "test" else "detection_val", figures)


if __name__ == "__main__":
    main()
