"""The folder of a reader of the documentation: the pictures and tables that a page takes for granted, drawn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import polars as pl
import tifffile
from PIL import Image

from leukopy.patients.workflows.draw import DrawPatientsSettings, draw_patients
from leukopy.synthesis import draw_field
from leukopy.workflows.adapt import AdaptSettings, adapt
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw import DrawSettings, draw
from leukopy.workflows.draw_slide import DrawSlideSettings, draw_slide
from leukopy.workflows.exchange import export_prelabels
from support.colour_model import build_colour_bundle
from support.commands import blocks
from support.files import REPOSITORY
from support.found import save_pixels
from support.slides import levels_of, write_slide, write_svs
from support.training_run import write_run

if TYPE_CHECKING:
    from leukopy.review.records import Case, User
    from leukopy.review.store import Store

CELLS = 24


def slide_of_cells(folder: Path, seed: int = 1) -> Path:
    """Pictures of single cells, `c00.jpg` and so on."""
    folder.mkdir(parents=True)
    with TemporaryDirectory() as work:
        drawn = draw(DrawSettings(cells=CELLS, size=96, seed=seed), Path(work) / "drawn")
        for number, path in enumerate(sorted(drawn.cells.iterdir())):
            Image.open(path).save(folder / f"c{number:02d}.jpg", quality=95)
    return folder


def night_of_cells(folder: Path) -> None:
    for seed, name in enumerate(("P01", "P02"), 1):
        slide_of_cells(folder / name, seed)


def slide_of_fields(folder: Path, seed: int = 1) -> Path:
    """Two photographs of fields."""
    for number in (1, 2):
        drawn = draw_field({"LY": 5, "SNE": 6, "MO": 2}, seed=10 * seed + number, size=(720, 960))
        save_pixels(folder / f"f{number}.png", drawn.image)
    return folder


def night_of_fields(folder: Path) -> None:
    for seed, name in enumerate(("P01", "P02"), 1):
        slide_of_fields(folder / name, seed)


def manifest(path: Path) -> None:
    """`cells.csv`, of the slides in `night`."""
    night_of_cells(path.parent / "night")
    pictures = sorted(path.parent.glob("night/*/*.jpg"))
    rows = [{"path": str(one.relative_to(path.parent)), "slide": one.parent.name} for one in pictures]
    pl.DataFrame(rows).write_csv(path)


def labelled(path: Path) -> None:
    """A table of labelled cells of two slides."""
    tables = []
    for seed in (1, 2):
        drawn = draw(DrawSettings(per_class=3, size=96, seed=seed), path.parent / f"{path.stem}-{seed}")
        table = pl.read_csv(drawn.truth).select("path", "label")
        place = str(drawn.truth.parent.relative_to(path.parent))
        tables.append(table.with_columns(path=f"{place}/" + pl.col("path"), group=pl.lit(f"slide {seed}")))
    pl.concat(tables).write_csv(path)


def ranges(path: Path) -> None:
    """As its page shows them."""
    path.write_text(blocks(REPOSITORY / "docs" / "analyze.md", "yaml")[0], "utf-8")


def results_of_cells(folder: Path) -> None:
    """Results of a slide, and its labels as Label Studio exports them."""
    root = folder.parents[1]
    slide_of_cells(root / "slide4")
    analyze(AnalyzeSettings(input=root / "slide4", per_class=0), folder)
    export_prelabels(folder, root / "tasks")
    tasks = json.loads((root / "tasks" / "tasks.json").read_text("utf-8"))
    done = [{"data": one["data"], "annotations": [{"result": one["predictions"][0]["result"]}]} for one in tasks]
    (root / "corrected.json").write_text(json.dumps(done), "utf-8")


def own_images(folder: Path) -> None:
    """`my_cells`, pictures in folders of classes, and `labels.csv` as its page shows it."""
    for seed, (name, code) in enumerate((("linfocito", "LY"), ("plaqueta", "PLT"), ("hairy_cell", "MO")), 10):
        with TemporaryDirectory() as work:
            drawn = draw(DrawSettings(cells=10, mix={code: 1.0}, size=96, seed=seed), Path(work) / "drawn")
            shutil.copytree(drawn.cells, folder / name)
    (table,) = [one for one in blocks(REPOSITORY / "docs" / "studies.md", "") if one.startswith("label;")]
    (folder.parent / "labels.csv").write_text(table, "utf-8")


def readings(path: Path) -> None:
    """Of 60 cells by three annotators, of whom one often errs."""
    rows = [
        {"path": f"cells/{number}.png", "anna": code, "ben": code, "carla": "MO" if number % 3 else code}
        for number, code in enumerate(["LY", "SNE", "EO"] * 20)
    ]
    pl.DataFrame(rows).write_csv(path)


def adapted(folder: Path) -> None:
    labelled(folder.parent / "labelled.csv")
    adapt(AdaptSettings(labels=folder.parent / "labelled.csv", folds=2, variants=0), folder)


def training_run(folder: Path) -> None:
    build_colour_bundle(folder / "bundle", network=write_run(folder))


def whole_slide(path: Path) -> None:
    """Of 1.3 by 0.8 mm."""
    settings = DrawSlideSettings(width=5120, height=3072, leukocytes=12, variants=1)
    with TemporaryDirectory() as work:
        levels = levels_of(tifffile.imread(draw_slide(settings, Path(work) / "drawn").slide))
    path.parent.mkdir(parents=True, exist_ok=True)
    (write_svs if path.suffix == ".svs" else write_slide)(path, levels)


def night_of_scans(folder: Path) -> None:
    for name in ("P01", "P02"):
        whole_slide(folder / f"{name}.svs")


def signed_labels(path: Path) -> None:
    """`leukopy-training.zip`, as the page Quality writes it, of three signed slides."""
    from leukopy.review.export import training_zip

    with TemporaryDirectory() as work, signed_station(Path(work), slides=3) as (store, user, _):
        path.write_bytes(b"".join(training_zip(store.labels.signed_cells(user), store.images)))


@contextmanager
def signed_station(folder: Path, slides: int) -> Iterator[tuple[Store, User, list[Case]]]:
    """The store of a station of one user, who signed slides of drawn cells as the model sees them."""
    from leukopy.review.api.counts import content_of
    from leukopy.review.app import create_app
    from leukopy.review.importing import import_as_case
    from leukopy.review.records import CaseDraft, CaseSearch
    from leukopy.review.settings import ReviewSettings

    app = create_app(ReviewSettings(folder=folder / "station", before_signing="nothing", laboratory="Example Hospital"))
    with closing(app.state.store) as store:
        user = store.users.single_user()
        for seed in range(1, slides + 1):
            drawn = draw(DrawSettings(cells=CELLS, size=96, seed=seed), folder / f"s{seed}")
            analyze(AnalyzeSettings(input=drawn.cells, per_class=0), folder / f"r{seed}")
            import_as_case(store, user, CaseDraft(slide=f"S{seed}", patient=f"P{seed}"), folder / f"r{seed}")
        for case in store.cases.search(user, CaseSearch()).cases:
            reviewed = store.signing.mark_reviewed(user, case.id, case.version)
            store.signing.sign(user, case.id, reviewed.version, content_of(app.state.station, user, case.id))
        yield store, user, list(store.cases.search(user, CaseSearch()).cases)


def ward(folder: Path) -> None:
    draw_patients(DrawPatientsSettings(patients=3, cells=(20, 24)), folder)


INPUTS: dict[str, dict[str, Callable[[Path], object]]] = {
    "README": {
        "slide3": slide_of_cells, "night": night_of_cells, "corrected.csv": labelled, "ward": ward,
        "photographs": slide_of_fields,
    },
    "adapt": {"slide3": slide_of_cells, "corrected.csv": labelled, "other_slides.csv": labelled},
    "analyze": {"slide3": slide_of_cells, "cells.csv": manifest, "ranges.yaml": ranges, "runs/ours": adapted},
    "assistants": {"slides": night_of_cells},
    "cluster": {"night": night_of_cells},
    "exchange": {"results/slide4": results_of_cells},
    "explain": {"slide3": slide_of_cells, "runs/new": training_run},
    "fields": {"photographs": slide_of_fields, "night": night_of_fields, "camera": night_of_fields},
    "models": {"runs/ours": adapted},
    "patients": {"ward": ward},
    "python": {"slide3": slide_of_cells, "photographs": slide_of_fields},
    "review": {"leukopy-training.zip": signed_labels},
    "slides": {"smear.svs": whole_slide, "smear.tif": whole_slide, "scans": night_of_scans},
    "studies": {"my_cells": own_images, "readings.csv": readings},
}  # fmt: skip
"""What a page takes for granted; `docs/deployment.md` has a test of its own."""
