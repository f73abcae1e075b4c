"""Label maps: the names of cells in each public source, mapped to class codes.

A map sends a source's own label to a fine code, to a coarse code where the source names no finer class
(``neutrophil``, ``ig``), or to a class outside the taxonomy. Look-ups ignore case, accents and surrounding blanks, and
read ``_`` as a blank.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from leukopy.core.errors import SettingsError, UnknownLabelError
from leukopy.taxonomy.classes import COARSE, FINE, OUTSIDE, CellClass, find


def label_key(label: str) -> str:
    """A label as it is looked up: ``Éosinophile_`` becomes ``eosinophile``."""
    letters = unicodedata.normalize("NFKD", label.replace("_", " ").casefold())
    return " ".join("".join(letter for letter in letters if not unicodedata.combining(letter)).split())


@dataclass(frozen=True)
class LabelMap:
    """The labels of one source."""

    source: str
    codes: dict[str, str]
    """Label, as `label_key` writes it -> class code."""
    own: tuple[CellClass, ...] = ()
    """Classes of the laboratory's own among them."""

    @classmethod
    def of(cls, source: str, labels: Mapping[str, str]) -> LabelMap:
        """A map of labels in any spelling."""
        return cls(source, {label_key(label): code for label, code in labels.items()})

    def extended(self, source: str, labels: Mapping[str, str], own: Iterable[CellClass] = ()) -> LabelMap:
        """This map with more labels, which come first, and a laboratory's own classes, read by code and names."""
        own = tuple(own)
        named = {label_key(label): cell.code for cell in own for label in _names(cell)}
        more = {label_key(label): code for label, code in labels.items()}
        return LabelMap(source, {**self.codes, **named, **more}, tuple(dict.fromkeys((*self.own, *own))))

    def _shown(self) -> Iterable[str]:
        """Labels for a message; codes alone where there are many labels."""
        return self.codes if len(self.codes) <= _SHOWN else set(self.codes.values())

    def code(self, label: str, *, where: str) -> str:
        """The class code of ``label``.

        Args:
            label: in the spelling of the source.
            where: the file (and row) that holds it, for the message.

        Raises:
            UnknownLabelError: names ``where`` and the known labels.
        """
        try:
            return self.codes[label_key(label)]
        except KeyError:
            raise UnknownLabelError(label, source=self.source, where=where, known=self._shown()) from None


_SHOWN = 40
"""Labels that a message lists; of a longer map it lists the codes."""


def _map(source: str, **labels: str) -> LabelMap:
    for code in labels.values():
        find(code)
    return LabelMap.of(source, labels)


def _names(cell: CellClass) -> tuple[str, ...]:
    """Code, names in both languages, and their plurals."""
    plurals = (f"{cell.name}s", f"{cell.french}s", " ".join(f"{word}s" for word in cell.french.split()))
    return (cell.code, cell.name, cell.french, *plurals)


_FIVE = {"neutrophil": "NEU", "eosinophil": "EO", "basophil": "BA", "lymphocyte": "LY", "monocyte": "MO"}

_TAXONOMY = LabelMap.of("leukopy", {name: cell.code for cell in (*OUTSIDE, *COARSE, *FINE) for name in _names(cell)})

_DEEPAPL = _map(
    "deepapl",
    neutrophil__segmented="SNE", segmented__neutrophil="SNE", neutrophil="SNE", band="BNE", band__neutrophil="BNE",
    eosinophil="EO", basophil="BA", lymphocyte="LY", monocyte="MO", metamyelocyte="MMY", myelocyte="MY",
    promyelocyte="PMY", erythroblast="ERB", nrbc="ERB", platelet="PLT",
    blast="BLAST", blasts="BLAST", smudge="SMUDGE", smudge__cell="SMUDGE", smudge__cells="SMUDGE",
    plasma__cell="PLASMA", plasma__cells="PLASMA", giant__platelet="GIANT_PLT", giant__thrombocyte="GIANT_PLT",
    giant__thrombocytes="GIANT_PLT", lymphocyte__variant="LYA", variant__lymphocyte="LYA",
    atypical__lymphocyte="LYA", artifact="ARTEFACT", artefact="ARTEFACT", unidentified="UNIDENTIFIED",
    thrombocyte__aggregation="PLT", platelet__clump="PLT",
    neutrophil__band="BNE", segmented="SNE", promonocyte="MOB", promonocytes="MOB",
    monoblast="MOB", monoblasts="MOB", myeloblast="MYO", myeloblasts="MYO", reactive__lymphocyte="LYA",
    variant__lymphocytes="LYA", bands="BNE", lymphocytes="LY", monocytes="MO", eosinophils="EO", basophils="BA",
    platelets="PLT", giant__platelets="GIANT_PLT", erythroblasts="ERB", promyelocytes="PMY", myelocytes="MY",
    metamyelocytes="MMY", neutrophils="SNE", artifacts="ARTEFACT", artefacts="ARTEFACT",
    plasmacyte="PLASMA", lymphoblast="BLAST", lymphoblasts="BLAST", **{"lymphocyte, variant form": "LYA"},
)  # fmt: skip

LABEL_MAPS: dict[str, LabelMap] = {
    found.source: found
    for found in (
        _TAXONOMY,
        # Folder names, and the prefix of the file names where it is finer (SNE_…, BNE_…, MMY_…, MY_…, PMY_…).
        _map(
            "pbc",
            basophil="BA", eosinophil="EO", erythroblast="ERB", ig="IG", lymphocyte="LY", monocyte="MO",
            neutrophil="NEU", platelet="PLT",
            sne="SNE", bne="BNE", mmy="MMY", my="MY", pmy="PMY", ba="BA", eo="EO", erb="ERB", ly="LY", mo="MO",
        ),
        # Zheng 2018, class labels.csv: 1 to 5.
        _map("cellavision", **_FIVE, **{"1": "NEU", "2": "LY", "3": "MO", "4": "EO", "5": "BA"}),
        _map("raabin", **_FIVE, **{f"{name}s": code for name, code in _FIVE.items()},
             large__lymph="LY", small__lymph="LY", band="BNE", artifact="ARTEFACT", burst="SMUDGE"),
        _map("bcisc", **_FIVE, neut="NEU", eosi="EO", baso="BA", lymp="LY", mono="MO"),
        _map("chula", **_FIVE),
        _map("lymphocytosis", lymphocyte="LY"),
        # Matek 2019: the five codes that the 2021 study left out are outside the taxonomy.
        _map(
            "aml-munich",
            ngs="SNE", ngb="BNE", eos="EO", bas="BA", lyt="LY", mon="MO", mmz="MMY", myb="MY", pmo="PMY", ebo="ERB",
            ksc="SMUDGE", lya="LYA", mob="MOB", myo="MYO", pmb="PMB",
        ),
        _DEEPAPL,
        # Johns Hopkins (Sidhom 2021): the folders of its published layout and the labels of a rearranged list.
        LabelMap("hopkins", _DEEPAPL.codes),
        # MedMNIST v2: integer labels 0 to 7.
        _map(
            "bloodmnist",
            **{"0": "BA", "1": "EO", "2": "ERB", "3": "IG", "4": "LY", "5": "MO", "6": "NEU", "7": "PLT"},
            basophil="BA", eosinophil="EO", erythroblast="ERB", lymphocyte="LY", monocyte="MO", neutrophil="NEU",
            platelet="PLT", **{"immature granulocytes(myelocytes, metamyelocytes and promyelocytes)": "IG"},
        ),
    )
}  # fmt: skip


def label_map(source: str) -> LabelMap:
    """The label map of a source.

    Raises:
        SettingsError: no map has this name.
    """
    try:
        return LABEL_MAPS[source]
    except KeyError:
        raise SettingsError(f"label map {source!r} is unknown; known: {', '.join(LABEL_MAPS)}.") from None
