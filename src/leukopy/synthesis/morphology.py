"""What each class looks like under the microscope, in micrometres and amounts of stain.

Diameters on stained smears, and descriptions: Carr & Rodak, Clinical Hematology Atlas (segmented and band neutrophil
10-15, eosinophil 12-17, basophil 10-14, lymphocyte 7-18, monocyte 12-20, metamyelocyte 10-15, myelocyte 12-18,
promyelocyte 14-24, orthochromic and polychromatic erythroblast 8-12, platelet 2-4 micrometres); Bain, Blood Cells.
The ranges drawn lie inside them and leave out the extremes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from leukopy.core.errors import SettingsError
from leukopy.synthesis import nuclei
from leukopy.taxonomy import FINE


@dataclass(frozen=True)
class Chromatin:
    """Texture of the nucleus."""

    density: float
    """Mean amount of stain; 1 is an adult neutrophil."""
    contrast: float
    """How much paler the gaps between the clumps are."""
    clump_um: float
    """Standard radius of the clumps."""
    nucleoli: tuple[int, int] = (0, 0)
    """Fewest and most nucleoli that are seen."""


@dataclass(frozen=True)
class Granules:
    """Fine granules, drawn as a speckled texture."""

    stain: str
    amount: float
    radius_um: float
    rarity: float
    """The texture's level above which there is a granule: 0 packs half of the area, 1.5 a fifteenth."""
    over_nucleus: float = 0.0
    """How much of them is seen over the nucleus."""


@dataclass(frozen=True)
class Morphology:
    """One class."""

    diameter_um: tuple[float, float]
    nucleus: nuclei.Shape
    chromatin: Chromatin
    cytoplasm: dict[str, tuple[float, float]]
    """Stain -> least and greatest amount."""
    granules: tuple[Granules, ...] = ()
    waviness: float = 0.04
    """Irregularity of the cell's outline."""
    ragged_um: float = 0.12
    """Fine irregularity of the cell's outline."""
    nuclear_warp_um: float = 0.3
    """Irregularity of the nucleus's outline."""
    vacuoles: tuple[int, int] = (0, 0)
    halo: float = 0.0
    """How much paler the cytoplasm beside the nucleus is (Golgi zone)."""
    rim: float = 0.0
    """How much deeper the cytoplasm's edge is stained."""
    coarse: tuple[str, int, int] | None = field(default=None)
    """Stain, fewest and most of large separate granules."""


_NEUTROPHIL = {"eosin": (0.45, 0.85), "basophilia": (0.12, 0.20)}
_NEUTROPHIL_GRANULES = (
    Granules("azurophil", 0.34, 0.13, 1.05, over_nucleus=0.0),
    Granules("eosin", 0.5, 0.16, 0.3),
)

MORPHOLOGY: dict[str, Morphology] = {
    "SNE": Morphology(
        (11.5, 14.8), nuclei.segmented, Chromatin(1.08, 0.38, 0.24), _NEUTROPHIL, _NEUTROPHIL_GRANULES,
        nuclear_warp_um=0.22,
    ),
    "BNE": Morphology(
        (11.5, 14.8), nuclei.band, Chromatin(1.04, 0.40, 0.24), _NEUTROPHIL, _NEUTROPHIL_GRANULES,
        nuclear_warp_um=0.22,
    ),
    "EO": Morphology(
        (12.2, 15.0), nuclei.bilobed, Chromatin(1.0, 0.36, 0.26), {"acidophil": (0.35, 0.6), "basophilia": (0.12, 0.3)},
        (Granules("acidophil", 0.75, 0.24, -0.4),), nuclear_warp_um=0.25, vacuoles=(0, 4),
    ),
    "BA": Morphology(
        (10.5, 13.8), nuclei.lobulated, Chromatin(0.72, 0.30, 0.35), {"eosin": (0.3, 0.6), "azurophil": (0.1, 0.3)},
        waviness=0.08, nuclear_warp_um=0.4, coarse=("chromatin", 90, 170),
    ),
    "LY": Morphology(
        (7.8, 11.5), nuclei.round_lymphocyte, Chromatin(1.0, 0.24, 0.32), {"basophilia": (0.5, 0.95)},
        waviness=0.06, rim=0.5, halo=0.25,
    ),
    "MO": Morphology(
        (13.5, 18.5), nuclei.folded, Chromatin(0.90, 0.36, 0.24), {"basophilia": (0.42, 0.68), "eosin": (0.2, 0.45)},
        (Granules("azurophil", 0.22, 0.12, 1.0),), waviness=0.12, ragged_um=0.3, nuclear_warp_um=0.55, vacuoles=(0, 9),
        rim=0.1,
    ),
    "MMY": Morphology(
        (11.0, 14.8), nuclei.kidney, Chromatin(0.98, 0.42, 0.26), {"eosin": (0.5, 0.9), "basophilia": (0.14, 0.3)},
        (Granules("azurophil", 0.4, 0.14, 0.95), Granules("eosin", 0.4, 0.16, 0.3)), waviness=0.06,
    ),
    "MY": Morphology(
        (12.3, 17.0), nuclei.oval_myelocyte, Chromatin(0.94, 0.40, 0.26),
        {"eosin": (0.4, 0.7), "basophilia": (0.35, 0.6)},
        (Granules("azurophil", 0.6, 0.16, 0.85, over_nucleus=0.3),), waviness=0.07, nuclear_warp_um=0.35, halo=0.35,
    ),
    "PMY": Morphology(
        (14.5, 20.0), nuclei.round_promyelocyte, Chromatin(0.84, 0.34, 0.20, nucleoli=(1, 3)),
        {"basophilia": (0.6, 0.95), "eosin": (0.1, 0.3)},
        (Granules("azurophil", 0.95, 0.20, 0.55, over_nucleus=0.45),), waviness=0.07, nuclear_warp_um=0.4, halo=0.4,
        rim=0.15,
    ),
    "ERB": Morphology(
        (8.2, 11.5), nuclei.round_erythroblast, Chromatin(1.22, 0.22, 0.40),
        {"basophilia": (0.2, 0.75), "haemoglobin": (0.6, 1.2)}, waviness=0.08, nuclear_warp_um=0.12, ragged_um=0.08,
    ),
    "PLT": Morphology(
        (2.2, 3.9), nuclei.none, Chromatin(0.0, 0.0, 0.3), {"basophilia": (0.25, 0.45), "azurophil": (0.05, 0.2)},
        (Granules("azurophil", 0.95, 0.17, 0.0),), waviness=0.16, ragged_um=0.16,
    ),
}  # fmt: skip
"""By fine code."""


def morphology(code: str) -> Morphology:
    """What the class of a fine code looks like.

    Raises:
        SettingsError: the code is none of the 11 fine ones.
    """
    try:
        return MORPHOLOGY[code]
    except KeyError:
        known = ", ".join(cell.code for cell in FINE)
        raise SettingsError(f"class code {code!r} cannot be drawn; those that can: {known}.") from None
