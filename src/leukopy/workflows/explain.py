"""Explanations of cells: heat maps, their faithfulness, and the nearest training cells."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from leukopy.core.errors import ImageError, SettingsError
from leukopy.core.files import atomic_path, write_text
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import Record, begin, finish, record
from leukopy.core.settings import Settings, Shown

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from leukopy.explain import Explainer, Heat, NeighbourIndex, Subject
    from leukopy.explain.scores import Case, Figures
    from leukopy.inference.rows import CellInput
    from leukopy.reports.explanation import Like, Map, ShownCell
    from leukopy.reports.overlay import View
    from leukopy.slides.slide import Slide

OVERLAYS = "overlays"
HEAT_FILE = "heat.npz"


class ExplainSettings(Settings):
    """Settings of `explain`."""

    inputs: tuple[Path, ...] = Field(min_length=1)
    """Cell images, folders of them, lists (.txt) or manifests (.csv, .parquet)."""
    model: str = "default"
    """A bundled model, a bundle folder, or the folder of a training run."""
    methods: tuple[str, ...] = Field(default=("cam",), min_length=1)
    """cam, score-cam; with a training run also grad-cam, grad-cam++, roll-out. May be repeated."""
    target: Annotated[str | None, Shown("the class of each cell")] = None
    """Class to explain, by its code (SNE, BNE, EO …)."""
    views: Literal[1, 8] = 8
    """8: the mean map over the rotated and mirrored views of a cell; 1: the map of the picture itself."""
    steps: int = Field(default=20, ge=0, le=500)
    """Steps of deletion and insertion; 0: not measured."""
    sanity: int = Field(default=20, ge=0, le=1000)
    """Images on which the maps are compared with those of random weights. MODEL must be a training run."""
    neighbours: int = Field(default=5, ge=0, le=50)
    """Nearest training cells shown for each cell, where the bundle has an index of them."""

    @field_validator("inputs")
    @classmethod
    def _absolute(cls, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        """Make the paths absolute, so that a saved run can be repeated from any folder."""
        return tuple(path.absolute() for path in paths)


@dataclass(frozen=True)
class ExplainResult:
    """Results of an explanation, and their folder."""

    folder: Path
    report: Path
    cells: int
    failures: int
    figures: tuple[Figures, ...]
    """Averages of each method and baseline."""


@dataclass
class _Found:
    """Results accumulated over the cells."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    neighbours: list[dict[str, Any]] = field(default_factory=list)
    failures: list[pl.DataFrame] = field(default_factory=list)
    shown: list[ShownCell] = field(default_factory=list)
    compared: list[tuple[NDArray[np.uint8], int, dict[str, Heat]]] = field(default_factory=list)
    """Picture, class and heat by method of the images of the sanity check."""
    names: set[str] = field(default_factory=set)
    """Names of the files written."""
    done: int = 0


@dataclass(frozen=True)
class _Tools:
    """Tools to explain one cell."""

    settings: ExplainSettings
    subject: Subject
    slide: Slide
    explainers: dict[str, Explainer]
    index: NeighbourIndex | None
    grid: int
    """Positions along a side of the network's feature map."""
    paths: dict[str, str]
    """Cell id -> path as the operating system gives it."""


def explain(
    settings: ExplainSettings, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> ExplainResult:
    """Classify the cells of ``settings.inputs``, and compute heat maps of the evidence in each.

    Args:
        settings: the settings.
        out: receives ``overlays/<cell>_<method>.png``, ``heat.npz`` (float16 arrays of the network's size by the same
            names), ``explanations.parquet`` and ``.csv``, ``neighbours.csv``, ``summary.md``, ``report.html``,
            ``failures.csv`` and ``run.json``.
        overwrite: overwrite the results in ``out``.
        progress: reports the cells explained.

    Raises:
        InputError: nothing to read, or a training run's checkpoint is damaged.
        SettingsError: an unknown method or class, or a method that does not fit this network.
        BundleError: the model is absent, broken or foreign, or lacks what a method needs.
        MissingExtraError: a method needs torch.
        OutputError: ``out`` holds something else, or cannot be written.
    """
    from leukopy.inference.openvino import runtime

    inputs = gather_all(settings.inputs)
    tools = _open(settings, {cell.cell_id: cell.path for cell in inputs})
    card = tools.subject.bundle.card
    run = record("explain", settings, model={"name": card.name, "sha256": card.model.sha256}, runtime=runtime())
    begin(out, run, overwrite=overwrite)
    found = _Found()
    try:
        with _heat_file(out / HEAT_FILE) as heat_file:
            for _ in _explain_all(tools, inputs, out, found, heat_file):
                progress("explaining", found.done, len(inputs))
    except KeyboardInterrupt as interrupt:
        kept = f"the overlays of {len(found.names)} maps are saved in {out / OVERLAYS}"
        raise KeyboardInterrupt(f"{kept}; run again with --overwrite for the tables.") from interrupt
    return _write(tools, found, out, run)


def gather_all(paths: tuple[Path, ...]) -> list[CellInput]:
    """The cells of several inputs, each file once; their ids are then their paths below the folder that holds all.

    Raises:
        InputError: as `inference.inputs.list_inputs`.
    """
    from leukopy.inference.inputs import list_inputs
    from leukopy.inference.rows import CellInput, printable

    if len(paths) == 1:
        return list_inputs(paths[0]).cells
    files = list(dict.fromkeys(cell.path for path in paths for cell in list_inputs(path).cells))
    top = os.path.commonpath([Path(file).parent for file in files])
    return [CellInput(printable(os.path.relpath(file, top)), file) for file in files]


def _open(settings: ExplainSettings, paths: dict[str, str]) -> _Tools:
    """Check every input before the first file is written."""
    import numpy as np

    from leukopy.explain import METHODS, open_subject, read_index
    from leukopy.inference import activations
    from leukopy.inference.rows import CellInput
    from leukopy.slides.classifier import Classifier
    from leukopy.taxonomy import FINE

    codes = [cell.code for cell in FINE]
    if settings.target is not None and settings.target not in codes:
        raise SettingsError(f"--target {settings.target}: not a fine class; known: {', '.join(codes)}.")
    opened = {name: METHODS[name] for name in settings.methods}
    subject = open_subject(settings.model)
    slide = Classifier(subject.bundle).slide([CellInput(*cell) for cell in paths.items()])
    subject = replace(subject, bundle=subject.bundle.with_preprocess(slide.preprocess))
    side = subject.bundle.card.preprocess.size
    nothing = np.zeros((0, side, side, 3), np.uint8)
    grid = activations(subject.bundle, nothing, ["feature_map"])["feature_map"].shape[-1]
    explainers = {name: _viewed(method.open(subject), settings) for name, method in opened.items()}
    index = read_index(subject.bundle) if settings.neighbours else None
    return _Tools(settings, subject, slide, explainers, index, grid, paths)


def _viewed(explainer: Explainer, settings: ExplainSettings) -> Explainer:
    from leukopy.explain import of_all_views

    return of_all_views(explainer) if settings.views == 8 else explainer


@contextmanager
def _heat_file(path: Path) -> Iterator[zipfile.ZipFile]:
    """An ``.npz`` that is filled array by array, so that no folder is too large for the memory."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        yield archive


def _explain_all(
    tools: _Tools, inputs: list[CellInput], out: Path, found: _Found, heat_file: zipfile.ZipFile
) -> Iterator[None]:
    """Explain each cell and write its overlays; yields after each."""
    import polars as pl

    from leukopy.inference.rows import FAILURE_SCHEMA, without_class

    for part in tools.slide.rows(inputs):
        failures = pl.concat([part.failures, without_class(part.cells)])
        found.failures.append(failures)
        found.done += len(failures)
        for cell in part.cells.filter(pl.col("fine").is_not_null()).iter_rows(named=True):
            try:
                _explain_one(tools, cell, out, found, heat_file)
            except ImageError as error:  # gone or changed since it was classified
                row = (cell["cell_id"], cell["path"], error.reason, str(error))
                found.failures.append(pl.DataFrame([row], schema=FAILURE_SCHEMA, orient="row"))
            found.done += 1
            yield
    yield


def _explain_one(tools: _Tools, cell: dict[str, Any], out: Path, found: _Found, heat_file: zipfile.ZipFile) -> None:
    import numpy as np

    from leukopy.explain.scores import BASELINES, baseline, measure
    from leukopy.inference.attribute_columns import words
    from leukopy.reports.explanation import CELLS_SHOWN, show_cell
    from leukopy.taxonomy import FINE

    fine = [one.code for one in FINE]
    # A class outside has no map of its own: the map is of the fine class that is nearest.
    own = cell["fine"] if cell["fine"] in fine else max(fine, key=lambda code: float(cell[f"p_{code}"]))
    target = tools.settings.target or own
    case, view = _prepare(tools, Path(tools.paths[cell["cell_id"]]), fine.index(target))
    heats = {
        name: explainer(case.picture[None], np.array([case.target]))[0] for name, explainer in tools.explainers.items()
    }
    if len(found.compared) < tools.settings.sanity and tools.subject.run is not None:
        found.compared.append((case.picture, case.target, heats))
    neighbours = _neighbours(tools, case, cell, found)
    shared = {name: cell[name] for name in ("cell_id", "path", "coarse", "fine", "confidence", "fine_confidence")}
    shared |= {"flags": cell["flags"], "why": words(cell), "target": target, "probability": cell[f"p_{target}"]}
    agree = [like.code == cell["fine"] for like in neighbours]
    shared["neighbours_agree"] = sum(agree) / len(agree) if agree else None
    seed = len(found.rows)
    named = [*heats.items()]
    if tools.settings.steps:
        named += [(name, baseline(name, len(case.picture), tools.grid, seed)) for name in BASELINES]
    rows = [
        {**shared, "method": name, **measure(tools.subject.bundle, case, heat, tools.settings.steps)}
        for name, heat in named
    ]
    found.rows += rows
    maps = [_keep(row, heats[row["method"]], view, out, found, heat_file) for row in rows[: len(heats)]]
    if len(found.shown) < CELLS_SHOWN:
        found.shown.append(show_cell(shared, view, maps, neighbours))


def _prepare(tools: _Tools, path: Path, target: int) -> tuple[Case, View]:
    """The cell as network input, with its masks; and enlarged for display."""
    import numpy as np
    from PIL import Image

    from leukopy.explain.scores import Case
    from leukopy.imaging.decode import prepare, read_picture
    from leukopy.imaging.preprocess import Preprocess
    from leukopy.imaging.segmentation import segment
    from leukopy.reports.overlay import VIEW, View

    spec = tools.subject.bundle.card.preprocess
    picture = read_picture(path, round(VIEW / spec.crop))
    large = prepare(picture, Preprocess(size=VIEW, crop=spec.crop)).pixels
    masks = segment(large)

    def shares(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        picture = Image.fromarray(mask.astype(np.float32))
        return np.array(picture.resize((spec.size, spec.size), Image.Resampling.BOX))

    case = Case(prepare(picture, spec).pixels, shares(masks.cell), shares(masks.nucleus), target)
    return case, View(large, masks)


def _neighbours(tools: _Tools, case: Case, cell: dict[str, Any], found: _Found) -> list[Like]:
    """The training cells nearest to a cell, also appended to the rows."""
    from leukopy.explain import nearest
    from leukopy.explain.neighbours import picture_path
    from leukopy.inference import activations
    from leukopy.reports.explanation import show_neighbour

    if tools.index is None:
        return []
    embedding = activations(tools.subject.bundle, case.picture[None], ["embedding"])["embedding"]
    (near,) = nearest(tools.index, embedding, tools.settings.neighbours)
    found.neighbours += [
        {"cell_id": cell["cell_id"], "rank": rank, "neighbour": one.cell_id, "code": one.code,
         "similarity": one.similarity}
        for rank, one in enumerate(near, start=1)
    ]  # fmt: skip
    return [show_neighbour(one, picture_path(tools.index, one, data_folder())) for one in near]


def _keep(row: dict[str, Any], heat: Heat, view: View, out: Path, found: _Found, heat_file: zipfile.ZipFile) -> Map:
    """Write the overlay and the array of one map; returns what the page shows of it."""
    import numpy as np

    from leukopy.reports.explanation import lines_of, show_map
    from leukopy.reports.overlay import side_by_side

    name = file_name(row["cell_id"], row["method"], found.names)
    with atomic_path(out / OVERLAYS / f"{name}.png") as temporary:
        temporary.write_bytes(side_by_side(view, heat, lines_of(row)))
    with heat_file.open(f"{name}.npy", "w") as stream:
        np.lib.format.write_array(stream, heat.astype(np.float16))
    return show_map(row, view, heat)


def file_name(cell_id: str, method: str, taken: set[str]) -> str:
    """``<cell>_<method>``, fit for any file system and unlike those in ``taken``, to which it is added."""
    stem = re.sub(r"[^\w.-]", "_", cell_id, flags=re.ASCII)[-150:].lstrip(".") or "cell"
    name, number = f"{stem}_{method}", 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}_{method}"
    taken.add(name.lower())
    return name


def _sanity(tools: _Tools, found: _Found) -> dict[str, NDArray[np.float64]]:
    """Rank correlation of each method's maps with those of a network with random weights."""
    import numpy as np

    from leukopy.explain import randomised, rank_correlation

    if not found.compared:
        return {}
    pictures = np.stack([picture for picture, _, _ in found.compared])
    classes = np.array([target for _, target, _ in found.compared])
    correlations = {}
    for name in tools.explainers:
        random = randomised(tools.subject, name)
        if random is not None:
            trained = np.stack([heats[name] for _, _, heats in found.compared])
            correlations[name] = rank_correlation(trained, _viewed(random, tools.settings)(pictures, classes))
    return correlations


def _write(tools: _Tools, found: _Found, out: Path, run: Record) -> ExplainResult:
    """Write the tables and the report."""
    from io import BytesIO

    import polars as pl

    from leukopy.explain.scores import EXPLANATION_SCHEMA, figures
    from leukopy.inference.rows import FAILURE_SCHEMA
    from leukopy.reports.explanation import ExplanationContent, write_explanation

    rows = pl.DataFrame(found.rows, schema=EXPLANATION_SCHEMA)
    failures = pl.concat([pl.DataFrame(schema=FAILURE_SCHEMA), *found.failures])
    stream = BytesIO()
    rows.write_parquet(stream)
    with atomic_path(out / "explanations.parquet") as temporary:
        temporary.write_bytes(stream.getvalue())
    write_text(out / "explanations.csv", rows.write_csv(float_precision=6))
    write_text(out / "failures.csv", failures.write_csv())
    if tools.index is not None:
        write_text(out / "neighbours.csv", pl.DataFrame(found.neighbours).write_csv(float_precision=4))
    averages = tuple(figures(rows, _sanity(tools, found)))
    cells = rows["cell_id"].n_unique()
    content = ExplanationContent(
        title=", ".join(path.name for path in tools.settings.inputs[:3])
        + (" …" if len(tools.settings.inputs) > 3 else ""),
        cells=found.shown,
        cells_total=cells,
        figures=averages,
        notes=_notes(tools),
        failures=failures,
        card=tools.subject.bundle.card,
        provenance={**run["provenance"], "model": run["model"]},
    )
    write_explanation(out, content)
    counts = {"cells": cells, "failures": failures.height}
    finish(out, run, counts=counts, figures=[asdict(one) for one in averages])
    return ExplainResult(out, out / "report.html", cells, failures.height, averages)


def _notes(tools: _Tools) -> list[str]:
    """Analyses not done, and the option that enables each."""
    notes = []
    if tools.grid <= 8:
        notes.append(
            f"This network's last feature map has {tools.grid} × {tools.grid} positions: a heat map shows no detail "
            "finer than that."
        )
    if tools.settings.views == 1:
        notes.append(
            "Maps of one view: a coarse network favours some places whatever the cell does (--views 8 does not)."
        )
    if tools.settings.sanity and tools.subject.run is None:
        notes.append("The check against random weights needs the training run: --model runs/….")
    if tools.settings.neighbours and tools.index is None:
        notes.append("The bundle has no index of training cells: leukopy model index makes one.")
    return notes
