"""Train the detector of cells on fields, and export it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leukopy.core.files import write_json
from leukopy.core.paths import data_folder
from leukopy.core.progress import Progress, silent
from leukopy.core.runs import RUN_FILE, begin, check_same, finish, record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from leukopy.training.detector.settings import DetectorSettings

CHECKED_PICTURES = 8


def train_detector(
    settings: DetectorSettings,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Train a detector from public boxes; the folder of its bundle.

    Args:
        settings: the recipe; its pictures lie below ``LEUKOPY_DATA``.
        out: receives ``run.json``, ``history.csv``, ``detector.ckpt`` and ``bundle/``.
        resume: resume the interrupted run in ``out``.
        overwrite: overwrite the results in ``out``.
        progress: reports the reading and the steps.

    Raises:
        InputError: a picture or the checkpoint cannot be read.
        OutputError: ``out`` holds something else, or a run of another recipe.
        TrainingError: a source has no pictures, or the training diverged.
    """
    import numpy as np

    from leukopy.datasets.boxes import DRAWN
    from leukopy.training.detector.canvas import Canvases
    from leukopy.training.detector.export import export
    from leukopy.training.detector.fit import fit
    from leukopy.training.detector.pictures import draw, load
    from leukopy.training.detector.settings import MOST_DRAWN

    run = record("train detector", settings)
    if earlier := begin(out, run, resume=resume, overwrite=overwrite):
        check_same(out, earlier, run)
    write_json(out / RUN_FILE, run)
    data = data_folder()
    train, val = (
        {use.source: load(use, split, settings.red_cell_px, data, progress) for use in settings.sources}
        for split in ("train", "val")
    )
    if settings.drawn:
        seeds = [settings.seed * MOST_DRAWN + number for number in range(settings.drawn.fields)]
        checked = len(seeds) // 10
        for own, part in ((train, seeds[checked:]), (val, seeds[:checked])):
            own[DRAWN] = draw(part, settings.red_cell_px, progress, many_platelets=settings.drawn.many_platelets)
    net = fit(settings, train, val, out, progress)
    checks = Canvases(settings, val, CHECKED_PICTURES, seed=settings.seed + 2)
    images = np.stack([checks[place][0] for place in range(CHECKED_PICTURES)])
    export(net, settings, train, images, out / "bundle")
    _choose_thresholds(settings, out / "bundle", progress)
    finish(out, run)
    return out / "bundle"


def _choose_thresholds(settings: DetectorSettings, bundle: Path, progress: Progress) -> None:
    """Write the thresholds into the card.

    Leukocytes: in the middle of those that find what .1 false ones per picture find. A falsely located leukocyte is
    still judged by the classifier; a missed one is lost. Red cells: that at which their number errs least. Platelets:
    that of the best F1.

    They are chosen on a hard set: validation pictures as they are, the same changed in stain, light and focus, and
    drawn fields. For the red cells each source has the same say, as it is and changed.
    """
    import numpy as np

    from leukopy.bundle.detector import open_detector
    from leukopy.bundle.store import CARD_FILE
    from leukopy.datasets.boxes import BOX_SOURCES, DRAWN
    from leukopy.evaluation.detection import best_threshold, middle_threshold
    from leukopy.fields.detector import Detector
    from leukopy.taxonomy.objects import LEUKOCYTE, PLATELET, PLATELET_CLUMP, RED_CELL
    from leukopy.training.detector.tiles import change
    from leukopy.workflows.evaluate_detector import LEAST_SCORE, least_count_error, marked_pictures, matches, see

    opened = open_detector(bundle)
    detector = Detector(opened, least=LEAST_SCORE)
    sources = [use.source for use in settings.sources if BOX_SOURCES[use.source].complete]
    by_source = [list(marked_pictures(source, "val", 0)) for source in sources]

    def worse(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        rng = np.random.default_rng((settings.seed, int(pixels.sum())))
        return change(pixels, pixels, settings.augmentation, rng)

    parts = [
        list(see(detector, pictures, known_scale=known, change=changed, progress=progress))
        for pictures in by_source
        for known, changed in ((False, None), (True, worse))
    ]
    parts.append(list(see(detector, list(marked_pictures(DRAWN, None, 100)), known_scale=False, progress=progress)))
    seen = [picture for part in parts for picture in part]
    thresholds = {RED_CELL: least_count_error(parts), PLATELET: round(best_threshold(matches(seen, PLATELET)), 3)}
    thresholds[LEUKOCYTE] = round(middle_threshold(matches(seen, LEUKOCYTE)) or 1.0, 3)
    thresholds[PLATELET_CLUMP] = thresholds[PLATELET]  # clumps are groups of platelets
    card = opened.card.model_copy(update={"thresholds": thresholds})
    write_json(bundle / CARD_FILE, card.model_dump(mode="json"))
