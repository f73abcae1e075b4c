"""Morphology of each class under the microscope, in micrometres and amounts of stain.

Diameters on stained smears, and descriptions: Carr & Rodak, Clinical Hematology Atlas (segmented and band neutrophil
10-15, eosinophil 12-17, basophil 10-14, lymphocyte 7-18, monocyte 12-20, metamyelocyte 10-15, myelocyte 12-18,
promyelocyte 14-24, orthochromic and polychromatic erythroblast 8-12, platelet 2-4 micrometres); Bain, Blood Cells.
The ranges drawn lie inside them and leave out the extremes, but for platelets, which lie spread on the smears of PBC
Barcelona and measure 4 to 6 there.
"""

from __future__ import annotations

from dataclasses import dataclass

from leukopy.core.errors import SettingsError
from leukopy.synthesis import nuclei
from leukopy.taxonomy import FINE

Span = tuple[float, float]


@dataclass(frozen=True)
class Chromatin:
    """Texture of the nucleus."""

    density: float
    """Mean amount of stain; 1 is an adult neutrophil."""
    contrast: float
    """Relative departure of clumps and gaps from the mean."""
    clump_um: float
    """Standard radius of the clumps."""
    nucleoli: tuple[int, int] = (0, 0)
    """Fewest and most visible nucleoli."""
    folds: float = 0.0
    """Darkness of the creases."""


@dataclass(frozen=True)
class Granules:
    """Fine granules, drawn as a texture."""

    stain: str
    amount: float
    radius_um: float
    density: float
    """1 packs them side by side."""
    patchy: float = 0.0
    """0: everywhere; 1: they leave a sixth of the cell free, 2: a fiftieth (standard deviations of a texture)."""
    over_nucleus: float = 0.0
    """Share of the granules visible over the nucleus."""


@dataclass(frozen=True)
class CoarseGranules:
    """Large separate granules, over the nucleus too; those at the edge bulge."""

    stain: str
    amount: float
    count: tuple[int, int]
    radius_um: Span


@dataclass(frozen=True)
class Irregularity:
    """Departures of an outline from its plain shape."""

    amount_um: float
    scale_um: float


@dataclass(frozen=True)
class Morphology:
    """One class."""

    diameter_um: Span
    nucleus: nuclei.Shape
    chromatin: Chromatin
    cytoplasm: dict[str, Span]
    """Stain -> least and greatest amount."""
    granules: tuple[Granules, ...] = ()
    coarse: CoarseGranules | None = None
    waviness: float = 0.05
    """Relative departure of the cell from a circle."""
    outline: Irregularity = Irregularity(0.05, 0.6)
    nuclear_outline: Irregularity = Irregularity(0.25, 1.1)
    vacuoles: tuple[int, int] = (0, 0)
    fringe: float = 0.0
    """Concentration of the granules: 0 none, 1 they lie at the very centre (platelet)."""
    halo: float = 0.0
    """Pallor of the cytoplasm on one side of the nucleus (Golgi zone)."""
    rim: float = 0.0
    """Deeper staining of the cytoplasm's edge."""


_NEUTROPHIL_GRANULES = (Granules("azurophil", 0.26, 0.14, 0.20), Granules("eosin", 0.4, 0.2, 0.6))

MORPHOLOGY: dict[str, Morphology] = {
    "SNE": Morphology(
        (11.5, 14.8),
        nuclei.segmented,
        Chromatin(1.0, 0.22, 0.22),
        cytoplasm={"eosin": (0.15, 0.42), "basophilia": (0.11, 0.19)},
        granules=_NEUTROPHIL_GRANULES,
        nuclear_outline=Irregularity(0.18, 0.9),
    ),
    "BNE": Morphology(
        (11.5, 14.8),
        nuclei.band,
        Chromatin(0.97, 0.23, 0.22),
        cytoplasm={"eosin": (0.15, 0.45), "basophilia": (0.12, 0.21)},
        granules=_NEUTROPHIL_GRANULES,
        nuclear_outline=Irregularity(0.18, 0.9),
    ),
    "EO": Morphology(
        (12.2, 15.0),
        nuclei.bilobed,
        Chromatin(0.93, 0.25, 0.23),
        cytoplasm={"acidophil": (0.26, 0.46), "basophilia": (0.06, 0.15)},
        granules=(Granules("acidophil", 0.55, 0.25, 0.9, patchy=1.6),),
        nuclear_outline=Irregularity(0.22, 1.0),
        vacuoles=(0, 4),
    ),
    "BA": Morphology(
        (11.2, 13.8),
        nuclei.lobulated,
        Chromatin(0.56, 0.22, 0.22),
        cytoplasm={"azurophil": (0.1, 0.30), "basophilia": (0.0, 0.3)},
        coarse=CoarseGranules("chromatin", 0.64, (320, 480), (0.17, 0.36)),
        waviness=0.10,
        nuclear_outline=Irregularity(0.4, 1.4),
    ),
    "LY": Morphology(
        (8.5, 11.8),
        nuclei.round_lymphocyte,
        Chromatin(0.97, 0.21, 0.20),
        cytoplasm={"basophilia": (0.40, 0.80)},
        waviness=0.09,
        outline=Irregularity(0.10, 0.7),
        nuclear_outline=Irregularity(0.22, 2.0),
        rim=0.5,
    ),
    "MO": Morphology(
        (12.8, 16.8),
        nuclei.folded,
        Chromatin(0.84, 0.27, 0.19, folds=0.22),
        cytoplasm={"basophilia": (0.36, 0.60), "eosin": (0.1, 0.35)},
        granules=(Granules("azurophil", 0.20, 0.15, 0.3),),
        waviness=0.12,
        outline=Irregularity(0.40, 2.0),
        nuclear_outline=Irregularity(0.50, 1.7),
        vacuoles=(0, 10),
        rim=0.12,
    ),
    "MMY": Morphology(
        (12.4, 14.8),
        nuclei.kidney,
        Chromatin(0.95, 0.24, 0.19),
        cytoplasm={"eosin": (0.35, 0.65), "basophilia": (0.15, 0.28)},
        granules=(Granules("azurophil", 0.42, 0.17, 0.25), Granules("eosin", 0.3, 0.2, 0.6)),
        waviness=0.08,
        nuclear_outline=Irregularity(0.25, 1.6),
    ),
    "MY": Morphology(
        (12.6, 16.4),
        nuclei.oval_myelocyte,
        Chromatin(0.90, 0.28, 0.21),
        cytoplasm={"eosin": (0.3, 0.55), "basophilia": (0.28, 0.48)},
        granules=(Granules("azurophil", 0.55, 0.20, 0.33, over_nucleus=0.35),),
        waviness=0.10,
        nuclear_outline=Irregularity(0.28, 2.0),
        halo=0.3,
    ),
    "PMY": Morphology(
        (14.2, 18.0),
        nuclei.round_promyelocyte,
        Chromatin(0.80, 0.29, 0.19, nucleoli=(1, 3)),
        cytoplasm={"basophilia": (0.36, 0.62), "azurophil": (0.05, 0.18)},
        granules=(Granules("azurophil", 0.70, 0.26, 0.5, over_nucleus=0.45),),
        waviness=0.10,
        outline=Irregularity(0.12, 1.2),
        nuclear_outline=Irregularity(0.32, 2.2),
        halo=0.4,
        rim=0.15,
    ),
    "ERB": Morphology(
        (8.2, 11.5),
        nuclei.round_erythroblast,
        Chromatin(1.0, 0.17, 0.26),
        cytoplasm={"basophilia": (0.08, 0.5), "haemoglobin": (0.6, 1.2)},
        waviness=0.12,
        outline=Irregularity(0.08, 1.0),
        nuclear_outline=Irregularity(0.10, 1.5),
    ),
    "PLT": Morphology(
        (3.3, 5.6),
        nuclei.none,
        Chromatin(0.0, 0.0, 0.3),
        cytoplasm={"basophilia": (0.2, 0.4), "azurophil": (0.05, 0.2)},
        granules=(Granules("azurophil", 1.0, 0.20, 0.95),),
        waviness=0.12,
        fringe=0.75,
        outline=Irregularity(0.13, 0.3),
    ),
}
"""Morphologies by fine code."""


def morphology(code: str) -> Morphology:
    """The morphology of the class of a fine code.

    Raises:
        SettingsError: the code is not a fine class.
    """
    try:
        return MORPHOLOGY[code]
    except KeyError:
        known = ", ".join(cell.code for cell in FINE)
        raise SettingsError(f"class code {code!r} cannot be drawn; known: {known}.") from None
