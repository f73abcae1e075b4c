"""The loop closes: corrections that were signed fit the model, and the station switches to it, case by case known."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from leukopy.bundle import open_bundle
from leukopy.core.errors import BundleError, ManifestError
from leukopy.review.app import create_app
from leukopy.review.export import training_zip
from leukopy.review.importing import import_as_case
from leukopy.review.records import CaseDraft, CaseSearch, Correction, Corrections, Role, User
from leukopy.review.settings import ReviewSettings
from leukopy.review.store import Forbidden, Store
from leukopy.taxonomy import label_map
from leukopy.workflows.adapt import AdaptSettings, adapt
from leukopy.workflows.adapt_labels import open_labels
from leukopy.workflows.analyze import AnalyzeSettings, analyze
from leukopy.workflows.draw import DrawSettings, draw
from support.waiting import until

PATIENTS = 3


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Results of some slides of drawn cells, whose file names tell the classes."""
    folder = tmp_path_factory.mktemp("drawn")
    slides = [draw(DrawSettings(cells=24, size=96, seed=seed), folder / f"s{seed}") for seed in range(PATIENTS + 1)]
    for number, slide in enumerate(slides[:-1]):
        analyze(AnalyzeSettings(input=slide.cells), folder / f"r{number}")
    return [folder, slides[-1].cells, *(slide.truth for slide in slides[:-1])]


@pytest.fixture(scope="module")
def station(drawn: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, User]]:
    """A station whose reader corrected and signed all but the last slide."""
    settings = ReviewSettings(folder=tmp_path_factory.mktemp("station"), before_signing="nothing")
    app = create_app(settings)
    store: Store = app.state.store
    user = store.users.single_user()
    for number, truth in enumerate(drawn[2:]):
        import_as_case(store, user, CaseDraft(slide=f"S{number}", patient=f"P{number}"), drawn[0] / f"r{number}")
        case = next(one for one in store.cases.search(user, CaseSearch()).cases if one.slide == f"S{number}")
        names = label_map("leukopy")
        right = {
            Path(path).name: names.code(label, where=path)
            for path, label in pl.read_csv(truth)["path", "label"].iter_rows()
        }
        cells = store.cells.all(user, case.id)
        wrong = [
            Correction(cell=cell.id, version=cell.version, code=right[cell.name])
            for cell in cells
            if cell.code != right[cell.name]
        ]
        if wrong:
            store.corrections.correct(user, case.id, Corrections(changes=tuple(wrong)))
        from leukopy.review.api.counts import content_of

        case = store.cases.get(user, case.id)
        case = store.signing.mark_reviewed(user, case.id, case.version)
        store.signing.sign(user, case.id, case.version, content_of(app.state.station, user, case.id))
    yield store, user
    store.close()


@pytest.fixture(scope="module")
def zipped(station: tuple[Store, User], tmp_path_factory: pytest.TempPathFactory) -> Path:
    store, user = station
    path = tmp_path_factory.mktemp("labels") / "leukopy-training.zip"
    path.write_bytes(b"".join(training_zip(store.labels.signed_cells(user), store.images)))
    return path


@pytest.fixture(scope="module")
def adapted(zipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "ours"
    result = adapt(AdaptSettings(labels=zipped, variants=0), out)
    assert result.cells > 40
    assert result.after.classes.balanced_accuracy.value is not None
    return out


@pytest.mark.slow
def test_from_corrections_to_a_model_that_judges_new_cases(
    station: tuple[Store, User], adapted: Path, drawn: list[Path]
) -> None:
    store, user = station
    default = open_bundle("default").card.model.sha256
    ours = open_bundle(adapted / "bundle").card.model.sha256
    assert ours != default
    (before,) = store.models.uses(user)
    assert (before.sha256, before.cases, before.signed, before.gain) == (default, PATIENTS, PATIENTS, None)
    used = store.models.use(user, adapted / "bundle")
    assert (used.sha256, used.current, used.cases) == (ours, True, 0)
    report = json.loads((adapted / "adapt.json").read_text())
    assert used.gain is not None
    assert (used.gain.before, used.gain.after) == tuple(
        report[when]["balanced_accuracy"]["value"] for when in ("before", "after")
    )
    with closing(Store.open(store.settings)) as again:
        assert again.models.current().endswith(ours)
    with_worker(store, user, drawn[1])
    uses = {one.sha256: one for one in store.models.uses(user)}
    assert (uses[ours].cases, uses[default].cases) == (1, PATIENTS)
    new = next(one for one in store.cases.search(user, CaseSearch()).cases if one.slide == "new")
    assert new.model is not None
    assert new.model.endswith(ours[:12])
    assert Path(store.models.path_of(new)).name == ours
    chosen = [entry for entry in store.audit.entries(user) if entry.action == "model.chosen"]
    assert [entry.detail["model"] for entry in chosen] == [ours]
    assert store.models.use(user, None).sha256 == default
    assert store.models.path_for(ours).endswith(ours), "a case that it began is finished by it"
    assert store.audit.verify().intact


def with_worker(store: Store, user: User, cells: Path) -> None:
    """Upload pictures, and let the station's worker judge them."""
    from leukopy.review.uploads import Upload, keep, unpack
    from leukopy.review.worker import Worker

    case = store.cases.open(user, CaseDraft(slide="new"))
    uploads = [Upload(path.name, path.open("rb")) for path in sorted(cells.iterdir())]
    keep(store, user, case.id, unpack(uploads, store.settings.limits))
    for upload in uploads:
        upload.content.close()
    job = store.jobs.start(user, case.id)
    worker = Worker(store, store.settings)
    worker.start()
    until(lambda: (latest := store.jobs.latest(user, case.id)) and latest.state not in ("queued", "running"))
    worker.stop()
    latest = store.jobs.latest(user, case.id)
    assert latest is not None
    assert (latest.id, latest.state) == (job.id, "finished"), latest.message


def test_who_may_switch_and_to_what(tmp_path: Path) -> None:
    with closing(Store.open(ReviewSettings(folder=tmp_path / "station"))) as store:
        administrator = store.users.single_user()
        with pytest.raises(BundleError):
            store.models.use(administrator, tmp_path)
        reviewer = administrator.model_copy(update={"role": Role.REVIEWER})
        with pytest.raises(Forbidden):
            store.models.use(reviewer, None)
        with pytest.raises(Forbidden):
            store.models.uses(administrator.model_copy(update={"role": Role.READER}))
        assert store.models.uses(reviewer)[0].current
        (tmp_path / "station" / "models").mkdir()
        (tmp_path / "station" / "models" / "current").write_text("../../etc")
        assert store.models.current() == "default"


@pytest.mark.parametrize(
    ("names", "said"), [(["images/x.png"], "holds no manifest"), ([], "holds no manifest"), (None, "damaged")]
)
def test_a_zip_that_is_no_export_is_refused(tmp_path: Path, names: list[str] | None, said: str) -> None:
    path = tmp_path / "labels.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ["manifest.csv"] if names is None else names:
            archive.writestr(name, "x" * 1000)
    if names is None:
        path.write_bytes(path.read_bytes().replace(b"xxxx", b"yyyy", 1))
    with pytest.raises(ManifestError, match=said), open_labels(path):
        pass


def test_nothing_of_a_zip_is_written_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "labels.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.csv", "path,label\n")
        for name in ("../evil.png", "/evil.png", "images/../../evil.png", f"images/{'a' * 64}.png"):
            archive.writestr(name, "x")
    with open_labels(path) as labels:
        found = sorted(one.relative_to(labels.table.parent).as_posix() for one in labels.table.parent.rglob("*.*"))
    assert found == [f"images/{'a' * 64}.png", "manifest.csv"]
    assert not labels.table.exists()
    assert not list(tmp_path.parent.rglob("evil.png"))
