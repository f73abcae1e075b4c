"""Class activation mapping (Zhou et al., "Learning deep features for discriminative localization", CVPR 2016).

A linear head on an averaged feature map may as well be applied at each position first and averaged then: its value at a
position is the evidence there. The bundle carries these maps, so that no gradient, and no torch, is needed. For such a
network Grad-CAM gives the same map up to scale (Selvaraju et al., ICCV 2017, section 3.1), but for the head's bias,
which has no place and is here spread evenly over all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from leukopy.bundle import Bundle
from leukopy.explain.heat import Explainer, Heat, Pictures, to_heat
from leukopy.inference import activations


def class_activation(bundle: Bundle) -> Explainer:
    """Class activation maps of a bundle that has the output ``class_activation``.

    Raises:
        BundleError: when called, the bundle has no such output.
    """

    def explain(pictures: Pictures, classes: NDArray[np.intp]) -> Heat:
        maps = activations(bundle, pictures, ["class_activation"])["class_activation"]
        return to_heat(maps[np.arange(len(pictures)), classes], pictures.shape[1])

    return explain
