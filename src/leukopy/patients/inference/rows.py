"""The rows that judging patients writes: one per patient, one per cell that was read, one per failure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from leukopy.inference.rows import FAILURE_SCHEMA
from leukopy.patients.card import FeatureReference
from leukopy.patients.inference.flags import LYMPHOCYTE, Flag, slide_flags
from leukopy.patients.inference.model import PatientResult
from leukopy.slides.record import SlideRecord

DECISIONS = ("reactive", "tumoral")

JUDGED_SCHEMA: dict[str, pl.DataType] = {
    "patient_id": pl.String(),
    "label": pl.Int8(),  # as the table states it: 0 reactive, 1 tumoral; null where unknown
    "age": pl.Float64(),  # years, as used
    "lymphocytes": pl.Float64(),  # 10^9/L, as used
    "probability": pl.Float64(),  # of tumoral; null, as all to ``spread``, without a decision
    "low": pl.Float64(),  # 95 % interval over which cells were photographed; null of a single cell
    "high": pl.Float64(),
    "decision": pl.String(),  # reactive or tumoral
    "operating_point": pl.String(),
    "threshold": pl.Float64(),  # tumoral from this probability on
    "log_odds": pl.Float64(),  # = those of the training's prevalence + the two effects
    "clinical_effect": pl.Float64(),
    "cells_effect": pl.Float64(),
    "spread": pl.Float64(),  # standard deviation of the log-odds of the ensemble's members
    "cells": pl.Int32(),  # that were read and used
    "cells_failed": pl.Int32(),  # pictures that could not be read
    "cells_left_out": pl.Int32(),  # pictures that show no single cell, and copies of others
    "other_cells": pl.Float64(),  # share of the cells that the cell model calls no lymphocyte
    "flags": pl.List(pl.String()),  # words of Flag
    "remarks": pl.List(pl.String()),  # the sentences of the flags
}

BAG_CELL_SCHEMA: dict[str, pl.DataType] = {
    "patient_id": pl.String(),
    "cell_id": pl.String(),
    "path": pl.String(),
    "coarse": pl.String(),  # coarse class by the cell model
    "confidence": pl.Float32(),  # its calibrated probability
    "influence": pl.Float64(),  # log-odds of the patient minus those without this cell; null of a single cell
    # and, as ``weight``, of a patient without a decision
    "weight": pl.Float64(),  # share in the pooling
    "heat": pl.List(pl.List(pl.Float32())),  # of the cells that weighed most: rows of the heat map, 0 to 1
    "heat_method": pl.String(),  # grad_cam or occlusion
}

FEATURE_SCHEMA: dict[str, pl.DataType] = {
    "patient_id": pl.String(),
    "feature": pl.String(),  # in words
    "mean": pl.Float64(),  # over the patient's cells that have it; null where none has
    "reactive": pl.Float64(),  # mean over the reactive patients of the training
    "tumoral": pl.Float64(),
    "effect": pl.Float64(),  # log-odds minus those with the mean halfway between the two; null where no cell has it
}

PATIENT_FAILURE_SCHEMA: dict[str, pl.DataType] = {"patient_id": pl.String(), **FAILURE_SCHEMA}
"""An image that was not read; or, without cell_id, a patient who was not judged."""

_NOTHING = 1e-5
"""Log-odds: smaller influences are float32's last digit."""


def judged(patient: Mapping[str, Any], result: PatientResult, record: SlideRecord) -> dict[str, Any]:
    """The row of a patient that was judged.

    Args:
        patient: a row of ``datasets.PATIENT_SCHEMA``.
        result: what the model says.
        record: what became of the pictures.
    """
    return {
        **_known(patient),
        "probability": result.probability,
        "low": result.low,
        "high": result.high,
        "decision": DECISIONS[result.tumoral],
        "operating_point": result.point.name,
        "threshold": result.point.threshold,
        "log_odds": result.log_odds,
        "clinical_effect": result.clinical_effect,
        "cells_effect": result.cells_effect,
        "spread": result.spread,
        **_pictures(record, len(result.weights)),
        "other_cells": result.other_cells,
        **_flags([*result.flags, *slide_flags(record)]),
    }


def not_judged(patient: Mapping[str, Any], reason: Flag, classes: Sequence[str], record: SlideRecord) -> dict[str, Any]:
    """The row of a patient without a decision.

    Args:
        patient: a row of ``datasets.PATIENT_SCHEMA``.
        reason: why.
        classes: coarse class of each cell of the bag.
        record: what became of the pictures.
    """
    return {
        **_known(patient),
        **_pictures(record, len(classes)),
        "other_cells": sum(code != LYMPHOCYTE for code in classes) / len(classes) if classes else None,
        **_flags([reason, *slide_flags(record)]),
    }


def bag_cells(patient_id: str, cells: pl.DataFrame, result: PatientResult | None) -> pl.DataFrame:
    """Rows of ``BAG_CELL_SCHEMA`` but for the heat maps, in the order of the bag.

    Args:
        patient_id: whose cells they are.
        cells: as `CellReader.read` gives them.
        result: what the model says; None of a patient without a decision.
    """
    nothing = [None] * cells.height
    return cells.with_columns(
        pl.lit(patient_id).alias("patient_id"),
        pl.Series("influence", result.influence if result else nothing, pl.Float64).fill_nan(None),
        pl.Series("weight", result.weights if result else nothing, pl.Float64),
    )


def feature_rows(
    patient_id: str, references: Sequence[FeatureReference], means: NDArray[np.float64], effects: NDArray[np.float64]
) -> pl.DataFrame:
    """Rows of ``FEATURE_SCHEMA``, in the order of the features.

    Args:
        patient_id: of whom.
        references: D features, as the card names them.
        means: (D,), as `PatientModel.feature_effects` gives them.
        effects: (D,), likewise.
    """
    rows = [
        (patient_id, reference.name, mean, reference.reactive, reference.tumoral, effect)
        for reference, mean, effect in zip(references, means.tolist(), effects.tolist(), strict=True)
    ]
    return pl.DataFrame(rows, schema=FEATURE_SCHEMA, orient="row").fill_nan(None)


def speak_most(features: pl.DataFrame, count: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The ``count`` rows of ``FEATURE_SCHEMA`` that speak most for tumoral, and for reactive, the strongest first."""
    tumoral = features.filter(pl.col("effect") > _NOTHING).sort("effect", descending=True, maintain_order=True)
    reactive = features.filter(pl.col("effect") < -_NOTHING).sort("effect", maintain_order=True)
    return tumoral.head(count), reactive.head(count)


def weighed_most(influence: NDArray[np.float64], count: int) -> tuple[list[int], list[int]]:
    """Rows of the ``count`` cells that spoke most for tumoral, and for reactive, the weightiest first.

    A cell without influence is in neither; equals keep the order of the bag.
    """
    order = np.argsort(-influence, kind="stable")
    tumoral = [int(row) for row in order[:count] if influence[row] > _NOTHING]
    backwards = np.argsort(influence, kind="stable")
    return tumoral, [int(row) for row in backwards[:count] if influence[row] < -_NOTHING]


def _known(patient: Mapping[str, Any]) -> dict[str, Any]:
    return {name: patient[name] for name in ("patient_id", "label", "age", "lymphocytes")}


def _pictures(record: SlideRecord, cells: int) -> dict[str, int]:
    return {
        "cells": cells,
        "cells_failed": record.failures,
        "cells_left_out": record.no_cell + record.several_cells + record.duplicates,
    }


def _flags(flags: Sequence[Flag]) -> dict[str, list[str]]:
    return {"flags": [flag.word for flag in flags], "remarks": [flag.message for flag in flags]}
