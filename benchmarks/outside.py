"""Blasts and smudge cells by patients left out: the alarm, the differential, diagnoses left out, and two settings.

Needs the run of ``leukopy model fit-outside --out runs/outside``, whose ``cells.parquet`` holds for each cell the
evidence of a head that saw neither its patient nor, for sources without blasts, its laboratory:

    LEUKOPY_DATA=... python benchmarks/outside.py runs/outside

Slides without blasts are drawn from the cells of a source: 200 leukocytes of a usual mixture. The differential is of
the model as served, with and without its classes outside; blasts and smudge cells are those of the left-out evidence.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import pearsonr

from leukopy.bundle import Bundle, OutsideClasses, open_bundle
from leukopy.core.files import read_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import silent
from leukopy.evaluation.intervals import clopper_pearson
from leukopy.evaluation.roc import delong_interval
from leukopy.inference.rows import CellInput
from leukopy.network.outside import outside_logits
from leukopy.slides.alarm import BlastAlarm, blast_alarm
from leukopy.slides.classifier import Classifier
from leukopy.slides.columns import among_fine
from leukopy.slides.outside import estimate_shift, with_fine
from leukopy.slides.survey import sample_of
from leukopy.taxonomy import OUTSIDE, Place, find
from leukopy.training.outside_head import (
    OutsideSettings,
    evidence_of,
    fit_outside_head,
    list_outside_cells,
    sampling,
)
from leukopy.training.sources import member_matrix
from leukopy.workflows.fit_outside import read_wide
from results_file import write

SLIDES, ENOUGH = 200, 20
USUAL = {"NEU": 120, "LY": 56, "MO": 14, "EO": 6, "BA": 2, "IG": 2}
SOURCE = "hopkins"
COUNTED = ("NEU", "LY", "MO", "IG", "BLAST")
Rows = NDArray[np.intp]


class Cells:
    """Cells with their left-out evidence, and the numbers that a slide of some of them gets."""

    def __init__(self, run: Path, how: OutsideClasses) -> None:
        self.table, self.how = pl.read_parquet(run / "cells.parquet"), how
        self.logits = outside_logits(self.table["evidence"].to_numpy())
        self.codes, self.sources, self.groups = (self.table[name].to_numpy() for name in ("code", "source", "group"))
        self.truth = np.array([find(code).coarse or code for code in self.codes])
        self.known = np.array([find(code).coarse is not None for code in self.codes])
        self.leukocyte = np.array([find(code).place is Place.DIFFERENTIAL for code in self.codes])
        self.found = self.table["coarse"].to_numpy()
        """Coarse class by the network, as served."""

    def patients(self) -> Iterator[Rows]:
        """The cells of each patient with a leukaemia."""
        for patient in np.unique(self.groups[self.sources == SOURCE]):
            yield np.flatnonzero((self.sources == SOURCE) & (self.groups == patient))

    def probabilities(self, rows: Rows, how: OutsideClasses | None = None) -> NDArray[np.float32]:
        """Of the fine classes together and each class outside, for the cells of one slide, as served."""
        how = how or self.how
        some = rows[sample_of(list(range(len(rows))))] if len(rows) else rows
        return with_fine(self.logits[rows], estimate_shift(self.logits[some], how) if len(rows) >= ENOUGH else ())

    def classes(self, rows: Rows, how: OutsideClasses | None = None) -> NDArray[np.str_]:
        """Coarse class or class outside of the cells of one slide."""
        place = self.probabilities(rows, how).argmax(axis=1)
        return np.where(place > 0, np.array(["", *self.how.classes])[place], self.found[rows])

    def alarm(self, rows: Rows) -> BlastAlarm:
        """The alarm of a slide, by the settings that ship."""
        found, probability = self.classes(rows), self.probabilities(rows)[:, 1 + self.how.classes.index("BLAST")]
        leukocytes = sum(find(code).place is Place.DIFFERENTIAL for code in found)
        sure = int(((found == "BLAST") & (probability >= 0.9)).sum())
        return blast_alarm(int((found == "BLAST").sum()), sure, leukocytes)

    def usual(self, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Iterator[Rows]:
        """Slides of a usual mixture; cells are drawn again where they are few."""
        for _ in range(SLIDES):
            pools = {code: np.flatnonzero(chosen & (self.truth == code)) for code in USUAL}
            yield np.concatenate([rng.choice(pool, USUAL[code]) for code, pool in pools.items() if len(pool)])


def share(found: NDArray[np.bool_]) -> dict[str, Any]:
    """A share with exact limits."""
    count, total = int(found.sum()), len(found)
    low, high = clopper_pearson(count, total)
    return {"count": count, "of": total, "value": round(count / total, 4), "low": round(low, 4), "high": round(high, 4)}


def alarms(cells: Cells) -> dict[str, Any]:
    """How many slides raise the alarm, by their true share of blasts, and without blasts."""
    truth, raised, within = [], [], []
    for rows in cells.patients():
        alarm = cells.alarm(rows)
        truth.append((cells.codes[rows] == "BLAST").sum() / max(1, cells.leukocyte[rows].sum()))
        raised.append(alarm.raised)
        within.append(alarm.percent is not None and alarm.low <= 100 * truth[-1] <= alarm.high)
    shares, up = np.array(truth), np.array(raised)
    rng, validation = np.random.default_rng(0), (cells.table["split"] == "val").to_numpy()
    slides = {"pbc, validation": list(cells.usual((cells.sources == "pbc") & validation, rng))}
    slides |= {
        name: list(cells.usual(cells.sources == name, rng)) for name in ("raabin", "chula", "bcisc", "cellavision")
    }
    own = cells.groups[cells.sources == "lymphocytosis"]
    slides["lymphocytosis, each patient's sampled lymphocytes"] = [
        np.flatnonzero((cells.sources == "lymphocytosis") & (cells.groups == patient)) for patient in np.unique(own)
    ]
    slides["hopkins, each patient without its blasts and smudge cells"] = [
        rows[cells.known[rows]] for rows in cells.patients() if cells.known[rows].any()
    ]
    return {
        "patients with >= 20 % blasts": share(up[shares >= 0.2]),
        "patients with >= 5 % blasts": share(up[shares >= 0.05]),
        "patients without a blast": share(up[shares == 0]),
        "share of blasts within its limits": share(np.array(within)),
        "slides without blasts": {
            name: share(np.array([cells.alarm(rows).raised for rows in some])) for name, some in slides.items()
        },
    }


def served(bundle: Bundle, cells: Cells) -> NDArray[np.str_]:
    """Coarse class of each cell of the patients by a bundle as served, its classes outside set aside."""
    classifier, found = Classifier(bundle), cells.found.copy()
    for rows in cells.patients():
        listed = cells.table[rows].select("cell_id", "path").iter_rows()
        table = pl.concat([part.cells for part in classifier.slide([CellInput(*cell) for cell in listed]).rows()])
        own = dict(among_fine(table).select("cell_id", "coarse").iter_rows())
        found[rows] = [own.get(cell_id) or "" for cell_id in cells.table[rows]["cell_id"]]
    return found


def percents(codes: NDArray[np.str_]) -> list[float]:
    """Share of each counted class among the leukocytes, in %."""
    leukocytes = sum(bool(code) and find(code).place is Place.DIFFERENTIAL for code in codes)
    return [100 * float((codes == code).sum()) / max(1, leukocytes) for code in COUNTED]


def differentials(cells: Cells, bundle: Bundle) -> dict[str, Any]:
    """Correlation and bias of the differential's lines over the patients, and accuracy of known cells."""
    truth = np.array([percents(cells.truth[rows]) for rows in cells.patients()])
    every, result = np.concatenate(list(cells.patients())), {}
    for name, own in (("without classes outside", bundle.healthy), ("with classes outside", bundle)):
        cells.found = served(own, cells)
        classes = (lambda rows: cells.found[rows]) if own.card.outside is None else cells.classes
        table = np.array([percents(classes(rows)) for rows in cells.patients()])
        with_blasts = truth[:, COUNTED.index("BLAST")] > 0
        answers = np.concatenate([classes(rows) for rows in cells.patients()])
        known = cells.known[every]
        blasts, counts = np.unique(answers[cells.codes[every] == "BLAST"], return_counts=True)
        result[name] = {
            "r": {
                code: round(float(pearsonr(truth[:, at], table[:, at]).statistic), 3)
                for at, code in enumerate(COUNTED) if table[:, at].any()
            },
            "bias, points, patients with blasts": {
                code: round(float((table - truth)[with_blasts, at].mean()), 2) for at, code in enumerate(COUNTED)
            },
            "accuracy of known cells, 8 classes": share((answers == cells.truth[every])[known]),
            "blasts are counted as": dict(zip(blasts.tolist(), counts.tolist(), strict=True)),
        }  # fmt: skip
    return result


def diagnoses(model: str, how: OutsideSettings) -> dict[str, Any]:
    """Blasts of one leukaemia by a head that learnt those of the other alone."""
    root = data_folder() / "cells" / "hopkins"
    diagnosis = dict(pl.read_csv(root / "labels.csv").select("patient", "diagnosis").iter_rows())
    seen = read_wide(open_bundle(model), list_outside_cells(how, data_folder()), how, silent)
    codes, groups = seen.cells["code"].to_numpy(), seen.cells["group"].to_list()
    members = member_matrix(pl.Series(codes), how.classes)
    train = members.any(axis=1) & (seen.cells["split"] == "train").to_numpy()
    of, result = np.array([diagnosis.get(group, "") for group in groups]), {}
    known = ~np.isin(codes, [cell.code for cell in OUTSIDE if cell.coarse is None])
    for name in ("AML", "APL"):
        head = fit_outside_head(seen.views, members, sampling(seen.cells, how, train & (of != name)), how)
        probability = with_fine(outside_logits(evidence_of(head, seen.views[0])))[:, 1 + how.classes.index("BLAST")]
        both = (of == name) & (known | (codes == "BLAST"))
        auroc = delong_interval((codes == "BLAST")[both], probability[both])
        result[f"{name} left out"] = {"auroc": auroc.value, "low": auroc.low, "high": auroc.high}
    return result


def settings_tried(cells: Cells) -> list[dict[str, float]]:
    """The figures by the two settings of a slide's shift, on patients left out of the heads and not of this choice."""
    rows, found = list(cells.patients()), []
    every = np.concatenate(rows)
    known, blasts = cells.known[every], cells.codes[every] == "BLAST"
    truth = [percents(cells.truth[one])[-1] for one in rows]
    for known_share in (0.4, 0.5, 0.6, 0.7):
        others = np.array(cells.how.prior[1:])
        prior = (known_share, *((1 - known_share) * others / others.sum()).tolist())
        for prior_cells in (100.0, 200.0, 400.0):
            how = cells.how.model_copy(update={"prior": prior, "prior_cells": prior_cells})
            answers = [cells.classes(one, how) for one in rows]
            called = np.isin(np.concatenate(answers), how.classes)
            found.append({
                "known_share": known_share,
                "prior_cells": prior_cells,
                "known_called_outside": round(float(called[known].mean()), 4),
                "recall_blast": round(float((np.concatenate(answers)[blasts] == "BLAST").mean()), 4),
                "r_blast_share": round(float(pearsonr(truth, [percents(one)[-1] for one in answers]).statistic), 4),
            })  # fmt: skip
    return found


def main(run: Path) -> None:
    bundle = open_bundle(str(run / "bundle"))
    if bundle.card.outside is None:
        raise SystemExit(f"{run}: no run of leukopy model fit-outside.")
    cells = Cells(run, bundle.card.outside)
    model = read_json(run / "run.json")["settings"]["model"]
    figures = {
        "cells by patients left out": read_json(run / "outside.json"),
        "alarm": alarms(cells),
        "settings tried": settings_tried(cells),
        "differential": differentials(cells, bundle),
        "diagnoses": diagnoses(model, OutsideSettings.build(bundle.card.outside.recipe)),
    }
    print(write("outside", figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
