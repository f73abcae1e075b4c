"""Add classes outside (blasts, smudge cells) to a bundle's network; its fine classes do not change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from leukopy.core.errors import TrainingError
from leukopy.core.files import write_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import begin, finish, record
from leukopy.core.settings import Settings
from leukopy.workflows.train import require_torch

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.bundle import Bundle, Card, DatasetUse, Metric, OutsideClasses
    from leukopy.network.head import Head
    from leukopy.training.outside_head import OutsideCells, OutsideSettings

REPORT_FILE, CELLS_FILE = "outside.json", "cells.parquet"


class FitOutsideSettings(Settings):
    """Settings of `fit_outside`."""

    model: str = "default"
    """A bundled model, or a bundle folder."""
    fold_models: tuple[str, ...] = ()
    """For a model trained on these patients: bundle folders of its trainings, each without one part of the patients, in
    order (`leukopy model build`). None: the network did not see them."""
    known_share: float = Field(default=0.5, gt=0, lt=1)
    """Prior share of the fine classes, for the shares of a slide."""
    prior_cells: float = Field(default=200, gt=0)
    """Number of a slide's cells that weigh as much as the prior."""
    head: dict[str, Any] = Field(default_factory=dict)
    """Settings of the head's fit (`training.outside_head.OutsideSettings`)."""


@dataclass(frozen=True)
class FitOutsideResult:
    """The new bundle, its card, and the number of cells left out of the fit for a doubtful label."""

    bundle: Path
    card: Card
    doubtful: int


def fit_outside(
    settings: FitOutsideSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> FitOutsideResult:
    """Add the output ``outside`` to a bundle's network, measured by patients and by laboratories left out.

    The fine classes stay bit for bit as they are. Cells whose label the cells of other patients contradict are left out
    of the last fit, and counted.

    Args:
        settings: the settings.
        out: receives ``bundle/``, ``outside.json`` (all figures), ``cells.parquet`` (out-of-fold evidence) and
            ``run.json``.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells and the fits.

    Raises:
        MissingExtraError: torch is not installed.
        BundleError: the model is absent, broken or foreign, its head is not linear, or it lacks the stages.
        TrainingError: the sources hold no cell of a class outside, or the network would change.
        InputError: the pictures of the sources are not there.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    require_torch()
    from leukopy.bundle import OutsideClasses, add_learnt, carry_over, open_bundle, write_bundle
    from leukopy.training.attribute_heads import card_for
    from leukopy.training.outside_head import OutsideSettings, list_outside_cells

    how = OutsideSettings.build(settings.head, where="head")
    bundle = open_bundle(settings.model)
    cells = list_outside_cells(how, data_folder())
    _refuse_own(bundle.card)
    _check_folds(settings, how, bundle.card)
    run = record("fit-outside", settings, model={"name": bundle.card.name, "sha256": bundle.card.model.sha256})
    begin(out, run, overwrite=overwrite)
    seen = read_wide(bundle, cells, how, progress)
    others = (1 - settings.known_share) / sum(_counts(seen, how).values())
    card = OutsideClasses(
        classes=how.classes,
        prior=(settings.known_share, *(count * others for count in _counts(seen, how).values())),
        prior_cells=settings.prior_cells,
        method=_method(how),
        fitted_on="",
        extends=(bundle.card.outside.extends if bundle.card.outside else "") or bundle.card.model.sha256,
        recipe=how.model_dump(mode="json"),
    )
    folds = [read_wide(open_bundle(one), cells, how, progress) for one in settings.fold_models]
    evidence, doubtful, head = _fits(seen, how, folds, progress)
    seen = _as_by_folds(seen, folds)
    found = _measure(seen, evidence, doubtful, card)
    _write_cells(out, seen, evidence, doubtful)
    trained = ~doubtful & (seen.cells["split"] == "train").to_numpy()
    card = card.model_copy(
        update={
            "fitted_on": f"{int(trained.sum()):,} cells; {int(doubtful.sum()):,} more left out for a doubtful label",
            "trained_on": _uses(seen.cells, trained, bundle.card),
            "metrics": _metrics(found),
        }
    )
    content = _extended(bundle, head, seen, card)
    written = write_bundle(out / "bundle", card_for(bundle.card, content, outside=card, count_error=None), content)
    carry_over(bundle, written)
    add_learnt(written.path, seen.cells.filter(trained)["path"])
    write_json(out / REPORT_FILE, {**found, "doubtful": int(doubtful.sum()), "not_read": seen.left_out})
    finish(out, run, failures=seen.left_out)
    return FitOutsideResult(written.path, written.card, int(doubtful.sum()))


def read_wide(bundle: Bundle, cells: pl.DataFrame, how: OutsideSettings, progress: Progress) -> OutsideCells:
    """The wide embedding of cells by a bundle's network."""
    import tempfile

    import onnx

    from leukopy.bundle import write_bundle
    from leukopy.network.outside import without_outside
    from leukopy.network.wide_head import with_wide_embedding
    from leukopy.training.attribute_heads import card_for
    from leukopy.training.outside_head import read_outside_cells

    plain = without_outside(onnx.load(bundle.model_path)).SerializeToString()
    content, _ = with_wide_embedding(plain)
    with tempfile.TemporaryDirectory() as scratch:
        wide = write_bundle(Path(scratch), card_for(bundle.card, content, outside=None, count_error=None), content)
        return read_outside_cells(wide, cells, how, progress)


def _counts(seen: OutsideCells, how: OutsideSettings) -> dict[str, int]:
    codes = seen.cells["code"]
    return {code: int((codes == code).sum()) for code in how.classes}


def _method(how: OutsideSettings) -> str:
    return (
        "A linear layer on the embedding and the channel statistics of six maps, fitted to the fine classes and the "
        f"classes outside ({', '.join(how.classes)}) on cells as served and in {how.views} augmented views; the "
        "output is the evidence for a class outside against all fine classes together. The logits of a slide are "
        "shifted by its own shares."
    )


def _refuse_own(card: Card) -> None:
    """Refuse a model with own classes: the new head would replace them."""
    if card.outside and card.outside.own:
        names = ", ".join(cell.name for cell in card.outside.own)
        raise TrainingError(
            f"{card.name}: answers classes of a laboratory's own ({names}), which this fit would replace. Fit the "
            "classes outside first, and add your own with 'leukopy adapt'."
        )


def _check_folds(settings: FitOutsideSettings, how: OutsideSettings, card: Card) -> None:
    """Refuse figures of patients whom the network itself saw.

    Raises:
        TrainingError: it learnt classes outside, and there is no network without each part of the patients.
    """
    wanted = how.folds if (card.recipe or {}).get("outside") else 0
    if len(settings.fold_models) != wanted:
        raise TrainingError(
            f"{card.name}: learnt classes outside, so its patients are not unseen. Give fold_models, its "
            f"{wanted} trainings without each part of the patients; 'leukopy model build' makes them."
            if wanted
            else f"{card.name}: did not learn classes outside, so it needs no fold_models. Leave them out."
        )


def _as_by_folds(seen: OutsideCells, folds: list[OutsideCells]) -> OutsideCells:
    """The cells with the coarse class by the network that did not see them."""
    import polars as pl

    coarse = seen.cells["coarse"]
    for number, without in enumerate(folds):
        coarse = without.cells["coarse"].zip_with(without.cells["fold"] == number, coarse)
    return replace(seen, cells=seen.cells.with_columns(coarse=pl.Series(coarse)))


def _fits(
    seen: OutsideCells, how: OutsideSettings, folds: list[OutsideCells], progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.bool_], Head]:
    """Evidence of each cell by a head that saw neither its patient nor, for sources without one, its laboratory; the
    doubtful labels; and the head fitted to all the others."""
    import numpy as np

    from leukopy.training.outside_head import evidence_of, fit_outside_head, sampling
    from leukopy.training.sources import member_matrix

    members = member_matrix(seen.cells["code"], how.classes)
    train = members.any(axis=1) & (seen.cells["split"] == "train").to_numpy()
    parts = list(_parts(seen, how))
    evidence = np.zeros(members.shape, np.float32)
    for done, part in enumerate(parts):
        progress("fitting heads without each part", done, len(parts) + 1)
        views = folds[done].views if done < len(folds) else seen.views
        head = fit_outside_head(views, members, sampling(seen.cells, how, train & ~part), how)
        evidence[part] = evidence_of(head, views[0][part])
    doubtful = train & _doubtful(seen, evidence, members, how.clean_below)
    progress("fitting heads without each part", len(parts), len(parts) + 1)
    head = fit_outside_head(seen.views, members, sampling(seen.cells, how, train & ~doubtful), how)
    validation = (seen.cells["split"] == "val").to_numpy()
    evidence[validation] = evidence_of(head, seen.views[0][validation])
    progress("fitting heads without each part", len(parts) + 1, len(parts) + 1)
    return evidence, doubtful, head


def _parts(seen: OutsideCells, how: OutsideSettings) -> Iterator[NDArray[np.bool_]]:
    """Cells left out together: a part of the patients of sources with cells outside; else a whole source."""
    import numpy as np

    fold = seen.cells["fold"].to_numpy()
    yield from (fold == one for one in range(how.folds))
    sources = seen.cells["source"].to_numpy()
    yield from ((sources == source) & (fold < 0) for source in np.unique(sources[fold < 0]))


def _doubtful(
    seen: OutsideCells, evidence: NDArray[np.float32], members: NDArray[np.bool_], below: float
) -> NDArray[np.bool_]:
    """Cells of the sources with classes outside whose label is improbable by the cells of other patients."""
    import numpy as np

    from leukopy.network.probabilities import softmax

    holding = seen.cells.select(holds_outside()).to_series().to_numpy()
    own = (softmax(evidence) * members).sum(axis=1)
    return np.asarray(holding & members.any(axis=1) & (own < below))


def holds_outside() -> Any:
    """Cells of sources that hold a class in no coarse class: an expression on ``code`` and ``source``."""
    import polars as pl

    from leukopy.taxonomy import OUTSIDE

    return pl.col("code").is_in([cell.code for cell in OUTSIDE if cell.coarse is None]).any().over("source")


def _measure(
    seen: OutsideCells, evidence: NDArray[np.float32], doubtful: NDArray[np.bool_], card: OutsideClasses
) -> dict[str, Any]:
    """Figures of cells by heads that did not see them."""
    import numpy as np

    from leukopy.evaluation.ood import share_of
    from leukopy.evaluation.outside import score_outside, shares
    from leukopy.taxonomy import OUTSIDE, Place, find

    cells, codes = seen.cells, seen.cells["code"].to_numpy()
    holding = cells.select(holds_outside()).to_series().to_numpy()
    slides = np.where(holding, cells["group"].to_numpy(), cells["source"].to_numpy())
    probability = _of_slides(evidence, slides, card)
    called = np.array(["", *card.classes])[probability.argmax(axis=1)]
    known = ~np.isin(codes, [cell.code for cell in OUTSIDE if cell.coarse is None])
    scores = {
        code: score_outside(
            code, (codes == code)[holding], known[holding], probability[holding, 1 + place],
            (called == code)[holding], slides[holding],
        )
        for place, code in enumerate(card.classes)
    }  # fmt: skip
    answers = np.where(called == "", cells["coarse"].to_numpy(), called)
    leukocyte, counted = (
        np.array([find(code).place is Place.DIFFERENTIAL for code in table]) for table in (codes, answers)
    )
    is_blast, called_blast = codes == "BLAST", called == "BLAST"
    table = shares(
        is_blast[holding], called_blast[holding], leukocyte[holding], counted[holding], groups=slides[holding]
    )
    return {
        "classes": {code: asdict(score) for code, score in scores.items()},
        "known_called_outside": {
            source: asdict(share_of(called[known & rows] != "")) for source, (rows, _) in _unseen(cells).items()
        },
        "unseen": {source: words for source, (_, words) in _unseen(cells).items()},
        "known_called_outside_without_doubtful_labels": asdict(share_of(called[known & holding & ~doubtful] != "")),
        "blast_share": _share_figures(table),
    }


def _of_slides(evidence: NDArray[np.float32], slides: NDArray[np.str_], card: OutsideClasses) -> NDArray[np.float64]:
    """Probabilities (N, 1 + K) as served: by the shares of each slide."""
    import numpy as np

    from leukopy.network.outside import outside_logits
    from leukopy.slides.outside import estimate_shift, with_fine

    logits = outside_logits(evidence)
    found = np.zeros((len(slides), 1 + len(card.classes)))
    for slide in np.unique(slides):
        own = slides == slide
        found[own] = with_fine(logits[own], estimate_shift(logits[own], card))
    return found


def _unseen(cells: pl.DataFrame) -> dict[str, tuple[NDArray[np.bool_], str]]:
    """By source, the cells that no head behind their evidence saw, and in words why: its validation split, else all."""
    validation = (cells["split"] == "val").to_numpy()
    holding = cells.select(holds_outside()).to_series().to_numpy()
    found = {}
    for source in cells["source"].unique(maintain_order=True):
        own = (cells["source"] == source).to_numpy()
        if (own & validation).any():
            found[str(source)] = own & validation, "validation split"
        else:
            found[str(source)] = own, "patients left out in turn" if holding[own].any() else "left out of the fit"
    return found


def _share_figures(table: NDArray[np.float64]) -> dict[str, float]:
    import numpy as np

    truth, called = table[:, 0], table[:, 1]
    return {
        "patients": len(table),
        "r": float(np.corrcoef(truth, called)[0, 1]),
        "bias": float((called - truth).mean()),
    }


def _write_cells(out: Path, seen: OutsideCells, evidence: NDArray[np.float32], doubtful: NDArray[np.bool_]) -> None:
    import polars as pl

    from leukopy.core.files import atomic_path

    table = seen.cells.with_columns(evidence=pl.Series(evidence), doubtful=pl.Series(doubtful))
    with atomic_path(out / CELLS_FILE) as temporary:
        table.write_parquet(temporary)


def _uses(cells: pl.DataFrame, trained: NDArray[np.bool_], card: Card) -> tuple[DatasetUse, ...]:
    """The data sets of the head that the network did not learn from."""
    import polars as pl

    from leukopy.training.sources import uses

    known = {use.name for use in card.trained_on}
    return tuple(use for use in uses(cells.filter(pl.Series(trained))) if use.name not in known)


def _metrics(found: dict[str, Any]) -> tuple[Metric, ...]:
    from leukopy.bundle import Metric

    def metric(name: str, estimate: dict[str, Any], data: str) -> Metric:
        return Metric(name=name, value=estimate["value"], low=estimate["low"], high=estimate["high"], data=data)

    rows = []
    for code, score in found["classes"].items():
        data = f"{score['cells']:,} cells and {score['known']:,} known ones; patients left out in turn"
        names = {"auroc": "AUROC against known cells", "recall": "recall", "precision": "precision"}
        rows += [metric(f"{words}, {code}", score[name], data) for name, words in names.items()]
        rows.append(Metric(name=f"recall at 3 % of known cells, {code}", value=score["recall_at"], data=data))
    share = found["blast_share"]
    data = f"{share['patients']} patients, left out in turn"
    rows += [Metric(name=f"share of blasts, {name}", value=share[name], data=data) for name in ("r", "bias")]
    rows += [
        metric("known cells called a class outside", estimate, f"{source}: {found['unseen'][source]}")
        for source, estimate in found["known_called_outside"].items()
        if estimate["value"] is not None
    ]
    return tuple(rows)


def _extended(bundle: Bundle, head: Head, seen: OutsideCells, card: OutsideClasses) -> bytes:
    """The network with its output ``outside``.

    Raises:
        TrainingError: another output would change, or the network computes something else than what was fitted.
    """
    import tempfile

    import numpy as np
    import onnx

    from leukopy.bundle import write_bundle
    from leukopy.imaging.decode import read_cell
    from leukopy.inference import activations
    from leukopy.network.outside import OUTSIDE, outside_logits, with_outside
    from leukopy.training.attribute_heads import card_for
    from leukopy.training.outside_head import evidence_of

    before = onnx.load(bundle.model_path)
    content = bytes(with_outside(before, head).SerializeToString())
    names = [output.name for output in before.graph.output if output.name not in (OUTSIDE, "class_traits")]
    some = np.linspace(0, len(seen.cells) - 1, min(64, len(seen.cells))).astype(int)
    specs = [bundle.card.preprocess.model_copy(update={"crop": seen.cells["crop"][row]}) for row in some.tolist()]
    paths = [Path(seen.cells["path"][row]) for row in some.tolist()]
    pictures = np.stack([read_cell(path, spec).pixels for path, spec in zip(paths, specs, strict=True)])
    with tempfile.TemporaryDirectory() as scratch:
        scratch_card = card_for(bundle.card, content, outside=card, count_error=None)
        after = write_bundle(Path(scratch), scratch_card, content)
        found = activations(after, pictures, [*names, OUTSIDE])
    kept = activations(bundle, pictures, names)
    if not all(np.array_equal(found[name], kept[name]) for name in names):
        raise TrainingError("the network's other outputs changed when the classes outside were added; not exported.")
    expected = outside_logits(evidence_of(head, seen.views[0][some]))
    if not np.allclose(found[OUTSIDE], expected, atol=0.05):
        raise TrainingError("the network's classes outside differ from what was fitted; not exported.")
    return content
